/* How the files of one network family describe themselves to arch.c. */
#ifndef PF_COMMON_ARCH_FAMILY_H
#define PF_COMMON_ARCH_FAMILY_H

#include "common/arch/ops.h"

/* A growing graph. Adding never fails visibly: the first failure sticks in
 * `failed` and pf_arch_new reports it. */
typedef struct PfArchBuilder {
    PfArch *arch;
    size_t capacity;
    bool failed;
    PfError *err;
} PfArchBuilder;

/* One network of a family. */
typedef struct PfArchVariant {
    const char *name;
    const void *config; /* the family's own */
    PfPreprocess preprocess;
    const PfWeightsEntry *weights;
    int weights_count;
} PfArchVariant;

typedef struct PfArchFamily {
    const char *class_name; /* torchvision's: "ResNet" */
    const char *default_tap;
    const char *example_module; /* for messages: "layer3" */
    const PfArchVariant *variants;
    int variant_count;
    void (*build)(PfArchBuilder *builder, const void *config);
    /* How its constructor draws a parameter: pf_op_initial_values, or a function that differs. */
    PfInitialValues (*initial)(const PfNode *node, const PfOpParameter *parameter);
} PfArchFamily;

extern const PfArchFamily pf_arch_resnet, pf_arch_vgg, pf_arch_densenet, pf_arch_mobilenet_v3,
    pf_arch_efficientnet, pf_arch_convnext, pf_arch_vit, pf_arch_vit_timm, pf_arch_dinov2;
extern const PfArchFamily pf_arch_inception, pf_arch_googlenet, pf_arch_regnet,
    pf_arch_mobilenet_v2, pf_arch_squeezenet, pf_arch_shufflenet_v2, pf_arch_mnasnet,
    pf_arch_alexnet, pf_arch_efficientnet_lite;
extern const PfArchFamily pf_arch_clip, pf_arch_siglip, pf_arch_dinov3_convnext, pf_arch_swin,
    pf_arch_dinov3_vit;

/* The networks that can be built by name, of which none needs to be built for this: that of the
 * index, in the order of pf_arch_names; NULL past the last. Static. */
const PfArchVariant *pf_arch_variant(size_t index);
/* That of the name, or NULL. */
const PfArchVariant *pf_arch_find_variant(const char *name);

/* Adds a node with one input and returns its index. `module` NULL: the name.
 * The caller fills what the op needs through the returned pointer, which is
 * valid until the next addition. */
PfNode *pf_arch_add(PfArchBuilder *builder, PfOp op, const char *name, const char *module,
                    int input, int *index);

/* A square window of a conv or a pool, the same along both axes, without dilation. */
void pf_arch_set_window(PfNode *node, int kernel, int stride, int padding);

int pf_arch_add_conv(PfArchBuilder *builder, const char *name, int input, int in_channels,
                     int out_channels, int kernel, int stride, int padding, bool bias);
/* Of a convolution that is one of several side by side. */
void pf_arch_set_groups(PfArchBuilder *builder, int conv, int groups);
int pf_arch_add_batch_norm(PfArchBuilder *builder, const char *name, int input, int channels);
int pf_arch_add_relu(PfArchBuilder *builder, const char *name, const char *module, int input);
int pf_arch_add_max_pool(PfArchBuilder *builder, const char *name, int input, int kernel,
                         int stride, int padding);
int pf_arch_add_avg_pool(PfArchBuilder *builder, const char *name, int input, int size);
/* The means of maps, as a vector. */
int pf_arch_add_map_mean(PfArchBuilder *builder, const char *name, int input);
int pf_arch_add_flatten(PfArchBuilder *builder, int input);
int pf_arch_add_dropout(PfArchBuilder *builder, const char *name, int input, float probability);
int pf_arch_add_linear(PfArchBuilder *builder, const char *name, int input, int in_features,
                       int out_features);
int pf_arch_add_sum(PfArchBuilder *builder, const char *name, int left, int right);
/* An operation of one input that needs no more: an activation, a softmax. */
int pf_arch_add_plain(PfArchBuilder *builder, PfOp op, const char *name, int input);
/* A clip to 0 ... 6. */
int pf_arch_add_relu6(PfArchBuilder *builder, const char *name, int input);
/* An operation of two inputs that belongs to no module. */
int pf_arch_add_pair(PfArchBuilder *builder, PfOp op, const char *name, int left, int right);
/* Orders of axes: of a map (h, w, c) out of (c, h, w), and back. */
extern const int pf_arch_channels_last[3], pf_arch_channels_first[3];
/* The axes of the input, so many, in another order. */
int pf_arch_add_permute(PfArchBuilder *builder, const char *name, const char *module, int input,
                        const int *axes, int count);
int pf_arch_add_layer_norm(PfArchBuilder *builder, PfOp op, const char *name, int input,
                           int channels, float eps);

/* As the constructor of the network draws a parameter of the node; of a network without a family,
 * as pf_op_initial_values. */
PfInitialValues pf_arch_initial_values(const PfArch *arch, const PfNode *node,
                                       const PfOpParameter *parameter);

/* Preprocessing of nearly all ImageNet weights: Resize(resize) bilinear,
 * CenterCrop(224), the usual mean and deviation. */
/* clang-format off */
#define PF_IMAGENET_PREPROCESS(resize_to) PF_IMAGENET_SIZES(resize_to, 224, PF_BILINEAR)
/* The same at other sizes. */
#define PF_IMAGENET_SIZES(resize_to, crop_to, how) \
    {.resize = (resize_to), .crop = (crop_to), .interpolation = (how), \
     .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}}
/* clang-format on */

#define PF_TORCH_HUB_URL "https://download.pytorch.org/models/"

/* Networks whose only weights are torchvision's first ones, at 224 pixels: the array
 * `config`_weights, and the row of variants. */
/* clang-format off */
#define PF_PUBLISHED_V1(config, file_name, resize_to) \
    static const PfWeightsEntry config##_weights[] = { \
        {.name = "IMAGENET1K_V1", .file = (file_name), .url = PF_TORCH_HUB_URL, \
         .preprocess = PF_IMAGENET_PREPROCESS(resize_to), .licence = "BSD-3-Clause"}}
#define PF_VARIANT_V1(network, config_, resize_to) \
    {.name = (network), .config = &config_, .preprocess = PF_IMAGENET_PREPROCESS(resize_to), \
     .weights = config_##_weights, .weights_count = 1}
/* clang-format on */

#endif
