#include "common/arch/family.h"

#include <stdio.h>

#include "common/base/memory.h"

const int pf_arch_channels_last[3] = {1, 2, 0}, pf_arch_channels_first[3] = {2, 0, 1};

PfNode *pf_arch_add(PfArchBuilder *builder, PfOp op, const char *name, const char *module,
                    int input, int *index)
{
    static PfNode ignored; /* where additions go once one has failed */
    PfArch *arch = builder->arch;
    if (builder->failed || pf_grow(&arch->nodes, &builder->capacity, (size_t)arch->node_count + 1,
                                   sizeof *arch->nodes, builder->err)) {
        builder->failed = true;
        *index = 0;
        return &ignored;
    }
    *index = arch->node_count++;
    PfNode *node = &arch->nodes[*index];
    *node = (PfNode){
        .op = op, .inputs = {input}, .input_count = op != PF_OP_INPUT && op != PF_OP_PARAMETER};
    snprintf(node->name, sizeof node->name, "%s", name);
    snprintf(node->module, sizeof node->module, "%s", module ? module : name);
    return node;
}

void pf_arch_set_window(PfNode *node, int kernel, int stride, int padding)
{
    for (int axis = 0; axis < 2; axis++) {
        node->kernel[axis] = kernel;
        node->stride[axis] = stride;
        node->padding[axis] = padding;
        node->dilation[axis] = 1;
    }
}

int pf_arch_add_conv(PfArchBuilder *builder, const char *name, int input, int in_channels,
                     int out_channels, int kernel, int stride, int padding, bool bias)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_CONV, name, NULL, input, &index);
    node->in_channels = in_channels;
    node->out_channels = out_channels;
    pf_arch_set_window(node, kernel, stride, padding);
    node->groups = 1;
    node->bias = bias;
    return index;
}

void pf_arch_set_groups(PfArchBuilder *builder, int conv, int groups)
{
    if (!builder->failed) builder->arch->nodes[conv].groups = groups;
}

int pf_arch_add_batch_norm(PfArchBuilder *builder, const char *name, int input, int channels)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_BATCH_NORM, name, NULL, input, &index);
    node->in_channels = node->out_channels = channels;
    node->eps = 1e-5f;
    return index;
}

int pf_arch_add_relu(PfArchBuilder *builder, const char *name, const char *module, int input)
{
    int index;
    pf_arch_add(builder, PF_OP_RELU, name, module, input, &index);
    return index;
}

int pf_arch_add_max_pool(PfArchBuilder *builder, const char *name, int input, int kernel,
                         int stride, int padding)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_MAX_POOL, name, NULL, input, &index);
    pf_arch_set_window(node, kernel, stride, padding);
    return index;
}

int pf_arch_add_avg_pool(PfArchBuilder *builder, const char *name, int input, int size)
{
    int index;
    pf_arch_add(builder, PF_OP_ADAPTIVE_AVG_POOL, name, NULL, input, &index)->pool_size = size;
    return index;
}

int pf_arch_add_map_mean(PfArchBuilder *builder, const char *name, int input)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_MEAN, name, "", input, &index);
    node->axes[0] = 1;
    node->axes[1] = 2;
    node->axis_count = 2;
    return index;
}

int pf_arch_add_flatten(PfArchBuilder *builder, int input)
{
    int index;
    pf_arch_add(builder, PF_OP_FLATTEN, "flatten", "", input, &index);
    return index;
}

int pf_arch_add_dropout(PfArchBuilder *builder, const char *name, int input, float probability)
{
    int index;
    pf_arch_add(builder, PF_OP_DROPOUT, name, NULL, input, &index)->dropout = probability;
    return index;
}

int pf_arch_add_linear(PfArchBuilder *builder, const char *name, int input, int in_features,
                       int out_features)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_LINEAR, name, NULL, input, &index);
    node->in_channels = in_features;
    node->out_channels = out_features;
    node->bias = 1;
    return index;
}

int pf_arch_add_plain(PfArchBuilder *builder, PfOp op, const char *name, int input)
{
    int index;
    pf_arch_add(builder, op, name, NULL, input, &index);
    return index;
}

int pf_arch_add_relu6(PfArchBuilder *builder, const char *name, int input)
{
    int index;
    pf_arch_add(builder, PF_OP_CLIP, name, NULL, input, &index)->high = 6;
    return index;
}

int pf_arch_add_pair(PfArchBuilder *builder, PfOp op, const char *name, int left, int right)
{
    int index;
    PfNode *node = pf_arch_add(builder, op, name, "", left, &index);
    node->inputs[1] = right;
    node->input_count = 2;
    return index;
}

int pf_arch_add_sum(PfArchBuilder *builder, const char *name, int left, int right)
{
    return pf_arch_add_pair(builder, PF_OP_ADD, name, left, right);
}

int pf_arch_add_layer_norm(PfArchBuilder *builder, PfOp op, const char *name, int input,
                           int channels, float eps)
{
    int index;
    PfNode *node = pf_arch_add(builder, op, name, NULL, input, &index);
    node->in_channels = node->out_channels = channels;
    node->eps = eps;
    return index;
}

int pf_arch_add_permute(PfArchBuilder *builder, const char *name, const char *module, int input,
                        const int *axes, int count)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_PERMUTE, name, module, input, &index);
    for (int i = 0; i < count; i++) node->axes[i] = axes[i];
    node->axis_count = count;
    return index;
}
