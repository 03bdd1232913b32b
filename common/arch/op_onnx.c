/* Operations in ONNX's terms: see op_columns.h. */
#include <assert.h>

#include "common/arch/op_columns.h"

/* ---- ONNX ---- */

static PfOnnxNode *onnx_node(PfOnnxNodes *out, const char *type, const char *inputs)
{
    assert((size_t)out->count < sizeof out->nodes / sizeof out->nodes[0]);
    PfOnnxNode *node = &out->nodes[out->count++];
    *node = (PfOnnxNode){.type = type, .inputs = inputs};
    return node;
}

static PfOnnxAttribute *add_attribute(PfOnnxNode *node, const char *name, PfOnnxKind kind)
{
    assert((size_t)node->attribute_count < sizeof node->attributes / sizeof node->attributes[0]);
    PfOnnxAttribute *attribute = &node->attributes[node->attribute_count++];
    *attribute = (PfOnnxAttribute){.name = name, .kind = kind};
    return attribute;
}

static void add_int(PfOnnxNode *node, const char *name, int64_t value)
{
    add_attribute(node, name, PF_ONNX_INT)->ints[0] = value;
}

static void add_float(PfOnnxNode *node, const char *name, float value)
{
    add_attribute(node, name, PF_ONNX_FLOAT)->number = value;
}

static void add_pair(PfOnnxNode *node, const char *name, int64_t height, int64_t width)
{
    PfOnnxAttribute *attribute = add_attribute(node, name, PF_ONNX_INTS);
    attribute->count = 2;
    attribute->ints[0] = height;
    attribute->ints[1] = width;
}

/* The attributes of windows, with the same padding at opposite sides. */
static void add_window(PfOnnxNode *out, const PfNode *node)
{
    add_pair(out, "kernel_shape", node->kernel[0], node->kernel[1]);
    add_pair(out, "strides", node->stride[0], node->stride[1]);
    add_pair(out, "dilations", node->dilation[0], node->dilation[1]);
    PfOnnxAttribute *pads = add_attribute(out, "pads", PF_ONNX_INTS);
    for (pads->count = 0; pads->count < 4; pads->count++)
        pads->ints[pads->count] = node->padding[pads->count % 2];
}

/* What a column takes; most need only some of it. */
#define COLUMN(name)                                                                               \
    int name(UNUSED const PfArch *arch, UNUSED const PfNode *node, UNUSED const PfShape *in,       \
             UNUSED PfOnnxNodes *out, UNUSED PfError *err)

COLUMN(pf_op_onnx_unchanged)
{
    return 0;
}

COLUMN(pf_op_onnx_conv)
{
    PfOnnxNode *conv = onnx_node(out, "Conv", "0 weight bias");
    add_window(conv, node);
    add_int(conv, "group", node->groups);
    return 0;
}

COLUMN(pf_op_onnx_batch_norm)
{
    PfOnnxNode *norm =
        onnx_node(out, "BatchNormalization", "0 weight bias running_mean running_var");
    add_float(norm, "epsilon", node->eps);
    return 0;
}

COLUMN(pf_op_onnx_relu)
{
    onnx_node(out, "Relu", "0");
    return 0;
}

COLUMN(pf_op_onnx_max_pool)
{
    PfOnnxNode *pool = onnx_node(out, "MaxPool", "0");
    add_window(pool, node);
    if (node->ceil_mode) add_int(pool, "ceil_mode", 1);
    return 0;
}

/* ONNX has no adaptive pooling: windows that do not overlap, where the sizes divide. */
COLUMN(pf_op_onnx_adaptive_pool)
{
    int64_t height = in->dims[1], width = in->dims[2], size = node->pool_size;
    if (height % size || width % size)
        return pf_fail(err, PF_EXIT_USAGE,
                       "ONNX cannot say '%s' of %s for images of this size: it pools maps of "
                       "%lldx%lld to %lldx%lld, which does not divide. Hint: --export FILE.pt",
                       node->name, arch->name, (long long)height, (long long)width, (long long)size,
                       (long long)size);
    if (height == size && width == size) return 0;
    if (size == 1) {
        onnx_node(out, "GlobalAveragePool", "0");
        return 0;
    }
    PfOnnxNode *pool = onnx_node(out, "AveragePool", "0");
    add_pair(pool, "kernel_shape", height / size, width / size);
    add_pair(pool, "strides", height / size, width / size);
    return 0;
}

COLUMN(pf_op_onnx_flatten)
{
    onnx_node(out, "Flatten", "0");
    return 0;
}

COLUMN(pf_op_onnx_linear)
{
    if (in->rank > 1) return pf_op_onnx_none(arch, node, in, out, err);
    add_int(onnx_node(out, "Gemm", "0 weight bias"), "transB", 1);
    return 0;
}

COLUMN(pf_op_onnx_add)
{
    onnx_node(out, "Add", "0 1");
    return 0;
}

COLUMN(pf_op_onnx_subtract)
{
    onnx_node(out, "Sub", "0 1");
    return 0;
}

COLUMN(pf_op_onnx_multiply)
{
    onnx_node(out, "Mul", "0 1");
    return 0;
}

COLUMN(pf_op_onnx_divide)
{
    onnx_node(out, "Div", "0 1");
    return 0;
}

COLUMN(pf_op_onnx_sigmoid)
{
    onnx_node(out, "Sigmoid", "0");
    return 0;
}

COLUMN(pf_op_onnx_tanh)
{
    onnx_node(out, "Tanh", "0");
    return 0;
}

COLUMN(pf_op_onnx_sqrt)
{
    onnx_node(out, "Sqrt", "0");
    return 0;
}

COLUMN(pf_op_onnx_exp)
{
    onnx_node(out, "Exp", "0");
    return 0;
}

COLUMN(pf_op_onnx_log)
{
    onnx_node(out, "Log", "0");
    return 0;
}

COLUMN(pf_op_onnx_erf)
{
    onnx_node(out, "Erf", "0");
    return 0;
}

COLUMN(pf_op_onnx_negate)
{
    onnx_node(out, "Neg", "0");
    return 0;
}

COLUMN(pf_op_onnx_abs)
{
    onnx_node(out, "Abs", "0");
    return 0;
}

COLUMN(pf_op_onnx_reciprocal)
{
    onnx_node(out, "Reciprocal", "0");
    return 0;
}

COLUMN(pf_op_onnx_power)
{
    onnx_node(out, "Pow", "0 1");
    return 0;
}

COLUMN(pf_op_onnx_maximum)
{
    onnx_node(out, "Max", "0 1");
    return 0;
}

COLUMN(pf_op_onnx_minimum)
{
    onnx_node(out, "Min", "0 1");
    return 0;
}

COLUMN(pf_op_onnx_leaky_relu)
{
    add_float(onnx_node(out, "LeakyRelu", "0"), "alpha", node->value);
    return 0;
}

COLUMN(pf_op_onnx_elu)
{
    add_float(onnx_node(out, "Elu", "0"), "alpha", node->value);
    return 0;
}

COLUMN(pf_op_onnx_none)
{
    return pf_fail(err, PF_EXIT_USAGE,
                   "node '%s' of '%s' (%s) cannot be exported to ONNX. Hint: --export FILE.pt",
                   node->name, arch->name, pf_op_row(node->op)->name);
}
