/* Several classifiers on one set of rows, side by side and in pairs.
 *
 * Whether two differ: McNemar's test, exact by the binomial law (McNemar, Psychometrika 12 (1947)
 * 153; Dietterich, Neural Computation 10 (1998) 1895). By how much: the difference of two
 * accuracies on the same rows with the interval of Bonett and Price, J. Educ. Behav. Stat. 37
 * (2012) 479: one row is added to either kind of disagreement. */
#ifndef PF_INSPECT_FINDINGS_COMPARISON_H
#define PF_INSPECT_FINDINGS_COMPARISON_H

#include "inspect/findings/findings.h"
#include "permafrost/error.h"

/* p of a two-sided test that a and b rows, which only one of two has right, are as many. */
double pf_comparison_mcnemar(int64_t a, int64_t b);

/* Of (a - b) / rows. */
PfInterval pf_comparison_interval(int64_t a, int64_t b, int64_t rows);

/* How one model did, from probabilities that come in blocks of rows. */
typedef struct PfComparisonScore {
    int classes;
    const int32_t *labels;    /* by row of the cache; lent */
    const int32_t *rows;      /* (count) those that are asked, ascending; lent */
    int64_t count, next;      /* rows[next] is the first that has not come yet */
    int64_t *right, *present; /* (classes) of the rows of a class; owned */
    PfComparedModel *out;     /* lent */
} PfComparisonScore;

/* out: its path is set, the rest 0. classes: of the probabilities; labels need not have them all.
 * cache_rows: of the cache. End it after a failure, too. */
int pf_comparison_score_start(PfComparisonScore *score, int classes, const int32_t *labels,
                              int64_t cache_rows, const int32_t *rows, int64_t count,
                              PfComparedModel *out, PfError *err);
/* Rows [first, first + count) of the cache: probabilities (count, classes). First to last. */
void pf_comparison_score_add(PfComparisonScore *score, int64_t first, int64_t count,
                             const float *probabilities);
/* Fills all of out, and frees what start allocated. */
void pf_comparison_score_end(PfComparisonScore *score);

/* All pairs of out->models, on these rows. */
int pf_comparison_pairs(const int32_t *labels, const int32_t *rows, int64_t count,
                        PfModelComparison *out, PfError *err);

#endif
