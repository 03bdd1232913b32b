/* Rows that are streamed from a cache: which runs of it are read together, in what order, and the
 * thread that reads some while others are worked on. */
#ifndef PF_TRAIN_FEATURES_STREAM_READER_H
#define PF_TRAIN_FEATURES_STREAM_READER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/random.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"
#include "train/features/batch_loader.h"
#include "train/features/feature_table.h"

/* Rows that a window takes of one run: rows[0], rows[stride], ..., ascending. */
typedef struct PfStreamPart {
    PfCacheRun run;
    const int32_t *rows; /* lent by the pass */
    int64_t count, stride;
    int64_t distinct; /* of them, without repetitions */
} PfStreamPart;

/* Zeros to begin with; made anew for every pass. */
typedef struct PfStreamPlan {
    PfStreamPart *parts;
    size_t part_capacity;
    int64_t part_count;
    int64_t *ends; /* (window_count) of the windows' parts: window w's are
                      [ends[w - 1], ends[w]) */
    size_t window_capacity;
    int64_t window_count;
} PfStreamPlan;

/* rows: (count) ascending, each within a run. Runs without any are left out. A window holds at
 * most window_rows distinct rows, if no run is longer; windows are about equally large, so that the
 * last one mixes its rows as well as the others. shuffle: orders the runs, and is moved on; NULL:
 * they stay in order. Shuffled, a run that rows are drawn from much more often than from others,
 * with repetitions, is spread over several windows. */
int pf_stream_plan(PfStreamPlan *plan, const PfCacheRun *runs, int64_t run_count,
                   const int32_t *rows, int64_t count, int64_t window_rows, PfRandom *shuffle,
                   PfError *err);
void pf_stream_plan_free(PfStreamPlan *plan);

typedef struct PfStreamReader PfStreamReader;

/* table: streamed; lent until free. */
int pf_stream_reader_new(const PfFeatureTable *table, PfStreamReader **out, PfError *err);
void pf_stream_reader_free(PfStreamReader **reader);

/* Begins to read the distinct rows of these parts, of each the view that is drawn, one after the
 * other in the stored dtype, into out. Nothing else is being read; parts and out are lent until
 * wait or cancel. */
int pf_stream_reader_start(PfStreamReader *reader, const PfStreamPart *parts, int64_t count,
                           void *out, const PfViewDraw *draw, PfError *err);
/* Until all is read. Fails where something could not be, or with PF_EXIT_INTERRUPTED. */
int pf_stream_reader_wait(PfStreamReader *reader, PfError *err);
/* Gives up what is being read, if anything. */
void pf_stream_reader_cancel(PfStreamReader *reader);

#endif
