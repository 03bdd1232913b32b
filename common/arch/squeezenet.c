/* SqueezeNet (Iandola et al. 2016, arXiv:1602.07360) as torchvision builds it. Its classifier is a
 * convolution whose maps are pooled; `avgpool` is ours, for linear classifiers: the means of the
 * maps that it takes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/arch/family.h"

#define MAX_FEATURES 13

/* What features.0 to .12 are: a number is that of a Fire's squeezed channels. */
enum { CONVOLUTION = -1, RELU = -2, POOL = -3 };

typedef struct SqueezeNetConfig {
    int stem, kernel; /* of the first convolution: channels */
    int features[MAX_FEATURES];
} SqueezeNetConfig;

static int add_conv_relu(PfArchBuilder *builder, const char *prefix, const char *part, int input,
                         int in_channels, int out_channels, int kernel)
{
    char name[PF_NODE_NAME_SIZE];
    snprintf(name, sizeof name, "%s.%s", prefix, part);
    const int node = pf_arch_add_conv(builder, name, input, in_channels, out_channels, kernel, 1,
                                      kernel / 2, true);
    snprintf(name, sizeof name, "%s.%s_activation", prefix, part);
    return pf_arch_add_relu(builder, name, NULL, node);
}

/* Squeezed by a 1x1 convolution, and expanded to four times as many by each of 1x1 and of 3x3. */
static int add_fire(PfArchBuilder *builder, const char *prefix, int input, int channels,
                    int squeezed)
{
    char name[PF_NODE_NAME_SIZE];
    int index;
    const int node = add_conv_relu(builder, prefix, "squeeze", input, channels, squeezed, 1);
    const int left = add_conv_relu(builder, prefix, "expand1x1", node, squeezed, 4 * squeezed, 1);
    const int right = add_conv_relu(builder, prefix, "expand3x3", node, squeezed, 4 * squeezed, 3);
    snprintf(name, sizeof name, "%s.cat", prefix);
    PfNode *concat = pf_arch_add(builder, PF_OP_CONCAT, name, "", left, &index);
    concat->inputs[1] = right;
    concat->input_count = 2;
    return index;
}

static int add_feature(PfArchBuilder *builder, const SqueezeNetConfig *net, int number, int input,
                       int *channels)
{
    char name[24];
    const int what = net->features[number];
    int node;
    snprintf(name, sizeof name, "features.%d", number);
    if (what == RELU) return pf_arch_add_relu(builder, name, NULL, input);
    if (what == POOL) {
        node = pf_arch_add_max_pool(builder, name, input, 3, 2, 0);
        if (!builder->failed) builder->arch->nodes[node].ceil_mode = 1;
        return node;
    }
    const int before = *channels;
    *channels = what == CONVOLUTION ? net->stem : 8 * what;
    if (what == CONVOLUTION)
        return pf_arch_add_conv(builder, name, input, before, net->stem, net->kernel, 2, 0, true);
    return add_fire(builder, name, input, before, what);
}

static void build(PfArchBuilder *builder, const void *config)
{
    int node = 0, channels = 3;
    for (int i = 0; i < MAX_FEATURES; i++) node = add_feature(builder, config, i, node, &channels);
    pf_arch_add_avg_pool(builder, "avgpool", node, 1);
    node = pf_arch_add_dropout(builder, "classifier.0", node, 0.5f);
    node = pf_arch_add_conv(builder, "classifier.1", node, channels, 1000, 1, 1, 0, true);
    node = pf_arch_add_relu(builder, "classifier.2", NULL, node);
    node = pf_arch_add_avg_pool(builder, "classifier.3", node, 1);
    pf_arch_add_flatten(builder, node);
}

/* By He's rule for what goes in, evenly; the classifier from N(0, 0.01); biases are 0. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    const int inputs = node->in_channels * node->kernel[0] * node->kernel[1];
    if (parameter->needs_bias) return (PfInitialValues){PF_INITIAL_CONSTANT, 0};
    if (!strcmp(node->name, "classifier.1")) return (PfInitialValues){PF_INITIAL_NORMAL, 0.01};
    return (PfInitialValues){PF_INITIAL_UNIFORM, sqrt(6.0 / inputs)};
}

static const SqueezeNetConfig squeezenet1_0 = {
    96, 7, {CONVOLUTION, RELU, POOL, 16, 16, 32, POOL, 32, 48, 48, 64, POOL, 64}};
static const SqueezeNetConfig squeezenet1_1 = {
    64, 3, {CONVOLUTION, RELU, POOL, 16, 16, POOL, 32, 32, POOL, 48, 48, 64, 64}};

/* clang-format off */
#define PUBLISHED(file_name) \
    {.name = "IMAGENET1K_V1", .file = (file_name), .url = PF_TORCH_HUB_URL, \
     .preprocess = PF_IMAGENET_PREPROCESS(256), .licence = "BSD-3-Clause"}

static const PfWeightsEntry squeezenet1_0_weights[] = {PUBLISHED("squeezenet1_0-b66bff10.pth")};
static const PfWeightsEntry squeezenet1_1_weights[] = {PUBLISHED("squeezenet1_1-b8a52dc0.pth")};

#define VARIANT(network) \
    {.name = #network, .config = &network, .preprocess = PF_IMAGENET_PREPROCESS(256), \
     .weights = network##_weights, .weights_count = 1}

static const PfArchVariant variants[] = {VARIANT(squeezenet1_0), VARIANT(squeezenet1_1)};

const PfArchFamily pf_arch_squeezenet = {
    .class_name = "SqueezeNet", .default_tap = "avgpool", .example_module = "features.12",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
