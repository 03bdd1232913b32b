/* MobileNetV3 (Howard et al. 2019, arXiv:1905.02244) as torchvision builds it. */
#include <stdio.h>

#include "common/arch/inverted_residual.h"

#define MAX_BLOCKS 15

typedef struct Block {
    int kernel, expanded, out_channels;
    bool squeezes, hard_swish;
    int stride;
} Block;

typedef struct MobileNetConfig {
    int last_channels; /* of the classifier's first layer */
    int block_count;
    Block blocks[MAX_BLOCKS];
} MobileNetConfig;

#define NORM .eps = 1e-3f, .momentum = 0.01f

static int add_block(PfArchBuilder *builder, const Block *block, int number, int input,
                     int in_channels)
{
    char prefix[PF_NODE_NAME_SIZE / 2], name[PF_NODE_NAME_SIZE];
    const PfOp activation = block->hard_swish ? PF_OP_HARD_SWISH : PF_OP_RELU;
    int node = input, index = 0;
    snprintf(prefix, sizeof prefix, "features.%d", number);
    PfConvNorm conv = {name, in_channels, block->expanded, 1, 1, 1, NORM, activation};
    if (block->expanded != in_channels) {
        snprintf(name, sizeof name, "%s.block.%d", prefix, index++);
        node = pf_arch_add_conv_norm(builder, &conv, node);
    }
    snprintf(name, sizeof name, "%s.block.%d", prefix, index++);
    conv = (PfConvNorm){name,          block->expanded, block->expanded,
                        block->kernel, block->stride,   block->expanded,
                        NORM,          activation};
    node = pf_arch_add_conv_norm(builder, &conv, node);
    if (block->squeezes) {
        snprintf(name, sizeof name, "%s.block.%d", prefix, index++);
        node = pf_arch_add_squeeze_excitation(builder, name, node, block->expanded,
                                              pf_arch_scaled_channels(block->expanded / 4, 1),
                                              PF_OP_RELU, PF_OP_HARD_SIGMOID);
    }
    snprintf(name, sizeof name, "%s.block.%d", prefix, index++);
    conv = (PfConvNorm){name, block->expanded, block->out_channels, 1, 1, 1, NORM, PF_OP_INPUT};
    node = pf_arch_add_conv_norm(builder, &conv, node);
    if (block->stride > 1 || in_channels != block->out_channels) return node;
    snprintf(name, sizeof name, "%s.add", prefix);
    return pf_arch_add_sum(builder, name, node, input);
}

static void build(PfArchBuilder *builder, const void *config)
{
    const MobileNetConfig *mobilenet = config;
    char prefix[PF_NODE_NAME_SIZE / 2];
    int channels = 16, number = 1;
    PfConvNorm conv = {"features.0", 3, channels, 3, 2, 1, NORM, PF_OP_HARD_SWISH};
    int node = pf_arch_add_conv_norm(builder, &conv, 0);
    for (; number <= mobilenet->block_count; number++) {
        const Block *block = &mobilenet->blocks[number - 1];
        node = add_block(builder, block, number, node, channels);
        channels = block->out_channels;
    }
    snprintf(prefix, sizeof prefix, "features.%d", number);
    conv = (PfConvNorm){prefix, channels, 6 * channels, 1, 1, 1, NORM, PF_OP_HARD_SWISH};
    node = pf_arch_add_conv_norm(builder, &conv, node);
    node = pf_arch_add_avg_pool(builder, "avgpool", node, 1);
    node = pf_arch_add_flatten(builder, node);
    const int last = mobilenet->last_channels;
    node = pf_arch_add_linear(builder, "classifier.0", node, 6 * channels, last);
    node = pf_arch_add_plain(builder, PF_OP_HARD_SWISH, "classifier.1", node);
    node = pf_arch_add_dropout(builder, "classifier.2", node, 0.2f);
    pf_arch_add_linear(builder, "classifier.3", node, last, 1000);
}

/* Linears are drawn from N(0, 0.01), their biases are 0. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    if (node->op != PF_OP_LINEAR) return pf_arch_initial_inverted(node, parameter, 1.06);
    return parameter->needs_bias ? (PfInitialValues){PF_INITIAL_CONSTANT, 0}
                                 : (PfInitialValues){PF_INITIAL_NORMAL, 0.01};
}

static const MobileNetConfig mobilenet_v3_large = {1280,
                                                   15,
                                                   {{3, 16, 16, false, false, 1},
                                                    {3, 64, 24, false, false, 2},
                                                    {3, 72, 24, false, false, 1},
                                                    {5, 72, 40, true, false, 2},
                                                    {5, 120, 40, true, false, 1},
                                                    {5, 120, 40, true, false, 1},
                                                    {3, 240, 80, false, true, 2},
                                                    {3, 200, 80, false, true, 1},
                                                    {3, 184, 80, false, true, 1},
                                                    {3, 184, 80, false, true, 1},
                                                    {3, 480, 112, true, true, 1},
                                                    {3, 672, 112, true, true, 1},
                                                    {5, 672, 160, true, true, 2},
                                                    {5, 960, 160, true, true, 1},
                                                    {5, 960, 160, true, true, 1}}};

static const MobileNetConfig mobilenet_v3_small = {1024,
                                                   11,
                                                   {{3, 16, 16, true, false, 2},
                                                    {3, 72, 24, false, false, 2},
                                                    {3, 88, 24, false, false, 1},
                                                    {5, 96, 40, true, true, 2},
                                                    {5, 240, 40, true, true, 1},
                                                    {5, 240, 40, true, true, 1},
                                                    {5, 120, 48, true, true, 1},
                                                    {5, 144, 48, true, true, 1},
                                                    {5, 288, 96, true, true, 2},
                                                    {5, 576, 96, true, true, 1},
                                                    {5, 576, 96, true, true, 1}}};

/* clang-format off */
#define PUBLISHED(label, file_name, resize_to) \
    {.name = (label), .file = (file_name), .url = PF_TORCH_HUB_URL, \
     .preprocess = PF_IMAGENET_PREPROCESS(resize_to), .licence = "BSD-3-Clause"}

static const PfWeightsEntry mobilenet_v3_large_weights[] = {
    PUBLISHED("IMAGENET1K_V1", "mobilenet_v3_large-8738ca79.pth", 256),
    PUBLISHED("IMAGENET1K_V2", "mobilenet_v3_large-5c1a4163.pth", 232)};
static const PfWeightsEntry mobilenet_v3_small_weights[] = {
    PUBLISHED("IMAGENET1K_V1", "mobilenet_v3_small-047dcff4.pth", 256)};

#define VARIANT(network) \
    {.name = #network, .config = &network, .preprocess = PF_IMAGENET_PREPROCESS(256), \
     .weights = network##_weights, \
     .weights_count = sizeof network##_weights / sizeof network##_weights[0]}

static const PfArchVariant variants[] = {VARIANT(mobilenet_v3_large), VARIANT(mobilenet_v3_small)};

const PfArchFamily pf_arch_mobilenet_v3 = {
    .class_name = "MobileNetV3", .default_tap = "classifier.1", .example_module = "features.15",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
