/* A pass over rows that are streamed: which runs of the cache are read together, in what order. */
#ifndef PF_STREAM_PLAN_H
#define PF_STREAM_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"
#include "permafrost/feature_cache.h"
#include "random.h"

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

#endif
