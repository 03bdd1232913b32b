/* The head of a model that was trained before, as the beginning of a training. */
#ifndef PF_INIT_HEAD_H
#define PF_INIT_HEAD_H

#include "head_network.h"
#include "task.h"

/* *out: one head in the units that tasks are learned in. The model's head must take as many
 * features, be of the shape spec, and have these targets with these classes, in this order. */
int pf_init_head(const char *model_path, const PfHeadSpec *spec, const PfTask *tasks,
                 int task_count, int64_t features, PfHeadNetwork **out, PfError *err);

#endif
