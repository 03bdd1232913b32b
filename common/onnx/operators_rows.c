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
    if (pf_onnx_take(build, 0, &left, &a) || pf_onnx_take(build, 1, &right, &b) ||
        pf_onnx_broadcast(build->model, build->step, &a, &b, &dims, build->err) ||
        pf_onnx_add_pair(build, op, left, right, &index))
        return -1;
    return pf_onnx_give(build, 0, index, &dims);
}

/* Whether an input is a constant of zeros, as masks are that mask nothing. */
static bool is_nothing(const PfOnnxBuild *build, int input)
{
    const PfOnnxTensor *tensor = pf_onnx_constant(build->model, build->step, input);
    const int64_t count = tensor ? pf_onnx_count(&tensor->dims) : 0;
    int64_t i = 0;
    while (i < count && pf_onnx_tensor_real(tensor, i) == 0) i++;
    return count && i == count;
}

static int translate_add(PfOnnxBuild *build)
{
    PfOnnxDims a, b, dims;
    int left, right;
    const bool is_left = is_nothing(build, 1), is_right = is_nothing(build, 0);
    if (is_left == is_right) return translate_pair(build, PF_OP_ADD);
    if (pf_onnx_take(build, 0, &left, &a) || pf_onnx_take(build, 1, &right, &b) ||
        pf_onnx_broadcast(build->model, build->step, &a, &b, &dims, build->err))
        return -1;
    if (pf_onnx_count(&dims) != pf_onnx_count(is_left ? &a : &b))
        return translate_pair(build, PF_OP_ADD);
    return pf_onnx_give(build, 0, is_left ? left : right, &dims);
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
    if (pf_onnx_take(build, 0, &index, &dims)) return -1;
    for (int i = 1; i < build->step->input_count; i++) {
        const PfOnnxDims left = dims;
        if (pf_onnx_take(build, i, &right, &other) ||
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

/* Of any number of values: their sum, or that by how many they are. */
static int translate_sums(PfOnnxBuild *build, bool is_mean)
{
    PfOnnxDims dims, other;
    int index, right;
    if (pf_onnx_take(build, 0, &index, &dims)) return -1;
    for (int i = 1; i < build->step->input_count; i++) {
        const PfOnnxDims left = dims;
        if (pf_onnx_take(build, i, &right, &other) ||
            pf_onnx_broadcast(build->model, build->step, &left, &other, &dims, build->err) ||
            pf_onnx_add_pair(build, PF_OP_ADD, index, right, &index))
            return -1;
    }
    if (is_mean && add_affine(build, 1.0 / build->step->input_count, 0, &index)) return -1;
    return pf_onnx_give(build, 0, index, &dims);
}

static int translate_sum_of(PfOnnxBuild *build)
{
    return translate_sums(build, false);
}
static int translate_mean_of(PfOnnxBuild *build)
{
    return translate_sums(build, true);
}

/* max(x, 0) + slope * min(x, 0). Slopes have the channels' axis first. */
static int translate_prelu(PfOnnxBuild *build)
{
    PfOnnxDims dims, slopes, out;
    int node, slope, low;
    if (pf_onnx_take(build, 0, &node, &dims) || pf_onnx_take(build, 1, &slope, &slopes) ||
        pf_onnx_broadcast(build->model, build->step, &dims, &slopes, &out, build->err))
        return -1;
    if (pf_onnx_count(&out) != pf_onnx_count(&dims))
        return pf_onnx_refuse(build, "expected slopes that fit the shape of its input");
    if (add_clip(build, node, -(double)INFINITY, 0, &low) ||
        add_clip(build, node, 0, (double)INFINITY, &node) ||
        pf_onnx_add_pair(build, PF_OP_MULTIPLY, low, slope, &low) ||
        pf_onnx_add_pair(build, PF_OP_ADD, node, low, &node))
        return -1;
    return pf_onnx_give(build, 0, node, &dims);
}

/* log(1 + exp(x)) as max(x, 0) + log(1 + exp(-|x|)), which never is infinite on the way. */
static int add_softplus(PfOnnxBuild *build, int *node)
{
    int small = *node;
    if (pf_onnx_add_plain(build, PF_OP_ABS, &small) ||
        pf_onnx_add_plain(build, PF_OP_NEGATE, &small) ||
        pf_onnx_add_plain(build, PF_OP_EXP, &small) || add_affine(build, 1, 1, &small) ||
        pf_onnx_add_plain(build, PF_OP_LOG, &small) || pf_onnx_add_plain(build, PF_OP_RELU, node) ||
        pf_onnx_add_pair(build, PF_OP_ADD, *node, small, node))
        return -1;
    return 0;
}

static int translate_softplus(PfOnnxBuild *build)
{
    PfOnnxDims dims;
    int node;
    if (pf_onnx_take(build, 0, &node, &dims) || add_softplus(build, &node)) return -1;
    return pf_onnx_give(build, 0, node, &dims);
}

/* x * tanh(softplus(x)). */
static int translate_mish(PfOnnxBuild *build)
{
    PfOnnxDims dims;
    int node, gate;
    if (pf_onnx_take(build, 0, &node, &dims)) return -1;
    gate = node;
    if (add_softplus(build, &gate) || pf_onnx_add_plain(build, PF_OP_TANH, &gate) ||
        pf_onnx_add_pair(build, PF_OP_MULTIPLY, node, gate, &node))
        return -1;
    return pf_onnx_give(build, 0, node, &dims);
}

/* x / (1 + |x|). */
static int translate_softsign(PfOnnxBuild *build)
{
    PfOnnxDims dims;
    int node, below;
    if (pf_onnx_take(build, 0, &node, &dims)) return -1;
    below = node;
    if (pf_onnx_add_plain(build, PF_OP_ABS, &below) || add_affine(build, 1, 1, &below) ||
        pf_onnx_add_pair(build, PF_OP_DIVIDE, node, below, &node))
        return -1;
    return pf_onnx_give(build, 0, node, &dims);
}

/* gamma * elu(x) with that alpha. */
static int translate_selu(PfOnnxBuild *build)
{
    const double gamma = (double)pf_onnx_real(build->step, "gamma", 1.05070098f);
    PfOnnxDims dims;
    int node;
    if (pf_onnx_take(build, 0, &node, &dims)) return -1;
    PfNode *elu = pf_onnx_add(build, PF_OP_ELU, node, &node);
    if (!elu) return -1;
    elu->value = pf_onnx_real(build->step, "alpha", 1.67326324f);
    if (!isfinite(elu->value) || !isfinite(gamma))
        return pf_onnx_refuse(build, "expected a finite alpha and gamma");
    if (pf_onnx_settle(build, node) || add_affine(build, gamma, 0, &node)) return -1;
    return pf_onnx_give(build, 0, node, &dims);
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

/* What torch puts behind a softmax with a mask: 0 for NaN, which comes of rows that are masked
 * altogether. Where the mask, a constant, has no infinite numbers, there is none. */
static int translate_unless_nan(PfOnnxBuild *build)
{
    const PfNode *nodes = build->builder.arch->nodes;
    PfOnnxTensor mask;
    PfOnnxDims dims;
    int node;
    if (pf_onnx_take(build, 0, &node, &dims)) return -1;
    if (nodes[node].op != PF_OP_SOFTMAX) return pf_onnx_refuse(build, "expected NaN of a softmax");
    const PfNode *before = &nodes[nodes[node].inputs[0]];
    for (int k = 0; k < 2 && before->op == PF_OP_ADD; k++) {
        const bool is_mask = pf_onnx_node_tensor(build, before->inputs[k], &mask);
        const int64_t count = is_mask ? pf_onnx_count(&mask.dims) : 0;
        for (int64_t i = 0; i < count; i++)
            if (!isfinite(pf_onnx_tensor_real(&mask, i)))
                return pf_onnx_refuse(build, "expected a mask of finite numbers");
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
    {"Sum", ALL_OPSETS, " ", translate_sum_of},
    {"Mean", ALL_OPSETS, " ", translate_mean_of},
    {"PRelu", ALL_OPSETS, " ", translate_prelu},
    {"Softplus", ALL_OPSETS, " ", translate_softplus},
    {"Mish", 18, PF_ONNX_NEWEST_OPSET, " ", translate_mish},
    {"Softsign", ALL_OPSETS, " ", translate_softsign},
    {"Selu", ALL_OPSETS, " alpha gamma ", translate_selu},
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
    {" hard swish", ALL_OPSETS, " ", translate_hard_swish},
    {" gelu", ALL_OPSETS, " approximate ", translate_gelu},
    {" silu", ALL_OPSETS, " ", translate_silu},
    {" quick gelu", ALL_OPSETS, " ", translate_quick_gelu},
    {" unless nan", ALL_OPSETS, " ", translate_unless_nan},
    {" matmul bias", ALL_OPSETS, " ", translate_matmul_bias},
    {.type = NULL},
};
/* clang-format on */
