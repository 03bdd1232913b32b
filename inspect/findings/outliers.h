/* Images unlike all others: rows whose k-th nearest row is far away.
 *
 * Ramaswamy, Rastogi, Shim, Efficient Algorithms for Mining Outliers from Large Data Sets (2000).
 * Rows are listed from Tukey's outer fence on: three times the distance between the quartiles above
 * the upper one (Exploratory Data Analysis (1977), ch. 2). */
#ifndef PF_INSPECT_FINDINGS_OUTLIERS_H
#define PF_INSPECT_FINDINGS_OUTLIERS_H

#include "inspect/findings/findings.h"
#include "inspect/neighbours/neighbours.h"

/* k: less where there are fewer neighbours or rows. */
int pf_outliers_find(const PfRows *rows, const PfNeighbours *neighbours, int k, PfOutliers *out,
                     PfError *err);

#endif
