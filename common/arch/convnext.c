/* ConvNeXt (Liu et al. 2022, arXiv:2201.03545) as torchvision builds it. Where training leaves
 * whole blocks out at random, ours keeps them. */
#include <stdio.h>

#include "common/arch/family.h"

#define EPS 1e-6f

typedef struct ConvNextConfig {
    int channels[4], blocks[4];
    int classes; /* 0: no classifier */
} ConvNextConfig;

/* The block's scale of each channel, (c, 1, 1). */
static int add_layer_scale(PfArchBuilder *builder, const char *name, int channels)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_PARAMETER, name, NULL, 0, &index);
    node->shape = (PfShape){3, {channels, 1, 1}};
    return index;
}

static int add_block(PfArchBuilder *builder, const char *prefix, int input, int channels)
{
    char name[PF_NODE_NAME_SIZE];
#define CHILD(of_block) (snprintf(name, sizeof name, "%s." of_block, prefix), name)
    int scale = add_layer_scale(builder, CHILD("layer_scale"), channels);
    int node =
        pf_arch_add_conv(builder, CHILD("block.0"), input, channels, channels, 7, 1, 3, true);
    if (!builder->failed) builder->arch->nodes[node].groups = channels;
    node = pf_arch_add_permute(builder, CHILD("block.1"), NULL, node, pf_arch_channels_last, 3);
    node = pf_arch_add_layer_norm(builder, PF_OP_LAYER_NORM, CHILD("block.2"), node, channels, EPS);
    node = pf_arch_add_linear(builder, CHILD("block.3"), node, channels, 4 * channels);
    node = pf_arch_add_plain(builder, PF_OP_GELU, CHILD("block.4"), node);
    node = pf_arch_add_linear(builder, CHILD("block.5"), node, 4 * channels, channels);
    node = pf_arch_add_permute(builder, CHILD("block.6"), NULL, node, pf_arch_channels_first, 3);
    node = pf_arch_add_pair(builder, PF_OP_MULTIPLY, CHILD("mul"), scale, node);
    node = pf_arch_add_dropout(builder, CHILD("stochastic_depth"), node, 0);
    return pf_arch_add_sum(builder, CHILD("add"), node, input);
#undef CHILD
}

/* features.<number>: a norm, then a convolution that halves both sides. */
static int add_downsampling(PfArchBuilder *builder, int number, int input, int in_channels,
                            int out_channels)
{
    char name[PF_NODE_NAME_SIZE];
    snprintf(name, sizeof name, "features.%d.0", number);
    int node = pf_arch_add_layer_norm(builder, PF_OP_LAYER_NORM_2D, name, input, in_channels, EPS);
    snprintf(name, sizeof name, "features.%d.1", number);
    return pf_arch_add_conv(builder, name, node, in_channels, out_channels, 2, 2, 0, true);
}

static void build(PfArchBuilder *builder, const void *config)
{
    const ConvNextConfig *net = config;
    char prefix[PF_NODE_NAME_SIZE / 2];
    int node = pf_arch_add_conv(builder, "features.0.0", 0, 3, net->channels[0], 4, 4, 0, true);
    node = pf_arch_add_layer_norm(builder, PF_OP_LAYER_NORM_2D, "features.0.1", node,
                                  net->channels[0], EPS);
    for (int stage = 0; stage < 4; stage++) {
        const int channels = net->channels[stage];
        if (stage)
            node = add_downsampling(builder, 2 * stage, node, net->channels[stage - 1], channels);
        for (int i = 0; i < net->blocks[stage]; i++) {
            snprintf(prefix, sizeof prefix, "features.%d.%d", 2 * stage + 1, i);
            node = add_block(builder, prefix, node, channels);
        }
    }
    node = pf_arch_add_avg_pool(builder, "avgpool", node, 1);
    node = pf_arch_add_layer_norm(builder, PF_OP_LAYER_NORM_2D, "classifier.0", node,
                                  net->channels[3], EPS);
    node = pf_arch_add_plain(builder, PF_OP_FLATTEN, "classifier.1", node);
    if (net->classes)
        pf_arch_add_linear(builder, "classifier.2", node, net->channels[3], net->classes);
}

/* Weights are drawn from N(0, 0.02), whose tails torchvision cuts; biases are 0. The layer scales
 * are 1: with torchvision's 1e-6 a network that has not learned would be its downsampling alone. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    if (node->op == PF_OP_PARAMETER) return (PfInitialValues){PF_INITIAL_CONSTANT, 1};
    if (node->op != PF_OP_CONV && node->op != PF_OP_LINEAR)
        return pf_op_initial_values(node, parameter);
    return parameter->needs_bias ? (PfInitialValues){PF_INITIAL_CONSTANT, 0}
                                 : (PfInitialValues){PF_INITIAL_NORMAL, 0.02};
}

static const ConvNextConfig convnext_tiny = {{96, 192, 384, 768}, {3, 3, 9, 3}, 1000};
static const ConvNextConfig convnext_small = {{96, 192, 384, 768}, {3, 3, 27, 3}, 1000};
static const ConvNextConfig convnext_base = {{128, 256, 512, 1024}, {3, 3, 27, 3}, 1000};
static const ConvNextConfig convnext_large = {{192, 384, 768, 1536}, {3, 3, 27, 3}, 1000};
static const ConvNextConfig dinov3_convnext_tiny = {{96, 192, 384, 768}, {3, 3, 9, 3}, 0};
static const ConvNextConfig dinov3_convnext_small = {{96, 192, 384, 768}, {3, 3, 27, 3}, 0};
static const ConvNextConfig dinov3_convnext_base = {{128, 256, 512, 1024}, {3, 3, 27, 3}, 0};
static const ConvNextConfig dinov3_convnext_large = {{192, 384, 768, 1536}, {3, 3, 27, 3}, 0};

/* clang-format off */
#define PUBLISHED(file_name, resize_to) \
    {.name = "IMAGENET1K_V1", .file = (file_name), .url = PF_TORCH_HUB_URL, \
     .preprocess = PF_IMAGENET_PREPROCESS(resize_to), .licence = "BSD-3-Clause"}

static const PfWeightsEntry convnext_tiny_weights[] = {PUBLISHED("convnext_tiny-983f1562.pth", 236)};
static const PfWeightsEntry convnext_small_weights[] = {PUBLISHED("convnext_small-0c510722.pth", 230)};
static const PfWeightsEntry convnext_base_weights[] = {PUBLISHED("convnext_base-6075fbad.pth", 232)};
static const PfWeightsEntry convnext_large_weights[] = {PUBLISHED("convnext_large-ea097f82.pth", 232)};

#define VARIANT(network, resize_to) \
    {.name = #network, .config = &network, .preprocess = PF_IMAGENET_PREPROCESS(resize_to), \
     .weights = network##_weights, .weights_count = 1}

static const PfArchVariant variants[] = {
    VARIANT(convnext_tiny, 236), VARIANT(convnext_small, 230),
    VARIANT(convnext_base, 232), VARIANT(convnext_large, 232),
};

const PfArchFamily pf_arch_convnext = {
    .class_name = "ConvNeXt", .default_tap = "classifier.1", .example_module = "features.7",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};

/* DINOv3's (Simeoni et al. 2025, arXiv:2508.10104) compute the same up to the classifier, which they
 * lack. Their files are handed out to those who accept their licence. */
#define DINOV3_PREPROCESS PF_IMAGENET_SIZES(256, 224, PF_BICUBIC)
#define DINOV3_PUBLISHED(size, hash) \
    static const PfWeightsEntry dinov3_convnext_##size##_weights[] = { \
        {.name = "LVD1689M", .file = "dinov3_convnext_" #size "_pretrain_lvd1689m-" hash ".pth", \
         .url = "https://dl.fbaipublicfiles.com/dinov3/dinov3_convnext_" #size "/", \
         .preprocess = DINOV3_PREPROCESS, .licence = "DINOv3 License", \
         .timm = "convnext_" #size ".dinov3_lvd1689m", .hub = "timm/convnext_" #size ".dinov3_lvd1689m"}}
DINOV3_PUBLISHED(tiny, "21b726bb");
DINOV3_PUBLISHED(small, "296db49d");
DINOV3_PUBLISHED(base, "801f2ba9");
DINOV3_PUBLISHED(large, "61fa432d");

#define DINOV3_VARIANT(network) \
    {.name = #network, .config = &network, .preprocess = DINOV3_PREPROCESS, \
     .weights = network##_weights, .weights_count = 1}
static const PfArchVariant dinov3_variants[] = {
    DINOV3_VARIANT(dinov3_convnext_tiny), DINOV3_VARIANT(dinov3_convnext_small),
    DINOV3_VARIANT(dinov3_convnext_base), DINOV3_VARIANT(dinov3_convnext_large),
};

const PfArchFamily pf_arch_dinov3_convnext = {
    .class_name = "DINOv3ConvNeXt", .default_tap = "classifier.1", .example_module = "features.7",
    .variants = dinov3_variants, .variant_count = sizeof dinov3_variants / sizeof dinov3_variants[0],
    .build = build, .initial = initial,
};
/* clang-format on */
