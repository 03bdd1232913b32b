/* VGG (Simonyan and Zisserman 2014, arXiv:1409.1556) as torchvision builds it. */
#include <stdio.h>
#include <string.h>

#include "common/arch/family.h"

typedef struct VggConfig {
    bool batch_norm;
    int convolutions[5]; /* in each of the five stages, with a max pool after it */
} VggConfig;

static const int stage_channels[5] = {64, 128, 256, 512, 512};

/* features.<index>, counted as torchvision's Sequential counts. */
static const char *feature_name(char *text, size_t size, int *index)
{
    snprintf(text, size, "features.%d", (*index)++);
    return text;
}

static int add_features(PfArchBuilder *builder, const VggConfig *vgg)
{
    char name[PF_NODE_NAME_SIZE];
    int node = 0, channels = 3, index = 0;
    for (int stage = 0; stage < 5; stage++) {
        for (int i = 0; i < vgg->convolutions[stage]; i++) {
            int out = stage_channels[stage];
            node = pf_arch_add_conv(builder, feature_name(name, sizeof name, &index), node,
                                    channels, out, 3, 1, 1, true);
            if (vgg->batch_norm)
                node = pf_arch_add_batch_norm(builder, feature_name(name, sizeof name, &index),
                                              node, out);
            node = pf_arch_add_relu(builder, feature_name(name, sizeof name, &index), NULL, node);
            channels = out;
        }
        node =
            pf_arch_add_max_pool(builder, feature_name(name, sizeof name, &index), node, 2, 2, 0);
    }
    return node;
}

static void build(PfArchBuilder *builder, const void *config)
{
    int node = add_features(builder, config);
    node = pf_arch_add_avg_pool(builder, "avgpool", node, 7);
    node = pf_arch_add_flatten(builder, node);
    node = pf_arch_add_linear(builder, "classifier.0", node, 512 * 7 * 7, 4096);
    node = pf_arch_add_relu(builder, "classifier.1", NULL, node);
    node = pf_arch_add_dropout(builder, "classifier.2", node, 0.5f);
    node = pf_arch_add_linear(builder, "classifier.3", node, 4096, 4096);
    node = pf_arch_add_relu(builder, "classifier.4", NULL, node);
    node = pf_arch_add_dropout(builder, "classifier.5", node, 0.5f);
    pf_arch_add_linear(builder, "classifier.6", node, 4096, 1000);
}

/* Linears are drawn from N(0, 0.01), their biases are 0. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    if (node->op != PF_OP_LINEAR) return pf_op_initial_values(node, parameter);
    bool is_weight = !strcmp(parameter->name, "weight");
    return is_weight ? (PfInitialValues){PF_INITIAL_NORMAL, 0.01}
                     : (PfInitialValues){PF_INITIAL_CONSTANT, 0};
}

static const VggConfig vgg11 = {false, {1, 1, 2, 2, 2}}, vgg11_bn = {true, {1, 1, 2, 2, 2}};
static const VggConfig vgg13 = {false, {2, 2, 2, 2, 2}}, vgg13_bn = {true, {2, 2, 2, 2, 2}};
static const VggConfig vgg16 = {false, {2, 2, 3, 3, 3}}, vgg16_bn = {true, {2, 2, 3, 3, 3}};
static const VggConfig vgg19 = {false, {2, 2, 4, 4, 4}}, vgg19_bn = {true, {2, 2, 4, 4, 4}};

/* clang-format off */
/* timm calls the classifier's tensors otherwise in its own files: those are not named as a source. */
#define PUBLISHED(network, hash) \
    {.name = "IMAGENET1K_V1", .file = network "-" hash ".pth", .url = PF_TORCH_HUB_URL, \
     .preprocess = PF_IMAGENET_PREPROCESS(256), .licence = "BSD-3-Clause", \
     .timm = network ".tv_in1k"}

static const PfWeightsEntry vgg11_weights[] = {PUBLISHED("vgg11", "8a719046")};
static const PfWeightsEntry vgg11_bn_weights[] = {PUBLISHED("vgg11_bn", "6002323d")};
static const PfWeightsEntry vgg13_weights[] = {PUBLISHED("vgg13", "19584684")};
static const PfWeightsEntry vgg13_bn_weights[] = {PUBLISHED("vgg13_bn", "abd245e5")};
static const PfWeightsEntry vgg16_weights[] = {
    PUBLISHED("vgg16", "397923af"),
    /* Caffe's features: pixels stay in 0..255, only the mean is taken away. */
    {.name = "IMAGENET1K_FEATURES", .file = "vgg16_features-amdegroot-88682ab5.pth",
     .url = PF_TORCH_HUB_URL,
     .preprocess = {.resize = 256, .crop = 224, .interpolation = PF_BILINEAR,
                    .mean = {0.48235f, 0.45882f, 0.40784f},
                    .std = {1.0f / 255, 1.0f / 255, 1.0f / 255}}}};
static const PfWeightsEntry vgg16_bn_weights[] = {PUBLISHED("vgg16_bn", "6c64b313")};
static const PfWeightsEntry vgg19_weights[] = {PUBLISHED("vgg19", "dcbb9e9d")};
static const PfWeightsEntry vgg19_bn_weights[] = {PUBLISHED("vgg19_bn", "c79401a0")};

#define VARIANT(network) \
    {.name = #network, .config = &network, .preprocess = PF_IMAGENET_PREPROCESS(256), \
     .weights = network##_weights, \
     .weights_count = sizeof network##_weights / sizeof network##_weights[0]}

static const PfArchVariant variants[] = {
    VARIANT(vgg11), VARIANT(vgg11_bn), VARIANT(vgg13), VARIANT(vgg13_bn),
    VARIANT(vgg16), VARIANT(vgg16_bn), VARIANT(vgg19), VARIANT(vgg19_bn),
};

const PfArchFamily pf_arch_vgg = {
    .class_name = "VGG", .default_tap = "avgpool", .example_module = "features", .variants = variants,
    .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
