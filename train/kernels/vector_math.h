/* Functions of many floats at once. The same bits on every processor. */
#ifndef PF_TRAIN_KERNELS_VECTOR_MATH_H
#define PF_TRAIN_KERNELS_VECTOR_MATH_H

#include <stdint.h>

/* out[i] = f(x[i]) for i in [0, count); out may be x. NaN gives NaN. */

/* Within 1.1 ulp; results below 2^-126 are 0. */
void pf_exp(const float *x, int64_t count, float *out);
/* 1 / (1 + exp(-x)), within 3 ulp; results below 2^-126 are 0. */
void pf_sigmoid(const float *x, int64_t count, float *out);
/* GELU as torch's default, x P(x) with P the normal distribution function, within
 * 1.5e-7 max(|x|, P'(x)) of it; and its derivative, within 3e-7. */
void pf_gelu(const float *x, int64_t count, float *out);
void pf_gelu_slope(const float *x, int64_t count, float *out);

/* Sum of x[i]^2 over [0, count): 16 sums in double, of every 16th value each, then
 * sums of two by two. */
double pf_sum_of_squares(const float *x, int64_t count);

/* sums[j] += the sum over rows of x (rows, columns), rows `stride` apart, in
 * ascending order; of its squares. Calls on consecutive rows equal one call. */
void pf_column_sums(const float *x, int64_t rows, int64_t columns, int64_t stride, double *sums);
void pf_column_square_sums(const float *x, int64_t rows, int64_t columns, int64_t stride,
                           double *sums);

#endif
