/* All kernels in the words of one instruction set: its lanes_*.h is included
 * before this, which leaves KERNEL_TABLE(name) for the table of them. */
#include <math.h>
#include <string.h>

#include "common/simd/lanes_math.h"
#include "train/kernels/kernels.h"
#include "train/kernels/loss.h"
#include "train/kernels/optimizer.h"

/* ---- products ---- */

/* The tile of a matrix product: see PfGemmTile in kernels.h.
 *
 * Every element is a chain of fused multiply-adds over ascending k, whatever the
 * size of the tile. Whoever includes this says how many rows and vectors of sums
 * the registers hold: GEMM_ROWS (up to 8), GEMM_VECTORS (up to 3). */

typedef Lanes GemmSums[GEMM_ROWS][GEMM_VECTORS];

/* In the functions below rows, vectors and packing are constants wherever they
 * are expanded, so that `sum` lives in registers. Columns of the last vector: */
LANES int gemm_last(const PfGemmTile *tile, int vectors)
{
    return tile->columns - 16 * (vectors - 1);
}

LANES void gemm_load(const PfGemmTile *tile, int rows, int vectors, GemmSums sum)
{
#pragma GCC unroll GEMM_UNROLL
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll GEMM_UNROLL
        for (int v = 0; v < vectors; v++) {
            const float *c = tile->c + r * tile->c_row + 16 * v;
            sum[r][v] = !tile->accumulate   ? lanes_set(0)
                        : (v + 1 < vectors) ? lanes_load(c)
                                            : lanes_load_part(c, gemm_last(tile, vectors));
        }
    }
}

LANES void gemm_store(const PfGemmTile *tile, int rows, int vectors, GemmSums sum)
{
#pragma GCC unroll GEMM_UNROLL
    for (int r = 0; r < rows; r++) {
        float *c = tile->c + r * tile->c_row;
#pragma GCC unroll GEMM_UNROLL
        for (int v = 0; v + 1 < vectors; v++) lanes_store(c + 16 * v, sum[r][v]);
        lanes_store_part(c + 16 * (vectors - 1), gemm_last(tile, vectors), sum[r][vectors - 1]);
    }
}

/* sum += one column of A times one row of B */
LANES void gemm_step(const float *a, int64_t a_row, const Lanes *b, int rows, int vectors,
                     GemmSums sum)
{
#pragma GCC unroll GEMM_UNROLL
    for (int r = 0; r < rows; r++) {
        Lanes factor = lanes_set(a[r * a_row]);
#pragma GCC unroll GEMM_UNROLL
        for (int v = 0; v < vectors; v++) sum[r][v] = lanes_fma(factor, b[v], sum[r][v]);
    }
}

/* packing: B is read where it lies, and packed for the tiles below this one; the
 * stores hide behind the multiplications. Else it is read from there. */
LANES void gemm_tile_of(const PfGemmTile *tile, int rows, int vectors, int packing)
{
    GemmSums sum;
    Lanes row[GEMM_VECTORS];
    const float *a = tile->a, *b = packing ? tile->b : tile->packed;
    const int64_t a_row = tile->a_row, a_step = tile->a_step;
    const int64_t b_step = packing ? tile->b_row : 16 * vectors;
    float *packed = tile->packed;
    gemm_load(tile, rows, vectors, sum);
    for (int64_t k = 0; k < tile->depth; k++, a += a_step, b += b_step, packed += 16 * vectors) {
#pragma GCC unroll GEMM_UNROLL
        for (int v = 0; v < vectors; v++) {
            int whole = !packing || v + 1 < vectors;
            row[v] = whole ? lanes_load(b + 16 * v)
                           : lanes_load_part(b + 16 * v, gemm_last(tile, vectors));
            if (packing) lanes_store(packed + 16 * v, row[v]);
        }
        gemm_step(a, a_row, row, rows, vectors, sum);
    }
    gemm_store(tile, rows, vectors, sum);
}

/* A function of its own for every number of rows. */
#define GEMM_CASE(ROWS)                                                                            \
    case ROWS:                                                                                     \
        if (ROWS <= GEMM_ROWS) gemm_tile_of(tile, ROWS <= GEMM_ROWS ? ROWS : 1, vectors, packing); \
        break

LANES void gemm_tile_rows(const PfGemmTile *tile, int vectors, int packing)
{
    switch (tile->rows) {
        GEMM_CASE(1);
        GEMM_CASE(2);
        GEMM_CASE(3);
        GEMM_CASE(4);
        GEMM_CASE(5);
        GEMM_CASE(6);
        GEMM_CASE(7);
        GEMM_CASE(8);
    }
}

LANES void gemm_tile_any(const PfGemmTile *tile, int packing)
{
    int vectors = (tile->columns + 15) / 16;
    if (GEMM_VECTORS >= 3 && vectors == 3)
        gemm_tile_rows(tile, GEMM_VECTORS >= 3 ? 3 : 1, packing);
    else if (GEMM_VECTORS >= 2 && vectors == 2)
        gemm_tile_rows(tile, GEMM_VECTORS >= 2 ? 2 : 1, packing);
    else
        gemm_tile_rows(tile, 1, packing);
}

LANES_TARGET static void gemm_tile(const PfGemmTile *tile)
{
    gemm_tile_any(tile, 0);
}

LANES_TARGET static void gemm_first_tile(const PfGemmTile *tile)
{
    gemm_tile_any(tile, 1);
}

/* ---- functions ---- */

/* The loops of vector_math.h over the functions of lanes_math.h. */

/* out[i] = function(x[i]) */
#define MATH_MAP(NAME, FUNCTION)                                                                   \
    LANES_TARGET static void NAME(const float *x, int64_t count, float *out)                       \
    {                                                                                              \
        int64_t i = 0;                                                                             \
        for (; i + 16 <= count; i += 16) lanes_store(out + i, FUNCTION(lanes_load(x + i)));        \
        int left = (int)(count - i);                                                               \
        if (left) lanes_store_part(out + i, left, FUNCTION(lanes_load_part(x + i, left)));         \
    }

MATH_MAP(exp_of, math_exp)
MATH_MAP(log_of, math_log)
MATH_MAP(sigmoid_of, math_sigmoid)
MATH_MAP(gelu_of, math_gelu)
MATH_MAP(gelu_slope_of, math_gelu_slope)

/* sums[j] += the sum over rows, ascending, of x[., j], or of its square. count <= 16 */
LANES void column_sums_part(const float *x, int64_t rows, int64_t stride, int count, int squares,
                            double *sums)
{
    double part[16] = {0};
    memcpy(part, sums, (size_t)count * sizeof *part);
    LanesDouble sum = lanes_double_load(part);
    for (int64_t i = 0; i < rows; i++, x += stride) {
        Lanes row = count == 16 ? lanes_load(x) : lanes_load_part(x, count);
        sum = lanes_double_add_product(sum, row, squares ? row : lanes_set(1.0f));
    }
    lanes_double_store(part, sum);
    memcpy(sums, part, (size_t)count * sizeof *part);
}

LANES void column_sums_of(const float *x, int64_t rows, int64_t columns, int64_t stride,
                          int squares, double *sums)
{
    int64_t j = 0;
    for (; j + 16 <= columns; j += 16) column_sums_part(x + j, rows, stride, 16, squares, sums + j);
    if (j < columns) column_sums_part(x + j, rows, stride, (int)(columns - j), squares, sums + j);
}

LANES_TARGET static void column_sums(const float *x, int64_t rows, int64_t columns, int64_t stride,
                                     double *sums)
{
    column_sums_of(x, rows, columns, stride, 0, sums);
}

LANES_TARGET static void column_square_sums(const float *x, int64_t rows, int64_t columns,
                                            int64_t stride, double *sums)
{
    column_sums_of(x, rows, columns, stride, 1, sums);
}

#include "train/kernels/loss_lanes.h"

/* ---- steps ---- */

/* The steps of optimizer.h, 16 columns at a time. */

/* Where 16 columns of one row stand. */
LANES Lanes step_load(const float *values, int count)
{
    return count == 16 ? lanes_load(values) : lanes_load_part(values, count);
}

LANES void step_store(float *values, int count, Lanes a)
{
    if (count == 16)
        lanes_store(values, a);
    else
        lanes_store_part(values, count, a);
}

/* 0 where |a| is smaller than that: running means of rare gradients would else end
 * up subnormal, for ever, and slow. */
LANES Lanes step_flush(Lanes a, float smallest)
{
    return lanes_if_less(lanes_abs(a), lanes_set(smallest), lanes_set(0), a);
}

LANES void adam_sixteen(const PfStepBlock *block, const PfAdamStep *step, int64_t row, int64_t j,
                        int count)
{
    int64_t at = row * block->stride + j;
    Lanes p = step_load(block->parameters + at, count);
    Lanes g = step_load(block->gradient + row * block->gradient_stride + j, count);
    Lanes m = step_load(block->mean + at, count), v = step_load(block->square + at, count);
    g = step_flush(lanes_fma(step_load(step->decay + j, count), p, g), PF_SMALLEST_GRADIENT);
    m = lanes_fma(lanes_set(step->beta1), m, lanes_mul(lanes_set(step->one_less_beta1), g));
    m = step_flush(m, PF_SMALLEST_MEAN);
    Lanes scaled = lanes_mul(lanes_set(step->one_less_beta2), g);
    v = lanes_fma(scaled, g, lanes_mul(lanes_set(step->beta2), v));
    v = step_flush(v, PF_SMALLEST_SQUARE);
    Lanes below = lanes_fma(lanes_sqrt(v), lanes_set(step->correction), lanes_set(step->epsilon));
    Lanes move = lanes_div(lanes_mul(step_load(step->rate + j, count), m), below);
    p = lanes_sub(lanes_mul(step_load(step->shrink + j, count), p), move);
    step_store(block->mean + at, count, m);
    step_store(block->square + at, count, v);
    step_store(block->parameters + at, count, p);
}

LANES_TARGET static void adam(const PfStepBlock *block, const PfAdamStep *step)
{
    for (int64_t row = 0; row < block->rows; row++) {
        int64_t j = 0;
        for (; j + 16 <= block->columns; j += 16) adam_sixteen(block, step, row, j, 16);
        if (j < block->columns) adam_sixteen(block, step, row, j, (int)(block->columns - j));
    }
}

LANES void sgd_sixteen(const PfStepBlock *block, const PfSgdStep *step, int64_t row, int64_t j,
                       int count)
{
    int64_t at = row * block->stride + j;
    Lanes p = step_load(block->parameters + at, count);
    Lanes g = step_load(block->gradient + row * block->gradient_stride + j, count);
    Lanes m = step_load(block->mean + at, count);
    Lanes momentum = step_load(step->momentum + j, count);
    g = lanes_fma(step_load(step->decay + j, count), p, g);
    m = step_flush(lanes_fma(momentum, m, g), PF_SMALLEST_MEAN);
    Lanes move = step->nesterov ? lanes_fma(momentum, m, g) : m;
    p = lanes_fnma(step_load(step->rate + j, count), move, p);
    step_store(block->mean + at, count, m);
    step_store(block->parameters + at, count, p);
}

LANES_TARGET static void sgd(const PfStepBlock *block, const PfSgdStep *step)
{
    for (int64_t row = 0; row < block->rows; row++) {
        int64_t j = 0;
        for (; j + 16 <= block->columns; j += 16) sgd_sixteen(block, step, row, j, 16);
        if (j < block->columns) sgd_sixteen(block, step, row, j, (int)(block->columns - j));
    }
}

#define KERNEL_TABLE(NAME)                                                                         \
    {                                                                                              \
        .name = NAME, .gemm_rows = GEMM_ROWS, .gemm_vectors = GEMM_VECTORS,                        \
        .gemm_first_tile = gemm_first_tile, .gemm_tile = gemm_tile, .exp = exp_of, .log = log_of,  \
        .sigmoid = sigmoid_of, .gelu = gelu_of, .gelu_slope = gelu_slope_of,                       \
        .column_sums = column_sums, .column_square_sums = column_square_sums,                      \
        .softmax_largest = softmax_largest, .softmax_exp = softmax_exp,                            \
        .softmax_exp_block = softmax_exp_block, .pointwise = pointwise, .adam = adam, .sgd = sgd   \
    }
