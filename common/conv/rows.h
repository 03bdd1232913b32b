/* What is done to rows of numbers, as tokens are: norms and softmax. Rows may lie anywhere; where
 * one ends, no more is read, and what fills it up to a multiple of 16 is written as zeros. Every
 * sum has one order, whatever the instruction set. */
#ifndef PF_COMMON_CONV_ROWS_H
#define PF_COMMON_CONV_ROWS_H

#include <stdint.h>

/* y = (x - mean) / sqrt(variance + eps) * weight + bias, of each row; the variance is that of its
 * numbers, divided by how many they are. A row with a NaN becomes NaNs. */
typedef struct PfLayerNorm {
    int64_t rows, channels;
    const float *x;
    int64_t x_row;              /* floats from one row to the next */
    const float *weight, *bias; /* (channels, filled up to a multiple of 16) */
    float eps;
    float *y; /* rows y_row apart; may be x */
    int64_t y_row;
} PfLayerNorm;

/* y = exp(x - largest) / their sum, of each row. A row with a NaN or with infinity becomes NaNs, as
 * torch has it. */
typedef struct PfSoftmax {
    int64_t rows, count;
    const float *x;
    int64_t x_row;
    float *y; /* rows y_row apart; may be x */
    int64_t y_row;
    float *sums; /* (rows): then y is not divided by them; NULL: it is */
} PfSoftmax;

#endif
