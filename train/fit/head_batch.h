/* A head batch: heads of one shape that learn side by side from one pass over the features. */
#ifndef PF_TRAIN_FIT_HEAD_BATCH_H
#define PF_TRAIN_FIT_HEAD_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "permafrost/error.h"
#include "train/features/batch_loader.h"
#include "train/features/task.h"
#include "train/head/checkpoint.h"
#include "train/head/head_network.h"
#include "train/kernels/optimizer.h"

/* What learns in front of a head: the features of a batch come out of it, and it takes
 * their gradients. The training loop drives it; finetune.c is one. */

typedef struct PfTrunkStep {
    double clip;     /* what gradients are shortened by; 1: not at all */
    double progress; /* the head's learning rate of this step over that of its setting: schedule
                        and warm-up */
} PfTrunkStep;

typedef struct PfTrunk {
    void *context;
    /* derivative: (n, features) of the loss by the features of the batch that the loader gave last.
     * *squares: squared length of the trunk's gradient; NULL: nobody asks. */
    int (*backward)(void *context, const float *derivative, double *squares, PfError *err);
    int (*step)(void *context, const PfTrunkStep *step, PfError *err);
    /* The head is the best one so far: the trunk remembers what it is now, to go with it. */
    int (*keep)(void *context, PfError *err);
    /* Registers with the checkpoint all that changes from step to step. */
    int (*checkpoint)(void *context, PfCheckpoint *checkpoint, PfError *err);
    /* Called once what was registered has been read back from the checkpoint. */
    int (*resumed)(void *context, PfError *err);
} PfTrunk;

/* What the heads of a head batch may differ in. */
typedef struct PfHeadSetting {
    double learning_rate, weight_decay, momentum, label_smoothing;
    double clip_norm;     /* gradients longer than this are shortened to it; 0: never */
    double warmup_epochs; /* the rate rises linearly from 0 over so many; 0: none */
    PfSchedule schedule;
} PfHeadSetting;

typedef struct PfHeadBatchConfig {
    PfHeadSpec spec;
    PfOptimizerKind optimizer;
    int nesterov;
    const PfHeadSetting *settings; /* (head_count) lent */
    int head_count;
    int epochs, batch;
    const PfTask *balance; /* each epoch draws as many rows as there are, of its classes equally
                              many; NULL: every row once */
    int patience;          /* a head ends after so many epochs that were not better; 0: never */
    uint64_t seed;         /* of the initial weights, the batches and dropout */
    PfThreadPool *pool;    /* NULL: the calling thread alone */
    const PfHeadNetwork *start; /* the one head begins as this; NULL: drawn from the seed */
    const double *task_decays;  /* (tasks) of L-BFGS, in place of the settings'; NULL: those */
    const PfTrunk *trunk;       /* learns with the one head; NULL: features are constants */
    PfCheckpoint *checkpoint;   /* written after every epoch; NULL: none */
    double checkpoint_seconds;  /* at least so many between two of them */
    bool resume;                /* goes on from the checkpoint, if there is one */
} PfHeadBatchConfig;

/* What a head batch learns from. All lent. */
typedef struct PfTrainingData {
    PfBatchLoader *loader;
    int64_t features;
    const PfTask *tasks;
    int task_count;
    const int32_t *train_rows, *val_rows;
    int64_t train_count, val_count; /* val_count may be 0 */
} PfTrainingData;

#endif
