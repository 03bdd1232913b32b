/* Inception v3 (Szegedy et al. 2015, arXiv:1512.00567) as torchvision builds it, without the
 * auxiliary head that only training reads: its tensors, AuxLogits, are passed over in files. */
#include <stdio.h>

#include "common/arch/basic_conv.h"

#define MAX_STEPS 5 /* in a branch */

/* One convolution of a branch. Its padding keeps the size where the stride is 1. */
typedef struct Step {
    const char *name; /* "7x7_2"; NULL ends a branch */
    int out_channels, kernel[2], stride;
} Step;

/* A block: branches side by side, whose maps are put behind one another. */
typedef struct Mixed {
    PfArchBuilder *builder;
    const char *name; /* "Mixed_5b" */
    int input, in_channels;
    int parts[8], part_count; /* of the concatenation */
    int channels;             /* of all parts */
    int concat_count;         /* so far: "cat", "cat_1", ... */
} Mixed;

static int add_step(Mixed *mixed, const Step *step, int input, int in_channels)
{
    char prefix[PF_NODE_NAME_SIZE];
    snprintf(prefix, sizeof prefix, "%s.branch%s", mixed->name, step->name);
    const bool same = step->stride == 1;
    const PfBasicConv conv = {prefix,
                              in_channels,
                              step->out_channels,
                              {step->kernel[0], step->kernel[1]},
                              {same ? step->kernel[0] / 2 : 0, same ? step->kernel[1] / 2 : 0},
                              step->stride};
    return pf_arch_add_basic_conv(mixed->builder, &conv, input);
}

static void add_part(Mixed *mixed, int node, int channels)
{
    mixed->parts[mixed->part_count++] = node;
    mixed->channels += channels;
}

/* The steps one after the other, from the block's input; *channels: of the last. */
static int add_steps(Mixed *mixed, const Step *steps, int *channels)
{
    int node = mixed->input;
    *channels = mixed->in_channels;
    for (int i = 0; i < MAX_STEPS && steps[i].name; i++) {
        node = add_step(mixed, &steps[i], node, *channels);
        *channels = steps[i].out_channels;
    }
    return node;
}

static void add_branch(Mixed *mixed, const Step steps[MAX_STEPS])
{
    int channels;
    const int node = add_steps(mixed, steps, &channels);
    add_part(mixed, node, channels);
}

static int add_concat(Mixed *mixed, const int *nodes, int count)
{
    char name[PF_NODE_NAME_SIZE];
    int index;
    snprintf(name, sizeof name, mixed->concat_count ? "%s.cat_%d" : "%s.cat", mixed->name,
             mixed->concat_count);
    mixed->concat_count++;
    PfNode *node = pf_arch_add(mixed->builder, PF_OP_CONCAT, name, "", nodes[0], &index);
    for (int i = 0; i < count; i++) node->inputs[i] = nodes[i];
    node->input_count = count;
    return index;
}

/* The branch's last step twice, along x and along y: "3x3_2a" and "3x3_2b". */
static void add_forked_branch(Mixed *mixed, const Step steps[MAX_STEPS], const char *last)
{
    enum { EACH = 384 };
    char name[2][16];
    int channels, fork[2];
    const int node = add_steps(mixed, steps, &channels);
    for (int i = 0; i < 2; i++) {
        snprintf(name[i], sizeof name[i], "%s%c", last, "ab"[i]);
        const Step step = {name[i], EACH, {i ? 3 : 1, i ? 1 : 3}, 1};
        fork[i] = add_step(mixed, &step, node, channels);
    }
    add_part(mixed, add_concat(mixed, fork, 2), 2 * EACH);
}

/* Means of 3x3, in which zeros around the map count, and a 1x1 convolution. */
static void add_pool_branch(Mixed *mixed, int out_channels)
{
    char name[PF_NODE_NAME_SIZE];
    int node;
    snprintf(name, sizeof name, "%s.avg_pool2d", mixed->name);
    PfNode *pool = pf_arch_add(mixed->builder, PF_OP_AVG_POOL, name, "", mixed->input, &node);
    pf_arch_set_window(pool, 3, 1, 1);
    pool->count_padding = 1;
    const Step step = {"_pool", out_channels, {1, 1}, 1};
    add_part(mixed, add_step(mixed, &step, node, mixed->in_channels), out_channels);
}

static void add_max_pool_branch(Mixed *mixed)
{
    char name[PF_NODE_NAME_SIZE];
    int node;
    snprintf(name, sizeof name, "%s.max_pool2d", mixed->name);
    pf_arch_set_window(pf_arch_add(mixed->builder, PF_OP_MAX_POOL, name, "", mixed->input, &node),
                       3, 2, 0);
    add_part(mixed, node, mixed->in_channels);
}

/* The blocks' letters are torchvision's. option: what its blocks of one letter differ in. */

static void add_a(Mixed *mixed, int pool_channels)
{
    add_branch(mixed, (Step[MAX_STEPS]){{"1x1", 64, {1, 1}, 1}});
    add_branch(mixed, (Step[MAX_STEPS]){{"5x5_1", 48, {1, 1}, 1}, {"5x5_2", 64, {5, 5}, 1}});
    add_branch(mixed, (Step[MAX_STEPS]){{"3x3dbl_1", 64, {1, 1}, 1},
                                        {"3x3dbl_2", 96, {3, 3}, 1},
                                        {"3x3dbl_3", 96, {3, 3}, 1}});
    add_pool_branch(mixed, pool_channels);
}

static void add_b(Mixed *mixed, int option)
{
    (void)option;
    add_branch(mixed, (Step[MAX_STEPS]){{"3x3", 384, {3, 3}, 2}});
    add_branch(mixed, (Step[MAX_STEPS]){{"3x3dbl_1", 64, {1, 1}, 1},
                                        {"3x3dbl_2", 96, {3, 3}, 1},
                                        {"3x3dbl_3", 96, {3, 3}, 2}});
    add_max_pool_branch(mixed);
}

static void add_c(Mixed *mixed, int inner)
{
    add_branch(mixed, (Step[MAX_STEPS]){{"1x1", 192, {1, 1}, 1}});
    add_branch(mixed, (Step[MAX_STEPS]){{"7x7_1", inner, {1, 1}, 1},
                                        {"7x7_2", inner, {1, 7}, 1},
                                        {"7x7_3", 192, {7, 1}, 1}});
    add_branch(mixed, (Step[MAX_STEPS]){{"7x7dbl_1", inner, {1, 1}, 1},
                                        {"7x7dbl_2", inner, {7, 1}, 1},
                                        {"7x7dbl_3", inner, {1, 7}, 1},
                                        {"7x7dbl_4", inner, {7, 1}, 1},
                                        {"7x7dbl_5", 192, {1, 7}, 1}});
    add_pool_branch(mixed, 192);
}

static void add_d(Mixed *mixed, int option)
{
    (void)option;
    add_branch(mixed, (Step[MAX_STEPS]){{"3x3_1", 192, {1, 1}, 1}, {"3x3_2", 320, {3, 3}, 2}});
    add_branch(mixed, (Step[MAX_STEPS]){{"7x7x3_1", 192, {1, 1}, 1},
                                        {"7x7x3_2", 192, {1, 7}, 1},
                                        {"7x7x3_3", 192, {7, 1}, 1},
                                        {"7x7x3_4", 192, {3, 3}, 2}});
    add_max_pool_branch(mixed);
}

static void add_e(Mixed *mixed, int option)
{
    (void)option;
    add_branch(mixed, (Step[MAX_STEPS]){{"1x1", 320, {1, 1}, 1}});
    add_forked_branch(mixed, (Step[MAX_STEPS]){{"3x3_1", 384, {1, 1}, 1}}, "3x3_2");
    add_forked_branch(mixed,
                      (Step[MAX_STEPS]){{"3x3dbl_1", 448, {1, 1}, 1}, {"3x3dbl_2", 384, {3, 3}, 1}},
                      "3x3dbl_3");
    add_pool_branch(mixed, 192);
}

static const struct {
    const char *name;
    void (*add)(Mixed *mixed, int option);
    int option;
} blocks[] = {
    {"Mixed_5b", add_a, 32},  {"Mixed_5c", add_a, 64},  {"Mixed_5d", add_a, 64},
    {"Mixed_6a", add_b, 0},   {"Mixed_6b", add_c, 128}, {"Mixed_6c", add_c, 160},
    {"Mixed_6d", add_c, 160}, {"Mixed_6e", add_c, 192}, {"Mixed_7a", add_d, 0},
    {"Mixed_7b", add_e, 0},   {"Mixed_7c", add_e, 0},
};

static int add_stem(PfArchBuilder *builder)
{
    static const PfBasicConv convs[5] = {{"Conv2d_1a_3x3", 3, 32, {3, 3}, {0, 0}, 2},
                                         {"Conv2d_2a_3x3", 32, 32, {3, 3}, {0, 0}, 1},
                                         {"Conv2d_2b_3x3", 32, 64, {3, 3}, {1, 1}, 1},
                                         {"Conv2d_3b_1x1", 64, 80, {1, 1}, {0, 0}, 1},
                                         {"Conv2d_4a_3x3", 80, 192, {3, 3}, {0, 0}, 1}};
    int node = 0;
    for (int i = 0; i < 5; i++) {
        node = pf_arch_add_basic_conv(builder, &convs[i], node);
        if (i == 2) node = pf_arch_add_max_pool(builder, "maxpool1", node, 3, 2, 0);
    }
    return pf_arch_add_max_pool(builder, "maxpool2", node, 3, 2, 0);
}

static void build(PfArchBuilder *builder, const void *config)
{
    (void)config;
    int node = add_stem(builder), channels = 192;
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        Mixed mixed = {
            .builder = builder, .name = blocks[i].name, .input = node, .in_channels = channels};
        blocks[i].add(&mixed, blocks[i].option);
        node = add_concat(&mixed, mixed.parts, mixed.part_count);
        channels = mixed.channels;
    }
    node = pf_arch_add_avg_pool(builder, "avgpool", node, 1);
    node = pf_arch_add_dropout(builder, "dropout", node, 0.5f);
    node = pf_arch_add_flatten(builder, node);
    pf_arch_add_linear(builder, "fc", node, channels, 1000);
}

static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    return pf_arch_initial_inception(node, parameter, 0.1);
}

/* clang-format off */
static const PfWeightsEntry weights[] = {
    {.name = "IMAGENET1K_V1", .file = "inception_v3_google-0cc3c7bd.pth", .url = PF_TORCH_HUB_URL,
     .preprocess = PF_INCEPTION_PREPROCESS(342, 299), .licence = "Apache-2.0",
     .timm = "inception_v3.tv_in1k"}};

static const PfArchVariant variants[] = {
    {.name = "inception_v3", .config = NULL, .preprocess = PF_INCEPTION_PREPROCESS(342, 299),
     .weights = weights, .weights_count = 1},
};

const PfArchFamily pf_arch_inception = {
    .class_name = "Inception3", .default_tap = "avgpool", .example_module = "Mixed_7c",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
