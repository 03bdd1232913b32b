#include "common/arch/basic_conv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int pf_arch_add_basic_conv(PfArchBuilder *builder, const PfBasicConv *what, int input)
{
    char name[PF_NODE_NAME_SIZE];
    snprintf(name, sizeof name, "%s.conv", what->prefix);
    int node = pf_arch_add_conv(builder, name, input, what->in_channels, what->out_channels, 1,
                                what->stride, 0, false);
    if (!builder->failed) {
        PfNode *conv = &builder->arch->nodes[node];
        memcpy(conv->kernel, what->kernel, sizeof conv->kernel);
        memcpy(conv->padding, what->padding, sizeof conv->padding);
    }
    snprintf(name, sizeof name, "%s.bn", what->prefix);
    node = pf_arch_add_batch_norm(builder, name, node, what->out_channels);
    if (!builder->failed) builder->arch->nodes[node].eps = 1e-3f;
    snprintf(name, sizeof name, "%s.relu", what->prefix);
    return pf_arch_add_relu(builder, name, "", node);
}

PfInitialValues pf_arch_initial_inception(const PfNode *node, const PfOpParameter *parameter,
                                          double linear_deviation)
{
    const int window = node->kernel[0] * node->kernel[1];
    if (node->op == PF_OP_CONV)
        return (PfInitialValues){PF_INITIAL_NORMAL, sqrt(2.0 / (node->in_channels * window))};
    if (node->op == PF_OP_LINEAR && !parameter->needs_bias)
        return (PfInitialValues){PF_INITIAL_NORMAL, linear_deviation};
    return pf_op_initial_values(node, parameter);
}
