/* How far predicted numbers are from the true ones.
 *
 * Rows are added in blocks, in order; what comes out does not depend on the size of
 * the blocks. Memory: 8 bytes a value, as medians need them all. */
#ifndef PF_TRAIN_METRICS_REGRESSION_H
#define PF_TRAIN_METRICS_REGRESSION_H

#include <stdint.h>

#include "permafrost/error.h"
#include "train/metrics/metrics.h"

/* A number that cannot be had is NaN. */
typedef struct PfRegressionScores {
    int64_t count;           /* known values */
    double mae;              /* mean absolute error. Interval: normal */
    double rmse;             /* root of the mean squared error. Linearised */
    double r2;               /* 1 - squared errors / squared distances to the mean (coefficient of
                                determination); NaN where all true values are the same. Linearised */
    double median_abs_error; /* Exact, by order statistics */
    PfInterval mae_interval, rmse_interval, r2_interval, median_abs_error_interval;
} PfRegressionScores;

typedef struct PfRegressionMetrics {
    int64_t rows;               /* with a known value */
    int columns;                /* targets */
    PfRegressionScores *column; /* (columns) owned */
    PfRegressionScores overall; /* means over the columns that have the number, as scikit-learn's
                                   uniform_average; count is the sum. The median error has an
                                   interval with one column only */
} PfRegressionMetrics;

/* Of PfRegressionScores. */
extern const PfMetricField pf_regression_fields[];

typedef struct PfRegressionMeter PfRegressionMeter;

/* Free with pf_regression_meter_free. */
int pf_regression_meter_new(int columns, PfRegressionMeter **out, PfError *err);
void pf_regression_meter_free(PfRegressionMeter **meter);

/* predictions, targets: (n, columns), rows `stride` and `target_stride` apart. NaN in
 * targets: not known, left out. */
int pf_regression_meter_add(PfRegressionMeter *meter, int64_t n, const float *predictions,
                            int64_t stride, const float *targets, int64_t target_stride,
                            PfError *err);

/* The metrics of the rows so far. Free with pf_regression_metrics_free. */
int pf_regression_meter_finish(const PfRegressionMeter *meter, PfRegressionMetrics *out,
                               PfError *err);
void pf_regression_metrics_free(PfRegressionMetrics *metrics);

#endif
