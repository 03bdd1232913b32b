/* What the families of inverted residuals share: MobileNets, EfficientNets and their like. */
#ifndef PF_COMMON_ARCH_INVERTED_RESIDUAL_H
#define PF_COMMON_ARCH_INVERTED_RESIDUAL_H

#include "common/arch/family.h"

/* A convolution, a batch norm and, unless activation is PF_OP_INPUT, an activation (PF_OP_CLIP is
 * ReLU6), named prefix.0, prefix.1, prefix.2 as torchvision's Conv2dNormActivation names them. */
typedef struct PfConvNorm {
    const char *prefix;
    int in_channels, out_channels, kernel, stride, groups;
    float eps, momentum; /* of the norm */
    PfOp activation;
} PfConvNorm;

int pf_arch_add_conv_norm(PfArchBuilder *builder, const PfConvNorm *what, int input);

/* Scales each channel by what two layers make of the means of all (Hu et al. 2017,
 * arXiv:1709.01507), as torchvision's SqueezeExcitation. */
int pf_arch_add_squeeze_excitation(PfArchBuilder *builder, const char *prefix, int input,
                                   int channels, int squeezed, PfOp activation, PfOp gate);

/* channels * factor as a multiple of 8 that is no more than a tenth smaller. */
int pf_arch_scaled_channels(double channels, double factor);

/* Convolutions by He's rule for what goes out of each group, times the gain, gates that begin open;
 * other operations' as ever. torchvision leaves out the groups and the gain, and its gates begin
 * half open: through a network whose norms have not learned yet, what it draws becomes too small
 * for half precision. */
PfInitialValues pf_arch_initial_inverted(const PfNode *node, const PfOpParameter *parameter,
                                         double gain);

#endif
