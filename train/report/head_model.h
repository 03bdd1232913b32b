/* A trained head as a model file. */
#ifndef PF_TRAIN_REPORT_HEAD_MODEL_H
#define PF_TRAIN_REPORT_HEAD_MODEL_H

#include <stdbool.h>

#include "train/report/result.h"

/* Writes the run's head and metadata, and the network's tensors that learned with it. The head
 * takes features as the cache holds them and gives numbers in the target's units: what training did
 * to both is folded into the weights. A cache that does not say where its features come from gives
 * a model that predicts from caches only: *knows_backbone is then false. */
int pf_head_model_write(const char *path, const PfTrainRun *run, bool *knows_backbone,
                        PfError *err);

#endif
