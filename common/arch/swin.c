/* Swin transformers (Liu et al. 2021, arXiv:2103.14030) as torchvision builds them. Maps are (h, w,
 * c) all the way. Where training leaves whole blocks out at random, ours keeps them. */
#include <math.h>
#include <stdio.h>

#include "common/arch/family.h"

enum { WINDOW = 7, PATCH = 4, HEAD_WIDTH = 32 };

typedef struct SwinConfig {
    int width; /* of the first stage; each has twice the channels of the one before */
    int blocks[4];
} SwinConfig;

static int add_norm(PfArchBuilder *builder, const char *name, int input, int channels)
{
    return pf_arch_add_layer_norm(builder, PF_OP_LAYER_NORM, name, input, channels, 1e-5f);
}

/* Zeros below and at the right, so that the sides are multiples of `of`. */
static int add_pad(PfArchBuilder *builder, const char *name, int input, int of)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_PAD_BEHIND, name, "", input, &index);
    node->kernel[0] = node->kernel[1] = of;
    return index;
}

/* ---- blocks ---- */

typedef struct Block {
    PfArchBuilder *builder;
    const char *prefix; /* "features.1.0" */
    int channels, shift;
    char text[PF_NODE_NAME_SIZE];
} Block;

static const char *name_of(Block *block, const char *part)
{
    snprintf(block->text, sizeof block->text, "%s.%s", block->prefix, part);
    return block->text;
}

static int add_windows(Block *block, int input)
{
    char table[PF_NODE_NAME_SIZE];
    int index;
    snprintf(table, sizeof table, "%s.attn.relative_position_bias_table", block->prefix);
    PfNode *node = pf_arch_add(block->builder, PF_OP_WINDOW_ATTENTION,
                               name_of(block, "attn.windows"), table, input, &index);
    node->kernel[0] = node->kernel[1] = WINDOW;
    node->heads = block->channels / HEAD_WIDTH;
    node->shape = (PfShape){2, {(2 * WINDOW - 1) * (2 * WINDOW - 1), node->heads}};
    node->start = block->shift;
    node->scale = (float)(1 / sqrt(HEAD_WIDTH));
    return index;
}

static int add_attention(Block *block, int input)
{
    const int width = block->channels;
    int node = add_pad(block->builder, name_of(block, "attn.pad"), input, WINDOW);
    node = pf_arch_add_linear(block->builder, name_of(block, "attn.qkv"), node, width, 3 * width);
    node = add_windows(block, node);
    node = pf_arch_add_linear(block->builder, name_of(block, "attn.proj"), node, width, width);
    return pf_arch_add_pair(block->builder, PF_OP_CROP,
                            name_of(block, "attn.shifted_window_attention"), node, input);
}

static int add_layers(Block *block, int input)
{
    PfArchBuilder *builder = block->builder;
    const int width = block->channels;
    int node = pf_arch_add_linear(builder, name_of(block, "mlp.0"), input, width, 4 * width);
    node = pf_arch_add_plain(builder, PF_OP_GELU, name_of(block, "mlp.1"), node);
    node = pf_arch_add_dropout(builder, name_of(block, "mlp.2"), node, 0);
    node = pf_arch_add_linear(builder, name_of(block, "mlp.3"), node, 4 * width, width);
    return pf_arch_add_dropout(builder, name_of(block, "mlp.4"), node, 0);
}

static int add_block(Block *block, int input)
{
    PfArchBuilder *builder = block->builder;
    int node = add_norm(builder, name_of(block, "norm1"), input, block->channels);
    node = add_attention(block, node);
    node = pf_arch_add_dropout(builder, name_of(block, "stochastic_depth"), node, 0);
    const int middle = pf_arch_add_sum(builder, name_of(block, "add"), input, node);
    node = add_norm(builder, name_of(block, "norm2"), middle, block->channels);
    node = add_layers(block, node);
    node = pf_arch_add_dropout(builder, name_of(block, "stochastic_depth_1"), node, 0);
    return pf_arch_add_sum(builder, name_of(block, "add_1"), middle, node);
}

/* ---- between stages ---- */

/* Every other row or column, from start on. */
static int add_half(PfArchBuilder *builder, const char *name, int input, int axis, int start)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_SLICE, name, "", input, &index);
    node->axis = axis;
    node->start = start;
    node->count = PF_TO_THE_END;
    node->step = 2;
    return index;
}

/* Four pixels become one of twice the channels: above and below at the left, then at the right. */
static int add_merging(PfArchBuilder *builder, const char *prefix, int input, int channels)
{
    char name[PF_NODE_NAME_SIZE];
    int corners[4], index;
#define CHILD(of_merging) (snprintf(name, sizeof name, "%s." of_merging, prefix), name)
    const int padded = add_pad(builder, CHILD("pad"), input, 2);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s.rows_%d", prefix, i);
        const int rows = add_half(builder, name, padded, 0, i % 2);
        snprintf(name, sizeof name, "%s.corner_%d", prefix, i);
        corners[i] = add_half(builder, name, rows, 1, i / 2);
    }
    PfNode *concat =
        pf_arch_add(builder, PF_OP_CONCAT, CHILD("_patch_merging_pad"), "", corners[0], &index);
    for (int i = 1; i < 4; i++) concat->inputs[concat->input_count++] = corners[i];
    concat->axis = 2;
    int node = add_norm(builder, CHILD("norm"), index, 4 * channels);
    node = pf_arch_add_linear(builder, CHILD("reduction"), node, 4 * channels, 2 * channels);
    if (!builder->failed) builder->arch->nodes[node].bias = 0;
    return node;
#undef CHILD
}

static void build(PfArchBuilder *builder, const void *config)
{
    const SwinConfig *swin = config;
    char prefix[PF_NODE_NAME_SIZE / 2];
    int channels = swin->width;
    int node = pf_arch_add_conv(builder, "features.0.0", 0, 3, channels, PATCH, PATCH, 0, true);
    node = pf_arch_add_permute(builder, "features.0.1", NULL, node, pf_arch_channels_last, 3);
    node = add_norm(builder, "features.0.2", node, channels);
    for (int stage = 0; stage < 4; stage++, channels *= 2) {
        snprintf(prefix, sizeof prefix, "features.%d", 2 * stage);
        if (stage) node = add_merging(builder, prefix, node, channels / 2);
        for (int i = 0; i < swin->blocks[stage]; i++) {
            snprintf(prefix, sizeof prefix, "features.%d.%d", 2 * stage + 1, i);
            Block block = {.builder = builder,
                           .prefix = prefix,
                           .channels = channels,
                           .shift = i % 2 ? WINDOW / 2 : 0};
            node = add_block(&block, node);
        }
    }
    channels /= 2;
    node = add_norm(builder, "norm", node, channels);
    node = pf_arch_add_permute(builder, "permute", NULL, node, pf_arch_channels_first, 3);
    node = pf_arch_add_avg_pool(builder, "avgpool", node, 1);
    node = pf_arch_add_plain(builder, PF_OP_FLATTEN, "flatten", node);
    pf_arch_add_linear(builder, "head", node, channels, 1000);
}

/* Layers are drawn from N(0, 0.02), whose tails torchvision cuts; their biases are 0. The patches'
 * convolution is as torch's own. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    if (node->op == PF_OP_CONV)
        return (PfInitialValues){PF_INITIAL_UNIFORM, 1 / sqrt(3 * PATCH * PATCH)};
    if (node->op != PF_OP_LINEAR) return pf_op_initial_values(node, parameter);
    return parameter->needs_bias ? (PfInitialValues){PF_INITIAL_CONSTANT, 0}
                                 : (PfInitialValues){PF_INITIAL_NORMAL, 0.02};
}

static const SwinConfig swin_t = {96, {2, 2, 6, 2}};
static const SwinConfig swin_s = {96, {2, 2, 18, 2}};
static const SwinConfig swin_b = {128, {2, 2, 18, 2}};

/* clang-format off */
#define SWIN_PREPROCESS(resize_to) PF_IMAGENET_SIZES(resize_to, 224, PF_BICUBIC)
#define PUBLISHED(network, hash, resize_to) \
    static const PfWeightsEntry network##_weights[] = { \
        {.name = "IMAGENET1K_V1", .file = #network "-" hash ".pth", .url = PF_TORCH_HUB_URL, \
         .preprocess = SWIN_PREPROCESS(resize_to), .licence = "BSD-3-Clause"}}
PUBLISHED(swin_t, "704ceda3", 232);
PUBLISHED(swin_s, "5e29d889", 246);
PUBLISHED(swin_b, "68c6b09e", 238);

#define VARIANT(network, resize_to) \
    {.name = #network, .config = &network, .preprocess = SWIN_PREPROCESS(resize_to), \
     .weights = network##_weights, .weights_count = 1}
static const PfArchVariant variants[] = {
    VARIANT(swin_t, 232), VARIANT(swin_s, 246), VARIANT(swin_b, 238),
};

const PfArchFamily pf_arch_swin = {
    .class_name = "SwinTransformer", .default_tap = "flatten", .example_module = "features.7",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
