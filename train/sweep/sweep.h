/* Many heads: every setting, from every seed, on every fold and tap, grouped so that as
 * many as can be learn side by side; ranked by validation. A single head is a sweep
 * of one. */
#ifndef PF_TRAIN_SWEEP_SWEEP_H
#define PF_TRAIN_SWEEP_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "train/features/feature_memory.h"
#include "train/features/feature_table.h"
#include "train/finetune/finetune.h"
#include "train/fit/calibration.h"
#include "train/fit/evaluation.h"
#include "train/settings/options.h"
#include "train/settings/sweep_settings.h"
#include "train/sweep/ranking.h"

typedef struct PfSweep {
    PfSweepSetting *settings; /* owned */
    int setting_count;
    int *taps; /* of the cache; owned */
    int tap_count;
    PfTrial *trials; /* (trial_count) owned; by tap, setting, fold, seed */
    int trial_count;
    PfRanked *ranking; /* (ranked_count) best first; owned */
    int ranked_count;
    /* The winner: trained (once more) on all train rows, of folds on all that are not test, alone.
     */
    PfExperiment experiment;
    int tap;
    PfFeatureTable *table;      /* its features, normalised or to be; owned */
    float *mean, *scale;        /* (features) of the normalisation, or NULL; owned */
    PfHeadBatchResult result;   /* one head */
    PfCalibration *calibration; /* of its logits; NULL: none; owned */
    PfFinetune *finetune;       /* what it learned with, as it then was; NULL: heads alone; owned */
    PfCheckpoint *checkpoint;   /* of a fine-tuning, to be removed once its model is written; NULL:
                                   none; owned */
    bool is_elsewhere; /* rank 0 of several goes on with the winner: nothing of it is here */
    double load_seconds, train_seconds;
    PfStreamSeconds stream_seconds; /* beside both, where features are streamed */
} PfSweep;

typedef struct PfSweepObserver {
    void *context;
    /* Once, when the first features are loaded and before anything is trained. */
    void (*on_stage)(void *context, const PfSweep *sweep, const PfFeatureTable *table);
    /* After each epoch, where there is but one head. */
    void (*on_epoch)(void *context, const PfHeadEpoch *epoch);
    /* Heads done, of all; of one head its steps. Nonzero stops. */
    int (*on_step)(void *context, int64_t done, int64_t total);
    /* With folds, where predictions are asked for: the winning setting's head of a fold, before the
     * next one is trained; table holds the fold as val. May be NULL. */
    int (*on_fold)(void *context, const PfSweep *sweep, const PfFeatureTable *table,
                   PfHeadNetwork *network, int fold, PfError *err);
    /* A checkpoint had done so many epochs, with which the training goes on. */
    void (*on_resume)(void *context, int epoch);
} PfSweepObserver;

/* The cache must stay open as long as the sweep is used. Fails where every head
 * of every setting diverged. Free with pf_sweep_free, on failure too. */
int pf_sweep_run(PfCache *cache, const PfTrainOptions *options, PfThreadPool *pool,
                 const PfSweepObserver *observer, PfSweep *out, PfError *err);
void pf_sweep_free(PfSweep *sweep);

/* How the features of one of the sweep's taps are held. */
int pf_sweep_feature_memory(const PfCache *cache, const PfTrainOptions *options,
                            const PfSweep *sweep, int tap, PfFeatureMemory *out, PfError *err);

#endif
