#include "inspect/findings/next_labels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/thread/thread_pool.h"
#include "inspect/findings/probe.h"
#include "train/kernels/gemm.h"

#define POOL_TIMES 10   /* candidates for each row that is asked for */
#define BLOCK_ROWS 1024 /* labelled rows that candidates are compared with at a time */

typedef struct Pool {
    const PfRows *rows;
    PfThreadPool *threads;
    PfNextLabel *candidates; /* (count) by row */
    int64_t count;
    float *x; /* (count, features) of length 1 */
} Pool;

static bool is_unlabelled(const void *context, int64_t row)
{
    const PfRows *rows = context;
    return !rows->broken[row] && (!rows->labels || rows->labels[row] < 0);
}

/* ---- uncertainty ---- */

static float entropy_of(const float *p, int classes)
{
    double sum = 0;
    for (int c = 0; c < classes; c++)
        if (p[c] > 0) sum -= (double)p[c] * log((double)p[c]);
    return (float)(sum / log(classes));
}

static int add_uncertainty(const PfRows *rows, const int32_t *list, Pool *pool, PfError *err)
{
    int64_t labelled_count, classes = rows->class_count;
    int32_t *labelled = NULL;
    PfProbe probe;
    PfHeadNetwork *network = NULL;
    float *probabilities =
        pf_alloc_aligned((size_t)(rows->count * classes), sizeof *probabilities, err);
    int failed =
        pf_probe_new(rows, &probe, err) || !probabilities ||
        pf_probe_choose(rows, pf_probe_is_labelled, rows, &labelled, &labelled_count, err) ||
        pf_probe_fit(&probe, labelled, labelled_count, &network, err) ||
        pf_probe_predict(&probe, network, list, pool->count, probabilities, err);
    for (int64_t i = 0; i < pool->count && !failed; i++)
        pool->candidates[i].uncertainty =
            entropy_of(probabilities + list[i] * classes, (int)classes);
    if (network) pf_head_network_free(&network);
    pf_probe_free(&probe);
    free(probabilities);
    free(labelled);
    return failed ? -1 : 0;
}

static int compare_uncertainty(const void *a, const void *b)
{
    const PfNextLabel *x = a, *y = b;
    if (x->uncertainty != y->uncertainty) return x->uncertainty < y->uncertainty ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

static int compare_rows(const void *a, const void *b)
{
    const PfNextLabel *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

/* ---- distances ---- */

static int read_candidates(Pool *pool, PfError *err)
{
    const PfRows *rows = pool->rows;
    int64_t features = rows->features, c = 0;
    float *block = pf_alloc_aligned((size_t)(BLOCK_ROWS * features), sizeof *block, err);
    pool->x = pf_alloc_aligned((size_t)(pool->count * features), sizeof *pool->x, err);
    int failed = !block || !pool->x;
    for (int64_t first = 0; first < rows->count && !failed; first += BLOCK_ROWS) {
        int64_t end = pf_min(rows->count, first + BLOCK_ROWS);
        if (c == pool->count || pool->candidates[c].row >= end) continue;
        failed = pf_rows_unit_block(rows, first, end - first, block, err);
        for (; c < pool->count && pool->candidates[c].row < end && !failed; c++)
            memcpy(pool->x + c * features, block + (pool->candidates[c].row - first) * features,
                   (size_t)features * sizeof *block);
    }
    free(block);
    return failed ? -1 : 0;
}

/* Candidates against some rows of length 1: products (count, n) are room. */
static void come_nearer(Pool *pool, const float *x, int64_t n, float *products)
{
    int64_t features = pool->rows->features;
    PfGemm product = {.m = pool->count,
                      .n = n,
                      .k = features,
                      .a = pool->x,
                      .lda = features,
                      .b = x,
                      .ldb = features,
                      .c = products,
                      .ldc = n};
    pf_gemm_nt(&product, pool->threads);
    for (int64_t i = 0; i < pool->count; i++)
        for (int64_t j = 0; j < n; j++) {
            float distance = fmaxf(0, 1 - products[i * n + j]);
            if (distance < pool->candidates[i].distance) pool->candidates[i].distance = distance;
        }
}

static int compare_with_labelled(Pool *pool, float *products, PfError *err)
{
    const PfRows *rows = pool->rows;
    int64_t features = rows->features;
    float *block = pf_alloc_aligned((size_t)(BLOCK_ROWS * features), sizeof *block, err);
    int failed = !block;
    for (int64_t first = 0; first < rows->count && !failed; first += BLOCK_ROWS) {
        int64_t n = 0, count = pf_min(BLOCK_ROWS, rows->count - first);
        failed = pf_rows_check_interrupt(rows, err) ||
                 pf_rows_unit_block(rows, first, count, block, err);
        for (int64_t i = 0; i < count && !failed; i++) {
            if (!pf_probe_is_labelled(rows, first + i)) continue;
            if (n != i)
                memcpy(block + n * features, block + i * features,
                       (size_t)features * sizeof *block);
            n++;
        }
        if (!failed && n) come_nearer(pool, block, n, products);
    }
    free(block);
    return failed ? -1 : 0;
}

/* The farthest one; of equally far ones that of more uncertainty, then of the lower number. */
static int64_t find_farthest(const Pool *pool, const uint8_t *taken)
{
    int64_t best = -1;
    for (int64_t i = 0; i < pool->count; i++) {
        const PfNextLabel *a = &pool->candidates[i];
        const PfNextLabel *b = best < 0 ? NULL : &pool->candidates[best];
        if (taken[i]) continue;
        if (!b || a->distance > b->distance ||
            (a->distance == b->distance && a->uncertainty > b->uncertainty))
            best = i;
    }
    return best;
}

static int spread(Pool *pool, int64_t wanted, PfNextLabels *out, PfError *err)
{
    uint8_t *taken = pf_calloc((size_t)pool->count, 1, err);
    float *products = pf_alloc_aligned((size_t)(pool->count * BLOCK_ROWS), sizeof *products, err);
    out->rows = pf_calloc((size_t)wanted, sizeof *out->rows, err);
    int failed = !taken || !products || !out->rows;
    for (int64_t i = 0; i < pool->count && !failed; i++) pool->candidates[i].distance = 2;
    if (!failed && pool->rows->labels) failed = compare_with_labelled(pool, products, err);
    while (!failed && out->count < wanted) {
        int64_t next = find_farthest(pool, taken);
        failed = pf_rows_check_interrupt(pool->rows, err);
        taken[next] = 1;
        out->rows[out->count++] = pool->candidates[next];
        come_nearer(pool, pool->x + next * pool->rows->features, 1, products);
    }
    free(taken);
    free(products);
    return failed ? -1 : 0;
}

/* ---- both ---- */

static bool can_learn(const PfRows *rows)
{
    int32_t first = -1;
    for (int64_t i = 0; i < rows->count; i++) {
        if (!pf_probe_is_labelled(rows, i)) continue;
        if (first < 0) first = rows->labels[i];
        if (rows->labels[i] != first) return true;
    }
    return false;
}

static int choose(Pool *pool, const int32_t *list, int64_t wanted, PfNextLabels *out, PfError *err)
{
    const PfRows *rows = pool->rows;
    pool->candidates = pf_calloc((size_t)pool->count, sizeof *pool->candidates, err);
    if (!pool->candidates) return -1;
    bool learns = can_learn(rows);
    for (int64_t i = 0; i < pool->count; i++)
        pool->candidates[i] = (PfNextLabel){.row = list[i], .uncertainty = learns ? 0 : 1};
    if (learns && add_uncertainty(rows, list, pool, err)) return -1;
    qsort(pool->candidates, (size_t)pool->count, sizeof *pool->candidates, compare_uncertainty);
    pool->count = pf_min(pool->count, pf_max(wanted * POOL_TIMES, 1000));
    qsort(pool->candidates, (size_t)pool->count, sizeof *pool->candidates, compare_rows);
    if (read_candidates(pool, err)) return -1;
    return spread(pool, pf_min(wanted, pool->count), out, err);
}

int pf_next_labels_choose(const PfRows *rows, int64_t count, PfNextLabels *out, PfError *err)
{
    Pool pool = {.rows = rows};
    int32_t *list = NULL;
    int failed = pf_thread_pool_new(rows->threads, &pool.threads, err) ||
                 pf_probe_choose(rows, is_unlabelled, rows, &list, &pool.count, err);
    out->unlabelled = pool.count;
    if (!failed && pool.count) {
        failed = choose(&pool, list, count, out, err);
        out->status.done = !failed;
    } else if (!failed) {
        pf_format(out->status.reason, sizeof out->status.reason, "every row has a label");
    }
    if (pool.threads) pf_thread_pool_free(&pool.threads);
    free(list);
    free(pool.candidates);
    free(pool.x);
    return failed ? -1 : 0;
}
