/* The loops of kernels.h in the words of one instruction set, whose common/simd/lanes_*.h is
 * included before this.
 *
 * Every element of a product is a chain of fused multiply-adds over ascending k. Whoever includes
 * this says how many rows and vectors of sums the registers hold: PRODUCT_ROWS (up to 6),
 * PRODUCT_VECTORS (1, 2 or 4), and PRODUCT_UNROLL, at least as many as both; and how many steps of
 * a sum there are between loading and storing it, PRODUCT_DEPTH, a multiple of 16.
 *
 * The six points at which polynomials are multiplied (winograd.c) are 0, a, -a, b, -b and
 * infinity with a = 5/8 and b = 3/2, whose powers are exact in float. They lie closer
 * to 1 than the usual 1 and 2, so that less is lost to cancellation. */
#include <math.h>
#include <stddef.h>

#include "common/conv/kernels.h"
#include "common/simd/lanes_math.h"

/* ---- activations ---- */

/* Those that are no cuts stay for activate(). */
LANES Lanes cut_of(const PfActivation *cut, Lanes y)
{
    if (cut->kind == PF_ACTIVATION_RELU) return lanes_max(lanes_set(0), y); /* NaN stays */
    if (cut->kind != PF_ACTIVATION_CLIP) return y;
    return lanes_min(lanes_set(cut->high), lanes_max(lanes_set(cut->low), y));
}

LANES Lanes hard_sigmoid_of(Lanes y)
{
    Lanes cut = lanes_max(lanes_set(0), lanes_add(y, lanes_set(3.0f)));
    return lanes_mul(lanes_min(lanes_set(6.0f), cut), lanes_set(1.0f / 6));
}

/* The definition has 1 + tanh(t) = 2 sigmoid(2 t), which loses nothing where tanh is near -1. */
LANES Lanes gelu_tanh_of(Lanes y)
{
    Lanes inner = lanes_fma(lanes_mul(y, y), lanes_set(0.044715f), lanes_set(1.0f));
    Lanes t2 = lanes_mul(lanes_mul(lanes_set(1.5957691216f), y), inner); /* 2 sqrt(2 / pi) */
    return lanes_mul(y, math_sigmoid(t2));
}

LANES Lanes quick_gelu_of(Lanes y)
{
    return lanes_mul(y, math_sigmoid(lanes_mul(lanes_set(1.702f), y)));
}

/* A function of its own for every kind. */
#define ACTIVATE_CASE(KIND, VALUE)                                                                 \
    case KIND:                                                                                     \
        for (int64_t r = 0; r < a->rows; r++)                                                      \
            for (int64_t i = 0; i < a->width; i += 16) {                                           \
                Lanes y = lanes_load(a->y + r * a->row + i);                                       \
                y = (VALUE);                                                                       \
                lanes_store(a->y + r * a->row + i, a->bf16 ? lanes_round_bf16(y) : y);             \
            }                                                                                      \
        break

LANES_TARGET static void activate(const PfActivate *a)
{
    switch (a->activation.kind) {
    case PF_ACTIVATION_COUNT:
        break;
        ACTIVATE_CASE(PF_ACTIVATION_NONE, y);
        ACTIVATE_CASE(PF_ACTIVATION_RELU, cut_of(&a->activation, y));
        ACTIVATE_CASE(PF_ACTIVATION_CLIP, cut_of(&a->activation, y));
        ACTIVATE_CASE(PF_ACTIVATION_SIGMOID, math_sigmoid(y));
        ACTIVATE_CASE(PF_ACTIVATION_HARD_SIGMOID, hard_sigmoid_of(y));
        ACTIVATE_CASE(PF_ACTIVATION_HARD_SWISH, lanes_mul(y, hard_sigmoid_of(y)));
        ACTIVATE_CASE(PF_ACTIVATION_SILU, math_silu(y));
        ACTIVATE_CASE(PF_ACTIVATION_GELU, math_gelu(y));
        ACTIVATE_CASE(PF_ACTIVATION_GELU_TANH, gelu_tanh_of(y));
        ACTIVATE_CASE(PF_ACTIVATION_QUICK_GELU, quick_gelu_of(y));
        ACTIVATE_CASE(PF_ACTIVATION_TANH, math_tanh(y));
    }
}

/* ---- products ---- */

enum { PRODUCT_STRIP = 16 * PRODUCT_VECTORS }; /* see PfProduct's u */

typedef Lanes ProductSums[PRODUCT_ROWS][PRODUCT_VECTORS];

/* Some of the product's rows, columns and steps. */
typedef struct ProductTile {
    const float *const *rows;
    /* What is fetched meanwhile: `rows` from `next` on, there from `fetch` on. */
    int64_t next, fetch;
    int64_t step, depth;
    const float *u; /* rows u_row apart */
    int64_t u_row;
    /* Of the next strip of u, which comes into the second-level cache meanwhile: the tile's part,
     * and how many lines of 16 floats for each 16 steps. */
    const float *ahead;
    int64_t ahead_lines;
    int64_t at;        /* of the first sum, in m and in `from` */
    const float *from; /* like the product's, of these steps */
    const float *bias; /* from these columns on; NULL: more steps follow */
} ProductTile;

/* In the functions below rows and vectors are constants wherever they are expanded, so
 * that `sum` lives in registers. */
LANES void product_load(const PfProduct *p, const ProductTile *tile, int rows, int vectors,
                        ProductSums sum)
{
    const float *from = tile->from;
#pragma GCC unroll PRODUCT_UNROLL
    for (int r = 0; r < rows; r++)
#pragma GCC unroll PRODUCT_UNROLL
        for (int i = 0; i < vectors; i++)
            sum[r][i] = from ? lanes_load(from + tile->at + r * p->m_row + 16 * i) : lanes_set(0);
}

LANES Lanes product_finish(const PfProduct *p, const ProductTile *tile, int i, Lanes sum)
{
    sum = lanes_add(sum, lanes_load(tile->bias + 16 * i));
    sum = cut_of(&p->cut, sum);
    return p->bf16 ? lanes_round_bf16(sum) : sum;
}

LANES void product_store(const PfProduct *p, const ProductTile *tile, int rows, int vectors,
                         ProductSums sum)
{
#pragma GCC unroll PRODUCT_UNROLL
    for (int r = 0; r < rows; r++)
#pragma GCC unroll PRODUCT_UNROLL
        for (int i = 0; i < vectors; i++)
            lanes_store(p->m + tile->at + r * p->m_row + 16 * i,
                        tile->bias ? product_finish(p, tile, i, sum[r][i]) : sum[r][i]);
}

/* What the next tile begins with comes from memory meanwhile. */
LANES void product_fetch_next(const PfProduct *p, const ProductTile *tile, int rows, int vectors)
{
#pragma GCC unroll PRODUCT_UNROLL
    for (int r = 0; r < rows; r++)
#pragma GCC unroll PRODUCT_UNROLL
        for (int i = 0; i < vectors; i++)
            __builtin_prefetch(tile->from + tile->at + (tile->next + r) * p->m_row + 16 * i);
}

/* Steps of k, each a row of u. */
LANES void product_steps(const float *const *v, int64_t first, int64_t end, const float *u,
                         int64_t u_row, int rows, int vectors, ProductSums sum)
{
#pragma GCC unroll 4
    for (int64_t k = first; k < end; k++, u += u_row) {
        Lanes row[PRODUCT_VECTORS];
#pragma GCC unroll PRODUCT_UNROLL
        for (int i = 0; i < vectors; i++) row[i] = lanes_load(u + 16 * i);
#pragma GCC unroll PRODUCT_UNROLL
        for (int r = 0; r < rows; r++) {
            Lanes factor = lanes_set(v[r][k]);
#pragma GCC unroll PRODUCT_UNROLL
            for (int i = 0; i < vectors; i++) sum[r][i] = lanes_fma(factor, row[i], sum[r][i]);
        }
    }
}

LANES void product_tile_of(const PfProduct *p, const ProductTile *tile, int rows, int vectors)
{
    ProductSums sum;
    const int64_t begin = p->offset + tile->step;
    const int64_t u_row = PRODUCT_VECTORS == 1 ? 16 : tile->u_row; /* a constant, where it can be */
    const float *v[PRODUCT_ROWS], *u = tile->u, *ahead = tile->ahead;
#pragma GCC unroll PRODUCT_UNROLL
    for (int r = 0; r < rows; r++) v[r] = tile->rows[r] + begin;
    product_load(p, tile, rows, vectors, sum);
    if (tile->from) product_fetch_next(p, tile, rows, vectors);
    for (int64_t k = 0; k < tile->depth; k += 16, u += 16 * u_row) {
#pragma GCC unroll PRODUCT_UNROLL
        for (int r = 0; r < rows; r++)
            __builtin_prefetch(tile->rows[tile->next + r] + tile->fetch + k);
        for (int64_t i = 0; i < tile->ahead_lines; i++, ahead += 16)
            __builtin_prefetch(ahead, 0, 2);
        const int64_t end = tile->depth < k + 16 ? tile->depth : k + 16;
        product_steps(v, k, end, u, u_row, rows, vectors, sum);
    }
    product_store(p, tile, rows, vectors, sum);
}

/* ---- tall tiles, where columns are too few to fill the registers ---- */

#if PRODUCT_VECTORS == 4
enum { TALL_BASES = 4, TALL_ROWS = 3 * TALL_BASES };

/* Rows in threes: the distance between them is a register of their addresses, as no processor has
 * registers for so many. */
LANES void product_tall_steps(const float *base[TALL_BASES], int64_t step, int64_t count,
                              const float *u, int64_t u_row, int vectors, Lanes sum[TALL_ROWS][2])
{
    for (int64_t k = 0; k < count; k++, u += u_row) {
        Lanes row[2];
#pragma GCC unroll PRODUCT_UNROLL
        for (int i = 0; i < vectors; i++) row[i] = lanes_load(u + 16 * i);
#pragma GCC unroll PRODUCT_UNROLL
        for (int b = 0; b < TALL_BASES; b++) {
#pragma GCC unroll PRODUCT_UNROLL
            for (int r = 0; r < 3; r++) {
                const Lanes factor = lanes_set(base[b][r * step]);
#pragma GCC unroll PRODUCT_UNROLL
                for (int i = 0; i < vectors; i++)
                    sum[3 * b + r][i] = lanes_fma(factor, row[i], sum[3 * b + r][i]);
            }
            base[b]++;
            __asm__("" : "+r"(base[b])); /* or the compiler makes pointers of all rows */
        }
    }
}

LANES void product_tall_of(const PfProduct *p, const ProductTile *tile, int vectors)
{
    Lanes sum[TALL_ROWS][2];
    const float *base[TALL_BASES], *u = tile->u;
    float *m = p->m + tile->at;
#pragma GCC unroll 4
    for (int b = 0; b < TALL_BASES; b++)
        base[b] = tile->rows[0] + p->offset + tile->step + 3 * b * p->v_step;
#pragma GCC unroll 12
    for (int r = 0; r < TALL_ROWS; r++)
#pragma GCC unroll PRODUCT_UNROLL
        for (int i = 0; i < vectors; i++)
            sum[r][i] = tile->from ? lanes_load(tile->from + tile->at + r * p->m_row + 16 * i)
                                   : lanes_set(0);
    for (int64_t k = 0; k < tile->depth; k += 16, u += 16 * tile->u_row) {
        const float *ahead = tile->rows[tile->next] + tile->fetch + k;
#pragma GCC unroll 12
        for (int r = 0; r < TALL_ROWS; r++, ahead += p->v_step) __builtin_prefetch(ahead);
        const int64_t count = tile->depth - k < 16 ? tile->depth - k : 16;
        product_tall_steps(base, p->v_step, count, u, tile->u_row, vectors, sum);
    }
#pragma GCC unroll 12
    for (int r = 0; r < TALL_ROWS; r++)
#pragma GCC unroll PRODUCT_UNROLL
        for (int i = 0; i < vectors; i++)
            lanes_store(m + r * p->m_row + 16 * i,
                        tile->bias ? product_finish(p, tile, i, sum[r][i]) : sum[r][i]);
}

LANES_TARGET __attribute__((noinline)) static void product_tall_1(const PfProduct *p,
                                                                  const ProductTile *tile)
{
    product_tall_of(p, tile, 1);
}

LANES_TARGET __attribute__((noinline)) static void product_tall_2(const PfProduct *p,
                                                                  const ProductTile *tile)
{
    product_tall_of(p, tile, 2);
}
#endif

/* A function of its own for every tile, so that its registers are its own: where all of them were
 * one function, pointers to rows were kept in vectors' registers, and moved at every step. */
#define PRODUCT_TILE(VECTORS, ROWS)                                                                \
    LANES_TARGET __attribute__((noinline)) static void product_tile_##VECTORS##_##ROWS(            \
        const PfProduct *p, const ProductTile *tile)                                               \
    {                                                                                              \
        product_tile_of(p, tile, ROWS, VECTORS);                                                   \
    }
#define PRODUCT_NAME(VECTORS, ROWS) product_tile_##VECTORS##_##ROWS,
#define PRODUCT_ROWS_OF(DO, VECTORS)                                                               \
    DO(VECTORS, 1) DO(VECTORS, 2) DO(VECTORS, 3) DO(VECTORS, 4) PRODUCT_MORE_ROWS(DO, VECTORS)
#if PRODUCT_ROWS > 4
#define PRODUCT_MORE_ROWS(DO, VECTORS) DO(VECTORS, 5) DO(VECTORS, 6)
#else
#define PRODUCT_MORE_ROWS(DO, VECTORS)
#endif

typedef void ProductTileFunction(const PfProduct *p, const ProductTile *tile);

PRODUCT_ROWS_OF(PRODUCT_TILE, 1)
static ProductTileFunction *const product_tiles_1[] = {PRODUCT_ROWS_OF(PRODUCT_NAME, 1)};
#if PRODUCT_VECTORS == 4
#define PRODUCT_TALL_1 product_tall_1
PRODUCT_ROWS_OF(PRODUCT_TILE, 2)
PRODUCT_ROWS_OF(PRODUCT_TILE, 4)
static ProductTileFunction *const product_tiles_2[] = {PRODUCT_ROWS_OF(PRODUCT_NAME, 2)};
static ProductTileFunction *const product_tiles_4[] = {PRODUCT_ROWS_OF(PRODUCT_NAME, 4)};
#else
#define PRODUCT_TALL_1 NULL
#endif

LANES void product_columns(const PfProduct *p, ProductTile *tile, int64_t column,
                           ProductTileFunction *const *tiles, ProductTileFunction *tall,
                           int is_last)
{
    const int64_t strip = column / PRODUCT_STRIP * PRODUCT_STRIP, left = p->width - strip;
    tile->u_row = left < PRODUCT_STRIP ? left : PRODUCT_STRIP;
    tile->u = p->u + strip * p->depth + tile->step * tile->u_row + column - strip;
    tile->bias = is_last && p->bias ? p->bias + column : NULL;
    /* In the last of several strips all rows are in the cache: the next steps of them come. */
    const bool is_end = strip && left <= PRODUCT_STRIP;
    tile->fetch = !is_end   ? p->offset + tile->step
                  : is_last ? p->next
                            : p->offset + tile->step + PRODUCT_DEPTH;
    const int64_t heights = (p->rows + PRODUCT_ROWS - 1) / PRODUCT_ROWS;
    /* The next strip, or of the only one the next steps. */
    const float *next = tile->u + tile->u_row * (left > PRODUCT_STRIP ? p->depth : tile->depth);
    tile->ahead_lines = (tile->u_row + heights - 1) / heights;
    for (int64_t row = 0, count; row < p->rows; row += count) {
        const int64_t rows = p->rows - row;
        const bool is_tall = tall && p->v_step && rows >= 2 * PRODUCT_ROWS;
        count = is_tall ? 2 * PRODUCT_ROWS : rows < PRODUCT_ROWS ? rows : PRODUCT_ROWS;
        tile->rows = p->v + row;
        tile->next = !is_end && 2 * count <= rows ? count : 0;
        tile->at = row * p->m_row + column;
        tile->ahead = next + row / PRODUCT_ROWS * tile->ahead_lines * tile->depth;
        (is_tall ? tall : tiles[count - 1])(p, tile);
    }
}

LANES_TARGET static void product_multiply(const PfProduct *p)
{
    ProductTile tile = {.from = p->from};
    for (; tile.step < p->depth; tile.step += PRODUCT_DEPTH, tile.from = p->m) {
        const int64_t left = p->depth - tile.step;
        const int is_last = left <= PRODUCT_DEPTH;
        int64_t column = 0;
        tile.depth = is_last ? left - p->filled : PRODUCT_DEPTH;
#if PRODUCT_VECTORS == 4
        for (; column + 64 <= p->width; column += 64)
            product_columns(p, &tile, column, product_tiles_4, NULL, is_last);
        if (p->width - column >= 32) {
            product_columns(p, &tile, column, product_tiles_2, product_tall_2, is_last);
            column += 32;
        }
#endif
        for (; column < p->width; column += 16)
            product_columns(p, &tile, column, product_tiles_1, PRODUCT_TALL_1, is_last);
    }
}

/* ---- products of windows ---- */

LANES void windows_tile(const PfProduct *p, const PfWindows *windows, const ProductTile *tile,
                        int rows, int vectors)
{
    ProductSums sum;
    const float *u = tile->u;
    const int64_t u_row = PRODUCT_VECTORS == 1 ? 16 : tile->u_row, step = windows->step;
    product_load(p, tile, rows, vectors, sum);
    for (int64_t piece = 0; piece < windows->rows; piece++) {
        const float *x = p->v[piece] + tile->step;
        for (int64_t k = 0; k < windows->length; k++, u += u_row) {
            Lanes row[PRODUCT_VECTORS];
#pragma GCC unroll PRODUCT_UNROLL
            for (int i = 0; i < vectors; i++) row[i] = lanes_load(u + 16 * i);
#pragma GCC unroll PRODUCT_UNROLL
            for (int r = 0; r < rows; r++) {
                const Lanes factor = lanes_set(x[r * step + k]);
#pragma GCC unroll PRODUCT_UNROLL
                for (int i = 0; i < vectors; i++) sum[r][i] = lanes_fma(factor, row[i], sum[r][i]);
            }
        }
    }
    product_store(p, tile, rows, vectors, sum);
}

#define WINDOWS_CASE(ROWS)                                                                         \
    case ROWS:                                                                                     \
        if (ROWS <= PRODUCT_ROWS)                                                                  \
            windows_tile(p, windows, &tile, ROWS <= PRODUCT_ROWS ? ROWS : 1, vectors);             \
        break

LANES void windows_columns(const PfProduct *p, const PfWindows *windows, int64_t column,
                           int vectors)
{
    const int64_t strip = column / PRODUCT_STRIP * PRODUCT_STRIP, left = p->width - strip;
    ProductTile tile = {.u_row = left < PRODUCT_STRIP ? left : PRODUCT_STRIP, .from = p->from};
    tile.u = p->u + strip * p->depth + column - strip;
    tile.bias = p->bias ? p->bias + column : NULL;
    for (int64_t row = 0; row < p->rows; row += PRODUCT_ROWS) {
        tile.step = row * windows->step;
        tile.at = row * p->m_row + column;
        switch (p->rows - row < PRODUCT_ROWS ? p->rows - row : PRODUCT_ROWS) {
            WINDOWS_CASE(1);
            WINDOWS_CASE(2);
            WINDOWS_CASE(3);
            WINDOWS_CASE(4);
            WINDOWS_CASE(5);
            WINDOWS_CASE(6);
        }
    }
}

LANES_TARGET static void product_windows(const PfProduct *p, const PfWindows *windows)
{
    int64_t column = 0;
    for (; column + 16 * PRODUCT_VECTORS <= p->width; column += 16 * PRODUCT_VECTORS)
        windows_columns(p, windows, column, PRODUCT_VECTORS);
    if (PRODUCT_VECTORS >= 4 && p->width - column >= 32) {
        windows_columns(p, windows, column, PRODUCT_VECTORS >= 4 ? 2 : 1);
        column += 32;
    }
    for (; column < p->width; column += 16) windows_columns(p, windows, column, 1);
}

#include "common/conv/lanewise_lanes.h"

/* ---- outer products ---- */

/* Rows from `row` on, columns from `column` on, in sums that live in registers. */
LANES void outer_tile_of(const PfOuterProduct *p, int64_t row, int64_t column, int rows,
                         int vectors)
{
    ProductSums sum;
    const float *a = p->a + row / 16 * p->a_block + row % 16, *b = p->b + column / 16 * p->b_block;
    float *m = p->m + row * p->columns + column;
#pragma GCC unroll PRODUCT_UNROLL
    for (int r = 0; r < rows; r++)
#pragma GCC unroll PRODUCT_UNROLL
        for (int i = 0; i < vectors; i++) sum[r][i] = lanes_load(m + r * p->columns + 16 * i);
    for (int64_t step = 0; step < p->steps; step++, a += 16, b += 16) {
        Lanes along[PRODUCT_VECTORS];
#pragma GCC unroll PRODUCT_UNROLL
        for (int i = 0; i < vectors; i++) along[i] = lanes_load(b + i * p->b_block);
#pragma GCC unroll PRODUCT_UNROLL
        for (int r = 0; r < rows; r++) {
            const Lanes factor = lanes_set(a[r]);
#pragma GCC unroll PRODUCT_UNROLL
            for (int i = 0; i < vectors; i++) sum[r][i] = lanes_fma(factor, along[i], sum[r][i]);
        }
    }
#pragma GCC unroll PRODUCT_UNROLL
    for (int r = 0; r < rows; r++)
#pragma GCC unroll PRODUCT_UNROLL
        for (int i = 0; i < vectors; i++) lanes_store(m + r * p->columns + 16 * i, sum[r][i]);
}

/* 16 rows lie together: PRODUCT_ROWS at a time, and what is left. */
LANES void outer_columns(const PfOuterProduct *p, int64_t column, int vectors)
{
    enum { LAST = 16 % PRODUCT_ROWS };
    for (int64_t row = 0; row < p->rows; row += 16) {
        for (int64_t i = 0; i + PRODUCT_ROWS <= 16; i += PRODUCT_ROWS)
            outer_tile_of(p, row + i, column, PRODUCT_ROWS, vectors);
        if (LAST) outer_tile_of(p, row + 16 - LAST, column, LAST, vectors);
    }
}

LANES_TARGET static void outer_product(const PfOuterProduct *p)
{
    int64_t column = 0;
    for (; column + 16 * PRODUCT_VECTORS <= p->columns; column += 16 * PRODUCT_VECTORS)
        outer_columns(p, column, PRODUCT_VECTORS);
    for (; column < p->columns; column += 16) outer_columns(p, column, 1);
}

/* ---- pools ---- */

LANES_TARGET static void max_window(const PfPoolWindow *window)
{
    for (int64_t c = 0; c < window->channels; c += 16) {
        Lanes most = lanes_set(-INFINITY);
        for (int64_t i = 0; i < window->height; i++) {
            const float *pixel = window->x + i * window->row + c;
            for (int64_t j = 0; j < window->width; j++, pixel += window->pixel) {
                Lanes value = lanes_load(pixel);
                most = lanes_if_nan(value, value, lanes_max(value, most)); /* NaN stays */
            }
        }
        lanes_store(window->y + c, most);
    }
}

/* Of vectors of channels side by side, a constant number of them wherever this is expanded: their
 * sums do not wait for each other, and more of each pixel is read at once. */
enum { AVERAGE_VECTORS = 4 };

LANES void average_vectors(const PfPoolWindow *window, int64_t c, int vectors)
{
    const Lanes divisor = lanes_set(window->divisor);
    Lanes sum[AVERAGE_VECTORS];
#pragma GCC unroll PRODUCT_UNROLL
    for (int v = 0; v < vectors; v++) sum[v] = lanes_set(0);
    for (int64_t i = 0; i < window->height; i++) {
        const float *pixel = window->x + i * window->row + c;
        for (int64_t j = 0; j < window->width; j++, pixel += window->pixel)
#pragma GCC unroll PRODUCT_UNROLL
            for (int v = 0; v < vectors; v++)
                sum[v] = lanes_add(sum[v], lanes_load(pixel + 16 * v));
    }
#pragma GCC unroll PRODUCT_UNROLL
    for (int v = 0; v < vectors; v++)
        lanes_store(window->y + c + 16 * v, lanes_div(sum[v], divisor));
}

LANES_TARGET static void average_window(const PfPoolWindow *window)
{
    int64_t c = 0;
    for (; c + 16 * AVERAGE_VECTORS <= window->channels; c += 16 * AVERAGE_VECTORS)
        average_vectors(window, c, AVERAGE_VECTORS);
    for (; c < window->channels; c += 16) average_vectors(window, c, 1);
}

/* ---- pixel by pixel ---- */

LANES_TARGET static void pointwise(const PfPointwise *p)
{
    const PfActivate behind = {.activation = p->activation,
                               .bf16 = p->bf16,
                               .rows = 1,
                               .width = p->channels,
                               .row = p->channels};
    const float *x = p->x, *scale = p->scale, *shift = p->shift;
    for (int64_t at = 0; at < p->pixels * p->y_step; at += p->y_step, x += p->x_step) {
        for (int64_t c = 0; c < p->channels; c += 16) {
            Lanes y = lanes_load(x + c);
            if (shift)
                y = lanes_fma(y, lanes_load(scale + c), lanes_load(shift + c));
            else if (scale)
                y = lanes_mul(y, lanes_load(scale + c));
            if (p->sum) y = lanes_add(y, lanes_load(p->sum + at + c));
            y = cut_of(&p->activation, y);
            lanes_store(p->y + at + c, p->bf16 ? lanes_round_bf16(y) : y);
        }
        if (pf_activation_is_cut(&p->activation)) continue;
        PfActivate row = behind;
        row.y = p->y + at;
        activate(&row);
    }
}

/* ---- row by row ---- */

#include "common/conv/rows_lanes.h"

/* ---- points ---- */

#define A1 0.625f
#define A2 (A1 * A1)
#define A3 (A1 * A1 * A1)
#define B1 1.5f
#define B2 (B1 * B1)
#define B3 (B1 * B1 * B1)

/* ---- transforms ---- */

/* Six values along one side of an input's tile become values at the six points. */
LANES void winograd_input_line(const Lanes d[6], Lanes at[6])
{
    const Lanes a2 = lanes_set(A2), b2 = lanes_set(B2), both = lanes_set(A2 * B2),
                sum = lanes_set(A2 + B2), a = lanes_set(A1), b = lanes_set(B1);
    Lanes even_a = lanes_fnma(b2, d[2], d[4]), odd_a = lanes_fnma(b2, d[1], d[3]);
    Lanes even_b = lanes_fnma(a2, d[2], d[4]), odd_b = lanes_fnma(a2, d[1], d[3]);
    at[0] = lanes_fma(both, d[0], lanes_fnma(sum, d[2], d[4]));
    at[1] = lanes_fma(a, odd_a, even_a);
    at[2] = lanes_fnma(a, odd_a, even_a);
    at[3] = lanes_fma(b, odd_b, even_b);
    at[4] = lanes_fnma(b, odd_b, even_b);
    at[5] = lanes_fma(both, d[1], lanes_fnma(sum, d[3], d[5]));
}

/* From six points back to four values along one side of an output's tile. */
LANES void winograd_output_line(const Lanes at[6], Lanes y[4])
{
    Lanes even_a = lanes_add(at[1], at[2]), odd_a = lanes_sub(at[1], at[2]);
    Lanes even_b = lanes_add(at[3], at[4]), odd_b = lanes_sub(at[3], at[4]);
    y[0] = lanes_add(lanes_add(at[0], even_a), even_b);
    y[1] = lanes_fma(lanes_set(A1), odd_a, lanes_mul(lanes_set(B1), odd_b));
    y[2] = lanes_fma(lanes_set(A2), even_a, lanes_mul(lanes_set(B2), even_b));
    y[3] = lanes_fma(lanes_set(A3), odd_a, lanes_fma(lanes_set(B3), odd_b, at[5]));
}

/* Three weights of a row or column of the kernel at the six points, divided by what
 * the other two transforms leave out: each point's distances from all others. */
LANES void winograd_weight_line(const Lanes w[3], Lanes at[6])
{
    const Lanes a2 = lanes_set(A2), b2 = lanes_set(B2), a = lanes_set(A1), b = lanes_set(B1);
    const Lanes scale_a = lanes_set(1 / (2 * A2 * (A2 - B2)));
    const Lanes scale_b = lanes_set(1 / (2 * B2 * (B2 - A2)));
    Lanes even_a = lanes_fma(a2, w[2], w[0]), even_b = lanes_fma(b2, w[2], w[0]);
    at[0] = lanes_mul(w[0], lanes_set(1 / (A2 * B2)));
    at[1] = lanes_mul(scale_a, lanes_fma(a, w[1], even_a));
    at[2] = lanes_mul(scale_a, lanes_fnma(a, w[1], even_a));
    at[3] = lanes_mul(scale_b, lanes_fma(b, w[1], even_b));
    at[4] = lanes_mul(scale_b, lanes_fnma(b, w[1], even_b));
    at[5] = w[2];
}

LANES_TARGET static void winograd_weights(const float *w, float *out, int64_t point)
{
    Lanes lines[6][3];
    for (int x = 0; x < 3; x++) {
        Lanes column[3], at[6];
        for (int y = 0; y < 3; y++) column[y] = lanes_load(w + 16 * (3 * y + x));
        winograd_weight_line(column, at);
        for (int i = 0; i < 6; i++) lines[i][x] = at[i];
    }
    for (int i = 0; i < 6; i++) {
        Lanes at[6];
        winograd_weight_line(lines[i], at);
        for (int j = 0; j < 6; j++) lanes_store(out + (6 * i + j) * point, at[j]);
    }
}

LANES_TARGET static void winograd_input_tile(const PfWinogradInputTile *tile)
{
    float *out = tile->out;
    for (int64_t c = 0; c < tile->channels; c += 16, out += tile->block) {
        Lanes lines[6][6];
        for (int x = 0; x < 6; x++) {
            Lanes d[6], at[6];
            for (int y = 0; y < 6; y++) d[y] = lanes_load(tile->pixels[6 * y + x] + c);
            winograd_input_line(d, at);
            for (int i = 0; i < 6; i++) lines[i][x] = at[i];
        }
        for (int i = 0; i < 6; i++) {
            Lanes at[6];
            /* Four pixels on the next tile begins, and takes these that this one does not. */
            for (int x = 2; x < 6; x++)
                __builtin_prefetch(tile->pixels[6 * i + x] + tile->next + c);
            winograd_input_line(lines[i], at);
            for (int j = 0; j < 6; j++) lanes_store(out + (6 * i + j) * tile->point, at[j]);
        }
    }
}

LANES void winograd_store_pixel(const PfWinogradOutputTile *tile, int pixel, int64_t k, Lanes y)
{
    float *to = tile->pixels[pixel];
    if (!to) return;
    y = lanes_add(y, lanes_load(tile->bias + k));
    if (tile->sum) y = lanes_add(y, lanes_load(tile->sum + (to - tile->base) + k));
    y = cut_of(&tile->cut, y);
    if (tile->bf16) y = lanes_round_bf16(y);
    __builtin_prefetch(to + tile->next + k, 1);
    lanes_store(to + k, y);
}

LANES_TARGET static void winograd_output_tile(const PfWinogradOutputTile *tile)
{
    for (int64_t k = 0; k < tile->channels; k += 16) {
        Lanes lines[4][6];
        for (int j = 0; j < 6; j++) {
            Lanes at[6], y[4];
            for (int i = 0; i < 6; i++)
                at[i] = lanes_load(tile->in + (6 * i + j) * tile->point + k);
            winograd_output_line(at, y);
            for (int i = 0; i < 4; i++) lines[i][j] = y[i];
        }
        for (int i = 0; i < 4; i++) {
            Lanes y[4];
            winograd_output_line(lines[i], y);
            for (int j = 0; j < 4; j++) winograd_store_pixel(tile, 4 * i + j, k, y[j]);
        }
    }
}

/* ---- gradients: the transforms turned round ---- */

/* Four values along one side of an output's tile at the six points. */
LANES void winograd_gradient_line(const Lanes y[4], Lanes at[6])
{
    const Lanes even_a = lanes_fma(lanes_set(A2), y[2], y[0]);
    const Lanes even_b = lanes_fma(lanes_set(B2), y[2], y[0]);
    const Lanes odd_a = lanes_fma(lanes_set(A3), y[3], lanes_mul(lanes_set(A1), y[1]));
    const Lanes odd_b = lanes_fma(lanes_set(B3), y[3], lanes_mul(lanes_set(B1), y[1]));
    at[0] = y[0];
    at[1] = lanes_add(even_a, odd_a);
    at[2] = lanes_sub(even_a, odd_a);
    at[3] = lanes_add(even_b, odd_b);
    at[4] = lanes_sub(even_b, odd_b);
    at[5] = y[3];
}

LANES_TARGET static void winograd_gradient_tile(const PfWinogradGradientTile *tile)
{
    float *out = tile->out;
    for (int64_t c = 0; c < tile->channels; c += 16, out += tile->block) {
        Lanes lines[6][4];
        for (int x = 0; x < 4; x++) {
            Lanes y[4], at[6];
            for (int i = 0; i < 4; i++) y[i] = lanes_load(tile->pixels[4 * i + x] + c);
            winograd_gradient_line(y, at);
            for (int i = 0; i < 6; i++) lines[i][x] = at[i];
        }
        for (int i = 0; i < 6; i++) {
            Lanes at[6];
            winograd_gradient_line(lines[i], at);
            for (int j = 0; j < 6; j++) lanes_store(out + (6 * i + j) * tile->point, at[j]);
        }
    }
}

/* Six points back to three weights of a row or column. */
LANES void winograd_weight_gradient_line(const Lanes at[6], Lanes w[3])
{
    const Lanes scale_a = lanes_set(1 / (2 * A2 * (A2 - B2)));
    const Lanes scale_b = lanes_set(1 / (2 * B2 * (B2 - A2)));
    const Lanes even_a = lanes_mul(scale_a, lanes_add(at[1], at[2]));
    const Lanes even_b = lanes_mul(scale_b, lanes_add(at[3], at[4]));
    const Lanes odd_a = lanes_mul(scale_a, lanes_sub(at[1], at[2]));
    const Lanes odd_b = lanes_mul(scale_b, lanes_sub(at[3], at[4]));
    w[0] = lanes_fma(lanes_set(1 / (A2 * B2)), at[0], lanes_add(even_a, even_b));
    w[1] = lanes_fma(lanes_set(A1), odd_a, lanes_mul(lanes_set(B1), odd_b));
    w[2] = lanes_fma(lanes_set(A2), even_a, lanes_fma(lanes_set(B2), even_b, at[5]));
}

LANES_TARGET static void winograd_weight_gradient(const float *at, int64_t point, float *out,
                                                  int64_t place)
{
    Lanes lines[3][6];
    for (int j = 0; j < 6; j++) {
        Lanes column[6], w[3];
        for (int i = 0; i < 6; i++) column[i] = lanes_load(at + (6 * i + j) * point);
        winograd_weight_gradient_line(column, w);
        for (int i = 0; i < 3; i++) lines[i][j] = w[i];
    }
    for (int i = 0; i < 3; i++) {
        Lanes w[3];
        winograd_weight_gradient_line(lines[i], w);
        for (int j = 0; j < 3; j++) lanes_store(out + (3 * i + j) * place, w[j]);
    }
}
