/* Rows of features in other, orthogonal axes, in which heads of many weight decays are found fast.
 *
 * A linear head with decay of |W|^2 does not change when features are rotated. In axes in which the
 * matrix of the rows' second moments is tridiagonal (Householder: Golub and Van Loan, Matrix
 * Computations, 4th ed., 8.3.1), (moments + any decay) is solved in time proportional to the number
 * of axes: a first guess of the curvature for all decays at once. Of fewer rows than features there
 * are as many axes as rows: they span all that the rows can say.
 *
 * The mean of the rows is taken off, as biases are free. */
#ifndef PF_TRAIN_FIT_ROW_AXES_H
#define PF_TRAIN_FIT_ROW_AXES_H

#include <stdbool.h>

#include "train/fit/head_batch.h"

/* More axes than this take too long to find. */
#define PF_ROW_AXES_MAX 1536

typedef struct PfRowAxes {
    int64_t rows, features, axes; /* axes: the smaller of the two */
    bool is_of_rows;              /* fewer rows than features */
    float *z;                     /* (rows, axes) the rows, without their mean */
    double *diagonal, *beside;    /* (axes), (axes - 1): means of the products of z's columns */
    float *mean;                  /* (features) */
    double *basis;                /* (n, axes), n = axes: the rotation */
    double *across, *below;       /* is_of_rows: (axes), (axes - 1) of the rows' products, rotated;
                                     else NULL */
    double *root, *root_below;    /* is_of_rows: its Cholesky factor, likewise */
} PfRowAxes;

/* Whether so many rows of so many features are rotated at all. */
bool pf_row_axes_fits(int64_t rows, int64_t features);
/* What their z takes. */
int64_t pf_row_axes_bytes(int64_t rows, int64_t features);

/* Of the data's train rows. The same for any number of threads. Free with pf_row_axes_free. */
int pf_row_axes_new(const PfTrainingData *data, PfThreadPool *pool, PfRowAxes **out, PfError *err);
void pf_row_axes_free(PfRowAxes **axes);

/* A head on z, (axes + 1, width) weights and then biases, as one on the features, (features + 1,
 * width). data: as in new. Within rounding; of fewer rows than features what the rows do not tell
 * apart is left out. */
int pf_row_axes_to_features(const PfRowAxes *axes, const PfTrainingData *data, const double *head,
                            int64_t width, float *out, PfError *err);

/* ---- tridiagonal matrices ---- */

/* a: (n, n) symmetric, destroyed -> q^T a q tridiagonal, q (n, n) orthogonal. */
int pf_tridiagonalise(double *a, int64_t n, PfThreadPool *pool, double *diagonal, double *beside,
                      double *q, PfError *err);

/* L D L^T of scale * tridiagonal + shift: pivots (n), factors (n - 1). Pivots that rounding made
 * too small become `least`. */
void pf_tridiagonal_factorise(const double *diagonal, const double *beside, int64_t n, double scale,
                              double shift, double least, double *pivots, double *factors);
/* Solves for columns [0, width) of b, rows `stride` apart, in place. */
void pf_tridiagonal_solve(const double *pivots, const double *factors, int64_t n, double *b,
                          int64_t stride, int64_t width);

#endif
