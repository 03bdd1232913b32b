#include "train/fit/curvature.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "train/kernels/gemm.h"

/* More features than this, or bytes of all tasks' matrices, and only diagonals are kept. */
#define MOST_DENSE 1024
#define MOST_BYTES ((int64_t)128 << 20)
/* Rows that the moments are measured on, for every feature, and at most: a guess needs no more. */
#define SAMPLE_ROWS_PER_FEATURE 16
#define SAMPLE_ROWS 16384
#define LEAST_SAMPLE_ROWS 4096
/* What is added to the diagonal, of the average one, as directions without any variance have no
 * finite inverse. */
#define DENSE_FLOOR 1e-7
#define DIAGONAL_FLOOR 1e-4

struct PfCurvature {
    const PfTrainingData *data;
    int64_t size, outputs; /* features + 1; of all tasks */
    bool is_dense;
    double *moments;  /* (size, size), or (size) the diagonal: means of products of features */
    double **factors; /* (tasks) dense: U of U^T U = a task's guess, (size, size) upper; else the
                         inverse diagonal (size) */
};

/* ---- moments ---- */

/* Evenly spread over the train rows. */
static int choose_rows(const PfTrainingData *data, int32_t **rows, int64_t *count, PfError *err)
{
    int64_t wanted = SAMPLE_ROWS_PER_FEATURE * data->features;
    wanted = wanted < LEAST_SAMPLE_ROWS ? LEAST_SAMPLE_ROWS
             : wanted > SAMPLE_ROWS     ? SAMPLE_ROWS
                                        : wanted;
    *count = data->train_count < wanted ? data->train_count : wanted;
    *rows = pf_calloc((size_t)*count, sizeof **rows, err);
    if (!*rows) return -1;
    for (int64_t i = 0; i < *count; i++)
        (*rows)[i] = data->train_rows[i * data->train_count / *count];
    return 0;
}

static void add_batch(PfCurvature *curvature, const PfRowBatch *batch, double *products,
                      PfThreadPool *pool)
{
    int64_t d = curvature->size - 1;
    if (curvature->is_dense)
        pf_gemm_tn_sum(
            &(PfGemm){
                .m = d, .n = d, .k = batch->n, .a = batch->x, .lda = d, .b = batch->x, .ldb = d},
            products, pool);
    for (int64_t i = 0; i < batch->n; i++)
        for (int64_t j = 0; j < d; j++) {
            double value = (double)batch->x[i * d + j];
            if (curvature->is_dense)
                curvature->moments[d * curvature->size + j] += value;
            else
                curvature->moments[j] += value * value;
        }
}

/* Sums become means; the bias is a feature that is always 1. */
static void finish_moments(PfCurvature *curvature, const double *products, int64_t rows)
{
    int64_t size = curvature->size, d = size - 1;
    double *moments = curvature->moments;
    if (!curvature->is_dense) {
        for (int64_t j = 0; j < d; j++) moments[j] /= (double)rows;
        moments[d] = 1;
        return;
    }
    for (int64_t j = 0; j < d; j++) {
        for (int64_t k = 0; k < d; k++) moments[j * size + k] = products[j * d + k] / (double)rows;
        moments[d * size + j] /= (double)rows;
        moments[j * size + d] = moments[d * size + j];
    }
    moments[d * size + d] = 1;
}

static int measure(PfCurvature *curvature, PfThreadPool *pool, PfError *err)
{
    PfBatchLoader *loader = curvature->data->loader;
    int64_t d = curvature->size - 1, count;
    int32_t *rows;
    PfRowBatch batch;
    if (choose_rows(curvature->data, &rows, &count, err)) return -1;
    double *products = pf_calloc(curvature->is_dense ? (size_t)(d * d) : 1, sizeof *products, err);
    int failed =
        !products || loader->start(loader->context, rows, count, NULL, PF_GEMM_SUM_ROWS, err);
    while (!failed) {
        failed = loader->next(loader->context, &batch, err);
        if (failed || !batch.n) break;
        add_batch(curvature, &batch, products, pool);
    }
    if (!failed) finish_moments(curvature, products, count);
    free(products);
    free(rows);
    return failed ? -1 : 0;
}

/* ---- a task's guess ---- */

/* a: (n, n) symmetric -> U, upper, of U^T U = a. */
static void factorise(double *a, int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        double *row = a + k * n;
        double pivot = 1 / sqrt(fmax(row[k], 1e-300));
        for (int64_t j = k; j < n; j++) row[j] *= pivot;
        for (int64_t i = k + 1; i < n; i++) {
            double *restrict below = a + i * n;
            const double factor = row[i];
            for (int64_t j = i; j < n; j++) below[j] -= factor * row[j];
        }
    }
}

static double average_moment(const PfCurvature *curvature)
{
    int64_t d = curvature->size - 1, step = curvature->is_dense ? curvature->size + 1 : 1;
    double sum = 0;
    for (int64_t j = 0; j < d; j++) sum += curvature->moments[j * step];
    return sum / (double)d;
}

static void guess_dense(const PfCurvature *curvature, double loss, double decay, double *factor)
{
    int64_t size = curvature->size;
    double floor = DENSE_FLOOR * loss * average_moment(curvature) + 1e-12;
    for (int64_t i = 0; i < size * size; i++) factor[i] = loss * curvature->moments[i];
    for (int64_t j = 0; j < size; j++)
        factor[j * size + j] += floor + (j < size - 1 ? decay : 0); /* biases do not decay */
    factorise(factor, size);
}

static void guess_diagonal(const PfCurvature *curvature, double loss, double decay, double *inverse)
{
    double floor = DIAGONAL_FLOOR * average_moment(curvature);
    for (int64_t j = 0; j < curvature->size; j++) {
        double square = fmax(curvature->moments[j], floor);
        inverse[j] = 1 / (square * loss + (j < curvature->size - 1 ? decay : 0) + 1e-12);
    }
}

static int guess(PfCurvature *curvature, const double *decays, PfError *err)
{
    const PfTrainingData *data = curvature->data;
    size_t count = (size_t)curvature->size * (curvature->is_dense ? (size_t)curvature->size : 1);
    for (int t = 0; t < data->task_count; t++) {
        double loss =
            data->tasks[t].weight * pf_loss(data->tasks[t].loss)->curvature(data->tasks[t].outputs);
        curvature->factors[t] = pf_calloc(count, sizeof(double), err);
        if (!curvature->factors[t]) return -1;
        if (curvature->is_dense)
            guess_dense(curvature, loss, decays[t], curvature->factors[t]);
        else
            guess_diagonal(curvature, loss, decays[t], curvature->factors[t]);
    }
    return 0;
}

/* ---- from new to free ---- */

static int set_up(PfCurvature *curvature, const double *decays, PfThreadPool *pool, PfError *err)
{
    const PfTrainingData *data = curvature->data;
    int64_t size = curvature->size;
    curvature->outputs = pf_task_outputs(data->tasks, data->task_count);
    curvature->is_dense =
        data->features <= MOST_DENSE &&
        size * size * (data->task_count + 2) * (int64_t)sizeof(double) <= MOST_BYTES;
    curvature->factors = pf_calloc((size_t)data->task_count, sizeof *curvature->factors, err);
    curvature->moments =
        pf_calloc((size_t)(curvature->is_dense ? size * size : size), sizeof(double), err);
    if (!curvature->factors || !curvature->moments || measure(curvature, pool, err)) return -1;
    return guess(curvature, decays, err);
}

int pf_curvature_new(const PfTrainingData *data, const double *decays, PfThreadPool *pool,
                     PfCurvature **out, PfError *err)
{
    PfCurvature *curvature = pf_calloc(1, sizeof *curvature, err);
    if (!curvature) return -1;
    curvature->data = data;
    curvature->size = data->features + 1;
    if (set_up(curvature, decays, pool, err)) {
        pf_curvature_free(&curvature);
        return -1;
    }
    free(curvature->moments);
    curvature->moments = NULL;
    *out = curvature;
    return 0;
}

void pf_curvature_free(PfCurvature **curvature)
{
    if (!*curvature) return;
    for (int t = 0; (*curvature)->factors && t < (*curvature)->data->task_count; t++)
        free((*curvature)->factors[t]);
    free((*curvature)->factors);
    free((*curvature)->moments);
    free(*curvature);
    *curvature = NULL;
}

/* ---- applying it ---- */

/* to -= factor * from, over `width` columns */
static void subtract(double *restrict to, const double *restrict from, double factor, int width)
{
    for (int c = 0; c < width; c++) to[c] -= factor * from[c];
}

static void divide(double *a, double by, int width)
{
    for (int c = 0; c < width; c++) a[c] /= by;
}

/* U^T U x = b, in place; columns [0, width) of rows `stride` apart. */
static void solve(const double *upper, int64_t n, double *b, int64_t stride, int width)
{
    for (int64_t i = 0; i < n; i++) {
        const double *row = upper + i * n;
        divide(b + i * stride, row[i], width);
        for (int64_t k = i + 1; k < n; k++) subtract(b + k * stride, b + i * stride, row[k], width);
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        const double *row = upper + i * n;
        for (int64_t k = i + 1; k < n; k++) subtract(b + i * stride, b + k * stride, row[k], width);
        divide(b + i * stride, row[i], width);
    }
}

void pf_curvature_apply_inverse(void *context, double *a)
{
    const PfCurvature *curvature = context;
    const PfTrainingData *data = curvature->data;
    int64_t offset = 0;
    for (int t = 0; t < data->task_count; offset += data->tasks[t++].outputs) {
        const double *factor = curvature->factors[t];
        int width = data->tasks[t].outputs;
        if (curvature->is_dense) {
            solve(factor, curvature->size, a + offset, curvature->outputs, width);
            continue;
        }
        for (int64_t j = 0; j < curvature->size; j++)
            for (int c = 0; c < width; c++) a[j * curvature->outputs + offset + c] *= factor[j];
    }
}
