/* The image towers of CLIP (Radford et al. 2021, arXiv:2103.00020), as OpenAI and open_clip call
 * their modules, without "visual.". OpenAI's activation is quick GELU; open_clip's networks of the
 * same shapes have GELU, and weights are for one or the other. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/arch/transformer.h"

typedef struct Config {
    PfTransformer transformer;
    int projected; /* features of the projection */
} Config;

static const PfBlockNames block_names = {
    .norm1 = "ln_1",
    .attention = "attn",
    .qkv = "attn.in_proj",
    .qkv_module = "attn.in_proj_",
    .projection = "attn.out_proj",
    .norm2 = "ln_2",
    .fc1 = "mlp.c_fc",
    .activation = "mlp.gelu",
    .fc2 = "mlp.c_proj",
};

/* The class token's row by a matrix. */
static void add_projection(PfArchBuilder *builder, int tokens, int width, int projected)
{
    int matrix, index;
    const int row = pf_arch_add_part(builder, "getitem", tokens, 0, 0, 1);
    pf_arch_add(builder, PF_OP_PARAMETER, "proj", NULL, 0, &matrix)->shape =
        (PfShape){2, {width, projected}};
    index = pf_arch_add_pair(builder, PF_OP_MATMUL, "matmul", row, matrix);
    pf_arch_add(builder, PF_OP_FLATTEN, "projection", "", index, &index);
}

static void build(PfArchBuilder *builder, const void *config)
{
    const Config *clip = config;
    const PfTransformer *transformer = &clip->transformer;
    const int width = transformer->width;
    char prefix[PF_NODE_NAME_SIZE / 2];
    int ends[PF_TRANSFORMER_MOST_LAYERS], map, index;
    builder->arch->patch = transformer->patch;
    builder->arch->blocks = "transformer.resblocks.";
    int node = pf_arch_add_patches(builder, transformer, "conv1", "reshape", "permute", &map);
    if (!builder->failed) builder->arch->nodes[map].bias = 0;
    const int token = pf_arch_add_tokens(builder, "class_embedding", 1, width);
    if (!builder->failed) builder->arch->nodes[token].leading_one = -1;
    node = pf_arch_add_rows(builder, "cat", token, node);
    PfNode *positions =
        pf_arch_add_positions(builder, transformer, "positional_embedding", map, &index);
    positions->leading_one = 0;
    positions->antialias = 1;
    node = pf_arch_add_sum(builder, "add", node, index);
    node =
        pf_arch_add_layer_norm(builder, PF_OP_LAYER_NORM, "ln_pre", node, width, transformer->eps);
    for (int i = 0; i < transformer->layers; i++) {
        snprintf(prefix, sizeof prefix, "transformer.resblocks.%d", i);
        node = ends[i] =
            pf_arch_add_transformer_block(builder, transformer, &block_names, prefix, node);
    }
    node =
        pf_arch_add_layer_norm(builder, PF_OP_LAYER_NORM, "ln_post", node, width, transformer->eps);
    const PfTokens tokens = {.map = map, .first_patch = 1, .norm = "ln_post", .class_name = "cls"};
    pf_arch_add_token_taps(builder, transformer, &tokens, ends, node);
    add_projection(builder, node, width, clip->projected);
}

/* As PyTorch's modules and the constructor draw them. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    const size_t length = strlen(node->name);
    const bool is_in_attention = length > 5 && !strcmp(node->name + length - 5, "_proj") &&
                                 strstr(node->name, ".attn.") != NULL;
    if (node->op == PF_OP_PARAMETER || node->op == PF_OP_POSITIONS)
        return (PfInitialValues){
            PF_INITIAL_NORMAL,
            1 / sqrt((double)node->shape.dims[!strcmp(node->name, "proj") ? 0 : 1])};
    if (node->op == PF_OP_CONV) {
        const double inputs = (double)node->in_channels * node->kernel[0] * node->kernel[1];
        return (PfInitialValues){PF_INITIAL_UNIFORM, sqrt(1 / inputs)};
    }
    if (is_in_attention && parameter->needs_bias) return (PfInitialValues){PF_INITIAL_CONSTANT, 0};
    if (is_in_attention && node->out_channels == 3 * node->in_channels)
        return (PfInitialValues){PF_INITIAL_UNIFORM,
                                 sqrt(6.0 / (node->in_channels + node->out_channels))};
    return pf_op_initial_values(node, parameter);
}

/* clang-format off */
#define TOWER(network, patch, layers, heads, width, projected) \
    static const Config network = {{224, patch, layers, heads, width, 4 * width, 0, PF_OP_QUICK_GELU, 1e-5f, 0}, projected}; \
    static const Config network##_gelu = {{224, patch, layers, heads, width, 4 * width, 0, PF_OP_GELU, 1e-5f, 0}, projected}
TOWER(clip_vit_b_32, 32, 12, 12, 768, 512);
TOWER(clip_vit_b_16, 16, 12, 12, 768, 512);
TOWER(clip_vit_l_14, 14, 24, 16, 1024, 768);

#define CLIP_PREPROCESS \
    {.resize = 224, .crop = 224, .interpolation = PF_BICUBIC, \
     .mean = {0.48145466f, 0.4578275f, 0.40821073f}, .std = {0.26862954f, 0.26130258f, 0.27577711f}}
/* open_clip's own file of each repository. OpenAI's own files are TorchScript, which holds no
 * tensors that are read here. */
#define PUBLISHED(network, title, licence_, timm_name, repository) \
    static const PfWeightsEntry network##_weights[] = { \
        {.name = (title), .preprocess = CLIP_PREPROCESS, \
         .licence = (licence_), .timm = (timm_name), .hub = (repository)}}
PUBLISHED(clip_vit_b_32, "OPENAI", "MIT", "vit_base_patch32_clip_224.openai", "timm/vit_base_patch32_clip_224.openai");
PUBLISHED(clip_vit_b_16, "OPENAI", "MIT", "vit_base_patch16_clip_224.openai", "timm/vit_base_patch16_clip_224.openai");
PUBLISHED(clip_vit_l_14, "OPENAI", "MIT", "vit_large_patch14_clip_224.openai", "timm/vit_large_patch14_clip_224.openai");
PUBLISHED(clip_vit_b_32_gelu, "LAION2B_S34B_B79K", NULL, "vit_base_patch32_clip_224.laion2b", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K");
PUBLISHED(clip_vit_b_16_gelu, "LAION2B_S34B_B88K", NULL, "vit_base_patch16_clip_224.laion2b", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K");
/* LAION's first ViT-L/14 wants pixels from -1 to 1. */
static const PfWeightsEntry clip_vit_l_14_gelu_weights[] = {
    {.name = "LAION2B_S32B_B82K", 
     .preprocess = {.resize = 224, .crop = 224, .interpolation = PF_BICUBIC,
                    .mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}},
     .timm = "vit_large_patch14_clip_224.laion2b", .hub = "laion/CLIP-ViT-L-14-laion2B-s32B-b82K"}};

#define VARIANT(network) \
    {.name = #network, .config = &network, .preprocess = CLIP_PREPROCESS, \
     .weights = network##_weights, .weights_count = 1}
static const PfArchVariant variants[] = {
    VARIANT(clip_vit_b_32), VARIANT(clip_vit_b_16), VARIANT(clip_vit_l_14),
    VARIANT(clip_vit_b_32_gelu), VARIANT(clip_vit_b_16_gelu), VARIANT(clip_vit_l_14_gelu),
};

const PfArchFamily pf_arch_clip = {
    .class_name = "CLIP", .default_tap = "projection", .example_module = "transformer.resblocks.11",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0],
    .build = build, .initial = initial,
};
/* clang-format on */
