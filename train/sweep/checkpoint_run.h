/* Where the checkpoint of a run of train lies, and which run it belongs to. */
#ifndef PF_TRAIN_SWEEP_CHECKPOINT_RUN_H
#define PF_TRAIN_SWEEP_CHECKPOINT_RUN_H

#include <stdbool.h>

#include "train/head/checkpoint.h"
#include "train/settings/options.h"

/* Whether there can be one: of an output that is a file, not a pipe or a device. */
bool pf_checkpoint_run_has_place(const PfTrainOptions *options);

/* <output>.checkpoint, malloc'ed. */
char *pf_checkpoint_run_path(const PfTrainOptions *options, PfError *err);

/* The checkpoint at that path, of this cache and network (NULL: of heads alone) and all settings
 * that the result depends on. */
int pf_checkpoint_run_open(PfCache *cache, const PfTrainOptions *options,
                           const PfFinetuneNetwork *network, const PfExperiment *experiment,
                           PfCheckpoint **out, PfError *err);

#endif
