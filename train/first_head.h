/* Where the head of a fine-tuning begins: trained alone on features of the network as it is, or as
 * the head of a model that was trained before. */
#ifndef PF_FIRST_HEAD_H
#define PF_FIRST_HEAD_H

#include "group_trainer.h"
#include "head_network.h"
#include "task.h"

/* data: as the fine-tuning will have it, its feeder giving features; config: likewise. The head
 * has the config's shape, seed, losses and sampling, and train's defaults for heads else: adamw,
 * standardised features, which are folded into its weights. *out takes features as they come.
 * table_rows: of the table that data's rows belong to. Holds the features of all train and val rows
 * in memory meanwhile. */
int pf_warm_head(const PfTrainingData *data, const PfGroupConfig *config, int64_t table_rows,
                 const PfGroupObserver *observer, PfHeadNetwork **out, PfError *err);

/* *out: one head in the units that tasks are learned in. The model's head must take as many
 * features, be of the shape spec, and have these targets with these classes, in this order. */
int pf_init_head(const char *model_path, const PfHeadSpec *spec, const PfTask *tasks,
                 int task_count, int64_t features, PfHeadNetwork **out, PfError *err);

#endif
