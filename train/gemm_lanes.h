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
