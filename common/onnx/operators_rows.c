/* Operators on numbers, and on rows of them: see build.h. */
#include <math.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/onnx/build.h"

#define ALL_OPSETS PF_ONNX_OLDEST_OPSET, PF_ONNX_NEWEST_OPSET

/* ---- each number by itself ---- */

/* An operation without fields of its own. */
static int translate_plain(PfOnnxBuild *build, PfOp op)
{
    PfOnnxDims dims;
    int node, index;
    if (pf_onnx_take(build, 0, &node, &dims) || !pf_onnx_add(build, op, node, &index) ||
        pf_onnx_settle(build, index))
        return -1;
    return pf_onnx_give(build, 0, index, &dims);
}

static int translate_relu(PfOnnxBuild *build)
{
    return translate_plain(build, PF_OP_RELU);
}
static int translate_sigmoid(PfOnnxBuild *build)
{
    return translate_plain(build, PF_OP_SIGMOID);
}
static int translate_tanh(PfOnnxBuild *build)
{
    return translate_plain(build, PF_OP_TANH);
}
static int translate_hard_swish(PfOnnxBuild *build)
{
    return translate_plain(build, PF_OP_HARD_SWISH);
}
static int translate_silu(PfOnnxBuild *build)
{
    return translate_plain(build, PF_OP_SILU);
}
static int translate_quick_gelu(PfOnnxBuild *build)
{
    return translate_plain(build, PF_OP_QUICK_GELU);
}

static int translate_sqrt(PfOnnxBuild *build)
{
    return translate_plain(build, PF_OP_SQRT);
}
static int translate_exp(PfOnnxBuild *build)
{
    return translate_plain(build, PF_OP_EXP);
}
static int translate_log(PfOnnxBuild *build)
{
    return translate_plain(build, PF_OP_LOG);
}
static int translate_erf(PfOnnxBuild *build)
{
    return translate_plain(build, PF_OP_ERF);
}
static int translate_negative(PfOnnxBuild *build)
{
    return translate_plain(build, PF_OP_NEGATE);
}
static int translate_abs(PfOnnxBuild *build)
{
    return translate_plain(build, PF_OP_ABS);
}
static int translate_reciprocal(PfOnnxBuild *build)
{
    return translate_plain(build, PF_OP_RECIPROCAL);
}

/* alpha: the slope of negative numbers, or how far below zero they get. */
static int translate_leaning(PfOnnxBuild *build, PfOp op, float alpha)
{
    PfOnnxDims dims;
    int node, index;
    if (!isfinite(alpha)) return pf_onnx_refuse(build, "expected a finite alpha");
    if (pf_onnx_take(build, 0, &node, &dims)) return -1;
    PfNode *added = pf_onnx_add(build, op, node, &index);
    if (!added) return -1;
    added->value = alpha;
    return pf_onnx_settle(build, index) || pf_onnx_give(build, 0, index, &dims) ? -1 : 0;
}

static int translate_leaky_relu(PfOnnxBuild *build)
{
    return translate_leaning(build, PF_OP_LEAKY_RELU, pf_onnx_real(build->step, "alpha", 0.01f));
}

static int translate_elu(PfOnnxBuild *build)
{
    return translate_leaning(build, PF_OP_ELU, pf_onnx_real(build->step, "alpha", 1));
}

static int translate_gelu(PfOnnxBuild *build)
{
    const char *how = pf_onnx_text(build->step, "approximate", "none");
    if (!strcmp(how, "tanh")) return translate_plain(build, PF_OP_GELU_TANH);
    if (!strcmp(how, "none")) return translate_plain(build, PF_OP_GELU);
    return pf_onnx_refuse(build, "expected approximate 'none' or 'tanh', found '%.60s'", how);
}

static int add_clip(PfOnnxBuild *build, int input, double low, double high, int *index)
{
    const bool is_relu = low == 0 && high >= (double)INFINITY;
    PfNode *clip = pf_onnx_add(build, is_relu ? PF_OP_RELU : PF_OP_CLIP, input, index);
    if (!clip) return -1;
    if (!is_relu) {
        clip->low = (float)low;
        clip->high = (float)high;
    }
    return pf_onnx_settle(build, *index);
}

/* A bound that may be left out. The largest float is as good as none. */
static int take_bound(PfOnnxBuild *build, int input, double *bound)
{
    const PfOnnxTensor *tensor = pf_onnx_constant(build->model, build->step, input);
    if (!pf_onnx_has_input(build, input)) return 0;
    if (!tensor || pf_onnx_count(&tensor->dims) != 1)
        return pf_onnx_refuse(build, "expected constants as bounds");
    *bound = pf_onnx_tensor_real(tensor, 0);
    if (fabs(*bound) >= 3.4e38) *bound = *bound < 0 ? -(double)INFINITY : (double)INFINITY;
    return isnan(*bound) ? pf_onnx_refuse(build, "expected numbers as bounds, found NaN") : 0;
}

static int translate_clip(PfOnnxBuild *build)
{
    PfOnnxDims dims;
    int node, index;
    double low = -(double)INFINITY, high = (double)INFINITY;
    if (pf_onnx_take(build, 0, &node, &dims) || take_bound(build, 1, &low) ||
        take_bound(build, 2, &high) || add_clip(build, node, low, high, &index))
        return -1;
    return pf_onnx_give(build, 0, index, &dims);
}

/* x * factor + shift, of every number. */
static int add_affine(PfOnnxBuild *build, double factor, double shift, int *node)
{
    const int rank = build->shapes[*node].rank;
    int number;
    if (pf_onnx_put_number(build, factor, rank, &number) ||
        pf_onnx_add_pair(build, PF_OP_MULTIPLY, *node, number, node))
        return -1;
    if (shift == 0) return 0;
    if (pf_onnx_put_number(build, shift, rank, &number) ||
        pf_onnx_add_pair(build, PF_OP_ADD, *node, number, node))
        return -1;
    return 0;
}

static int translate_hard_sigmoid(PfOnnxBuild *build)
{
    PfOnnxDims dims;
    int node;
    const double alpha = (double)pf_onnx_real(build->step, "alpha", 0.2f);
    const double beta = (double)pf_onnx_real(build->step, "beta", 0.5f);
    if (fabs(alpha - 1.0 / 6) < 1e-6 && beta == 0.5)
        return translate_plain(build, PF_OP_HARD_SIGMOID);
    if (pf_onnx_take(build, 0, &node, &dims) || add_affine(build, alpha, beta, &node) ||
        add_clip(build, node, 0, 1, &node))
        return -1;
    return pf_onnx_give(build, 0, node, &dims);
}

/* ---- two values ---- */

static int translate_pair(PfOnnxBuild *build, PfOp op)
{
    PfOnnxDims a, b, dims;
    int left, right, index;
    if (pf_onnx_take_any(build, 0, &left, &a) || pf_onnx_take_any(build, 1, &right, &b) ||
        pf_onnx_broadcast(build->model, build->step, &a, &b, &dims, build->err) ||
        pf_onnx_add_pair(build, op, left, right, &index))
        return -1;
    return pf_onnx_give(build, 0, index, &dims);
}

static int translate_add(PfOnnxBuild *build)
{
    return translate_pair(build, PF_OP_ADD);
}
static int translate_subtract(PfOnnxBuild *build)
{
    return translate_pair(build, PF_OP_SUBTRACT);
}
static int translate_multiply(PfOnnxBuild *build)
{
    return translate_pair(build, PF_OP_MULTIPLY);
}
static int translate_divide(PfOnnxBuild *build)
{
    return translate_pair(build, PF_OP_DIVIDE);
}

/* Squares are products. A power of one number may be whole, also of numbers with a fraction. */
static int translate_pow(PfOnnxBuild *build)
{
    const PfOnnxTensor *power = pf_onnx_constant(build->model, build->step, 1);
    PfOnnxDims dims;
    int node, index;
    if (!power || power->dims.rank > 1 || pf_onnx_count(&power->dims) != 1)
        return translate_pair(build, PF_OP_POWER);
    const double number = pf_onnx_tensor_real(power, 0);
    if (pf_onnx_take(build, 0, &node, &dims)) return -1;
    if (!dims.rank && power->dims.rank) return translate_pair(build, PF_OP_POWER);
    int right = node;
    if (number != 2 && pf_onnx_put_number(build, number, build->shapes[node].rank, &right))
        return -1;
    if (pf_onnx_add_pair(build, number == 2 ? PF_OP_MULTIPLY : PF_OP_POWER, node, right, &index))
        return -1;
    return pf_onnx_give(build, 0, index, &dims);
}

/* Of any number of values, two by two. */
static int translate_extreme(PfOnnxBuild *build, PfOp op)
{
    PfOnnxDims dims, other;
    int index, right;
    if (pf_onnx_take_any(build, 0, &index, &dims)) return -1;
    for (int i = 1; i < build->step->input_count; i++) {
        const PfOnnxDims left = dims;
        if (pf_onnx_take_any(build, i, &right, &other) ||
            pf_onnx_broadcast(build->model, build->step, &left, &other, &dims, build->err) ||
            pf_onnx_add_pair(build, op, index, right, &index))
            return -1;
    }
    return pf_onnx_give(build, 0, index, &dims);
}

static int translate_min(PfOnnxBuild *build)
{
    return translate_extreme(build, PF_OP_MINIMUM);
}
static int translate_max(PfOnnxBuild *build)
{
    return translate_extreme(build, PF_OP_MAXIMUM);
}

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
    if (pf_onnx_widen(build, &node, 1)) return -1;
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
    if (pf_onnx_take_any(build, 0, &left, &a) || pf_onnx_take_any(build, 1, &right, &b)) return -1;
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

/* Numbers of a norm, one for each channel: of one axis beside those of 1. */
static const PfOnnxTensor *take_channels(PfOnnxBuild *build, int input, int64_t channels)
{
    const PfOnnxTensor *tensor = pf_onnx_constant(build->model, build->step, input);
    bool fits =
        tensor && !pf_onnx_tensor_is_whole(tensor) && pf_onnx_count(&tensor->dims) == channels;
    for (int i = 0; fits && i < tensor->dims.rank; i++)
        fits = tensor->dims.sizes[i] == 1 || tensor->dims.sizes[i] == channels;
    if (fits) return tensor;
    pf_onnx_refuse(build, "expected a weight and a bias for each of %lld channels",
                   (long long)channels);
    return NULL;
}

/* Over the last axis, or over the channels of maps (1, c, h, w). */
static int translate_layer_norm(PfOnnxBuild *build)
{
    PfOnnxDims dims;
    int node, index, axis;
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_axis(build->model, build->step, pf_onnx_whole(build->step, "axis", -1), dims.rank,
                     &axis, build->err))
        return -1;
    const bool is_of_maps =
        *build->step->type == ' ' && axis == 1 && dims.rank == 4 && dims.sizes[0] == 1;
    const PfShape shape = {1, {dims.sizes[axis]}};
    const PfOnnxTensor *weight = take_channels(build, 1, shape.dims[0]);
    const PfOnnxTensor *bias = weight ? take_channels(build, 2, shape.dims[0]) : NULL;
    if (!bias) return -1;
    if (axis != dims.rank - 1 && !is_of_maps)
        return pf_onnx_refuse(build, "expected a norm over the last axis");
    PfNode *norm =
        pf_onnx_add(build, is_of_maps ? PF_OP_LAYER_NORM_2D : PF_OP_LAYER_NORM, node, &index);
    if (!norm) return -1;
    norm->in_channels = norm->out_channels = (int)shape.dims[0];
    norm->eps = pf_onnx_real(build->step, "epsilon", 1e-5f);
    if (pf_onnx_settle(build, index) ||
        pf_onnx_set_tensor(build, index, "weight", weight, &shape) ||
        pf_onnx_set_tensor(build, index, "bias", bias, &shape))
        return -1;
    return pf_onnx_give(build, 0, index, &dims);
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

static int translate_reduction(PfOnnxBuild *build, PfOp op)
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
    if (is_any && add_reduction(build, op, &dims, is_reduced, &node)) return -1;
    return pf_onnx_give(build, 0, node, &out);
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

/* clang-format off */
const PfOnnxRow pf_onnx_number_rows[] = {
    {"Relu", ALL_OPSETS, " ", translate_relu},
    {"Sigmoid", ALL_OPSETS, " ", translate_sigmoid},
    {"Tanh", ALL_OPSETS, " ", translate_tanh},
    {"HardSigmoid", ALL_OPSETS, " alpha beta ", translate_hard_sigmoid},
    {"HardSwish", 14, PF_ONNX_NEWEST_OPSET, " ", translate_hard_swish},
    {"Gelu", 20, PF_ONNX_NEWEST_OPSET, " approximate ", translate_gelu},
    {"Clip", ALL_OPSETS, " ", translate_clip},
    {"LeakyRelu", ALL_OPSETS, " alpha ", translate_leaky_relu},
    {"Elu", ALL_OPSETS, " alpha ", translate_elu},
    {"Sqrt", ALL_OPSETS, " ", translate_sqrt},
    {"Exp", ALL_OPSETS, " ", translate_exp},
    {"Log", ALL_OPSETS, " ", translate_log},
    {"Erf", ALL_OPSETS, " ", translate_erf},
    {"Neg", ALL_OPSETS, " ", translate_negative},
    {"Abs", ALL_OPSETS, " ", translate_abs},
    {"Reciprocal", ALL_OPSETS, " ", translate_reciprocal},
    {"Pow", ALL_OPSETS, " ", translate_pow},
    {"Add", ALL_OPSETS, " ", translate_add},
    {"Sub", ALL_OPSETS, " ", translate_subtract},
    {"Mul", ALL_OPSETS, " ", translate_multiply},
    {"Div", ALL_OPSETS, " ", translate_divide},
    {"Min", ALL_OPSETS, " ", translate_min},
    {"Max", ALL_OPSETS, " ", translate_max},
    {"Gemm", ALL_OPSETS, " alpha beta transA transB ", translate_gemm},
    {"MatMul", ALL_OPSETS, " ", translate_matmul},
    {"Softmax", ALL_OPSETS, " axis ", translate_softmax},
    {"LayerNormalization", 17, PF_ONNX_NEWEST_OPSET, " axis epsilon stash_type ", translate_layer_norm},
    {"ReduceMean", ALL_OPSETS, " axes keepdims noop_with_empty_axes ", translate_mean},
    {"ReduceSum", ALL_OPSETS, " axes keepdims noop_with_empty_axes ", translate_sum},
    {"ReduceMax", ALL_OPSETS, " axes keepdims noop_with_empty_axes ", translate_maximum},
    /* What simplify.c makes: names that no file can have, for they begin with a blank. */
    {" hard swish", ALL_OPSETS, " ", translate_hard_swish},
    {" gelu", ALL_OPSETS, " approximate ", translate_gelu},
    {" silu", ALL_OPSETS, " ", translate_silu},
    {" quick gelu", ALL_OPSETS, " ", translate_quick_gelu},
    {" layer norm", ALL_OPSETS, " axis epsilon ", translate_layer_norm},
    {" matmul bias", ALL_OPSETS, " ", translate_matmul_bias},
    {.type = NULL},
};
/* clang-format on */
