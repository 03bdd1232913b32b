/* Loss and score of many heads on some rows, side by side: one pass over the features. */
#ifndef PF_TRAIN_FIT_SCORES_H
#define PF_TRAIN_FIT_SCORES_H

#include "train/fit/head_trainer.h"

/* As validation has them (pf_task_score): higher scores are better. */
typedef struct PfHeadScore {
    double loss, score; /* NaN where there are no rows */
} PfHeadScore;

/* Of each head of the network; out: (network->heads). */
int pf_scores_run(PfHeadNetwork *network, const PfTrainingData *data, const int32_t *rows,
                  int64_t count, PfThreadPool *pool, PfHeadScore *out, PfError *err);

#endif
