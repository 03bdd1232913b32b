#include "common/engine/loops.h"

#include <math.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/conv/kernels.h"
#include "common/engine/layout.h"

/* The innermost loop; of a single number, one time. */
typedef struct Inner {
    int64_t size, y, x, sum; /* strides */
} Inner;

static Inner inner_of(const PfEngineLoops *loops)
{
    const int last = loops->rank - 1;
    if (last < 0) return (Inner){1, 1, 1, 1};
    return (Inner){loops->sizes[last], loops->strides[0][last], loops->strides[1][last],
                   loops->strides[2][last]};
}

/* ---- copies ---- */

void pf_loops_copy(const PfEngineLoops *loops, const PfLoopMaps *maps)
{
    const Inner inner = inner_of(loops);
    PfPlaces places = pf_places_of(loops);
    do {
        const float *x = maps->x + places.at[1];
        float *y = maps->y + places.at[0];
        if (inner.y == 1 && inner.x == 1)
            memcpy(y, x, (size_t)inner.size * sizeof *y);
        else
            for (int64_t i = 0; i < inner.size; i++) y[i * inner.y] = x[i * inner.x];
    } while (pf_places_next(loops, 1, &places));
}

/* ---- arithmetic ---- */

/* As torch's: what is no number stays so. */
static float greater(float a, float b)
{
    return a > b || a != a ? a : b;
}

static float lesser(float a, float b)
{
    return a < b || a != a ? a : b;
}

/* Where both operands, or all but one number, lie side by side, the compiler uses vectors. */
#define DEFINE_COMBINATION(name, expression)                                                       \
    static void name(const Inner *inner, float *y, const float *x, const float *sum)               \
    {                                                                                              \
        const int64_t size = inner->size, to = inner->y, by_x = inner->x, by_sum = inner->sum;     \
        if (to == 1 && by_x == 1 && by_sum == 1) {                                                 \
            for (int64_t i = 0; i < size; i++) {                                                   \
                const float a = x[i], b = sum[i];                                                  \
                y[i] = (expression);                                                               \
            }                                                                                      \
        } else if (to == 1 && by_x == 1 && by_sum == 0) {                                          \
            const float b = *sum;                                                                  \
            for (int64_t i = 0; i < size; i++) {                                                   \
                const float a = x[i];                                                              \
                y[i] = (expression);                                                               \
            }                                                                                      \
        } else {                                                                                   \
            for (int64_t i = 0; i < size; i++) {                                                   \
                const float a = x[i * by_x], b = sum[i * by_sum];                                  \
                y[i * to] = (expression);                                                          \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE_COMBINATION(add, a + b)
DEFINE_COMBINATION(subtract, a - b)
DEFINE_COMBINATION(multiply, a *b)
DEFINE_COMBINATION(divide, a / b)
DEFINE_COMBINATION(raise, (float)pow((double)a, (double)b))
DEFINE_COMBINATION(choose_greater, greater(a, b))
DEFINE_COMBINATION(choose_lesser, lesser(a, b))

typedef void (*Combination)(const Inner *inner, float *y, const float *x, const float *sum);

static const Combination combinations[PF_OP_COUNT] = {
    [PF_OP_ADD] = add,
    [PF_OP_SUBTRACT] = subtract,
    [PF_OP_MULTIPLY] = multiply,
    [PF_OP_DIVIDE] = divide,
    [PF_OP_POWER] = raise,
    [PF_OP_MAXIMUM] = choose_greater,
    [PF_OP_MINIMUM] = choose_lesser,
};

void pf_loops_combine(const PfEngineLoops *loops, PfOp op, const PfLoopMaps *maps)
{
    const Inner inner = inner_of(loops);
    PfPlaces places = pf_places_of(loops);
    do {
        combinations[op](&inner, maps->y + places.at[0], maps->x + places.at[1],
                         maps->sum + places.at[2]);
    } while (pf_places_next(loops, 1, &places));
}

/* ---- functions ---- */

/* In double, so that how the library rounds its floats does not show. */
static float function_of(PfOp op, double value, double x)
{
    switch (op) {
    case PF_OP_EXP: return (float)exp(x);
    case PF_OP_LOG: return (float)log(x);
    case PF_OP_ERF: return (float)erf(x);
    case PF_OP_ELU: return (float)(x < 0 ? value * expm1(x) : x);
    default: return (float)x;
    }
}

void pf_loops_apply(PfOp op, float value, const float *x, float *y, int64_t count)
{
    switch (op) {
    case PF_OP_SQRT:
        for (int64_t i = 0; i < count; i++) y[i] = sqrtf(x[i]);
        break;
    case PF_OP_NEGATE:
        for (int64_t i = 0; i < count; i++) y[i] = -x[i];
        break;
    case PF_OP_ABS:
        for (int64_t i = 0; i < count; i++) y[i] = fabsf(x[i]);
        break;
    case PF_OP_RECIPROCAL:
        for (int64_t i = 0; i < count; i++) y[i] = 1 / x[i];
        break;
    case PF_OP_LEAKY_RELU:
        for (int64_t i = 0; i < count; i++) y[i] = x[i] < 0 ? value * x[i] : x[i];
        break;
    default:
        for (int64_t i = 0; i < count; i++) y[i] = function_of(op, (double)value, (double)x[i]);
    }
}

/* ---- over axes ---- */

static void add_numbers(const Inner *inner, const float *x, double *into)
{
    if (!inner->y) {
        double sum = *into;
        for (int64_t i = 0; i < inner->size; i++) sum += (double)x[i * inner->x];
        *into = sum;
    } else if (inner->y == 1 && inner->x == 1) {
        for (int64_t i = 0; i < inner->size; i++) into[i] += (double)x[i];
    } else {
        for (int64_t i = 0; i < inner->size; i++) into[i * inner->y] += (double)x[i * inner->x];
    }
}

static void take_maxima(const Inner *inner, const float *x, double *into)
{
    for (int64_t i = 0; i < inner->size; i++) {
        double *most = &into[i * inner->y];
        const double number = (double)x[i * inner->x];
        if (number > *most || number != number) *most = number;
    }
}

/* From the sums of each pixel's channels; what fills them up becomes zeros. */
static void write_reduced(const PfEngineValue *value, const double *sums, double divisor, float *y)
{
    for (int64_t p = 0; p < value->height * value->width; p++)
        for (int64_t c = 0; c < value->stride; c++) {
            const int64_t at = p * value->stride + c;
            y[at] = c < value->channels ? (float)(sums[at] / divisor) : 0;
        }
}

void pf_loops_reduce(const PfEngineLoops *loops, PfOp op, const PfEngineValue *y,
                     const PfLoopMaps *maps)
{
    const Inner inner = inner_of(loops);
    const int64_t count = y->height * y->width * y->stride;
    double *sums = maps->scratch;
    PfPlaces places = pf_places_of(loops);
    int64_t numbers = 1;
    for (int i = 0; i < loops->rank; i++) numbers *= loops->sizes[i];
    for (int64_t i = 0; i < count; i++) sums[i] = op == PF_OP_REDUCE_MAX ? -INFINITY : 0;
    do {
        double *into = sums + places.at[0];
        const float *x = maps->x + places.at[1];
        op == PF_OP_REDUCE_MAX ? take_maxima(&inner, x, into) : add_numbers(&inner, x, into);
    } while (pf_places_next(loops, 1, &places));
    const int64_t results = y->height * y->width * y->channels;
    write_reduced(y, sums, op == PF_OP_MEAN ? (double)(numbers / results) : 1, maps->y);
}

/* ---- softmax ---- */

static void softmax(const Inner *inner, const float *x, float *y)
{
    float most = x[0];
    double sum = 0;
    for (int64_t i = 1; i < inner->size; i++) most = greater(x[i * inner->x], most);
    for (int64_t i = 0; i < inner->size; i++) {
        const double power = exp((double)x[i * inner->x] - (double)most);
        y[i * inner->y] = (float)power;
        sum += power;
    }
    for (int64_t i = 0; i < inner->size; i++)
        y[i * inner->y] = (float)((double)y[i * inner->y] / sum);
}

/* Whether y's are rows, each with room up to a multiple of 16, and x's lie side by side. */
static bool are_rows(const PfEngineLoops *loops)
{
    const int last = loops->rank - 1;
    if (last < 0 || loops->strides[0][last] != 1 || loops->strides[1][last] != 1) return false;
    const int64_t filled = (loops->sizes[last] + 15) / 16 * 16;
    for (int axis = 0; axis < last; axis++)
        if (loops->strides[0][axis] % filled) return false;
    return loops->begins[0] == 0;
}

static void softmax_row(const Inner *inner, const float *x, float *y)
{
    const PfSoftmax row = {.rows = 1, .count = inner->size, .x = x, .y = y};
    pf_conv_kernels()->softmax(&row);
}

void pf_loops_softmax(const PfEngineLoops *loops, const PfLoopMaps *maps)
{
    const Inner inner = inner_of(loops);
    const bool has_rows = are_rows(loops);
    PfPlaces places = pf_places_of(loops);
    do {
        if (has_rows)
            softmax_row(&inner, maps->x + places.at[1], maps->y + places.at[0]);
        else
            softmax(&inner, maps->x + places.at[1], maps->y + places.at[0]);
    } while (pf_places_next(loops, 1, &places));
}

/* ---- matrices ---- */

enum { COLUMNS = 32 }; /* of a strip of the second matrix */

/* One loop of the product and its strides in y, x, sum. */
typedef struct Axis {
    int64_t size, y, x, sum;
} Axis;

static Axis axis_of(const PfEngineLoops *loops, int axis)
{
    return (Axis){loops->sizes[axis], loops->strides[0][axis], loops->strides[1][axis],
                  loops->strides[2][axis]};
}

/* Columns first ... first + count of the second matrix, side by side, filled up with zeros. */
static void pack_strip(const Axis *depth, const Axis *columns, int64_t first, int64_t count,
                       const float *sum, float *strip)
{
    for (int64_t k = 0; k < depth->size; k++)
        for (int64_t c = 0; c < COLUMNS; c++)
            strip[k * COLUMNS + c] =
                c < count ? sum[k * depth->sum + (first + c) * columns->sum] : 0;
}

/* Each sum in the order of the columns of x. */
static void multiply_row(const Axis *depth, const float *x, const float *strip, float *sums)
{
    for (int64_t c = 0; c < COLUMNS; c++) sums[c] = 0;
    for (int64_t k = 0; k < depth->size; k++) {
        const float factor = x[k * depth->x];
        for (int64_t c = 0; c < COLUMNS; c++) sums[c] += factor * strip[k * COLUMNS + c];
    }
}

static void multiply_two(const PfEngineLoops *loops, const float *x, const float *sum, float *y,
                         float *strip)
{
    const Axis rows = axis_of(loops, loops->rank - 3), depth = axis_of(loops, loops->rank - 2);
    const Axis columns = axis_of(loops, loops->rank - 1);
    float sums[COLUMNS];
    for (int64_t first = 0; first < columns.size; first += COLUMNS) {
        const int64_t count = pf_min(COLUMNS, columns.size - first);
        pack_strip(&depth, &columns, first, count, sum, strip);
        for (int64_t r = 0; r < rows.size; r++) {
            multiply_row(&depth, x + r * rows.x, strip, sums);
            for (int64_t c = 0; c < count; c++) y[r * rows.y + (first + c) * columns.y] = sums[c];
        }
    }
}

void pf_loops_multiply_matrices(const PfEngineLoops *loops, const PfLoopMaps *maps)
{
    PfPlaces places = pf_places_of(loops);
    do {
        multiply_two(loops, maps->x + places.at[1], maps->sum + places.at[2],
                     maps->y + places.at[0], maps->scratch);
    } while (pf_places_next(loops, 3, &places));
}

/* ---- scratch ---- */

size_t pf_engine_loops_scratch(const PfEnginePlan *plan, const PfEngineStep *step)
{
    if (step->kind == PF_STEP_REDUCE)
        return pf_engine_value_bytes(&plan->values[step->y]) / sizeof(float) * sizeof(double);
    if (step->kind == PF_STEP_PRODUCT)
        return COLUMNS * sizeof(float) * (size_t)step->loops.sizes[step->loops.rank - 2];
    return 0;
}
