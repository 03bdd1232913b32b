/* Shapes, parameters and multiply-adds of a network. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "integers.h"
#include "memory.h"
#include "permafrost/arch.h"

/* Output side of a convolution or pooling window (torch's floor mode). */
static int64_t window_size(const PfNode *node, int64_t size)
{
    return pf_window_outputs(size, node->kernel, node->stride, node->padding, node->dilation);
}

static int window_shape(const PfNode *node, const PfShape *in, PfShape *out, int channels,
                        PfError *err)
{
    *out = (PfShape){3, {channels, window_size(node, in->dims[1]), window_size(node, in->dims[2])}};
    if (out->dims[1] > 0 && out->dims[2] > 0) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "the input is too small: at node '%s' a map of %lldx%lld is smaller than the "
                   "%dx%d window. Use a larger --crop.",
                   node->name, (long long)in->dims[1], (long long)in->dims[2], node->kernel,
                   node->kernel);
}

static int linear_shape(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    if (pf_shape_count(in) != node->in_channels)
        return pf_fail(err, PF_EXIT_FAILED, "node '%s' takes %d features, found %lld", node->name,
                       node->in_channels, (long long)pf_shape_count(in));
    *out = (PfShape){1, {node->out_channels}};
    return 0;
}

static int node_shape(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    switch (node->op) {
    case PF_OP_CONV: return window_shape(node, in, out, node->out_channels, err);
    case PF_OP_MAX_POOL: return window_shape(node, in, out, (int)in->dims[0], err);
    case PF_OP_LINEAR: return linear_shape(node, in, out, err);
    case PF_OP_ADAPTIVE_AVG_POOL:
        *out = (PfShape){3, {in->dims[0], node->pool_size, node->pool_size}};
        return 0;
    case PF_OP_FLATTEN: *out = (PfShape){1, {pf_shape_count(in)}}; return 0;
    default: *out = *in; return 0;
    }
}

int pf_arch_infer_shapes(const PfArch *arch, int input_height, int input_width, PfShape *shapes,
                         PfError *err)
{
    shapes[0] = (PfShape){3, {3, input_height, input_width}};
    for (int i = 1; i < arch->node_count; i++) {
        const PfNode *node = &arch->nodes[i];
        if (node_shape(node, &shapes[node->inputs[0]], &shapes[i], err)) return -1;
    }
    return 0;
}

PfShape pf_arch_stored_shape(PfShape shape)
{
    if (shape.rank == 3 && shape.dims[1] == 1 && shape.dims[2] == 1) shape.rank = 1;
    return shape;
}

/* What a node reads from the weight file, in torch's order. */
static int node_parameters(const PfNode *node, PfParameter out[4])
{
    int channels = node->out_channels;
    PfShape vector = {1, {channels}};
    PfShape matrix = {2, {channels, node->in_channels}};
    PfShape kernel = {4,
                      {channels, node->in_channels / (node->groups ? node->groups : 1),
                       node->kernel, node->kernel}};
    static const char *const norm[] = {"weight", "bias", "running_mean", "running_var"};
    int count = 0;
    if (node->op == PF_OP_BATCH_NORM)
        for (; count < 4; count++) {
            out[count] = (PfParameter){.shape = vector, .is_buffer = count >= 2};
            snprintf(out[count].name, sizeof out[count].name, "%s.%s", node->module, norm[count]);
        }
    if (node->op == PF_OP_CONV || node->op == PF_OP_LINEAR)
        for (; count < 1 + node->bias; count++) {
            PfShape weight = node->op == PF_OP_CONV ? kernel : matrix;
            out[count] = (PfParameter){.shape = count ? vector : weight};
            snprintf(out[count].name, sizeof out[count].name, "%s.%s", node->module, norm[count]);
        }
    return count;
}

int pf_arch_parameters(const PfArch *arch, int last, PfParameter **out, int *count, PfError *err)
{
    unsigned char *needed = pf_calloc((size_t)arch->node_count, 1, err);
    PfParameter *list = pf_calloc((size_t)arch->node_count * 4, sizeof *list, err);
    if (!needed || !list) {
        free(needed);
        free(list);
        return -1;
    }
    pf_arch_mark_needed(arch, last, needed);
    int total = 0;
    for (int i = 0; i <= last; i++) {
        if (!needed[i]) continue;
        int added = node_parameters(&arch->nodes[i], list + total);
        for (int k = 0; k < added; k++) list[total + k].node = i;
        total += added;
    }
    free(needed);
    *out = list;
    *count = total;
    return 0;
}

int64_t pf_node_parameter_count(const PfNode *node)
{
    PfParameter parameters[4];
    int count = node_parameters(node, parameters);
    int64_t total = 0;
    for (int i = 0; i < count; i++)
        if (!parameters[i].is_buffer) total += pf_shape_count(&parameters[i].shape);
    return total;
}

int64_t pf_node_multiply_adds(const PfNode *node, const PfShape *output)
{
    int64_t parameters = pf_node_parameter_count(node);
    return node->op == PF_OP_CONV ? parameters * output->dims[1] * output->dims[2] : parameters;
}

const char *pf_op_class_name(PfOp op)
{
    static const char *const names[] = {
        [PF_OP_INPUT] = "",
        [PF_OP_CONV] = "Conv2d",
        [PF_OP_BATCH_NORM] = "BatchNorm2d",
        [PF_OP_RELU] = "ReLU",
        [PF_OP_MAX_POOL] = "MaxPool2d",
        [PF_OP_ADAPTIVE_AVG_POOL] = "AdaptiveAvgPool2d",
        [PF_OP_FLATTEN] = "",
        [PF_OP_DROPOUT] = "Dropout",
        [PF_OP_LINEAR] = "Linear",
        [PF_OP_ADD] = "",
    };
    return names[op];
}
