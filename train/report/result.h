/* What one run of train knows once it is done, which the report and the model file are made of, and
 * the same as JSON and, a line for every head, as comma-separated values: docs/train.md describes
 * them. */
#ifndef PF_TRAIN_REPORT_RESULT_H
#define PF_TRAIN_REPORT_RESULT_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "train/fit/evaluation.h"
#include "train/head/novelty.h"
#include "train/sweep/sweep.h"

/* All of it is lent. */
typedef struct PfTrainRun {
    const PfCache *cache;
    const PfTrainOptions *options;
    const PfSweep *sweep;
    PfTaskMetrics *metrics[PF_SPLIT_COUNT]; /* (task_count) of the winner; NULL where the split has
                                               no rows */
    PfNovelty *novelty; /* what train rows are like; NULL: not asked for; owned */
    double total_seconds;
} PfTrainRun;

const PfCacheTap *pf_train_run_tap(const PfTrainRun *run); /* that was read for the winner */
/* What its head takes: that tap, or where a suffix learned, the one behind it; lent. */
const char *pf_train_run_head_tap(const PfTrainRun *run, PfShape *shape);
const PfHeadHistory *pf_train_run_history(const PfTrainRun *run);
const PfHeadEpoch *pf_train_run_best(const PfTrainRun *run); /* its best epoch */
/* What the score of heads is called: of several targets "score", else as its kind says. */
const char *pf_train_run_score_name(const PfFeatureTable *table);
/* Rows of the split that the target was evaluated on; 0 where there is none. */
int64_t pf_train_run_rows(const PfTrainRun *run, int split, int task);

/* ---- as text ---- */

/* NULL where memory is short. Free with cJSON_Delete. */
cJSON *pf_result_json(const PfTrainRun *run);
/* The winner's settings: "config" in the result and in the model's metadata. */
cJSON *pf_result_config(const PfTrainRun *run);
/* A split's numbers, of several targets by name. */
cJSON *pf_result_split(const PfTrainRun *run, PfSplit split, bool with_details);

/* malloc'ed text: a header, then a line a head. NULL where memory is short. */
char *pf_result_csv(const PfTrainRun *run);

#endif
