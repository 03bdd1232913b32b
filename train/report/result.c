#include "train/report/result.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/result_stamp.h"
#include "common/cache/split.h"
#include "common/cache/views.h"
#include "common/file/csv.h"
#include "train/features/target_kind.h"
#include "train/fit/decay_search.h"
#include "train/sweep/finished_run.h"
#include "train/sweep/head_batch_run.h"

/* ---- what a run knows ---- */

const PfCacheTap *pf_train_run_tap(const PfTrainRun *run)
{
    return pf_cache_tap(run->cache, run->sweep->taps[run->sweep->tap]);
}

const char *pf_train_run_head_tap(const PfTrainRun *run, PfShape *shape)
{
    const PfCacheTap *tap = pf_train_run_tap(run);
    const PfFinetune *finetune = run->sweep->finetune;
    *shape = finetune ? *pf_finetune_shape(finetune)
                      : pf_cache_views_shape(&tap->shape, run->sweep->table->views);
    return finetune ? pf_finetune_network(finetune)->output : tap->name;
}

const PfHeadHistory *pf_train_run_history(const PfTrainRun *run)
{
    return &run->sweep->result.histories[0];
}

int64_t pf_train_run_rows(const PfTrainRun *run, int split, int task)
{
    return run->metrics[split] ? run->metrics[split][task].count : 0;
}

const PfHeadEpoch *pf_train_run_best(const PfTrainRun *run)
{
    const PfHeadHistory *history = pf_train_run_history(run);
    return &history->epochs[history->best_epoch - 1];
}

const char *pf_train_run_score_name(const PfFeatureTable *table)
{
    return table->task_count == 1 ? pf_target_traits(table->tasks[0].kind)->score_name : "score";
}

/* ---- settings ---- */

static void add_targets(cJSON *json, const PfFeatureTable *table)
{
    if (table->task_count == 1) cJSON_AddStringToObject(json, "target", table->tasks[0].name);
    cJSON *targets = cJSON_AddArrayToObject(json, "targets");
    for (int t = 0; t < table->task_count; t++) {
        const PfTask *task = &table->tasks[t];
        cJSON *target = cJSON_CreateObject();
        cJSON_AddStringToObject(target, "name", task->name);
        cJSON_AddStringToObject(target, "kind", pf_target_kind_name(task->kind));
        const PfLoss *loss = pf_loss(task->loss);
        cJSON_AddStringToObject(target, "loss", loss->title);
        if (loss->parameter.key)
            cJSON_AddNumberToObject(target, loss->parameter.key, task->loss_parameter);
        cJSON_AddNumberToObject(target, "weight", task->weight);
        cJSON_AddItemToArray(targets, target);
    }
}

static void add_head(cJSON *json, const PfHeadSpec *spec)
{
    char text[PF_HEAD_SPEC_TEXT_SIZE];
    cJSON_AddStringToObject(json, "head", pf_head_spec_text(spec, text));
    if (!spec->hidden_count) return;
    cJSON_AddStringToObject(json, "activation", pf_activation_names[spec->activation]);
    cJSON_AddStringToObject(json, "head_norm", pf_head_norm_names[spec->norm]);
    cJSON_AddNumberToObject(json, "dropout", spec->dropout);
}

static void add_steps(cJSON *json, const PfTrainRun *run)
{
    const PfExperiment *experiment = &run->sweep->experiment;
    const PfHeadSetting *setting = &experiment->setting;
    char schedule[PF_SCHEDULE_TEXT_SIZE];
    int64_t rows = pf_train_row_count(run->sweep->table, experiment);
    cJSON_AddNumberToObject(json, "epochs", pf_experiment_epochs(experiment, rows));
    cJSON_AddNumberToObject(json, "batch", experiment->batch);
    cJSON_AddNumberToObject(json, "lr", setting->learning_rate);
    if (experiment->optimizer == PF_SGD) {
        cJSON_AddNumberToObject(json, "momentum", setting->momentum);
        cJSON_AddBoolToObject(json, "nesterov", experiment->nesterov);
    }
    cJSON_AddStringToObject(json, "schedule", pf_schedule_text(&setting->schedule, schedule));
    cJSON_AddNumberToObject(json, "warmup", setting->warmup_epochs);
    cJSON_AddNumberToObject(json, "clip", setting->clip_norm);
    cJSON_AddNumberToObject(json, "patience", experiment->patience);
    cJSON_AddStringToObject(json, "sampling", pf_sampling_names[experiment->sampling]);
}

static void add_finetune(cJSON *json, const PfTrainRun *run)
{
    const PfFinetuneOptions *options = &run->options->finetune;
    cJSON *finetune = cJSON_AddObjectToObject(json, "finetune");
    cJSON_AddStringToObject(finetune, "node", options->node);
    cJSON_AddStringToObject(finetune, "cut", pf_train_run_tap(run)->name);
    cJSON_AddNumberToObject(finetune, "lr", run->sweep->experiment.backbone_rate);
    cJSON_AddStringToObject(finetune, "batch_norm", options->train_batch_norm ? "learn" : "frozen");
    cJSON_AddStringToObject(finetune, "precision", options->bf16 ? "bf16" : "fp32");
    cJSON_AddBoolToObject(finetune, "warm_head", run->options->warm_head);
    if (options->ranks)
        cJSON_AddNumberToObject(finetune, "ranks", pf_rank_group_size(options->ranks));
}

/* A number, or where a search gave each target its own, an object of them. */
static void add_weight_decay(cJSON *json, const PfTrainRun *run)
{
    const PfFeatureTable *table = run->sweep->table;
    const PfDecaySearch *search = run->sweep->result.search;
    if (!search || search->task_count == 1) {
        cJSON_AddNumberToObject(json, "weight_decay", run->sweep->experiment.setting.weight_decay);
        return;
    }
    cJSON *decays = cJSON_AddObjectToObject(json, "weight_decay");
    for (int t = 0; t < search->task_count; t++)
        cJSON_AddNumberToObject(decays, table->tasks[t].name, search->decays[t]);
}

/* What the logits were divided by, which is in the weights already. */
static void add_calibration(cJSON *json, const PfTrainRun *run)
{
    const PfCalibration *calibration = run->sweep->calibration;
    if (!calibration) return;
    cJSON *object = cJSON_AddObjectToObject(json, "calibration");
    cJSON_AddStringToObject(object, "rows_of", calibration->folds ? "folds" : "val");
    cJSON_AddNumberToObject(object, "rows", (double)calibration->rows);
    cJSON *targets = cJSON_AddObjectToObject(object, "targets");
    for (int t = 0; t < calibration->task_count; t++) {
        const PfCalibrationTask *own = &calibration->tasks[t];
        if (!own->rows) continue;
        cJSON *target = cJSON_AddObjectToObject(targets, run->sweep->table->tasks[t].name);
        cJSON_AddNumberToObject(target, "temperature", own->temperature);
        cJSON_AddNumberToObject(target, "calibration_error_before", own->error_before);
        cJSON_AddNumberToObject(target, "calibration_error", own->error_after);
        cJSON_AddNumberToObject(target, "loss_before", own->loss_before);
        cJSON_AddNumberToObject(target, "loss", own->loss_after);
    }
}

cJSON *pf_result_config(const PfTrainRun *run)
{
    const PfExperiment *experiment = &run->sweep->experiment;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "cache", pf_cache_path(run->cache));
    PfShape shape;
    cJSON_AddStringToObject(json, "tap", pf_train_run_head_tap(run, &shape));
    if (run->sweep->finetune) add_finetune(json, run);
    add_targets(json, run->sweep->table);
    add_head(json, &experiment->spec);
    cJSON_AddStringToObject(json, "optimizer", pf_optimizer_names[experiment->optimizer]);
    add_weight_decay(json, run);
    if (experiment->optimizer != PF_LBFGS) add_steps(json, run);
    cJSON_AddNumberToObject(json, "label_smoothing", experiment->setting.label_smoothing);
    cJSON_AddStringToObject(json, "class_weights", experiment->balanced_loss ? "balanced" : "none");
    cJSON_AddStringToObject(json, "normalize", pf_normalize_names[experiment->normalize]);
    if (experiment->per_class) cJSON_AddNumberToObject(json, "per_class", experiment->per_class);
    cJSON_AddNumberToObject(json, "views",
                            experiment->optimizer == PF_LBFGS ? 1 : run->sweep->table->drawn_views);
    cJSON_AddNumberToObject(json, "val_fraction", run->sweep->table->val);
    if (run->options->folds) cJSON_AddNumberToObject(json, "folds", run->options->folds);
    if (run->sweep->table->val > 0)
        cJSON_AddStringToObject(json, "val_keys",
                                pf_split_val_keys_names[run->sweep->table->val_keys]);
    cJSON_AddNumberToObject(json, "seed", (double)experiment->seed);
    add_calibration(json, run);
    return json;
}

/* ---- epochs ---- */

/* "val_accuracy", or what else the score is called. */
static void add_score(cJSON *json, const PfTrainRun *run, const char *split, double value)
{
    char key[32];
    snprintf(key, sizeof key, "%s_%s", split, pf_train_run_score_name(run->sweep->table));
    pf_metrics_add_number(json, key, value);
}

static cJSON *epoch_json(const PfTrainRun *run, const PfHeadEpoch *epoch)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "epoch", epoch->epoch);
    if (run->sweep->experiment.optimizer != PF_LBFGS)
        cJSON_AddNumberToObject(json, "lr", epoch->learning_rate);
    pf_metrics_add_number(json, "train_loss", epoch->train_loss);
    add_score(json, run, "train", epoch->train_score);
    pf_metrics_add_number(json, "val_loss", epoch->val_loss);
    add_score(json, run, "val", epoch->val_score);
    return json;
}

static void add_epochs(cJSON *json, const PfTrainRun *run)
{
    const PfHeadHistory *history = pf_train_run_history(run);
    cJSON *epochs = cJSON_AddArrayToObject(json, "epochs");
    for (int e = 0; e < history->epoch_count; e++)
        cJSON_AddItemToArray(epochs, epoch_json(run, &history->epochs[e]));
    cJSON_AddItemToObject(json, "best", epoch_json(run, pf_train_run_best(run)));
    if (run->sweep->experiment.optimizer != PF_LBFGS) return;
    cJSON *lbfgs = cJSON_AddObjectToObject(json, "lbfgs");
    cJSON_AddNumberToObject(lbfgs, "iterations", history->iterations);
    cJSON_AddBoolToObject(lbfgs, "converged", history->converged);
    cJSON_AddNumberToObject(lbfgs, "objective", history->objective);
}

/* ---- metrics ---- */

static cJSON *task_json(const PfTask *task, const PfTaskMetrics *metrics, bool with_details)
{
    const void *values;
    const PfMetricField *fields = pf_task_metric_fields(metrics, &values);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "rows", (double)metrics->count);
    pf_metrics_add_fields(json, fields, values, true);
    if (with_details) metrics->metrics->add_json(metrics->values, task->classes, json);
    return json;
}

cJSON *pf_result_split(const PfTrainRun *run, PfSplit split, bool with_details)
{
    const PfFeatureTable *table = run->sweep->table;
    const PfTaskMetrics *metrics = run->metrics[split];
    if (table->task_count == 1) return task_json(&table->tasks[0], &metrics[0], with_details);
    cJSON *json = cJSON_CreateObject();
    for (int t = 0; t < table->task_count; t++)
        if (metrics[t].count)
            cJSON_AddItemToObject(json, table->tasks[t].name,
                                  task_json(&table->tasks[t], &metrics[t], with_details));
    return json;
}

/* ---- the sweep ---- */

static cJSON *ranked_json(const PfTrainRun *run, const PfRanked *ranked)
{
    const PfSweep *sweep = run->sweep;
    const char *split = ranked->of_train ? "train" : "val";
    cJSON *json = cJSON_CreateObject(), *setting = cJSON_AddObjectToObject(json, "setting");
    for (int a = 0; a < run->options->axis_count; a++)
        cJSON_AddStringToObject(setting, run->options->axes[a].name,
                                sweep->settings[ranked->setting].values[a]);
    if (sweep->tap_count > 1)
        cJSON_AddStringToObject(json, "tap",
                                pf_cache_tap(run->cache, sweep->taps[ranked->tap])->name);
    add_score(json, run, split, ranked->mean);
    pf_metrics_add_number(json, "deviation", ranked->deviation);
    pf_metrics_add_number(json, ranked->of_train ? "train_loss" : "val_loss", ranked->mean_loss);
    if (run->options->evaluate_all) {
        add_score(json, run, "test", ranked->test_mean);
        pf_metrics_add_number(json, "test_deviation", ranked->test_deviation);
    }
    cJSON_AddNumberToObject(json, "heads", ranked->trials);
    if (ranked->diverged) cJSON_AddNumberToObject(json, "diverged", ranked->diverged);
    return json;
}

static void add_sweep(cJSON *json, const PfTrainRun *run)
{
    const PfSweep *sweep = run->sweep;
    if (sweep->trial_count == 1) return;
    cJSON_AddNumberToObject(json, "heads", sweep->trial_count);
    cJSON *ranking = cJSON_AddArrayToObject(json, "sweep");
    for (int i = 0; i < sweep->ranked_count; i++)
        cJSON_AddItemToArray(ranking, ranked_json(run, &sweep->ranking[i]));
}

/* ---- the search ---- */

/* A path without steps chose nothing. */
static cJSON *path_json(const PfDecayPath *path, double decay)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "weight_decay", decay);
    if (path->count) cJSON_AddNumberToObject(json, "lowest", path->steps[path->weakest].decay);
    if (path->count) cJSON_AddNumberToObject(json, "highest", path->steps[path->strongest].decay);
    cJSON *steps = cJSON_AddArrayToObject(json, "steps");
    for (int s = 0; s < path->count; s++) {
        cJSON *step = cJSON_CreateObject();
        cJSON_AddNumberToObject(step, "weight_decay", path->steps[s].decay);
        pf_metrics_add_number(step, "loss", path->steps[s].loss);
        pf_metrics_add_number(step, "standard_error", path->steps[s].standard_error);
        pf_metrics_add_number(step, "score", path->steps[s].score);
        cJSON_AddItemToArray(steps, step);
    }
    return json;
}

static void add_search(cJSON *json, const PfTrainRun *run)
{
    const PfDecaySearch *search = run->sweep->result.search;
    if (!search) return;
    cJSON *searched = cJSON_AddObjectToObject(json, "search");
    cJSON_AddStringToObject(searched, "rows_of", "train");
    cJSON_AddNumberToObject(searched, "rows", (double)search->rows);
    cJSON_AddNumberToObject(searched, "folds", search->folds);
    if (search->folds == 1)
        cJSON_AddNumberToObject(searched, "held_rows", (double)search->held_rows);
    cJSON_AddNumberToObject(searched, "seconds", search->seconds);
    cJSON *targets = cJSON_AddObjectToObject(searched, "targets");
    for (int t = 0; t < search->task_count; t++)
        cJSON_AddItemToObject(targets, run->sweep->table->tasks[t].name,
                              path_json(&search->paths[t], search->decays[t]));
}

static void add_stream_seconds(cJSON *json, const PfStreamSeconds *seconds)
{
    cJSON_AddNumberToObject(json, "stream_read", 1e-9 * (double)seconds->read_nanoseconds);
    cJSON_AddNumberToObject(json, "stream_decompress", 1e-9 * (double)seconds->unpack_nanoseconds);
}

static void add_finetune_seconds(cJSON *json, const PfTrainRun *run)
{
    const PfSuffixSeconds *seconds = pf_finetune_seconds(run->sweep->finetune);
    cJSON_AddNumberToObject(json, "read", seconds->read);
    cJSON_AddNumberToObject(json, "forward", seconds->forward);
    cJSON_AddNumberToObject(json, "backward", seconds->backward);
    cJSON_AddNumberToObject(json, "step", seconds->step);
    cJSON_AddNumberToObject(json, "evaluate", seconds->evaluate);
}

/* By which a later run knows that this is its result. */
static void add_run(cJSON *json, const PfTrainRun *run)
{
    char name[PF_FINISHED_RUN_NAME_SIZE];
    cJSON *record = pf_finished_run_record(run->options, run->cache);
    if (!record) return;
    pf_finished_run_name(record, name);
    cJSON_AddStringToObject(json, "run", name);
    cJSON_Delete(record);
}

cJSON *pf_result_json(const PfTrainRun *run)
{
    cJSON *json = cJSON_CreateObject();
    const PfFinetune *finetune = run->sweep->finetune;
    const PfFinetuneNetwork *network = finetune ? pf_finetune_network(finetune) : NULL;
    pf_result_stamp_add(json, run->options->argc, run->options->argv,
                        network ? network->plugin->suffix->describe(network->suffix) : NULL);
    add_run(json, run);
    cJSON_AddItemToObject(json, "config", pf_result_config(run));
    add_sweep(json, run);
    add_search(json, run);
    add_calibration(json, run);
    add_epochs(json, run);
    pf_equal_images_add(json, &run->sweep->table->equal);
    for (int split = 0; split < PF_SPLIT_COUNT; split++)
        if (run->metrics[split])
            cJSON_AddItemToObject(json, pf_split_names[split],
                                  pf_result_split(run, (PfSplit)split, split != PF_SPLIT_TRAIN));
    cJSON *seconds = cJSON_AddObjectToObject(json, "seconds");
    cJSON_AddNumberToObject(seconds, "load", run->sweep->load_seconds);
    cJSON_AddNumberToObject(seconds, "train", run->sweep->train_seconds);
    cJSON_AddNumberToObject(seconds, "total", run->total_seconds);
    if (run->sweep->finetune) add_finetune_seconds(seconds, run);
    if (run->sweep->table->stream) add_stream_seconds(seconds, &run->sweep->stream_seconds);
    return json;
}

/* ---- CSV ---- */

/* An empty field where there is no number. */
static void put_number(FILE *stream, double value)
{
    if (isfinite(value))
        fprintf(stream, ",%.9g", value);
    else
        fputc(',', stream);
}

static void put_header(const PfCsv *csv, const PfTrainRun *run)
{
    FILE *stream = csv->stream;
    const char *score = pf_train_run_score_name(run->sweep->table);
    fputs("tap", stream);
    for (int a = 0; a < run->options->axis_count; a++) {
        fputc(',', stream);
        pf_csv_write_field(csv, run->options->axes[a].name);
    }
    fprintf(stream, ",fold,seed,val_%s,val_loss,train_%s,train_loss,best_epoch,epochs,diverged",
            score, score);
    if (run->options->evaluate_all) fprintf(stream, ",test_%s,test_loss", score);
    fputc('\n', stream);
}

static void put_trial(const PfCsv *csv, const PfTrainRun *run, const PfTrial *trial)
{
    FILE *stream = csv->stream;
    const PfSweep *sweep = run->sweep;
    pf_csv_write_field(csv, pf_cache_tap(run->cache, sweep->taps[trial->tap])->name);
    for (int a = 0; a < run->options->axis_count; a++) {
        fputc(',', stream);
        pf_csv_write_field(csv, sweep->settings[trial->setting].values[a]);
    }
    if (trial->fold >= 0)
        fprintf(stream, ",%d", trial->fold);
    else
        fputc(',', stream);
    fprintf(stream, ",%lld", (long long)trial->seed);
    put_number(stream, trial->val_score);
    put_number(stream, trial->val_loss);
    put_number(stream, trial->train_score);
    put_number(stream, trial->train_loss);
    fprintf(stream, ",%d,%d,%d", trial->best_epoch, trial->epoch_count, trial->diverged);
    if (run->options->evaluate_all) {
        put_number(stream, trial->test_score);
        put_number(stream, trial->test_loss);
    }
    fputc('\n', stream);
}

char *pf_result_csv(const PfTrainRun *run)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return NULL;
    PfCsv csv = {.stream = stream,
                 .is_terminal = !strcmp(run->options->csv, "-") && isatty(STDOUT_FILENO),
                 .shields_formulas = run->options->csv_safe};
    put_header(&csv, run);
    for (int i = 0; i < run->sweep->trial_count; i++) put_trial(&csv, run, &run->sweep->trials[i]);
    return fclose(stream) ? NULL : text;
}
