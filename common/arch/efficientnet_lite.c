/* EfficientNet-Lite as timm builds it: EfficientNets (Tan and Le 2019, arXiv:1905.11946) without
 * squeezing and with ReLU6. Those whose names begin with "tf_" have TensorFlow's weights, and with
 * them its padding, which follows from the size of each map, and its norms. */
#include <math.h>
#include <stdio.h>

#include "common/arch/inverted_residual.h"

typedef struct LiteConfig {
    double width, depth; /* by which channels and blocks are multiplied */
    bool as_tensorflow;
} LiteConfig;

static const struct {
    int expansion, kernel, stride, out_channels, blocks;
} stages[7] = {{1, 3, 1, 16, 1},  {6, 3, 2, 24, 2},  {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3},
               {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1}};

/* What is being built: convolutions and norms are added behind `node`. */
typedef struct Chain {
    PfArchBuilder *builder;
    const LiteConfig *config;
    const char *prefix; /* "blocks.1.0." */
    int node, channels;
} Chain;

/* TensorFlow's padding is even where the stride is 1. */
static void add_conv(Chain *chain, const char *part, int out_channels, int kernel, int stride,
                     bool is_depthwise)
{
    char name[PF_NODE_NAME_SIZE];
    PfArchBuilder *builder = chain->builder;
    const bool pads = chain->config->as_tensorflow && stride > 1;
    snprintf(name, sizeof name, "%s%s.pad", chain->prefix, part);
    if (pads)
        pf_arch_set_window(
            pf_arch_add(builder, PF_OP_PAD_SAME, name, "", chain->node, &chain->node), kernel,
            stride, 0);
    snprintf(name, sizeof name, "%s%s", chain->prefix, part);
    chain->node = pf_arch_add_conv(builder, name, chain->node, chain->channels, out_channels,
                                   kernel, stride, pads ? 0 : kernel / 2, false);
    if (is_depthwise) pf_arch_set_groups(builder, chain->node, out_channels);
    chain->channels = out_channels;
}

/* timm's norms hold their activations. */
static void add_norm(Chain *chain, const char *part, bool has_activation)
{
    char name[PF_NODE_NAME_SIZE], module[PF_NODE_NAME_SIZE];
    snprintf(module, sizeof module, "%s%s", chain->prefix, part);
    snprintf(name, sizeof name, has_activation ? "%s%s.norm" : "%s%s", chain->prefix, part);
    PfNode *norm =
        pf_arch_add(chain->builder, PF_OP_BATCH_NORM, name, module, chain->node, &chain->node);
    norm->in_channels = norm->out_channels = chain->channels;
    norm->eps = chain->config->as_tensorflow ? 1e-3f : 1e-5f;
    snprintf(name, sizeof name, "%s%s.act", chain->prefix, part);
    if (has_activation) chain->node = pf_arch_add_relu6(chain->builder, name, chain->node);
}

static void add_block(Chain *chain, int stage, int stride, int out_channels)
{
    char name[PF_NODE_NAME_SIZE];
    const int input = chain->node, in_channels = chain->channels;
    const bool expands = stages[stage].expansion > 1;
    const int expanded = in_channels * stages[stage].expansion;
    if (expands) {
        add_conv(chain, "conv_pw", expanded, 1, 1, false);
        add_norm(chain, "bn1", true);
    }
    add_conv(chain, "conv_dw", expanded, stages[stage].kernel, stride, true);
    add_norm(chain, expands ? "bn2" : "bn1", true);
    add_conv(chain, expands ? "conv_pwl" : "conv_pw", out_channels, 1, 1, false);
    add_norm(chain, expands ? "bn3" : "bn2", false);
    if (stride > 1 || in_channels != out_channels) return;
    snprintf(name, sizeof name, "%sadd", chain->prefix);
    chain->node = pf_arch_add_sum(chain->builder, name, chain->node, input);
}

/* The first and the last stage keep their blocks, the stem and the head their channels. */
static void add_stage(Chain *chain, int stage)
{
    char prefix[PF_NODE_NAME_SIZE / 2];
    const bool is_inner = stage > 0 && stage < 6;
    const int out_channels =
        pf_arch_scaled_channels(stages[stage].out_channels, chain->config->width);
    const int blocks = (int)ceil(stages[stage].blocks * (is_inner ? chain->config->depth : 1));
    chain->prefix = prefix;
    for (int i = 0; i < blocks; i++) {
        snprintf(prefix, sizeof prefix, "blocks.%d.%d.", stage, i);
        add_block(chain, stage, i ? 1 : stages[stage].stride, out_channels);
    }
    chain->prefix = "";
}

static void build(PfArchBuilder *builder, const void *config)
{
    Chain chain = {builder, config, "", 0, 3};
    add_conv(&chain, "conv_stem", 32, 3, 2, false);
    add_norm(&chain, "bn1", true);
    for (int stage = 0; stage < 7; stage++) add_stage(&chain, stage);
    add_conv(&chain, "conv_head", 1280, 1, 1, false);
    add_norm(&chain, "bn2", true);
    int node = pf_arch_add_avg_pool(builder, "global_pool.pool", chain.node, 1);
    pf_arch_add(builder, PF_OP_FLATTEN, "global_pool.flatten", NULL, node, &node);
    pf_arch_add_linear(builder, "classifier", node, 1280, 1000);
}

/* The classifier is drawn by the number of its outputs, its bias is 0. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    if (node->op != PF_OP_LINEAR) return pf_arch_initial_inverted(node, parameter, 1);
    if (parameter->needs_bias) return (PfInitialValues){PF_INITIAL_CONSTANT, 0};
    return (PfInitialValues){PF_INITIAL_UNIFORM, 1 / sqrt(node->out_channels)};
}

/* clang-format off */
#define CONFIGS(number, width, depth) \
    static const LiteConfig lite##number = {width, depth, false}, tf_lite##number = {width, depth, true}
CONFIGS(0, 1.0, 1.0);
CONFIGS(1, 1.0, 1.1);
CONFIGS(2, 1.1, 1.2);
CONFIGS(3, 1.2, 1.4);
CONFIGS(4, 1.4, 1.8);

#define TIMM_URL "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/"
#define TF_PREPROCESS(resize_to, crop_to, how) \
    {.resize = (resize_to), .crop = (crop_to), .interpolation = (how), \
     .mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}}
#define PUBLISHED(spelling, file_name, ...) \
    {.name = "IMAGENET1K", .file = (file_name), .url = TIMM_URL, .preprocess = __VA_ARGS__, \
     .licence = "Apache-2.0", .timm = (spelling), .hub = "timm/" spelling}

static const PfWeightsEntry lite0_weights[] = {
    PUBLISHED("efficientnet_lite0.ra_in1k", "efficientnet_lite0_ra-37913777.pth", PF_IMAGENET_SIZES(256, 224, PF_BICUBIC))};
static const PfWeightsEntry tf_lite0_weights[] = {
    PUBLISHED("tf_efficientnet_lite0.in1k", "tf_efficientnet_lite0-0aa007d2.pth", TF_PREPROCESS(256, 224, PF_BICUBIC))};
static const PfWeightsEntry tf_lite1_weights[] = {
    PUBLISHED("tf_efficientnet_lite1.in1k", "tf_efficientnet_lite1-bde8b488.pth", TF_PREPROCESS(272, 240, PF_BICUBIC))};
static const PfWeightsEntry tf_lite2_weights[] = {
    PUBLISHED("tf_efficientnet_lite2.in1k", "tf_efficientnet_lite2-dcccb7df.pth", TF_PREPROCESS(292, 260, PF_BICUBIC))};
static const PfWeightsEntry tf_lite3_weights[] = {
    PUBLISHED("tf_efficientnet_lite3.in1k", "tf_efficientnet_lite3-b733e338.pth", TF_PREPROCESS(331, 300, PF_BILINEAR))};
static const PfWeightsEntry tf_lite4_weights[] = {
    PUBLISHED("tf_efficientnet_lite4.in1k", "tf_efficientnet_lite4-741542c3.pth", TF_PREPROCESS(413, 380, PF_BILINEAR))};

/* Of lite1 to lite4 timm has published no weights of its own. */
#define UNTRAINED(number, resize_to, crop_to) \
    {.name = "efficientnet_lite" #number, .config = &lite##number, \
     .preprocess = PF_IMAGENET_SIZES(resize_to, crop_to, PF_BICUBIC)}
#define VARIANT(label, prefix, ...) \
    {.name = prefix #label, .config = &label, .preprocess = __VA_ARGS__, \
     .weights = label##_weights, .weights_count = 1}
#define TF_VARIANT(number, ...) \
    {.name = "tf_efficientnet_lite" #number, .config = &tf_lite##number, \
     .preprocess = __VA_ARGS__, .weights = tf_lite##number##_weights, .weights_count = 1}

static const PfArchVariant variants[] = {
    VARIANT(lite0, "efficientnet_", PF_IMAGENET_SIZES(256, 224, PF_BICUBIC)),
    UNTRAINED(1, 272, 240), UNTRAINED(2, 292, 260), UNTRAINED(3, 331, 300), UNTRAINED(4, 412, 380),
    TF_VARIANT(0, TF_PREPROCESS(256, 224, PF_BICUBIC)),
    TF_VARIANT(1, TF_PREPROCESS(272, 240, PF_BICUBIC)),
    TF_VARIANT(2, TF_PREPROCESS(292, 260, PF_BICUBIC)),
    TF_VARIANT(3, TF_PREPROCESS(331, 300, PF_BILINEAR)),
    TF_VARIANT(4, TF_PREPROCESS(413, 380, PF_BILINEAR)),
};

const PfArchFamily pf_arch_efficientnet_lite = {
    .class_name = "timm.EfficientNet", .default_tap = "global_pool", .example_module = "blocks.6",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
