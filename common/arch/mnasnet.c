/* MnasNet-B1 (Tan et al. 2018, arXiv:1807.11626) as torchvision builds it. Published files of
 * before 2019, whose first layers are not scaled, are refused by their shapes. */
#include <math.h>
#include <stdio.h>

#include "common/arch/inverted_residual.h"

typedef struct MnasNetConfig {
    double width; /* by which channels are multiplied */
} MnasNetConfig;

static const struct {
    int out_channels, kernel, stride, expansion, blocks;
} stages[6] = {{24, 3, 2, 3, 3}, {40, 5, 2, 3, 3},  {80, 5, 2, 6, 3},
               {96, 3, 1, 6, 2}, {192, 5, 2, 6, 4}, {320, 3, 1, 6, 1}};

/* The modules of a Sequential, numbered as they come. */
typedef struct Sequence {
    PfArchBuilder *builder;
    const char *prefix; /* "layers.8.0.layers" */
    int number, node, channels;
} Sequence;

static const char *next(Sequence *sequence, char name[PF_NODE_NAME_SIZE])
{
    snprintf(name, PF_NODE_NAME_SIZE, "%s.%d", sequence->prefix, sequence->number++);
    return name;
}

/* A convolution and a norm; is_depthwise: of as many groups as there are channels. */
static void add_conv(Sequence *sequence, int out_channels, int kernel, int stride,
                     bool is_depthwise)
{
    char name[PF_NODE_NAME_SIZE];
    PfArchBuilder *builder = sequence->builder;
    int node = pf_arch_add_conv(builder, next(sequence, name), sequence->node, sequence->channels,
                                out_channels, kernel, stride, kernel / 2, false);
    if (is_depthwise) pf_arch_set_groups(builder, node, out_channels);
    node = pf_arch_add_batch_norm(builder, next(sequence, name), node, out_channels);
    if (!builder->failed) builder->arch->nodes[node].momentum = 3e-4f;
    sequence->node = node;
    sequence->channels = out_channels;
}

static void add_relu(Sequence *sequence)
{
    char name[PF_NODE_NAME_SIZE];
    sequence->node =
        pf_arch_add_relu(sequence->builder, next(sequence, name), NULL, sequence->node);
}

static int add_block(PfArchBuilder *builder, const char *prefix, int stage, bool is_first,
                     int input, int in_channels, int out_channels)
{
    char inner[PF_NODE_NAME_SIZE], name[PF_NODE_NAME_SIZE + 8];
    const int expanded = in_channels * stages[stage].expansion;
    snprintf(inner, sizeof inner, "%.40s.layers", prefix);
    Sequence block = {builder, inner, 0, input, in_channels};
    add_conv(&block, expanded, 1, 1, false);
    add_relu(&block);
    add_conv(&block, expanded, stages[stage].kernel, is_first ? stages[stage].stride : 1, true);
    add_relu(&block);
    add_conv(&block, out_channels, 1, 1, false);
    if (is_first && (stages[stage].stride > 1 || in_channels != out_channels)) return block.node;
    snprintf(name, sizeof name, "%s.add", prefix);
    return pf_arch_add_sum(builder, name, block.node, input);
}

static void add_stage(Sequence *layers, int stage, double width)
{
    char prefix[PF_NODE_NAME_SIZE];
    const int out_channels = pf_arch_scaled_channels(stages[stage].out_channels, width);
    for (int i = 0; i < stages[stage].blocks; i++) {
        snprintf(prefix, sizeof prefix, "layers.%d.%d", layers->number, i);
        layers->node = add_block(layers->builder, prefix, stage, !i, layers->node, layers->channels,
                                 out_channels);
        layers->channels = out_channels;
    }
    layers->number++;
}

static void build(PfArchBuilder *builder, const void *config)
{
    const double width = ((const MnasNetConfig *)config)->width;
    const int stem = pf_arch_scaled_channels(32, width);
    Sequence layers = {builder, "layers", 0, 0, 3};
    int node;
    add_conv(&layers, stem, 3, 2, false);
    add_relu(&layers);
    add_conv(&layers, stem, 3, 1, true);
    add_relu(&layers);
    add_conv(&layers, pf_arch_scaled_channels(16, width), 1, 1, false);
    for (int stage = 0; stage < 6; stage++) add_stage(&layers, stage, width);
    add_conv(&layers, 1280, 1, 1, false);
    add_relu(&layers);
    node = pf_arch_add_map_mean(builder, "mean", layers.node);
    node = pf_arch_add_dropout(builder, "classifier.0", node, 0.2f);
    pf_arch_add_linear(builder, "classifier.1", node, layers.channels, 1000);
}

/* The classifier is drawn by the number of its outputs, its bias is 0. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    if (node->op != PF_OP_LINEAR) return pf_arch_initial_inverted(node, parameter, 1);
    if (parameter->needs_bias) return (PfInitialValues){PF_INITIAL_CONSTANT, 0};
    return (PfInitialValues){PF_INITIAL_UNIFORM, sqrt(3.0 / node->out_channels)};
}

static const MnasNetConfig mnasnet0_5 = {0.5}, mnasnet0_75 = {0.75};
static const MnasNetConfig mnasnet1_0 = {1.0}, mnasnet1_3 = {1.3};

/* clang-format off */
PF_PUBLISHED_V1(mnasnet0_5, "mnasnet0.5_top1_67.823-3ffadce67e.pth", 256);
PF_PUBLISHED_V1(mnasnet0_75, "mnasnet0_75-7090bc5f.pth", 232);
PF_PUBLISHED_V1(mnasnet1_0, "mnasnet1.0_top1_73.512-f206786ef8.pth", 256);
PF_PUBLISHED_V1(mnasnet1_3, "mnasnet1_3-a4c69d6f.pth", 232);

static const PfArchVariant variants[] = {
    PF_VARIANT_V1("mnasnet0_5", mnasnet0_5, 256), PF_VARIANT_V1("mnasnet0_75", mnasnet0_75, 232), PF_VARIANT_V1("mnasnet1_0", mnasnet1_0, 256), PF_VARIANT_V1("mnasnet1_3", mnasnet1_3, 232),
};

const PfArchFamily pf_arch_mnasnet = {
    .class_name = "MNASNet", .default_tap = "mean", .example_module = "layers.13",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
