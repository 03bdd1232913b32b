/* A head's parameters as the tensors of a model file, and back to a network: transposed to torch's
 * Linear, the normalisation of features and numbers folded in, named as torch.nn.Sequential
 * would. */
#ifndef PF_TRAIN_HEAD_HEAD_TENSORS_H
#define PF_TRAIN_HEAD_HEAD_TENSORS_H

#include <cjson/cJSON.h>

#include "common/model/model_file.h"
#include "common/weights/safetensors.h"
#include "train/features/task.h"
#include "train/head/head_network.h"

typedef struct PfHeadTensors {
    PfNamedTensor *items; /* (count) names and data owned */
    size_t count, capacity;
    cJSON *layers;  /* array: what the model file says of hidden layers; owned */
    cJSON *targets; /* array: of targets; owned */
} PfHeadTensors;

/* What the names of a head's tensors begin with. */
typedef struct PfHeadNames {
    const char *module; /* the network's part that it replaces */
    const char *last;   /* the last layers of several targets, each beside the others */
} PfHeadNames;

/* network: one head. mean, scale: (features) what x' = (x - mean) * scale was trained on, or
 * NULL. */
int pf_head_tensors_new(const PfHeadNetwork *network, const PfTask *tasks, int task_count,
                        PfHeadNames names, const float *mean, const float *scale,
                        PfHeadTensors *out, PfError *err);
void pf_head_tensors_free(PfHeadTensors *tensors);

/* Of one head, whose outputs are those of the model's targets in their order. */
int pf_head_tensors_read(const PfModel *model, PfHeadNetwork **out, PfError *err);

#endif
