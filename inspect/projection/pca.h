/* Principal components of rows. */
#ifndef PF_INSPECT_PROJECTION_PCA_H
#define PF_INSPECT_PROJECTION_PCA_H

#include <stdint.h>

#include "common/thread/thread_pool.h"
#include "permafrost/error.h"

typedef struct PfPca {
    int components;    /* at most what rows and columns allow */
    float *scores;     /* (rows, components) of the centred rows; owned */
    double *explained; /* (components) share of the variance; owned */
} PfPca;

/* What it takes beside x, but for what grows with the columns or the rows alone. */
#define PF_PCA_BYTES(columns) (12 * (double)(columns) * (double)(columns))

/* x: (rows, columns) row-major, finite. The leading eigenvectors of the covariance matrix, by
 * subspace iteration with Rayleigh-Ritz steps (Saad, Numerical Methods for Large Eigenvalue
 * Problems, 2011, ch. 5) until their residuals are at the rounding of float32. The entry of an
 * eigenvector that is largest in magnitude is positive. Memory: PF_PCA_BYTES.
 * Free with pf_pca_free, on failure too. */
int pf_pca_run(const float *x, int64_t rows, int64_t columns, int components, PfThreadPool *pool,
               PfPca *out, PfError *err);
void pf_pca_free(PfPca *pca);

#endif
