/* Operators on numbers, and on two values: see build.h. */
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

#define PLAIN(translate_name, op)                                                                  \
    static int translate_name(PfOnnxBuild *build)                                                  \
    {                                                                                              \
        return translate_plain(build, op);                                                         \
    }
PLAIN(translate_relu, PF_OP_RELU)
PLAIN(translate_sigmoid, PF_OP_SIGMOID)
PLAIN(translate_tanh, PF_OP_TANH)
PLAIN(translate_hard_swish, PF_OP_HARD_SWISH)
PLAIN(translate_silu, PF_OP_SILU)
PLAIN(translate_quick_gelu, PF_OP_QUICK_GELU)
PLAIN(translate_sqrt, PF_OP_SQRT)
PLAIN(translate_exp, PF_OP_EXP)
PLAIN(translate_log, PF_OP_LOG)
PLAIN(translate_erf, PF_OP_ERF)
PLAIN(translate_negative, PF_OP_NEGATE)
PLAIN(translate_abs, PF_OP_ABS)
PLAIN(translate_reciprocal, PF_OP_RECIPROCAL)

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

/* Whether an input is a constant of zeros, as masks are that mask nothing. One with more numbers
 * than the other input is not looked at: it would repeat that. Nor is one where many have been
 * looked at already, in proportion to the file. */
static bool is_nothing(const PfOnnxBuild *build, int input)
{
    const PfOnnxTensor *tensor = pf_onnx_constant(build->model, build->step, input);
    const int64_t count = tensor ? pf_onnx_count(&tensor->dims) : 0;
    int64_t i = 0;
    if (!pf_onnx_has_input(build, 1 - input)) return false;
    const PfOnnxValue *other = &build->model->values[build->step->inputs[1 - input]];
    if (!other->is_made || count > pf_onnx_count(&other->dims)) return false;
    if (!pf_onnx_take_work(build->model, 1, count)) return false;
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
    /* What simplify.c makes: names that no file can have, for they begin with a blank. */
    {" hard swish", ALL_OPSETS, " ", translate_hard_swish},
    {" gelu", ALL_OPSETS, " approximate ", translate_gelu},
    {" silu", ALL_OPSETS, " ", translate_silu},
    {" quick gelu", ALL_OPSETS, " ", translate_quick_gelu},
    {.type = NULL},
};
/* clang-format on */
