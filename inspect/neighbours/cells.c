#include "inspect/neighbours/cells.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "train/kernels/gemm.h"
#include "train/kernels/vector_math.h"

/* Similarities of a block of rows with all centres, at most. */
#define SIMILARITIES ((int64_t)8 << 20)
#define SAMPLE_PER_CELL 32
#define ROUNDS 6
/* Rows that a task looks at. */
#define SLICE 64

int pf_cells_gather(const PfRows *rows, const int32_t *slots, int64_t first, int64_t count,
                    float *out, PfError *err)
{
    int64_t features = rows->features;
    float *block = pf_alloc_aligned((size_t)(PF_CELLS_BLOCK * features), sizeof *block, err);
    int failed = !block;
    for (int64_t begin = 0; begin < rows->count && !failed; begin += PF_CELLS_BLOCK) {
        int64_t size = pf_min(PF_CELLS_BLOCK, rows->count - begin);
        failed =
            pf_rows_check_interrupt(rows, err) || pf_rows_unit_block(rows, begin, size, block, err);
        for (int64_t i = 0; i < size && !failed; i++) {
            int64_t slot = slots[begin + i] - first;
            if (slot >= 0 && slot < count)
                memcpy(out + slot * features, block + i * features, (size_t)features * sizeof *out);
        }
    }
    free(block);
    return failed ? -1 : 0;
}

static void compare_with_centres(PfCells *cells, PfThreadPool *pool, const float *x, int64_t count)
{
    PfGemm product = {.m = count,
                      .n = cells->count,
                      .k = cells->features,
                      .a = x,
                      .lda = cells->features,
                      .b = cells->centres,
                      .ldb = cells->features,
                      .c = cells->similarities,
                      .ldc = cells->count};
    pf_gemm_nt(&product, pool);
}

/* ---- where rows lie ---- */

typedef struct Placing {
    PfCells *cells;
    int64_t count;
    uint16_t *out;
} Placing;

static void place_slice(void *context, int64_t slice)
{
    Placing *placing = context;
    PfCells *cells = placing->cells;
    int64_t probes = cells->probes, end = pf_min(placing->count, (slice + 1) * SLICE);
    for (int64_t i = slice * SLICE; i < end; i++) {
        const float *similarities = cells->similarities + i * cells->count;
        cells->nearest.count[i] = 0;
        cells->nearest.worst[i] = -INFINITY;
        for (int32_t c = 0; c < cells->count; c++)
            if (similarities[c] >= cells->nearest.worst[i])
                pf_candidates_add(&cells->nearest, i, c, similarities[c]);
        pf_candidates_finish(&cells->nearest, i, cells->index + i * probes,
                             cells->index_nearness + i * probes);
        for (int64_t p = 0; p < probes; p++)
            placing->out[i * probes + p] = (uint16_t)cells->index[i * probes + p];
    }
}

void pf_cells_place(PfCells *cells, PfThreadPool *pool, const float *x, int64_t count,
                    uint16_t *out)
{
    Placing placing = {cells, count, out};
    compare_with_centres(cells, pool, x, count);
    pf_thread_pool_for(pool, (count + SLICE - 1) / SLICE, place_slice, &placing);
}

/* ---- k-means ---- */

typedef struct Learning {
    PfCells *cells;
    PfThreadPool *pool;
    int64_t rows;
    float *x;             /* (rows, features) the sample */
    int32_t *cell;        /* (rows) */
    double *sums;         /* (count, features) */
    int64_t first, block; /* rows that are compared */
} Learning;

/* Rows spread evenly over all sound ones. */
static void choose_sample(const PfRows *rows, int64_t wanted, int32_t *slots, int64_t *count)
{
    int64_t sound = 0, seen = 0;
    for (int64_t i = 0; i < rows->count; i++) sound += !rows->broken[i];
    wanted = pf_min(wanted, sound);
    *count = 0;
    for (int64_t i = 0; i < rows->count; i++) {
        slots[i] = -1;
        if (rows->broken[i]) continue;
        if (*count < wanted && seen >= *count * sound / wanted) slots[i] = (int32_t)(*count)++;
        seen++;
    }
}

static void find_cell_slice(void *context, int64_t slice)
{
    Learning *learning = context;
    const PfCells *cells = learning->cells;
    int64_t end = pf_min(learning->block, (slice + 1) * SLICE);
    for (int64_t i = slice * SLICE; i < end; i++) {
        const float *similarities = cells->similarities + i * cells->count;
        int32_t best = 0;
        for (int32_t c = 1; c < cells->count; c++)
            if (similarities[c] > similarities[best]) best = c;
        learning->cell[learning->first + i] = best;
    }
}

static void find_cells(Learning *learning)
{
    PfCells *cells = learning->cells;
    for (learning->first = 0; learning->first < learning->rows;
         learning->first += cells->block_rows) {
        learning->block = pf_min(cells->block_rows, learning->rows - learning->first);
        compare_with_centres(cells, learning->pool, learning->x + learning->first * cells->features,
                             learning->block);
        pf_thread_pool_for(learning->pool, (learning->block + SLICE - 1) / SLICE, find_cell_slice,
                           learning);
    }
}

/* The centres go to the direction of the mean of their rows; one without rows stays. */
static void move_centres(Learning *learning)
{
    PfCells *cells = learning->cells;
    int64_t features = cells->features;
    memset(learning->sums, 0, (size_t)(cells->count * features) * sizeof *learning->sums);
    for (int64_t i = 0; i < learning->rows; i++) {
        double *sum = learning->sums + learning->cell[i] * features;
        const float *x = learning->x + i * features;
        for (int64_t j = 0; j < features; j++) sum[j] += (double)x[j];
    }
    for (int64_t c = 0; c < cells->count; c++) {
        const double *sum = learning->sums + c * features;
        double squares = 0;
        for (int64_t j = 0; j < features; j++) squares += sum[j] * sum[j];
        for (int64_t j = 0; j < features && squares > 0; j++)
            cells->centres[c * features + j] = (float)(sum[j] / sqrt(squares));
    }
}

static int learn(const PfRows *rows, Learning *learning, int32_t *slots, PfError *err)
{
    PfCells *cells = learning->cells;
    if (pf_cells_gather(rows, slots, 0, learning->rows, learning->x, err)) return -1;
    for (int64_t c = 0; c < cells->count; c++)
        memcpy(cells->centres + c * cells->features,
               learning->x + c * learning->rows / cells->count * cells->features,
               (size_t)cells->features * sizeof(float));
    for (int round = 0; round < ROUNDS; round++) {
        if (pf_rows_check_interrupt(rows, err)) return -1;
        find_cells(learning);
        move_centres(learning);
    }
    return 0;
}

static int new_cells(PfCells *cells, PfError *err)
{
    size_t block = (size_t)cells->block_rows, probes = (size_t)cells->probes;
    cells->centres = pf_alloc_large((size_t)cells->count * (size_t)cells->features, 4, err);
    cells->similarities = pf_alloc_large(block * (size_t)cells->count, 4, err);
    cells->index = pf_alloc_aligned(block * probes, sizeof *cells->index, err);
    cells->index_nearness = pf_alloc_aligned(block * probes, sizeof(float), err);
    if (!cells->centres || !cells->similarities || !cells->index || !cells->index_nearness)
        return -1;
    return pf_candidates_new(cells->block_rows, cells->probes, &cells->nearest, err);
}

int pf_cells_learn(const PfRows *rows, PfThreadPool *pool, int count, int probes,
                   int64_t sample_rows, PfCells *out, PfError *err)
{
    *out = (PfCells){.count = count,
                     .probes = probes,
                     .features = rows->features,
                     .block_rows = pf_max(SLICE, pf_min(PF_CELLS_BLOCK, SIMILARITIES / count))};
    if (new_cells(out, err)) return -1;
    Learning learning = {.cells = out, .pool = pool};
    int32_t *slots = pf_calloc((size_t)rows->count, sizeof *slots, err);
    int failed = !slots;
    if (!failed)
        choose_sample(rows, pf_max(count, pf_min(sample_rows, (int64_t)SAMPLE_PER_CELL * count)),
                      slots, &learning.rows);
    if (!failed) {
        learning.x = pf_alloc_large((size_t)(learning.rows * rows->features), 4, err);
        learning.cell = pf_calloc((size_t)learning.rows, sizeof *learning.cell, err);
        learning.sums = pf_calloc((size_t)count * (size_t)rows->features, sizeof(double), err);
        failed =
            !learning.x || !learning.cell || !learning.sums || learn(rows, &learning, slots, err);
    }
    free(slots);
    free(learning.x);
    free(learning.cell);
    free(learning.sums);
    return failed ? -1 : 0;
}

void pf_cells_free(PfCells *cells)
{
    free(cells->centres);
    free(cells->similarities);
    free(cells->index);
    free(cells->index_nearness);
    pf_candidates_free(&cells->nearest);
    *cells = (PfCells){0};
}
