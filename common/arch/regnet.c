/* RegNet (Radosavovic et al. 2020, arXiv:2003.13678) as torchvision builds it: the X networks, and
 * the Y networks, whose blocks squeeze and excite. */
#include <stdio.h>

#include "common/arch/inverted_residual.h"

typedef struct RegNetConfig {
    int blocks[4], widths[4];
    int group_widths[2]; /* channels of a group in the first stage, and in the others */
    bool squeezes;
} RegNetConfig;

/* One block. */
typedef struct Block {
    char prefix[48]; /* "trunk_output.block1.block1-0" */
    int input, in_channels, out_channels, stride, groups;
    bool squeezes;
} Block;

static int add_part(PfArchBuilder *builder, const Block *block, const char *part, PfConvNorm conv,
                    int input)
{
    char name[PF_NODE_NAME_SIZE];
    snprintf(name, sizeof name, "%s.%s", block->prefix, part);
    conv.prefix = name;
    conv.eps = 1e-5f;
    return pf_arch_add_conv_norm(builder, &conv, input);
}

static int add_block(PfArchBuilder *builder, const Block *block)
{
    char name[PF_NODE_NAME_SIZE];
    const int in = block->in_channels, out = block->out_channels, stride = block->stride;
    int shortcut = block->input, node = block->input;
    PfConvNorm conv = {"", in, out, 1, stride, 1, .activation = PF_OP_INPUT};
    if (in != out || stride > 1) shortcut = add_part(builder, block, "proj", conv, shortcut);
    conv = (PfConvNorm){"", in, out, 1, 1, 1, .activation = PF_OP_RELU};
    node = add_part(builder, block, "f.a", conv, node);
    conv = (PfConvNorm){"", out, out, 3, stride, block->groups, .activation = PF_OP_RELU};
    node = add_part(builder, block, "f.b", conv, node);
    snprintf(name, sizeof name, "%s.f.se", block->prefix);
    if (block->squeezes)
        node = pf_arch_add_squeeze_excitation(builder, name, node, out, in / 4, PF_OP_RELU,
                                              PF_OP_SIGMOID);
    conv = (PfConvNorm){"", out, out, 1, 1, 1, .activation = PF_OP_INPUT};
    node = add_part(builder, block, "f.c", conv, node);
    snprintf(name, sizeof name, "%s.add", block->prefix);
    node = pf_arch_add_sum(builder, name, shortcut, node);
    snprintf(name, sizeof name, "%s.activation", block->prefix);
    return pf_arch_add_relu(builder, name, NULL, node);
}

static void build(PfArchBuilder *builder, const void *config)
{
    const RegNetConfig *net = config;
    int channels = 32;
    const PfConvNorm stem = {"stem", 3, channels, 3, 2, 1, 1e-5f, 0, PF_OP_RELU};
    int node = pf_arch_add_conv_norm(builder, &stem, 0);
    for (int stage = 0; stage < 4; stage++)
        for (int i = 0; i < net->blocks[stage]; i++) {
            const int width = net->widths[stage];
            Block block = {.input = node,
                           .in_channels = channels,
                           .out_channels = width,
                           .stride = i ? 1 : 2,
                           .groups = width / net->group_widths[stage > 0],
                           .squeezes = net->squeezes};
            snprintf(block.prefix, sizeof block.prefix, "trunk_output.block%d.block%d-%d",
                     stage + 1, stage + 1, i);
            node = add_block(builder, &block);
            channels = width;
        }
    node = pf_arch_add_avg_pool(builder, "avgpool", node, 1);
    node = pf_arch_add_flatten(builder, node);
    pf_arch_add_linear(builder, "fc", node, channels, 1000);
}

/* Convolutions by He's rule for what goes out; linears are drawn from N(0, 0.01), their biases are
 * 0. */
static PfInitialValues initial(const PfNode *node, const PfOpParameter *parameter)
{
    if (node->op != PF_OP_LINEAR) return pf_op_initial_values(node, parameter);
    return parameter->needs_bias ? (PfInitialValues){PF_INITIAL_CONSTANT, 0}
                                 : (PfInitialValues){PF_INITIAL_NORMAL, 0.01};
}

/* clang-format off */
#define X(network, ...) static const RegNetConfig network = {__VA_ARGS__, false}
X(x_400mf, {1, 2, 7, 12}, {32, 64, 160, 400}, {16, 16});
X(x_800mf, {1, 3, 7, 5}, {64, 128, 288, 672}, {16, 16});
X(x_1_6gf, {2, 4, 10, 2}, {72, 168, 408, 912}, {24, 24});
X(x_3_2gf, {2, 6, 15, 2}, {96, 192, 432, 1008}, {48, 48});
X(x_8gf, {2, 5, 15, 1}, {80, 240, 720, 1920}, {80, 120});
X(x_16gf, {2, 6, 13, 1}, {256, 512, 896, 2048}, {128, 128});
X(x_32gf, {2, 7, 13, 1}, {336, 672, 1344, 2520}, {168, 168});
#define Y(network, ...) static const RegNetConfig network = {__VA_ARGS__, true}
Y(y_400mf, {1, 3, 6, 6}, {48, 104, 208, 440}, {8, 8});
Y(y_800mf, {1, 3, 8, 2}, {64, 144, 320, 784}, {16, 16});
Y(y_1_6gf, {2, 6, 17, 2}, {48, 120, 336, 888}, {24, 24});
Y(y_3_2gf, {2, 5, 13, 1}, {72, 216, 576, 1512}, {24, 24});
Y(y_8gf, {2, 4, 10, 1}, {224, 448, 896, 2016}, {56, 56});
Y(y_16gf, {2, 4, 11, 1}, {224, 448, 1232, 3024}, {112, 112});
Y(y_32gf, {2, 5, 12, 1}, {232, 696, 1392, 3712}, {232, 232});
Y(y_128gf, {2, 7, 17, 1}, {528, 1056, 2904, 7392}, {264, 264});

#define FILE_OF(label, file_name, ...) \
    {.name = (label), .file = (file_name), .url = PF_TORCH_HUB_URL, .preprocess = __VA_ARGS__, \
     .licence = "BSD-3-Clause"}
#define BOTH(network, first, second) \
    FILE_OF("IMAGENET1K_V1", "regnet_" #network "-" first ".pth", PF_IMAGENET_PREPROCESS(256)), \
    FILE_OF("IMAGENET1K_V2", "regnet_" #network "-" second ".pth", PF_IMAGENET_PREPROCESS(232))
/* Trained on Instagram's images (Singh et al. 2022, arXiv:2201.08371), then the whole network or
 * the classifier alone on ImageNet. */
#define SWAG(label, file_name, side) \
    {.name = (label), .file = (file_name), .url = PF_TORCH_HUB_URL, \
     .preprocess = PF_IMAGENET_SIZES(side, side, PF_BICUBIC), .licence = "CC-BY-NC-4.0"}
#define SWAGS(network, whole, classifier) \
    SWAG("IMAGENET1K_SWAG_E2E_V1", "regnet_" #network "_swag-" whole ".pth", 384), \
    SWAG("IMAGENET1K_SWAG_LINEAR_V1", "regnet_" #network "_lc_swag-" classifier ".pth", 224)

static const PfWeightsEntry x_400mf_weights[] = {BOTH(x_400mf, "adf1edd5", "62229a5f")};
static const PfWeightsEntry x_800mf_weights[] = {BOTH(x_800mf, "ad17e45c", "94a99ebd")};
static const PfWeightsEntry x_1_6gf_weights[] = {BOTH(x_1_6gf, "e3633e7f", "a12f2b72")};
static const PfWeightsEntry x_3_2gf_weights[] = {BOTH(x_3_2gf, "f342aeae", "7071aa85")};
static const PfWeightsEntry x_8gf_weights[] = {BOTH(x_8gf, "03ceed89", "2b70d774")};
static const PfWeightsEntry x_16gf_weights[] = {BOTH(x_16gf, "2007eb11", "ba3796d7")};
static const PfWeightsEntry x_32gf_weights[] = {BOTH(x_32gf, "9d47f8d0", "6eb8fdc6")};
static const PfWeightsEntry y_400mf_weights[] = {BOTH(y_400mf, "c65dace8", "e6988f5f")};
static const PfWeightsEntry y_800mf_weights[] = {BOTH(y_800mf, "1b27b58c", "58fc7688")};
static const PfWeightsEntry y_1_6gf_weights[] = {BOTH(y_1_6gf, "b11a554e", "0d7bc02a")};
static const PfWeightsEntry y_3_2gf_weights[] = {BOTH(y_3_2gf, "b5a9779c", "9180c971")};
static const PfWeightsEntry y_8gf_weights[] = {BOTH(y_8gf, "d0d0e4a8", "dc2b1b54")};
static const PfWeightsEntry y_16gf_weights[] = {BOTH(y_16gf, "9e6ed7dd", "3e4a00f9"), SWAGS(y_16gf, "43afe44d", "f3ec0043")};
static const PfWeightsEntry y_32gf_weights[] = {BOTH(y_32gf, "4dee3f7a", "8db6d4b5"), SWAGS(y_32gf, "04fdfa75", "e1583746")};
static const PfWeightsEntry y_128gf_weights[] = {SWAGS(y_128gf, "c8ce3e52", "cbe8ce12")};

#define VARIANT(network, ...) \
    {.name = "regnet_" #network, .config = &network, .preprocess = __VA_ARGS__, \
     .weights = network##_weights, \
     .weights_count = sizeof network##_weights / sizeof network##_weights[0]}
#define USUAL(network) VARIANT(network, PF_IMAGENET_PREPROCESS(256))

static const PfArchVariant variants[] = {
    USUAL(x_400mf), USUAL(x_800mf), USUAL(x_1_6gf), USUAL(x_3_2gf), USUAL(x_8gf), USUAL(x_16gf), USUAL(x_32gf),
    USUAL(y_400mf), USUAL(y_800mf), USUAL(y_1_6gf), USUAL(y_3_2gf), USUAL(y_8gf), USUAL(y_16gf), USUAL(y_32gf),
    VARIANT(y_128gf, PF_IMAGENET_SIZES(384, 384, PF_BICUBIC)),
};

const PfArchFamily pf_arch_regnet = {
    .class_name = "RegNet", .default_tap = "avgpool", .example_module = "trunk_output.block4",
    .variants = variants, .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = initial,
};
/* clang-format on */
