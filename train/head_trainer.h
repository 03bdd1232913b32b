/* The training loop of a head over features in memory.
 *
 * It reports and never prints: a statistics struct per epoch goes to a callback.
 * The result depends on the table, the config and the seed, not on the number of
 * threads: the order of the batches is drawn from (seed, epoch), a batch is one
 * matrix product on one thread, and evaluation adds up fixed blocks in order. */
#ifndef PF_HEAD_TRAINER_H
#define PF_HEAD_TRAINER_H

#include "feature_table.h"
#include "head.h"
#include "metrics.h"
#include "optimizer.h"

typedef struct PfTrainConfig {
    int epochs;
    int batch; /* rows a step; the last batch of an epoch may be smaller */
    double learning_rate;
    PfOptimizerConfig optimizer;
    PfSchedule schedule;
    uint64_t seed; /* of the initial weights and the batches */
    int threads;   /* for evaluation; 0 = all processors */
} PfTrainConfig;

typedef struct PfEpochStats {
    int epoch; /* from 1 */
    double learning_rate;
    double train_loss, train_accuracy; /* means over the epoch's batches, each before its step */
    double val_loss, val_accuracy;     /* after the epoch; NaN without val rows */
    double train_seconds, val_seconds;
    int is_best; /* best so far */
} PfEpochStats;

typedef struct PfTrainObserver {
    void *context;
    /* After every epoch; stats are lent for the call. May be NULL. */
    void (*on_epoch)(void *context, const PfEpochStats *stats);
    /* After every step: how many of how many are done. Returns nonzero to stop the
     * training, which then fails with PF_EXIT_INTERRUPTED. May be NULL. */
    int (*on_step)(void *context, int64_t done, int64_t total);
} PfTrainObserver;

typedef struct PfTrainResult {
    PfHead *head;         /* as it was after the best epoch; owned */
    PfEpochStats *epochs; /* (epoch_count) owned */
    int epoch_count;
    int best_epoch; /* from 1: highest val accuracy; of equal ones the lowest val loss, then
                       the earliest. Without val rows the last. */
    double seconds;
} PfTrainResult;

/* Trains on the table's train rows. observer may be NULL. Fails where the loss
 * stops being a number. Free the result with pf_train_result_free. */
int pf_train_head(const PfFeatureTable *table, const PfTrainConfig *config,
                  const PfTrainObserver *observer, PfTrainResult *out, PfError *err);
void pf_train_result_free(PfTrainResult *result);

/* Metrics of a head on one split; all zero where it has no rows. */
int pf_evaluate_split(const PfFeatureTable *table, const PfHead *head, PfSplit split, int threads,
                      PfMetrics *out, PfError *err);

#endif
