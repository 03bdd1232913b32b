/* MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) as torchvision builds it. */
#include <stdio.h>

#include "common/arch/inverted_residual.h"

#define NORM .eps = 1e-5f

static const struct {
    int expansion, out_channels, blocks, stride;
} stages[7] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
               {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

static int add_block(PfArchBuilder *builder, int number, int stage, int stride, int input,
                     int in_channels)
{
    char prefix[PF_NODE_NAME_SIZE / 2], name[PF_NODE_NAME_SIZE];
    const int expanded = in_channels * stages[stage].expansion;
    const int out_channels = stages[stage].out_channels;
    int node = input, index = 0;
    snprintf(prefix, sizeof prefix, "features.%d", number);
    PfConvNorm conv = {name, in_channels, expanded, 1, 1, 1, NORM, .activation = PF_OP_CLIP};
    snprintf(name, sizeof name, "%s.conv.%d", prefix, index);
    if (expanded != in_channels) {
        node = pf_arch_add_conv_norm(builder, &conv, node);
        snprintf(name, sizeof name, "%s.conv.%d", prefix, ++index);
    }
    conv =
        (PfConvNorm){name, expanded, expanded, 3, stride, expanded, NORM, .activation = PF_OP_CLIP};
    node = pf_arch_add_conv_norm(builder, &conv, node);
    snprintf(name, sizeof name, "%s.conv.%d", prefix, ++index);
    node = pf_arch_add_conv(builder, name, node, expanded, out_channels, 1, 1, 0, false);
    snprintf(name, sizeof name, "%s.conv.%d", prefix, ++index);
    node = pf_arch_add_batch_norm(builder, name, node, out_channels);
    if (stride > 1 || in_channels != out_channels) return node;
    snprintf(name, sizeof name, "%s.add", prefix);
    return pf_arch_add_sum(builder, name, input, node);
}

static void build(PfArchBuilder *builder, const void *config)
{
    (void)config;
    enum { LAST = 1280 };
    int channels = 32, number = 1;
    PfConvNorm conv = {"features.0", 3, channels, 3, 2, 1, NORM, .activation = PF_OP_CLIP};
    int node = pf_arch_add_conv_norm(builder, &conv, 0);
    for (int stage = 0; stage < 7; stage++)
        for (int i = 0; i < stages[stage].blocks; i++) {
            node =
                add_block(builder, number++, stage, i ? 1 : stages[stage].stride, node, channels);
            channels = stages[stage].out_channels;
        }
    conv = (PfConvNorm){"features.18", channels, LAST, 1, 1, 1, NORM, .activation = PF_OP_CLIP};
    node = pf_arch_add_conv_norm(builder, &conv, node);
    pf_arch_add(builder, PF_OP_ADAPTIVE_AVG_POOL, "adaptive_avg_pool2d", "", node, &node)
        ->pool_size = 1;
    node = pf_arch_add_flatten(builder, node);
    node = pf_arch_add_dropout(builder, "classifier.0", node, 0.2f);
    pf_arch_add_linear(builder, "classifier.1", node, LAST, 1000);
}

/* Linears are drawn from N(0, 0.01), their biases are 0. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    if (node->op != PF_OP_LINEAR) return pf_arch_initial_inverted(node, parameter, 1);
    return parameter->needs_bias ? (PfInitialValues){PF_INITIAL_CONSTANT, 0}
                                 : (PfInitialValues){PF_INITIAL_NORMAL, 0.01};
}

/* clang-format off */
static const PfWeightsEntry weights[] = {
    {.name = "IMAGENET1K_V1", .file = "mobilenet_v2-b0353104.pth", .url = PF_TORCH_HUB_URL,
     .preprocess = PF_IMAGENET_PREPROCESS(256), .licence = "BSD-3-Clause"},
    {.name = "IMAGENET1K_V2", .file = "mobilenet_v2-7ebf99e0.pth", .url = PF_TORCH_HUB_URL,
     .preprocess = PF_IMAGENET_PREPROCESS(232), .licence = "BSD-3-Clause"}};

static const PfArchVariant variants[] = {
    {.name = "mobilenet_v2", .config = NULL, .preprocess = PF_IMAGENET_PREPROCESS(256),
     .weights = weights, .weights_count = sizeof weights / sizeof weights[0]},
};

const PfArchFamily pf_arch_mobilenet_v2 = {
    .class_name = "MobileNetV2", .default_tap = "adaptive_avg_pool2d", .example_module = "features.17",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
