/* DINOv3's vision transformers (Simeoni et al. 2025, arXiv:2508.10104), whose modules are called as
 * Meta calls them. They have no position embeddings: queries and keys of patches are turned by
 * angles that their places make. Keys have no bias: what a file has is masked, as there. */
#include <stdio.h>

#include "common/arch/transformer.h"

enum { REGISTERS = 4 };

static void build(PfArchBuilder *builder, const void *config)
{
    const PfTransformer *transformer = config;
    PfBlockNames names = pf_arch_timm_block_names;
    char prefix[PF_NODE_NAME_SIZE / 2];
    int ends[PF_TRANSFORMER_MOST_LAYERS];
    names.rotation = 100;
    builder->arch->patch = transformer->patch;
    int node = pf_arch_add_patches(builder, transformer, "patch_embed.proj", "patch_embed.flatten",
                                   "patch_embed.transpose", &names.map);
    const int token = pf_arch_add_tokens(builder, "cls_token", 1, transformer->width);
    const int registers =
        pf_arch_add_tokens(builder, "storage_tokens", REGISTERS, transformer->width);
    const int first = pf_arch_add_rows(builder, "cat_class", token, registers);
    node = pf_arch_add_rows(builder, "cat", first, node);
    for (int i = 0; i < transformer->layers; i++) {
        snprintf(prefix, sizeof prefix, "blocks.%d", i);
        node = ends[i] = pf_arch_add_transformer_block(builder, transformer, &names, prefix, node);
    }
    node = pf_arch_add_layer_norm(builder, PF_OP_LAYER_NORM, "norm", node, transformer->width,
                                  transformer->eps);
    const PfTokens tokens = {.map = names.map,
                             .first_patch = 1 + REGISTERS,
                             .norm = "norm",
                             .class_name = "class_vector"};
    pf_arch_add_token_taps(builder, transformer, &tokens, ends, node);
    pf_arch_add_class_token(builder, node);
}

/* Layers are drawn from N(0, 0.02), whose tails the original cuts off, and their biases are 0; the
 * patches' convolution by its inputs. Layer scales are 1: with Meta's 1e-5 a network that has not
 * learned would be its tokens alone. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    if (node->op == PF_OP_PARAMETER && node->shape.rank == 1)
        return (PfInitialValues){PF_INITIAL_CONSTANT, 1};
    if (node->op != PF_OP_CONV && node->op != PF_OP_LINEAR)
        return pf_op_initial_values(node, parameter);
    if (parameter->needs_bias) return (PfInitialValues){PF_INITIAL_CONSTANT, 0};
    return (PfInitialValues){PF_INITIAL_NORMAL, node->op == PF_OP_CONV ? 0.04 : 0.02};
}

/* clang-format off */
#define TRANSFORMER(layers, heads, width) {224, 16, layers, heads, width, 4 * width, 1, PF_OP_GELU, 1e-5f, 0}
static const PfTransformer dinov3_vits16 = TRANSFORMER(12, 6, 384);
static const PfTransformer dinov3_vitb16 = TRANSFORMER(12, 12, 768);
static const PfTransformer dinov3_vitl16 = TRANSFORMER(24, 16, 1024);

/* Their files are handed out to those who accept their licence. */
#define DINOV3_PREPROCESS PF_IMAGENET_SIZES(256, 224, PF_BICUBIC)
#define PUBLISHED(network, hash, timm_name) \
    static const PfWeightsEntry network##_weights[] = { \
        {.name = "LVD1689M", .file = #network "_pretrain_lvd1689m-" hash ".pth", \
         .url = "https://dl.fbaipublicfiles.com/dinov3/" #network "/", \
         .preprocess = DINOV3_PREPROCESS, .licence = "DINOv3 License", \
         .timm = timm_name ".lvd1689m", .hub = "timm/" timm_name ".lvd1689m"}}
PUBLISHED(dinov3_vits16, "08c60483", "vit_small_patch16_dinov3");
PUBLISHED(dinov3_vitb16, "73cec8be", "vit_base_patch16_dinov3");
PUBLISHED(dinov3_vitl16, "8aa4cbdd", "vit_large_patch16_dinov3");

#define VARIANT(network) \
    {.name = #network, .config = &network, .preprocess = DINOV3_PREPROCESS, \
     .weights = network##_weights, .weights_count = 1}
static const PfArchVariant variants[] = {VARIANT(dinov3_vits16), VARIANT(dinov3_vitb16), VARIANT(dinov3_vitl16)};

const PfArchFamily pf_arch_dinov3_vit = {
    .class_name = "DINOv3VisionTransformer", .default_tap = "cls", .example_module = "blocks.11",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
