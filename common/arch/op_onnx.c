/* Operations in ONNX's terms: see op_columns.h. */
#include <assert.h>

#include "common/arch/op_columns.h"
#include "common/arch/positions.h"

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

static PfOnnxAttribute *add_ints(PfOnnxNode *node, const char *name)
{
    return add_attribute(node, name, PF_ONNX_INTS);
}

/* The axes as ONNX counts them, with the batch axis, which stays the first where all are named. */
static void add_axes(PfOnnxNode *node, const char *name, const int *axes, int count,
                     bool with_batch)
{
    PfOnnxAttribute *attribute = add_ints(node, name);
    if (with_batch) attribute->ints[attribute->count++] = 0;
    for (int i = 0; i < count; i++) attribute->ints[attribute->count++] = axes[i] + 1;
}

static PfOnnxConstant *add_constant(PfOnnxNodes *out)
{
    assert((size_t)out->constant_count < sizeof out->constants / sizeof out->constants[0]);
    return &out->constants[out->constant_count++];
}

static void add_number(PfOnnxNodes *out, float number)
{
    add_constant(out)->is_float = true;
    out->constants[out->constant_count - 1].number = number;
}

static PfOnnxConstant *add_integers(PfOnnxNodes *out, const int64_t *values, int count)
{
    PfOnnxConstant *constant = add_constant(out);
    constant->count = count;
    for (int i = 0; i < count; i++) constant->ints[i] = values[i];
    return constant;
}

/* The attributes of windows, with the same padding at opposite sides. */
static void add_window(PfOnnxNode *out, const PfNode *node, bool has_dilation)
{
    add_pair(out, "kernel_shape", node->kernel[0], node->kernel[1]);
    add_pair(out, "strides", node->stride[0], node->stride[1]);
    if (has_dilation) add_pair(out, "dilations", node->dilation[0], node->dilation[1]);
    PfOnnxAttribute *pads = add_ints(out, "pads");
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
    add_window(conv, node, true);
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
    add_window(pool, node, true);
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
                       "%lldx%lld to %lldx%lld, which does not divide. Hint: -o FILE.pt",
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

/* Rows of tokens and of maps by a product with the turned weights: Gemm takes single rows only. */
COLUMN(pf_op_onnx_linear)
{
    if (in->rank < 2) {
        add_int(onnx_node(out, "Gemm", "0 weight bias"), "transB", 1);
        return 0;
    }
    PfOnnxAttribute *order = add_ints(onnx_node(out, "Transpose", "weight"), "perm");
    order->count = 2;
    order->ints[0] = 1;
    onnx_node(out, "MatMul", "0 before");
    if (node->bias) onnx_node(out, "Add", "before bias");
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

/* ---- norms, attention ---- */

/* (x - mean) / sqrt(variance + eps) * weight + bias over the last axis, for which opset 13 has no
 * operator. What the ONNX nodes take depends on how many are before them: x stands for the input,
 * minus_mean for it and the mean, squares twice for their difference, quotient for that and the
 * deviation. */
static void add_layer_norm(PfOnnxNodes *out, const PfNode *node, const char *x,
                           const char *minus_mean, const char *squares, const char *quotient)
{
    for (int i = 0; i < 2; i++) {
        PfOnnxNode *mean = onnx_node(out, "ReduceMean", i ? "before" : x);
        PfOnnxAttribute *axes = add_ints(mean, "axes");
        axes->count = 1;
        axes->ints[0] = -1;
        add_int(mean, "keepdims", 1);
        if (i) break;
        onnx_node(out, "Sub", minus_mean);
        onnx_node(out, "Mul", squares);
    }
    add_number(out, node->eps);
    onnx_node(out, "Add", "before $1");
    onnx_node(out, "Sqrt", "before");
    onnx_node(out, "Div", quotient);
    onnx_node(out, "Mul", "before weight");
    onnx_node(out, "Add", "before bias");
}

COLUMN(pf_op_onnx_layer_norm)
{
    add_layer_norm(out, node, "0", "0 before", "#2 #2", "#2 before");
    return 0;
}

/* With the channels last in between. */
COLUMN(pf_op_onnx_layer_norm_2d)
{
    static const int last[] = {1, 2, 0}, first[] = {2, 0, 1};
    add_axes(onnx_node(out, "Transpose", "0"), "perm", last, 3, true);
    add_layer_norm(out, node, "before", "#1 before", "#3 #3", "#3 before");
    add_axes(onnx_node(out, "Transpose", "before"), "perm", first, 3, true);
    return 0;
}

COLUMN(pf_op_onnx_softmax)
{
    add_int(onnx_node(out, "Softmax", "0"), "axis", node->axis + 1);
    return 0;
}

/* Tokens (n, c) as (heads, n, c / heads), or with the last two axes turned. */
static void add_heads(PfOnnxNodes *out, const char *input, const int *order)
{
    onnx_node(out, "Reshape", input);
    add_axes(onnx_node(out, "Transpose", "before"), "perm", order, 3, true);
}

COLUMN(pf_op_onnx_attention)
{
    static const int forward[] = {1, 0, 2}, turned[] = {1, 2, 0};
    add_integers(out, (const int64_t[]){0, 0, node->heads, -1}, 4); /* 0: as it is */
    add_integers(out, (const int64_t[]){0, 0, -1}, 3);
    add_number(out, node->scale);
    add_heads(out, "0 $1", forward);
    add_heads(out, "1 $1", turned);
    add_heads(out, "2 $1", forward);
    onnx_node(out, "MatMul", "#2 #4");
    onnx_node(out, "Mul", "before $3");
    add_int(onnx_node(out, "Softmax", "before"), "axis", -1);
    onnx_node(out, "MatMul", "before #6");
    add_axes(onnx_node(out, "Transpose", "before"), "perm", forward, 3, true);
    onnx_node(out, "Reshape", "before $2");
    return 0;
}

COLUMN(pf_op_onnx_matmul)
{
    onnx_node(out, "MatMul", "0 1");
    return 0;
}

/* ---- activations ---- */

COLUMN(pf_op_onnx_clip)
{
    add_number(out, node->low);
    add_number(out, node->high);
    onnx_node(out, "Clip", "0 $1 $2");
    return 0;
}

COLUMN(pf_op_onnx_hard_sigmoid)
{
    PfOnnxNode *gate = onnx_node(out, "HardSigmoid", "0");
    add_float(gate, "alpha", 1.0f / 6);
    add_float(gate, "beta", 0.5f);
    return 0;
}

COLUMN(pf_op_onnx_hard_swish)
{
    pf_op_onnx_hard_sigmoid(arch, node, in, out, err);
    onnx_node(out, "Mul", "0 before");
    return 0;
}

COLUMN(pf_op_onnx_silu)
{
    onnx_node(out, "Sigmoid", "0");
    onnx_node(out, "Mul", "0 before");
    return 0;
}

COLUMN(pf_op_onnx_gelu)
{
    add_number(out, 0.70710678118654752f);
    add_number(out, 1);
    add_number(out, 0.5f);
    onnx_node(out, "Mul", "0 $1");
    onnx_node(out, "Erf", "before");
    onnx_node(out, "Add", "before $2");
    onnx_node(out, "Mul", "0 before");
    onnx_node(out, "Mul", "before $3");
    return 0;
}

/* x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2 */
COLUMN(pf_op_onnx_gelu_tanh)
{
    add_number(out, 0.044715f);
    add_number(out, 0.79788456080286536f);
    add_number(out, 1);
    add_number(out, 0.5f);
    onnx_node(out, "Mul", "0 0");
    onnx_node(out, "Mul", "0 before");
    onnx_node(out, "Mul", "before $1");
    onnx_node(out, "Add", "0 before");
    onnx_node(out, "Mul", "before $2");
    onnx_node(out, "Tanh", "before");
    onnx_node(out, "Add", "before $3");
    onnx_node(out, "Mul", "0 before");
    onnx_node(out, "Mul", "before $4");
    return 0;
}

COLUMN(pf_op_onnx_quick_gelu)
{
    add_number(out, 1.702f);
    onnx_node(out, "Mul", "0 $1");
    onnx_node(out, "Sigmoid", "before");
    onnx_node(out, "Mul", "0 before");
    return 0;
}

/* ---- pools, arrangements, others ---- */

COLUMN(pf_op_onnx_avg_pool)
{
    PfOnnxNode *pool = onnx_node(out, "AveragePool", "0");
    add_window(pool, node, false);
    if (node->ceil_mode) add_int(pool, "ceil_mode", 1);
    if (node->count_padding) add_int(pool, "count_include_pad", 1);
    return 0;
}

static void add_pad(PfOnnxNodes *out, const int pads[4], float value)
{
    add_integers(out, (const int64_t[]){0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]}, 8);
    add_number(out, value);
    onnx_node(out, "Pad", "0 $1 $2");
}

COLUMN(pf_op_onnx_pad)
{
    add_pad(out, node->pads, node->value);
    return 0;
}

COLUMN(pf_op_onnx_pad_same)
{
    int pads[4];
    pf_node_pads(node, in, pads);
    if (pads[0] + pads[1] + pads[2] + pads[3]) add_pad(out, pads, 0);
    return 0;
}

COLUMN(pf_op_onnx_channel_shuffle)
{
    const int64_t *map = in->dims, groups = node->groups;
    add_integers(out, (const int64_t[]){0, groups, map[0] / groups, map[1], map[2]}, 5);
    add_integers(out, (const int64_t[]){0, map[0], map[1], map[2]}, 4);
    onnx_node(out, "Reshape", "0 $1");
    add_axes(onnx_node(out, "Transpose", "before"), "perm", (const int[]){1, 0, 2, 3}, 4, true);
    onnx_node(out, "Reshape", "before $2");
    return 0;
}

/* The batch axis stays as it is: 0. */
COLUMN(pf_op_onnx_reshape)
{
    PfOnnxConstant *sizes = add_integers(out, (const int64_t[]){0}, 1);
    for (int i = 0; i < node->shape.rank; i++) sizes->ints[sizes->count++] = node->shape.dims[i];
    onnx_node(out, "Reshape", "0 $1");
    return 0;
}

COLUMN(pf_op_onnx_permute)
{
    add_axes(onnx_node(out, "Transpose", "0"), "perm", node->axes, node->axis_count, true);
    return 0;
}

COLUMN(pf_op_onnx_slice)
{
    const bool is_rest = node->count == PF_TO_THE_END;
    const int64_t end = is_rest ? INT64_MAX : node->start + (node->count - 1) * node->step + 1;
    add_integers(out, &node->start, 1);
    add_integers(out, &end, 1);
    add_integers(out, (const int64_t[]){node->axis + 1}, 1);
    add_integers(out, &node->step, 1);
    onnx_node(out, "Slice", "0 $1 $2 $3 $4");
    return 0;
}

COLUMN(pf_op_onnx_concat)
{
    add_int(onnx_node(out, "Concat", "inputs"), "axis", node->axis + 1);
    return 0;
}

COLUMN(pf_op_onnx_mean)
{
    PfOnnxNode *mean = onnx_node(out, "ReduceMean", "0");
    add_axes(mean, "axes", node->axes, node->axis_count, false);
    add_int(mean, "keepdims", node->keep_axes);
    return 0;
}

/* One with a leading axis of 1 becomes as many as there are images. */
COLUMN(pf_op_onnx_parameter)
{
    if (!node->leading_one) {
        onnx_node(out, "Identity", "itself");
        return 0;
    }
    add_integers(out, (const int64_t[]){0}, 1);
    add_integers(out, (const int64_t[]){1}, 1);
    add_integers(out, node->shape.dims, node->shape.rank);
    onnx_node(out, "Shape", "image");
    onnx_node(out, "Slice", "before $1 $2");
    add_int(onnx_node(out, "Concat", "before $3"), "axis", 0);
    onnx_node(out, "Expand", "itself before");
    return 0;
}

COLUMN(pf_op_onnx_reduce_sum)
{
    PfOnnxConstant *axes = add_integers(out, NULL, 0);
    for (int i = 0; i < node->axis_count; i++) axes->ints[axes->count++] = node->axes[i] + 1;
    add_int(onnx_node(out, "ReduceSum", "0 $1"), "keepdims", node->keep_axes);
    return 0;
}

COLUMN(pf_op_onnx_reduce_max)
{
    PfOnnxNode *most = onnx_node(out, "ReduceMax", "0");
    add_axes(most, "axes", node->axes, node->axis_count, false);
    add_int(most, "keepdims", node->keep_axes);
    return 0;
}

/* As they are in the file, for images whose grid they were made for. */
COLUMN(pf_op_onnx_positions)
{
    const int64_t side = pf_positions_side(node);
    if (in->dims[1] != side || in->dims[2] != side)
        return pf_fail(err, PF_EXIT_USAGE,
                       "the position embeddings '%s' of %s cannot be exported to ONNX for a grid "
                       "of %lldx%lld: they were made for %lldx%lld. Hint: -o FILE.pt",
                       node->name, arch->name, (long long)in->dims[1], (long long)in->dims[2],
                       (long long)side, (long long)side);
    return pf_op_onnx_parameter(arch, node, in, out, err);
}

COLUMN(pf_op_onnx_token_map)
{
    const int64_t *map = in[1].dims;
    add_integers(out, (const int64_t[]){0, in[0].dims[1], map[1], map[2]}, 4);
    add_axes(onnx_node(out, "Transpose", "0"), "perm", (const int[]){1, 0}, 2, true);
    onnx_node(out, "Reshape", "before $1");
    return 0;
}

/* Of maps (h, w, c). */
COLUMN(pf_op_onnx_pad_behind)
{
    PfShape padded;
    if (pf_op_shape_pad_behind(node, in, &padded, err)) return -1;
    const int64_t below = padded.dims[0] - in->dims[0], right = padded.dims[1] - in->dims[1];
    if (!below && !right) return 0;
    add_integers(out, (const int64_t[]){0, 0, 0, 0, 0, below, right, 0}, 8);
    onnx_node(out, "Pad", "0 $1");
    return 0;
}

COLUMN(pf_op_onnx_crop)
{
    add_integers(out, (const int64_t[]){0, 0}, 2);
    add_integers(out, in[1].dims, 2);
    add_integers(out, (const int64_t[]){1, 2}, 2);
    onnx_node(out, "Slice", "0 $1 $2 $3");
    return 0;
}

/* Nodes of ONNX have too little room for it: the table of distances and the shift. */
COLUMN(pf_op_onnx_window_attention)
{
    return pf_fail(err, PF_EXIT_USAGE,
                   "the attention in windows '%s' of %s cannot be exported to ONNX yet. Hint: "
                   "-o FILE.pt",
                   node->name, arch->name);
}

COLUMN(pf_op_onnx_rotate)
{
    return pf_fail(err, PF_EXIT_USAGE,
                   "the rotation '%s' of %s cannot be exported to ONNX yet. Hint: -o FILE.pt",
                   node->name, arch->name);
}
