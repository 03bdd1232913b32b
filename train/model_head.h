/* The head of a model file as a network. */
#ifndef PF_MODEL_HEAD_H
#define PF_MODEL_HEAD_H

#include "head_network.h"
#include "model_file.h"

/* Of one head, whose outputs are those of the model's targets in their order. */
int pf_model_head_read(const PfModel *model, PfHeadNetwork **out, PfError *err);

#endif
