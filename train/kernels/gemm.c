#include "train/kernels/gemm.h"

#include <stdalign.h>

#include "common/base/integers.h"
#include "train/kernels/kernels.h"

/* The work is cut into tasks of a few rows and one panel of columns of C; no cut
 * shows in the result. In a task, panels of B are packed by the tile that
 * first reads them, and A is read where it lies: a step of k touches one value
 * of each of a tile's rows. */
#define DEPTH PF_GEMM_SUM_ROWS /* steps of k between loading and storing a tile */
#define MAX_TILE_ROWS 8
#define MAX_COLUMNS 48 /* of a panel */
#define MAX_ROWS 256   /* of a task: A's share stays in the second-level cache */
#define TASKS_PER_THREAD 4
/* Multiply-adds, counted in whole vectors, below which waking threads costs more than
 * they bring. */
#define ALONE (1 << 20)
/* A^T B with so few columns is computed as (B^T A)^T: full vectors along A's rows. */
#define NARROW 12

typedef struct Product {
    int64_t m, n, k;
    const float *a, *b;
    int64_t a_row, a_step; /* element (i, k) of the left factor at a[i * a_row + k * a_step] */
    int64_t ldb;
    bool b_transposed;
    float *c; /* element (i, j) at c[i * c_row + j * c_column]; NULL with sum */
    double *sum;
    int64_t c_row, c_column;
    bool accumulate;
    const PfKernels *kernels;
    int64_t panel_columns, panels, task_rows;
} Product;

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* panel: (depth, padded) = B^T's columns [column, column + columns), from step `first` of k on */
static void transpose_panel(const Product *product, int64_t column, int64_t columns, int64_t first,
                            int64_t depth, float *restrict panel)
{
    int64_t padded = divide_up(columns, 16) * 16;
    for (int64_t j = 0; j < padded; j++) {
        const float *restrict b = product->b + (column + j) * product->ldb + first;
        for (int64_t k = 0; k < depth; k++) panel[k * padded + j] = j < columns ? b[k] : 0;
    }
}

static void run_tile(const Product *product, const PfGemmTile *tile, bool packed)
{
    if (packed)
        product->kernels->gemm_tile(tile);
    else
        product->kernels->gemm_first_tile(tile);
}

/* A tile whose place in C is not one of contiguous rows, by way of a copy. at:
 * the place's first element, counted from c or sum. */
static void run_tile_aside(const Product *product, PfGemmTile *tile, bool packed, int64_t at)
{
    float aside[MAX_TILE_ROWS * MAX_COLUMNS];
    const int64_t c_row = product->c_row, c_column = product->c_column;
    tile->c = aside;
    tile->c_row = MAX_COLUMNS;
    for (int j = 0; tile->accumulate && j < tile->columns; j++)
        for (int r = 0; r < tile->rows; r++)
            aside[r * MAX_COLUMNS + j] = product->c[at + r * c_row + j * c_column];
    run_tile(product, tile, packed);
    for (int j = 0; j < tile->columns; j++)
        for (int r = 0; r < tile->rows; r++) {
            int64_t place = at + r * c_row + j * c_column;
            if (product->sum)
                product->sum[place] += (double)aside[r * MAX_COLUMNS + j];
            else
                product->c[place] = aside[r * MAX_COLUMNS + j];
        }
}

/* Rows [row, row + rows) of one panel over the tile's steps of k. */
static void multiply_panel(const Product *product, PfGemmTile *tile, int64_t row, int64_t rows,
                           int64_t column)
{
    const float *a = tile->a;
    bool packed = product->b_transposed;
    for (int64_t r = 0; r < rows; r += product->kernels->gemm_rows, packed = true) {
        int64_t at = (row + r) * product->c_row + column * product->c_column;
        tile->rows = (int)pf_min(product->kernels->gemm_rows, rows - r);
        tile->a = a + r * product->a_row;
        if (product->sum || product->c_column != 1) {
            run_tile_aside(product, tile, packed, at);
            continue;
        }
        tile->c = product->c + at;
        tile->c_row = product->c_row;
        run_tile(product, tile, packed);
    }
}

static void run_task(void *context, int64_t index)
{
    const Product *product = context;
    int64_t row = index / product->panels * product->task_rows;
    int64_t column = index % product->panels * product->panel_columns;
    int64_t rows = pf_min(product->task_rows, product->m - row);
    alignas(64) float packed[DEPTH * MAX_COLUMNS];
    PfGemmTile tile = {.columns = (int)pf_min(product->panel_columns, product->n - column),
                       .a_row = product->a_row,
                       .a_step = product->a_step,
                       .b_row = product->ldb,
                       .packed = packed,
                       .accumulate = product->accumulate};
    int64_t first = 0;
    do {
        tile.depth = pf_min(DEPTH, product->k - first);
        tile.a = product->a + row * product->a_row + first * product->a_step;
        if (product->b_transposed)
            transpose_panel(product, column, tile.columns, first, tile.depth, packed);
        else
            tile.b = product->b + first * product->ldb + column;
        multiply_panel(product, &tile, row, rows, column);
        tile.accumulate = !product->sum;
        first += DEPTH;
    } while (first < product->k);
}

/* As few as give every thread its tasks, but whole tiles. */
static int64_t rows_of_a_task(const Product *product, int threads)
{
    int64_t tile_rows = product->kernels->gemm_rows;
    int64_t tasks = threads == 1 ? 1 : TASKS_PER_THREAD * threads;
    int64_t rows = divide_up(product->m, divide_up(tasks, product->panels));
    return pf_min(divide_up(rows, tile_rows) * tile_rows, MAX_ROWS / tile_rows * tile_rows);
}

static void multiply(Product *product, PfThreadPool *pool)
{
    if (!product->m || !product->n) return;
    if (product->m * product->k * divide_up(product->n, 16) * 16 < ALONE) pool = NULL;
    product->kernels = pf_kernels();
    product->panel_columns = 16 * product->kernels->gemm_vectors;
    product->panels = divide_up(product->n, product->panel_columns);
    product->task_rows = rows_of_a_task(product, pf_thread_pool_size(pool));
    int64_t blocks = divide_up(product->m, product->task_rows);
    pf_thread_pool_for(pool, blocks * product->panels, run_task, product);
}

static Product product_of(const PfGemm *gemm)
{
    return (Product){.m = gemm->m,
                     .n = gemm->n,
                     .k = gemm->k,
                     .a = gemm->a,
                     .b = gemm->b,
                     .a_row = gemm->lda,
                     .a_step = 1,
                     .ldb = gemm->ldb,
                     .c = gemm->c,
                     .c_row = gemm->ldc,
                     .c_column = 1,
                     .accumulate = gemm->accumulate};
}

/* From A^T B to B^T A, whose result is the transposed one. */
static void swap_sides(Product *product)
{
    Product was = *product;
    product->m = was.n;
    product->n = was.m;
    product->a = was.b;
    product->b = was.a;
    product->a_step = was.ldb;
    product->ldb = was.a_step;
    product->c_row = was.c_column;
    product->c_column = was.c_row;
}

static void multiply_tn(Product *product, PfThreadPool *pool)
{
    product->a_step = product->a_row;
    product->a_row = 1;
    if (product->n <= NARROW) swap_sides(product);
    multiply(product, pool);
}

void pf_gemm_nn(const PfGemm *gemm, PfThreadPool *pool)
{
    Product product = product_of(gemm);
    multiply(&product, pool);
}

void pf_gemm_tn(const PfGemm *gemm, PfThreadPool *pool)
{
    Product product = product_of(gemm);
    multiply_tn(&product, pool);
}

void pf_gemm_tn_sum(const PfGemm *gemm, double *sum, PfThreadPool *pool)
{
    Product product = product_of(gemm);
    product.sum = sum;
    product.c_row = gemm->n;
    product.accumulate = false;
    multiply_tn(&product, pool);
}

void pf_gemm_nt(const PfGemm *gemm, PfThreadPool *pool)
{
    Product product = product_of(gemm);
    product.b_transposed = true;
    multiply(&product, pool);
}
