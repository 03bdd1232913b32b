/* What torch's optimisers multiply by at a step, for every column of a matrix: the one
 * place where settings and the count of steps become the numbers of optimizer_steps.h. */
#ifndef PF_STEP_COLUMNS_H
#define PF_STEP_COLUMNS_H

#include "optimizer.h"
#include "optimizer_steps.h"

typedef struct PfStepColumns {
    PfOptimizerConfig config; /* its kind and betas */
    int nesterov;
    float *rate, *decay, *shrink, *momentum; /* (columns) lent */
} PfStepColumns;

/* Columns [first, end), at step `step` from 1. */
void pf_step_columns_set(const PfStepColumns *columns, int64_t step, int64_t first, int64_t end,
                         double learning_rate, double weight_decay, double momentum);

/* Takes that step of a block that has these columns. */
void pf_step_columns_take(const PfStepColumns *columns, int64_t step, const PfStepBlock *block);

#endif
