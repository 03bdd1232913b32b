/* A set whose rows have labels, as a model is evaluated on it: a dataset or a cache. */
#ifndef PF_PREDICT_EVALUATE_LABELLED_SET_H
#define PF_PREDICT_EVALUATE_LABELLED_SET_H

#include "common/model/model_file.h"
#include "extract/dataset/dataset.h"
#include "predict/evaluate/evaluator.h"
#include "predict/evaluate/truth.h"

typedef struct PfLabelledSet {
    PfTruth *truth;           /* owned */
    const PfDataset *dataset; /* lent; NULL: a cache, with: */
    PfTruthTable table;       /* owned */
    PfCacheTarget *targets;   /* of the cache; owned */
    uint8_t *splits;          /* (rows) PfSplit; owned */
    bool names_splits;        /* else all rows are of PF_EVALUATOR_ALL */
} PfLabelledSet;

/* Opens a dataset as extract does; where a manifest's column that is called as a target of the
 * model would be understood as another kind of target, the model's kind is taken, unless the
 * options name targets. */
int pf_labelled_set_open_dataset(const PfScorer *scorer, const char *operand,
                                 const PfDatasetOptions *options, PfDataset **out, PfError *err);

/* Splits are the dataset's, where any of its samples is of val or test. Warns where it names none,
 * and is the one that the model was trained on. operand: its name, for messages. */
int pf_labelled_set_of_dataset(const PfScorer *scorer, const PfModel *model, const char *operand,
                               const PfDataset *dataset, PfLabelledSet *out, PfError *err);

/* Splits are the cache's, as of a dataset. Of the cache that the model was trained on (by its seal;
 * where either has none, by its path) rows are of train and val as train had them, also where it
 * drew val itself. A cache that has changed since is taken as train would take it today, with a
 * warning; where train could not, with its own splits, and a warning that says why. */
int pf_labelled_set_of_cache(const PfScorer *scorer, const PfModel *model, PfCache *cache,
                             PfLabelledSet *out, PfError *err);

/* Those splits alone: *splits, (rows) PfSplit, is for the caller to free, after a failure, too.
 * *is_own: the model was trained on this cache. */
int pf_labelled_set_cache_splits(const PfScorer *scorer, const PfModel *model, PfCache *cache,
                                 uint8_t **splits, bool *is_own, PfError *err);

/* After a failure, too. */
void pf_labelled_set_free(PfLabelledSet *set);

PfTruthRow pf_labelled_set_row(const PfLabelledSet *set, int64_t row);
/* Which parts the first `rows` rows, all of them, are of. */
void pf_labelled_set_parts(const PfLabelledSet *set, int64_t rows, bool parts[PF_EVALUATOR_PARTS]);
/* A PfSplit, or PF_EVALUATOR_ALL. */
int pf_labelled_set_part(const PfLabelledSet *set, int64_t row);

#endif
