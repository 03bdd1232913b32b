/* The targets of several caches as those of one: the same name and kind are one target,
 * and classes of one name one class. */
#ifndef PF_MERGE_TARGETS_H
#define PF_MERGE_TARGETS_H

#include <stdint.h>

#include "merge_inputs.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

typedef struct PfMergeTargets {
    PfCacheTarget *items;
    int count;
    const char ***class_lists;         /* (count) the items' lists; NULL for numbers */
    int class_targets, values_per_row; /* columns of the two below */
    int32_t *indices;                  /* (rows, class_targets); -1 where there is no label */
    float *values;                     /* (rows, values_per_row); NaN where there is none */
} PfMergeTargets;

/* Targets come in the order in which the inputs first have them, and classes sorted by
 * bytes where every input's are, else likewise. Warns of inputs without a target that others
 * have. The inputs must outlive it; on failure too, free it. */
int pf_merge_targets_new(const PfMergeInputs *inputs, PfMergeTargets *targets, PfError *err);
void pf_merge_targets_free(PfMergeTargets *targets);

#endif
