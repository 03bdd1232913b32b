/* Rows of features, batch by batch: for training in a shuffled order, for validation in their own.
 * Of several views a shuffled pass draws one for each row (PfViewDraw), others take the first.
 * Where the rows come from (memory, or a cache that is larger than memory) is behind this. */
#ifndef PF_TRAIN_FEATURES_BATCH_LOADER_H
#define PF_TRAIN_FEATURES_BATCH_LOADER_H

#include <stdint.h>

#include "common/base/random.h"
#include "common/thread/thread_pool.h"
#include "permafrost/error.h"
#include "train/features/feature_table.h"

typedef struct PfRowBatch {
    int64_t n;
    const float *x; /* (n, features) lent until the next call; of a loader that is shared, those
                       of its part alone */
    const int32_t *rows; /* (n) which rows of the table these are; likewise */
} PfRowBatch;

typedef struct PfBatchLoader {
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
    /* From the next pass on, each batch's x holds the rows of this part of it alone
     * (pf_batch_part), and the others are not read; n and rows stay those of the whole. NULL: it
     * cannot. */
    void (*share)(void *context, int part, int parts);
} PfBatchLoader;

/* Rows of a batch that one of several parts has; parts differ by a row at most. */
typedef struct PfBatchPart {
    int64_t first, count;
} PfBatchPart;

PfBatchPart pf_batch_part(int64_t n, int part, int parts);

void pf_batch_loader_free(PfBatchLoader *loader);

/* Rows of a table in memory, which must outlive the loader. pool may be NULL. */
int pf_batch_loader_of_memory(const PfFeatureTable *table, PfThreadPool *pool, PfBatchLoader *out,
                              PfError *err);

/* Which of a row's views a pass takes: the centre, or, where it is learned from, one that the pass
 * draws. It follows from the pass and the row alone, not from where rows come from nor from their
 * order; a row that comes several times in a pass is the same each time. */
typedef struct PfViewDraw {
    uint64_t seed;
    int views; /* drawn from; 1: always the centre */
} PfViewDraw;

/* shuffle: the stream of a pass that is learned from, which is not moved on; NULL: of another. */
PfViewDraw pf_view_draw_begin(const PfFeatureTable *table, const PfRandom *shuffle);
/* 0, the centre, to views - 1. */
int pf_view_draw_of(const PfViewDraw *draw, int32_t row);

#endif
