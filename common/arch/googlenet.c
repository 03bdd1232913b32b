/* GoogLeNet (Szegedy et al. 2014, arXiv:1409.4842) as torchvision builds it, with batch norms, 3x3
 * convolutions where the paper has 5x5, and without the two auxiliary heads that only training
 * reads: their tensors, aux1 and aux2, are passed over in files. */
#include <stdio.h>

#include "common/arch/basic_conv.h"

typedef struct Block {
    const char *name;
    int first, squeezed3, second, squeezed5, third, pooled; /* channels of the branches */
} Block;

static const Block blocks[] = {
    {"inception3a", 64, 96, 128, 16, 32, 32},     {"inception3b", 128, 128, 192, 32, 96, 64},
    {"inception4a", 192, 96, 208, 16, 48, 64},    {"inception4b", 160, 112, 224, 24, 64, 64},
    {"inception4c", 128, 128, 256, 24, 64, 64},   {"inception4d", 112, 144, 288, 32, 64, 64},
    {"inception4e", 256, 160, 320, 32, 128, 128}, {"inception5a", 256, 160, 320, 32, 128, 128},
    {"inception5b", 384, 192, 384, 48, 128, 128},
};

static int add_conv(PfArchBuilder *builder, const char *block, const char *part, int input,
                    int in_channels, int out_channels, int kernel)
{
    char prefix[PF_NODE_NAME_SIZE];
    snprintf(prefix, sizeof prefix, "%s.%s", block, part);
    const PfBasicConv conv = {
        prefix, in_channels, out_channels, {kernel, kernel}, {kernel / 2, kernel / 2}, 1};
    return pf_arch_add_basic_conv(builder, &conv, input);
}

/* Halves both sides, or keeps them; windows that begin inside count. */
static int add_pool(PfArchBuilder *builder, const char *name, int input, int kernel, int stride)
{
    const int padding = stride == 1 ? kernel / 2 : 0;
    const int node = pf_arch_add_max_pool(builder, name, input, kernel, stride, padding);
    if (!builder->failed) builder->arch->nodes[node].ceil_mode = 1;
    return node;
}

static int add_block(PfArchBuilder *builder, const Block *block, int input, int channels)
{
    char name[PF_NODE_NAME_SIZE];
    int parts[4], index;
    parts[0] = add_conv(builder, block->name, "branch1", input, channels, block->first, 1);
    parts[1] = add_conv(builder, block->name, "branch2.0", input, channels, block->squeezed3, 1);
    parts[1] =
        add_conv(builder, block->name, "branch2.1", parts[1], block->squeezed3, block->second, 3);
    parts[2] = add_conv(builder, block->name, "branch3.0", input, channels, block->squeezed5, 1);
    parts[2] =
        add_conv(builder, block->name, "branch3.1", parts[2], block->squeezed5, block->third, 3);
    snprintf(name, sizeof name, "%s.branch4.0", block->name);
    parts[3] = add_pool(builder, name, input, 3, 1);
    parts[3] = add_conv(builder, block->name, "branch4.1", parts[3], channels, block->pooled, 1);
    snprintf(name, sizeof name, "%s.cat", block->name);
    PfNode *node = pf_arch_add(builder, PF_OP_CONCAT, name, "", parts[0], &index);
    for (int i = 0; i < 4; i++) node->inputs[i] = parts[i];
    node->input_count = 4;
    return index;
}

static void build(PfArchBuilder *builder, const void *config)
{
    (void)config;
    static const PfBasicConv stem[3] = {{"conv1", 3, 64, {7, 7}, {3, 3}, 2},
                                        {"conv2", 64, 64, {1, 1}, {0, 0}, 1},
                                        {"conv3", 64, 192, {3, 3}, {1, 1}, 1}};
    int node = pf_arch_add_basic_conv(builder, &stem[0], 0), channels = 192;
    node = add_pool(builder, "maxpool1", node, 3, 2);
    node = pf_arch_add_basic_conv(builder, &stem[1], node);
    node = pf_arch_add_basic_conv(builder, &stem[2], node);
    node = add_pool(builder, "maxpool2", node, 3, 2);
    for (int i = 0; i < (int)(sizeof blocks / sizeof blocks[0]); i++) {
        const Block *block = &blocks[i];
        if (i == 2) node = add_pool(builder, "maxpool3", node, 3, 2);
        if (i == 7) node = add_pool(builder, "maxpool4", node, 2, 2);
        node = add_block(builder, block, node, channels);
        channels = block->first + block->second + block->third + block->pooled;
    }
    node = pf_arch_add_avg_pool(builder, "avgpool", node, 1);
    node = pf_arch_add_flatten(builder, node);
    node = pf_arch_add_dropout(builder, "dropout", node, 0.2f);
    pf_arch_add_linear(builder, "fc", node, channels, 1000);
}

static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    return pf_arch_initial_inception(node, parameter, 0.01);
}

/* clang-format off */
static const PfWeightsEntry weights[] = {
    {.name = "IMAGENET1K_V1", .file = "googlenet-1378be20.pth", .url = PF_TORCH_HUB_URL,
     .preprocess = PF_INCEPTION_PREPROCESS(256, 224)}};

static const PfArchVariant variants[] = {
    {.name = "googlenet", .config = NULL, .preprocess = PF_INCEPTION_PREPROCESS(256, 224),
     .weights = weights, .weights_count = 1},
};

const PfArchFamily pf_arch_googlenet = {
    .class_name = "GoogLeNet", .default_tap = "avgpool", .example_module = "inception5b",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
