/* What a classifier got right and wrong. */
#ifndef PF_METRICS_H
#define PF_METRICS_H

#include <stdint.h>

#include "permafrost/error.h"

/* With more classes no confusion matrix is made. */
#define PF_CONFUSION_MAX_CLASSES 100

/* Quotients whose denominator is 0 are 0, as scikit-learn's zero_division=0. */
typedef struct PfClassMetrics {
    int64_t support;   /* rows of this class */
    int64_t predicted; /* rows taken for it */
    int64_t correct;   /* both */
    double precision, recall, f1;
} PfClassMetrics;

typedef struct PfMetrics {
    int64_t count; /* rows; 0: everything else is 0 or NULL */
    double loss, accuracy;
    double macro_precision, macro_recall,
        macro_f1; /* means over classes with support or predictions */
    int class_count;
    PfClassMetrics *classes; /* (class_count) owned */
    int64_t *confusion;      /* (class_count, class_count) row = true, column = predicted; owned;
                                NULL with more than PF_CONFUSION_MAX_CLASSES */
} PfMetrics;

/* labels by row, predictions (count) in the order of rows. loss: mean, taken as
 * it is. Free with pf_metrics_free. */
int pf_metrics_compute(const int32_t *labels, const int32_t *rows, const int32_t *predictions,
                       int64_t count, int class_count, double loss, PfMetrics *out, PfError *err);
void pf_metrics_free(PfMetrics *metrics);

#endif
