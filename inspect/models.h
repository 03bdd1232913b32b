/* Models that train wrote, on the rows that are inspected. */
#ifndef PF_INSPECT_MODELS_H
#define PF_INSPECT_MODELS_H

#include "inspect/findings/findings.h"
#include "inspect/options.h"
#include "inspect/rows/rows.h"

/* What a model says of every row, by its target of classes. Classes are known by their names. */
typedef struct PfModelAnswers {
    int classes;          /* of the cache */
    float *probabilities; /* (rows, classes) 0 of those that the model does not know; NaN of rows
                             that are broken */
    float *others;        /* (rows) the highest one of a class that the cache does not have */
    uint8_t *known;       /* (classes) whether the model knows it */
} PfModelAnswers;

/* names_unknown: classes that the model does not know are named in a warning. Free with
 * pf_model_answers_free, on failure too. */
int pf_models_predict(const char *path, const PfRows *rows, bool names_unknown, PfModelAnswers *out,
                      PfError *err);
void pf_model_answers_free(PfModelAnswers *answers);

/* Which rows are of which split as a model knows them that was trained on this cache: *splits,
 * (rows) PfSplit, for the caller to free. NULL of another model, which does not know. */
int pf_models_find_splits(const char *path, const PfRows *rows, uint8_t **splits, PfError *err);

/* Several models on the rows of one split that have a label which all of them know: test, else val
 * as the models know it that were trained on this cache, if they agree, else all. Classes that one
 * does not know are named in a warning. Takes the memory of a block of probabilities and of one
 * prediction a row and model. */
int pf_models_compare(const char *const *paths, int count, const PfRows *rows,
                      PfModelComparison *out, PfError *err);

#endif
