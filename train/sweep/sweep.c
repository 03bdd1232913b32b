#include "train/sweep/sweep.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "train/fit/decay_search.h"
#include "train/head/novelty.h"
#include "train/sweep/checkpoint_run.h"
#include "train/sweep/head_batch_run.h"
#include "train/sweep/search_plan.h"
#include "train/sweep/stage.h"
#include "train/sweep/sweep_ranks.h"

/* Of all heads of a head batch: parameters, their gradients, the optimiser's state and the best
 * parameters so far. */
#define HEAD_BATCH_BYTES ((int64_t)256 << 20)
#define FLOATS_PER_PARAMETER 5

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

/* ---- a stage ---- */

int pf_sweep_feature_memory(const PfCache *cache, const PfTrainOptions *options,
                            const PfSweep *sweep, int tap, PfFeatureMemory *out, PfError *err)
{
    int64_t batch = pf_stage_batch_rows(sweep->settings, sweep->setting_count);
    return pf_feature_memory_plan(cache, sweep->taps[tap], options->table.memory_bytes, batch, out,
                                  err);
}

/* The rows that the kept head will be trained on, as far as the first stage shows them. */
static int64_t kept_train_rows(const Runner *runner, const PfFeatureTable *table,
                               const PfExperiment *experiment)
{
    if (runner->options->folds)
        return table->split_counts[PF_SPLIT_TRAIN] + table->split_counts[PF_SPLIT_VAL];
    return pf_train_row_count(table, experiment);
}

static int check_novelty(const Runner *runner, const PfFeatureTable *table, PfError *err)
{
    const PfSweep *sweep = runner->sweep;
    for (int t = 0; t < sweep->tap_count; t++) {
        const PfShape *shape = &pf_cache_tap(runner->cache, sweep->taps[t])->shape;
        int64_t features = sweep->finetune ? pf_finetune_features(sweep->finetune)
                                           : pf_shape_count(shape) / table->views;
        for (int s = 0; s < sweep->setting_count; s++) {
            const PfExperiment *experiment = &sweep->settings[s].experiment;
            if (pf_novelty_check(kept_train_rows(runner, table, experiment), features, err))
                return -1;
        }
    }
    return 0;
}

static int check_calibration(const Runner *runner, const PfFeatureTable *table, PfError *err)
{
    bool has_val = !runner->options->folds && table->split_counts[PF_SPLIT_VAL];
    if (pf_calibration_check(table->tasks, table->task_count, err)) return -1;
    if (has_val || !runner->sweep->finetune) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--calibrate with --finetune needs rows for validation, and no --folds: heads "
                   "out of fold would take as many fine-tunings");
}

static int check_resume(const Runner *runner, const PfFeatureTable *table, PfError *err)
{
    const PfExperiment *experiment = &runner->sweep->settings[0].experiment;
    bool is_searched =
        !runner->sweep->finetune && pf_search_plan(experiment, table, NULL) == PF_SEARCH_DECAY;
    if (!is_searched && experiment->optimizer != PF_LBFGS) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--resume goes on with a training in steps, and %s keeps no state: the same "
                   "command begins anew.\nHint: leave out --resume%s",
                   is_searched ? "the search of the weight decay" : "--optimizer lbfgs",
                   is_searched ? ", or train in steps with --no-search" : "");
}

/* What would be refused after the training, or could not be done at all: before the first step. */
static int check_wishes(const Runner *runner, const PfFeatureTable *table, PfError *err)
{
    const PfTrainOptions *options = runner->options;
    return (options->calibrate && check_calibration(runner, table, err)) ||
                   (options->novelty && check_novelty(runner, table, err)) ||
                   (options->resume && check_resume(runner, table, err))
               ? -1
               : 0;
}

/* tap: of the sweep. */
static int open_stage(Runner *runner, int tap, int fold, PfNormalize normalize, PfStage *stage,
                      PfError *err)
{
    double started = pf_clock_seconds();
    PfSweep *sweep = runner->sweep;
    PfStageSource source = {.cache = runner->cache,
                            .options = runner->options,
                            .settings = sweep->settings,
                            .setting_count = sweep->setting_count,
                            .taps = sweep->taps,
                            .pool = runner->pool,
                            .stream_seconds = &sweep->stream_seconds};
    int failed = pf_stage_open(&source, tap, fold, normalize, !runner->told, stage, err);
    sweep->load_seconds += pf_clock_seconds() - started;
    if (failed) return -1;
    if (!runner->told && check_wishes(runner, stage->table, err)) {
        pf_stage_close(stage);
        return -1;
    }
    const PfSweepObserver *observer = runner->observer;
    if (!runner->told && observer && observer->on_stage)
        observer->on_stage(observer->context, sweep, stage->table);
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

static PfHeadBatchRun head_batch_of(const Runner *runner, const PfStage *stage,
                                    const PfHeadBatchObserver *observer)
{
    return (PfHeadBatchRun){.options = runner->options,
                            .table = stage->table,
                            .finetune = runner->sweep->finetune,
                            .pool = runner->pool,
                            .observer = observer};
}

/* Trains experiments that are heads of one head batch. The checkpoint is that of the one head that
 * a run trains, on no fold. */
static int train_head_batch(Runner *runner, const PfStage *stage, const PfExperiment *first,
                            const PfHeadSetting *settings, int count, int64_t seed,
                            PfHeadScore *test_scores, PfHeadBatchResult *out, PfError *err)
{
    PfHeadBatchObserver observer = {runner, on_epoch, on_step, on_resume};
    PfHeadBatchRun run = head_batch_of(runner, stage, &observer);
    run.checkpoint = stage->fold < 0 ? runner->sweep->checkpoint : NULL;
    run.test_scores = test_scores;
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
static void note_trial(Runner *runner, const PfStage *stage, int setting, int64_t seed,
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
static int run_head_batch(Runner *runner, const PfStage *stage, const int *members, int count,
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
static int run_stage(Runner *runner, const PfStage *stage, int64_t seed, PfError *err)
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
        PfStage stage;
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
            pf_stage_close(&stage);
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

/* While heads out of fold are trained the winner's features are set aside: of two tables at once
 * each would have to be half as large. Streamed ones take no more than their windows. */
static void set_aside(PfSweep *sweep)
{
    if (sweep->table->stream) return;
    pf_feature_table_free(&sweep->table);
    free(sweep->mean);
    sweep->mean = sweep->scale = NULL;
}

static int take_back(Runner *runner, PfError *err)
{
    PfSweep *sweep = runner->sweep;
    PfStage stage;
    if (sweep->table) return 0;
    if (open_stage(runner, sweep->tap, -1, sweep->experiment.normalize, &stage, err)) return -1;
    sweep->table = stage.table;
    sweep->mean = stage.mean;
    sweep->scale = stage.scale;
    return 0;
}

static int train_winner(Runner *runner, PfError *err)
{
    PfSweep *sweep = runner->sweep;
    const PfRanked *best = &sweep->ranking[0];
    PfStage stage;
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

/* Of a head that diverged there is what it was in its best epoch before, if any. */
static void warn_of_fold(const Runner *runner, int fold, const PfHeadBatchResult *result)
{
    if (result->histories[0].diverged)
        pf_warn("with fold %d of %d held out the head diverged: what is said of its rows is worth "
                "little",
                fold + 1, pf_stage_fold_count(runner->options));
}

/* The winning setting once more on each fold, from its best seed: the same head, to the last bit,
 * as when it was ranked, but for the temperatures that the winner has. Only its outputs are wanted.
 */
static int visit_folds(Runner *runner, PfError *err)
{
    PfSweep *sweep = runner->sweep;
    const PfRanked *best = &sweep->ranking[0];
    const PfExperiment *experiment = &sweep->settings[best->setting].experiment;
    const PfSweepObserver *observer = runner->observer;
    runner->head_batch_size = 0;
    for (int fold = 0; fold < runner->options->folds; fold++) {
        PfStage stage;
        PfHeadBatchResult result;
        if (open_stage(runner, best->tap, fold, experiment->normalize, &stage, err)) return -1;
        int failed = train_head_batch(runner, &stage, experiment, &experiment->setting, 1,
                                      best->best_seed, NULL, &result, err);
        if (!failed) {
            warn_of_fold(runner, fold, &result);
            if (sweep->calibration)
                pf_calibration_apply(sweep->calibration, stage.table->tasks, result.network);
            failed =
                observer->on_fold(observer->context, sweep, stage.table, result.network, fold, err);
            pf_head_batch_result_free(&result);
        }
        pf_stage_close(&stage);
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

/* A head like the winner, of the rows but a fold: what it says of the fold, which chooses nothing
 * of it, as no rows chose the winner's epoch. */
static int add_fold(Runner *runner, int fold, PfError *err)
{
    PfSweep *sweep = runner->sweep;
    const PfHeadBatchObserver observer = {.context = runner, .on_step = on_step};
    PfHeadBatchResult result = {0};
    PfStage stage;
    if (open_stage(runner, sweep->tap, fold, sweep->experiment.normalize, &stage, err)) return -1;
    runner->head_batch_size = 0;
    PfHeadBatchRun run = head_batch_of(runner, &stage, &observer);
    run.ignores_val = true;
    run.decays = sweep->result.search ? sweep->result.search->decays : NULL;
    int failed = pf_head_batch_run(&run, &sweep->experiment, &sweep->experiment.setting, 1,
                                   sweep->experiment.seed, &result, err);
    if (!failed) {
        warn_of_fold(runner, fold, &result);
        failed = add_logits(runner, stage.table, result.network, err);
    }
    sweep->train_seconds += result.seconds;
    pf_head_batch_result_free(&result);
    pf_stage_close(&stage);
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
    } else {
        sweep->calibration->folds = pf_stage_fold_count(runner->options);
        set_aside(sweep);
        for (int fold = 0; fold < sweep->calibration->folds; fold++)
            if (add_fold(runner, fold, err)) return -1;
        if (take_back(runner, err)) return -1;
    }
    const PfTask *tasks = sweep->table->tasks;
    if (pf_calibration_fit(sweep->calibration, tasks, runner->pool, err)) return -1;
    pf_calibration_apply(sweep->calibration, tasks, sweep->result.network);
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
    if (sweep->ranking[0].diverged == sweep->ranking[0].trials) return fail_diverged(sweep, err);
    if (sweep->ranking[0].diverged)
        pf_warn("%d of the %d heads of the best setting diverged, and are left out of its mean",
                sweep->ranking[0].diverged, sweep->ranking[0].trials);
    bool wants_folds = runner->options->predictions && runner->options->folds && runner->observer &&
                       runner->observer->on_fold;
    /* A suffix of the network is in one state at a time, and is to end in the winner's. Heads are
     * visited behind it, as the temperatures come from it; none are there of a suffix on folds. */
    if (wants_folds && sweep->finetune && visit_folds(runner, err)) return -1;
    if (train_winner(runner, err) || calibrate(runner, err)) return -1;
    if (!wants_folds || sweep->finetune) return 0;
    set_aside(sweep);
    return visit_folds(runner, err) || take_back(runner, err) ? -1 : 0;
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
