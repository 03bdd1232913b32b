/* Scores that are kept until the end, and what ranking them gives: ROC AUC and average
 * precision, of one class or label, and of several classes each against the rest. Equal scores
 * share their rank; nothing depends on the order of the rows. */
#ifndef PF_TRAIN_METRICS_RANKING_H
#define PF_TRAIN_METRICS_RANKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"
#include "train/metrics/interval.h"

/* ---- columns: rows come in, and columns are read. Sixteen rows of a column lie in one
 * cache line ---- */

#define PF_COLUMNS_BLOCK 16

/* Start from {.columns, .max_values}. */
typedef struct PfColumns {
    int64_t columns;
    int64_t max_values; /* 0: as many as there are; else nothing is kept of a larger table */
    int64_t rows;
    bool dropped;  /* the table became too large */
    float *values; /* (rows / 16, columns, 16) */
    size_t capacity;
} PfColumns;

/* One row more: its column c is to be written to (*row)[c * PF_COLUMNS_BLOCK] before the
 * next is added. *row is NULL where the table has been dropped. */
int pf_columns_add(PfColumns *table, float **row, PfError *err);

/* A row's column, with the row's next at PF_COLUMNS_BLOCK from it. */
static inline const float *pf_columns_at(const PfColumns *table, int64_t row, int64_t column)
{
    int64_t block = row / PF_COLUMNS_BLOCK * table->columns + column;
    return table->values + block * PF_COLUMNS_BLOCK + row % PF_COLUMNS_BLOCK;
}

void pf_columns_free(PfColumns *table);

/* ---- the scores of one class or label ---- */

/* Ranking needs the scores of all rows at the end. Metrics keep this many floats at
 * most (64 MiB); a larger table, with its rows rounded up to a multiple of 16, has no AUC
 * and no average precision. */
#define PF_RANKING_MAX_SCORES ((int64_t)1 << 24)

typedef struct PfRanking PfRanking;

/* Room for that many scores, 16 bytes each. Free with pf_ranking_free. */
int pf_ranking_new(int64_t capacity, PfRanking **out, PfError *err);
void pf_ranking_free(PfRanking **ranking);

/* Clear, put every row, sort; then ask. row: as auc_influence is told, or 0. */
void pf_ranking_clear(PfRanking *ranking);
void pf_ranking_put(PfRanking *ranking, float score, int32_t row, bool positive);
void pf_ranking_sort(PfRanking *ranking);

/* The score of a rank, 0 = the lowest. */
float pf_ranking_score(const PfRanking *ranking, int64_t rank);

/* Area under the ROC curve: the share of pairs of a positive and a negative row in
 * which the positive has the higher score, equal ones counting half (Mann, Whitney
 * 1947). Exact. NaN without a positive or without a negative. */
double pf_ranking_auc(const PfRanking *ranking);

/* Adds each row's influence on that AUC to influence[row] (pf_influence_standard_error
 * then gives DeLong's error: DeLong, DeLong, Clarke-Pearson, Biometrics 44 (1988) 837).
 * NaN where there is only one positive or one negative. */
void pf_ranking_auc_influence(const PfRanking *ranking, double auc, double *influence);

/* sum over thresholds of (recall - recall of the next higher one) * precision, as
 * scikit-learn's average_precision_score. NaN without a positive. */
double pf_ranking_average_precision(const PfRanking *ranking);

/* ---- several classes: the mean of each against the rest ---- */

typedef struct PfOneVsRest {
    const PfColumns *scores; /* (count, classes); of two classes one column, of class 1 */
    const int32_t *labels;   /* (count) */
    int64_t count;
    int classes;
} PfOneVsRest;

/* Over the classes that have rows and are not all rows, as scikit-learn's
 * roc_auc_score(multi_class="ovr"); of two classes that of class 1. NaN where there is
 * none. Interval: DeLong's for the mean, on the log odds (asymptotic); none where a class
 * has a single row. Classes are ranked by several threads (0 = all processors) and added
 * up in order. */
int pf_one_vs_rest_auc(const PfOneVsRest *rows, int threads, double *auc, PfInterval *interval,
                       PfError *err);

#endif
