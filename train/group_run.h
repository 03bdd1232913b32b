/* A group of heads from a table of features to its result: rows chosen, a feeder opened,
 * the right trainer called, with a suffix of the network where one learns. */
#ifndef PF_GROUP_RUN_H
#define PF_GROUP_RUN_H

#include "feature_table.h"
#include "finetune.h"
#include "group_trainer.h"
#include "train_options.h"

/* All lent. */
typedef struct PfGroupRun {
    const PfTrainOptions *options;
    const PfFeatureTable *table;
    PfFinetune *finetune;     /* NULL: heads alone */
    PfCheckpoint *checkpoint; /* NULL: none */
    PfThreadPool *pool;
    const PfGroupObserver *observer; /* may be NULL */
} PfGroupRun;

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

/* Heads of one group (pf_experiment_same_group): first, which they share, and the settings
 * (count) that they differ in. seed: in place of the experiment's. */
int pf_group_run(const PfGroupRun *run, const PfExperiment *first, const PfHeadSetting *settings,
                 int count, int64_t seed, PfGroupResult *out, PfError *err);

/* What heads take: the table's rows, or what the suffix as it now is makes of them. */
typedef struct PfHeadFeeder {
    PfRowFeeder feeder, rows; /* rows: what the suffix takes, where there is one */
    int64_t features;         /* of a row of feeder */
} PfHeadFeeder;

/* finetune may be NULL. Free it after a failure too. */
int pf_head_feeder_new(const PfFeatureTable *table, PfFinetune *finetune, PfThreadPool *pool,
                       PfHeadFeeder *out, PfError *err);
void pf_head_feeder_free(PfHeadFeeder *feeder);

#endif
