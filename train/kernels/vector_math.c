#include "train/kernels/vector_math.h"

#include "train/kernels/kernels.h"

void pf_exp(const float *x, int64_t count, float *out)
{
    pf_kernels()->exp(x, count, out);
}

void pf_sigmoid(const float *x, int64_t count, float *out)
{
    pf_kernels()->sigmoid(x, count, out);
}

void pf_gelu(const float *x, int64_t count, float *out)
{
    pf_kernels()->gelu(x, count, out);
}

void pf_gelu_slope(const float *x, int64_t count, float *out)
{
    pf_kernels()->gelu_slope(x, count, out);
}

double pf_sum_of_squares(const float *x, int64_t count)
{
    double sums[16] = {0};
    int64_t whole = count / 16;
    pf_column_square_sums(x, whole, 16, 16, sums);
    pf_column_square_sums(x + 16 * whole, 1, count - 16 * whole, 16, sums);
    for (int width = 8; width; width /= 2)
        for (int i = 0; i < width; i++) sums[i] += sums[i + width];
    return sums[0];
}

void pf_column_sums(const float *x, int64_t rows, int64_t columns, int64_t stride, double *sums)
{
    pf_kernels()->column_sums(x, rows, columns, stride, sums);
}

void pf_column_square_sums(const float *x, int64_t rows, int64_t columns, int64_t stride,
                           double *sums)
{
    pf_kernels()->column_square_sums(x, rows, columns, stride, sums);
}
