/* All pairs of rows, by blocked matrix products. Every product of two blocks serves both, so that
 * half of all pairs are computed. */
#include <stdlib.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "inspect/neighbours/comparison.h"
#include "train/kernels/gemm.h"

/* Rows of a block: the similarities of two blocks, 16 MB, stay in the processor's caches. */
#define BLOCK_ROWS 2048
/* Streamed, so many bytes of rows at most are held while all others pass by. */
#define HELD_BYTES ((int64_t)256 << 20)
/* Rows, or columns, of a block that a task takes. */
#define SLICE 128

typedef struct Block {
    int64_t first, count;
    const float *x; /* (count, features) of length 1 */
} Block;

typedef struct Search {
    PfComparison *comparison;
    const PfRows *rows;
    int64_t held_rows;
    float *held;         /* (held_rows, features) */
    float *passing;      /* (BLOCK_ROWS, features) */
    float *similarities; /* (left.count, right.count) */
    Block left, right;
    int64_t compared, pairs; /* pairs of blocks: so far, in all */
} Search;

/* As pf_comparison_any_good, for a worst of each. */
static bool any_good_column(const float *similarities, const float *worst, int64_t n)
{
    int found = 0;
    for (int64_t j = 0; j < n; j++) found |= similarities[j] >= worst[j];
    return found != 0;
}

/* What the right block has for one row of the left one. */
static void add_right(Search *search, int list, int64_t i)
{
    const float *similarities = search->similarities + i * search->right.count;
    const uint8_t *references = search->comparison->references[list] + search->right.first;
    PfCandidates *candidates = &search->comparison->candidates[list];
    int64_t row = search->left.first + i;
    for (int64_t first = 0; first < search->right.count; first += PF_COMPARISON_LANES) {
        int64_t n = pf_min(PF_COMPARISON_LANES, search->right.count - first);
        if (!pf_comparison_any_good(similarities + first, n, candidates->worst[row])) continue;
        for (int64_t j = first; j < first + n; j++) {
            int64_t other = search->right.first + j;
            if (similarities[j] >= candidates->worst[row] && references[j] && other != row)
                pf_candidates_add(candidates, row, (int32_t)other, similarities[j]);
        }
    }
}

/* A slice of the left block's rows, each with all of the right block. */
static void look_right(void *context, int64_t slice)
{
    Search *search = context;
    int64_t end = pf_min(search->left.count, (slice + 1) * SLICE);
    for (int list = 0; list < search->comparison->list_count; list++)
        for (int64_t i = slice * SLICE; i < end; i++)
            if (!search->rows->broken[search->left.first + i]) add_right(search, list, i);
}

/* What one row of the left block is for a slice of the right block's rows. */
static void add_left(Search *search, int list, int64_t i, int64_t begin, int64_t end)
{
    PfCandidates *candidates = &search->comparison->candidates[list];
    const float *similarities = search->similarities + i * search->right.count;
    const float *worst = candidates->worst + search->right.first;
    const uint8_t *broken = search->rows->broken + search->right.first;
    int64_t row = search->left.first + i;
    for (int64_t first = begin; first < end; first += PF_COMPARISON_LANES) {
        int64_t n = pf_min(PF_COMPARISON_LANES, end - first);
        if (!any_good_column(similarities + first, worst + first, n)) continue;
        for (int64_t j = first; j < first + n; j++)
            if (similarities[j] >= worst[j] && !broken[j])
                pf_candidates_add(candidates, search->right.first + j, (int32_t)row,
                                  similarities[j]);
    }
}

static void look_left(void *context, int64_t slice)
{
    Search *search = context;
    int64_t begin = slice * SLICE, end = pf_min(search->right.count, begin + SLICE);
    for (int list = 0; list < search->comparison->list_count; list++)
        for (int64_t i = 0; i < search->left.count; i++)
            if (search->comparison->references[list][search->left.first + i])
                add_left(search, list, i, begin, end);
}

static void compare_blocks(Search *search)
{
    int64_t features = search->rows->features;
    PfGemm product = {.m = search->left.count,
                      .n = search->right.count,
                      .k = features,
                      .a = search->left.x,
                      .lda = features,
                      .b = search->right.x,
                      .ldb = features,
                      .c = search->similarities,
                      .ldc = search->right.count};
    pf_gemm_nt(&product, search->comparison->pool);
    pf_thread_pool_for(search->comparison->pool, (search->left.count + SLICE - 1) / SLICE,
                       look_right, search);
    if (search->left.first != search->right.first)
        pf_thread_pool_for(search->comparison->pool, (search->right.count + SLICE - 1) / SLICE,
                           look_left, search);
}

/* ---- all pairs of blocks ---- */

int64_t pf_all_pairs_held_bytes(const PfRows *rows)
{
    return rows->x ? 0 : pf_min(HELD_BYTES, rows->memory_bytes / 4);
}

static void show_progress(Search *search)
{
    int64_t rows = search->rows->count;
    double done = (double)++search->compared / (double)search->pairs;
    const PfComparison *comparison = search->comparison;
    if (comparison->progress)
        comparison->progress(comparison->context, (int64_t)(done * (double)rows), rows);
}

/* Rows that are held, against themselves and all behind them. */
static int search_held(Search *search, int64_t held_first, PfError *err)
{
    const PfRows *rows = search->rows;
    int64_t features = rows->features;
    int64_t held_end = pf_min(rows->count, held_first + search->held_rows);
    if (pf_rows_unit_block(rows, held_first, held_end - held_first, search->held, err)) return -1;
    for (int64_t first = held_first; first < rows->count; first += BLOCK_ROWS) {
        search->right = (Block){first, pf_min(BLOCK_ROWS, rows->count - first), search->passing};
        if (first < held_end)
            search->right.x = search->held + (first - held_first) * features;
        else if (pf_rows_unit_block(rows, first, search->right.count, search->passing, err))
            return -1;
        for (int64_t left = held_first; left < held_end && left <= first; left += BLOCK_ROWS) {
            search->left = (Block){left, pf_min(BLOCK_ROWS, held_end - left),
                                   search->held + (left - held_first) * features};
            if (pf_rows_check_interrupt(rows, err)) return -1;
            compare_blocks(search);
            show_progress(search);
        }
    }
    return 0;
}

static int new_search(Search *search, PfError *err)
{
    const PfRows *rows = search->rows;
    int64_t held = pf_all_pairs_held_bytes(rows) / (BLOCK_ROWS * rows->features * 4);
    search->held_rows = pf_max(1, held) * BLOCK_ROWS;
    search->held = pf_alloc_large((size_t)(search->held_rows * rows->features), 4, err);
    search->passing = pf_alloc_large((size_t)(BLOCK_ROWS * rows->features), 4, err);
    search->similarities = pf_alloc_large((size_t)BLOCK_ROWS * BLOCK_ROWS, 4, err);
    return search->held && search->passing && search->similarities ? 0 : -1;
}

int pf_all_pairs_compare(PfComparison *comparison, PfError *err)
{
    const PfRows *rows = comparison->rows;
    int64_t blocks = (rows->count + BLOCK_ROWS - 1) / BLOCK_ROWS;
    Search search = {.comparison = comparison, .rows = rows, .pairs = blocks * (blocks + 1) / 2};
    int failed = new_search(&search, err);
    for (int64_t first = 0; first < rows->count && !failed; first += search.held_rows)
        failed = search_held(&search, first, err);
    free(search.held);
    free(search.passing);
    free(search.similarities);
    return failed ? -1 : 0;
}
