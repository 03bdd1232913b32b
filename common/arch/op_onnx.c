/* Operations in ONNX's terms: see op_columns.h. */
#include "common/arch/onnx_nodes.h"
#include "common/arch/op_columns.h"

/* The attributes of windows, with the same padding at opposite sides. */
static void add_window(PfOnnxNode *out, const PfNode *node, bool has_dilation)
{
    pf_onnx_nodes_set_pair(out, "kernel_shape", node->kernel[0], node->kernel[1]);
    pf_onnx_nodes_set_pair(out, "strides", node->stride[0], node->stride[1]);
    if (has_dilation)
        pf_onnx_nodes_set_pair(out, "dilations", node->dilation[0], node->dilation[1]);
    PfOnnxAttribute *pads = pf_onnx_nodes_set_ints(out, "pads");
    for (pads->count = 0; pads->count < 4; pads->count++)
        pads->ints[pads->count] = node->padding[pads->count % 2];
}

PF_ONNX_COLUMN(pf_op_onnx_unchanged)
{
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_conv)
{
    PfOnnxNode *conv = pf_onnx_nodes_add(out, "Conv", "0 weight bias");
    add_window(conv, node, true);
    pf_onnx_nodes_set_int(conv, "group", node->groups);
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_batch_norm)
{
    PfOnnxNode *norm =
        pf_onnx_nodes_add(out, "BatchNormalization", "0 weight bias running_mean running_var");
    pf_onnx_nodes_set_float(norm, "epsilon", node->eps);
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_relu)
{
    pf_onnx_nodes_add(out, "Relu", "0");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_max_pool)
{
    PfOnnxNode *pool = pf_onnx_nodes_add(out, "MaxPool", "0");
    add_window(pool, node, true);
    if (node->ceil_mode) pf_onnx_nodes_set_int(pool, "ceil_mode", 1);
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_flatten)
{
    pf_onnx_nodes_add(out, "Flatten", "0");
    return 0;
}

/* Rows of tokens and of maps by a product with the turned weights: Gemm takes single rows only. */
PF_ONNX_COLUMN(pf_op_onnx_linear)
{
    if (in->rank < 2) {
        pf_onnx_nodes_set_int(pf_onnx_nodes_add(out, "Gemm", "0 weight bias"), "transB", 1);
        return 0;
    }
    PfOnnxAttribute *order =
        pf_onnx_nodes_set_ints(pf_onnx_nodes_add(out, "Transpose", "weight"), "perm");
    order->count = 2;
    order->ints[0] = 1;
    pf_onnx_nodes_add(out, "MatMul", "0 before");
    if (node->bias) pf_onnx_nodes_add(out, "Add", "before bias");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_add)
{
    pf_onnx_nodes_add(out, "Add", "0 1");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_subtract)
{
    pf_onnx_nodes_add(out, "Sub", "0 1");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_multiply)
{
    pf_onnx_nodes_add(out, "Mul", "0 1");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_divide)
{
    pf_onnx_nodes_add(out, "Div", "0 1");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_sigmoid)
{
    pf_onnx_nodes_add(out, "Sigmoid", "0");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_tanh)
{
    pf_onnx_nodes_add(out, "Tanh", "0");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_sqrt)
{
    pf_onnx_nodes_add(out, "Sqrt", "0");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_exp)
{
    pf_onnx_nodes_add(out, "Exp", "0");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_log)
{
    pf_onnx_nodes_add(out, "Log", "0");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_erf)
{
    pf_onnx_nodes_add(out, "Erf", "0");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_negate)
{
    pf_onnx_nodes_add(out, "Neg", "0");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_abs)
{
    pf_onnx_nodes_add(out, "Abs", "0");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_reciprocal)
{
    pf_onnx_nodes_add(out, "Reciprocal", "0");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_power)
{
    pf_onnx_nodes_add(out, "Pow", "0 1");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_maximum)
{
    pf_onnx_nodes_add(out, "Max", "0 1");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_minimum)
{
    pf_onnx_nodes_add(out, "Min", "0 1");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_leaky_relu)
{
    pf_onnx_nodes_set_float(pf_onnx_nodes_add(out, "LeakyRelu", "0"), "alpha", node->value);
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_elu)
{
    pf_onnx_nodes_set_float(pf_onnx_nodes_add(out, "Elu", "0"), "alpha", node->value);
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
        PfOnnxNode *mean = pf_onnx_nodes_add(out, "ReduceMean", i ? "before" : x);
        PfOnnxAttribute *axes = pf_onnx_nodes_set_ints(mean, "axes");
        axes->count = 1;
        axes->ints[0] = -1;
        pf_onnx_nodes_set_int(mean, "keepdims", 1);
        if (i) break;
        pf_onnx_nodes_add(out, "Sub", minus_mean);
        pf_onnx_nodes_add(out, "Mul", squares);
    }
    pf_onnx_nodes_add_number(out, node->eps);
    pf_onnx_nodes_add(out, "Add", "before $1");
    pf_onnx_nodes_add(out, "Sqrt", "before");
    pf_onnx_nodes_add(out, "Div", quotient);
    pf_onnx_nodes_add(out, "Mul", "before weight");
    pf_onnx_nodes_add(out, "Add", "before bias");
}

PF_ONNX_COLUMN(pf_op_onnx_layer_norm)
{
    add_layer_norm(out, node, "0", "0 before", "#2 #2", "#2 before");
    return 0;
}

/* With the channels last in between. */
PF_ONNX_COLUMN(pf_op_onnx_layer_norm_2d)
{
    static const int last[] = {1, 2, 0}, first[] = {2, 0, 1};
    pf_onnx_nodes_set_axes(pf_onnx_nodes_add(out, "Transpose", "0"), "perm", last, 3, true);
    add_layer_norm(out, node, "before", "#1 before", "#3 #3", "#3 before");
    pf_onnx_nodes_set_axes(pf_onnx_nodes_add(out, "Transpose", "before"), "perm", first, 3, true);
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_softmax)
{
    pf_onnx_nodes_set_int(pf_onnx_nodes_add(out, "Softmax", "0"), "axis", node->axis + 1);
    return 0;
}

/* Tokens (n, c) as (heads, n, c / heads), or with the last two axes turned. */
static void add_heads(PfOnnxNodes *out, const char *input, const int *order)
{
    pf_onnx_nodes_add(out, "Reshape", input);
    pf_onnx_nodes_set_axes(pf_onnx_nodes_add(out, "Transpose", "before"), "perm", order, 3, true);
}

PF_ONNX_COLUMN(pf_op_onnx_attention)
{
    static const int forward[] = {1, 0, 2}, turned[] = {1, 2, 0};
    pf_onnx_nodes_add_integers(out, (const int64_t[]){0, 0, node->heads, -1}, 4); /* 0: as it is */
    pf_onnx_nodes_add_integers(out, (const int64_t[]){0, 0, -1}, 3);
    pf_onnx_nodes_add_number(out, node->scale);
    add_heads(out, "0 $1", forward);
    add_heads(out, "1 $1", turned);
    add_heads(out, "2 $1", forward);
    pf_onnx_nodes_add(out, "MatMul", "#2 #4");
    pf_onnx_nodes_add(out, "Mul", "before $3");
    pf_onnx_nodes_set_int(pf_onnx_nodes_add(out, "Softmax", "before"), "axis", -1);
    pf_onnx_nodes_add(out, "MatMul", "before #6");
    pf_onnx_nodes_set_axes(pf_onnx_nodes_add(out, "Transpose", "before"), "perm", forward, 3, true);
    pf_onnx_nodes_add(out, "Reshape", "before $2");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_matmul)
{
    pf_onnx_nodes_add(out, "MatMul", "0 1");
    return 0;
}

/* ---- activations ---- */

PF_ONNX_COLUMN(pf_op_onnx_clip)
{
    pf_onnx_nodes_add_number(out, node->low);
    pf_onnx_nodes_add_number(out, node->high);
    pf_onnx_nodes_add(out, "Clip", "0 $1 $2");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_hard_sigmoid)
{
    PfOnnxNode *gate = pf_onnx_nodes_add(out, "HardSigmoid", "0");
    pf_onnx_nodes_set_float(gate, "alpha", 1.0f / 6);
    pf_onnx_nodes_set_float(gate, "beta", 0.5f);
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_hard_swish)
{
    pf_op_onnx_hard_sigmoid(node, in, out, err);
    pf_onnx_nodes_add(out, "Mul", "0 before");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_silu)
{
    pf_onnx_nodes_add(out, "Sigmoid", "0");
    pf_onnx_nodes_add(out, "Mul", "0 before");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_gelu)
{
    pf_onnx_nodes_add_number(out, 0.70710678118654752f);
    pf_onnx_nodes_add_number(out, 1);
    pf_onnx_nodes_add_number(out, 0.5f);
    pf_onnx_nodes_add(out, "Mul", "0 $1");
    pf_onnx_nodes_add(out, "Erf", "before");
    pf_onnx_nodes_add(out, "Add", "before $2");
    pf_onnx_nodes_add(out, "Mul", "0 before");
    pf_onnx_nodes_add(out, "Mul", "before $3");
    return 0;
}

/* x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2 */
PF_ONNX_COLUMN(pf_op_onnx_gelu_tanh)
{
    pf_onnx_nodes_add_number(out, 0.044715f);
    pf_onnx_nodes_add_number(out, 0.79788456080286536f);
    pf_onnx_nodes_add_number(out, 1);
    pf_onnx_nodes_add_number(out, 0.5f);
    pf_onnx_nodes_add(out, "Mul", "0 0");
    pf_onnx_nodes_add(out, "Mul", "0 before");
    pf_onnx_nodes_add(out, "Mul", "before $1");
    pf_onnx_nodes_add(out, "Add", "0 before");
    pf_onnx_nodes_add(out, "Mul", "before $2");
    pf_onnx_nodes_add(out, "Tanh", "before");
    pf_onnx_nodes_add(out, "Add", "before $3");
    pf_onnx_nodes_add(out, "Mul", "0 before");
    pf_onnx_nodes_add(out, "Mul", "before $4");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_quick_gelu)
{
    pf_onnx_nodes_add_number(out, 1.702f);
    pf_onnx_nodes_add(out, "Mul", "0 $1");
    pf_onnx_nodes_add(out, "Sigmoid", "before");
    pf_onnx_nodes_add(out, "Mul", "0 before");
    return 0;
}

/* ---- pools, arrangements, others ---- */

PF_ONNX_COLUMN(pf_op_onnx_avg_pool)
{
    PfOnnxNode *pool = pf_onnx_nodes_add(out, "AveragePool", "0");
    add_window(pool, node, false);
    if (node->ceil_mode) pf_onnx_nodes_set_int(pool, "ceil_mode", 1);
    if (node->count_padding) pf_onnx_nodes_set_int(pool, "count_include_pad", 1);
    return 0;
}

static void add_pad(PfOnnxNodes *out, const int pads[4], float value)
{
    pf_onnx_nodes_add_integers(
        out, (const int64_t[]){0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]}, 8);
    pf_onnx_nodes_add_number(out, value);
    pf_onnx_nodes_add(out, "Pad", "0 $1 $2");
}

PF_ONNX_COLUMN(pf_op_onnx_pad)
{
    add_pad(out, node->pads, node->value);
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_pad_same)
{
    int pads[4];
    pf_node_pads(node, in, pads);
    if (pads[0] + pads[1] + pads[2] + pads[3]) add_pad(out, pads, 0);
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_channel_shuffle)
{
    const int64_t *map = in->dims, groups = node->groups;
    pf_onnx_nodes_add_integers(out, (const int64_t[]){0, groups, map[0] / groups, map[1], map[2]},
                               5);
    pf_onnx_nodes_add_integers(out, (const int64_t[]){0, map[0], map[1], map[2]}, 4);
    pf_onnx_nodes_add(out, "Reshape", "0 $1");
    pf_onnx_nodes_set_axes(pf_onnx_nodes_add(out, "Transpose", "before"), "perm",
                           (const int[]){1, 0, 2, 3}, 4, true);
    pf_onnx_nodes_add(out, "Reshape", "before $2");
    return 0;
}

/* The batch axis stays as it is: 0. */
PF_ONNX_COLUMN(pf_op_onnx_reshape)
{
    PfOnnxConstant *sizes = pf_onnx_nodes_add_integers(out, (const int64_t[]){0}, 1);
    for (int i = 0; i < node->shape.rank; i++) sizes->ints[sizes->count++] = node->shape.dims[i];
    pf_onnx_nodes_add(out, "Reshape", "0 $1");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_permute)
{
    pf_onnx_nodes_set_axes(pf_onnx_nodes_add(out, "Transpose", "0"), "perm", node->axes,
                           node->axis_count, true);
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_slice)
{
    const bool is_rest = node->count == PF_TO_THE_END;
    const int64_t end = is_rest ? INT64_MAX : node->start + (node->count - 1) * node->step + 1;
    pf_onnx_nodes_add_integers(out, &node->start, 1);
    pf_onnx_nodes_add_integers(out, &end, 1);
    pf_onnx_nodes_add_integers(out, (const int64_t[]){node->axis + 1}, 1);
    pf_onnx_nodes_add_integers(out, &node->step, 1);
    pf_onnx_nodes_add(out, "Slice", "0 $1 $2 $3 $4");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_concat)
{
    pf_onnx_nodes_set_int(pf_onnx_nodes_add(out, "Concat", "inputs"), "axis", node->axis + 1);
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_mean)
{
    PfOnnxNode *mean = pf_onnx_nodes_add(out, "ReduceMean", "0");
    pf_onnx_nodes_set_axes(mean, "axes", node->axes, node->axis_count, false);
    pf_onnx_nodes_set_int(mean, "keepdims", node->keep_axes);
    return 0;
}

/* One with a leading axis of 1 becomes as many as there are images. */
PF_ONNX_COLUMN(pf_op_onnx_parameter)
{
    if (!node->leading_one) {
        pf_onnx_nodes_add(out, "Identity", "itself");
        return 0;
    }
    pf_onnx_nodes_add_integers(out, (const int64_t[]){0}, 1);
    pf_onnx_nodes_add_integers(out, (const int64_t[]){1}, 1);
    pf_onnx_nodes_add_integers(out, node->shape.dims, node->shape.rank);
    pf_onnx_nodes_add(out, "Shape", "image");
    pf_onnx_nodes_add(out, "Slice", "before $1 $2");
    pf_onnx_nodes_set_int(pf_onnx_nodes_add(out, "Concat", "before $3"), "axis", 0);
    pf_onnx_nodes_add(out, "Expand", "itself before");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_reduce_sum)
{
    PfOnnxConstant *axes = pf_onnx_nodes_add_integers(out, NULL, 0);
    for (int i = 0; i < node->axis_count; i++) axes->ints[axes->count++] = node->axes[i] + 1;
    pf_onnx_nodes_set_int(pf_onnx_nodes_add(out, "ReduceSum", "0 $1"), "keepdims", node->keep_axes);
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_reduce_max)
{
    PfOnnxNode *most = pf_onnx_nodes_add(out, "ReduceMax", "0");
    pf_onnx_nodes_set_axes(most, "axes", node->axes, node->axis_count, false);
    pf_onnx_nodes_set_int(most, "keepdims", node->keep_axes);
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_token_map)
{
    const int64_t *map = in[1].dims;
    pf_onnx_nodes_add_integers(out, (const int64_t[]){0, in[0].dims[1], map[1], map[2]}, 4);
    pf_onnx_nodes_set_axes(pf_onnx_nodes_add(out, "Transpose", "0"), "perm", (const int[]){1, 0}, 2,
                           true);
    pf_onnx_nodes_add(out, "Reshape", "before $1");
    return 0;
}

/* Of maps (h, w, c). */
PF_ONNX_COLUMN(pf_op_onnx_pad_behind)
{
    PfShape padded;
    if (pf_op_shape_pad_behind(node, in, &padded, err)) return -1;
    const int64_t below = padded.dims[0] - in->dims[0], right = padded.dims[1] - in->dims[1];
    if (!below && !right) return 0;
    pf_onnx_nodes_add_integers(out, (const int64_t[]){0, 0, 0, 0, 0, below, right, 0}, 8);
    pf_onnx_nodes_add(out, "Pad", "0 $1");
    return 0;
}

PF_ONNX_COLUMN(pf_op_onnx_crop)
{
    pf_onnx_nodes_add_integers(out, (const int64_t[]){0, 0}, 2);
    pf_onnx_nodes_add_integers(out, in[1].dims, 2);
    pf_onnx_nodes_add_integers(out, (const int64_t[]){1, 2}, 2);
    pf_onnx_nodes_add(out, "Slice", "0 $1 $2 $3");
    return 0;
}
