/* The product of convolution_kernels.h in the words of one instruction set: its
 * lanes_*.h is included before this. Every element is a chain of fused multiply-adds
 * over ascending k. Whoever includes this says how many rows and vectors of sums the
 * registers hold: PRODUCT_ROWS (up to 6), PRODUCT_VECTORS (1, 2 or 4), and
 * PRODUCT_UNROLL, at least as many as both. */
#include <stddef.h>

#include "convolution_kernels.h"

/* Steps of the sum between loading and storing a tile's sums. Of 128, 256 and 512 the
 * last was the fastest, by a hundredth. */
enum { PRODUCT_DEPTH = 512 };

typedef Lanes ProductSums[PRODUCT_ROWS][PRODUCT_VECTORS];

/* Some of the product's rows, columns and steps. */
typedef struct ProductTile {
    const float *const *rows;
    int64_t next; /* where in `rows` the next tile's begin: they are fetched meanwhile */
    int64_t step, depth;
    const float *u;
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
    if (p->relu) sum = lanes_max(lanes_set(0), sum); /* NaN stays */
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

/* 16 steps of k, each a row of u. */
LANES void product_steps(const float *const *v, int64_t first, const float *u, int64_t width,
                         int rows, int vectors, ProductSums sum)
{
    for (int64_t k = first; k < first + 16; k++, u += width) {
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
    const float *v[PRODUCT_ROWS], *u = tile->u;
#pragma GCC unroll PRODUCT_UNROLL
    for (int r = 0; r < rows; r++) v[r] = tile->rows[r] + begin;
    product_load(p, tile, rows, vectors, sum);
    if (tile->from) product_fetch_next(p, tile, rows, vectors);
    for (int64_t k = 0; k < tile->depth; k += 16, u += 16 * p->width) {
#pragma GCC unroll PRODUCT_UNROLL
        for (int r = 0; r < rows; r++) __builtin_prefetch(tile->rows[tile->next + r] + begin + k);
        product_steps(v, k, u, p->width, rows, vectors, sum);
    }
    product_store(p, tile, rows, vectors, sum);
}

/* A function of its own for every number of rows. */
#define PRODUCT_CASE(ROWS)                                                                         \
    case ROWS:                                                                                     \
        if (ROWS <= PRODUCT_ROWS)                                                                  \
            product_tile_of(p, tile, ROWS <= PRODUCT_ROWS ? ROWS : 1, vectors);                    \
        break

LANES void product_columns(const PfProduct *p, ProductTile *tile, int64_t column, int vectors,
                           int is_last)
{
    tile->u = p->u + tile->step * p->width + column;
    tile->bias = is_last && p->bias ? p->bias + column : NULL;
    for (int64_t row = 0; row < p->rows; row += PRODUCT_ROWS) {
        tile->rows = p->v + row;
        tile->next = row + 2 * PRODUCT_ROWS <= p->rows ? PRODUCT_ROWS : 0;
        tile->at = row * p->m_row + column;
        switch (p->rows - row < PRODUCT_ROWS ? p->rows - row : PRODUCT_ROWS) {
            PRODUCT_CASE(1);
            PRODUCT_CASE(2);
            PRODUCT_CASE(3);
            PRODUCT_CASE(4);
            PRODUCT_CASE(5);
            PRODUCT_CASE(6);
        }
    }
}

LANES_TARGET static void product_multiply(const PfProduct *p)
{
    ProductTile tile = {.from = p->from};
    for (; tile.step < p->depth; tile.step += PRODUCT_DEPTH, tile.from = p->m) {
        const int64_t left = p->depth - tile.step;
        const int is_last = left <= PRODUCT_DEPTH;
        int64_t column = 0;
        tile.depth = is_last ? left : PRODUCT_DEPTH;
        for (; column + 16 * PRODUCT_VECTORS <= p->width; column += 16 * PRODUCT_VECTORS)
            product_columns(p, &tile, column, PRODUCT_VECTORS, is_last);
        if (PRODUCT_VECTORS >= 4 && p->width - column >= 32) {
            product_columns(p, &tile, column, PRODUCT_VECTORS >= 4 ? 2 : 1, is_last);
            column += 32;
        }
        if (column < p->width) product_columns(p, &tile, column, 1, is_last);
    }
}
