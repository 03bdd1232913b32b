/* ROC AUC of several classes: the mean of each against the rest. */
#ifndef PF_METRICS_ONE_VS_REST_H
#define PF_METRICS_ONE_VS_REST_H

#include <stdint.h>

#include "metrics_columns.h"
#include "metrics_interval.h"
#include "permafrost/error.h"

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
