/* EfficientNet (Tan and Le 2019, arXiv:1905.11946) and EfficientNetV2 (2021, arXiv:2104.00298) as
 * torchvision builds them. Where training leaves whole blocks out at random, ours keeps them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/arch/inverted_residual.h"

#define MAX_STAGES 7

typedef struct Stage {
    bool is_fused; /* its blocks expand by a full convolution, and squeeze nothing */
    int expansion, kernel, stride, in_channels, out_channels, blocks;
} Stage;

typedef struct EfficientNetConfig {
    double width, depth; /* by which channels and blocks are multiplied */
    int stage_count;
    const Stage *stages;
    int last_channels; /* of the last convolution; 0: four times those before it */
    float dropout, eps, momentum;
} EfficientNetConfig;

/* One block, its channels scaled. */
typedef struct Block {
    const EfficientNetConfig *config;
    char prefix[PF_NODE_NAME_SIZE / 2]; /* "features.1.0" */
    int input, in_channels, expanded, out_channels, kernel, stride;
    int part; /* how many parts it has so far: the next is prefix.block.part */
} Block;

static int add_part(PfArchBuilder *builder, Block *block, PfConvNorm conv, int input)
{
    char name[PF_NODE_NAME_SIZE];
    snprintf(name, sizeof name, "%s.block.%d", block->prefix, block->part++);
    conv.prefix = name;
    conv.eps = block->config->eps;
    conv.momentum = block->config->momentum;
    return pf_arch_add_conv_norm(builder, &conv, input);
}

static PfConvNorm plain_conv(int in_channels, int out_channels, int kernel, int stride)
{
    return (PfConvNorm){.in_channels = in_channels,
                        .out_channels = out_channels,
                        .kernel = kernel,
                        .stride = stride,
                        .groups = 1,
                        .activation = PF_OP_SILU};
}

/* The 1x1 convolution to the expanded channels. */
static int expand(PfArchBuilder *builder, Block *block)
{
    if (block->expanded == block->in_channels) return block->input;
    return add_part(builder, block, plain_conv(block->in_channels, block->expanded, 1, 1),
                    block->input);
}

/* The 1x1 convolution that ends a block. */
static int project(PfArchBuilder *builder, Block *block, int input)
{
    PfConvNorm conv = plain_conv(block->expanded, block->out_channels, 1, 1);
    conv.activation = PF_OP_INPUT;
    return add_part(builder, block, conv, input);
}

static int add_fused(PfArchBuilder *builder, Block *block)
{
    const bool expands = block->expanded != block->in_channels;
    const int channels = expands ? block->expanded : block->out_channels;
    int node = add_part(builder, block,
                        plain_conv(block->in_channels, channels, block->kernel, block->stride),
                        block->input);
    return expands ? project(builder, block, node) : node;
}

static int add_depthwise(PfArchBuilder *builder, Block *block)
{
    char name[PF_NODE_NAME_SIZE];
    const int squeezed = block->in_channels / 4;
    int node = expand(builder, block);
    PfConvNorm conv = plain_conv(block->expanded, block->expanded, block->kernel, block->stride);
    conv.groups = block->expanded;
    node = add_part(builder, block, conv, node);
    snprintf(name, sizeof name, "%s.block.%d", block->prefix, block->part++);
    node = pf_arch_add_squeeze_excitation(builder, name, node, block->expanded,
                                          squeezed ? squeezed : 1, PF_OP_SILU, PF_OP_SIGMOID);
    return project(builder, block, node);
}

static int add_block(PfArchBuilder *builder, Block *block, bool is_fused)
{
    char name[PF_NODE_NAME_SIZE];
    int node = is_fused ? add_fused(builder, block) : add_depthwise(builder, block);
    if (block->stride > 1 || block->in_channels != block->out_channels) return node;
    snprintf(name, sizeof name, "%s.stochastic_depth", block->prefix);
    node = pf_arch_add_dropout(builder, name, node, 0);
    snprintf(name, sizeof name, "%s.add", block->prefix);
    return pf_arch_add_sum(builder, name, node, block->input);
}

static int add_stage(PfArchBuilder *builder, const EfficientNetConfig *config, int number,
                     int input)
{
    const Stage *stage = &config->stages[number];
    const int out_channels = pf_arch_scaled_channels(stage->out_channels, config->width);
    const int blocks = (int)ceil(stage->blocks * config->depth);
    int channels = pf_arch_scaled_channels(stage->in_channels, config->width), node = input;
    for (int i = 0; i < blocks; i++) {
        Block block = {.config = config,
                       .input = node,
                       .in_channels = channels,
                       .expanded = pf_arch_scaled_channels(channels, stage->expansion),
                       .out_channels = out_channels,
                       .kernel = stage->kernel,
                       .stride = i ? 1 : stage->stride};
        snprintf(block.prefix, sizeof block.prefix, "features.%d.%d", number + 1, i);
        node = add_block(builder, &block, stage->is_fused);
        channels = out_channels;
    }
    return node;
}

static void build(PfArchBuilder *builder, const void *config)
{
    const EfficientNetConfig *net = config;
    char prefix[PF_NODE_NAME_SIZE];
    PfConvNorm conv = {.prefix = "features.0",
                       .in_channels = 3,
                       .out_channels =
                           pf_arch_scaled_channels(net->stages[0].in_channels, net->width),
                       .kernel = 3,
                       .stride = 2,
                       .groups = 1,
                       .eps = net->eps,
                       .momentum = net->momentum,
                       .activation = PF_OP_SILU};
    int node = pf_arch_add_conv_norm(builder, &conv, 0);
    for (int stage = 0; stage < net->stage_count; stage++)
        node = add_stage(builder, net, stage, node);
    snprintf(prefix, sizeof prefix, "features.%d", net->stage_count + 1);
    conv.prefix = prefix;
    conv.in_channels =
        pf_arch_scaled_channels(net->stages[net->stage_count - 1].out_channels, net->width);
    conv.out_channels = net->last_channels ? net->last_channels : 4 * conv.in_channels;
    conv.kernel = conv.stride = 1;
    node = pf_arch_add_conv_norm(builder, &conv, node);
    node = pf_arch_add_avg_pool(builder, "avgpool", node, 1);
    node = pf_arch_add_flatten(builder, node);
    node = pf_arch_add_dropout(builder, "classifier.0", node, net->dropout);
    pf_arch_add_linear(builder, "classifier.1", node, conv.out_channels, 1000);
}

/* Whether it is a full convolution that narrows, in a block whose input is added to its output: not
 * the first of its stage. */
static bool narrows_beside_sum(const PfNode *node)
{
    int block;
    return node->op == PF_OP_CONV && node->groups == 1 && node->in_channels >= node->out_channels &&
           sscanf(node->name, "features.%*d.%d.block", &block) == 1 && block > 0;
}

/* The classifier is drawn by the number of its outputs, its bias is 0. So that sums over up to 80
 * blocks stay small before the norms have learned, what is added is drawn narrower. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    if (node->op != PF_OP_LINEAR)
        return pf_arch_initial_inverted(node, parameter, narrows_beside_sum(node) ? 0.33 : 1.11);
    if (parameter->needs_bias) return (PfInitialValues){PF_INITIAL_CONSTANT, 0};
    return (PfInitialValues){PF_INITIAL_UNIFORM, 1 / sqrt(node->out_channels)};
}

static const Stage stages_b[7] = {{false, 1, 3, 1, 32, 16, 1},  {false, 6, 3, 2, 16, 24, 2},
                                  {false, 6, 5, 2, 24, 40, 2},  {false, 6, 3, 2, 40, 80, 3},
                                  {false, 6, 5, 1, 80, 112, 3}, {false, 6, 5, 2, 112, 192, 4},
                                  {false, 6, 3, 1, 192, 320, 1}};
static const Stage stages_v2_s[6] = {{true, 1, 3, 1, 24, 24, 2},    {true, 4, 3, 2, 24, 48, 4},
                                     {true, 4, 3, 2, 48, 64, 4},    {false, 4, 3, 2, 64, 128, 6},
                                     {false, 6, 3, 1, 128, 160, 9}, {false, 6, 3, 2, 160, 256, 15}};
static const Stage stages_v2_m[7] = {{true, 1, 3, 1, 24, 24, 3},     {true, 4, 3, 2, 24, 48, 5},
                                     {true, 4, 3, 2, 48, 80, 5},     {false, 4, 3, 2, 80, 160, 7},
                                     {false, 6, 3, 1, 160, 176, 14}, {false, 6, 3, 2, 176, 304, 18},
                                     {false, 6, 3, 1, 304, 512, 5}};
static const Stage stages_v2_l[7] = {{true, 1, 3, 1, 32, 32, 4},     {true, 4, 3, 2, 32, 64, 7},
                                     {true, 4, 3, 2, 64, 96, 7},     {false, 4, 3, 2, 96, 192, 10},
                                     {false, 6, 3, 1, 192, 224, 19}, {false, 6, 3, 2, 224, 384, 25},
                                     {false, 6, 3, 1, 384, 640, 7}};

/* clang-format off */
#define SCALED(network, width, depth, dropout, eps, momentum) \
    static const EfficientNetConfig network = {width, depth, 7, stages_b, 0, dropout, eps, momentum}
SCALED(efficientnet_b0, 1.0, 1.0, 0.2f, 1e-5f, 0.1f);
SCALED(efficientnet_b1, 1.0, 1.1, 0.2f, 1e-5f, 0.1f);
SCALED(efficientnet_b2, 1.1, 1.2, 0.3f, 1e-5f, 0.1f);
SCALED(efficientnet_b3, 1.2, 1.4, 0.3f, 1e-5f, 0.1f);
SCALED(efficientnet_b4, 1.4, 1.8, 0.4f, 1e-5f, 0.1f);
SCALED(efficientnet_b5, 1.6, 2.2, 0.4f, 1e-3f, 0.01f);
SCALED(efficientnet_b6, 1.8, 2.6, 0.5f, 1e-3f, 0.01f);
SCALED(efficientnet_b7, 2.0, 3.1, 0.5f, 1e-3f, 0.01f);
static const EfficientNetConfig efficientnet_v2_s = {1, 1, 6, stages_v2_s, 1280, 0.2f, 1e-3f, 0.1f};
static const EfficientNetConfig efficientnet_v2_m = {1, 1, 7, stages_v2_m, 1280, 0.3f, 1e-3f, 0.1f};
static const EfficientNetConfig efficientnet_v2_l = {1, 1, 7, stages_v2_l, 1280, 0.4f, 1e-3f, 0.1f};

#define PUBLISHED(label, file_name, resize_to, crop_to, how, spdx) \
    {.name = (label), .file = (file_name), .url = PF_TORCH_HUB_URL, \
     .preprocess = PF_IMAGENET_SIZES(resize_to, crop_to, how), .licence = (spdx)}
#define V1(file_name, resize_to, crop_to, how, spdx) \
    {PUBLISHED("IMAGENET1K_V1", file_name, resize_to, crop_to, how, spdx)}

/* Of those that torchvision took over from timm (rwightman) the licence is timm's; of those from
 * EfficientNet-PyTorch (lukemelas) and of V2's large it does not say. */

static const PfWeightsEntry b0_weights[] = V1("efficientnet_b0_rwightman-7f5810bc.pth", 256, 224, PF_BICUBIC, "Apache-2.0");
static const PfWeightsEntry b1_weights[] = {
    PUBLISHED("IMAGENET1K_V1", "efficientnet_b1_rwightman-bac287d4.pth", 256, 240, PF_BICUBIC, "Apache-2.0"),
    PUBLISHED("IMAGENET1K_V2", "efficientnet_b1-c27df63c.pth", 255, 240, PF_BILINEAR, "BSD-3-Clause")};
static const PfWeightsEntry b2_weights[] = V1("efficientnet_b2_rwightman-c35c1473.pth", 288, 288, PF_BICUBIC, "Apache-2.0");
static const PfWeightsEntry b3_weights[] = V1("efficientnet_b3_rwightman-b3899882.pth", 320, 300, PF_BICUBIC, "Apache-2.0");
static const PfWeightsEntry b4_weights[] = V1("efficientnet_b4_rwightman-23ab8bcd.pth", 384, 380, PF_BICUBIC, "Apache-2.0");
static const PfWeightsEntry b5_weights[] = V1("efficientnet_b5_lukemelas-1a07897c.pth", 456, 456, PF_BICUBIC, NULL);
static const PfWeightsEntry b6_weights[] = V1("efficientnet_b6_lukemelas-24a108a5.pth", 528, 528, PF_BICUBIC, NULL);
static const PfWeightsEntry b7_weights[] = V1("efficientnet_b7_lukemelas-c5b4e57e.pth", 600, 600, PF_BICUBIC, NULL);
static const PfWeightsEntry v2_s_weights[] = V1("efficientnet_v2_s-dd5fe13b.pth", 384, 384, PF_BILINEAR, "BSD-3-Clause");
static const PfWeightsEntry v2_m_weights[] = V1("efficientnet_v2_m-dc08266a.pth", 480, 480, PF_BILINEAR, "BSD-3-Clause");
#define V2_L_PREPROCESS \
    {.resize = 480, .crop = 480, .interpolation = PF_BICUBIC, \
     .mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}}
static const PfWeightsEntry v2_l_weights[] = {
    {.name = "IMAGENET1K_V1", .file = "efficientnet_v2_l-59c71312.pth", .url = PF_TORCH_HUB_URL,
     .preprocess = V2_L_PREPROCESS}};

#define VARIANT(label, ...) \
    {.name = "efficientnet_" #label, .config = &efficientnet_##label, .preprocess = __VA_ARGS__, \
     .weights = label##_weights, .weights_count = sizeof label##_weights / sizeof label##_weights[0]}

static const PfArchVariant variants[] = {
    VARIANT(b0, PF_IMAGENET_SIZES(256, 224, PF_BICUBIC)),
    VARIANT(b1, PF_IMAGENET_SIZES(256, 240, PF_BICUBIC)),
    VARIANT(b2, PF_IMAGENET_SIZES(288, 288, PF_BICUBIC)),
    VARIANT(b3, PF_IMAGENET_SIZES(320, 300, PF_BICUBIC)),
    VARIANT(b4, PF_IMAGENET_SIZES(384, 380, PF_BICUBIC)),
    VARIANT(b5, PF_IMAGENET_SIZES(456, 456, PF_BICUBIC)),
    VARIANT(b6, PF_IMAGENET_SIZES(528, 528, PF_BICUBIC)),
    VARIANT(b7, PF_IMAGENET_SIZES(600, 600, PF_BICUBIC)),
    VARIANT(v2_s, PF_IMAGENET_SIZES(384, 384, PF_BILINEAR)),
    VARIANT(v2_m, PF_IMAGENET_SIZES(480, 480, PF_BILINEAR)),
    VARIANT(v2_l, V2_L_PREPROCESS),
};

const PfArchFamily pf_arch_efficientnet = {
    .class_name = "EfficientNet", .default_tap = "avgpool", .example_module = "features.7",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
