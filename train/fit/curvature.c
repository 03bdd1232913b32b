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
/* Rows times this are at most as many as the features where they count as few. */
#define FEWER 2
/* Rows that the moments are measured on, for every feature, and at most: a guess needs no more. */
#define SAMPLE_ROWS_PER_FEATURE 16
#define SAMPLE_ROWS 16384
#define LEAST_SAMPLE_ROWS 4096
/* What is added to the diagonal, of the average one, as directions without any variance have no
 * finite inverse. */
#define DENSE_FLOOR 1e-7
#define DIAGONAL_FLOOR 1e-4

/* How a guess is inverted. */
typedef enum Form {
    DENSE,
    FEW_ROWS, /* much fewer than features: by Woodbury's identity, in as many dimensions as rows */
    DIAGONAL,
} Form;

/* Of a task with few rows: its guess is scale * X^T X + D, D the diagonal of these inverses. */
typedef struct FewRows {
    double scale, inverse_weight, inverse_bias;
} FewRows;

struct PfCurvature {
    const PfTrainingData *data;
    int64_t size, outputs; /* features + 1; of all tasks */
    Form form;
    double *moments; /* (size, size), or (size) the diagonal: means of products of features */
    double *
        *factors; /* (tasks) dense: U of U^T U = a task's guess, (size, size) upper; few rows:
                     of 1 + scale * X D^-1 X^T, (rows, rows); else the inverse diagonal (size) */
    /* Few rows: */
    int64_t rows;   /* that x has room for; all that are trained on */
    double *x;      /* (rows, size) the last feature is 1 */
    FewRows *few;   /* (tasks) */
    double *scaled; /* (outputs, size) D^-1 of what is multiplied */
    double *inner;  /* (rows, outputs) */
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

/* first: of the batch's rows, among all. */
static void keep_batch(PfCurvature *curvature, const PfRowBatch *batch, int64_t first)
{
    int64_t d = curvature->size - 1;
    for (int64_t i = 0; i < batch->n; i++) {
        double *row = curvature->x + (first + i) * curvature->size;
        for (int64_t j = 0; j < d; j++) {
            row[j] = (double)batch->x[i * d + j];
            curvature->moments[j] += row[j] * row[j];
        }
        row[d] = 1;
    }
}

static void add_batch(PfCurvature *curvature, const PfRowBatch *batch, double *products,
                      PfThreadPool *pool)
{
    int64_t d = curvature->size - 1;
    if (curvature->form == DENSE)
        pf_gemm_tn_sum(
            &(PfGemm){
                .m = d, .n = d, .k = batch->n, .a = batch->x, .lda = d, .b = batch->x, .ldb = d},
            products, pool);
    for (int64_t i = 0; i < batch->n; i++)
        for (int64_t j = 0; j < d; j++) {
            double value = (double)batch->x[i * d + j];
            if (curvature->form == DENSE)
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
    if (curvature->form != DENSE) {
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
    int64_t d = curvature->size - 1, count, kept = 0;
    int32_t *rows;
    PfRowBatch batch;
    if (choose_rows(curvature->data, &rows, &count, err)) return -1;
    double *products =
        pf_calloc(curvature->form == DENSE ? (size_t)(d * d) : 1, sizeof *products, err);
    int failed =
        !products || loader->start(loader->context, rows, count, NULL, PF_GEMM_SUM_ROWS, err);
    while (!failed) {
        failed = loader->next(loader->context, &batch, err);
        if (failed || !batch.n) break;
        if (curvature->form == FEW_ROWS)
            keep_batch(curvature, &batch, kept);
        else
            add_batch(curvature, &batch, products, pool);
        kept += batch.n;
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
    int64_t d = curvature->size - 1, step = curvature->form == DENSE ? curvature->size + 1 : 1;
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

/* In an order of its own, which lets compilers add several at once. */
static double dot(const double *a, const double *b, int64_t n)
{
    double sums[8] = {0};
    int64_t j = 0;
    for (; j + 8 <= n; j += 8)
        for (int lane = 0; lane < 8; lane++) sums[lane] += a[j + lane] * b[j + lane];
    for (; j < n; j++) sums[0] += a[j] * b[j];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

static void guess_few(PfCurvature *curvature, double loss, double decay, FewRows *few,
                      double *factor)
{
    int64_t size = curvature->size, rows = curvature->rows, d = size - 1;
    double floor = DENSE_FLOOR * loss * average_moment(curvature) + 1e-12;
    *few = (FewRows){loss / (double)rows, 1 / (decay + floor), 1 / floor};
    for (int64_t i = 0; i < rows; i++) {
        const double *row = curvature->x + i * size;
        for (int64_t k = 0; k <= i; k++) {
            double product =
                few->inverse_weight * dot(row, curvature->x + k * size, d) + few->inverse_bias;
            factor[i * rows + k] = factor[k * rows + i] = few->scale * product + (k == i);
        }
    }
    factorise(factor, rows);
}

static void guess_diagonal(const PfCurvature *curvature, double loss, double decay, double *inverse)
{
    double floor = DIAGONAL_FLOOR * average_moment(curvature);
    for (int64_t j = 0; j < curvature->size; j++) {
        double square = fmax(curvature->moments[j], floor);
        inverse[j] = 1 / (square * loss + (j < curvature->size - 1 ? decay : 0) + 1e-12);
    }
}

static int guess(PfCurvature *curvature, double decay, PfError *err)
{
    const PfTrainingData *data = curvature->data;
    size_t size = (size_t)curvature->size, rows = (size_t)curvature->rows;
    size_t count = curvature->form == DENSE      ? size * size
                   : curvature->form == FEW_ROWS ? rows * rows
                                                 : size;
    for (int t = 0; t < data->task_count; t++) {
        double loss =
            data->tasks[t].weight * pf_loss(data->tasks[t].loss)->curvature(data->tasks[t].outputs);
        curvature->factors[t] = pf_calloc(count, sizeof(double), err);
        if (!curvature->factors[t]) return -1;
        if (curvature->form == DENSE)
            guess_dense(curvature, loss, decay, curvature->factors[t]);
        else if (curvature->form == FEW_ROWS)
            guess_few(curvature, loss, decay, &curvature->few[t], curvature->factors[t]);
        else
            guess_diagonal(curvature, loss, decay, curvature->factors[t]);
    }
    return 0;
}

/* ---- from new to free ---- */

static Form choose_form(const PfTrainingData *data, int64_t size)
{
    bool fits = size * size * (data->task_count + 2) * (int64_t)sizeof(double) <= MOST_BYTES;
    if (data->features > MOST_DENSE || !fits) return DIAGONAL;
    return FEWER * data->train_count <= data->features ? FEW_ROWS : DENSE;
}

static int allocate_few(PfCurvature *curvature, PfError *err)
{
    size_t size = (size_t)curvature->size, outputs = (size_t)curvature->outputs;
    curvature->rows = curvature->data->train_count;
    size_t rows = (size_t)curvature->rows;
    curvature->x = pf_calloc(rows * size, sizeof(double), err);
    curvature->few = pf_calloc((size_t)curvature->data->task_count, sizeof(FewRows), err);
    curvature->scaled = pf_calloc(outputs * size, sizeof(double), err);
    curvature->inner = pf_calloc(rows * outputs, sizeof(double), err);
    return curvature->x && curvature->few && curvature->scaled && curvature->inner ? 0 : -1;
}

static int set_up(PfCurvature *curvature, double weight_decay, PfThreadPool *pool, PfError *err)
{
    const PfTrainingData *data = curvature->data;
    int64_t size = curvature->size;
    curvature->outputs = pf_task_outputs(data->tasks, data->task_count);
    curvature->form = choose_form(data, size);
    if (curvature->form == FEW_ROWS && allocate_few(curvature, err)) return -1;
    curvature->factors = pf_calloc((size_t)data->task_count, sizeof *curvature->factors, err);
    curvature->moments =
        pf_calloc((size_t)(curvature->form == DENSE ? size * size : size), sizeof(double), err);
    if (!curvature->factors || !curvature->moments || measure(curvature, pool, err)) return -1;
    return guess(curvature, weight_decay, err);
}

int pf_curvature_new(const PfTrainingData *data, double weight_decay, PfThreadPool *pool,
                     PfCurvature **out, PfError *err)
{
    PfCurvature *curvature = pf_calloc(1, sizeof *curvature, err);
    if (!curvature) return -1;
    curvature->data = data;
    curvature->size = data->features + 1;
    if (set_up(curvature, weight_decay, pool, err)) {
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
    free((*curvature)->x);
    free((*curvature)->few);
    free((*curvature)->scaled);
    free((*curvature)->inner);
    free(*curvature);
    *curvature = NULL;
}

/* ---- applying it ---- */

/* to -= factor * from, over `width` columns */
static void subtract(double *restrict to, const double *restrict from, double factor, int64_t width)
{
    for (int64_t c = 0; c < width; c++) to[c] -= factor * from[c];
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

/* D^-1 a - scale D^-1 X^T (1 + scale X D^-1 X^T)^-1 X D^-1 a of columns [offset, offset + width) */
static void apply_few(const PfCurvature *curvature, int task, int64_t offset, int width, double *a)
{
    const FewRows *few = &curvature->few[task];
    int64_t size = curvature->size, rows = curvature->rows, d = size - 1;
    double *scaled = curvature->scaled, *inner = curvature->inner;
    for (int64_t j = 0; j < size; j++)
        for (int c = 0; c < width; c++)
            scaled[c * size + j] = a[j * curvature->outputs + offset + c] *
                                   (j < d ? few->inverse_weight : few->inverse_bias);
    for (int64_t i = 0; i < rows; i++)
        for (int c = 0; c < width; c++)
            inner[i * width + c] = dot(curvature->x + i * size, scaled + c * size, size);
    solve(curvature->factors[task], rows, inner, width, width);
    for (int64_t i = 0; i < rows; i++) {
        const double *row = curvature->x + i * size;
        for (int c = 0; c < width; c++) {
            double factor = few->scale * inner[i * width + c];
            subtract(scaled + c * size, row, factor * few->inverse_weight, d);
            scaled[c * size + d] -= factor * few->inverse_bias;
        }
    }
    for (int64_t j = 0; j < size; j++)
        for (int c = 0; c < width; c++)
            a[j * curvature->outputs + offset + c] = scaled[c * size + j];
}

void pf_curvature_apply_inverse(void *context, double *a)
{
    const PfCurvature *curvature = context;
    const PfTrainingData *data = curvature->data;
    int64_t offset = 0;
    for (int t = 0; t < data->task_count; offset += data->tasks[t++].outputs) {
        const double *factor = curvature->factors[t];
        int width = data->tasks[t].outputs;
        if (curvature->form == FEW_ROWS) {
            apply_few(curvature, t, offset, width, a);
            continue;
        }
        if (curvature->form == DENSE) {
            solve(factor, curvature->size, a + offset, curvature->outputs, width);
            continue;
        }
        for (int64_t j = 0; j < curvature->size; j++)
            for (int c = 0; c < width; c++) a[j * curvature->outputs + offset + c] *= factor[j];
    }
}
