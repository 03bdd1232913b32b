/* ResNet (He et al. 2015, arXiv:1512.03385) as torchvision builds it: the
 * stride of a bottleneck sits on its 3x3 convolution. In ResNeXt (Xie et al. 2016,
 * arXiv:1611.05431) that has groups, in Wide ResNet (Zagoruyko and Komodakis 2016,
 * arXiv:1605.07146) more channels. */
#include <stdio.h>

#include "common/arch/family.h"

typedef struct ResNetConfig {
    bool bottleneck;
    int blocks[4];
    int width; /* channels of the stem; 64 in the paper */
    int classes;
    int groups, group_width; /* of the 3x3 convolutions of bottlenecks: channels of a group in the
                                first layer */
} ResNetConfig;

typedef struct Block {
    char prefix[24]; /* "layer1.0" */
    int input, in_channels, width, out_channels, stride, groups;
} Block;

static const char *child(char *text, size_t size, const Block *block, const char *name)
{
    snprintf(text, size, "%s.%s", block->prefix, name);
    return text;
}

static int add_conv_norm(PfArchBuilder *builder, const Block *block, int number, int input,
                         int in_channels, int out_channels, int kernel, int stride)
{
    char conv[PF_NODE_NAME_SIZE], norm[PF_NODE_NAME_SIZE];
    snprintf(conv, sizeof conv, "%s.conv%d", block->prefix, number);
    snprintf(norm, sizeof norm, "%s.bn%d", block->prefix, number);
    int node = pf_arch_add_conv(builder, conv, input, in_channels, out_channels, kernel, stride,
                                kernel / 2, false);
    if (kernel > 1) pf_arch_set_groups(builder, node, block->groups);
    return pf_arch_add_batch_norm(builder, norm, node, out_channels);
}

/* The block's one ReLU module runs several times; the nodes are numbered. */
static int add_block_relu(PfArchBuilder *builder, const Block *block, int repeat, int input)
{
    char name[PF_NODE_NAME_SIZE], module[PF_NODE_NAME_SIZE];
    child(module, sizeof module, block, "relu");
    if (repeat)
        snprintf(name, sizeof name, "%s.relu_%d", block->prefix, repeat);
    else
        child(name, sizeof name, block, "relu");
    return pf_arch_add_relu(builder, name, module, input);
}

static int add_shortcut(PfArchBuilder *builder, const Block *block)
{
    char name[PF_NODE_NAME_SIZE];
    if (block->stride == 1 && block->in_channels == block->out_channels) return block->input;
    int node =
        pf_arch_add_conv(builder, child(name, sizeof name, block, "downsample.0"), block->input,
                         block->in_channels, block->out_channels, 1, block->stride, 0, false);
    return pf_arch_add_batch_norm(builder, child(name, sizeof name, block, "downsample.1"), node,
                                  block->out_channels);
}

static int finish_block(PfArchBuilder *builder, const Block *block, int last, int relus)
{
    char name[PF_NODE_NAME_SIZE];
    int shortcut = add_shortcut(builder, block);
    int sum = pf_arch_add_sum(builder, child(name, sizeof name, block, "add"), last, shortcut);
    return add_block_relu(builder, block, relus, sum);
}

static int add_basic_block(PfArchBuilder *builder, const Block *block)
{
    int node = add_conv_norm(builder, block, 1, block->input, block->in_channels, block->width, 3,
                             block->stride);
    node = add_block_relu(builder, block, 0, node);
    node = add_conv_norm(builder, block, 2, node, block->width, block->width, 3, 1);
    return finish_block(builder, block, node, 1);
}

static int add_bottleneck(PfArchBuilder *builder, const Block *block)
{
    int node =
        add_conv_norm(builder, block, 1, block->input, block->in_channels, block->width, 1, 1);
    node = add_block_relu(builder, block, 0, node);
    node = add_conv_norm(builder, block, 2, node, block->width, block->width, 3, block->stride);
    node = add_block_relu(builder, block, 1, node);
    node = add_conv_norm(builder, block, 3, node, block->width, block->out_channels, 1, 1);
    return finish_block(builder, block, node, 2);
}

static void build(PfArchBuilder *builder, const void *config)
{
    const ResNetConfig *resnet = config;
    int expansion = resnet->bottleneck ? 4 : 1, channels = resnet->width;
    builder->arch->block_class = resnet->bottleneck ? "Bottleneck" : "BasicBlock";
    int node = pf_arch_add_conv(builder, "conv1", 0, 3, channels, 7, 2, 3, false);
    node = pf_arch_add_batch_norm(builder, "bn1", node, channels);
    node = pf_arch_add_relu(builder, "relu", NULL, node);
    node = pf_arch_add_max_pool(builder, "maxpool", node, 3, 2, 1);
    for (int layer = 0; layer < 4; layer++) {
        for (int i = 0; i < resnet->blocks[layer]; i++) {
            Block block = {.input = node,
                           .in_channels = channels,
                           .width = (resnet->groups * resnet->group_width) << layer,
                           .out_channels = (resnet->width << layer) * expansion,
                           .stride = layer && !i ? 2 : 1,
                           .groups = resnet->groups};
            snprintf(block.prefix, sizeof block.prefix, "layer%d.%d", layer + 1, i);
            node = resnet->bottleneck ? add_bottleneck(builder, &block)
                                      : add_basic_block(builder, &block);
            channels = block.out_channels;
        }
    }
    node = pf_arch_add_avg_pool(builder, "avgpool", node, 1);
    node = pf_arch_add_flatten(builder, node);
    pf_arch_add_linear(builder, "fc", node, channels, resnet->classes);
}

/* clang-format off */
/* Which timm has, too, in the same layout. */
#define PUBLISHED_TIMM(label, file_name, resize_to, timm_name) \
    {.name = (label), .file = (file_name), .url = PF_TORCH_HUB_URL, \
     .preprocess = PF_IMAGENET_PREPROCESS(resize_to), .licence = "BSD-3-Clause", \
     .timm = timm_name, .hub = "timm/" timm_name}

/* V1 before V2: it is what most caches hold and what `pretrained=True` loads. */
static const PfWeightsEntry resnet18_weights[] = {
    PUBLISHED_TIMM("IMAGENET1K_V1", "resnet18-f37072fd.pth", 256, "resnet18.tv_in1k")};
static const PfWeightsEntry resnet34_weights[] = {
    PUBLISHED_TIMM("IMAGENET1K_V1", "resnet34-b627a593.pth", 256, "resnet34.tv_in1k")};
static const PfWeightsEntry resnet50_weights[] = {
    PUBLISHED_TIMM("IMAGENET1K_V1", "resnet50-0676ba61.pth", 256, "resnet50.tv_in1k"),
    PUBLISHED_TIMM("IMAGENET1K_V2", "resnet50-11ad3fa6.pth", 232, "resnet50.tv2_in1k")};
static const PfWeightsEntry resnet101_weights[] = {
    PUBLISHED_TIMM("IMAGENET1K_V1", "resnet101-63fe2227.pth", 256, "resnet101.tv_in1k"),
    PUBLISHED_TIMM("IMAGENET1K_V2", "resnet101-cd907fc2.pth", 232, "resnet101.tv2_in1k")};
static const PfWeightsEntry resnet152_weights[] = {
    PUBLISHED_TIMM("IMAGENET1K_V1", "resnet152-394f9c45.pth", 256, "resnet152.tv_in1k"),
    PUBLISHED_TIMM("IMAGENET1K_V2", "resnet152-f82ba261.pth", 232, "resnet152.tv2_in1k")};

/* Their licence is the one that timm, which publishes them too, states. */
#define ALSO_TIMM(label, file_name, resize_to, spelling) \
    {.name = (label), .file = (file_name), .url = PF_TORCH_HUB_URL, \
     .preprocess = PF_IMAGENET_PREPROCESS(resize_to), .licence = "BSD-3-Clause", \
     .timm = (spelling), .hub = "timm/" spelling}

static const PfWeightsEntry resnext50_32x4d_weights[] = {
    ALSO_TIMM("IMAGENET1K_V1", "resnext50_32x4d-7cdf4587.pth", 256, "resnext50_32x4d.tv_in1k"),
    ALSO_TIMM("IMAGENET1K_V2", "resnext50_32x4d-1a0047aa.pth", 232, "resnext50_32x4d.tv2_in1k")};
static const PfWeightsEntry resnext101_32x8d_weights[] = {
    ALSO_TIMM("IMAGENET1K_V1", "resnext101_32x8d-8ba56ff5.pth", 256, "resnext101_32x8d.tv_in1k"),
    ALSO_TIMM("IMAGENET1K_V2", "resnext101_32x8d-110c445d.pth", 232, "resnext101_32x8d.tv2_in1k")};
static const PfWeightsEntry resnext101_64x4d_weights[] = {
    ALSO_TIMM("IMAGENET1K_V1", "resnext101_64x4d-173b62eb.pth", 232, "resnext101_64x4d.tv_in1k")};
static const PfWeightsEntry wide_resnet50_2_weights[] = {
    ALSO_TIMM("IMAGENET1K_V1", "wide_resnet50_2-95faca4d.pth", 256, "wide_resnet50_2.tv_in1k"),
    ALSO_TIMM("IMAGENET1K_V2", "wide_resnet50_2-9ba9bcbe.pth", 232, "wide_resnet50_2.tv2_in1k")};
static const PfWeightsEntry wide_resnet101_2_weights[] = {
    ALSO_TIMM("IMAGENET1K_V1", "wide_resnet101_2-32ee1156.pth", 256, "wide_resnet101_2.tv_in1k"),
    ALSO_TIMM("IMAGENET1K_V2", "wide_resnet101_2-d733dc28.pth", 232, "wide_resnet101_2.tv2_in1k")};

static const ResNetConfig resnet18 = {false, {2, 2, 2, 2}, 64, 1000, 1, 64};
static const ResNetConfig resnet34 = {false, {3, 4, 6, 3}, 64, 1000, 1, 64};
static const ResNetConfig resnet50 = {true, {3, 4, 6, 3}, 64, 1000, 1, 64};
static const ResNetConfig resnet101 = {true, {3, 4, 23, 3}, 64, 1000, 1, 64};
static const ResNetConfig resnet152 = {true, {3, 8, 36, 3}, 64, 1000, 1, 64};
static const ResNetConfig resnet18_w16 = {false, {2, 2, 2, 2}, 16, 10, 1, 16};
static const ResNetConfig resnext50_32x4d = {true, {3, 4, 6, 3}, 64, 1000, 32, 4};
static const ResNetConfig resnext101_32x8d = {true, {3, 4, 23, 3}, 64, 1000, 32, 8};
static const ResNetConfig resnext101_64x4d = {true, {3, 4, 23, 3}, 64, 1000, 64, 4};
static const ResNetConfig wide_resnet50_2 = {true, {3, 4, 6, 3}, 64, 1000, 1, 128};
static const ResNetConfig wide_resnet101_2 = {true, {3, 4, 23, 3}, 64, 1000, 1, 128};

#define IMAGENET_VARIANT(network) RESIZED_VARIANT(network, 256)
#define RESIZED_VARIANT(network, resize_to) \
    {.name = #network, .config = &network, .preprocess = PF_IMAGENET_PREPROCESS(resize_to), \
     .weights = network##_weights, \
     .weights_count = sizeof network##_weights / sizeof network##_weights[0]}

static const PfArchVariant variants[] = {
    IMAGENET_VARIANT(resnet18),
    IMAGENET_VARIANT(resnet34),
    IMAGENET_VARIANT(resnet50),
    IMAGENET_VARIANT(resnet101),
    IMAGENET_VARIANT(resnet152),
    IMAGENET_VARIANT(resnext50_32x4d),
    IMAGENET_VARIANT(resnext101_32x8d),
    RESIZED_VARIANT(resnext101_64x4d, 232),
    IMAGENET_VARIANT(wide_resnet50_2),
    IMAGENET_VARIANT(wide_resnet101_2),
    /* A quarter of the width, for CIFAR-10 enlarged to 96 pixels: the sample's backbone. */
    {.name = "resnet18_w16", .config = &resnet18_w16,
     .preprocess = {.resize = 96, .crop = 96, .interpolation = PF_BILINEAR,
                    .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}}},
};

const PfArchFamily pf_arch_resnet = {
    .class_name = "ResNet", .default_tap = "avgpool", .example_module = "layer3", .variants = variants,
    .variant_count = sizeof variants / sizeof variants[0], .build = build,
    .initial = pf_op_initial_values,
};
/* clang-format on */
