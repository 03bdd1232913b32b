#include "train/head/novelty.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "train/features/normalize.h"
#include "train/kernels/gemm.h"

#define LEAST_ROWS 20
#define BLOCK_ROWS 256

/* ---- measuring ---- */

typedef struct Measuring {
    PfNovelty *novelty;
    const uint32_t *alike;
    PfThreadPool *pool;
    int32_t *kept;      /* (novelty->rows) which rows the vectors are of */
    float *x, *cosines; /* (BLOCK_ROWS, features), (BLOCK_ROWS, rows) */
    float *distances;   /* of the rows that were measured */
    int64_t measured;
} Measuring;

static float distance_of(float cosine)
{
    return sqrtf(fmaxf(0, 2 - 2 * cosine));
}

static uint32_t first_alike(const Measuring *measuring, int32_t row)
{
    return measuring->alike ? measuring->alike[row] : (uint32_t)row;
}

static void keep_batch(Measuring *measuring, const PfRowBatch *batch)
{
    PfNovelty *novelty = measuring->novelty;
    for (int64_t i = 0; i < batch->n; i++) {
        float *vector = novelty->vectors + measuring->measured * novelty->features;
        memcpy(vector, batch->x + i * novelty->features,
               (size_t)novelty->features * sizeof *vector);
        pf_normalize_l2_row(vector, novelty->features);
        measuring->kept[measuring->measured++] = batch->rows[i];
    }
}

static void measure_batch(Measuring *measuring, const PfRowBatch *batch)
{
    const PfNovelty *novelty = measuring->novelty;
    int64_t d = novelty->features, kept = novelty->rows;
    memcpy(measuring->x, batch->x, (size_t)(batch->n * d) * sizeof *measuring->x);
    for (int64_t i = 0; i < batch->n; i++) pf_normalize_l2_row(measuring->x + i * d, d);
    pf_gemm_nt(&(PfGemm){.m = batch->n,
                         .n = kept,
                         .k = d,
                         .a = measuring->x,
                         .lda = d,
                         .b = novelty->vectors,
                         .ldb = d,
                         .c = measuring->cosines,
                         .ldc = kept},
               measuring->pool);
    for (int64_t i = 0; i < batch->n; i++) {
        uint32_t own = first_alike(measuring, batch->rows[i]);
        float nearest = -1;
        for (int64_t j = 0; j < kept; j++)
            if (first_alike(measuring, measuring->kept[j]) != own)
                nearest = fmaxf(nearest, measuring->cosines[i * kept + j]);
        measuring->distances[measuring->measured++] = distance_of(nearest);
    }
}

/* `wanted` of the rows, evenly spread, batch by batch. */
static int visit(Measuring *measuring, PfBatchLoader *loader, const int32_t *rows, int64_t count,
                 int64_t wanted, void (*add)(Measuring *measuring, const PfRowBatch *batch),
                 PfError *err)
{
    int32_t *chosen = pf_calloc((size_t)wanted, sizeof *chosen, err);
    PfRowBatch batch;
    int failed = !chosen;
    measuring->measured = 0;
    for (int64_t i = 0; i < wanted && !failed; i++) chosen[i] = rows[i * count / wanted];
    if (!failed) failed = loader->start(loader->context, chosen, wanted, NULL, BLOCK_ROWS, err);
    while (!failed) {
        failed = loader->next(loader->context, &batch, err);
        if (failed || !batch.n) break;
        add(measuring, &batch);
    }
    free(chosen);
    return failed ? -1 : 0;
}

static int compare(const void *a, const void *b)
{
    float left = *(const float *)a, right = *(const float *)b;
    return (left > right) - (left < right);
}

static int measure(Measuring *measuring, PfBatchLoader *loader, const int32_t *rows, int64_t count,
                   PfError *err)
{
    PfNovelty *novelty = measuring->novelty;
    size_t kept = (size_t)novelty->rows, d = (size_t)novelty->features;
    int64_t measured = count < PF_NOVELTY_MEASURED ? count : PF_NOVELTY_MEASURED;
    measuring->kept = pf_calloc(kept, sizeof *measuring->kept, err);
    measuring->x = pf_alloc_aligned(BLOCK_ROWS * d, sizeof *measuring->x, err);
    measuring->cosines = pf_alloc_aligned(BLOCK_ROWS * kept, sizeof *measuring->cosines, err);
    measuring->distances = pf_calloc((size_t)measured, sizeof *measuring->distances, err);
    if (!measuring->kept || !measuring->x || !measuring->cosines || !measuring->distances ||
        visit(measuring, loader, rows, count, novelty->rows, keep_batch, err) ||
        visit(measuring, loader, rows, count, measured, measure_batch, err))
        return -1;
    qsort(measuring->distances, (size_t)measured, sizeof *measuring->distances, compare);
    for (int q = 0; q < PF_NOVELTY_QUANTILES; q++)
        novelty->quantiles[q] =
            measuring->distances[q * (measured - 1) / (PF_NOVELTY_QUANTILES - 1)];
    return 0;
}

static float *copy_of(const float *values, int64_t count, PfError *err)
{
    float *copy = pf_calloc((size_t)count, sizeof *copy, err);
    if (copy) memcpy(copy, values, (size_t)count * sizeof *copy);
    return copy;
}

static int allocate(PfNovelty *novelty, const float *mean, const float *scale, PfError *err)
{
    novelty->vectors =
        pf_alloc_aligned((size_t)(novelty->rows * novelty->features), sizeof(float), err);
    if (!novelty->vectors) return -1;
    if (!mean) return 0;
    novelty->mean = copy_of(mean, novelty->features, err);
    novelty->scale = copy_of(scale, novelty->features, err);
    return novelty->mean && novelty->scale ? 0 : -1;
}

static int64_t kept_rows(int64_t rows, int64_t features)
{
    return pf_min(rows, pf_min(PF_NOVELTY_ROWS, PF_NOVELTY_NUMBERS / features));
}

int pf_novelty_check(int64_t rows, int64_t features, PfError *err)
{
    if (kept_rows(rows, features) >= LEAST_ROWS) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "--novelty needs %d rows to train on, of at most %lld features; found %lld of "
                   "%lld",
                   LEAST_ROWS, (long long)(PF_NOVELTY_NUMBERS / LEAST_ROWS), (long long)rows,
                   (long long)features);
}

int pf_novelty_measure(PfBatchLoader *loader, int64_t features, const int32_t *rows, int64_t count,
                       const uint32_t *alike, const float *mean, const float *scale,
                       PfThreadPool *pool, PfNovelty **out, PfError *err)
{
    if (pf_novelty_check(count, features, err)) return -1;
    PfNovelty *novelty = pf_calloc(1, sizeof *novelty, err);
    if (!novelty) return -1;
    novelty->rows = kept_rows(count, features);
    novelty->features = features;
    Measuring measuring = {.novelty = novelty, .alike = alike, .pool = pool};
    int failed =
        allocate(novelty, mean, scale, err) || measure(&measuring, loader, rows, count, err);
    free(measuring.kept);
    free(measuring.x);
    free(measuring.cosines);
    free(measuring.distances);
    if (failed) {
        pf_novelty_free(&novelty);
        return -1;
    }
    *out = novelty;
    return 0;
}

void pf_novelty_free(PfNovelty **novelty)
{
    if (!*novelty) return;
    free((*novelty)->vectors);
    free((*novelty)->mean);
    free((*novelty)->scale);
    free(*novelty);
    *novelty = NULL;
}

/* ---- in a model ---- */

size_t pf_novelty_tensors(const PfNovelty *novelty, PfNamedTensor tensors[PF_NOVELTY_TENSORS])
{
    const PfShape row = {.rank = 1, .dims = {novelty->features}};
    const PfShape all = {.rank = 2, .dims = {novelty->rows, novelty->features}};
    tensors[0] =
        (PfNamedTensor){.name = "novelty.vectors",
                        .view = {.data = novelty->vectors, .dtype = PF_DTYPE_F32, .shape = all}};
    tensors[1] =
        (PfNamedTensor){.name = "novelty.mean",
                        .view = {.data = novelty->mean, .dtype = PF_DTYPE_F32, .shape = row}};
    tensors[2] =
        (PfNamedTensor){.name = "novelty.scale",
                        .view = {.data = novelty->scale, .dtype = PF_DTYPE_F32, .shape = row}};
    return novelty->mean ? 3 : 1;
}

cJSON *pf_novelty_json(const PfNovelty *novelty)
{
    cJSON *json = cJSON_CreateObject(), *quantiles = cJSON_AddArrayToObject(json, "quantiles");
    for (int q = 0; q < PF_NOVELTY_QUANTILES; q++)
        cJSON_AddItemToArray(quantiles, cJSON_CreateNumber((double)novelty->quantiles[q]));
    return json;
}

/* (count) finite floats of a tensor of that rank whose last axis is features; NULL with an error.
 */
static float *read_tensor(const PfModel *model, const char *name, int rank, int64_t features,
                          int64_t *rows, PfError *err)
{
    const PfTensorView *view = pf_model_tensor(model, name);
    bool fits = view && view->dtype == PF_DTYPE_F32 && view->shape.rank == rank &&
                view->shape.dims[rank - 1] == features &&
                (rank == 1 || (view->shape.dims[0] > 0 && view->shape.dims[0] <= PF_NOVELTY_ROWS));
    if (!fits) {
        pf_fail(err, PF_EXIT_FAILED, "model '%s': tensor '%s' is not what its novelty needs",
                pf_model_path(model), name);
        return NULL;
    }
    *rows = rank == 2 ? view->shape.dims[0] : 1;
    float *values = pf_alloc_aligned((size_t)(*rows * features), sizeof *values, err);
    if (!values) return NULL;
    memcpy(values, view->data, (size_t)(*rows * features) * sizeof *values);
    if (!pf_feature_table_any_not_finite(values, *rows * features)) return values;
    free(values);
    pf_fail(err, PF_EXIT_FAILED, "model '%s': tensor '%s' holds numbers that are not finite",
            pf_model_path(model), name);
    return NULL;
}

static int read_quantiles(const PfModel *model, const cJSON *json, PfNovelty *novelty, PfError *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "quantiles"), *item;
    int count = 0;
    bool fits = cJSON_GetArraySize(list) == PF_NOVELTY_QUANTILES;
    cJSON_ArrayForEach(item, list)
    {
        if (!fits) break;
        fits = cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= 2.1 &&
               (!count || (float)item->valuedouble >= novelty->quantiles[count - 1]);
        novelty->quantiles[count++] = (float)item->valuedouble;
    }
    if (fits) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "model '%s': the quantiles of its novelty are not %d ascending distances",
                   pf_model_path(model), PF_NOVELTY_QUANTILES);
}

int pf_novelty_read(const PfModel *model, int64_t features, PfNovelty **out, PfError *err)
{
    const cJSON *json = cJSON_GetObjectItemCaseSensitive(pf_model_metadata(model), "novelty");
    int64_t one;
    if (!cJSON_IsObject(json))
        return pf_fail(err, PF_EXIT_USAGE,
                       "model '%s' does not know what its training images are like. Hint: train it "
                       "again with --novelty.",
                       pf_model_path(model));
    PfNovelty *novelty = pf_calloc(1, sizeof *novelty, err);
    if (!novelty) return -1;
    novelty->features = features;
    novelty->vectors = read_tensor(model, "novelty.vectors", 2, features, &novelty->rows, err);
    int failed = !novelty->vectors || read_quantiles(model, json, novelty, err);
    if (!failed && pf_model_tensor(model, "novelty.mean")) {
        novelty->mean = read_tensor(model, "novelty.mean", 1, features, &one, err);
        if (novelty->mean)
            novelty->scale = read_tensor(model, "novelty.scale", 1, features, &one, err);
        failed = !novelty->scale;
    }
    if (failed) {
        pf_novelty_free(&novelty);
        return -1;
    }
    *out = novelty;
    return 0;
}

/* ---- an image ---- */

double pf_novelty_percentile(const PfNovelty *novelty, const float *x, float *room)
{
    int64_t d = novelty->features;
    float nearest = -1;
    memcpy(room, x, (size_t)d * sizeof *room);
    if (novelty->mean) pf_normalize_standardize_row(room, d, novelty->mean, novelty->scale);
    pf_normalize_l2_row(room, d);
    for (int64_t r = 0; r < novelty->rows; r++) {
        const float *vector = novelty->vectors + r * d;
        float sums[8] = {0};
        int64_t j = 0;
        for (; j + 8 <= d; j += 8)
            for (int l = 0; l < 8; l++) sums[l] += room[j + l] * vector[j + l];
        for (; j < d; j++) sums[0] += room[j] * vector[j];
        nearest = fmaxf(nearest, ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
                                     ((sums[2] + sums[6]) + (sums[3] + sums[7])));
    }
    float distance = distance_of(nearest);
    int q = 0;
    while (q < PF_NOVELTY_QUANTILES && novelty->quantiles[q] < distance) q++;
    if (q == 0 || q == PF_NOVELTY_QUANTILES) return q ? 100 : 0;
    double below = (double)novelty->quantiles[q - 1], above = (double)novelty->quantiles[q];
    return q - 1 + ((double)distance - below) / (above - below);
}
