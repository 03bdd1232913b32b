/* Products, and operators along axes: see build.h. */
#include <math.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/onnx/build.h"

#define ALL_OPSETS PF_ONNX_OLDEST_OPSET, PF_ONNX_NEWEST_OPSET

/* ---- products ---- */

/* Weights (out, in) of a linear layer, from (in, out) where they lie so. */
static const PfOnnxTensor *take_matrix(PfOnnxBuild *build, bool is_turned, PfShape *shape)
{
    const PfOnnxTensor *weight = pf_onnx_take_weights(build, 1, 2);
    if (!weight) return NULL;
    const int64_t *sizes = weight->dims.sizes;
    *shape = (PfShape){2, {sizes[is_turned ? 0 : 1], sizes[is_turned ? 1 : 0]}};
    if (is_turned) return weight;
    const PfOnnxDims dims = {2, {sizes[1], sizes[0]}};
    const size_t width = pf_dtype_size(weight->dtype);
    void *data;
    PfOnnxTensor *turned =
        pf_onnx_tensor_new(build->model, build->step, weight->dtype, &dims, &data, build->err);
    for (int64_t in = 0; in < sizes[0] && turned; in++)
        for (int64_t out = 0; out < sizes[1]; out++)
            memcpy((uint8_t *)data + (size_t)(out * sizes[0] + in) * width,
                   (const uint8_t *)weight->data + (size_t)(in * sizes[1] + out) * width, width);
    return turned;
}

/* bias: one of (features), or of one number for all of them; NULL: none. */
static int set_linear_bias(PfOnnxBuild *build, int index, const PfOnnxTensor *bias,
                           int64_t features)
{
    const PfShape shape = {1, {features}};
    if (!bias) return 0;
    const bool is_row = pf_onnx_count(&bias->dims) == features && bias->dims.rank >= 1 &&
                        bias->dims.sizes[bias->dims.rank - 1] == features;
    if (!is_row || pf_onnx_tensor_is_whole(bias))
        return pf_onnx_refuse(build, "expected a bias of %lld numbers", (long long)features);
    return pf_onnx_set_tensor(build, index, "bias", bias, &shape);
}

/* Rows, where the node's value has more axes than kernels take. *node is replaced. */
static int as_rows(PfOnnxBuild *build, int *node)
{
    const PfShape *shape = &build->shapes[*node];
    if (shape->rank <= 3) return 0;
    const int64_t last = pf_max(1, shape->dims[shape->rank - 1]);
    const PfShape rows = {2, {pf_shape_count(shape) / last, last}};
    return pf_onnx_reshape(build, node, &rows);
}

static int translate_linear(PfOnnxBuild *build, bool is_turned, bool has_bias)
{
    PfShape shape;
    PfOnnxDims dims;
    int node, index;
    const PfOnnxTensor *bias = has_bias ? pf_onnx_constant(build->model, build->step, 2) : NULL;
    const PfOnnxTensor *weight = take_matrix(build, is_turned, &shape);
    if (!weight || pf_onnx_take(build, 0, &node, &dims)) return -1;
    if (has_bias && !bias) return pf_onnx_refuse(build, "expected a constant bias");
    if (!dims.rank) return pf_onnx_refuse(build, "expected rows, found a number");
    if (pf_onnx_widen(build, &node, 1) || as_rows(build, &node)) return -1;
    PfNode *linear = pf_onnx_add(build, PF_OP_LINEAR, node, &index);
    if (!linear) return -1;
    linear->in_channels = (int)shape.dims[1];
    linear->out_channels = (int)shape.dims[0];
    linear->bias = has_bias;
    dims.sizes[dims.rank - 1] = shape.dims[0];
    if (pf_onnx_settle(build, index) ||
        pf_onnx_set_tensor(build, index, "weight", weight, &shape) ||
        set_linear_bias(build, index, bias, shape.dims[0]))
        return -1;
    return pf_onnx_give(build, 0, index, &dims);
}

static int translate_gemm(PfOnnxBuild *build)
{
    const bool has_bias = pf_onnx_has_input(build, 2);
    if (pf_onnx_real(build->step, "alpha", 1) != 1 || pf_onnx_whole(build->step, "transA", 0) ||
        (has_bias && pf_onnx_real(build->step, "beta", 1) != 1))
        return pf_onnx_refuse(build, "expected alpha and beta 1, and rows as they are");
    return translate_linear(build, pf_onnx_whole(build->step, "transB", 0) != 0, has_bias);
}

/* simplify.c makes it of MatMul and Add. */
static int translate_matmul_bias(PfOnnxBuild *build)
{
    return translate_linear(build, false, true);
}

static int translate_matmul(PfOnnxBuild *build)
{
    const PfOnnxTensor *weight = pf_onnx_constant(build->model, build->step, 1);
    PfOnnxDims a, b, dims;
    int left, right, index;
    if (weight && weight->dims.rank == 2) return translate_linear(build, false, false);
    if (pf_onnx_take(build, 0, &left, &a) || pf_onnx_take(build, 1, &right, &b)) return -1;
    if (a.rank < 2 || b.rank < 2) return pf_onnx_refuse(build, "expected matrices, found vectors");
    PfOnnxDims before = a, other = b;
    before.rank -= 2;
    other.rank -= 2;
    if (pf_onnx_broadcast(build->model, build->step, &before, &other, &dims, build->err) ||
        pf_onnx_widen(build, &left, 2) || pf_onnx_widen(build, &right, 2) ||
        pf_onnx_add_pair(build, PF_OP_MATMUL, left, right, &index))
        return -1;
    dims.sizes[dims.rank++] = a.sizes[a.rank - 2];
    dims.sizes[dims.rank++] = b.sizes[b.rank - 1];
    return pf_onnx_give(build, 0, index, &dims);
}

/* ---- along axes ---- */

/* Before opset 13 all axes from `axis` on were one. */
static int translate_softmax(PfOnnxBuild *build)
{
    PfOnnxDims dims;
    int node, index, axis, ours;
    const bool is_old = build->model->opset < 13;
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_axis(build->model, build->step, pf_onnx_whole(build->step, "axis", is_old ? 1 : -1),
                     dims.rank, &axis, build->err))
        return -1;
    for (int i = axis + 1; i < dims.rank && is_old; i++)
        if (dims.sizes[i] != 1)
            return pf_onnx_refuse(build,
                                  "expected the last axis. Hint: export with opset 13 or later");
    if (pf_onnx_our_axis(build, &dims, axis, &ours)) return -1;
    PfNode *softmax = pf_onnx_add(build, PF_OP_SOFTMAX, node, &index);
    if (!softmax) return -1;
    softmax->axis = ours;
    return pf_onnx_settle(build, index) || pf_onnx_give(build, 0, index, &dims) ? -1 : 0;
}

static bool is_finite(const PfOnnxBuild *build, const PfOnnxTensor *tensor)
{
    const int64_t count = pf_onnx_count(&tensor->dims);
    int64_t i = 0;
    if (!pf_onnx_take_work(build->model, 1, count)) return false;
    while (i < count && isfinite(pf_onnx_tensor_real(tensor, i))) i++;
    return i == count;
}

/* What torch puts behind a softmax with a mask: 0 for NaN, which comes of rows that are masked
 * altogether. Where no constant that was added has infinite numbers, there is none. */
static int translate_unless_nan(PfOnnxBuild *build)
{
    const PfNode *nodes = build->builder.arch->nodes;
    PfOnnxTensor mask;
    PfOnnxDims dims;
    int node;
    if (pf_onnx_take(build, 0, &node, &dims)) return -1;
    if (nodes[node].op != PF_OP_SOFTMAX) return pf_onnx_refuse(build, "expected NaN of a softmax");
    int before = nodes[node].inputs[0];
    while (nodes[before].op == PF_OP_ADD || nodes[before].op == PF_OP_RESHAPE) {
        int next = nodes[before].inputs[0];
        for (int k = 0; k < nodes[before].input_count; k++) {
            if (!pf_onnx_node_tensor(build, nodes[before].inputs[k], &mask))
                next = nodes[before].inputs[k];
            else if (!is_finite(build, &mask))
                return pf_onnx_refuse(build, "expected a mask of finite numbers");
        }
        before = next;
    }
    return pf_onnx_give_same(build, 0, node, &dims);
}

/* The axes of a mean, a sum, a maximum: where none are said, all, or none. */
static int take_axes(PfOnnxBuild *build, const PfOnnxDims *dims, bool is_reduced[PF_ONNX_MAX_RANK])
{
    int64_t axes[PF_ONNX_MAX_RANK];
    int count;
    const bool takes_all = !pf_onnx_whole(build->step, "noop_with_empty_axes", 0);
    memset(is_reduced, 0, PF_ONNX_MAX_RANK * sizeof *is_reduced);
    if (pf_onnx_list(build->model, build->step, "axes", 1, axes, &count, build->err)) return -1;
    for (int i = 0; i < dims->rank && count <= 0 && takes_all; i++) is_reduced[i] = true;
    for (int i = 0; i < count; i++) {
        int axis;
        if (pf_onnx_axis(build->model, build->step, axes[i], dims->rank, &axis, build->err))
            return -1;
        is_reduced[axis] = true;
    }
    return 0;
}

static int add_reduction(PfOnnxBuild *build, PfOp op, const PfOnnxDims *dims,
                         const bool *is_reduced, int *node)
{
    const int dropped = pf_onnx_drops_axis(dims);
    const bool is_pool = op == PF_OP_MEAN && dims->rank == 4 && dropped && is_reduced[2] &&
                         is_reduced[3] && !is_reduced[1];
    PfNode *reduced = pf_onnx_add(build, is_pool ? PF_OP_ADAPTIVE_AVG_POOL : op, *node, node);
    if (!reduced) return -1;
    reduced->pool_size = 1;
    reduced->keep_axes = 1;
    for (int i = dropped; i < dims->rank && !is_pool; i++)
        if (is_reduced[i]) reduced->axes[reduced->axis_count++] = i - dropped;
    return pf_onnx_settle(build, *node);
}

/* before, after: what numbers go through; PF_OP_INPUT: nothing; a product is with themselves. */
static int translate_norm(PfOnnxBuild *build, PfOp before, PfOp op, PfOp after)
{
    PfOnnxDims dims, out = {0};
    bool is_reduced[PF_ONNX_MAX_RANK], is_any = false;
    int node;
    const bool keeps = pf_onnx_whole(build->step, "keepdims", 1) != 0;
    if (pf_onnx_take(build, 0, &node, &dims) || take_axes(build, &dims, is_reduced)) return -1;
    if (dims.rank && is_reduced[0] && pf_onnx_drops_axis(&dims))
        return pf_onnx_refuse(build, "expected each image by itself, found an operation along the "
                                     "axis of the batch");
    for (int i = 0; i < dims.rank; i++) {
        is_any = is_any || is_reduced[i];
        if (!is_reduced[i] || keeps) out.sizes[out.rank++] = is_reduced[i] ? 1 : dims.sizes[i];
    }
    if (before == PF_OP_MULTIPLY ? pf_onnx_add_pair(build, PF_OP_MULTIPLY, node, node, &node)
                                 : before != PF_OP_INPUT && pf_onnx_add_plain(build, before, &node))
        return -1;
    if ((is_any && add_reduction(build, op, &dims, is_reduced, &node)) ||
        (after != PF_OP_INPUT && pf_onnx_add_plain(build, after, &node)))
        return -1;
    return pf_onnx_give(build, 0, node, &out);
}

static int translate_reduction(PfOnnxBuild *build, PfOp op)
{
    return translate_norm(build, PF_OP_INPUT, op, PF_OP_INPUT);
}

static int translate_mean(PfOnnxBuild *build)
{
    return translate_reduction(build, PF_OP_MEAN);
}
static int translate_sum(PfOnnxBuild *build)
{
    return translate_reduction(build, PF_OP_REDUCE_SUM);
}
static int translate_maximum(PfOnnxBuild *build)
{
    return translate_reduction(build, PF_OP_REDUCE_MAX);
}
static int translate_minimum(PfOnnxBuild *build)
{
    return translate_norm(build, PF_OP_NEGATE, PF_OP_REDUCE_MAX, PF_OP_NEGATE);
}
static int translate_l1(PfOnnxBuild *build)
{
    return translate_norm(build, PF_OP_ABS, PF_OP_REDUCE_SUM, PF_OP_INPUT);
}
static int translate_l2(PfOnnxBuild *build)
{
    return translate_norm(build, PF_OP_MULTIPLY, PF_OP_REDUCE_SUM, PF_OP_SQRT);
}
static int translate_sum_square(PfOnnxBuild *build)
{
    return translate_norm(build, PF_OP_MULTIPLY, PF_OP_REDUCE_SUM, PF_OP_INPUT);
}

/* clang-format off */
const PfOnnxRow pf_onnx_row_rows[] = {
    {"Gemm", ALL_OPSETS, " alpha beta transA transB ", translate_gemm},
    {"MatMul", ALL_OPSETS, " ", translate_matmul},
    {"Softmax", ALL_OPSETS, " axis ", translate_softmax},
    {"ReduceMean", ALL_OPSETS, " axes keepdims noop_with_empty_axes ", translate_mean},
    {"ReduceSum", ALL_OPSETS, " axes keepdims noop_with_empty_axes ", translate_sum},
    {"ReduceMin", ALL_OPSETS, " axes keepdims noop_with_empty_axes ", translate_minimum},
    {"ReduceL1", ALL_OPSETS, " axes keepdims noop_with_empty_axes ", translate_l1},
    {"ReduceL2", ALL_OPSETS, " axes keepdims noop_with_empty_axes ", translate_l2},
    {"ReduceSumSquare", ALL_OPSETS, " axes keepdims noop_with_empty_axes ", translate_sum_square},
    {"ReduceMax", ALL_OPSETS, " axes keepdims noop_with_empty_axes ", translate_maximum},
    /* What simplify.c makes: names that no file can have, for they begin with a blank. */
    {" unless nan", ALL_OPSETS, " ", translate_unless_nan},
    {" matmul bias", ALL_OPSETS, " ", translate_matmul_bias},
    {.type = NULL},
};
/* clang-format on */
