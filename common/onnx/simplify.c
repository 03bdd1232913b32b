/* Several steps that are one operation: see build.h. */
#include <math.h>
#include <string.h>

#include "common/onnx/build.h"

#define MAX_INNER 24
#define MAX_FACTORS 6

/* A pattern on its way: which steps it would take in. */
typedef struct Match {
    PfOnnxModel *model;
    PfOnnxStep *root;
    PfOnnxStep *inner[MAX_INNER];
    int inner_count;
    bool failed; /* it has more parts than there is room for */
} Match;

/* ---- looking ---- */

/* The step that gives the value as its first output, if it is of that type. */
static PfOnnxStep *maker(const Match *match, int value, const char *type)
{
    if (value < 0 || match->model->values[value].producer < 0) return NULL;
    PfOnnxStep *step = &match->model->steps[match->model->values[value].producer];
    const bool fits =
        !step->is_gone && !*step->domain && !strcmp(step->type, type) && step->outputs[0] == value;
    return fits ? step : NULL;
}

/* The same for a part that would go: nothing else may use it. */
static PfOnnxStep *part(Match *match, int value, const char *type, int uses)
{
    PfOnnxStep *step = maker(match, value, type);
    if (!step || match->model->values[value].uses != uses ||
        match->model->values[value].is_output || match->inner_count == MAX_INNER)
        return NULL;
    match->inner[match->inner_count++] = step;
    return step;
}

static bool number(const Match *match, int value, double *out)
{
    const PfOnnxTensor *constant = value < 0 ? NULL : match->model->values[value].constant;
    if (!constant || pf_onnx_count(&constant->dims) != 1) return false;
    *out = pf_onnx_tensor_real(constant, 0);
    return true;
}

static bool is_number(const Match *match, int value, double expected)
{
    double found;
    return number(match, value, &found) && fabs(found - expected) <= 2e-4 * fabs(expected);
}

static bool has_pair(const PfOnnxStep *step)
{
    return step->input_count == 2 && step->inputs[0] >= 0 && step->inputs[1] >= 0;
}

/* Of a step with two inputs of which one is that number: the other; -1: it is not so. */
static int beside_number(const Match *match, const PfOnnxStep *step, double expected)
{
    for (int i = 0; i < 2 && has_pair(step); i++)
        if (is_number(match, step->inputs[i], expected)) return step->inputs[1 - i];
    return -1;
}

static int beside(const PfOnnxStep *step, int value)
{
    for (int i = 0; i < 2 && has_pair(step); i++)
        if (step->inputs[i] == value) return step->inputs[1 - i];
    return -1;
}

/* ---- products ---- */

typedef struct Product {
    double factor;
    int values[MAX_FACTORS]; /* (count) that are no numbers */
    int count;
} Product;

static void multiply_in(Match *match, int value, Product *product);

static void multiply_pair(Match *match, const PfOnnxStep *step, Product *product)
{
    for (int i = 0; i < 2; i++) multiply_in(match, step->inputs[i], product);
}

/* A factor: a number, a product or quotient of its own, or a value. */
static void multiply_in(Match *match, int value, Product *product)
{
    double found;
    const int before = match->inner_count;
    if (number(match, value, &found)) {
        product->factor *= found;
        return;
    }
    const PfOnnxStep *inner = part(match, value, "Mul", 1);
    if (inner && has_pair(inner)) {
        multiply_pair(match, inner, product);
        return;
    }
    match->inner_count = before;
    inner = part(match, value, "Div", 1);
    if (inner && has_pair(inner) && number(match, inner->inputs[1], &found)) {
        product->factor /= found;
        multiply_in(match, inner->inputs[0], product);
        return;
    }
    match->inner_count = before;
    if (product->count < MAX_FACTORS)
        product->values[product->count++] = value;
    else
        match->failed = true;
}

static bool is_near(double found, double expected)
{
    return fabs(found - expected) <= 2e-4 * fabs(expected);
}

/* Whether the value is factor * x. */
static bool is_multiple(Match *match, int value, int x, double factor)
{
    Product product = {.factor = 1};
    multiply_in(match, value, &product);
    return product.count == 1 && product.values[0] == x && is_near(product.factor, factor);
}

/* Whether the value is 0.044715 * x^3. */
static bool is_cubic_term(Match *match, int value, int x)
{
    Product product = {.factor = 1};
    multiply_in(match, value, &product);
    if (!is_near(product.factor, 0.044715)) return false;
    if (product.count == 3)
        return product.values[0] == x && product.values[1] == x && product.values[2] == x;
    const PfOnnxStep *power = product.count == 1 ? part(match, product.values[0], "Pow", 1) : NULL;
    return power && has_pair(power) && power->inputs[0] == x &&
           is_number(match, power->inputs[1], 3);
}

/* Whether the value is sqrt(2 / pi) * (x + 0.044715 x^3). */
static bool is_tanh_term(Match *match, int value, int x)
{
    Product product = {.factor = 1};
    multiply_in(match, value, &product);
    const PfOnnxStep *sum = product.count == 1 ? part(match, product.values[0], "Add", 1) : NULL;
    const int cubic = sum ? beside(sum, x) : -1;
    return cubic >= 0 && is_near(product.factor, 0.7978845608) && is_cubic_term(match, cubic, x);
}

/* ---- replacing ---- */

/* The root becomes a step of that type with these inputs, and what was inside goes. */
static int replace(Match *match, const char *type, const int *inputs, int count, PfError *err)
{
    PfOnnxStep *root = match->root;
    root->inputs = pf_arena_allocate(&match->model->arena, sizeof *inputs * (size_t)count, 16, err);
    if (!root->inputs) return -1;
    memcpy(root->inputs, inputs, sizeof *inputs * (size_t)count);
    root->input_count = count;
    root->type = type;
    root->setting_count = 0;
    for (int i = 0; i < match->inner_count; i++) match->inner[i]->is_gone = true;
    return 0;
}

static int set_attributes(Match *match, const PfOnnxSetting *settings, int count, PfError *err)
{
    PfOnnxSetting *kept =
        pf_arena_allocate(&match->model->arena, sizeof *kept * (size_t)count, 16, err);
    if (!kept) return -1;
    memcpy(kept, settings, sizeof *kept * (size_t)count);
    match->root->settings = kept;
    match->root->setting_count = count;
    return 0;
}

/* ---- activations: products of x and something of x ---- */

static bool is_silu(Match *match, int gate, int x)
{
    const PfOnnxStep *sigmoid = part(match, gate, "Sigmoid", 1);
    return sigmoid && sigmoid->input_count == 1 && sigmoid->inputs[0] == x;
}

static bool is_quick_gelu(Match *match, int gate, int x)
{
    const PfOnnxStep *sigmoid = part(match, gate, "Sigmoid", 1);
    return sigmoid && sigmoid->input_count == 1 && is_multiple(match, sigmoid->inputs[0], x, 1.702);
}

/* One and a function of x. */
static const PfOnnxStep *one_and(Match *match, int gate, const char *function)
{
    const PfOnnxStep *sum = part(match, gate, "Add", 1);
    const int inside = sum ? beside_number(match, sum, 1) : -1;
    const PfOnnxStep *step = inside < 0 ? NULL : part(match, inside, function, 1);
    return step && step->input_count == 1 ? step : NULL;
}

static bool is_gelu(Match *match, int gate, int x)
{
    const PfOnnxStep *erf = one_and(match, gate, "Erf");
    return erf && is_multiple(match, erf->inputs[0], x, 0.70710678118);
}

static bool is_gelu_tanh(Match *match, int gate, int x)
{
    const PfOnnxStep *tanh = one_and(match, gate, "Tanh");
    return tanh && is_tanh_term(match, tanh->inputs[0], x);
}

static bool is_hard_sigmoid(Match *match, int gate, int x)
{
    const PfOnnxStep *step = part(match, gate, "HardSigmoid", 1);
    return step && step->input_count == 1 && step->inputs[0] == x &&
           is_near((double)pf_onnx_real(step, "alpha", 0.2f), 1.0 / 6) &&
           is_near((double)pf_onnx_real(step, "beta", 0.5f), 0.5);
}

/* clip(x + 3, 0, 6), of which a sixth is hard_sigmoid(x). */
static bool is_six_hard_sigmoid(Match *match, int gate, int x)
{
    double low;
    const PfOnnxStep *clip = part(match, gate, "Clip", 1);
    if (!clip || clip->input_count != 3 || !number(match, clip->inputs[1], &low) || low != 0 ||
        !is_number(match, clip->inputs[2], 6))
        return false;
    const PfOnnxStep *sum = part(match, clip->inputs[0], "Add", 1);
    return sum && beside_number(match, sum, 3) == x;
}

/* factor * x * gate(x). */
static const struct {
    const char *type;
    double factor;
    bool (*is_gate)(Match *match, int gate, int x);
    const char *approximate; /* of gelu; NULL: it has none */
} activations[] = {
    {" silu", 1, is_silu, NULL},
    {" quick gelu", 1, is_quick_gelu, NULL},
    {" gelu", 0.5, is_gelu, "none"},
    {" gelu", 0.5, is_gelu_tanh, "tanh"},
    {" hard swish", 1, is_hard_sigmoid, NULL},
    {" hard swish", 1.0 / 6, is_six_hard_sigmoid, NULL},
};
#define ACTIVATION_COUNT (sizeof activations / sizeof activations[0])

static int simplify_product(Match *match, PfError *err)
{
    Product product = {.factor = 1};
    double divisor;
    if (!has_pair(match->root)) return 0;
    if (!strcmp(match->root->type, "Mul")) {
        multiply_pair(match, match->root, &product);
    } else {
        if (!number(match, match->root->inputs[1], &divisor)) return 0;
        multiply_in(match, match->root->inputs[0], &product);
        product.factor /= divisor;
    }
    const int taken = match->inner_count;
    if (match->failed || product.count != 2) return 0;
    for (size_t a = 0; a < ACTIVATION_COUNT; a++) {
        if (!is_near(product.factor, activations[a].factor)) continue;
        for (int i = 0; i < 2; i++, match->inner_count = taken) {
            const int x = product.values[i];
            if (!activations[a].is_gate(match, product.values[1 - i], x) || match->failed) continue;
            const PfOnnxSetting how = {.name = "approximate", .text = activations[a].approximate};
            if (replace(match, activations[a].type, &x, 1, err)) return -1;
            return how.text ? set_attributes(match, &how, 1, err) : 0;
        }
    }
    return 0;
}

/* ---- layer norm ---- */

/* Of a mean over one axis that stays: its input; -1: it is none. */
static int mean_of(Match *match, int value, int64_t *axis)
{
    PfError ignored = {0};
    int64_t axes[PF_ONNX_MAX_RANK];
    int count;
    const PfOnnxStep *mean = part(match, value, "ReduceMean", 1);
    if (!mean || !pf_onnx_whole(mean, "keepdims", 1) || mean->input_count < 1 ||
        pf_onnx_list(match->model, mean, "axes", 1, axes, &count, &ignored) || count != 1)
        return -1;
    *axis = axes[0];
    return mean->inputs[0];
}

/* The square of `centred`: -1 where the value is none. */
static bool is_square(Match *match, int value, int *centred, int *uses)
{
    const PfOnnxStep *step = part(match, value, "Pow", 1);
    if (step) {
        *centred = step->inputs[0];
        *uses = 2;
        return has_pair(step) && is_number(match, step->inputs[1], 2);
    }
    step = part(match, value, "Mul", 1);
    if (!step || !has_pair(step) || step->inputs[0] != step->inputs[1]) return false;
    *centred = step->inputs[0];
    *uses = 3;
    return true;
}

/* (x - mean) / sqrt(mean of its square + eps): x, or -1. */
static int normalised(Match *match, const PfOnnxStep *quotient, int64_t *axis, double *eps)
{
    int centred, uses;
    int64_t other;
    const PfOnnxStep *root =
        has_pair(quotient) ? part(match, quotient->inputs[1], "Sqrt", 1) : NULL;
    const PfOnnxStep *sum =
        root && root->input_count == 1 ? part(match, root->inputs[0], "Add", 1) : NULL;
    if (!sum || !has_pair(sum)) return -1;
    const int which = number(match, sum->inputs[1], eps) ? 0 : 1;
    if (!number(match, sum->inputs[1 - which], eps)) return -1;
    const int squared = mean_of(match, sum->inputs[which], axis);
    if (squared < 0 || !is_square(match, squared, &centred, &uses) ||
        centred != quotient->inputs[0])
        return -1;
    const PfOnnxStep *difference = part(match, centred, "Sub", uses);
    if (!difference || !has_pair(difference)) return -1;
    const int x = mean_of(match, difference->inputs[1], &other);
    return x == difference->inputs[0] && other == *axis ? x : -1;
}

static bool is_constant(const Match *match, int value)
{
    return value >= 0 && match->model->values[value].constant;
}

/* Whether two constants are rows along the same axis: what else is added is no bias of the norm. */
static bool are_rows(const Match *match, int weight, int bias)
{
    const PfOnnxDims *a = &match->model->values[weight].constant->dims,
                     *b = &match->model->values[bias].constant->dims;
    if (pf_onnx_count(a) != pf_onnx_count(b)) return false;
    for (int i = 1; i <= a->rank || i <= b->rank; i++)
        if ((i <= a->rank ? a->sizes[a->rank - i] : 1) !=
            (i <= b->rank ? b->sizes[b->rank - i] : 1))
            return false;
    return true;
}

/* norm * weight + bias, all of it: the root is the sum. */
static int simplify_layer_norm(Match *match, PfError *err)
{
    int64_t axis;
    double eps;
    if (!has_pair(match->root)) return 0;
    for (int i = 0; i < 2; i++, match->inner_count = 0) {
        const int bias = match->root->inputs[1 - i];
        const PfOnnxStep *product =
            is_constant(match, bias) ? part(match, match->root->inputs[i], "Mul", 1) : NULL;
        for (int k = 0; k < 2 && product && has_pair(product); k++, match->inner_count = 1) {
            const int weight = product->inputs[1 - k];
            const PfOnnxStep *quotient =
                is_constant(match, weight) ? part(match, product->inputs[k], "Div", 1) : NULL;
            const int x = quotient ? normalised(match, quotient, &axis, &eps) : -1;
            if (x < 0 || !are_rows(match, weight, bias)) continue;
            const int inputs[] = {x, weight, bias};
            const PfOnnxSetting settings[] = {{.name = "axis", .whole = axis},
                                              {.name = "epsilon", .real = (float)eps}};
            return replace(match, " layer norm", inputs, 3, err) ||
                           set_attributes(match, settings, 2, err)
                       ? -1
                       : 0;
        }
    }
    return 0;
}

/* ---- NaN ---- */

/* Where(IsNaN(x), 0, x). */
static int simplify_nan(Match *match, PfError *err)
{
    double zero;
    const PfOnnxStep *root = match->root;
    if (root->input_count != 3) return 0;
    const PfOnnxStep *test = part(match, root->inputs[0], "IsNaN", 1);
    const int x = root->inputs[2];
    if (!test || test->input_count != 1 || test->inputs[0] != x ||
        !number(match, root->inputs[1], &zero) || zero != 0)
        return 0;
    return replace(match, " unless nan", &x, 1, err);
}

/* ---- products with a bias ---- */

static int simplify_bias(Match *match, PfError *err)
{
    if (!has_pair(match->root)) return 0;
    for (int i = 0; i < 2; i++, match->inner_count = 0) {
        const int bias = match->root->inputs[1 - i];
        const PfOnnxStep *product =
            is_constant(match, bias) ? part(match, match->root->inputs[i], "MatMul", 1) : NULL;
        if (!product || !has_pair(product) || !is_constant(match, product->inputs[1])) continue;
        const PfOnnxTensor *matrix = match->model->values[product->inputs[1]].constant;
        const PfOnnxTensor *row = match->model->values[bias].constant;
        if (matrix->dims.rank != 2 || row->dims.rank != 1 ||
            row->dims.sizes[0] != matrix->dims.sizes[1])
            continue;
        const int inputs[] = {product->inputs[0], product->inputs[1], bias};
        return replace(match, " matmul bias", inputs, 3, err);
    }
    return 0;
}

/* ---- all ---- */

static const struct {
    const char *type; /* of the last step */
    int (*simplify)(Match *match, PfError *err);
} patterns[] = {{"Mul", simplify_product},
                {"Div", simplify_product},
                {"Where", simplify_nan},
                {"Add", simplify_layer_norm},
                {"Add", simplify_bias}};
#define PATTERN_COUNT (sizeof patterns / sizeof patterns[0])

int pf_onnx_simplify(PfOnnxModel *model, PfError *err)
{
    for (int i = 0; i < model->step_count; i++)
        for (size_t p = 0; p < PATTERN_COUNT; p++) {
            PfOnnxStep *step = &model->steps[i];
            Match match = {.model = model, .root = step};
            if (step->is_gone || *step->domain || strcmp(step->type, patterns[p].type)) continue;
            if (patterns[p].simplify(&match, err)) return -1;
        }
    return 0;
}
