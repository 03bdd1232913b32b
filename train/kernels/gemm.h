/* Single-precision matrix products whose every bit is defined.
 *
 * Each element of C is the chain  c = fma(a, b, c)  over k = 0, 1, 2, ... in
 * ascending order, from its initial value (or zero) on: whatever the shapes, the
 * number of threads and the processor. So a column computed alone equals the same
 * column among a thousand, which no BLAS promises. Speed is that of a good BLAS.
 *
 * Matrices are row-major; lda, ldb, ldc are the distances of their rows. C must
 * not overlap A or B. NaNs spread as IEEE 754 says; their payload is left open. */
#ifndef PF_TRAIN_KERNELS_GEMM_H
#define PF_TRAIN_KERNELS_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/thread/thread_pool.h"

typedef struct PfGemm {
    int64_t m, n, k;
    const float *a;
    int64_t lda;
    const float *b;
    int64_t ldb;
    float *c; /* (m, n) */
    int64_t ldc;
    bool accumulate; /* C is added to; else it is overwritten */
} PfGemm;

/* pool: NULL for the calling thread alone, as inside a pool's task. */

/* C = A B (+ C). A: (m, k), B: (k, n). */
void pf_gemm_nn(const PfGemm *product, PfThreadPool *pool);
/* C = A^T B (+ C). A: (k, m), B: (k, n). */
void pf_gemm_tn(const PfGemm *product, PfThreadPool *pool);
/* C = A B^T (+ C). A: (m, k), B: (n, k). */
void pf_gemm_nt(const PfGemm *product, PfThreadPool *pool);

/* Rows of A and B that pf_gemm_tn_sum takes in one chain. */
#define PF_GEMM_SUM_ROWS 256

/* sum += A^T B for k so large that one chain of floats would lose digits: chains
 * of PF_GEMM_SUM_ROWS rows, each from zero, added up as doubles in ascending
 * order. Calls on consecutive blocks of rows, each but the last a multiple of
 * PF_GEMM_SUM_ROWS long, equal one call on all. sum: (m, n), n apart; the
 * product's c, ldc and accumulate are not used. */
void pf_gemm_tn_sum(const PfGemm *product, double *sum, PfThreadPool *pool);

#endif
