#include "inspect/neighbours/neighbours.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "inspect/neighbours/comparison.h"
#include "train/kernels/gemm.h"
#include "train/kernels/vector_math.h"

/* Rows that one image is compared with at a time. */
#define BLOCK_ROWS 2048
/* Rows that a task finishes the lists of. */
#define SLICE 128
/* Fewer sound rows make no cells. */
#define LEAST_ROWS 64
/* Multiply-adds of all pairs, from which cells are looked through instead: some six minutes of two
 * cores. */
#define ALL_PAIRS_MOST 5e13

bool pf_neighbours_by_cells(const PfRows *rows, PfNeighboursMethod method)
{
    if (rows->count - rows->broken_count - rows->zero_count < LEAST_ROWS) return false;
    if (method != PF_NEIGHBOURS_AUTO) return method == PF_NEIGHBOURS_CELLS;
    return (double)rows->count * (double)rows->count * (double)rows->features > ALL_PAIRS_MOST;
}

int64_t pf_neighbours_held_bytes(const PfRows *rows, PfNeighboursMethod method)
{
    return pf_neighbours_by_cells(rows, method) ? pf_cell_search_held_bytes(rows)
                                                : pf_all_pairs_held_bytes(rows);
}

static int new_list(PfComparison *comparison, int list, PfError *err)
{
    const PfRows *rows = comparison->rows;
    PfNeighbours *neighbours = &comparison->lists[list];
    size_t places = (size_t)rows->count * (size_t)neighbours->k;
    uint8_t *references = comparison->references[list] = pf_calloc((size_t)rows->count, 1, err);
    neighbours->count = rows->count;
    neighbours->index = pf_alloc_aligned(places, sizeof *neighbours->index, err);
    neighbours->similarity = pf_alloc_aligned(places, sizeof *neighbours->similarity, err);
    if (!references || !neighbours->index || !neighbours->similarity) return -1;
    for (int64_t i = 0; i < rows->count; i++)
        references[i] = !rows->broken[i] && (!neighbours->references || neighbours->references[i]);
    return pf_candidates_new(rows->count, neighbours->k, &comparison->candidates[list], err);
}

static int new_comparison(PfComparison *comparison, PfError *err)
{
    for (int list = 0; list < comparison->list_count; list++)
        if (new_list(comparison, list, err)) return -1;
    return pf_thread_pool_new(comparison->rows->threads, &comparison->pool, err);
}

static void free_comparison(PfComparison *comparison)
{
    if (comparison->pool) pf_thread_pool_free(&comparison->pool);
    for (int list = 0; list < comparison->list_count; list++) {
        pf_candidates_free(&comparison->candidates[list]);
        free(comparison->references[list]);
    }
}

static void finish_slice(void *context, int64_t slice)
{
    PfComparison *comparison = context;
    int64_t end = pf_min(comparison->rows->count, (slice + 1) * SLICE);
    for (int list = 0; list < comparison->list_count; list++) {
        PfNeighbours *neighbours = &comparison->lists[list];
        for (int64_t i = slice * SLICE; i < end; i++)
            pf_candidates_finish(&comparison->candidates[list], i,
                                 neighbours->index + i * neighbours->k,
                                 neighbours->similarity + i * neighbours->k);
    }
}

int pf_neighbours_find(const PfRows *rows, PfNeighbours *lists, int count, PfNeighboursWay *way,
                       PfNeighboursProgress *progress, void *context, PfError *err)
{
    PfComparison comparison = {.rows = rows,
                               .lists = lists,
                               .list_count = count,
                               .progress = progress,
                               .context = context};
    way->by_cells = pf_neighbours_by_cells(rows, way->method);
    int failed = new_comparison(&comparison, err);
    if (!failed && way->by_cells) failed = pf_cell_search_compare(&comparison, way, err);
    if (!failed && !way->by_cells) failed = pf_all_pairs_compare(&comparison, err);
    if (!failed)
        pf_thread_pool_for(comparison.pool, (rows->count + SLICE - 1) / SLICE, finish_slice,
                           &comparison);
    free_comparison(&comparison);
    return failed ? -1 : 0;
}

void pf_neighbours_free(PfNeighbours *neighbours)
{
    free(neighbours->index);
    free(neighbours->similarity);
    neighbours->index = NULL;
    neighbours->similarity = NULL;
}

int pf_neighbours_first(const PfNeighbours *from, int k, PfNeighbours *out, PfError *err)
{
    size_t places = (size_t)from->count * (size_t)k;
    *out = (PfNeighbours){.k = k, .count = from->count};
    out->index = pf_alloc_aligned(places, sizeof *out->index, err);
    out->similarity = pf_alloc_aligned(places, sizeof *out->similarity, err);
    if (!out->index || !out->similarity) {
        pf_neighbours_free(out);
        return -1;
    }
    for (int64_t i = 0; i < from->count; i++) {
        memcpy(out->index + i * k, from->index + i * from->k, (size_t)k * sizeof *out->index);
        memcpy(out->similarity + i * k, from->similarity + i * from->k,
               (size_t)k * sizeof *out->similarity);
    }
    return 0;
}

/* ---- of one image ---- */

static void add_products(const PfRows *rows, int64_t first, int64_t count, const float *products,
                         PfCandidates *candidates)
{
    for (int64_t i = 0; i < count; i++)
        if (!rows->broken[first + i] && products[i] >= candidates->worst[0])
            pf_candidates_add(candidates, 0, (int32_t)(first + i), products[i]);
}

int pf_neighbours_of(const PfRows *rows, const float *x, int k, int32_t *index, float *similarity,
                     PfError *err)
{
    PfCandidates candidates;
    double squares = pf_sum_of_squares(x, rows->features);
    float *block = pf_alloc_aligned((size_t)(BLOCK_ROWS * rows->features), sizeof *block, err);
    float *unit = pf_alloc_aligned((size_t)rows->features, sizeof *unit, err), products[BLOCK_ROWS];
    int failed = pf_candidates_new(1, k, &candidates, err) || !block || !unit;
    for (int64_t j = 0; j < rows->features && !failed; j++)
        unit[j] = squares > 0 ? x[j] * (float)(1 / sqrt(squares)) : 0;
    for (int64_t first = 0; first < rows->count && !failed; first += BLOCK_ROWS) {
        int64_t count = pf_min(BLOCK_ROWS, rows->count - first);
        PfGemm product = {.m = count,
                          .n = 1,
                          .k = rows->features,
                          .a = block,
                          .lda = rows->features,
                          .b = unit,
                          .ldb = rows->features,
                          .c = products,
                          .ldc = 1};
        failed = pf_rows_unit_block(rows, first, count, block, err);
        if (failed) break;
        pf_gemm_nt(&product, NULL);
        add_products(rows, first, count, products, &candidates);
    }
    if (!failed) pf_candidates_finish(&candidates, 0, index, similarity);
    pf_candidates_free(&candidates);
    free(block);
    free(unit);
    return failed ? -1 : 0;
}
