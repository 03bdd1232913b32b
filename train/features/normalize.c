#include "train/features/normalize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/thread/parallel.h"

/* Work is divided into this many blocks of rows whatever the number of threads,
 * so that sums come out the same. */
#define BLOCKS 64
/* A variance of less than this part of the mean's square is rounding. */
#define CONSTANT 1e-13

const char *const pf_normalize_names[] = {[PF_NORMALIZE_NONE] = "none",
                                          [PF_NORMALIZE_STANDARDIZE] = "standardize",
                                          [PF_NORMALIZE_L2] = "l2"};

/* Rows [*first, *first + n) of `rows` that belong to a block; returns n. */
static int64_t block_range(int64_t rows, int64_t block, int64_t *first)
{
    *first = rows * block / BLOCKS;
    return rows * (block + 1) / BLOCKS - *first;
}

/* ---- mean and variance ---- */

int pf_moments_new(int64_t rows, int64_t features, PfMoments *out, PfError *err)
{
    *out = (PfMoments){rows, features, NULL};
    out->sums = pf_calloc((size_t)(BLOCKS * 2 * features), sizeof *out->sums, err);
    return out->sums ? 0 : -1;
}

/* The block that block_range puts the row in. */
static int64_t block_of(int64_t rows, int64_t index)
{
    int64_t block = index * BLOCKS / rows;
    while (index >= rows * (block + 1) / BLOCKS) block++;
    return block;
}

void pf_moments_add(PfMoments *moments, int64_t index, const float *x, int64_t first, int64_t end)
{
    int64_t d = moments->features;
    double *restrict sum = moments->sums + block_of(moments->rows, index) * 2 * d;
    double *restrict squares = sum + d;
    for (int64_t j = first; j < end; j++) {
        double value = (double)x[j];
        sum[j] += value;
        squares[j] += value * value;
    }
}

/* sums: (BLOCKS, 2, features) -> block 0's as mean and variance. */
static void add_blocks(double *sums, int64_t d, int64_t count)
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

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* The median of those above 0; 0 where none is. values: (count) is overwritten. */
static double median_above_zero(double *values, int64_t count)
{
    int64_t kept = 0;
    for (int64_t j = 0; j < count; j++)
        if (values[j] > 0) values[kept++] = values[j];
    qsort(values, (size_t)kept, sizeof *values, compare_doubles);
    return kept ? values[kept / 2] : 0;
}

void pf_moments_finish(PfMoments *moments, float *mean, float *scale)
{
    int64_t d = moments->features;
    add_blocks(moments->sums, d, moments->rows);
    const double *variance = moments->sums + d;
    double *sorted = moments->sums + 2 * d; /* where block 1's sums were */
    memcpy(sorted, variance, (size_t)d * sizeof *sorted);
    double usual = median_above_zero(sorted, d);
    for (int64_t j = 0; j < d; j++) {
        double floored = fmax(variance[j], 1e-6 * usual), square = pow(moments->sums[j], 2);
        mean[j] = (float)moments->sums[j];
        /* What is the same in all train rows, but for rounding, says nothing of others. */
        bool varies = variance[j] > CONSTANT * square;
        scale[j] = varies ? (float)(1.0 / sqrt(floored)) : 0.0f;
    }
    free(moments->sums);
    moments->sums = NULL;
}

typedef struct Measuring {
    const PfFeatureTable *table;
    PfMoments moments;
} Measuring;

static void sum_block(void *context, int64_t block)
{
    Measuring *measuring = context;
    const PfFeatureTable *table = measuring->table;
    const int32_t *rows = table->split_rows[PF_SPLIT_TRAIN];
    int64_t first, n = block_range(table->split_counts[PF_SPLIT_TRAIN], block, &first);
    for (int64_t i = first; i < first + n; i++)
        pf_moments_add(&measuring->moments, i, table->x + rows[i] * table->views * table->features,
                       0, table->features);
}

static int measure(const PfFeatureTable *table, int threads, float *mean, float *scale,
                   PfError *err)
{
    Measuring measuring = {.table = table};
    if (pf_moments_new(table->split_counts[PF_SPLIT_TRAIN], table->features, &measuring.moments,
                       err))
        return -1;
    pf_parallel_for(BLOCKS, threads, sum_block, &measuring);
    pf_moments_finish(&measuring.moments, mean, scale);
    return 0;
}

/* ---- rows ---- */

void pf_normalize_standardize_row(float *restrict x, int64_t d, const float *restrict mean,
                                  const float *restrict scale)
{
    for (int64_t j = 0; j < d; j++) x[j] = (x[j] - mean[j]) * scale[j];
}

void pf_normalize_l2_row(float *x, int64_t d)
{
    double squares = 0;
    for (int64_t j = 0; j < d; j++) squares += (double)x[j] * (double)x[j];
    float factor = squares > 0 ? (float)(1.0 / sqrt(squares)) : 1.0f;
    for (int64_t j = 0; j < d; j++) x[j] *= factor;
}

typedef struct Rescaling {
    PfFeatureTable *table;
    const float *mean, *scale;
} Rescaling;

static void standardize_block(void *context, int64_t block)
{
    const Rescaling *rescaling = context;
    int64_t d = rescaling->table->features, views = rescaling->table->views;
    int64_t first, n = block_range(rescaling->table->rows * views, block, &first);
    for (int64_t i = first; i < first + n; i++)
        pf_normalize_standardize_row(rescaling->table->x + i * d, d, rescaling->mean,
                                     rescaling->scale);
}

static void l2_block(void *context, int64_t block)
{
    PfFeatureTable *table = context;
    int64_t first, n = block_range(table->rows * table->views, block, &first);
    for (int64_t i = first; i < first + n; i++)
        pf_normalize_l2_row(table->x + i * table->features, table->features);
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
