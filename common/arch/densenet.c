/* DenseNet (Huang et al. 2016, arXiv:1608.06993) as torchvision builds it: every layer takes the
 * maps of all layers before it in its block. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/arch/family.h"

#define BOTTLENECK 4 /* a layer's 1x1 convolution gives so many times the maps that it adds */

typedef struct DenseNetConfig {
    int growth; /* maps that a layer adds */
    int layers[4];
    int width; /* channels of the stem */
} DenseNetConfig;

/* The maps of a block so far: its input, then what each layer added. */
typedef struct Maps {
    int nodes[PF_NODE_MAX_INPUTS], count, channels;
} Maps;

static int add_concat(PfArchBuilder *builder, const char *prefix, const Maps *maps)
{
    char name[PF_NODE_NAME_SIZE];
    int index;
    snprintf(name, sizeof name, "%s.cat", prefix);
    PfNode *node = pf_arch_add(builder, PF_OP_CONCAT, name, "", maps->nodes[0], &index);
    memcpy(node->inputs, maps->nodes, sizeof maps->nodes);
    node->input_count = maps->count;
    return index;
}

/* A norm, a ReLU and a convolution; number: that of their names, "" where they have none. */
static int add_norm_conv(PfArchBuilder *builder, const char *prefix, const char *number, int input,
                         int in_channels, int out_channels, int kernel)
{
    char name[PF_NODE_NAME_SIZE];
    snprintf(name, sizeof name, "%s.norm%s", prefix, number);
    int node = pf_arch_add_batch_norm(builder, name, input, in_channels);
    snprintf(name, sizeof name, "%s.relu%s", prefix, number);
    node = pf_arch_add_relu(builder, name, NULL, node);
    snprintf(name, sizeof name, "%s.conv%s", prefix, number);
    return pf_arch_add_conv(builder, name, node, in_channels, out_channels, kernel, 1, kernel / 2,
                            false);
}

static int add_block(PfArchBuilder *builder, int number, const DenseNetConfig *densenet, int input,
                     int *channels)
{
    char block[32], layer[48];
    const int growth = densenet->growth, bottleneck = BOTTLENECK * growth;
    Maps maps = {.nodes = {input}, .count = 1, .channels = *channels};
    snprintf(block, sizeof block, "features.denseblock%d", number + 1);
    for (int i = 0; i < densenet->layers[number]; i++) {
        snprintf(layer, sizeof layer, "%s.denselayer%d", block, i + 1);
        int node = add_concat(builder, layer, &maps);
        node = add_norm_conv(builder, layer, "1", node, maps.channels, bottleneck, 1);
        node = add_norm_conv(builder, layer, "2", node, bottleneck, growth, 3);
        maps.nodes[maps.count++] = node;
        maps.channels += growth;
    }
    *channels = maps.channels;
    return add_concat(builder, block, &maps);
}

/* Halves the channels and both sides. */
static int add_transition(PfArchBuilder *builder, int number, int input, int *channels)
{
    char prefix[PF_NODE_NAME_SIZE / 2], name[PF_NODE_NAME_SIZE];
    snprintf(prefix, sizeof prefix, "features.transition%d", number + 1);
    int node = add_norm_conv(builder, prefix, "", input, *channels, *channels / 2, 1);
    *channels /= 2;
    snprintf(name, sizeof name, "%s.pool", prefix);
    pf_arch_set_window(pf_arch_add(builder, PF_OP_AVG_POOL, name, NULL, node, &node), 2, 2, 0);
    return node;
}

static void build(PfArchBuilder *builder, const void *config)
{
    const DenseNetConfig *densenet = config;
    int channels = densenet->width;
    int node = pf_arch_add_conv(builder, "features.conv0", 0, 3, channels, 7, 2, 3, false);
    node = pf_arch_add_batch_norm(builder, "features.norm0", node, channels);
    node = pf_arch_add_relu(builder, "features.relu0", NULL, node);
    node = pf_arch_add_max_pool(builder, "features.pool0", node, 3, 2, 1);
    for (int block = 0; block < 4; block++) {
        node = add_block(builder, block, densenet, node, &channels);
        if (block < 3) node = add_transition(builder, block, node, &channels);
    }
    node = pf_arch_add_batch_norm(builder, "features.norm5", node, channels);
    node = pf_arch_add_relu(builder, "relu", "", node);
    pf_arch_add(builder, PF_OP_ADAPTIVE_AVG_POOL, "adaptive_avg_pool2d", "", node, &node)
        ->pool_size = 1;
    node = pf_arch_add_flatten(builder, node);
    pf_arch_add_linear(builder, "classifier", node, channels, 1000);
}

/* Convolutions are drawn by He's rule for what goes in; the classifier's bias is 0. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    const int window = node->kernel[0] * node->kernel[1];
    if (node->op == PF_OP_CONV)
        return (PfInitialValues){PF_INITIAL_NORMAL, sqrt(2.0 / (node->in_channels * window))};
    if (node->op == PF_OP_LINEAR && parameter->needs_bias)
        return (PfInitialValues){PF_INITIAL_CONSTANT, 0};
    return pf_op_initial_values(node, parameter);
}

static const DenseNetConfig densenet121 = {32, {6, 12, 24, 16}, 64};
static const DenseNetConfig densenet161 = {48, {6, 12, 36, 24}, 96};
static const DenseNetConfig densenet169 = {32, {6, 12, 32, 32}, 64};
static const DenseNetConfig densenet201 = {32, {6, 12, 48, 32}, 64};

/* clang-format off */
/* timm has them, too, in the same layout. */
#define PUBLISHED(network, hash) \
    {.name = "IMAGENET1K_V1", .file = network "-" hash ".pth", .url = PF_TORCH_HUB_URL, \
     .preprocess = PF_IMAGENET_PREPROCESS(256), .licence = "BSD-3-Clause", \
     .timm = network ".tv_in1k", .hub = "timm/" network ".tv_in1k"}

static const PfWeightsEntry densenet121_weights[] = {PUBLISHED("densenet121", "a639ec97")};
static const PfWeightsEntry densenet161_weights[] = {PUBLISHED("densenet161", "8d451a50")};
static const PfWeightsEntry densenet169_weights[] = {PUBLISHED("densenet169", "b2777c0a")};
static const PfWeightsEntry densenet201_weights[] = {PUBLISHED("densenet201", "c1103571")};

#define VARIANT(network) \
    {.name = #network, .config = &network, .preprocess = PF_IMAGENET_PREPROCESS(256), \
     .weights = network##_weights, .weights_count = 1}

static const PfArchVariant variants[] = {
    VARIANT(densenet121), VARIANT(densenet161), VARIANT(densenet169), VARIANT(densenet201),
};

const PfArchFamily pf_arch_densenet = {
    .class_name = "DenseNet", .default_tap = "adaptive_avg_pool2d",
    .example_module = "features.denseblock4", .variants = variants,
    .variant_count = sizeof variants / sizeof variants[0], .build = build, .initial = initial,
};
/* clang-format on */
