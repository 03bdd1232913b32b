/* Whether the plain command, which names no optimiser and no rate, searches its regularisation, and
 * how. */
#ifndef PF_TRAIN_SWEEP_SEARCH_PLAN_H
#define PF_TRAIN_SWEEP_SEARCH_PLAN_H

#include "train/features/feature_table.h"
#include "train/fit/experiment.h"

typedef enum PfSearchKind {
    PF_SEARCH_NONE,  /* the defaults, or what the command line says */
    PF_SEARCH_DECAY, /* the head has an optimum: decay_search.h, then L-BFGS */
} PfSearchKind;

/* *why_not: of a plain command that is not searched, what is in the way; else NULL. May be NULL. */
PfSearchKind pf_search_plan(const PfExperiment *experiment, const PfFeatureTable *table,
                            const char **why_not);

#endif
