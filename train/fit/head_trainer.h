/* The training loop of a head batch: heads of one shape that learn side by side from one pass over
 * the features.
 *
 * They share the rows, the batches and their order, the seed and the number of epochs, and differ
 * in their settings. Each comes out, to the last bit, as if trained alone, on any number of
 * threads. The loop tells its observer how far it is, and never prints. */
#ifndef PF_TRAIN_FIT_HEAD_TRAINER_H
#define PF_TRAIN_FIT_HEAD_TRAINER_H

#include <stdint.h>

#include "train/fit/head_batch.h"

typedef struct PfHeadEpoch {
    int epoch; /* from 1 */
    double learning_rate;
    double train_loss, train_score; /* over the epoch's batches, each before its step */
    double val_loss, val_score;     /* after the epoch; NaN without val rows */
    int is_best;                    /* so far */
} PfHeadEpoch;

/* How one head did. Score: mean over the tasks of pf_task_score. */
typedef struct PfHeadHistory {
    PfHeadEpoch *epochs; /* (epoch_count) owned */
    int epoch_count;     /* fewer than asked where patience ran out or the head diverged */
    int best_epoch;      /* from 1: highest val score; of equal ones the lowest val loss, then the
                            earliest. Without val rows the last. 0: diverged in the first */
    int diverged;        /* the loss was no number in the epoch after the last of these */
    int iterations;      /* of L-BFGS, 0 otherwise; with what it made of the objective */
    int converged;
    double objective;
} PfHeadHistory;

typedef struct PfHeadBatchObserver {
    void *context;
    /* After every epoch: histories (head_count) so far, lent for the call. May be NULL. */
    void (*on_epoch)(void *context, int epoch, const PfHeadHistory *histories);
    /* After every step: how many of how many are done. Nonzero stops the training, which
     * then fails with PF_EXIT_INTERRUPTED. May be NULL. */
    int (*on_step)(void *context, int64_t done, int64_t total);
    /* A checkpoint had done so many epochs, with which the training goes on. May be NULL. */
    void (*on_resume)(void *context, int epoch);
} PfHeadBatchObserver;

struct PfDecaySearch;

typedef struct PfHeadBatchResult {
    PfHeadNetwork *network;   /* each head as after its best epoch; owned */
    PfHeadHistory *histories; /* (head_count) owned */
    int head_count;
    struct PfDecaySearch *search; /* what chose the one head's decay; NULL: nothing did; owned */
    double seconds, train_seconds, val_seconds;
} PfHeadBatchResult;

/* observer may be NULL. Free the result with pf_head_batch_result_free. */
int pf_head_trainer_run(const PfTrainingData *data, const PfHeadBatchConfig *config,
                        const PfHeadBatchObserver *observer, PfHeadBatchResult *out, PfError *err);
void pf_head_batch_result_free(PfHeadBatchResult *result);

/* Outputs of all heads for rows, block by block in order: outputs (n, heads *
 * network->outputs), lent for the call. */
typedef int PfOutputVisitor(void *context, const PfRowBatch *batch, float *outputs, PfError *err);
int pf_visit_outputs(PfHeadNetwork *network, PfBatchLoader *loader, const int32_t *rows,
                     int64_t count, PfThreadPool *pool, PfOutputVisitor *visit, void *context,
                     PfError *err);

#endif
