#include "train/report/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "inspect/page/cache_page.h"
#include "inspect/rows/rows.h"
#include "train/features/target_kind.h"
#include "train/kernels/loss.h"
#include "train/kernels/vector_math.h"
#include "train/sweep/head_batch_run.h"

/* The winner's outputs, as the page's targets want them. */
typedef struct Outputs {
    PfCachePage *page;
    const PfFeatureTable *table;
    float **targets; /* (task_count) the page's array of each task's target */
    int64_t stride;
} Outputs;

/* Logits become probabilities, numbers are in the target's own units. */
static void finish_columns(const PfTask *task, const PfRowBatch *batch, float *outputs,
                           int64_t stride)
{
    if (task->kind == PF_TARGET_CLASS) {
        PfSoftmaxBatch rows = {
            .rows = batch->n, .classes = task->outputs, .stride = stride, .heads = 1};
        pf_softmax_probabilities(&rows, outputs);
    } else if (task->kind == PF_TARGET_MULTILABEL) {
        for (int64_t i = 0; i < batch->n; i++)
            pf_sigmoid(outputs + i * stride, task->outputs, outputs + i * stride);
    } else {
        pf_task_to_target_units(task, batch->rows, batch->n, outputs, stride);
    }
}

static int take_outputs(void *context, const PfRowBatch *batch, float *outputs, PfError *err)
{
    const Outputs *to = context;
    int64_t offset = 0;
    (void)err;
    for (int t = 0; t < to->table->task_count; t++) {
        const PfTask *task = &to->table->tasks[t];
        finish_columns(task, batch, outputs + offset, to->stride);
        for (int64_t i = 0; i < batch->n; i++)
            memcpy(to->targets[t] + (int64_t)batch->rows[i] * task->outputs,
                   outputs + i * to->stride + offset, (size_t)task->outputs * sizeof *outputs);
        offset += task->outputs;
    }
    return 0;
}

static int find_targets(Outputs *outputs, PfError *err)
{
    PfPageData *data = &outputs->page->data;
    outputs->targets = pf_calloc((size_t)outputs->table->task_count, sizeof *outputs->targets, err);
    if (!outputs->targets) return -1;
    for (int t = 0; t < outputs->table->task_count; t++)
        for (int p = 0; p < data->target_count; p++) {
            if (strcmp(data->targets[p].name, outputs->table->tasks[t].name)) continue;
            outputs->targets[t] = pf_cache_page_outputs(outputs->page, &data->targets[p], err);
            if (!outputs->targets[t]) return -1;
        }
    return 0;
}

static int score_rows(PfCachePage *page, const PfTrainRun *run, PfThreadPool *pool, PfError *err)
{
    const PfSweep *sweep = run->sweep;
    PfFeatureTable *table = sweep->table;
    PfHeadLoader loader;
    Outputs outputs = {.page = page, .table = table, .stride = sweep->result.network->outputs};
    int failed = find_targets(&outputs, err) ||
                 pf_head_loader_new(table, sweep->finetune, pool, &loader, err);
    if (!failed) {
        for (int split = 0; split < PF_SPLIT_COUNT && !failed; split++)
            failed =
                pf_visit_outputs(sweep->result.network, &loader.loader, table->split_rows[split],
                                 table->split_counts[split], pool, take_outputs, &outputs, err);
        pf_head_loader_free(&loader);
    }
    free(outputs.targets);
    return failed;
}

/* The target of classes that was learned, else the cache's first; NULL: there is none. */
static const char *class_target(const PfPageData *data, const PfTask *learned)
{
    if (learned) return learned->name;
    for (int t = 0; t < data->target_count; t++)
        if (data->targets[t].kind == PF_TARGET_CLASS) return data->targets[t].name;
    return NULL;
}

/* The rows' features, for the map and the neighbours. */
static int add_rows(PfCachePage *page, const PfTrainOptions *options, const PfTrainRun *run,
                    PfError *err)
{
    const PfTask *classes = pf_feature_table_class_task(run->sweep->table);
    PfRowsConfig config = {.tap = pf_train_run_tap(run)->name,
                           .target = class_target(&page->data, classes),
                           .memory_bytes = options->table.memory_bytes,
                           .threads = options->threads,
                           .interrupted = options->table.interrupted};
    PfRows rows;
    page->data.inspected = config.target;
    int failed = pf_rows_read(page->cache, &config, &rows, err);
    if (!failed)
        failed =
            pf_cache_page_nearest(page, &rows, err) || pf_cache_page_map(page, &rows, NULL, err);
    pf_rows_free(&rows);
    return failed;
}

static void add_facts(PfPageData *data, const PfTrainRun *run)
{
    const PfHeadEpoch *best = pf_train_run_best(run);
    char spec[PF_HEAD_SPEC_TEXT_SIZE];
    pf_page_add_fact(data, "head", "%s, %s", pf_head_spec_text(&run->sweep->experiment.spec, spec),
                     pf_optimizer_names[run->sweep->experiment.optimizer]);
    if (isnan(best->val_score))
        pf_page_add_fact(data, "best", "epoch %d", best->epoch);
    else
        pf_page_add_fact(data, "best", "epoch %d, val %s %.4f", best->epoch,
                         pf_train_run_score_name(run->sweep->table), best->val_score);
    pf_page_add_fact(data, "time", "%.2f s: load %.2f, train %.2f", run->total_seconds,
                     run->sweep->load_seconds, run->sweep->train_seconds);
    if (run->sweep->trial_count > 1) pf_page_add_fact(data, "heads", "%d", run->sweep->trial_count);
}

int pf_train_page_write(const PfTrainOptions *options, const PfTrainRun *run, PfThreadPool *pool,
                        PfError *err)
{
    union { /* the run only lends it, but what is read on first use is read by this page, too */
        const PfCache *lent;
        PfCache *cache;
    } cache = {run->cache};
    PfCachePage page;
    PfCachePageConfig config = {.images = options->images,
                                .splits = run->sweep->table->splits,
                                .no_thumbnails = options->no_thumbnails,
                                .anonymous = options->anonymous,
                                .threads = options->threads,
                                .interrupted = options->table.interrupted};
    cJSON *result = pf_result_json(run);
    int failed = pf_cache_page_open(cache.cache, &config, &page, err);
    page.data.result = result;
    if (!failed) {
        add_facts(&page.data, run);
        failed = score_rows(&page, run, pool, err);
    }
    if (!failed) {
        pf_page_prepare(&page.data);
        failed =
            add_rows(&page, options, run, err) || pf_page_write(options->report, &page.data, err);
    }
    pf_cache_page_close(&page);
    cJSON_Delete(result);
    if (!failed) pf_say("page: %s", options->report);
    return failed ? -1 : 0;
}
