/* Where the head of a fine-tuning begins: trained alone on features of the network as it is, or as
 * the head of a model that was trained before. */
#ifndef PF_TRAIN_FINETUNE_FIRST_HEAD_H
#define PF_TRAIN_FINETUNE_FIRST_HEAD_H

#include "train/features/task.h"
#include "train/fit/head_trainer.h"
#include "train/head/head_network.h"

/* data: as the fine-tuning will have it, its loader giving features; config: likewise. The head
 * has the config's shape, seed, losses and sampling, and train's defaults for heads else: adamw,
 * standardised features, which are folded into its weights. *out takes features as they come.
 * table_rows: of the table that data's rows belong to. Holds the features of all train and val rows
 * in memory meanwhile. */
int pf_first_head_trained(const PfTrainingData *data, const PfHeadBatchConfig *config,
                          int64_t table_rows, const PfHeadBatchObserver *observer,
                          PfHeadNetwork **out, PfError *err);

/* *out: one head in the units that tasks are learned in. The model's head must take as many
 * features, be of the shape spec, and have these targets with these classes, in this order. */
int pf_first_head_of_model(const char *model_path, const PfHeadSpec *spec, const PfTask *tasks,
                           int task_count, int64_t features, PfHeadNetwork **out, PfError *err);

#endif
