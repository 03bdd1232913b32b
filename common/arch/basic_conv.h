/* What the two Inception families share. */
#ifndef PF_COMMON_ARCH_BASIC_CONV_H
#define PF_COMMON_ARCH_BASIC_CONV_H

#include "common/arch/family.h"

/* A convolution, a batch norm and a ReLU, named prefix.conv, prefix.bn, prefix.relu as
 * torchvision's BasicConv2d names them. Kernels and paddings are those along y and x. */
typedef struct PfBasicConv {
    const char *prefix;
    int in_channels, out_channels;
    int kernel[2], padding[2], stride;
} PfBasicConv;

int pf_arch_add_basic_conv(PfArchBuilder *builder, const PfBasicConv *what, int input);

/* Convolutions by He's rule for what goes in; the classifier as the constructors draw it. They draw
 * convolutions from N(0, 0.1) and N(0, 0.01), whatever their inputs: before the norms have learned,
 * numbers would grow from layer to layer in one network, and vanish in the other. */
PfInitialValues pf_arch_initial_inception(const PfNode *node, const PfOpParameter *parameter,
                                          double linear_deviation);

/* torchvision gives its published weights a model whose `transform_input` turns pixels that are
 * normalised by ImageNet's mean and deviation into ones normalised by 1/2 and 1/2, as the weights
 * were trained by TensorFlow. The two steps are one, (pixel - 1/2) / (1/2), and here it is the
 * preprocessing of these weights: so a state dict from here goes with a model whose transform_input
 * is False, as it is without `weights=`, and with pixels that are prepared like this. */
/* clang-format off */
#define PF_INCEPTION_PREPROCESS(resize_to, crop_to) \
    {.resize = (resize_to), .crop = (crop_to), .interpolation = PF_BILINEAR, \
     .mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}}
/* clang-format on */

#endif
