#include "train/sweep/head_batch_run.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "train/features/row_choice.h"
#include "train/features/stream_loader.h"
#include "train/finetune/first_head.h"
#include "train/fit/convex_head.h"
#include "train/fit/decay_search.h"
#include "train/sweep/search_plan.h"

/* An epoch of a head takes milliseconds, or of streamed features minutes: runs that are shorter
 * than this write no checkpoint. */
#define HEAD_CHECKPOINT_SECONDS 5

int pf_head_loader_new(const PfFeatureTable *table, PfFinetune *finetune, PfThreadPool *pool,
                       PfHeadLoader *out, PfError *err)
{
    *out = (PfHeadLoader){.features = table->features};
    PfBatchLoader *rows = finetune ? &out->rows : &out->loader;
    if (pf_batch_loader_new(table, pool, rows, err)) return -1;
    if (!finetune) return 0;
    out->features = pf_finetune_features(finetune);
    return pf_finetune_loader(finetune, rows, &out->loader, err);
}

void pf_head_loader_free(PfHeadLoader *loader)
{
    pf_batch_loader_free(&loader->loader);
    pf_batch_loader_free(&loader->rows);
}

/* What a head batch learns from, and what of that is its own. */
typedef struct HeadBatchData {
    PfTrainingData data;
    PfHeadLoader loader;
    PfTask *tasks; /* (data.task_count) the table's, but for class_weights */
    PfTrainRows train;
    bool owns_weights;
} HeadBatchData;

static void free_data(HeadBatchData *batch)
{
    pf_head_loader_free(&batch->loader);
    free(batch->train.chosen);
    for (int t = 0; batch->owns_weights && t < batch->data.task_count; t++)
        free(batch->tasks[t].class_weights);
    free(batch->tasks);
}

int pf_train_rows(const PfFeatureTable *table, const PfExperiment *experiment, int64_t seed,
                  PfTrainRows *out, PfError *err)
{
    const PfTask *by = pf_feature_table_class_task(table);
    *out = (PfTrainRows){.rows = table->split_rows[PF_SPLIT_TRAIN],
                         .count = table->split_counts[PF_SPLIT_TRAIN]};
    if (!experiment->per_class) return 0;
    if (pf_row_choice_per_class(by ? by : &table->tasks[0], out->rows, out->count,
                                experiment->per_class, (uint64_t)seed, &out->chosen, &out->count,
                                err))
        return -1;
    out->rows = out->chosen;
    return 0;
}

int64_t pf_train_row_count(const PfFeatureTable *table, const PfExperiment *experiment)
{
    PfTrainRows rows;
    if (pf_train_rows(table, experiment, 0, &rows, NULL))
        return table->split_counts[PF_SPLIT_TRAIN];
    free(rows.chosen);
    return rows.count;
}

/* The table's are those of all its train rows, and stay its own. */
static int weigh_classes(const PfExperiment *first, HeadBatchData *batch, PfError *err)
{
    const PfTrainRows *train = &batch->train;
    if (first->balanced_loss && !train->chosen) return 0;
    for (int t = 0; t < batch->data.task_count; t++) batch->tasks[t].class_weights = NULL;
    batch->owns_weights = first->balanced_loss;
    for (int t = 0; t < batch->data.task_count && batch->owns_weights; t++)
        if (pf_task_balance(&batch->tasks[t], train->rows, train->count, err)) return -1;
    return 0;
}

static int open_data(const PfHeadBatchRun *run, const PfExperiment *first, int64_t seed,
                     HeadBatchData *batch, PfError *err)
{
    const PfFeatureTable *table = run->table;
    *batch = (HeadBatchData){0};
    batch->tasks = pf_calloc((size_t)table->task_count, sizeof *batch->tasks, err);
    if (!batch->tasks || pf_train_rows(table, first, seed, &batch->train, err) ||
        pf_head_loader_new(table, run->finetune, run->pool, &batch->loader, err))
        return -1;
    memcpy(batch->tasks, table->tasks, (size_t)table->task_count * sizeof *batch->tasks);
    batch->data = (PfTrainingData){
        .loader = &batch->loader.loader,
        .features = batch->loader.features,
        .tasks = batch->tasks,
        .task_count = table->task_count,
        .train_rows = batch->train.rows,
        .train_count = batch->train.count,
        .val_rows = table->split_rows[PF_SPLIT_VAL],
        .val_count = run->ignores_val ? 0 : table->split_counts[PF_SPLIT_VAL],
    };
    return weigh_classes(first, batch, err);
}

static PfHeadBatchConfig head_batch_config(const PfHeadBatchRun *run, const PfExperiment *first,
                                           const PfTrainingData *data)
{
    return (PfHeadBatchConfig){
        .spec = first->spec,
        .optimizer = first->optimizer,
        .nesterov = first->nesterov,
        .epochs = pf_experiment_epochs(first, data->train_count),
        .batch = first->batch,
        .balance = first->sampling == PF_SAMPLING_BALANCED ? pf_feature_table_class_task(run->table)
                                                           : NULL,
        .patience = first->patience,
        .pool = run->pool,
        .checkpoint = run->checkpoint,
        .checkpoint_seconds = run->finetune ? 0 : HEAD_CHECKPOINT_SECONDS,
        .resume = !run->options->force,
    };
}

/* A head that goes on from a checkpoint need not be warmed. */
static bool needs_warm_head(const PfHeadBatchRun *run)
{
    bool goes_on =
        run->checkpoint && !run->options->force && pf_checkpoint_is_there(run->checkpoint);
    return run->options->warm_head && !goes_on;
}

/* *start: where the head begins; NULL: anywhere. */
static int find_start(const PfHeadBatchRun *run, const PfTrainingData *data,
                      const PfHeadBatchConfig *config, PfHeadNetwork **start, PfError *err)
{
    const char *init = run->options->finetune.init;
    if (init)
        return pf_first_head_of_model(init, &config->spec, data->tasks, data->task_count,
                                      data->features, start, err);
    return needs_warm_head(run)
               ? pf_first_head_trained(data, config, run->table->rows, NULL, start, err)
               : 0;
}

/* Several ranks have trained one network, and all of it must be the same on each. */
static int compare_ranks(const PfHeadBatchRun *run, const PfHeadNetwork *network, PfError *err)
{
    PfRankGroup *group = run->options->finetune.ranks;
    if (!group) return 0;
    for (int l = 0; l < network->layer_count; l++) {
        const PfHeadLayer *layer = &network->layers[l];
        size_t bytes = (size_t)(layer->rows * layer->columns) * sizeof *layer->parameters;
        if (pf_rank_group_compare(group, PF_EXIT_FAILED, "head", layer->parameters, bytes, err))
            return -1;
    }
    if (pf_finetune_compare_ranks(run->finetune, err)) return -1;
    pf_say("weights: equal on all %d ranks, to the last bit; gradients were summed by %s",
           pf_rank_group_size(group), pf_rank_group_describe(group));
    return 0;
}

static int train_with_suffix(const PfHeadBatchRun *run, const PfExperiment *first,
                             const PfTrainingData *data, PfHeadBatchConfig *config,
                             PfHeadBatchResult *out, PfError *err)
{
    PfHeadNetwork *start = NULL;
    PfSuffixOptimizerConfig suffix = {.kind = first->optimizer,
                                      .nesterov = first->nesterov,
                                      .learning_rate = first->backbone_rate,
                                      .weight_decay = first->setting.weight_decay,
                                      .momentum = first->setting.momentum,
                                      .pool = run->pool};
    if (pf_finetune_begin(run->finetune, &suffix, &config->trunk, err)) return -1;
    if (find_start(run, data, config, &start, err)) return -1;
    config->start = start;
    int failed = pf_head_trainer_run(data, config, run->observer, out, err);
    pf_head_network_free(&start);
    if (failed) return -1;
    if (!pf_finetune_end(run->finetune, err) && !compare_ranks(run, out->network, err)) return 0;
    pf_head_batch_result_free(out);
    return -1;
}

static int score_test_rows(const PfHeadBatchRun *run, const PfTrainingData *data,
                           const PfHeadBatchResult *result, PfError *err)
{
    return pf_scores_run(result->network, data, run->table->split_rows[PF_SPLIT_TEST],
                         run->table->split_counts[PF_SPLIT_TEST], run->pool, run->test_scores, err);
}

static int on_search_step(void *context, int done, int total)
{
    const PfHeadBatchObserver *observer = *(const PfHeadBatchObserver **)context;
    return observer && observer->on_step && observer->on_step(observer->context, done, total);
}

/* What is searched keeps no state, but that of another run may lie where the model is to go. */
static int refuse_other_run(const PfHeadBatchRun *run, PfError *err)
{
    int found;
    if (!run->checkpoint || run->options->force || !pf_checkpoint_is_there(run->checkpoint))
        return 0;
    return pf_checkpoint_read(run->checkpoint, &found, err);
}

/* The optimum for the decays that the train rows choose; of too few rows as without a search, or,
 * of a head like one that was searched, for that one's. */
static int train_searched(const PfHeadBatchRun *run, const PfExperiment *first,
                          const PfTrainingData *data, PfHeadBatchConfig *config,
                          PfHeadBatchResult *out, PfError *err)
{
    const PfTask *by = pf_feature_table_class_task(run->table);
    const PfHeadBatchObserver *observer = run->observer;
    PfDecaySearchConfig searching = {.label_smoothing = first->setting.label_smoothing,
                                     .alike = run->table->alike,
                                     .by = by ? by : &run->table->tasks[0],
                                     .pool = run->pool,
                                     .memory_bytes = run->table->limit_bytes / 2,
                                     .on_step = on_search_step,
                                     .step_context = &observer};
    PfExperiment convex = *first;
    PfDecaySearch *search;
    PfHeadNetwork *start;
    if (refuse_other_run(run, err) || pf_decay_search_run(data, &searching, &search, &start, err))
        return -1;
    if (!search && first->optimizer != PF_LBFGS)
        return pf_head_trainer_run(data, config, run->observer, out, err);
    convex.optimizer = PF_LBFGS;
    config->epochs = pf_experiment_epochs(&convex, data->train_count);
    config->start = start;
    config->task_decays = search ? search->decays : run->decays;
    int failed = pf_convex_head_train(data, config, run->observer, out, err);
    pf_head_network_free(&start);
    if (failed) {
        pf_decay_search_free(&search);
        return -1;
    }
    out->search = search;
    if (search) out->seconds += search->seconds;
    return 0;
}

int pf_head_batch_run(const PfHeadBatchRun *run, const PfExperiment *first,
                      const PfHeadSetting *settings, int count, int64_t seed,
                      PfHeadBatchResult *out, PfError *err)
{
    HeadBatchData batch;
    int failed = open_data(run, first, seed, &batch, err);
    PfHeadBatchConfig config = head_batch_config(run, first, &batch.data);
    config.settings = settings;
    config.head_count = count;
    config.seed = (uint64_t)seed;
    if (!failed && run->finetune)
        failed = train_with_suffix(run, first, &batch.data, &config, out, err);
    else if (!failed && pf_search_plan(first, run->table, NULL) == PF_SEARCH_DECAY)
        failed = train_searched(run, first, &batch.data, &config, out, err);
    else if (!failed && first->optimizer == PF_LBFGS)
        failed = pf_convex_head_train(&batch.data, &config, run->observer, out, err);
    else if (!failed)
        failed = pf_head_trainer_run(&batch.data, &config, run->observer, out, err);
    if (!failed && run->test_scores && score_test_rows(run, &batch.data, out, err)) {
        pf_head_batch_result_free(out);
        failed = -1;
    }
    free_data(&batch);
    return failed ? -1 : 0;
}
