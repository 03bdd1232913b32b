/* Scores of one class or label, ranked: ROC AUC and average precision. Equal
 * scores share their rank; nothing depends on the order of the rows. */
#ifndef PF_METRICS_RANKING_H
#define PF_METRICS_RANKING_H

#include <stdint.h>

#include "permafrost/error.h"

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
void pf_ranking_put(PfRanking *ranking, float score, int32_t row, int positive);
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

#endif
