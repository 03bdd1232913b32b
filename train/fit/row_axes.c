#include "train/fit/row_axes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "train/kernels/gemm.h"

/* Rows or columns of a matrix that a task of the pool takes. */
#define TASK_ROWS 32
#define TASK_COLUMNS 32
/* Of the largest product, added to every row's own: more than the rounding of float products, which
 * would leave what has no inverse, and less than any decay that is worth trying. */
#define NOISE 1e-6

/* ---- Householder ---- */

/* Of vectors this long or shorter, sums in eight chains that do not depend on the processor. */
static double dot(const double *restrict a, const double *restrict b, int64_t n)
{
    double sums[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++) sums[l] += a[i + l] * b[i + l];
    for (; i < n; i++) sums[0] += a[i] * b[i];
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

typedef struct Reduction {
    double *a, *q;
    int64_t n, k;     /* column that is being reduced */
    double *v, *w;    /* (n) of the step before, from k on; NULL in the first */
    double *next, *p; /* (n) of this step, from k + 1 on; the product of the matrix with it */
    double *tau;      /* (n) */
} Reduction;

/* A row of the trailing matrix: the update of the step before, then the product with the next
 * vector. */
static void reduce_rows(void *context, int64_t index)
{
    const Reduction *r = context;
    int64_t first = r->k + 1 + index * TASK_ROWS, end = first + TASK_ROWS;
    if (end > r->n) end = r->n;
    for (int64_t i = first; i < end; i++) {
        double *restrict row = r->a + i * r->n;
        const double vi = r->v[i], wi = r->w[i];
        for (int64_t j = r->k + 1; j < r->n; j++) row[j] -= vi * r->w[j] + wi * r->v[j];
        r->p[i] = dot(row + r->k + 1, r->next + r->k + 1, r->n - r->k - 1);
    }
}

/* The vector that takes x[0..n) to (beta, 0, 0, ...), in place, its first element 1. Returns tau of
 * I - tau v v^T; *beta. */
static double reflect(double *x, int64_t n, double *beta)
{
    double rest = dot(x + 1, x + 1, n - 1), alpha = x[0];
    *beta = alpha;
    if (!(rest > 0)) {
        memset(x, 0, (size_t)n * sizeof *x);
        x[0] = 1;
        return 0;
    }
    double length = sqrt(alpha * alpha + rest);
    *beta = alpha > 0 ? -length : length;
    double tau = (*beta - alpha) / *beta, inverse = 1 / (alpha - *beta);
    for (int64_t i = 1; i < n; i++) x[i] *= inverse;
    x[0] = 1;
    return tau;
}

/* w of the update A -= v w^T + w v^T. */
static void finish_step(Reduction *r, double tau)
{
    int64_t first = r->k + 1, left = r->n - first;
    double half = 0.5 * tau * tau * dot(r->p + first, r->next + first, left);
    for (int64_t i = first; i < r->n; i++) r->w[i] = tau * r->p[i] - half * r->next[i];
    memcpy(r->v + first, r->next + first, (size_t)left * sizeof *r->v);
}

static void reduce(Reduction *r, PfThreadPool *pool, double *diagonal, double *beside)
{
    int64_t n = r->n;
    for (int64_t k = 0; k < n; k++) {
        double *row = r->a + k * n;
        r->k = k;
        for (int64_t j = k; j < n; j++) row[j] -= r->v[k] * r->w[j] + r->w[k] * r->v[j];
        diagonal[k] = row[k];
        if (k == n - 1) break;
        r->tau[k] = reflect(row + k + 1, n - k - 1, &beside[k]);
        memcpy(r->next + k + 1, row + k + 1, (size_t)(n - k - 1) * sizeof *row);
        int64_t tasks = (n - k - 1 + TASK_ROWS - 1) / TASK_ROWS;
        pf_thread_pool_for(tasks > 4 ? pool : NULL, tasks, reduce_rows, r);
        finish_step(r, r->tau[k]);
    }
}

/* Columns of q = H_0 H_1 ...: from the last reflection to the first. */
static void form_columns(void *context, int64_t index)
{
    const Reduction *r = context;
    int64_t n = r->n, first = index * TASK_COLUMNS, width = n - first;
    double sums[TASK_COLUMNS];
    if (width > TASK_COLUMNS) width = TASK_COLUMNS;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < width; c++) r->q[i * n + first + c] = i == first + c;
    for (int64_t k = n - 2; k >= 0; k--) {
        const double *v = r->a + k * n;
        if (k + 1 > first + width) continue; /* these columns are still zero there */
        memset(sums, 0, sizeof sums);
        for (int64_t i = k + 1; i < n; i++) {
            const double *restrict row = r->q + i * n + first;
            for (int64_t c = 0; c < width; c++) sums[c] += v[i] * row[c];
        }
        for (int64_t i = k + 1; i < n; i++) {
            double *restrict row = r->q + i * n + first;
            const double factor = r->tau[k] * v[i];
            for (int64_t c = 0; c < width; c++) row[c] -= factor * sums[c];
        }
    }
}

int pf_tridiagonalise(double *a, int64_t n, PfThreadPool *pool, double *diagonal, double *beside,
                      double *q, PfError *err)
{
    double *room = pf_calloc(5 * (size_t)n, sizeof *room, err);
    if (!room) return -1;
    Reduction r = {.a = a,
                   .q = q,
                   .n = n,
                   .v = room,
                   .w = room + n,
                   .next = room + 2 * n,
                   .p = room + 3 * n,
                   .tau = room + 4 * n};
    reduce(&r, pool, diagonal, beside);
    pf_thread_pool_for(pool, (n + TASK_COLUMNS - 1) / TASK_COLUMNS, form_columns, &r);
    free(room);
    return 0;
}

/* ---- solving ---- */

void pf_tridiagonal_factorise(const double *diagonal, const double *beside, int64_t n, double scale,
                              double shift, double least, double *pivots, double *factors)
{
    for (int64_t j = 0; j < n; j++) {
        double pivot = scale * diagonal[j] + shift;
        if (j) pivot -= factors[j - 1] * scale * beside[j - 1];
        pivots[j] = fmax(pivot, least);
        /* What rounding left of a pivot that was zero would blow up what is beside it, which was
         * zero, too. */
        if (j + 1 < n) factors[j] = pivot < least ? 0 : scale * beside[j] / pivots[j];
    }
}

void pf_tridiagonal_solve(const double *pivots, const double *factors, int64_t n, double *b,
                          int64_t stride, int64_t width)
{
    for (int64_t j = 1; j < n; j++)
        for (int64_t c = 0; c < width; c++)
            b[j * stride + c] -= factors[j - 1] * b[(j - 1) * stride + c];
    for (int64_t j = 0; j < n; j++)
        for (int64_t c = 0; c < width; c++) b[j * stride + c] /= pivots[j];
    for (int64_t j = n - 2; j >= 0; j--)
        for (int64_t c = 0; c < width; c++)
            b[j * stride + c] -= factors[j] * b[(j + 1) * stride + c];
}

/* ---- the rows' moments ---- */

/* Calls add for each batch of the train rows, less the mean where there is one; first: the batch's
 * place among them. */
static int visit_rows(const PfTrainingData *data, const float *mean, float *centred,
                      void (*add)(void *context, const float *x, int64_t n, int64_t first),
                      void *context, PfError *err)
{
    PfBatchLoader *loader = data->loader;
    PfRowBatch batch;
    int64_t d = data->features, first = 0;
    if (loader->start(loader->context, data->train_rows, data->train_count, NULL, PF_GEMM_SUM_ROWS,
                      err))
        return -1;
    for (;; first += batch.n) {
        if (loader->next(loader->context, &batch, err)) return -1;
        if (!batch.n) return 0;
        for (int64_t i = 0; centred && i < batch.n; i++)
            for (int64_t j = 0; j < d; j++) centred[i * d + j] = batch.x[i * d + j] - mean[j];
        add(context, centred ? centred : batch.x, batch.n, first);
    }
}

typedef struct Building {
    PfRowAxes *axes;
    PfThreadPool *pool;
    double *sums;    /* (features), or (features, features) */
    float *x;        /* (rows, features) all rows, where axes are of rows */
    const float *to; /* (features, axes) the basis as floats */
} Building;

static void add_sums(void *context, const float *x, int64_t n, int64_t first)
{
    Building *building = context;
    int64_t d = building->axes->features;
    (void)first;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) building->sums[j] += (double)x[i * d + j];
}

static void add_products(void *context, const float *x, int64_t n, int64_t first)
{
    Building *building = context;
    int64_t d = building->axes->features;
    (void)first;
    pf_gemm_tn_sum(&(PfGemm){.m = d, .n = d, .k = n, .a = x, .lda = d, .b = x, .ldb = d},
                   building->sums, building->pool);
}

static void keep_rows(void *context, const float *x, int64_t n, int64_t first)
{
    Building *building = context;
    int64_t d = building->axes->features;
    memcpy(building->x + first * d, x, (size_t)(n * d) * sizeof *x);
}

static void rotate_rows(void *context, const float *x, int64_t n, int64_t first)
{
    Building *building = context;
    int64_t d = building->axes->features;
    pf_gemm_nn(&(PfGemm){.m = n,
                         .n = d,
                         .k = d,
                         .a = x,
                         .lda = d,
                         .b = building->to,
                         .ldb = d,
                         .c = building->axes->z + first * d,
                         .ldc = d},
               building->pool);
}

static int measure_mean(Building *building, const PfTrainingData *data, PfError *err)
{
    PfRowAxes *axes = building->axes;
    building->sums = pf_calloc((size_t)axes->features, sizeof *building->sums, err);
    int failed = !building->sums || visit_rows(data, NULL, NULL, add_sums, building, err);
    for (int64_t j = 0; !failed && j < axes->features; j++)
        axes->mean[j] = (float)(building->sums[j] / (double)axes->rows);
    free(building->sums);
    return failed ? -1 : 0;
}

/* As many rows as features, or more: their products by features, rotated. */
static int build_of_features(Building *building, const PfTrainingData *data, float *centred,
                             PfError *err)
{
    PfRowAxes *axes = building->axes;
    size_t d = (size_t)axes->features;
    float *to = pf_alloc_aligned(d * d, sizeof *to, err);
    building->sums = pf_calloc(d * d, sizeof *building->sums, err);
    int failed = !to || !building->sums ||
                 visit_rows(data, axes->mean, centred, add_products, building, err) ||
                 pf_tridiagonalise(building->sums, axes->features, building->pool, axes->diagonal,
                                   axes->beside, axes->basis, err);
    for (size_t i = 0; !failed && i < d * d; i++) to[i] = (float)axes->basis[i];
    building->to = to;
    if (!failed) failed = visit_rows(data, axes->mean, centred, rotate_rows, building, err);
    for (size_t j = 0; !failed && j < d; j++) {
        axes->diagonal[j] /= (double)axes->rows;
        if (j + 1 < d) axes->beside[j] /= (double)axes->rows;
    }
    free(to);
    free(building->sums);
    return failed ? -1 : 0;
}

static double noise_of(const PfRowAxes *axes)
{
    double largest = 1e-30;
    for (int64_t j = 0; j < axes->axes; j++) largest = fmax(largest, axes->across[j]);
    return NOISE * largest;
}

/* across = root root^T of the rows' products, within the noise; z = basis root; its moments root^T
 * root. */
static void finish_of_rows(PfRowAxes *axes)
{
    int64_t n = axes->axes;
    double noise = noise_of(axes);
    pf_tridiagonal_factorise(axes->across, axes->below, n, 1, noise, 0.1 * noise, axes->root,
                             axes->root_below);
    for (int64_t j = 0; j < n; j++) {
        axes->root[j] = sqrt(axes->root[j]);
        if (j + 1 < n) axes->root_below[j] *= axes->root[j];
    }
    for (int64_t j = 0; j < n; j++) {
        double below = j + 1 < n ? axes->root_below[j] : 0;
        axes->diagonal[j] = (axes->root[j] * axes->root[j] + below * below) / (double)n;
        if (j + 1 < n) axes->beside[j] = axes->root[j + 1] * below / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            const double *q = axes->basis + i * n + j;
            double value = q[0] * axes->root[j];
            if (j + 1 < n) value += q[1] * axes->root_below[j];
            axes->z[i * n + j] = (float)value;
        }
}

/* matrix += the rows' products with each other: sums over blocks of features, as one chain of
 * floats over all of them would lose more digits than a singular matrix bears. */
static void add_row_products(Building *building, float *products, double *matrix)
{
    const PfRowAxes *axes = building->axes;
    int64_t n = axes->rows, d = axes->features;
    for (int64_t first = 0; first < d; first += PF_GEMM_SUM_ROWS) {
        int64_t width = d - first < PF_GEMM_SUM_ROWS ? d - first : PF_GEMM_SUM_ROWS;
        pf_gemm_nt(&(PfGemm){.m = n,
                             .n = n,
                             .k = width,
                             .a = building->x + first,
                             .lda = d,
                             .b = building->x + first,
                             .ldb = d,
                             .c = products,
                             .ldc = n},
                   building->pool);
        for (int64_t i = 0; i < n * n; i++) matrix[i] += (double)products[i];
    }
}

/* Fewer rows than features: the rows' products with each other. */
static int build_of_rows(Building *building, const PfTrainingData *data, float *centred,
                         PfError *err)
{
    PfRowAxes *axes = building->axes;
    size_t n = (size_t)axes->rows, d = (size_t)axes->features;
    building->x = pf_alloc_aligned(n * d, sizeof(float), err);
    float *products = pf_alloc_aligned(n * n, sizeof *products, err);
    double *matrix = pf_calloc(n * n, sizeof *matrix, err);
    axes->across = pf_calloc(n, sizeof(double), err);
    axes->below = pf_calloc(n, sizeof(double), err);
    axes->root = pf_calloc(n, sizeof(double), err);
    axes->root_below = pf_calloc(n, sizeof(double), err);
    int failed = !building->x || !products || !matrix || !axes->across || !axes->below ||
                 !axes->root || !axes->root_below ||
                 visit_rows(data, axes->mean, centred, keep_rows, building, err);
    if (!failed) add_row_products(building, products, matrix);
    if (!failed)
        failed = pf_tridiagonalise(matrix, axes->rows, building->pool, axes->across, axes->below,
                                   axes->basis, err);
    if (!failed) finish_of_rows(axes);
    free(building->x);
    free(products);
    free(matrix);
    return failed ? -1 : 0;
}

static int build(PfRowAxes *axes, const PfTrainingData *data, PfThreadPool *pool, PfError *err)
{
    size_t m = (size_t)axes->axes, rows = (size_t)axes->rows, d = (size_t)axes->features;
    Building building = {.axes = axes, .pool = pool};
    axes->z = pf_alloc_aligned(rows * m, sizeof *axes->z, err);
    axes->mean = pf_calloc(d, sizeof *axes->mean, err);
    axes->diagonal = pf_calloc(m, sizeof *axes->diagonal, err);
    axes->beside = pf_calloc(m, sizeof *axes->beside, err);
    axes->basis = pf_calloc(m * m, sizeof *axes->basis, err);
    float *centred = pf_alloc_aligned(PF_GEMM_SUM_ROWS * d, sizeof *centred, err);
    int failed = !axes->z || !axes->mean || !axes->diagonal || !axes->beside || !axes->basis ||
                 !centred || measure_mean(&building, data, err);
    if (!failed)
        failed = axes->is_of_rows ? build_of_rows(&building, data, centred, err)
                                  : build_of_features(&building, data, centred, err);
    free(centred);
    return failed ? -1 : 0;
}

bool pf_row_axes_fits(int64_t rows, int64_t features)
{
    return rows <= PF_ROW_AXES_MAX || features <= PF_ROW_AXES_MAX;
}

int64_t pf_row_axes_bytes(int64_t rows, int64_t features)
{
    return rows * (rows < features ? rows : features) * (int64_t)sizeof(float);
}

int pf_row_axes_new(const PfTrainingData *data, PfThreadPool *pool, PfRowAxes **out, PfError *err)
{
    PfRowAxes *axes = pf_calloc(1, sizeof *axes, err);
    if (!axes) return -1;
    axes->rows = data->train_count;
    axes->features = data->features;
    axes->is_of_rows = axes->rows < axes->features;
    axes->axes = axes->is_of_rows ? axes->rows : axes->features;
    if (build(axes, data, pool, err)) {
        pf_row_axes_free(&axes);
        return -1;
    }
    *out = axes;
    return 0;
}

void pf_row_axes_free(PfRowAxes **axes)
{
    if (!*axes) return;
    free((*axes)->z);
    free((*axes)->diagonal);
    free((*axes)->beside);
    free((*axes)->mean);
    free((*axes)->basis);
    free((*axes)->across);
    free((*axes)->below);
    free((*axes)->root);
    free((*axes)->root_below);
    free(*axes);
    *axes = NULL;
}

/* ---- back to the features ---- */

/* product = basis v, (axes, width). */
static void rotate_back(const PfRowAxes *axes, const double *v, int64_t width, double *product)
{
    int64_t n = axes->axes;
    memset(product, 0, (size_t)(n * width) * sizeof *product);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            const double q = axes->basis[i * n + j];
            for (int64_t c = 0; c < width; c++) product[i * width + c] += q * v[j * width + c];
        }
}

/* What each row adds to the weights: across a' = root w, so that weights = x^T basis a'. */
static void to_rows(const PfRowAxes *axes, const double *head, int64_t width, double *a,
                    double *pivots, double *factors)
{
    int64_t n = axes->axes;
    double noise = noise_of(axes);
    for (int64_t j = 0; j < n; j++)
        for (int64_t c = 0; c < width; c++) {
            double value = axes->root[j] * head[j * width + c];
            if (j) value += axes->root_below[j - 1] * head[(j - 1) * width + c];
            a[j * width + c] = value;
        }
    pf_tridiagonal_factorise(axes->across, axes->below, n, 1, noise, 0.1 * noise, pivots, factors);
    pf_tridiagonal_solve(pivots, factors, n, a, width, width);
}

typedef struct Spreading {
    const double *shares; /* (rows, width) */
    int64_t features, width;
    double *weights; /* (features, width) */
} Spreading;

static void spread_rows(void *context, const float *x, int64_t n, int64_t first)
{
    const Spreading *spreading = context;
    int64_t d = spreading->features, width = spreading->width;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++)
            for (int64_t c = 0; c < width; c++)
                spreading->weights[j * width + c] +=
                    (double)x[i * d + j] * spreading->shares[(first + i) * width + c];
}

/* The bias takes up what the mean of the rows adds. */
static void put_head(const PfRowAxes *axes, const double *weights, const double *biases,
                     int64_t width, float *out)
{
    int64_t d = axes->features;
    for (int64_t i = 0; i < d * width; i++) out[i] = (float)weights[i];
    for (int64_t c = 0; c < width; c++) {
        double bias = biases[c];
        for (int64_t j = 0; j < d; j++) bias -= (double)axes->mean[j] * weights[j * width + c];
        out[d * width + c] = (float)bias;
    }
}

int pf_row_axes_to_features(const PfRowAxes *axes, const PfTrainingData *data, const double *head,
                            int64_t width, float *out, PfError *err)
{
    size_t m = (size_t)axes->axes, d = (size_t)axes->features, w = (size_t)width;
    double *a = pf_calloc(m * w + 2 * m, sizeof *a, err);
    double *product = pf_calloc(m * w, sizeof *product, err);
    double *weights = axes->is_of_rows ? pf_calloc(d * w, sizeof *weights, err) : product;
    float *centred = pf_alloc_aligned(PF_GEMM_SUM_ROWS * d, sizeof *centred, err);
    int failed = !a || !product || !weights || !centred;
    if (!failed && axes->is_of_rows) {
        Spreading spreading = {product, axes->features, width, weights};
        to_rows(axes, head, width, a, a + m * w, a + m * w + m);
        rotate_back(axes, a, width, product);
        failed = visit_rows(data, axes->mean, centred, spread_rows, &spreading, err);
    } else if (!failed) {
        rotate_back(axes, head, width, product);
    }
    if (!failed) put_head(axes, weights, head + axes->axes * width, width, out);
    if (weights != product) free(weights);
    free(product);
    free(a);
    free(centred);
    return failed ? -1 : 0;
}
