/* AlexNet as torchvision builds it, with one column of convolutions (Krizhevsky 2014,
 * arXiv:1404.5997). */
#include <math.h>
#include <stdio.h>

#include "common/arch/family.h"

static const struct {
    int out_channels, kernel, stride, padding;
    bool pools; /* behind its ReLU */
} convs[5] = {{64, 11, 4, 2, true},
              {192, 5, 1, 2, true},
              {384, 3, 1, 1, false},
              {256, 3, 1, 1, false},
              {256, 3, 1, 1, true}};

static int add_features(PfArchBuilder *builder)
{
    char name[PF_NODE_NAME_SIZE];
    int node = 0, channels = 3, number = 0;
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "features.%d", number++);
        node = pf_arch_add_conv(builder, name, node, channels, convs[i].out_channels,
                                convs[i].kernel, convs[i].stride, convs[i].padding, true);
        channels = convs[i].out_channels;
        snprintf(name, sizeof name, "features.%d", number++);
        node = pf_arch_add_relu(builder, name, NULL, node);
        if (!convs[i].pools) continue;
        snprintf(name, sizeof name, "features.%d", number++);
        node = pf_arch_add_max_pool(builder, name, node, 3, 2, 0);
    }
    return node;
}

static void build(PfArchBuilder *builder, const void *config)
{
    (void)config;
    int node = add_features(builder);
    node = pf_arch_add_avg_pool(builder, "avgpool", node, 6);
    node = pf_arch_add_flatten(builder, node);
    node = pf_arch_add_dropout(builder, "classifier.0", node, 0.5f);
    node = pf_arch_add_linear(builder, "classifier.1", node, 256 * 6 * 6, 4096);
    node = pf_arch_add_relu(builder, "classifier.2", NULL, node);
    node = pf_arch_add_dropout(builder, "classifier.3", node, 0.5f);
    node = pf_arch_add_linear(builder, "classifier.4", node, 4096, 4096);
    node = pf_arch_add_relu(builder, "classifier.5", NULL, node);
    pf_arch_add_linear(builder, "classifier.6", node, 4096, 1000);
}

/* As torch.nn's modules draw them: convolutions, too, by their inputs. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    const int inputs = node->in_channels * node->kernel[0] * node->kernel[1];
    if (node->op != PF_OP_CONV) return pf_op_initial_values(node, parameter);
    return (PfInitialValues){PF_INITIAL_UNIFORM, 1 / sqrt(inputs)};
}

/* clang-format off */
static const PfWeightsEntry weights[] = {
    {.name = "IMAGENET1K_V1", .file = "alexnet-owt-7be5be79.pth", .url = PF_TORCH_HUB_URL,
     .preprocess = PF_IMAGENET_PREPROCESS(256), .licence = "BSD-3-Clause"}};

static const PfArchVariant variants[] = {
    {.name = "alexnet", .config = NULL, .preprocess = PF_IMAGENET_PREPROCESS(256),
     .weights = weights, .weights_count = 1},
};

const PfArchFamily pf_arch_alexnet = {
    .class_name = "AlexNet", .default_tap = "classifier.5", .example_module = "features",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
