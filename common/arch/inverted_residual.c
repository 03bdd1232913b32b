#include "common/arch/inverted_residual.h"

#include <math.h>
#include <stdio.h>

int pf_arch_add_conv_norm(PfArchBuilder *builder, const PfConvNorm *what, int input)
{
    char name[PF_NODE_NAME_SIZE];
    snprintf(name, sizeof name, "%s.0", what->prefix);
    int node = pf_arch_add_conv(builder, name, input, what->in_channels, what->out_channels,
                                what->kernel, what->stride, what->kernel / 2, false);
    pf_arch_set_groups(builder, node, what->groups);
    snprintf(name, sizeof name, "%s.1", what->prefix);
    node = pf_arch_add_batch_norm(builder, name, node, what->out_channels);
    if (!builder->failed) builder->arch->nodes[node].eps = what->eps;
    if (!builder->failed) builder->arch->nodes[node].momentum = what->momentum;
    if (what->activation == PF_OP_INPUT) return node;
    snprintf(name, sizeof name, "%s.2", what->prefix);
    if (what->activation == PF_OP_CLIP) return pf_arch_add_relu6(builder, name, node);
    return pf_arch_add_plain(builder, what->activation, name, node);
}

static const char *child(char *text, size_t size, const char *prefix, const char *name)
{
    snprintf(text, size, "%s.%s", prefix, name);
    return text;
}

int pf_arch_add_squeeze_excitation(PfArchBuilder *builder, const char *prefix, int input,
                                   int channels, int squeezed, PfOp activation, PfOp gate)
{
    char name[PF_NODE_NAME_SIZE];
    const size_t size = sizeof name;
    int node = pf_arch_add_avg_pool(builder, child(name, size, prefix, "avgpool"), input, 1);
    node = pf_arch_add_conv(builder, child(name, size, prefix, "fc1"), node, channels, squeezed, 1,
                            1, 0, true);
    node = pf_arch_add_plain(builder, activation, child(name, size, prefix, "activation"), node);
    node = pf_arch_add_conv(builder, child(name, size, prefix, "fc2"), node, squeezed, channels, 1,
                            1, 0, true);
    node = pf_arch_add_plain(builder, gate, child(name, size, prefix, "scale_activation"), node);
    return pf_arch_add_pair(builder, PF_OP_MULTIPLY, child(name, size, prefix, "mul"), node, input);
}

int pf_arch_scaled_channels(double channels, double factor)
{
    const double exact = channels * factor;
    int rounded = (int)(exact + 4) / 8 * 8;
    if (rounded < 8) rounded = 8;
    return rounded < 0.9 * exact ? rounded + 8 : rounded;
}

PfInitialValues pf_arch_initial_inverted(const PfNode *node, const PfOpParameter *parameter,
                                         double gain)
{
    const bool is_gate = node->bias && node->out_channels > node->in_channels;
    if (node->op != PF_OP_CONV) return pf_op_initial_values(node, parameter);
    if (parameter->needs_bias) return (PfInitialValues){PF_INITIAL_CONSTANT, is_gate ? 3 : 0};
    const int window = node->kernel[0] * node->kernel[1];
    const double outputs = (double)node->out_channels * window / node->groups;
    return (PfInitialValues){PF_INITIAL_NORMAL, gain * sqrt(2 / outputs)};
}
