/* Features, rows and tasks as one setting sees them: of a tap, with a fold to validate on,
 * normalised. */
#ifndef PF_TRAIN_SWEEP_STAGE_H
#define PF_TRAIN_SWEEP_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/thread/thread_pool.h"
#include "permafrost/feature_cache.h"
#include "train/features/feature_table.h"
#include "train/features/normalize.h"
#include "train/settings/options.h"
#include "train/settings/sweep_settings.h"

/* What stages are made of, and who learns from them; all lent. */
typedef struct PfStageSource {
    PfCache *cache;
    const PfTrainOptions *options;
    const PfSweepSetting *settings; /* (setting_count) */
    int setting_count;
    const int *taps; /* of the cache */
    PfThreadPool *pool;
    PfStreamSeconds *stream_seconds; /* where features are streamed */
} PfStageSource;

typedef struct PfStage {
    int tap, fold; /* index into taps; fold -1: none */
    PfNormalize normalize;
    PfFeatureTable *table; /* owned */
    float *mean, *scale;   /* (features) of the normalisation; one allocation, mean owns it */
} PfStage;

/* Loads, chooses rows, normalises. warns: of losses that no target takes. */
int pf_stage_open(const PfStageSource *source, int tap, int fold, PfNormalize normalize, bool warns,
                  PfStage *out, PfError *err);
void pf_stage_close(PfStage *stage);

/* Of --folds, or where heads out of fold are needed without it. */
int pf_stage_fold_count(const PfTrainOptions *options);

/* Of the largest batch of rows that a training asks for. */
int64_t pf_stage_batch_rows(const PfSweepSetting *settings, int count);

#endif
