#include "train/sweep/sweep.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "train/features/row_choice.h"
#include "train/features/stream_normalize.h"
#include "train/features/target_kind.h"
#include "train/fit/convex_problem.h"
#include "train/fit/decay_search.h"
#include "train/sweep/checkpoint_run.h"
#include "train/sweep/head_batch_run.h"
#include "train/sweep/sweep_ranks.h"

/* Of all heads of a head batch: parameters, their gradients, the optimiser's state and the best
 * parameters so far. */
#define HEAD_BATCH_BYTES ((int64_t)256 << 20)
#define FLOATS_PER_PARAMETER 5

#define CALIBRATION_FOLDS 5

typedef struct Runner {
    PfCache *cache;
    const PfTrainOptions *options;
    PfThreadPool *pool;
    const PfSweepObserver *observer;
    PfSweep *sweep;
    int trial_total, trials_done, head_batch_size;
    bool told; /* on_stage was called */
    PfSweepDeal deal;
} Runner;

/* Features, rows and tasks as one setting sees them. */
typedef struct Stage {
    int tap, fold;
    PfNormalize normalize;
    PfFeatureTable *table;
    float *mean, *scale; /* (features) */
} Stage;

/* ---- a stage: load, choose rows, normalise ---- */

static int fail_unknown_target(const PfFeatureTable *table, const char *name, PfError *err)
{
    return pf_fail(err, PF_EXIT_USAGE,
                   "--loss or --task-weight names target '%s', which is not "
                   "among the %d that are trained",
                   name, table->task_count);
}

/* warns: of a loss that no target takes. */
static int apply_task_setting(PfFeatureTable *table, const PfTaskSetting *setting, bool warns,
                              PfError *err)
{
    bool found = false, taken = false;
    char served[PF_TARGET_KINDS_SERVED_TEXT];
    for (int t = 0; t < table->task_count; t++) {
        PfTask *task = &table->tasks[t];
        if (*setting->target && strcmp(setting->target, task->name)) continue;
        const bool serves = pf_loss_serves(setting->loss, task->kind);
        if (setting->has_loss && !serves && *setting->target)
            return pf_fail(err, PF_EXIT_USAGE, "--loss: target '%s' does not hold %s", task->name,
                           pf_target_kinds_served(setting->loss, served));
        found = true;
        if (setting->has_loss && serves) {
            task->loss = setting->loss;
            task->loss_parameter = setting->loss_parameter;
            taken = true;
        }
        if (setting->weight >= 0) task->weight = setting->weight;
    }
    if (warns && found && setting->has_loss && !taken)
        pf_warn("--loss %s is for %s, which no target that is trained holds",
                pf_loss(setting->loss)->word, pf_target_kinds_served(setting->loss, served));
    return found ? 0 : fail_unknown_target(table, setting->target, err);
}

/* Every head of the sweep has the losses. */
static int check_smoothing(const PfSweep *sweep, const PfFeatureTable *table, PfError *err)
{
    bool is_smoothed = false;
    for (int s = 0; s < sweep->setting_count; s++)
        is_smoothed |= sweep->settings[s].experiment.setting.label_smoothing > 0;
    for (int t = 0; t < table->task_count && is_smoothed; t++) {
        const PfLoss *loss = pf_loss(table->tasks[t].loss);
        if (pf_task_class_count(&table->tasks[t]) && loss->classes != PF_CLASSES_ALL)
            return pf_fail(err, PF_EXIT_USAGE,
                           "--label-smoothing has no meaning with the %s loss of target '%s', "
                           "which looks at the probability of the label alone",
                           loss->word, table->tasks[t].name);
    }
    return 0;
}

/* Train and val rows together, one fold of them to validate on; fold -1: none, all are trained on.
 */
static int assign_fold(PfFeatureTable *table, const PfCache *cache, int folds, int fold,
                       PfError *err)
{
    int64_t count = table->split_counts[PF_SPLIT_TRAIN] + table->split_counts[PF_SPLIT_VAL], n = 0;
    if (count < folds)
        return pf_fail(err, PF_EXIT_FAILED,
                       "--folds %d needs %d rows to train and validate on, and there are %lld",
                       folds, folds, (long long)count);
    const PfTask *by = pf_feature_table_class_task(table);
    int32_t *rows = pf_calloc((size_t)count, sizeof *rows, err);
    uint8_t *in_fold = pf_calloc((size_t)count, 1, err);
    int failed = !rows || !in_fold;
    const int32_t *train = table->split_rows[PF_SPLIT_TRAIN],
                  *val = table->split_rows[PF_SPLIT_VAL];
    int64_t train_left = table->split_counts[PF_SPLIT_TRAIN];
    int64_t val_left = table->split_counts[PF_SPLIT_VAL];
    for (; n < count && !failed; n++) { /* both lists are ascending */
        int from_train = train_left && (!val_left || *train < *val);
        rows[n] = from_train ? *train++ : *val++;
        from_train ? train_left-- : val_left--;
    }
    if (!failed)
        failed = pf_row_choice_fold(by ? by : &table->tasks[0], rows, table->alike, count, folds, 0,
                                    in_fold, err);
    for (int64_t i = 0; i < count && !failed; i++) in_fold[i] = in_fold[i] == fold;
    if (!failed)
        failed = pf_feature_table_reassign(table, pf_cache_path(cache), rows, in_fold, count, err);
    table->val = 0; /* which rows a hash would have held out is of no account now */
    free(in_fold);
    free(rows);
    return failed ? -1 : 0;
}

static int prepare_tasks(Runner *runner, PfFeatureTable *table, PfError *err)
{
    const PfTrainOptions *options = runner->options;
    const int32_t *rows = table->split_rows[PF_SPLIT_TRAIN];
    int64_t count = table->split_counts[PF_SPLIT_TRAIN];
    for (int i = 0; i < options->task_count; i++)
        if (apply_task_setting(table, &options->tasks[i], !runner->told, err)) return -1;
    if (check_smoothing(runner->sweep, table, err)) return -1;
    for (int t = 0; t < table->task_count; t++)
        if (pf_task_standardize(&table->tasks[t], rows, count, err) ||
            pf_task_balance(&table->tasks[t], rows, count, err))
            return -1;
    return 0;
}

static void free_stage(Stage *stage)
{
    pf_feature_table_free(&stage->table);
    free(stage->mean);
    *stage = (Stage){0};
}

/* Of the largest batch of rows that a training asks for. */
static int64_t batch_rows(const PfSweep *sweep)
{
    int64_t most = 0;
    for (int s = 0; s < sweep->setting_count; s++) {
        const PfExperiment *experiment = &sweep->settings[s].experiment;
        int64_t batch =
            experiment->optimizer == PF_LBFGS ? PF_CONVEX_BATCH_ROWS : experiment->batch;
        if (batch > most) most = batch;
    }
    return most;
}

int pf_sweep_feature_memory(const PfCache *cache, const PfTrainOptions *options,
                            const PfSweep *sweep, int tap, PfFeatureMemory *out, PfError *err)
{
    return pf_feature_memory_plan(cache, sweep->taps[tap], options->table.memory_bytes,
                                  batch_rows(sweep), out, err);
}

/* Of --folds, or where heads out of fold are needed without it. */
static int fold_count(const PfTrainOptions *options)
{
    return options->folds ? options->folds : CALIBRATION_FOLDS;
}

static int fill_stage(Runner *runner, Stage *stage, PfError *err)
{
    const PfTrainOptions *options = runner->options;
    PfFeatureTableConfig config = options->table;
    config.batch_rows = batch_rows(runner->sweep);
    config.stream_seconds = &runner->sweep->stream_seconds;
    if (pf_feature_table_load(runner->cache, runner->sweep->taps[stage->tap], &config,
                              &stage->table, err))
        return -1;
    PfFeatureTable *table = stage->table;
    if ((options->folds || stage->fold >= 0) &&
        assign_fold(table, runner->cache, fold_count(options), stage->fold, err))
        return -1;
    stage->mean = pf_calloc(2 * (size_t)table->features, sizeof *stage->mean, err);
    if (!stage->mean) return -1;
    stage->scale = stage->mean + table->features;
    if (prepare_tasks(runner, table, err)) return -1;
    if (table->stream)
        return pf_stream_normalize(table, stage->normalize, runner->pool, stage->mean, stage->scale,
                                   err);
    return pf_normalize(table, stage->normalize, options->threads, stage->mean, stage->scale, err);
}

static int open_stage(Runner *runner, int tap, int fold, PfNormalize normalize, Stage *stage,
                      PfError *err)
{
    double started = pf_clock_seconds();
    *stage = (Stage){.tap = tap, .fold = fold, .normalize = normalize};
    int failed = fill_stage(runner, stage, err);
    runner->sweep->load_seconds += pf_clock_seconds() - started;
    if (failed) free_stage(stage);
    const PfSweepObserver *observer = runner->observer;
    if (failed) return -1;
    if (!runner->told && observer && observer->on_stage)
        observer->on_stage(observer->context, runner->sweep, stage->table);
    runner->told = true;
    return 0;
}

/* ---- a head batch ---- */

static int on_step(void *context, int64_t done, int64_t total)
{
    Runner *runner = context;
    const PfSweepObserver *observer = runner->observer;
    if (!observer || !observer->on_step) return 0;
    if (runner->trial_total == 1) return observer->on_step(observer->context, done, total);
    return observer->on_step(observer->context,
                             runner->trials_done + runner->head_batch_size * done / total,
                             runner->trial_total);
}

static void on_resume(void *context, int epoch)
{
    Runner *runner = context;
    const PfSweepObserver *observer = runner->observer;
    if (observer && observer->on_resume) observer->on_resume(observer->context, epoch);
}

static void on_epoch(void *context, int epoch, const PfHeadHistory *histories)
{
    Runner *runner = context;
    const PfSweepObserver *observer = runner->observer;
    int is_only = runner->trial_total == 1 && histories[0].epoch_count;
    (void)epoch;
    if (observer && observer->on_epoch && is_only)
        observer->on_epoch(observer->context, &histories[0].epochs[histories[0].epoch_count - 1]);
}

/* Trains experiments that are heads of one head batch. */
static int train_head_batch(Runner *runner, const Stage *stage, const PfExperiment *first,
                            const PfHeadSetting *settings, int count, int64_t seed,
                            PfHeadScore *test_scores, PfHeadBatchResult *out, PfError *err)
{
    PfHeadBatchObserver observer = {runner, on_epoch, on_step, on_resume};
    PfHeadBatchRun run = {.options = runner->options,
                          .table = stage->table,
                          .finetune = runner->sweep->finetune,
                          .checkpoint = runner->sweep->checkpoint,
                          .pool = runner->pool,
                          .observer = &observer,
                          .test_scores = test_scores};
    if (pf_head_batch_run(&run, first, settings, count, seed, out, err)) return -1;
    runner->sweep->train_seconds += out->seconds;
    return 0;
}

static int64_t parameters_of(const PfHeadSpec *spec, const PfFeatureTable *table)
{
    int64_t inputs = table->features, count = 0;
    const int64_t outputs = pf_task_outputs(table->tasks, table->task_count);
    for (int l = 0; l <= spec->hidden_count; l++) {
        int64_t width = l < spec->hidden_count ? spec->hidden[l] : outputs;
        count += (inputs + 1) * width;
        inputs = width;
    }
    return count;
}

/* test: NULL where it was not looked at. */
static void note_trial(Runner *runner, const Stage *stage, int setting, int64_t seed,
                       const PfHeadHistory *history, const PfHeadScore *test)
{
    PfTrial *trial = &runner->sweep->trials[runner->trials_done++];
    *trial = (PfTrial){.setting = setting,
                       .tap = stage->tap,
                       .fold = stage->fold,
                       .seed = seed,
                       .val_score = NAN,
                       .val_loss = NAN,
                       .train_score = NAN,
                       .train_loss = NAN,
                       .test_score = NAN,
                       .test_loss = NAN,
                       .best_epoch = history->best_epoch,
                       .epoch_count = history->epoch_count,
                       .diverged = history->diverged};
    if (!history->best_epoch) return;
    const PfHeadEpoch *best = &history->epochs[history->best_epoch - 1];
    trial->val_score = best->val_score;
    trial->val_loss = best->val_loss;
    trial->train_score = best->train_score;
    trial->train_loss = best->train_loss;
    if (!test || history->diverged) return;
    trial->test_score = test->score;
    trial->test_loss = test->loss;
}

/* Trains `count` of the settings whose indices are in members. */
static int run_head_batch(Runner *runner, const Stage *stage, const int *members, int count,
                          int64_t seed, PfError *err)
{
    PfSweep *sweep = runner->sweep;
    const PfExperiment *first = &sweep->settings[members[0]].experiment;
    if (!pf_sweep_deal_next(&runner->deal, runner->trials_done, count)) {
        runner->trials_done += count;
        return 0;
    }
    PfHeadSetting *settings = pf_calloc((size_t)count, sizeof *settings, err);
    bool tests = runner->options->evaluate_all;
    PfHeadScore *scores = tests ? pf_calloc((size_t)count, sizeof *scores, err) : NULL;
    PfHeadBatchResult result;
    if (!settings || (tests && !scores)) {
        free(scores);
        free(settings);
        return -1;
    }
    for (int h = 0; h < count; h++) settings[h] = sweep->settings[members[h]].experiment.setting;
    runner->head_batch_size = count;
    int failed =
        train_head_batch(runner, stage, first, settings, count, seed, scores, &result, err);
    for (int h = 0; h < count && !failed; h++)
        note_trial(runner, stage, members[h], seed, &result.histories[h],
                   tests ? &scores[h] : NULL);
    free(scores);
    free(settings);
    if (failed) return -1;
    if (runner->trial_total == 1)
        sweep->result = result; /* the winner: no need to train it again */
    else
        pf_head_batch_result_free(&result);
    return 0;
}

/* All settings with the stage's normalisation, one head batch after the other. */
static int run_stage(Runner *runner, const Stage *stage, int64_t seed, PfError *err)
{
    const PfSweep *sweep = runner->sweep;
    size_t count = (size_t)sweep->setting_count;
    int *members = pf_calloc(count, sizeof *members, err), failed = !members;
    unsigned char *done = pf_calloc(count, 1, err);
    if (!done) failed = -1;
    for (int s = 0; s < sweep->setting_count && !failed; s++) {
        const PfExperiment *first = &sweep->settings[s].experiment;
        if (done[s] || first->normalize != stage->normalize) continue;
        int64_t most = HEAD_BATCH_BYTES / (FLOATS_PER_PARAMETER * (int64_t)sizeof(float) *
                                           parameters_of(&first->spec, stage->table));
        int size = 0;
        for (int other = s; other < sweep->setting_count && (!size || size < most); other++) {
            const PfExperiment *experiment = &sweep->settings[other].experiment;
            if (done[other] || (other != s && !pf_experiment_same_batch(first, experiment)))
                continue;
            done[other] = 1;
            members[size++] = other;
        }
        failed = run_head_batch(runner, stage, members, size, seed + first->seed, err);
    }
    free(done);
    free(members);
    return failed ? -1 : 0;
}

/* ---- everything ---- */

static bool uses_normalization(const PfSweep *sweep, PfNormalize normalize)
{
    for (int s = 0; s < sweep->setting_count; s++)
        if (sweep->settings[s].experiment.normalize == normalize) return true;
    return false;
}

static int run_tap(Runner *runner, int tap, int fold, PfError *err)
{
    for (int n = PF_NORMALIZE_NONE; n <= PF_NORMALIZE_L2; n++) {
        Stage stage;
        if (!uses_normalization(runner->sweep, (PfNormalize)n)) continue;
        if (open_stage(runner, tap, fold, (PfNormalize)n, &stage, err)) return -1;
        int failed = 0;
        for (int s = 0; s < runner->options->seeds && !failed; s++)
            failed = run_stage(runner, &stage, s, err);
        if (!failed && runner->trial_total == 1) { /* the winner's */
            runner->sweep->table = stage.table;
            runner->sweep->mean = stage.mean;
            runner->sweep->scale = stage.scale;
        } else {
            free_stage(&stage);
        }
        if (failed) return -1;
    }
    return 0;
}

static int run_trials(Runner *runner, PfError *err)
{
    const PfTrainOptions *options = runner->options;
    for (int tap = 0; tap < runner->sweep->tap_count; tap++)
        for (int fold = options->folds ? 0 : -1; fold < (options->folds ? options->folds : 0);
             fold++)
            if (run_tap(runner, tap, fold, err)) return -1;
    return 0;
}

static int fail_diverged(const PfSweep *sweep, PfError *err)
{
    const PfExperiment *experiment = &sweep->settings[sweep->ranking[0].setting].experiment;
    const PfTrial *trial = &sweep->trials[0];
    if (sweep->trial_count > 1)
        return pf_fail(err, PF_EXIT_FAILED,
                       "the training of all %d heads diverged. Hint: smaller learning rates, or "
                       "--normalize standardize.",
                       sweep->trial_count);
    if (experiment->optimizer == PF_LBFGS)
        return pf_fail(err, PF_EXIT_FAILED,
                       "the loss is not a finite number: features or targets are too large. Hint: "
                       "--normalize standardize.");
    return pf_fail(err, PF_EXIT_FAILED,
                   "the training diverged: the loss of epoch %d is not a number. Hint: a smaller "
                   "--lr than %g, or --normalize standardize.",
                   trial->epoch_count + 1, experiment->setting.learning_rate);
}

/* ---- the winner ---- */

/* What a search found stands for what was not said. */
static void take_search(PfSweep *sweep)
{
    const PfDecaySearch *search = sweep->result.search;
    if (!search) return;
    sweep->experiment.optimizer = PF_LBFGS;
    sweep->experiment.setting.weight_decay = search->decays[0];
}

static int train_winner(Runner *runner, PfError *err)
{
    PfSweep *sweep = runner->sweep;
    const PfRanked *best = &sweep->ranking[0];
    Stage stage;
    sweep->experiment = sweep->settings[best->setting].experiment;
    sweep->experiment.seed = best->best_seed;
    sweep->tap = best->tap;
    take_search(sweep);
    if (runner->trial_total == 1) return 0;
    if (open_stage(runner, best->tap, -1, sweep->experiment.normalize, &stage, err)) return -1;
    sweep->table = stage.table;
    sweep->mean = stage.mean;
    sweep->scale = stage.scale;
    runner->head_batch_size = 0;
    if (train_head_batch(runner, &stage, &sweep->experiment, &sweep->experiment.setting, 1,
                         sweep->experiment.seed, NULL, &sweep->result, err))
        return -1;
    take_search(sweep);
    if (!sweep->result.histories[0].diverged) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "the best setting diverged when it was trained on all train rows. Hint: smaller "
                   "learning rates.");
}

/* The winning setting once more on each fold, from its best seed: the same head, to the last bit,
 * as when it was ranked. Only its outputs are wanted. */
static int visit_folds(Runner *runner, PfError *err)
{
    PfSweep *sweep = runner->sweep;
    const PfRanked *best = &sweep->ranking[0];
    const PfExperiment *experiment = &sweep->settings[best->setting].experiment;
    const PfSweepObserver *observer = runner->observer;
    runner->head_batch_size = 0;
    for (int fold = 0; fold < runner->options->folds; fold++) {
        Stage stage;
        PfHeadBatchResult result;
        if (open_stage(runner, best->tap, fold, experiment->normalize, &stage, err)) return -1;
        int failed = train_head_batch(runner, &stage, experiment, &experiment->setting, 1,
                                      best->best_seed, NULL, &result, err);
        if (!failed) {
            failed =
                observer->on_fold(observer->context, sweep, stage.table, result.network, fold, err);
            pf_head_batch_result_free(&result);
        }
        free_stage(&stage);
        if (failed) return -1;
    }
    return 0;
}

/* ---- its temperatures ---- */

static int add_logits(Runner *runner, const PfFeatureTable *table, PfHeadNetwork *network,
                      PfError *err)
{
    PfHeadLoader loader;
    int failed = pf_head_loader_new(table, runner->sweep->finetune, runner->pool, &loader, err);
    PfTrainingData data = {.loader = &loader.loader,
                           .features = loader.features,
                           .tasks = table->tasks,
                           .task_count = table->task_count};
    if (!failed)
        failed = pf_calibration_add(runner->sweep->calibration, network, &data,
                                    table->split_rows[PF_SPLIT_VAL],
                                    table->split_counts[PF_SPLIT_VAL], runner->pool, err);
    pf_head_loader_free(&loader);
    return failed ? -1 : 0;
}

/* A head like the winner, of the rows but a fold: what it says of the fold. */
static int add_fold(Runner *runner, int fold, PfError *err)
{
    PfSweep *sweep = runner->sweep;
    PfHeadBatchResult result = {0};
    Stage stage;
    if (open_stage(runner, sweep->tap, fold, sweep->experiment.normalize, &stage, err)) return -1;
    runner->head_batch_size = 0;
    int failed = train_head_batch(runner, &stage, &sweep->experiment, &sweep->experiment.setting, 1,
                                  sweep->experiment.seed, NULL, &result, err) ||
                 add_logits(runner, stage.table, result.network, err);
    pf_head_batch_result_free(&result);
    free_stage(&stage);
    return failed ? -1 : 0;
}

static int calibrate(Runner *runner, PfError *err)
{
    PfSweep *sweep = runner->sweep;
    const PfFeatureTable *table = sweep->table;
    if (!runner->options->calibrate) return 0;
    if (pf_calibration_new(table->tasks, table->task_count, &sweep->calibration, err)) return -1;
    if (table->split_counts[PF_SPLIT_VAL]) {
        if (add_logits(runner, table, sweep->result.network, err)) return -1;
    } else if (sweep->finetune) {
        return pf_fail(err, PF_EXIT_USAGE,
                       "--calibrate with --finetune needs rows for validation: heads out of fold "
                       "would take as many fine-tunings");
    } else {
        sweep->calibration->folds = fold_count(runner->options);
        for (int fold = 0; fold < sweep->calibration->folds; fold++)
            if (add_fold(runner, fold, err)) return -1;
    }
    pf_calibration_fit(sweep->calibration, table->tasks);
    pf_calibration_apply(sweep->calibration, table->tasks, sweep->result.network);
    return 0;
}

static int choose_taps(Runner *runner, PfError *err)
{
    PfSweep *sweep = runner->sweep;
    const char *name = runner->options->tap;
    bool all = name && !strcmp(name, "all");
    sweep->tap_count = all ? pf_cache_tap_count(runner->cache) : 1;
    sweep->taps = pf_calloc((size_t)sweep->tap_count, sizeof *sweep->taps, err);
    if (!sweep->taps) return -1;
    for (int t = 0; t < sweep->tap_count; t++) sweep->taps[t] = t;
    if (sweep->finetune) {
        sweep->taps[0] = pf_finetune_network(sweep->finetune)->cut_tap;
        return 0;
    }
    return all ? 0 : pf_feature_table_choose_tap(runner->cache, name, &sweep->taps[0], err);
}

/* One training alone keeps what it has, beside the model that it will write. */
static int open_checkpoint(Runner *runner, PfError *err)
{
    const PfTrainOptions *options = runner->options;
    const PfFinetune *finetune = runner->sweep->finetune;
    const PfExperiment *experiment = &runner->sweep->settings[0].experiment;
    bool has_place = pf_checkpoint_run_has_place(options);
    if (options->resume && (!has_place || runner->trial_total > 1))
        return pf_fail(err, PF_EXIT_USAGE, "--resume %s",
                       has_place ? "goes on with one training, not with a sweep"
                                 : "needs -o FILE: the checkpoint lies beside it");
    if (!has_place || runner->trial_total > 1 || experiment->optimizer == PF_LBFGS) return 0;
    PfCheckpoint **checkpoint = &runner->sweep->checkpoint;
    if (pf_checkpoint_run_open(runner->cache, options,
                               finetune ? pf_finetune_network(finetune) : NULL, experiment,
                               checkpoint, err) ||
        pf_checkpoint_share(*checkpoint, options->finetune.ranks, err))
        return -1;
    if (options->force && pf_checkpoint_is_there(*checkpoint))
        pf_say("starting over '%s'", pf_checkpoint_path(*checkpoint));
    return 0;
}

static int run_all(Runner *runner, PfError *err)
{
    PfSweep *sweep = runner->sweep;
    const size_t most = (size_t)(sweep->tap_count * sweep->setting_count);
    if (run_trials(runner, err) ||
        pf_sweep_deal_gather(&runner->deal, sweep->trials, sweep->trial_count, err))
        return -1;
    sweep->is_elsewhere = runner->deal.group && pf_rank_group_rank(runner->deal.group);
    if (sweep->is_elsewhere) return 0;
    if (!(sweep->ranking = pf_calloc(most, sizeof *sweep->ranking, err))) return -1;
    sweep->ranked_count = pf_ranking_make(sweep->trials, sweep->trial_count, sweep->ranking);
    if (sweep->ranking[0].diverged) return fail_diverged(sweep, err);
    bool wants_folds = runner->options->predictions && runner->options->folds;
    if (wants_folds && runner->observer && runner->observer->on_fold && visit_folds(runner, err))
        return -1;
    return train_winner(runner, err) || calibrate(runner, err) ? -1 : 0;
}

int pf_sweep_run(PfCache *cache, const PfTrainOptions *options, PfThreadPool *pool,
                 const PfSweepObserver *observer, PfSweep *out, PfError *err)
{
    Runner runner = {
        .cache = cache, .options = options, .pool = pool, .observer = observer, .sweep = out};
    *out = (PfSweep){0};
    if (pf_sweep_settings_list(options, &out->settings, &out->setting_count, err) ||
        (options->finetune.node &&
         pf_finetune_open(cache, &options->finetune, &out->finetune, err)) ||
        (out->finetune && pf_finetune_compare_ranks(out->finetune, err)) ||
        choose_taps(&runner, err))
        return -1;
    int64_t total = (int64_t)out->tap_count * out->setting_count * options->seeds *
                    (options->folds ? options->folds : 1);
    if (total > INT32_MAX)
        return pf_fail(err, PF_EXIT_USAGE, "%lld heads are too many for one run", (long long)total);
    out->trial_count = runner.trial_total = (int)total;
    out->trials = pf_calloc((size_t)total, sizeof *out->trials, err);
    PfRankGroup *dealt = options->finetune.ranks ? NULL : options->group;
    int failed = !out->trials || pf_sweep_deal_new(dealt, out->trial_count, &runner.deal, err) ||
                 open_checkpoint(&runner, err) || run_all(&runner, err);
    pf_sweep_deal_free(&runner.deal);
    return failed ? -1 : 0;
}

void pf_sweep_free(PfSweep *sweep)
{
    pf_head_batch_result_free(&sweep->result);
    pf_feature_table_free(&sweep->table);
    pf_calibration_free(&sweep->calibration);
    pf_finetune_close(&sweep->finetune);
    pf_checkpoint_free(&sweep->checkpoint);
    pf_sweep_settings_free(&sweep->settings, sweep->setting_count);
    free(sweep->mean);
    free(sweep->taps);
    free(sweep->trials);
    free(sweep->ranking);
    *sweep = (PfSweep){0};
}
