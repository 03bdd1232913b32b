/* Models that train wrote, on the rows that are inspected. */
#ifndef PF_INSPECT_MODELS_H
#define PF_INSPECT_MODELS_H

#include "inspect/findings/findings.h"
#include "inspect/options.h"
#include "inspect/rows/rows.h"

/* Probabilities of the cache's classes for every sound row, by the model's target of classes:
 * *probabilities: malloc'ed, (rows, classes), NaN for broken rows. Classes are known by their
 * names; those that the model does not have get 0. */
int pf_models_predict(const char *path, const PfRows *rows, float **probabilities, PfError *err);

/* Which rows are of which split as a model knows them that was trained on this cache: *splits,
 * (rows) PfSplit, for the caller to free. NULL of another model, which does not know. */
int pf_models_find_splits(const char *path, const PfRows *rows, uint8_t **splits, PfError *err);

/* Several models on the rows with a label of one split: test, else val as the models know it that
 * were trained on this cache, if they agree, else all. Takes the memory
 * of a block of probabilities and of one prediction a row and model. */
int pf_models_compare(const char *const *paths, int count, const PfRows *rows,
                      PfModelComparison *out, PfError *err);

#endif
