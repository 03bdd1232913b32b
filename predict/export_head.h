/* A model's head as plain float32 tensors, for those who write it down elsewhere. */
#ifndef PF_EXPORT_HEAD_H
#define PF_EXPORT_HEAD_H

#include "scorer.h"

#define PF_EXPORT_NAME_SIZE 32

/* Names without dots before the last, so that they can be modules' in TorchScript:
 *   hidden0.weight (width, features), hidden0.bias (width)   batch norm is folded in
 *   norm0.weight, norm0.bias (width)                         layer norm, where there is one
 *   ...
 *   target0.weight (outputs, width), target0.bias (outputs)  for every target */
typedef struct PfExportHead {
    const PfScorer *scorer; /* lent */
    PfNamedTensor *tensors; /* (count) names and data owned */
    size_t count, capacity;
} PfExportHead;

int pf_export_head_new(const PfScorer *scorer, PfExportHead *out, PfError *err);
void pf_export_head_free(PfExportHead *head);

#endif
