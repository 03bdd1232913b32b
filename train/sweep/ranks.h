/* Several processes that run one training, or share out a sweep. */
#ifndef PF_TRAIN_SWEEP_RANKS_H
#define PF_TRAIN_SWEEP_RANKS_H

#include <stdbool.h>

#include "common/ranks/rank_group.h"
#include "permafrost/feature_cache.h"
#include "train/settings/options.h"

/* Finds which of several processes this one is; a process alone is rank 0 of 1, and so is each that
 * trains a single head, or was told --alone. Processes but rank 0 print errors only, from now on.
 */
int pf_train_ranks_find(const PfTrainOptions *options, PfLaunch *launch, PfError *err);

/* Joins the others: options->group, and finetune.ranks where all of them train one network. Threads
 * and memory are shared out among those of one host. Nothing to be done for a process alone. */
int pf_train_ranks_join(const PfLaunch *launch, PfTrainOptions *options, PfError *err);

/* Fails on all ranks where they have not opened the same cache. */
int pf_train_ranks_compare_cache(const PfTrainOptions *options, const PfCache *cache, PfError *err);

/* Whether this process prints and writes: it is rank 0. */
bool pf_train_ranks_writes(const PfTrainOptions *options);

#endif
