/* A head batch from a table of features to its result: rows are chosen, a batch loader is opened
 * and the right trainer is called, with a suffix of the network where one learns. */
#ifndef PF_TRAIN_SWEEP_HEAD_BATCH_RUN_H
#define PF_TRAIN_SWEEP_HEAD_BATCH_RUN_H

#include "train/features/feature_table.h"
#include "train/finetune/finetune.h"
#include "train/fit/head_trainer.h"
#include "train/fit/scores.h"
#include "train/settings/options.h"

/* All lent. */
typedef struct PfHeadBatchRun {
    const PfTrainOptions *options;
    const PfFeatureTable *table;
    PfFinetune *finetune;     /* NULL: heads alone */
    PfCheckpoint *checkpoint; /* NULL: none */
    PfThreadPool *pool;
    const PfHeadBatchObserver *observer; /* may be NULL */
    PfHeadScore *test_scores;            /* (heads) room for those of test rows, or NULL */
    bool ignores_val;     /* val rows choose no epoch and end no head, as where there are none */
    const double *decays; /* (tasks) of L-BFGS, where a search finds none; NULL: the settings' */
} PfHeadBatchRun;

/* What an experiment learns from. */
typedef struct PfTrainRows {
    const int32_t *rows; /* (count) ascending; the table's, or chosen */
    int64_t count;
    int32_t *chosen; /* owned; NULL: all train rows */
} PfTrainRows;

/* The table's train rows, or as many of each class as the experiment takes, drawn by seed. Free
 * chosen. */
int pf_train_rows(const PfFeatureTable *table, const PfExperiment *experiment, int64_t seed,
                  PfTrainRows *out, PfError *err);
/* How many these are; all train rows where memory is short. */
int64_t pf_train_row_count(const PfFeatureTable *table, const PfExperiment *experiment);

/* Trains the heads of one head batch (pf_experiment_same_batch). first: what they share; settings:
 * (count) what they differ in. seed: in place of the experiment's. */
int pf_head_batch_run(const PfHeadBatchRun *run, const PfExperiment *first,
                      const PfHeadSetting *settings, int count, int64_t seed,
                      PfHeadBatchResult *out, PfError *err);

/* What heads take: the table's rows, or what the suffix as it now is makes of them. */
typedef struct PfHeadLoader {
    PfBatchLoader loader, rows; /* rows: what the suffix takes, where there is one */
    int64_t features;           /* of a row of loader */
} PfHeadLoader;

/* finetune may be NULL. Free it after a failure too. */
int pf_head_loader_new(const PfFeatureTable *table, PfFinetune *finetune, PfThreadPool *pool,
                       PfHeadLoader *out, PfError *err);
void pf_head_loader_free(PfHeadLoader *loader);

#endif
