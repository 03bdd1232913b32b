#include "train/features/stream_normalize.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "train/features/stream_loader.h"

#define BATCH_ROWS 256
/* Features that a task of the pool takes. */
#define STRIPE 128

typedef struct Measuring {
    const PfFeatureTable *table; /* all views of a row as one */
    int64_t features;            /* of the first view, which is measured */
    PfMoments moments;           /* sums NULL: only checked */
    int64_t trained;             /* train rows before the batch */
    PfRowBatch batch;
    int64_t places[BATCH_ROWS]; /* of the batch's rows among the train rows; -1 */
    _Atomic int64_t first_bad;  /* lowest row found so far */
} Measuring;

static void note_bad(Measuring *measuring, int64_t row)
{
    int64_t lowest = measuring->first_bad;
    while (row < lowest && !atomic_compare_exchange_weak(&measuring->first_bad, &lowest, row)) {
    }
}

static void measure_stripe(void *context, int64_t stripe)
{
    Measuring *measuring = context;
    const PfRowBatch *batch = &measuring->batch;
    int64_t d = measuring->table->features, first = stripe * STRIPE;
    int64_t end = first + STRIPE < d ? first + STRIPE : d;
    int64_t measured = end < measuring->features ? end : measuring->features;
    for (int64_t i = 0; i < batch->n; i++) {
        const float *x = batch->x + i * d;
        if (pf_feature_table_any_not_finite(x + first, end - first))
            note_bad(measuring, batch->rows[i]);
        if (measuring->moments.sums && measuring->places[i] >= 0)
            pf_moments_add(&measuring->moments, measuring->places[i], x, first, measured);
    }
}

static void measure_batch(Measuring *measuring, PfThreadPool *pool)
{
    const PfFeatureTable *table = measuring->table;
    const int32_t *train_rows = table->split_rows[PF_SPLIT_TRAIN];
    for (int64_t i = 0; i < measuring->batch.n; i++) {
        int64_t next = measuring->trained;
        int is_train = next < table->split_counts[PF_SPLIT_TRAIN] &&
                       train_rows[next] == measuring->batch.rows[i];
        measuring->places[i] = is_train ? measuring->trained++ : -1;
    }
    pf_thread_pool_for(pool, (table->features + STRIPE - 1) / STRIPE, measure_stripe, measuring);
}

static int measure_rows(Measuring *measuring, PfBatchLoader *loader, const int32_t *rows,
                        PfThreadPool *pool, PfError *err)
{
    const PfFeatureStream *stream = measuring->table->stream;
    PfBatchPart part = {0, measuring->table->rows};
    int64_t batch = BATCH_ROWS * measuring->features / measuring->table->features;
    if (!measuring->moments.sums && stream->parts > 1) /* other processes check the others */
        part = pf_batch_part(part.count, stream->part, stream->parts);
    if (loader->start(loader->context, rows + part.first, part.count, NULL, batch ? batch : 1, err))
        return -1;
    for (;;) {
        if (loader->next(loader->context, &measuring->batch, err)) return -1;
        if (!measuring->batch.n) return 0;
        measure_batch(measuring, pool);
        if (measuring->first_bad < INT64_MAX)
            return pf_feature_table_fail_not_finite(stream->cache, stream->tap,
                                                    measuring->first_bad, err);
    }
}

/* One pass over the rows of the file, as they are there. */
static int measure(Measuring *measuring, PfThreadPool *pool, PfError *err)
{
    const PfFeatureTable *table = measuring->table;
    PfBatchLoader loader = {0};
    int32_t *rows = pf_calloc((size_t)table->rows, sizeof *rows, err);
    for (int64_t i = 0; rows && i < table->rows; i++) rows[i] = (int32_t)i;
    int failed = !rows || pf_batch_loader_new(table, pool, &loader, err) ||
                 measure_rows(measuring, &loader, rows, pool, err);
    pf_batch_loader_free(&loader);
    free(rows);
    return failed ? -1 : 0;
}

/* Pixels are finite as they are. */
static bool needs_pass(const PfFeatureTable *table, PfNormalize kind)
{
    PfDtype dtype = pf_cache_tap(table->stream->cache, table->stream->tap)->dtype;
    return kind == PF_NORMALIZE_STANDARDIZE || dtype != PF_DTYPE_U8;
}

int pf_stream_normalize(PfFeatureTable *table, PfNormalize kind, PfThreadPool *pool, float *mean,
                        float *scale, PfError *err)
{
    PfFeatureStream stream = *table->stream;
    PfFeatureTable whole = *table; /* in as much memory */
    stream.window_rows /= table->views;
    whole.stream = &stream;
    whole.features *= table->views;
    whole.views = whole.drawn_views = 1;
    Measuring measuring = {.table = &whole, .features = table->features, .first_bad = INT64_MAX};
    if (kind == PF_NORMALIZE_STANDARDIZE &&
        pf_moments_new(table->split_counts[PF_SPLIT_TRAIN], table->features, &measuring.moments,
                       err))
        return -1;
    int failed = needs_pass(table, kind) && measure(&measuring, pool, err);
    if (kind == PF_NORMALIZE_STANDARDIZE && !failed) {
        pf_moments_finish(&measuring.moments, mean, scale);
        table->stream->mean = mean;
        table->stream->scale = scale;
    }
    free(measuring.moments.sums);
    table->stream->l2 = kind == PF_NORMALIZE_L2;
    return failed ? -1 : 0;
}
