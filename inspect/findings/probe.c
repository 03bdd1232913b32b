#include "inspect/findings/probe.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/thread/parallel.h"
#include "train/features/stream_loader.h"
#include "train/fit/convex_head.h"
#include "train/fit/convex_problem.h"

/* Of the mean loss: scikit-learn's C = 1 of a hundred rows. Strong enough that heads do not learn
 * wrong labels by heart. */
#define WEIGHT_DECAY 1e-2
#define MOST_ITERATIONS 300
/* A feature that varies less than this share of the median one is noise, which is not blown up. */
#define LEAST_SPREAD 1e-3
/* Streamed, of each of two windows. */
#define WINDOW_BYTES ((int64_t)64 << 20)
#define SLICE_ROWS 256

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(PfProbe *probe, PfError *err)
{
    const PfRows *rows = probe->rows;
    size_t features = (size_t)rows->features;
    double *sorted = pf_calloc(features, sizeof *sorted, err);
    probe->mean = pf_calloc(features, sizeof *probe->mean, err);
    probe->scale = pf_calloc(features, sizeof *probe->scale, err);
    if (!sorted || !probe->mean || !probe->scale) {
        free(sorted);
        return -1;
    }
    memcpy(sorted, rows->spread, features * sizeof *sorted);
    qsort(sorted, features, sizeof *sorted, compare_doubles);
    double least = LEAST_SPREAD * sorted[features / 2];
    free(sorted);
    for (size_t j = 0; j < features; j++) {
        double spread = rows->spread[j] > least ? rows->spread[j] : least;
        probe->mean[j] = (float)rows->mean[j];
        probe->scale[j] = spread > 0 ? (float)(1 / spread) : 1;
    }
    return 0;
}

static void standardise(void *context, int64_t slice)
{
    PfProbe *probe = context;
    const PfRows *rows = probe->rows;
    int64_t features = rows->features, end = pf_min(rows->count, (slice + 1) * SLICE_ROWS);
    for (int64_t i = slice * SLICE_ROWS; i < end; i++) {
        const float *from = rows->x + i * features;
        float *to = probe->table->x + i * features;
        for (int64_t j = 0; j < features; j++) to[j] = (from[j] - probe->mean[j]) * probe->scale[j];
    }
}

static int new_table(PfProbe *probe, PfError *err)
{
    const PfRows *rows = probe->rows;
    int64_t slices = (rows->count + SLICE_ROWS - 1) / SLICE_ROWS;
    int64_t window = WINDOW_BYTES / (rows->features * (int64_t)sizeof(float));
    PfFeatureStream stream = {.cache = rows->cache,
                              .tap = rows->tap,
                              .views = rows->views,
                              .window_rows = pf_max(window, PF_CONVEX_BATCH_ROWS),
                              .threads = rows->threads,
                              .interrupted = rows->interrupted,
                              .mean = probe->mean,
                              .scale = probe->scale};
    if (!rows->x) return pf_feature_table_new_streamed(&stream, 1, &probe->table, err);
    if (pf_feature_table_new(rows->count, 1, rows->features, 1, &probe->table, err)) return -1;
    pf_parallel_for(slices, rows->threads, standardise, probe);
    return 0;
}

int pf_probe_new(const PfRows *rows, PfProbe *out, PfError *err)
{
    *out = (PfProbe){.rows = rows};
    if (measure(out, err) || new_table(out, err)) return -1;
    PfTask *task = &out->table->tasks[0];
    if (pf_task_init(task, rows->target, PF_TARGET_CLASS, rows->class_count, rows->count, err))
        return -1;
    task->classes = rows->classes;
    memcpy(task->labels, rows->labels, (size_t)rows->count * sizeof *task->labels);
    return pf_thread_pool_new(rows->threads, &out->pool, err) ||
                   pf_batch_loader_new(out->table, out->pool, &out->loader, err)
               ? -1
               : 0;
}

void pf_probe_free(PfProbe *probe)
{
    if (probe->loader.free) pf_batch_loader_free(&probe->loader);
    if (probe->pool) pf_thread_pool_free(&probe->pool);
    pf_feature_table_free(&probe->table);
    free(probe->mean);
    free(probe->scale);
    *probe = (PfProbe){0};
}

static int on_step(void *context, int64_t done, int64_t total)
{
    const PfRows *rows = context;
    (void)done, (void)total;
    return rows->interrupted && *rows->interrupted;
}

int pf_probe_fit(PfProbe *probe, const int32_t *rows, int64_t count, PfHeadNetwork **out,
                 PfError *err)
{
    PfHeadSetting setting = {.weight_decay = WEIGHT_DECAY};
    PfTrainingData data = {.loader = &probe->loader,
                           .features = probe->rows->features,
                           .tasks = probe->table->tasks,
                           .task_count = 1,
                           .train_rows = rows,
                           .train_count = count};
    PfHeadBatchConfig config = {.optimizer = PF_LBFGS,
                                .settings = &setting,
                                .head_count = 1,
                                .epochs = MOST_ITERATIONS,
                                .pool = probe->pool};
    PfRows context = *probe->rows;
    PfHeadBatchObserver observer = {.context = &context, .on_step = on_step};
    PfHeadBatchResult result;
    if (pf_convex_head_train(&data, &config, &observer, &result, err)) return -1;
    *out = result.network;
    result.network = NULL;
    pf_head_batch_result_free(&result);
    return 0;
}

typedef struct Prediction {
    int classes;
    float *probabilities;
} Prediction;

static int take_outputs(void *context, const PfRowBatch *batch, float *outputs, PfError *err)
{
    Prediction *prediction = context;
    int64_t classes = prediction->classes;
    PfSoftmaxBatch softmax = {
        .rows = batch->n, .heads = 1, .classes = prediction->classes, .stride = classes};
    (void)err;
    pf_softmax_probabilities(&softmax, outputs);
    for (int64_t i = 0; i < batch->n; i++)
        memcpy(prediction->probabilities + batch->rows[i] * classes, outputs + i * classes,
               (size_t)classes * sizeof *outputs);
    return 0;
}

int pf_probe_predict(PfProbe *probe, PfHeadNetwork *network, const int32_t *rows, int64_t count,
                     float *probabilities, PfError *err)
{
    Prediction prediction = {probe->rows->class_count, probabilities};
    return pf_visit_outputs(network, &probe->loader, rows, count, probe->pool, take_outputs,
                            &prediction, err);
}

int32_t pf_probe_best(const float *probabilities, int classes)
{
    int32_t best = 0;
    for (int32_t c = 1; c < classes; c++)
        if (probabilities[c] > probabilities[best]) best = c;
    return best;
}

int pf_probe_choose(const PfRows *rows, bool (*keep)(const void *context, int64_t row),
                    const void *context, int32_t **out, int64_t *count, PfError *err)
{
    *count = 0;
    *out = pf_calloc((size_t)rows->count, sizeof **out, err);
    if (!*out) return -1;
    for (int64_t i = 0; i < rows->count; i++)
        if (keep(context, i)) (*out)[(*count)++] = (int32_t)i;
    return 0;
}

bool pf_probe_is_labelled(const void *rows, int64_t row)
{
    const PfRows *all = rows;
    return all->labels && all->labels[row] >= 0 && !all->broken[row];
}
