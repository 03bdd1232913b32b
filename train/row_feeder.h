/* Rows of features, batch by batch: for training in a shuffled order, for
 * validation in their own. Of several views a shuffled pass draws one for each row (view_draw.h),
 * others take the first. Where the rows come from (memory, or a cache that is
 * larger than memory) is behind this. */
#ifndef PF_ROW_FEEDER_H
#define PF_ROW_FEEDER_H

#include <stdint.h>

#include "feature_table.h"
#include "permafrost/error.h"
#include "random.h"
#include "thread_pool.h"

typedef struct PfRowBatch {
    int64_t n;
    const float *x;      /* (n, features) lent until the next call */
    const int32_t *rows; /* (n) which rows of the table these are; likewise */
} PfRowBatch;

typedef struct PfRowFeeder {
    void *context;
    int64_t row_values; /* float32 numbers that it holds for each row of a batch */
    /* Begins a pass over rows (count, ascending, with repetitions or without, lent until the pass
     * is over) in batches of at most `batch`. shuffle: the stream that orders them, NULL for as
     * they are. */
    int (*start)(void *context, const int32_t *rows, int64_t count, const PfRandom *shuffle,
                 int64_t batch, PfError *err);
    /* *n is 0 at the end of the pass. */
    int (*next)(void *context, PfRowBatch *batch, PfError *err);
    void (*free)(void *context);
} PfRowFeeder;

/* Rows of the table, which must outlive the feeder, wherever they are: one of the two below. pool
 * may be NULL. */
int pf_row_feeder_new(const PfFeatureTable *table, PfThreadPool *pool, PfRowFeeder *out,
                      PfError *err);
void pf_row_feeder_free(PfRowFeeder *feeder);

/* Of a table in memory. */
int pf_memory_feeder(const PfFeatureTable *table, PfThreadPool *pool, PfRowFeeder *out,
                     PfError *err);

/* Of a table that is streamed. Rows in order are dealt out as from memory, to the last bit. A
 * shuffled pass takes runs of rows in random order, as many at a time as a window holds, and
 * shuffles the rows of each window; a thread reads the next window meanwhile. */
int pf_stream_feeder(const PfFeatureTable *table, PfThreadPool *pool, PfRowFeeder *out,
                     PfError *err);

#endif
