/* A group: heads of one shape that learn side by side from one pass over the features. */
#ifndef PF_GROUP_H
#define PF_GROUP_H

#include <stdint.h>

#include "head_network.h"
#include "optimizer.h"
#include "row_feeder.h"
#include "task.h"
#include "trunk.h"

/* What heads of a group may differ in. */
typedef struct PfHeadSetting {
    double learning_rate, weight_decay, momentum, label_smoothing;
    double clip_norm;     /* gradients longer than this are shortened to it; 0: never */
    double warmup_epochs; /* the rate rises linearly from 0 over so many; 0: none */
    PfSchedule schedule;
} PfHeadSetting;

typedef struct PfGroupConfig {
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
    const PfTrunk *trunk;       /* learns with the one head; NULL: features are constants */
    PfCheckpoint *checkpoint;   /* written after every epoch; NULL: none */
    int resume;                 /* goes on from the checkpoint, if there is one */
} PfGroupConfig;

/* What a group learns from. All lent. */
typedef struct PfTrainingData {
    PfRowFeeder *feeder;
    int64_t features;
    const PfTask *tasks;
    int task_count;
    const int32_t *train_rows, *val_rows;
    int64_t train_count, val_count; /* val_count may be 0 */
} PfTrainingData;

#endif
