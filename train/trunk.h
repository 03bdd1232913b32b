/* What learns in front of a head: the features of a batch come out of it, and it takes
 * their gradients. The training loop drives it; finetune.c is one. */
#ifndef PF_TRUNK_H
#define PF_TRUNK_H

#include <stdint.h>

#include "checkpoint.h"
#include "permafrost/error.h"

typedef struct PfTrunkStep {
    double clip;     /* what gradients are shortened by; 1: not at all */
    double progress; /* the head's learning rate of this step over that of its setting: schedule
                        and warm-up */
} PfTrunkStep;

typedef struct PfTrunk {
    void *context;
    /* derivative: (n, features) of the loss by the features of the batch that the feeder gave last.
     * *squares: squared length of the trunk's gradient; NULL: nobody asks. */
    int (*backward)(void *context, const float *derivative, double *squares, PfError *err);
    int (*step)(void *context, const PfTrunkStep *step, PfError *err);
    /* As it is now belongs to the best head so far. */
    int (*keep)(void *context, PfError *err);
    /* Registers all that changes from step to step. */
    int (*checkpoint)(void *context, PfCheckpoint *checkpoint, PfError *err);
    /* That has just been read from the checkpoint. */
    int (*resumed)(void *context, PfError *err);
} PfTrunk;

#endif
