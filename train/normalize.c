#include "normalize.h"

#include <math.h>
#include <stdlib.h>

#include "memory.h"
#include "parallel.h"

/* Work is divided into this many blocks of rows whatever the number of threads,
 * so that sums come out the same. */
#define BLOCKS 64

/* Rows [*first, *first + n) of `rows` that belong to a block; returns n. */
static int64_t block_range(int64_t rows, int64_t block, int64_t *first)
{
    *first = rows * block / BLOCKS;
    return rows * (block + 1) / BLOCKS - *first;
}

typedef struct Moments {
    const PfFeatureTable *table;
    double *sums; /* (BLOCKS, 2, features): of values, of squares */
} Moments;

static void sum_block(void *context, int64_t block)
{
    const Moments *moments = context;
    const PfFeatureTable *table = moments->table;
    const int32_t *rows = table->split_rows[PF_SPLIT_TRAIN];
    int64_t d = table->features;
    int64_t first, n = block_range(table->split_counts[PF_SPLIT_TRAIN], block, &first);
    double *restrict sum = moments->sums + block * 2 * d, *restrict squares = sum + d;
    for (int64_t i = first; i < first + n; i++) {
        const float *x = table->x + rows[i] * d;
        for (int64_t j = 0; j < d; j++) {
            double value = (double)x[j];
            sum[j] += value;
            squares[j] += value * value;
        }
    }
}

/* sums: (BLOCKS, 2, features) -> block 0's as mean and variance. */
static void finish_moments(double *sums, int64_t d, int64_t count)
{
    for (int64_t block = 1; block < BLOCKS; block++)
        for (int64_t j = 0; j < 2 * d; j++) sums[j] += sums[block * 2 * d + j];
    for (int64_t j = 0; j < d; j++) {
        double mean = sums[j] / (double)count;
        double variance = sums[d + j] / (double)count - mean * mean;
        sums[j] = mean;
        sums[d + j] = variance > 0 ? variance : 0;
    }
}

static int measure(const PfFeatureTable *table, int threads, float *mean, float *scale,
                   PfError *err)
{
    int64_t d = table->features;
    Moments moments = {table, pf_calloc((size_t)(BLOCKS * 2 * d), sizeof(double), err)};
    if (!moments.sums) return -1;
    pf_parallel_for(BLOCKS, threads, sum_block, &moments);
    finish_moments(moments.sums, d, table->split_counts[PF_SPLIT_TRAIN]);
    const double *variance = moments.sums + d;
    double average = 0;
    for (int64_t j = 0; j < d; j++) average += variance[j] / (double)d;
    for (int64_t j = 0; j < d; j++) {
        double floored = fmax(variance[j], 1e-6 * average);
        mean[j] = (float)moments.sums[j];
        scale[j] = floored > 0 ? (float)(1.0 / sqrt(floored)) : 1.0f;
    }
    free(moments.sums);
    return 0;
}

typedef struct Rescaling {
    PfFeatureTable *table;
    const float *mean, *scale;
} Rescaling;

static void standardize_block(void *context, int64_t block)
{
    const Rescaling *rescaling = context;
    int64_t d = rescaling->table->features;
    const float *restrict mean = rescaling->mean, *restrict scale = rescaling->scale;
    int64_t first, n = block_range(rescaling->table->rows, block, &first);
    for (int64_t i = first; i < first + n; i++) {
        float *restrict x = rescaling->table->x + i * d;
        for (int64_t j = 0; j < d; j++) x[j] = (x[j] - mean[j]) * scale[j];
    }
}

static void l2_block(void *context, int64_t block)
{
    PfFeatureTable *table = context;
    int64_t first, n = block_range(table->rows, block, &first);
    for (int64_t i = first; i < first + n; i++) {
        float *x = table->x + i * table->features;
        double squares = 0;
        for (int64_t j = 0; j < table->features; j++) squares += (double)x[j] * (double)x[j];
        float factor = squares > 0 ? (float)(1.0 / sqrt(squares)) : 1.0f;
        for (int64_t j = 0; j < table->features; j++) x[j] *= factor;
    }
}

int pf_normalize(PfFeatureTable *table, PfNormalize kind, int threads, float *mean, float *scale,
                 PfError *err)
{
    if (kind == PF_NORMALIZE_L2) pf_parallel_for(BLOCKS, threads, l2_block, table);
    if (kind != PF_NORMALIZE_STANDARDIZE) return 0;
    if (measure(table, threads, mean, scale, err)) return -1;
    Rescaling rescaling = {table, mean, scale};
    pf_parallel_for(BLOCKS, threads, standardize_block, &rescaling);
    return 0;
}
