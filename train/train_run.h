/* Everything one run of train knows once it is done: what the report, the result
 * JSON and the model file are made of. All of it is lent. */
#ifndef PF_TRAIN_RUN_H
#define PF_TRAIN_RUN_H

#include "feature_table.h"
#include "head_trainer.h"
#include "normalize.h"

typedef struct PfTrainRun {
    const PfCache *cache;
    const PfCacheTap *tap;
    const PfCacheTarget *target;
    const PfFeatureTable *table;
    const PfTrainConfig *config;
    PfNormalize normalize;
    double val;                  /* fraction of the train rows moved to val; 0: none were */
    const PfTrainResult *result; /* its head as trained, without the normalisation folded in */
    PfMetrics metrics[PF_SPLIT_COUNT];  /* of the best epoch's head */
    double load_seconds, total_seconds; /* load: open, read, check, normalise */
} PfTrainRun;

extern const char *const pf_split_names[PF_SPLIT_COUNT]; /* "train", "val", "test" */
const char *pf_optimizer_name(PfOptimizerKind kind);     /* "adamw" */
const char *pf_normalize_name(PfNormalize kind);         /* "standardize" */
/* "constant", "cosine", "step:30,0.1" into text, which is returned. */
#define PF_SCHEDULE_TEXT_SIZE 48
const char *pf_schedule_text(const PfSchedule *schedule, char text[PF_SCHEDULE_TEXT_SIZE]);

#endif
