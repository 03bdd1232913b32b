/* Vision transformers whose modules are called as timm and Meta call them: timm's
 * vit_small_patch16_224, and DINOv2 (Oquab et al. 2023, arXiv:2304.07193; registers: Darcet et al.
 * 2023, arXiv:2309.16588), which has no classifier. */
#include <stdio.h>
#include <string.h>

#include "common/arch/transformer.h"

typedef struct Config {
    PfTransformer transformer;
    int registers; /* tokens between the class token and the patches', without positions */
    int classes;   /* 0: no classifier */
    int antialias; /* its positions are resized with antialiasing */
} Config;

/* Behind the class token. */
static int add_registers(PfArchBuilder *builder, int input, int count, int width)
{
    const int class_token = pf_arch_add_part(builder, "getitem_class", input, 0, 0, 1);
    const int tokens = pf_arch_add_part(builder, "getitem_patches", input, 0, 1, PF_TO_THE_END);
    const int registers = pf_arch_add_tokens(builder, "register_tokens", count, width);
    int node = pf_arch_add_rows(builder, "cat_class", class_token, registers);
    return pf_arch_add_rows(builder, "cat_registers", node, tokens);
}

static void build(PfArchBuilder *builder, const void *config)
{
    const Config *vit = config;
    const PfTransformer *transformer = &vit->transformer;
    char prefix[PF_NODE_NAME_SIZE / 2];
    const int width = transformer->width;
    PfBlockNames names = pf_arch_timm_block_names;
    if (transformer->is_gated) {
        names.fc1 = "mlp.w12";
        names.fc2 = "mlp.w3";
    }
    int ends[PF_TRANSFORMER_MOST_LAYERS], map, index;
    builder->arch->patch = transformer->patch;
    int node = pf_arch_add_patches(builder, transformer, "patch_embed.proj", "patch_embed.flatten",
                                   "patch_embed.transpose", &map);
    const int token = pf_arch_add_tokens(builder, "cls_token", 1, width);
    node = pf_arch_add_rows(builder, "cat", token, node);
    PfNode *positions = pf_arch_add_positions(builder, transformer, "pos_embed", map, &index);
    positions->antialias = vit->antialias;
    positions->value = vit->antialias ? 0 : 0.1f;
    node = pf_arch_add_sum(builder, "add", node, index);
    if (vit->registers) node = add_registers(builder, node, vit->registers, width);
    for (int i = 0; i < transformer->layers; i++) {
        snprintf(prefix, sizeof prefix, "blocks.%d", i);
        node = ends[i] = pf_arch_add_transformer_block(builder, transformer, &names, prefix, node);
    }
    node = pf_arch_add_layer_norm(builder, PF_OP_LAYER_NORM, "norm", node, width, 1e-6f);
    const PfTokens tokens = {.map = map,
                             .first_patch = 1 + vit->registers,
                             .norm = "norm",
                             .class_name = "class_vector"};
    pf_arch_add_token_taps(builder, transformer, &tokens, ends, node);
    node = pf_arch_add_class_token(builder, node);
    if (vit->classes) pf_arch_add_linear(builder, "head", node, width, vit->classes);
}

/* Layers are drawn from N(0, 0.02), whose tails the originals cut off, and their biases are 0; the
 * patches' convolution by its inputs; layer scales are 1, as Meta's published networks began. The
 * class token, 1e-6 there, is as narrow as the positions. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    if (node->op == PF_OP_PARAMETER && node->shape.rank == 1)
        return (PfInitialValues){PF_INITIAL_CONSTANT, 1};
    if (node->op != PF_OP_CONV && node->op != PF_OP_LINEAR)
        return pf_op_initial_values(node, parameter);
    if (parameter->needs_bias) return (PfInitialValues){PF_INITIAL_CONSTANT, 0};
    if (node->op == PF_OP_CONV) return (PfInitialValues){PF_INITIAL_NORMAL, 0.04};
    return (PfInitialValues){PF_INITIAL_NORMAL, 0.02};
}

/* clang-format off */
static const Config vit_s_16 = {.transformer = {224, 16, 12, 6, 384, 1536, 0, PF_OP_GELU, 1e-6f, 0}, .classes = 1000, .antialias = 1};

#define DINOV2(network, layers, heads, width, more) \
    static const Config network = {.transformer = {518, 14, layers, heads, width, 4 * width, 1, PF_OP_GELU, 1e-6f, 0}, \
                                   .registers = (more), .antialias = (more) > 0}
DINOV2(dinov2_vits14, 12, 6, 384, 0);
DINOV2(dinov2_vitb14, 12, 12, 768, 0);
DINOV2(dinov2_vitl14, 24, 16, 1024, 0);
DINOV2(dinov2_vits14_reg, 12, 6, 384, 4);
DINOV2(dinov2_vitb14_reg, 12, 12, 768, 4);
DINOV2(dinov2_vitl14_reg, 24, 16, 1024, 4);

/* Two thirds of four times the width, up to a multiple of 8. */
#define DINOV2_GIANT {518, 14, 40, 24, 1536, 4096, 1, PF_OP_SILU, 1e-6f, 1}
static const Config dinov2_vitg14 = {.transformer = DINOV2_GIANT};
static const Config dinov2_vitg14_reg = {.transformer = DINOV2_GIANT, .registers = 4, .antialias = 1};

/* As Meta evaluates them. */
#define DINOV2_PREPROCESS PF_IMAGENET_SIZES(256, 224, PF_BICUBIC)
#define PUBLISHED(network, folder, file_name, timm_name) \
    static const PfWeightsEntry network##_weights[] = { \
        {.name = "LVD142M", .file = (file_name), \
         .url = "https://dl.fbaipublicfiles.com/dinov2/" folder "/", \
         .preprocess = DINOV2_PREPROCESS, .licence = "Apache-2.0", \
         .timm = timm_name ".lvd142m", .hub = "timm/" timm_name ".lvd142m"}}
PUBLISHED(dinov2_vits14, "dinov2_vits14", "dinov2_vits14_pretrain.pth", "vit_small_patch14_dinov2");
PUBLISHED(dinov2_vitb14, "dinov2_vitb14", "dinov2_vitb14_pretrain.pth", "vit_base_patch14_dinov2");
PUBLISHED(dinov2_vitl14, "dinov2_vitl14", "dinov2_vitl14_pretrain.pth", "vit_large_patch14_dinov2");
PUBLISHED(dinov2_vitg14, "dinov2_vitg14", "dinov2_vitg14_pretrain.pth", "vit_giant_patch14_dinov2");
PUBLISHED(dinov2_vits14_reg, "dinov2_vits14", "dinov2_vits14_reg4_pretrain.pth", "vit_small_patch14_reg4_dinov2");
PUBLISHED(dinov2_vitb14_reg, "dinov2_vitb14", "dinov2_vitb14_reg4_pretrain.pth", "vit_base_patch14_reg4_dinov2");
PUBLISHED(dinov2_vitl14_reg, "dinov2_vitl14", "dinov2_vitl14_reg4_pretrain.pth", "vit_large_patch14_reg4_dinov2");
PUBLISHED(dinov2_vitg14_reg, "dinov2_vitg14", "dinov2_vitg14_reg4_pretrain.pth", "vit_giant_patch14_reg4_dinov2");

static const PfArchVariant timm_variants[] = {
    {.name = "vit_s_16", .config = &vit_s_16,
     .preprocess = {.resize = 248, .crop = 224, .interpolation = PF_BICUBIC,
                    .mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}}},
};

#define VARIANT(network, how) \
    {.name = #network, .config = &network, .preprocess = how, \
     .weights = network##_weights, .weights_count = 1}
static const PfArchVariant dinov2_variants[] = {
    VARIANT(dinov2_vits14, DINOV2_PREPROCESS), VARIANT(dinov2_vitb14, DINOV2_PREPROCESS), VARIANT(dinov2_vitl14, DINOV2_PREPROCESS), VARIANT(dinov2_vitg14, DINOV2_PREPROCESS),
    VARIANT(dinov2_vits14_reg, DINOV2_PREPROCESS), VARIANT(dinov2_vitb14_reg, DINOV2_PREPROCESS), VARIANT(dinov2_vitl14_reg, DINOV2_PREPROCESS), VARIANT(dinov2_vitg14_reg, DINOV2_PREPROCESS),
};

const PfArchFamily pf_arch_vit_timm = {
    .class_name = "timm.VisionTransformer", .default_tap = "cls", .example_module = "blocks.11",
    .variants = timm_variants, .variant_count = sizeof timm_variants / sizeof timm_variants[0],
    .build = build, .initial = initial,
};

const PfArchFamily pf_arch_dinov2 = {
    .class_name = "DinoVisionTransformer", .default_tap = "cls", .example_module = "blocks.11",
    .variants = dinov2_variants, .variant_count = sizeof dinov2_variants / sizeof dinov2_variants[0],
    .build = build, .initial = initial,
};
/* clang-format on */
