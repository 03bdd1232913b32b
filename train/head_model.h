/* A trained head as a model file. */
#ifndef PF_HEAD_MODEL_H
#define PF_HEAD_MODEL_H

#include <cjson/cJSON.h>

#include "head.h"
#include "train_run.h"

/* state_dict names of the head: the network's own classifier's where it takes
 * the place of that ("fc.weight", "classifier.6.weight"), else "head.weight".
 * backbone: the cache identity's object of that name, may be NULL. */
#define PF_HEAD_NAME_SIZE 32
void pf_head_model_names(const cJSON *backbone, const PfCacheTap *tap,
                         char weight[PF_HEAD_NAME_SIZE], char bias[PF_HEAD_NAME_SIZE]);

/* Writes head, which takes features as the cache holds them (standardisation
 * folded in), and the run's metadata. A cache that does not say where its features come
 * from gives a model that predicts from caches only: *knows_backbone is then 0. */
int pf_head_model_write(const char *path, const PfTrainRun *run, const PfHead *head,
                        int *knows_backbone, PfError *err);

#endif
