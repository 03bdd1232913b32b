/* What labelled data say is true, in a model's terms: its targets by name, its classes by theirs.
 * Data may be a cache or a dataset; both describe their targets as PfCacheTarget. */
#ifndef PF_PREDICT_EVALUATE_TRUTH_H
#define PF_PREDICT_EVALUATE_TRUTH_H

#include "permafrost/feature_cache.h"
#include "predict/model/scorer.h"

/* Instead of the index of a class. */
#define PF_TRUTH_MISSING (-1) /* the row has no label */
#define PF_TRUTH_UNKNOWN (-2) /* it has one that the model does not know */

/* Of one of the model's targets. */
typedef struct PfTruthTarget {
    const PfCacheTarget *source; /* the data's target; NULL: the data have none of this; lent */
    int class_place;             /* of classes: its place among the data's class targets */
    int first_value;             /* of others: where its numbers begin among the data's values */
    int *model_index;            /* (classes or labels of the data) the model's index, or -1; owned;
                                    NULL of numbers and points */
    int unknown_classes;         /* of the data, that the model does not know */
} PfTruthTarget;

typedef struct PfTruth {
    const PfScorer *scorer;       /* lent */
    PfTruthTarget *targets;       /* (scorer->target_count) owned */
    int class_count, value_count; /* of a row of the data: class targets, other numbers */
} PfTruth;

/* The data's target that is the model's target number `index`: the one of its name; where model and
 * data have one each of its kind, that; else NULL. targets: (count) of the data. Lent. */
const PfCacheTarget *pf_truth_source(const PfScorer *scorer, int index,
                                     const PfCacheTarget *targets, int count);

/* The cache's targets as such a list; malloc'ed, what they name is lent by the cache. */
PfCacheTarget *pf_truth_list_targets(const PfCache *cache, PfError *err);

/* targets: (count) of the data, lent until free. Matched by name; where model and data have one
 * target each of a kind, by that, and a line says so. Fails (PF_EXIT_USAGE) where the data have no
 * target of the model's, or one of the same name that holds something else. name: of the data, for
 * messages. */
int pf_truth_new(const PfScorer *scorer, const PfCacheTarget *targets, int count, const char *name,
                 PfTruth **out, PfError *err);
void pf_truth_free(PfTruth **truth);

/* What one row of the data says: class indices of its class targets, then the numbers of the
 * others, in target order; as PfCacheSample has them. */
typedef struct PfTruthRow {
    const int32_t *class_indices; /* (class_count) */
    const float *values;          /* (value_count) */
} PfTruthRow;

/* The class of the model's target, PF_TRUTH_MISSING or PF_TRUTH_UNKNOWN. */
int32_t pf_truth_class(const PfTruth *truth, int target, const PfTruthRow *row);
/* Its name, also where the model does not know it; NULL where it is missing. Lent. */
const char *pf_truth_class_name(const PfTruth *truth, int target, const PfTruthRow *row);
/* Numbers, points or labels (0, 1) in the model's columns; NaN where they are missing. out:
 * (outputs of the target). Returns whether any is there. */
bool pf_truth_values(const PfTruth *truth, int target, const PfTruthRow *row, float *out);

/* ---- of all rows of a cache ---- */

typedef struct PfTruthTable {
    int64_t rows;
    int class_count, value_count;
    int32_t *class_indices; /* (rows, class_count) owned */
    float *values;          /* (rows, value_count) owned */
} PfTruthTable;

/* targets: (pf_cache_target_count) of the cache. Free it on failure, too. */
int pf_truth_table_read(PfCache *cache, PfTruthTable *out, PfError *err);
void pf_truth_table_free(PfTruthTable *table);
PfTruthRow pf_truth_table_row(const PfTruthTable *table, int64_t row);

#endif
