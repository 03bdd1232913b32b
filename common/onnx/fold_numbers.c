/* Arithmetic with constants: see folding.h. */
#include <math.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/onnx/folding.h"

/* What a cast makes of numbers. */
typedef enum Kind { REAL, WHOLE, TRUTH, OTHER } Kind;

static Kind cast_kind(int64_t to)
{
    switch (to) {
    case 1:               /* float */
    case 10:              /* float16 */
    case 11:              /* double */
    case 16: return REAL; /* bfloat16 */
    case 9: return TRUTH;
    case 2: /* integers */
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 12:
    case 13: return WHOLE;
    default: return OTHER;
    }
}

/* Numbers with a fraction stay as they are when they are cast to another such type: what is
 * computed with them is computed in float32 anyway. */
static int cast(PfOnnxFold *fold, Kind kind)
{
    const PfOnnxTensor *in = fold->inputs[0];
    const bool is_whole = pf_onnx_tensor_is_whole(in), becomes_whole = kind != REAL;
    void *data;
    if (kind == OTHER) return 0;
    if (is_whole == becomes_whole && kind != TRUTH) return pf_onnx_fold_look(fold, &in->dims);
    if (!pf_onnx_fold_make(fold, becomes_whole ? PF_DTYPE_I64 : PF_DTYPE_F32, &in->dims, &data))
        return -1;
    const int64_t count = pf_onnx_count(&in->dims);
    for (int64_t i = 0; i < count; i++) {
        if (kind == TRUTH)
            ((int64_t *)data)[i] = pf_onnx_tensor_real(in, i) != 0;
        else if (becomes_whole)
            ((int64_t *)data)[i] = pf_onnx_tensor_whole(in, i);
        else
            ((float *)data)[i] = (float)pf_onnx_tensor_real(in, i);
    }
    return 0;
}

static int fold_cast(PfOnnxFold *fold)
{
    return cast(fold, cast_kind(pf_onnx_whole(fold->step, "to", 0)));
}

static int fold_cast_like(PfOnnxFold *fold)
{
    const PfOnnxTensor *like = fold->inputs[1];
    if (!like) return 0;
    return cast(fold, like->dtype == PF_DTYPE_BOOL    ? TRUTH
                      : pf_onnx_tensor_is_whole(like) ? WHOLE
                                                      : REAL);
}

/* Of integers that wrap, as in other programs. */
static int64_t wrap_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t wrap_subtract(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static int64_t wrap_multiply(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a * (uint64_t)b);
}

static int64_t divide(int64_t a, int64_t b)
{
    return b == -1 ? wrap_subtract(0, a) : b ? a / b : 0;
}

/* The remainder has the divisor's sign, unless it is C's that is asked for. */
static int64_t modulo(int64_t a, int64_t b)
{
    if (!b || b == -1) return 0;
    const int64_t rest = a % b;
    return rest && (rest < 0) != (b < 0) ? rest + b : rest;
}

#define COMPARISON(name, sign)                                                                     \
    static int64_t whole_##name(int64_t a, int64_t b)                                              \
    {                                                                                              \
        return a sign b;                                                                           \
    }                                                                                              \
    static double real_##name(double a, double b)                                                  \
    {                                                                                              \
        return a sign b;                                                                           \
    }
COMPARISON(equal, ==)
COMPARISON(less, <)
COMPARISON(greater, >)
COMPARISON(not_less, >=)
COMPARISON(not_greater, <=)

static int64_t whole_xor(int64_t a, int64_t b)
{
    return !a != !b;
}
static int64_t whole_and(int64_t a, int64_t b)
{
    return a && b;
}
static int64_t whole_or(int64_t a, int64_t b)
{
    return a || b;
}
static double real_add(double a, double b)
{
    return a + b;
}
static double real_subtract(double a, double b)
{
    return a - b;
}
static double real_multiply(double a, double b)
{
    return a * b;
}
static double real_divide(double a, double b)
{
    return a / b;
}

/* Integers for integers, else float32; only real: always float32. Of a question the answer is
 * whole. */
static const struct {
    const char *type;
    int64_t (*whole)(int64_t a, int64_t b);
    double (*real)(double a, double b);
    bool is_question;
} pairs[] = {
    {"Add", wrap_add, real_add, false},
    {"Sub", wrap_subtract, real_subtract, false},
    {"Mul", wrap_multiply, real_multiply, false},
    {"Div", divide, real_divide, false},
    {"Min", pf_min, fmin, false},
    {"Max", pf_max, fmax, false},
    {"Pow", NULL, pow, false},
    {"Mod", modulo, NULL, false},
    {"GreaterOrEqual", whole_not_less, real_not_less, true},
    {"LessOrEqual", whole_not_greater, real_not_greater, true},
    {"Xor", whole_xor, NULL, false},
    {"Equal", whole_equal, real_equal, true},
    {"Less", whole_less, real_less, true},
    {"Greater", whole_greater, real_greater, true},
    {"And", whole_and, NULL, false},
    {"Or", whole_or, NULL, false},
};
#define PAIR_COUNT (sizeof pairs / sizeof pairs[0])

static int fold_pair(PfOnnxFold *fold)
{
    const PfOnnxTensor *a = fold->inputs[0], *b = fold->inputs[1];
    size_t row = 0;
    PfOnnxPlaces places = {{0}};
    PfOnnxDims dims;
    void *data;
    while (row < PAIR_COUNT && strcmp(pairs[row].type, fold->step->type)) row++;
    if (row == PAIR_COUNT || !b || fold->step->input_count != 2)
        return pf_onnx_fail(fold->model, fold->step, fold->err, "expected two inputs");
    const bool is_whole =
        pf_onnx_tensor_is_whole(a) && pf_onnx_tensor_is_whole(b) && pairs[row].whole;
    if (!is_whole && !pairs[row].real) return 0;
    const bool is_question = pairs[row].is_question;
    if (pf_onnx_broadcast(fold->model, fold->step, &a->dims, &b->dims, &dims, fold->err) ||
        !pf_onnx_fold_make(fold, is_whole || is_question ? PF_DTYPE_I64 : PF_DTYPE_F32, &dims,
                           &data))
        return -1;
    const int64_t count = pf_onnx_count(&dims);
    for (int64_t i = 0; i < count; i++, pf_onnx_advance(&dims, &places)) {
        const int64_t m = pf_onnx_offset_in(&a->dims, &dims, &places),
                      n = pf_onnx_offset_in(&b->dims, &dims, &places);
        if (is_whole)
            ((int64_t *)data)[i] =
                pairs[row].whole(pf_onnx_tensor_whole(a, m), pf_onnx_tensor_whole(b, n));
        else if (is_question)
            ((int64_t *)data)[i] =
                (int64_t)pairs[row].real(pf_onnx_tensor_real(a, m), pf_onnx_tensor_real(b, n));
        else
            ((float *)data)[i] =
                (float)pairs[row].real(pf_onnx_tensor_real(a, m), pf_onnx_tensor_real(b, n));
    }
    return 0;
}

static int fold_modulo(PfOnnxFold *fold)
{
    return pf_onnx_whole(fold->step, "fmod", 0) ? 0 : fold_pair(fold);
}

/* Of two; of others, parameters are made, which the network compares. */
static int fold_extreme(PfOnnxFold *fold)
{
    return fold->step->input_count == 2 ? fold_pair(fold) : 0;
}

static double negative(double a)
{
    return -a;
}
static double reciprocal(double a)
{
    return 1 / a;
}
static double sigmoid(double a)
{
    return 1 / (1 + exp(-a));
}
static double positive(double a)
{
    return a < 0 ? 0 : a;
}

static const struct {
    const char *type;
    double (*real)(double a);
} singles[] = {{"Sqrt", sqrt},
               {"Exp", exp},
               {"Log", log},
               {"Erf", erf},
               {"Abs", fabs},
               {"Neg", negative},
               {"Reciprocal", reciprocal},
               {"Floor", floor},
               {"Ceil", ceil},
               {"Round", nearbyint},
               {"Sin", sin},
               {"Cos", cos},
               {"Tanh", tanh},
               {"Sigmoid", sigmoid},
               {"Relu", positive}};
#define SINGLE_COUNT (sizeof singles / sizeof singles[0])

static int fold_single(PfOnnxFold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    const bool is_whole = pf_onnx_tensor_is_whole(in);
    size_t row = 0;
    void *data;
    while (row < SINGLE_COUNT && strcmp(singles[row].type, fold->step->type)) row++;
    if (is_whole && strcmp(fold->step->type, "Neg")) return 0;
    if (row == SINGLE_COUNT ||
        !pf_onnx_fold_make(fold, is_whole ? PF_DTYPE_I64 : PF_DTYPE_F32, &in->dims, &data))
        return -1;
    const int64_t count = pf_onnx_count(&in->dims);
    for (int64_t i = 0; i < count; i++) {
        if (is_whole)
            ((int64_t *)data)[i] = wrap_subtract(0, pf_onnx_tensor_whole(in, i));
        else
            ((float *)data)[i] = (float)singles[row].real(pf_onnx_tensor_real(in, i));
    }
    return 0;
}

static int fold_not(PfOnnxFold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    void *data;
    if (!pf_onnx_fold_make(fold, PF_DTYPE_I64, &in->dims, &data)) return -1;
    const int64_t count = pf_onnx_count(&in->dims);
    for (int64_t i = 0; i < count; i++) ((int64_t *)data)[i] = !pf_onnx_tensor_whole(in, i);
    return 0;
}

static int fold_where(PfOnnxFold *fold)
{
    PfOnnxDims both, dims;
    PfOnnxPlaces places = {{0}};
    void *data;
    if (pf_onnx_fold_alike(fold, 1, 1)) return -1;
    const PfOnnxTensor *a = fold->inputs[1], *b = fold->inputs[2], *which = fold->inputs[0];
    if (!a || !b || a->dtype != b->dtype) return 0;
    if (pf_onnx_broadcast(fold->model, fold->step, &a->dims, &b->dims, &both, fold->err) ||
        pf_onnx_broadcast(fold->model, fold->step, &both, &which->dims, &dims, fold->err) ||
        !pf_onnx_fold_make(fold, a->dtype, &dims, &data))
        return -1;
    const int64_t count = pf_onnx_count(&dims);
    for (int64_t i = 0; i < count; i++, pf_onnx_advance(&dims, &places)) {
        const bool is_a =
            pf_onnx_tensor_whole(which, pf_onnx_offset_in(&which->dims, &dims, &places)) != 0;
        const PfOnnxTensor *from = is_a ? a : b;
        pf_onnx_copy_number(from, pf_onnx_offset_in(&from->dims, &dims, &places), data, i);
    }
    return 0;
}

static int fold_product(PfOnnxFold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    int64_t product = 1;
    if (!pf_onnx_tensor_is_whole(in) || in->dims.rank != 1 || in->dims.sizes[0] > 1 << 16) return 0;
    if (pf_onnx_fold_work(fold, 1, in->dims.sizes[0])) return -1;
    for (int64_t i = 0; i < in->dims.sizes[0]; i++)
        product = wrap_multiply(product, pf_onnx_tensor_whole(in, i));
    return pf_onnx_fold_list(fold, &product, 1, !pf_onnx_whole(fold->step, "keepdims", 1));
}

/* Between two bounds, of which either may be left out. */
static int fold_clip(PfOnnxFold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0], *low = fold->inputs[1], *high = fold->inputs[2];
    const bool is_whole = pf_onnx_tensor_is_whole(in);
    void *data;
    if ((low && pf_onnx_count(&low->dims) != 1) || (high && pf_onnx_count(&high->dims) != 1) ||
        fold->step->setting_count)
        return 0;
    if (!pf_onnx_fold_make(fold, is_whole ? PF_DTYPE_I64 : PF_DTYPE_F32, &in->dims, &data))
        return -1;
    const int64_t count = pf_onnx_count(&in->dims);
    for (int64_t i = 0; i < count; i++) {
        int64_t whole = pf_onnx_tensor_whole(in, i);
        double real = pf_onnx_tensor_real(in, i);
        if (low && is_whole) whole = pf_max(whole, pf_onnx_tensor_whole(low, 0));
        if (high && is_whole) whole = pf_min(whole, pf_onnx_tensor_whole(high, 0));
        if (low) real = fmax(real, pf_onnx_tensor_real(low, 0));
        if (high) real = fmin(real, pf_onnx_tensor_real(high, 0));
        if (is_whole)
            ((int64_t *)data)[i] = whole;
        else
            ((float *)data)[i] = (float)real;
    }
    return 0;
}

/* Of two matrices that are not large; others are computed with the network. The work is taken from
 * the budget: a product of long rows is short itself. */
static int fold_matmul(PfOnnxFold *fold)
{
    const int64_t most = 1 << 24;
    const PfOnnxTensor *a = fold->inputs[0], *b = fold->inputs[1];
    void *data;
    if (!b || b->dims.rank != 2 || a->dims.rank < 1 || pf_onnx_tensor_is_whole(a) ||
        pf_onnx_tensor_is_whole(b) || a->dims.sizes[a->dims.rank - 1] != b->dims.sizes[0])
        return 0;
    const int64_t inner = b->dims.sizes[0], columns = b->dims.sizes[1];
    const int64_t rows = inner ? pf_onnx_count(&a->dims) / inner : 0;
    if (!rows || rows > most / inner || columns > most / (rows * inner)) return 0;
    if (!pf_onnx_take_work(fold->model, rows * inner, columns)) return 0;
    PfOnnxDims dims = a->dims;
    dims.sizes[dims.rank - 1] = columns;
    if (!pf_onnx_fold_make(fold, PF_DTYPE_F32, &dims, &data)) return -1;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < columns; k++) {
            double sum = 0;
            for (int64_t j = 0; j < inner; j++)
                sum +=
                    pf_onnx_tensor_real(a, i * inner + j) * pf_onnx_tensor_real(b, j * columns + k);
            ((float *)data)[i * columns + k] = (float)sum;
        }
    return 0;
}

const PfOnnxFoldRow pf_onnx_number_folds[] = {
    {"Cast", 1, fold_cast},
    {"CastLike", 2, fold_cast_like},
    {"Add", 2, fold_pair},
    {"Sub", 2, fold_pair},
    {"Mul", 2, fold_pair},
    {"Div", 2, fold_pair},
    {"Min", 2, fold_extreme},
    {"Max", 2, fold_extreme},
    {"Pow", 2, fold_pair},
    {"Mod", 2, fold_modulo},
    {"GreaterOrEqual", 2, fold_pair},
    {"LessOrEqual", 2, fold_pair},
    {"Xor", 2, fold_pair},
    {"Equal", 2, fold_pair},
    {"Less", 2, fold_pair},
    {"Greater", 2, fold_pair},
    {"And", 2, fold_pair},
    {"Or", 2, fold_pair},
    {"Sqrt", 1, fold_single},
    {"Exp", 1, fold_single},
    {"Log", 1, fold_single},
    {"Erf", 1, fold_single},
    {"Abs", 1, fold_single},
    {"Neg", 1, fold_single},
    {"Reciprocal", 1, fold_single},
    {"Floor", 1, fold_single},
    {"Ceil", 1, fold_single},
    {"Round", 1, fold_single},
    {"Sin", 1, fold_single},
    {"Cos", 1, fold_single},
    {"Tanh", 1, fold_single},
    {"Sigmoid", 1, fold_single},
    {"Relu", 1, fold_single},
    {"Not", 1, fold_not},
    {"Where", 3, fold_where},
    {"ReduceProd", 1, fold_product},
    {"Clip", 1, fold_clip},
    {"MatMul", 2, fold_matmul},
    {.type = NULL},
};
