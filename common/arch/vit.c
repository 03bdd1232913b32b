/* Vision transformers (Dosovitskiy et al. 2020, arXiv:2010.11929) as torchvision builds them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/arch/transformer.h"

static const PfBlockNames block_names = {
    .norm1 = "ln_1",
    .attention = "self_attention",
    .qkv = "self_attention.in_proj",
    .qkv_module = "self_attention.in_proj_",
    .projection = "self_attention.out_proj",
    .attention_dropout = "dropout",
    .norm2 = "ln_2",
    .fc1 = "mlp.0",
    .activation = "mlp.1",
    .fc1_dropout = "mlp.2",
    .fc2 = "mlp.3",
    .fc2_dropout = "mlp.4",
};

static void build(PfArchBuilder *builder, const void *config)
{
    const PfTransformer *vit = config;
    char prefix[PF_NODE_NAME_SIZE];
    int ends[PF_TRANSFORMER_MOST_LAYERS], map, positions;
    builder->arch->patch = vit->patch;
    builder->arch->blocks = "encoder.layers.encoder_layer_";
    int node = pf_arch_add_patches(builder, vit, "conv_proj", "reshape", "permute", &map);
    const int token = pf_arch_add_tokens(builder, "class_token", 1, vit->width);
    node = pf_arch_add_rows(builder, "cat", token, node);
    pf_arch_add_positions(builder, vit, "encoder.pos_embedding", map, &positions)->align_corners =
        1;
    node = pf_arch_add_sum(builder, "encoder.add", node, positions);
    node = pf_arch_add_dropout(builder, "encoder.dropout", node, 0);
    for (int i = 0; i < vit->layers; i++) {
        snprintf(prefix, sizeof prefix, "encoder.layers.encoder_layer_%d", i);
        node = ends[i] = pf_arch_add_transformer_block(builder, vit, &block_names, prefix, node);
    }
    node = pf_arch_add_layer_norm(builder, PF_OP_LAYER_NORM, "encoder.ln", node, vit->width, 1e-6f);
    const PfTokens tokens = {
        .map = map, .first_patch = 1, .norm = "encoder.ln", .class_name = "class_vector"};
    pf_arch_add_token_taps(builder, vit, &tokens, ends, node);
    node = pf_arch_add_class_token(builder, node);
    pf_arch_add_linear(builder, "heads.head", node, vit->width, 1000);
}

/* As torchvision draws them: the patches' convolution by its inputs (without the tails, which
 * torchvision cuts off), layers of attention and of the two-layer networks evenly by both sides.
 * Its class token and its classifier are zeros; ours are drawn as narrowly as the positions, so
 * that no tap is all zeros. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    if (node->op != PF_OP_CONV && node->op != PF_OP_LINEAR)
        return pf_op_initial_values(node, parameter);
    if (parameter->needs_bias) return (PfInitialValues){PF_INITIAL_CONSTANT, 0};
    if (node->op == PF_OP_CONV) {
        const double inputs = (double)node->in_channels * node->kernel[0] * node->kernel[1];
        return (PfInitialValues){PF_INITIAL_NORMAL, sqrt(1 / inputs)};
    }
    if (!strcmp(node->name, "heads.head")) return (PfInitialValues){PF_INITIAL_NORMAL, 0.02};
    return (PfInitialValues){PF_INITIAL_UNIFORM,
                             sqrt(6.0 / (node->in_channels + node->out_channels))};
}

static const PfTransformer vit_b_16 = {224, 16, 12, 12, 768, 3072, 0, PF_OP_GELU, 1e-6f, 0};
static const PfTransformer vit_b_32 = {224, 32, 12, 12, 768, 3072, 0, PF_OP_GELU, 1e-6f, 0};
static const PfTransformer vit_l_16 = {224, 16, 24, 16, 1024, 4096, 0, PF_OP_GELU, 1e-6f, 0};
static const PfTransformer vit_l_32 = {224, 32, 24, 16, 1024, 4096, 0, PF_OP_GELU, 1e-6f, 0};
static const PfTransformer vit_h_14 = {224, 14, 32, 16, 1280, 5120, 0, PF_OP_GELU, 1e-6f, 0};

/* clang-format off */
#define PUBLISHED(label, file_name, resize_to, how) \
    {.name = (label), .file = (file_name), .url = PF_TORCH_HUB_URL, \
     .preprocess = PF_IMAGENET_SIZES(resize_to, 224, how), .licence = "BSD-3-Clause"}
/* A linear classifier on what SWAG has learned (Singh et al. 2022): not for commerce. */
#define SWAG_LINEAR(file_name) \
    {.name = "IMAGENET1K_SWAG_LINEAR_V1", .file = (file_name), .url = PF_TORCH_HUB_URL, \
     .preprocess = PF_IMAGENET_SIZES(224, 224, PF_BICUBIC), .licence = "CC-BY-NC-4.0"}

/* IMAGENET1K_SWAG_E2E_V1 is missing: images of 384, 512 or 518 pixels, and as many positions. */
static const PfWeightsEntry vit_b_16_weights[] = {
    PUBLISHED("IMAGENET1K_V1", "vit_b_16-c867db91.pth", 256, PF_BILINEAR),
    SWAG_LINEAR("vit_b_16_lc_swag-4e70ced5.pth")};
static const PfWeightsEntry vit_b_32_weights[] = {
    PUBLISHED("IMAGENET1K_V1", "vit_b_32-d86f8d99.pth", 256, PF_BILINEAR)};
static const PfWeightsEntry vit_l_16_weights[] = {
    PUBLISHED("IMAGENET1K_V1", "vit_l_16-852ce7e3.pth", 242, PF_BILINEAR),
    SWAG_LINEAR("vit_l_16_lc_swag-4d563306.pth")};
static const PfWeightsEntry vit_l_32_weights[] = {
    PUBLISHED("IMAGENET1K_V1", "vit_l_32-c7638314.pth", 256, PF_BILINEAR)};
static const PfWeightsEntry vit_h_14_weights[] = {
    SWAG_LINEAR("vit_h_14_lc_swag-c1eb923e.pth")};

#define VARIANT(network, resize_to, how) \
    {.name = #network, .config = &network, .preprocess = PF_IMAGENET_SIZES(resize_to, 224, how), \
     .weights = network##_weights, \
     .weights_count = sizeof network##_weights / sizeof network##_weights[0]}

static const PfArchVariant variants[] = {
    VARIANT(vit_b_16, 256, PF_BILINEAR), VARIANT(vit_b_32, 256, PF_BILINEAR),
    VARIANT(vit_l_16, 242, PF_BILINEAR), VARIANT(vit_l_32, 256, PF_BILINEAR),
    VARIANT(vit_h_14, 224, PF_BICUBIC),
};

const PfArchFamily pf_arch_vit = {
    .class_name = "VisionTransformer", .default_tap = "cls",
    .example_module = "encoder.layers.encoder_layer_11", .variants = variants,
    .variant_count = sizeof variants / sizeof variants[0], .build = build, .initial = initial,
};
/* clang-format on */
