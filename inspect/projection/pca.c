#include "inspect/projection/pca.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/random.h"
#include "train/kernels/gemm.h"

/* More directions than are wanted: the iteration converges as the ratio of the first eigenvalue
 * that it does not carry to the last one that is wanted. */
#define SPARE_DIRECTIONS 12
#define MAX_ITERATIONS 200
#define MAX_SWEEPS 60
/* Rows that are centred at a time. */
#define BLOCK_ROWS ((int64_t)4096)
/* Of the residual of an eigenvector, relative to the largest eigenvalue. */
#define TOLERANCE 3e-7

typedef struct Work {
    const float *x;
    int64_t rows, columns;
    int64_t width; /* directions that are carried */
    PfThreadPool *pool;
    double *mean;      /* (columns) */
    float *block;      /* (BLOCK_ROWS, columns) centred rows */
    double *sum;       /* (columns, columns) */
    float *covariance; /* (columns, columns) */
    float *directions; /* (columns, width) orthonormal columns */
    float *images;     /* (columns, width) the covariance times these */
    double *small;     /* (width, width) */
    double *rotation;  /* (width, width) eigenvectors of small, in columns */
    double *values;    /* (width) its eigenvalues, descending */
    double *next;      /* (columns, width) */
    double total;      /* sum of the variances */
} Work;

static int work_new(Work *work, PfError *err)
{
    size_t columns = (size_t)work->columns, width = (size_t)work->width;
    size_t block = (size_t)pf_min(work->rows, BLOCK_ROWS);
    return (work->mean = pf_calloc(columns, sizeof(double), err)) &&
                   (work->block = pf_alloc_aligned(block * columns, sizeof(float), err)) &&
                   (work->sum = pf_calloc(columns * columns, sizeof(double), err)) &&
                   (work->covariance = pf_alloc_aligned(columns * columns, sizeof(float), err)) &&
                   (work->directions = pf_alloc_aligned(columns * width, sizeof(float), err)) &&
                   (work->images = pf_alloc_aligned(columns * width, sizeof(float), err)) &&
                   (work->small = pf_calloc(width * width, sizeof(double), err)) &&
                   (work->rotation = pf_calloc(width * width, sizeof(double), err)) &&
                   (work->values = pf_calloc(width, sizeof(double), err)) &&
                   (work->next = pf_calloc(columns * width, sizeof(double), err))
               ? 0
               : -1;
}

static void work_free(Work *work)
{
    free(work->mean);
    free(work->block);
    free(work->sum);
    free(work->covariance);
    free(work->directions);
    free(work->images);
    free(work->small);
    free(work->rotation);
    free(work->values);
    free(work->next);
}

static void find_mean(Work *work)
{
    for (int64_t i = 0; i < work->rows; i++)
        for (int64_t j = 0; j < work->columns; j++) work->mean[j] += work->x[i * work->columns + j];
    for (int64_t j = 0; j < work->columns; j++) work->mean[j] /= (double)work->rows;
}

static int64_t centre_block(Work *work, int64_t first)
{
    int64_t count = pf_min(BLOCK_ROWS, work->rows - first);
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < work->columns; j++)
            work->block[i * work->columns + j] =
                (float)(work->x[(first + i) * work->columns + j] - work->mean[j]);
    return count;
}

/* Scaled so that the variances sum up to 1: no square of a float is then lost. */
static void find_covariance(Work *work)
{
    int64_t columns = work->columns;
    for (int64_t first = 0; first < work->rows; first += BLOCK_ROWS) {
        int64_t count = centre_block(work, first);
        PfGemm product = {.m = columns,
                          .n = columns,
                          .k = count,
                          .a = work->block,
                          .lda = columns,
                          .b = work->block,
                          .ldb = columns};
        pf_gemm_tn_sum(&product, work->sum, work->pool);
    }
    for (int64_t j = 0; j < columns; j++) work->total += work->sum[j * columns + j];
    double scale = work->total > 0 ? 1 / work->total : 0;
    for (int64_t i = 0; i < columns * columns; i++)
        work->covariance[i] = (float)(work->sum[i] * scale);
}

/* Gram-Schmidt, twice, of the columns of next; a column that vanishes becomes a unit vector. */
static void orthonormalize(Work *work)
{
    int64_t columns = work->columns, width = work->width;
    double *q = work->next;
    for (int64_t c = 0; c < width; c++) {
        double length = 0;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t b = 0; b < c; b++) {
                double dot = 0;
                for (int64_t j = 0; j < columns; j++) dot += q[j * width + b] * q[j * width + c];
                for (int64_t j = 0; j < columns; j++) q[j * width + c] -= dot * q[j * width + b];
            }
        for (int64_t j = 0; j < columns; j++) length += q[j * width + c] * q[j * width + c];
        double scale = length > 1e-60 ? 1 / sqrt(length) : 0;
        for (int64_t j = 0; j < columns; j++) q[j * width + c] *= scale;
    }
    for (int64_t i = 0; i < columns * width; i++) work->directions[i] = (float)q[i];
}

/* One rotation of Jacobi's method, which makes a[p][q] zero. */
static void rotate(double *a, double *v, int64_t n, int64_t p, int64_t q)
{
    double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
    double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    for (int64_t k = 0; k < n; k++) {
        double kp = a[k * n + p], kq = a[k * n + q];
        a[k * n + p] = c * kp - s * kq;
        a[k * n + q] = s * kp + c * kq;
    }
    for (int64_t k = 0; k < n; k++) {
        double pk = a[p * n + k], qk = a[q * n + k];
        a[p * n + k] = c * pk - s * qk;
        a[q * n + k] = s * pk + c * qk;
    }
    for (int64_t k = 0; k < n; k++) {
        double kp = v[k * n + p], kq = v[k * n + q];
        v[k * n + p] = c * kp - s * kq;
        v[k * n + q] = s * kp + c * kq;
    }
}

/* Eigenvalues of the symmetric matrix small, descending, and its eigenvectors: cyclic Jacobi. */
static void solve_small(Work *work)
{
    int64_t n = work->width;
    double *a = work->small, *v = work->rotation;
    for (int64_t i = 0; i < n * n; i++) v[i] = i / n == i % n;
    for (int sweep = 0; sweep < MAX_SWEEPS; sweep++) {
        bool is_done = true;
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++) {
                if (fabs(a[p * n + q]) <= 1e-17) continue;
                is_done = false;
                rotate(a, v, n, p, q);
            }
        if (is_done) break;
    }
    for (int64_t i = 0; i < n; i++) { /* the largest of those that are left comes next */
        int64_t best = i;
        for (int64_t j = i + 1; j < n; j++)
            if (a[j * n + j] > a[best * n + best]) best = j;
        work->values[i] = a[best * n + best];
        a[best * n + best] = a[i * n + i];
        for (int64_t k = 0; k < n && best != i; k++) {
            double swapped = v[k * n + i];
            v[k * n + i] = v[k * n + best];
            v[k * n + best] = swapped;
        }
    }
}

/* Ritz values and vectors of the directions; the vectors' images by the covariance become the next
 * directions. Returns the largest residual of the wanted ones. */
static double iterate(Work *work, int wanted)
{
    int64_t columns = work->columns, width = work->width;
    PfGemm product = {.m = columns,
                      .n = width,
                      .k = columns,
                      .a = work->covariance,
                      .lda = columns,
                      .b = work->directions,
                      .ldb = width,
                      .c = work->images,
                      .ldc = width};
    double worst = 0;
    pf_gemm_nn(&product, work->pool);
    memset(work->small, 0, (size_t)(width * width) * sizeof *work->small);
    for (int64_t j = 0; j < columns; j++)
        for (int64_t p = 0; p < width; p++)
            for (int64_t q = 0; q < width; q++)
                work->small[p * width + q] +=
                    (double)work->directions[j * width + p] * work->images[j * width + q];
    for (int64_t p = 0; p < width; p++) /* rounding leaves it a little askew */
        for (int64_t q = 0; q < p; q++)
            work->small[p * width + q] = work->small[q * width + p] =
                0.5 * (work->small[p * width + q] + work->small[q * width + p]);
    solve_small(work);
    for (int64_t c = 0; c < width; c++) {
        double residual = 0;
        for (int64_t j = 0; j < columns; j++) {
            double image = 0, vector = 0;
            for (int64_t p = 0; p < width; p++) {
                image += work->images[j * width + p] * work->rotation[p * width + c];
                vector += work->directions[j * width + p] * work->rotation[p * width + c];
            }
            double difference = image - work->values[c] * vector;
            residual += difference * difference;
            work->next[j * width + c] = image;
        }
        if (c < wanted && residual > worst) worst = residual;
    }
    return sqrt(worst);
}

static void find_directions(Work *work, int wanted)
{
    PfRandom random = pf_random_seeded(0, 0);
    for (int64_t i = 0; i < work->columns * work->width; i++)
        work->next[i] = pf_random_normal(&random);
    orthonormalize(work);
    for (int i = 0; i < MAX_ITERATIONS; i++) {
        double residual = iterate(work, wanted);
        orthonormalize(work);
        if (residual <= TOLERANCE * fmax(work->values[0], 1e-30)) break;
    }
}

static void choose_signs(Work *work, int components)
{
    int64_t width = work->width;
    for (int c = 0; c < components; c++) {
        float largest = 0;
        for (int64_t j = 0; j < work->columns; j++) {
            float value = work->directions[j * width + c];
            if (fabsf(value) > fabsf(largest)) largest = value;
        }
        for (int64_t j = 0; j < work->columns && largest < 0; j++)
            work->directions[j * width + c] = -work->directions[j * width + c];
    }
}

static void find_scores(Work *work, PfPca *out)
{
    for (int64_t first = 0; first < work->rows; first += BLOCK_ROWS) {
        int64_t count = centre_block(work, first);
        PfGemm product = {.m = count,
                          .n = out->components,
                          .k = work->columns,
                          .a = work->block,
                          .lda = work->columns,
                          .b = work->directions,
                          .ldb = work->width,
                          .c = out->scores + first * out->components,
                          .ldc = out->components};
        pf_gemm_nn(&product, work->pool);
    }
}

int pf_pca_run(const float *x, int64_t rows, int64_t columns, int components, PfThreadPool *pool,
               PfPca *out, PfError *err)
{
    Work work = {.x = x, .rows = rows, .columns = columns, .pool = pool};
    *out = (PfPca){.components = (int)pf_min(components, columns)};
    work.width = pf_min(columns, components + SPARE_DIRECTIONS);
    size_t count = (size_t)out->components;
    out->scores = pf_alloc_aligned((size_t)rows * count, sizeof(float), err);
    out->explained = out->scores ? pf_calloc(count, sizeof(double), err) : NULL;
    int failed = !out->explained || work_new(&work, err);
    if (!failed) {
        find_mean(&work);
        find_covariance(&work);
        find_directions(&work, out->components);
        choose_signs(&work, out->components);
        find_scores(&work, out);
        for (int c = 0; c < out->components; c++) out->explained[c] = fmax(work.values[c], 0);
    }
    work_free(&work);
    return failed;
}

void pf_pca_free(PfPca *pca)
{
    free(pca->scores);
    free(pca->explained);
    *pca = (PfPca){0};
}
