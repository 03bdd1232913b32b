/* train: a head on the features of a cache. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/script_file.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/process.h"
#include "common/file/atomic_file.h"
#include "common/file/output.h"
#include "common/model/model_record.h"
#include "common/thread/processors.h"
#include "train/features/target_kind.h"
#include "train/report/head_model.h"
#include "train/report/page.h"
#include "train/report/predictions.h"
#include "train/report/report.h"
#include "train/report/result.h"
#include "train/report/result_tables.h"
#include "train/report/tensorboard.h"
#include "train/settings/conflicts.h"
#include "train/settings/name_check.h"
#include "train/sweep/checkpoint_run.h"
#include "train/sweep/finished_run.h"
#include "train/sweep/head_batch_run.h"
#include "train/sweep/ranks.h"

static const volatile sig_atomic_t *interrupted;

static int check_places(const PfOutput *outputs, int count, PfError *err)
{
    for (int i = 0; i < count; i++)
        if (outputs[i].path && strcmp(outputs[i].path, "-") &&
            pf_atomic_file_check(outputs[i].path, err))
            return -1;
    return 0;
}

/* Says now what would go wrong after the training, or would be lost. */
static int check_outputs(const PfTrainOptions *options, PfError *err)
{
    const PfFinetuneOptions *finetune = &options->finetune;
    bool has_checkpoint = pf_checkpoint_run_has_place(options);
    char *checkpoint = has_checkpoint ? pf_checkpoint_run_path(options, err) : NULL;
    const PfOutput outputs[] = {{"-o", options->output, PF_CONTENT_MODEL},
                                {"--json", options->json, PF_CONTENT_JSON},
                                {"--csv", options->csv, PF_CONTENT_CSV},
                                {"--predictions", options->predictions, PF_CONTENT_PREDICTIONS},
                                {"--report", options->report, PF_CONTENT_PAGE},
                                {"the checkpoint", checkpoint, PF_CONTENT_ANY}};
    const char *inputs[] = {options->cache, finetune->init, finetune->weights, finetune->backbone};
    const char *whats[] = {"the cache itself", "the model of --init", "the network's weights",
                           "the network"};
    const int count = (int)(sizeof outputs / sizeof *outputs);
    int failed = (has_checkpoint && !checkpoint) ||
                 pf_output_check_all(outputs, count, inputs, whats, 4, err) ||
                 check_places(outputs, count, err);
    if (pf_output_takes_stdout(outputs, count)) pf_log_show_on(stderr);
    free(checkpoint);
    if (!failed && options->tensorboard) failed = pf_tensorboard_check(options->tensorboard, err);
    return failed ? -1 : 0;
}

/* What the sweep tells while it runs. */
typedef struct Watch {
    const PfCache *cache;
    const PfTrainOptions *options;
    PfThreadPool *pool;
    PfPredictionsFile *predictions; /* NULL: none are wanted */
    const PfSweep *sweep;           /* once it has begun */
    PfTrainingLines lines;
} Watch;

static void on_stage(void *context, const PfSweep *sweep, const PfFeatureTable *table)
{
    Watch *watch = context;
    watch->sweep = sweep;
    pf_report_plan(watch->cache, watch->options, sweep, table);
    pf_training_lines_start(&watch->lines, watch->options, sweep, table);
}

static void on_epoch(void *context, const PfHeadEpoch *epoch)
{
    pf_training_lines_epoch(&((Watch *)context)->lines, epoch);
}

static void on_resume(void *context, int epoch)
{
    const Watch *watch = context;
    const PfCheckpoint *checkpoint = watch->sweep ? watch->sweep->checkpoint : NULL;
    int before = checkpoint ? pf_checkpoint_ranks_before(checkpoint) : 1;
    int now = pf_rank_group_size(watch->options->finetune.ranks);
    if (before == now)
        pf_say("going on after epoch %d", epoch);
    else
        pf_say("going on after epoch %d with %d rank%s in place of %d", epoch, now,
               now == 1 ? "" : "s", before);
}

static int on_step(void *context, int64_t done, int64_t total)
{
    pf_training_lines_step(&((Watch *)context)->lines, done, total);
    return *interrupted != 0;
}

/* The rows of a fold by the head that has not seen them. */
static int on_fold(void *context, const PfSweep *sweep, const PfFeatureTable *table,
                   PfHeadNetwork *network, int fold, PfError *err)
{
    Watch *watch = context;
    PfHeadLoader loader;
    PfTaskMetrics *metrics = pf_calloc((size_t)table->task_count, sizeof *metrics, err);
    if (!metrics) return -1;
    int failed = pf_head_loader_new(table, sweep->finetune, watch->pool, &loader, err);
    PfTrainingData data = {.loader = &loader.loader,
                           .features = loader.features,
                           .tasks = table->tasks,
                           .task_count = table->task_count};
    PfEvaluationSink sink = pf_predictions_sink(watch->predictions);
    pf_predictions_begin_part(watch->predictions, table->tasks, table->task_count, PF_SPLIT_VAL,
                              fold);
    if (!failed)
        failed = pf_evaluation_run(network, &data, table->split_rows[PF_SPLIT_VAL],
                                   table->split_counts[PF_SPLIT_VAL], false, watch->pool, &sink,
                                   metrics, err);
    for (int t = 0; t < table->task_count; t++) pf_task_metrics_free(&metrics[t]);
    free(metrics);
    pf_head_loader_free(&loader);
    return failed;
}

/* Whether the winner's rows of that split are written: of folds, val rows were, each by a head that
 * has not seen it. */
static bool writes_rows(const PfTrainRun *run, PfSplit split)
{
    return run->options->predictions &&
           (split == PF_SPLIT_TEST || (split == PF_SPLIT_VAL && !run->options->folds));
}

static int evaluate_split(PfTrainRun *run, const PfTrainingData *data, PfSplit split,
                          const PfTrainRows *rows, Watch *watch, PfError *err)
{
    bool with_auc = split != PF_SPLIT_TRAIN;
    bool writes = watch->predictions && writes_rows(run, split);
    PfEvaluationSink sink;
    if (writes) {
        sink = pf_predictions_sink(watch->predictions);
        pf_predictions_begin_part(watch->predictions, data->tasks, data->task_count, split, -1);
    }
    if (!rows->count) return 0;
    run->metrics[split] = pf_calloc((size_t)data->task_count, sizeof *run->metrics[split], err);
    if (!run->metrics[split]) return -1;
    return pf_evaluation_run(run->sweep->result.network, data, rows->rows, rows->count, with_auc,
                             watch->pool, writes ? &sink : NULL, run->metrics[split], err);
}

/* The train part's metrics are those of the rows that were trained on. */
static int evaluate_splits(PfTrainRun *run, Watch *watch, PfError *err)
{
    const PfSweep *sweep = run->sweep;
    PfFeatureTable *table = sweep->table;
    PfHeadLoader loader;
    PfTrainRows train = {0};
    int failed = pf_head_loader_new(table, sweep->finetune, watch->pool, &loader, err) ||
                 pf_train_rows(table, &sweep->experiment, sweep->experiment.seed, &train, err);
    PfTrainingData data = {.loader = &loader.loader,
                           .features = loader.features,
                           .tasks = table->tasks,
                           .task_count = table->task_count};
    if (!failed) failed = evaluate_split(run, &data, PF_SPLIT_TRAIN, &train, watch, err);
    const bool is_standardized = sweep->experiment.normalize == PF_NORMALIZE_STANDARDIZE;
    if (!failed && run->options->novelty)
        failed = pf_novelty_measure(&loader.loader, loader.features, train.rows, train.count,
                                    table->alike, is_standardized ? sweep->mean : NULL,
                                    sweep->scale, watch->pool, &run->novelty, err);
    for (int split = PF_SPLIT_TRAIN + 1; split < PF_SPLIT_COUNT && !failed; split++) {
        PfTrainRows rows = {.rows = table->split_rows[split], .count = table->split_counts[split]};
        failed = evaluate_split(run, &data, (PfSplit)split, &rows, watch, err);
    }
    free(train.chosen);
    pf_head_loader_free(&loader);
    return failed ? -1 : 0;
}

static void free_metrics(PfTrainRun *run)
{
    pf_novelty_free(&run->novelty);
    for (int split = 0; split < PF_SPLIT_COUNT; split++) {
        for (int t = 0; run->metrics[split] && t < run->sweep->table->task_count; t++)
            pf_task_metrics_free(&run->metrics[split][t]);
        free(run->metrics[split]);
    }
}

static int write_text(const char *path, char *text, PfError *err)
{
    if (!text) return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    if (strcmp(path, "-")) return pf_atomic_file_write(path, text, strlen(text), err);
    return pf_process_write_output(text, err);
}

static int write_json(const char *path, const cJSON *result, PfError *err)
{
    char *printed = pf_json_indented_text(result);
    char *text = printed ? pf_asprintf(err, "%s\n", printed) : NULL;
    int failed = write_text(path, text, err);
    free(text);
    free(printed);
    return failed;
}

static int write_csv(const char *path, const PfTrainRun *run, PfError *err)
{
    char *text = pf_result_csv(run);
    int failed = write_text(path, text, err);
    free(text);
    return failed;
}

/* JSON first, so that a run that misses its --assert can be looked into. */
static int write_results(const PfTrainOptions *options, const PfTrainRun *run, Watch *watch,
                         PfError *err)
{
    bool knows_backbone = true;
    cJSON *json = pf_result_json(run);
    int failed = options->json && write_json(options->json, json, err);
    if (!failed && options->csv) failed = write_csv(options->csv, run, err);
    if (!failed && watch->predictions) failed = pf_predictions_commit(&watch->predictions, err);
    for (int i = 0; i < options->assertion_count && !failed; i++)
        failed = pf_assertion_check(&options->assertions[i], json, err);
    cJSON_Delete(json);
    if (failed || !options->output) return failed;
    failed = pf_head_model_write(options->output, run, &knows_backbone, err);
    if (!failed && run->sweep->checkpoint && !options->keep_checkpoint)
        pf_checkpoint_remove(run->sweep->checkpoint);
    if (!failed && !knows_backbone)
        pf_warn("'%s' does not say which network its features come from: predict can use this "
                "model on caches only, not on images",
                pf_cache_path(run->cache));
    return failed;
}

static int report_and_write(const PfTrainOptions *options, PfTrainRun *run, Watch *watch,
                            double started, PfError *err)
{
    int failed = evaluate_splits(run, watch, err);
    run->total_seconds = pf_clock_seconds() - started;
    if (failed || !pf_train_ranks_writes(options)) { /* all ranks have computed, and rank 0 tells */
        free_metrics(run);
        return failed;
    }
    if (run->sweep->finetune) pf_finetune_go_alone(run->sweep->finetune);
    if (!failed) {
        pf_report_search(run);
        pf_result_tables_ranking(run);
        pf_report_calibration(run);
        pf_result_tables_metrics(run);
        pf_report_baseline(run);
        failed = write_results(options, run, watch, err);
        if (!failed && options->report)
            failed = pf_train_page_write(options, run, watch->pool, err);
        if (!failed && options->tensorboard) failed = pf_tensorboard_write(options, run, err);
    }
    run->total_seconds = pf_clock_seconds() - started;
    if (!failed) pf_report_end(run, options->output);
    free_metrics(run);
    return failed;
}

static int run_on_cache(const PfTrainOptions *options, PfCache *cache, PfThreadPool *pool,
                        double started, PfError *err)
{
    PfSweep sweep;
    Watch watch = {.cache = cache, .options = options, .pool = pool};
    PfSweepObserver observer = {&watch, on_stage, on_epoch, on_step, on_fold, on_resume};
    if (options->predictions && pf_train_ranks_writes(options) &&
        pf_predictions_open(options, cache, &watch.predictions, err))
        return -1;
    int failed = pf_sweep_run(cache, options, pool, &observer, &sweep, err);
    pf_training_lines_end(&watch.lines);
    PfTrainRun run = {.cache = cache, .options = options, .sweep = &sweep};
    if (!failed && !sweep.is_elsewhere) {
        pf_training_lines_best(&watch.lines, &run);
        failed = report_and_write(options, &run, &watch, started, err);
    }
    pf_predictions_abandon(&watch.predictions);
    pf_sweep_free(&sweep);
    return failed;
}

/* Rank 0 looks for all of them: whether anything is in the way ... */
static int look_at_outputs(const PfTrainOptions *options, PfError *err)
{
    int failed = pf_train_ranks_writes(options) &&
                 (check_outputs(options, err) || (options->output && pf_model_record_check(err)));
    return pf_rank_group_share_failure(options->group, failed, err);
}

/* ... or nothing to be done. */
static int look_at_run(const PfTrainOptions *options, const PfCache *cache, bool *is_finished,
                       PfError *err)
{
    int failed =
        pf_train_ranks_writes(options) && (pf_name_check(options, cache, err) ||
                                           pf_finished_run_look(options, cache, is_finished, err));
    return pf_rank_group_share_failure(options->group, failed, err) ||
           pf_rank_group_broadcast(options->group, is_finished, sizeof *is_finished, err);
}

static int train(const PfTrainOptions *options, PfError *err)
{
    double started = pf_clock_seconds();
    PfCache *cache;
    PfThreadPool *pool;
    if (pf_target_kinds_check(err) || look_at_outputs(options, err) ||
        (options->sources_from && pf_cache_allow_sources(options->sources_from, err)) ||
        pf_cache_open(options->cache, &cache, err))
        return -1;
    bool is_finished = false;
    int failed = pf_train_ranks_compare_cache(options, cache, err) ||
                 look_at_run(options, cache, &is_finished, err);
    if (!failed && !is_finished) failed = pf_thread_pool_new(options->threads, &pool, err);
    if (!failed && !is_finished) {
        failed = run_on_cache(options, cache, pool, started, err);
        pf_thread_pool_free(&pool);
    }
    pf_cache_close(&cache);
    return failed;
}

/* Whoever is interrupted loses the other ranks, which are interrupted, too. */
static int train_together(const PfLaunch *launch, PfTrainOptions *options, PfError *err)
{
    int failed = pf_train_ranks_join(launch, options, err) || train(options, err);
    pf_rank_group_leave(&options->group);
    if (failed && launch->size > 1 && err->exit_code == PF_EXIT_BUSY && *interrupted)
        return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted, with the other ranks");
    return failed;
}

static int run(int argc, char **argv, PfTrainOptions *options, PfError *err)
{
    PfLaunch launch;
    if (pf_train_options_parse(argc, argv, options, err)) return -1;
    pf_log_setup("train", options->quiet ? PF_QUIET : options->verbose ? PF_VERBOSE : PF_NORMAL);
    if (options->help) {
        pf_train_options_help();
    } else if (options->version) {
        puts("train (permafrost) " PF_VERSION);
    } else if (options->trust) {
        return pf_script_file_trust(options->trust, err);
    } else {
        if (pf_train_conflicts_check(options, err) || pf_sweep_settings_check(options, err) ||
            pf_train_ranks_find(options, &launch, err))
            return -1;
        pf_processors_set(options->threads);
        interrupted = options->table.interrupted =
            pf_process_catch_interrupts("no model was written; the same command goes on from the "
                                        "last epoch in the checkpoint, if there is one");
        return train_together(&launch, options, err);
    }
    return 0;
}

int main(int argc, char **argv)
{
    PfTrainOptions options;
    PfError err = {0};
    pf_process_begin_streams();
    pf_log_setup("train", PF_NORMAL);
    if (pf_manual_answer(&pf_train_manual, argc, argv))
        return pf_process_finish_output(&err) ? pf_log_error(&err) : PF_EXIT_DONE;
    int failed = run(argc, argv, &options, &err) || pf_process_finish_output(&err);
    pf_train_options_free(&options);
    return failed ? pf_process_exit_code(pf_log_error(&err)) : PF_EXIT_DONE;
}
