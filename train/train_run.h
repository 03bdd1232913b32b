/* Everything one run of train knows once it is done: what the report, the result
 * JSON, the CSV and the model file are made of. All of it is lent. */
#ifndef PF_TRAIN_TRAIN_RUN_H
#define PF_TRAIN_TRAIN_RUN_H

#include "train/fit/evaluation.h"
#include "train/sweep.h"

typedef struct PfTrainRun {
    const PfCache *cache;
    const PfTrainOptions *options;
    const PfSweep *sweep;
    PfTaskMetrics *metrics[PF_SPLIT_COUNT]; /* (task_count) of the winner; NULL where the split has
                                               no rows */
    double total_seconds;
} PfTrainRun;

const PfCacheTap *pf_train_run_tap(const PfTrainRun *run); /* that was read for the winner */
/* What its head takes: that tap, or where a suffix learned, the one behind it; lent. */
const char *pf_train_run_head_tap(const PfTrainRun *run, PfShape *shape);
const PfHeadHistory *pf_train_run_history(const PfTrainRun *run);
const PfHeadEpoch *pf_train_run_best(const PfTrainRun *run); /* its best epoch */
/* What the score of heads is called: of several targets "score", else as its kind says. */
const char *pf_train_run_score_name(const PfFeatureTable *table);

extern const char *const pf_split_names[PF_SPLIT_COUNT]; /* "train", "val", "test" */

#endif
