#include "train/sweep/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "train/features/row_choice.h"
#include "train/features/stream_normalize.h"
#include "train/features/target_kind.h"
#include "train/fit/convex_head.h"
#include "train/fit/convex_problem.h"

#define CALIBRATION_FOLDS 5

int pf_stage_fold_count(const PfTrainOptions *options)
{
    return options->folds ? options->folds : CALIBRATION_FOLDS;
}

int64_t pf_stage_batch_rows(const PfSweepSetting *settings, int count)
{
    int64_t most = 0;
    for (int s = 0; s < count; s++) {
        const PfExperiment *experiment = &settings[s].experiment;
        int64_t batch =
            experiment->optimizer == PF_LBFGS ? PF_CONVEX_BATCH_ROWS : experiment->batch;
        if (batch > most) most = batch;
    }
    return most;
}

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
static int check_smoothing(const PfStageSource *source, const PfFeatureTable *table, PfError *err)
{
    bool is_smoothed = false;
    for (int s = 0; s < source->setting_count; s++)
        is_smoothed |= source->settings[s].experiment.setting.label_smoothing > 0;
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

/* Not every loss has an optimum that lbfgs can find. */
static int check_optimum(const PfStageSource *source, const PfFeatureTable *table, PfError *err)
{
    for (int s = 0; s < source->setting_count; s++) {
        const PfExperiment *experiment = &source->settings[s].experiment;
        if (experiment->optimizer == PF_LBFGS &&
            pf_convex_head_check(table->tasks, table->task_count, &experiment->spec, err))
            return -1;
    }
    return 0;
}

/* What the experiment says of classes, or NULL. */
static const char *setting_of_classes(const PfExperiment *experiment)
{
    return experiment->setting.label_smoothing > 0        ? "label-smoothing"
           : experiment->balanced_loss                    ? "class-weights balanced"
           : experiment->sampling == PF_SAMPLING_BALANCED ? "sampling balanced"
           : experiment->per_class                        ? "per-class"
                                                          : NULL;
}

/* What is of classes needs a target of them. */
static int check_class_settings(const PfStageSource *source, const PfFeatureTable *table,
                                PfError *err)
{
    if (pf_feature_table_class_task(table)) return 0;
    for (int s = 0; s < source->setting_count; s++) {
        const char *wrong = setting_of_classes(&source->settings[s].experiment);
        if (!wrong) continue;
        return pf_fail(err, PF_EXIT_USAGE,
                       "--%s is of classes, and no target that is trained holds them", wrong);
    }
    return 0;
}

/* Rows are chosen by the classes of one target, and those without one are not chosen. */
static void warn_of_unclassed(const PfStageSource *source, const PfFeatureTable *table)
{
    const PfTask *by = pf_feature_table_class_task(table);
    const char *option = NULL;
    const int64_t count = table->split_counts[PF_SPLIT_TRAIN];
    int64_t without = 0;
    for (int s = 0; s < source->setting_count && !option; s++) {
        const PfExperiment *experiment = &source->settings[s].experiment;
        option = experiment->per_class                          ? "--per-class"
                 : experiment->sampling == PF_SAMPLING_BALANCED ? "--sampling balanced"
                                                                : NULL;
    }
    for (int64_t i = 0; by && option && i < count; i++)
        without += pf_task_class(by, table->split_rows[PF_SPLIT_TRAIN][i]) < 0;
    if (without)
        pf_warn("%s goes by the classes of '%s': %lld of %lld train rows have none, and are not "
                "trained on",
                option, by->name, (long long)without, (long long)count);
}

/* --per-class takes all rows of classes that have no more. */
static int warn_of_few_rows(const PfStageSource *source, const PfFeatureTable *table, PfError *err)
{
    const PfTask *by = pf_feature_table_class_task(table);
    int64_t wanted = 0, least;
    int few;
    for (int s = 0; s < source->setting_count; s++)
        wanted = pf_max(wanted, source->settings[s].experiment.per_class);
    if (!by || !wanted) return 0;
    if (pf_row_choice_count_few(by, table->split_rows[PF_SPLIT_TRAIN],
                                table->split_counts[PF_SPLIT_TRAIN], wanted, &few, &least, err))
        return -1;
    if (few)
        pf_warn("--per-class %lld: %d of %d classes of '%s' have fewer train rows, the smallest "
                "%lld; all of theirs are taken",
                (long long)wanted, few, pf_task_class_count(by), by->name, (long long)least);
    return 0;
}

/* Curves of test scores need test rows. */
static void warn_of_no_test(const PfTrainOptions *options, const PfFeatureTable *table)
{
    if (options->evaluate_all && !table->split_counts[PF_SPLIT_TEST])
        pf_warn("--evaluate-all: there are no test rows, so the results hold no test scores. Hint: "
                "extract --split val=0.15,test=0.15 draws them");
}

/* Says of which fold err speaks. */
static int fail_of_fold(int folds, int fold, PfError *err)
{
    PfError own = *err;
    if (fold < 0) return -1;
    return pf_fail(err, (PfExit)own.exit_code, "with fold %d of %d held out, %" PF_SENTENCE,
                   fold + 1, folds, own.message);
}

/* How many of the train and val rows can be dealt out: rows that are alike go together. */
static int count_apart(const PfFeatureTable *table, int64_t *count, PfError *err)
{
    uint8_t *seen = pf_calloc((size_t)table->rows, 1, err);
    if (!seen) return -1;
    *count = 0;
    for (int split = PF_SPLIT_TRAIN; split <= PF_SPLIT_VAL; split++)
        for (int64_t i = 0; i < table->split_counts[split]; i++) {
            const int32_t row = table->split_rows[split][i];
            uint8_t *first = &seen[table->alike ? table->alike[row] : (uint32_t)row];
            *count += !*first;
            *first = 1;
        }
    free(seen);
    return 0;
}

/* A fold without rows would validate nothing, and its head would learn from all. */
static int check_folds(const PfTrainOptions *options, const PfFeatureTable *table, PfError *err)
{
    const int folds = pf_stage_fold_count(options);
    const int64_t rows = table->split_counts[PF_SPLIT_TRAIN] + table->split_counts[PF_SPLIT_VAL];
    char who[80] = "--calibrate without val rows";
    int64_t apart;
    if (options->folds) snprintf(who, sizeof who, "--folds %d", folds);
    if (count_apart(table, &apart, err)) return -1;
    if (apart >= folds) return 0;
    if (rows < folds)
        return pf_fail(err, PF_EXIT_FAILED,
                       "%s needs %d rows to train and validate on, and there are %lld", who, folds,
                       (long long)rows);
    return pf_fail(err, PF_EXIT_FAILED,
                   "%s needs %d rows to train and validate on that are not alike, and there are "
                   "%lld: equal images, and those of a group, are in one fold",
                   who, folds, (long long)apart);
}

/* Train and val rows together, one fold of them to validate on; fold -1: none, all are trained on.
 */
static int assign_fold(PfFeatureTable *table, const PfCache *cache, int folds, int fold,
                       PfError *err)
{
    int64_t count = table->split_counts[PF_SPLIT_TRAIN] + table->split_counts[PF_SPLIT_VAL], n = 0;
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
        failed =
            pf_feature_table_reassign(table, pf_cache_path(cache), rows, in_fold, count, err) &&
            fail_of_fold(folds, fold, err);
    table->val = 0; /* which rows a hash would have held out is of no account now */
    free(in_fold);
    free(rows);
    return failed ? -1 : 0;
}

static int prepare_tasks(const PfStageSource *source, PfFeatureTable *table, bool warns,
                         PfError *err)
{
    const PfTrainOptions *options = source->options;
    const int32_t *rows = table->split_rows[PF_SPLIT_TRAIN];
    int64_t count = table->split_counts[PF_SPLIT_TRAIN];
    for (int i = 0; i < options->task_count; i++)
        if (apply_task_setting(table, &options->tasks[i], warns, err)) return -1;
    if (check_smoothing(source, table, err) || check_class_settings(source, table, err) ||
        check_optimum(source, table, err))
        return -1;
    if (warns && warn_of_few_rows(source, table, err)) return -1;
    if (warns) warn_of_unclassed(source, table);
    if (warns) warn_of_no_test(options, table);
    for (int t = 0; t < table->task_count; t++)
        if (pf_task_standardize(&table->tasks[t], rows, count, err) ||
            pf_task_balance(&table->tasks[t], rows, count, err))
            return -1;
    return 0;
}

static int fill(const PfStageSource *source, bool warns, PfStage *stage, PfError *err)
{
    const PfTrainOptions *options = source->options;
    PfFeatureTableConfig config = options->table;
    config.batch_rows = pf_stage_batch_rows(source->settings, source->setting_count);
    config.stream_seconds = source->stream_seconds;
    config.joins_val = options->folds > 0;
    if (pf_feature_table_load(source->cache, source->taps[stage->tap], &config, &stage->table, err))
        return -1;
    PfFeatureTable *table = stage->table;
    const bool has_folds =
        options->folds || (options->calibrate && !table->split_counts[PF_SPLIT_VAL]);
    if ((has_folds || stage->fold >= 0) && check_folds(options, table, err)) return -1;
    if ((options->folds || stage->fold >= 0) &&
        assign_fold(table, source->cache, pf_stage_fold_count(options), stage->fold, err))
        return -1;
    stage->mean = pf_calloc(2 * (size_t)table->features, sizeof *stage->mean, err);
    if (!stage->mean) return -1;
    stage->scale = stage->mean + table->features;
    if (prepare_tasks(source, table, warns, err)) return -1;
    if (table->stream)
        return pf_stream_normalize(table, stage->normalize, source->pool, stage->mean, stage->scale,
                                   err);
    return pf_normalize(table, stage->normalize, options->threads, stage->mean, stage->scale, err);
}

int pf_stage_open(const PfStageSource *source, int tap, int fold, PfNormalize normalize, bool warns,
                  PfStage *out, PfError *err)
{
    *out = (PfStage){.tap = tap, .fold = fold, .normalize = normalize};
    if (!fill(source, warns, out, err)) return 0;
    pf_stage_close(out);
    return -1;
}

void pf_stage_close(PfStage *stage)
{
    pf_feature_table_free(&stage->table);
    free(stage->mean);
    *stage = (PfStage){0};
}
