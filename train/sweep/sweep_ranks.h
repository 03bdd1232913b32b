/* A sweep that several processes share out: each head batch is trained by one of them, alone, so
 * that every head is what one process would have made of it, to the last bit. */
#ifndef PF_TRAIN_SWEEP_SWEEP_RANKS_H
#define PF_TRAIN_SWEEP_SWEEP_RANKS_H

#include <stdbool.h>

#include "common/ranks/rank_group.h"
#include "train/sweep/ranking.h"

/* Head batches are dealt out in turns. */
typedef struct PfSweepDeal {
    PfRankGroup *group; /* NULL: this process trains all */
    int dealt;          /* head batches so far */
    int *owners;        /* (trials) which rank trains each; owned */
} PfSweepDeal;

int pf_sweep_deal_new(PfRankGroup *group, int trial_count, PfSweepDeal *out, PfError *err);
void pf_sweep_deal_free(PfSweepDeal *deal);

/* Deals the next head batch, which is of `count` trials from `first` on. Whether it is this
 * process's. */
bool pf_sweep_deal_next(PfSweepDeal *deal, int first, int count);

/* Once all are trained: the trials of all ranks, on each of them. */
int pf_sweep_deal_gather(PfSweepDeal *deal, PfTrial *trials, int trial_count, PfError *err);

#endif
