/* ShuffleNetV2 (Ma et al. 2018, arXiv:1807.11164) as torchvision builds it. */
#include <math.h>
#include <stdio.h>

#include "common/arch/family.h"

typedef struct ShuffleNetConfig {
    int channels[3]; /* of the stages 2 to 4 */
    int last_channels;
} ShuffleNetConfig;

static const int stage_blocks[3] = {4, 8, 4};

/* A Sequential of convolutions, norms and ReLUs, numbered as they come. */
typedef struct Branch {
    PfArchBuilder *builder;
    char prefix[PF_NODE_NAME_SIZE / 2]; /* "stage2.0.branch1" */
    int number, node, channels;
} Branch;

static const char *next(Branch *branch, char name[PF_NODE_NAME_SIZE])
{
    snprintf(name, PF_NODE_NAME_SIZE, "%s.%d", branch->prefix, branch->number++);
    return name;
}

static void add_conv(Branch *branch, int out_channels, int kernel, int stride, int groups)
{
    char name[PF_NODE_NAME_SIZE];
    branch->node =
        pf_arch_add_conv(branch->builder, next(branch, name), branch->node, branch->channels,
                         out_channels, kernel, stride, kernel / 2, false);
    pf_arch_set_groups(branch->builder, branch->node, groups);
    branch->node =
        pf_arch_add_batch_norm(branch->builder, next(branch, name), branch->node, out_channels);
    branch->channels = out_channels;
}

static void add_relu(Branch *branch)
{
    char name[PF_NODE_NAME_SIZE];
    branch->node = pf_arch_add_relu(branch->builder, next(branch, name), NULL, branch->node);
}

static int add_half(PfArchBuilder *builder, const char *prefix, const char *part, int input,
                    int start, int channels)
{
    char name[PF_NODE_NAME_SIZE];
    int index;
    snprintf(name, sizeof name, "%s.%s", prefix, part);
    PfNode *node = pf_arch_add(builder, PF_OP_SLICE, name, "", input, &index);
    node->start = start;
    node->count = channels;
    node->step = 1;
    return index;
}

/* Puts both behind one another, and the channels of one between those of the other. */
static int add_shuffle(PfArchBuilder *builder, const char *prefix, int left, int right)
{
    char name[PF_NODE_NAME_SIZE];
    int index;
    snprintf(name, sizeof name, "%s.cat", prefix);
    PfNode *concat = pf_arch_add(builder, PF_OP_CONCAT, name, "", left, &index);
    concat->inputs[1] = right;
    concat->input_count = 2;
    snprintf(name, sizeof name, "%s.view_1", prefix);
    pf_arch_add(builder, PF_OP_CHANNEL_SHUFFLE, name, "", index, &index)->groups = 2;
    return index;
}

/* Halves both sides and gives out_channels, or keeps both; half of the channels go by. */
static int add_block(PfArchBuilder *builder, const char *prefix, int input, int in_channels,
                     int out_channels)
{
    const int half = out_channels / 2;
    const bool halves = in_channels != out_channels;
    Branch one = {builder, "", 0, input, in_channels}, two = one;
    snprintf(one.prefix, sizeof one.prefix, "%s.branch1", prefix);
    snprintf(two.prefix, sizeof two.prefix, "%s.branch2", prefix);
    if (halves) {
        add_conv(&one, in_channels, 3, 2, in_channels);
        add_conv(&one, half, 1, 1, 1);
        add_relu(&one);
    } else {
        one.node = add_half(builder, prefix, "getitem", input, 0, half);
        two.node = add_half(builder, prefix, "getitem_1", input, half, half);
        two.channels = half;
    }
    add_conv(&two, half, 1, 1, 1);
    add_relu(&two);
    add_conv(&two, half, 3, halves ? 2 : 1, half);
    add_conv(&two, half, 1, 1, 1);
    add_relu(&two);
    return add_shuffle(builder, prefix, one.node, two.node);
}

static void build(PfArchBuilder *builder, const void *config)
{
    const ShuffleNetConfig *net = config;
    char prefix[20];
    Branch stem = {builder, "conv1", 0, 0, 3};
    add_conv(&stem, 24, 3, 2, 1);
    add_relu(&stem);
    int node = pf_arch_add_max_pool(builder, "maxpool", stem.node, 3, 2, 1);
    int channels = stem.channels;
    for (int stage = 0; stage < 3; stage++)
        for (int i = 0; i < stage_blocks[stage]; i++) {
            snprintf(prefix, sizeof prefix, "stage%d.%d", stage + 2, i);
            node = add_block(builder, prefix, node, channels, net->channels[stage]);
            channels = net->channels[stage];
        }
    Branch last = {builder, "conv5", 0, node, channels};
    add_conv(&last, net->last_channels, 1, 1, 1);
    add_relu(&last);
    node = pf_arch_add_map_mean(builder, "mean", last.node);
    pf_arch_add_linear(builder, "fc", node, net->last_channels, 1000);
}

/* Convolutions by He's rule for what goes into each group, evenly. torch.nn's modules, whose values
 * the constructor keeps, draw them by a factor of 2.4 narrower: before the norms have learned, what
 * the three convolutions of a block give would be a tenth of what goes by. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    const int inputs = node->in_channels * node->kernel[0] * node->kernel[1];
    if (node->op != PF_OP_CONV) return pf_op_initial_values(node, parameter);
    return (PfInitialValues){PF_INITIAL_UNIFORM, sqrt(6.0 * node->groups / inputs)};
}

static const ShuffleNetConfig x0_5 = {{48, 96, 192}, 1024}, x1_0 = {{116, 232, 464}, 1024};
static const ShuffleNetConfig x1_5 = {{176, 352, 704}, 1024}, x2_0 = {{244, 488, 976}, 2048};

/* clang-format off */
PF_PUBLISHED_V1(x0_5, "shufflenetv2_x0.5-f707e7126e.pth", 256);
PF_PUBLISHED_V1(x1_0, "shufflenetv2_x1-5666bf0f80.pth", 256);
PF_PUBLISHED_V1(x1_5, "shufflenetv2_x1_5-3c479a10.pth", 232);
PF_PUBLISHED_V1(x2_0, "shufflenetv2_x2_0-8be3c8ee.pth", 232);

static const PfArchVariant variants[] = {
    PF_VARIANT_V1("shufflenet_v2_x0_5", x0_5, 256), PF_VARIANT_V1("shufflenet_v2_x1_0", x1_0, 256), PF_VARIANT_V1("shufflenet_v2_x1_5", x1_5, 232), PF_VARIANT_V1("shufflenet_v2_x2_0", x2_0, 232),
};

const PfArchFamily pf_arch_shufflenet_v2 = {
    .class_name = "ShuffleNetV2", .default_tap = "mean", .example_module = "stage4.3",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
