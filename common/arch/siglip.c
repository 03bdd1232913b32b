/* The image tower of SigLIP (Zhai et al. 2023, arXiv:2303.15343) as timm calls its modules: all
 * tokens are patches, and a query of its own takes from them. Activations are GELU by tanh, with
 * which the weights were trained. */
#include <math.h>
#include <stdio.h>

#include "common/arch/transformer.h"

/* What the probe takes from all tokens, and two layers behind that. */
static void add_pool(PfArchBuilder *builder, const PfTransformer *transformer, int tokens)
{
    const int width = transformer->width;
    int index;
    const int probe = pf_arch_add_tokens(builder, "attn_pool.latent", 1, width);
    const int query = pf_arch_add_linear(builder, "attn_pool.q", probe, width, width);
    const int both = pf_arch_add_linear(builder, "attn_pool.kv", tokens, width, 2 * width);
    const int key = pf_arch_add_part(builder, "attn_pool.key", both, 1, 0, width);
    const int value = pf_arch_add_part(builder, "attn_pool.value", both, 1, width, width);
    PfNode *attention =
        pf_arch_add(builder, PF_OP_ATTENTION, "attn_pool.attention", "", query, &index);
    attention->inputs[1] = key;
    attention->inputs[2] = value;
    attention->input_count = 3;
    attention->heads = transformer->heads;
    attention->scale = (float)(1 / sqrt((double)width / transformer->heads));
    const int first = pf_arch_add_linear(builder, "attn_pool.proj", index, width, width);
    int node = pf_arch_add_layer_norm(builder, PF_OP_LAYER_NORM, "attn_pool.norm", first, width,
                                      transformer->eps);
    node = pf_arch_add_linear(builder, "attn_pool.mlp.fc1", node, width, transformer->hidden);
    node = pf_arch_add_plain(builder, transformer->activation, "attn_pool.mlp.act", node);
    node = pf_arch_add_linear(builder, "attn_pool.mlp.fc2", node, transformer->hidden, width);
    node = pf_arch_add_sum(builder, "attn_pool.add", first, node);
    pf_arch_add(builder, PF_OP_FLATTEN, "pooled", "", node, &index);
}

static void build(PfArchBuilder *builder, const void *config)
{
    const PfTransformer *siglip = config;
    char prefix[PF_NODE_NAME_SIZE / 2];
    int ends[PF_TRANSFORMER_MOST_LAYERS], map, index;
    builder->arch->patch = siglip->patch;
    int node = pf_arch_add_patches(builder, siglip, "patch_embed.proj", "patch_embed.flatten",
                                   "patch_embed.transpose", &map);
    PfNode *positions = pf_arch_add_positions(builder, siglip, "pos_embed", map, &index);
    positions->start = 0;
    positions->shape.dims[0]--;
    positions->antialias = 1;
    node = pf_arch_add_sum(builder, "add", node, index);
    for (int i = 0; i < siglip->layers; i++) {
        snprintf(prefix, sizeof prefix, "blocks.%d", i);
        node = ends[i] =
            pf_arch_add_transformer_block(builder, siglip, &pf_arch_timm_block_names, prefix, node);
    }
    node =
        pf_arch_add_layer_norm(builder, PF_OP_LAYER_NORM, "norm", node, siglip->width, siglip->eps);
    const PfTokens tokens = {.map = map, .norm = "norm"};
    pf_arch_add_token_taps(builder, siglip, &tokens, ends, node);
    add_pool(builder, siglip, node);
}

/* Linear layers evenly by both sides, as big_vision draws them; their biases are zeros. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    if (node->op == PF_OP_PARAMETER || node->op == PF_OP_POSITIONS)
        return (PfInitialValues){PF_INITIAL_NORMAL, 1 / sqrt((double)node->shape.dims[1])};
    if (node->op != PF_OP_CONV && node->op != PF_OP_LINEAR)
        return pf_op_initial_values(node, parameter);
    if (parameter->needs_bias) return (PfInitialValues){PF_INITIAL_CONSTANT, 0};
    if (node->op == PF_OP_CONV) {
        const double inputs = (double)node->in_channels * node->kernel[0] * node->kernel[1];
        return (PfInitialValues){PF_INITIAL_NORMAL, sqrt(1 / inputs)};
    }
    return (PfInitialValues){PF_INITIAL_UNIFORM,
                             sqrt(6.0 / (node->in_channels + node->out_channels))};
}

static const PfTransformer siglip_vit_b_16 = {224,   16, 12, 12, 768, 3072, 0, PF_OP_GELU_TANH,
                                              1e-6f, 0};

/* clang-format off */
#define SIGLIP_PREPROCESS \
    {.resize = 224, .crop = 224, .squash = 1, .interpolation = PF_BICUBIC, \
     .mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}}
static const PfWeightsEntry siglip_vit_b_16_weights[] = {
    {.name = "WEBLI", 
     .preprocess = SIGLIP_PREPROCESS, .licence = "Apache-2.0",
     .timm = "vit_base_patch16_siglip_224.webli",
     .hub = "timm/ViT-B-16-SigLIP"}};

static const PfArchVariant variants[] = {
    {.name = "siglip_vit_b_16", .config = &siglip_vit_b_16, .preprocess = SIGLIP_PREPROCESS,
     .weights = siglip_vit_b_16_weights, .weights_count = 1},
};

const PfArchFamily pf_arch_siglip = {
    .class_name = "SigLIP", .default_tap = "pooled", .example_module = "blocks.11",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0],
    .build = build, .initial = initial,
};
/* clang-format on */
