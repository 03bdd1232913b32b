#include "train/report/report.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/integers.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/size_text.h"
#include "common/cache/split.h"
#include "common/cache/views.h"
#include "common/thread/processors.h"
#include "train/features/target_kind.h"
#include "train/fit/decay_search.h"
#include "train/sweep/head_batch_run.h"
#include "train/sweep/search_plan.h"

#define MAX_EPOCH_LINES 20
#define EPOCH_COLUMNS 71 /* "  best so far" counted */

/* ---- the plan ---- */

/* "'age', 1 number, 'gender' with 2 classes" */
static void list_tasks(const PfFeatureTable *table, char *text, size_t size)
{
    *text = '\0';
    for (int t = 0; t < table->task_count; t++) {
        const PfTask *task = &table->tasks[t];
        size_t used = strlen(text);
        const char *comma = t ? ", " : "";
        char columns[48];
        pf_target_traits(task->kind)->describe(task->outputs, columns, sizeof columns);
        snprintf(text + used, size - used, "%s'%s'%s", comma, task->name, columns);
    }
}

/* Warns of equal images in different parts. Where train itself has chosen the val rows by their
 * paths, that is why, and the warning says so. */
static void print_equal(const PfFeatureTable *table)
{
    char text[PF_EQUAL_IMAGES_TEXT];
    bool is_by_path = table->val > 0 && !table->keys && table->equal.val_in_train;
    if (!*pf_equal_images_text(&table->equal, text)) return;
    pf_warn("%s%s", text,
            is_by_path ? ". Val was chosen by hash of the paths, as this cache began; one that is "
                         "made anew (extract --force) keeps equal images together"
                       : "");
}

/* Whether a head of the sweep learns from --per-class rows only. */
static bool has_per_class(const PfSweep *sweep)
{
    for (int s = 0; s < sweep->setting_count; s++)
        if (sweep->settings[s].experiment.per_class) return true;
    return false;
}

/* How many of the train rows the heads learn from: "415", "40 of 415", "at most 30 of 415". */
static void train_rows_text(const PfSweep *sweep, const PfFeatureTable *table, char text[64])
{
    const int64_t all = table->split_counts[PF_SPLIT_TRAIN];
    int64_t least = all, most = 0;
    for (int s = 0; s < sweep->setting_count; s++) {
        const int64_t rows = pf_train_row_count(table, &sweep->settings[s].experiment);
        least = pf_min(least, rows);
        most = pf_max(most, rows);
    }
    if (least == all)
        snprintf(text, 64, "%lld", (long long)all);
    else
        snprintf(text, 64, "%s%lld of %lld", least < most ? "at most " : "", (long long)most,
                 (long long)all);
}

/* "415 train, 85 val (20 % of train, by hash of the bytes)", or which of them are dealt out. */
static void rows_text(const PfTrainOptions *options, const PfSweep *sweep,
                      const PfFeatureTable *table, const char *chosen, char *text, size_t size)
{
    int64_t train = table->split_counts[PF_SPLIT_TRAIN], val = table->split_counts[PF_SPLIT_VAL];
    char rows[64];
    train_rows_text(sweep, table, rows);
    if (options->folds)
        snprintf(text, size, "%lld train and val in %d folds, %s which the last head learns from",
                 (long long)(train + val), options->folds,
                 has_per_class(sweep) ? "some of" : "all of");
    else
        snprintf(text, size, "%s train, %lld val%s", rows, (long long)val, chosen);
}

static void print_data(const PfCache *cache, const PfTrainOptions *options, const PfSweep *sweep,
                       const PfFeatureTable *table)
{
    const PfCacheTap *tap = pf_cache_tap(cache, sweep->taps[0]);
    PfShape view = pf_cache_views_shape(&tap->shape, table->views);
    char shape[PF_SHAPE_TEXT_SIZE], tasks[512], left_out[48] = "", chosen[80] = "", taps[96];
    char rows[224];
    if (table->unlabelled)
        snprintf(left_out, sizeof left_out, ", %lld unlabelled left out",
                 (long long)table->unlabelled);
    if (table->val > 0)
        snprintf(chosen, sizeof chosen, " (%g %% of train, by %s%s)", 100 * table->val,
                 table->val_keys == PF_VAL_KEYS_SECOND ? "a second " : "",
                 !table->keys        ? "hash of the paths"
                 : table->has_groups ? "hash of the groups"
                 : table->by_number  ? "row number"
                                     : "hash of the bytes");
    if (sweep->tap_count > 1)
        snprintf(taps, sizeof taps, "all %d taps", sweep->tap_count);
    else
        snprintf(taps, sizeof taps, "tap '%s' %s", tap->name, pf_shape_text(&view, shape));
    list_tasks(table, tasks, sizeof tasks);
    rows_text(options, sweep, table, chosen, rows, sizeof rows);
    pf_say("%s: %s, target%s %s; rows: %s, %lld test%s", options->cache, taps,
           table->task_count > 1 ? "s" : "", tasks, rows,
           (long long)table->split_counts[PF_SPLIT_TEST], left_out);
    print_equal(table);
}

static void print_views(const PfSweep *sweep, const PfFeatureTable *table)
{
    bool is_drawn = table->drawn_views > 1 && sweep->settings[0].experiment.optimizer != PF_LBFGS;
    if (is_drawn)
        pf_say("views: %d of each image; every epoch draws one of the first %d, and the centre is "
               "evaluated",
               table->views, table->drawn_views);
    else if (table->views > 1)
        pf_say("views: %d of each image, of which the centre is used", table->views);
}

/* "features: 12.3 GB, streamed in blocks through 512 MB" */
static void print_feature_memory(const PfCache *cache, const PfTrainOptions *options,
                                 const PfSweep *sweep, int tap)
{
    PfFeatureMemory memory;
    char size[PF_SIZE_TEXT], limit[PF_SIZE_TEXT], of[PF_CACHE_NAME_SIZE + 8] = "";
    if (pf_sweep_feature_memory(cache, options, sweep, tap, &memory, NULL)) return;
    if (sweep->tap_count > 1)
        snprintf(of, sizeof of, " of '%s'", pf_cache_tap(cache, sweep->taps[tap])->name);
    pf_size_text(memory.table_bytes, size);
    if (memory.is_streamed)
        pf_say("features%s: %s, streamed in blocks through %s", of, size,
               pf_size_text(memory.limit_bytes, limit));
    else
        pf_say("features%s: %s, in memory", of, size);
}

static void head_settings_text(const PfExperiment *experiment, int64_t rows, char *text,
                               size_t size)
{
    const PfHeadSetting *setting = &experiment->setting;
    char schedule[PF_SCHEDULE_TEXT_SIZE], momentum[32] = "";
    const char *normalize = pf_normalize_names[experiment->normalize];
    if (experiment->optimizer == PF_LBFGS) {
        snprintf(text, size, "lbfgs to the optimum, weight decay %g, normalize %s",
                 setting->weight_decay, normalize);
        return;
    }
    if (experiment->optimizer == PF_SGD)
        snprintf(momentum, sizeof momentum, ", momentum %g", setting->momentum);
    snprintf(text, size, "%s, lr %g %s, weight decay %g%s, batch %d, %d epochs, normalize %s",
             pf_optimizer_names[experiment->optimizer], setting->learning_rate,
             pf_schedule_text(&setting->schedule, schedule), setting->weight_decay, momentum,
             experiment->batch, pf_experiment_epochs(experiment, rows), normalize);
}

/* A search is still to come. */
static void searched_settings_text(const PfExperiment *experiment, char *text, size_t size)
{
    snprintf(text, size, "lbfgs to the optimum, weight decay to be searched, normalize %s",
             pf_normalize_names[experiment->normalize]);
}

/* Why nothing is searched, of a tap or of all heads. */
static void print_why_not(const char *of, const char *why_not)
{
    pf_say("weight decay and rate%s are the defaults, not searched: %s does not go with a search",
           of, why_not);
}

static void print_head(const PfSweep *sweep, const PfFeatureTable *table)
{
    const PfExperiment *experiment = &sweep->settings[0].experiment;
    char spec[PF_HEAD_SPEC_TEXT_SIZE], settings[256];
    int64_t features = sweep->finetune ? pf_finetune_features(sweep->finetune) : table->features;
    const char *why_not;
    if (pf_search_plan(experiment, table, &why_not) == PF_SEARCH_DECAY)
        searched_settings_text(experiment, settings, sizeof settings);
    else
        head_settings_text(experiment, pf_train_row_count(table, experiment), settings,
                           sizeof settings);
    pf_say("%s head %lld -> %lld: %s", pf_head_spec_text(&experiment->spec, spec),
           (long long)features, (long long)pf_task_outputs(table->tasks, table->task_count),
           settings);
    if (why_not) print_why_not("", why_not);
}

/* The same of the heads of a sweep, which has a search where it is one over taps, folds or seeds
 * alone: of some taps the features may be streamed, of others not. */
static void print_sweeps_search(const PfCache *cache, const PfTrainOptions *options,
                                const PfSweep *sweep, const PfFeatureTable *table)
{
    const PfExperiment *experiment = &sweep->settings[0].experiment;
    PfFeatureTable in_memory = *table;
    PfFeatureMemory memory;
    const char *why_not;
    char of[PF_CACHE_NAME_SIZE + 8];
    in_memory.stream = NULL;
    pf_search_plan(experiment, &in_memory, &why_not);
    if (why_not) print_why_not("", why_not);
    for (int tap = 0; tap < sweep->tap_count && experiment->searches && !why_not; tap++) {
        if (pf_sweep_feature_memory(cache, options, sweep, tap, &memory, NULL) ||
            !memory.is_streamed)
            continue;
        snprintf(of, sizeof of, " of '%s'", pf_cache_tap(cache, sweep->taps[tap])->name);
        print_why_not(sweep->tap_count > 1 ? of : "", "streaming features");
    }
}

static void print_finetune(const PfTrainOptions *options, const PfSweep *sweep)
{
    const PfFinetuneNetwork *network = pf_finetune_network(sweep->finetune);
    size_t count;
    const PfSuffixTensor *tensors = pf_finetune_tensors(sweep->finetune, &count);
    double parameters = 0;
    for (size_t i = 0; i < count; i++)
        if (tensors[i].gradient) parameters += (double)pf_shape_count(&tensors[i].shape);
    pf_say("fine-tuning '%s' up to '%s': %.2f M parameters, %s, lr %g%s, batch norm %s; %s",
           options->finetune.node, network->output, parameters / 1e6,
           options->finetune.bf16 ? "bf16" : "fp32", sweep->settings[0].experiment.backbone_rate,
           options->warm_head ? ", after a head alone" : "",
           options->finetune.train_batch_norm ? "learning" : "frozen",
           network->plugin->suffix->describe(network->suffix));
    if (network->chose_weights)
        pf_say("weights: %s, sha256 %.8s; the cache of pixels names none",
               pf_weights_source(network->weights),
               pf_json_member_text(network->backbone, "weights_sha256"));
}

static void print_sweep(const PfTrainOptions *options, const PfSweep *sweep)
{
    char text[512] = "";
    for (int a = 0; a < options->axis_count; a++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%d of %s", a ? " x " : "",
                 options->axes[a].count, options->axes[a].name);
    }
    size_t used = strlen(text);
    if (options->folds)
        snprintf(text + used, sizeof text - used, "%s%d folds", used ? " x " : "", options->folds);
    used = strlen(text);
    if (options->seeds > 1)
        snprintf(text + used, sizeof text - used, "%s%d seeds", used ? " x " : "", options->seeds);
    used = strlen(text);
    if (sweep->tap_count > 1)
        snprintf(text + used, sizeof text - used, "%s%d taps", used ? " x " : "", sweep->tap_count);
    pf_say("%d heads: %s", sweep->trial_count, text);
}

static void warn_of_untrained(const PfFeatureTable *table)
{
    int count = table->untrained_classes;
    const char *parts = table->joins_val ? "test" : "val or test";
    if (count == 1 && table->untrained_name)
        pf_warn("class '%s' of %s is not in train: a head cannot know it, and its rows count as "
                "wrong",
                table->untrained_name, parts);
    else if (count && table->untrained_name)
        pf_warn("%d classes of %s, '%s' among them, are not in train: a head cannot know them, and "
                "their rows count as wrong",
                count, parts, table->untrained_name);
    else if (count)
        pf_warn("classes of %s that are not in train: %d. A head cannot know them, and their rows "
                "count as wrong",
                parts, count);
}

void pf_report_plan(const PfCache *cache, const PfTrainOptions *options, const PfSweep *sweep,
                    const PfFeatureTable *table)
{
    print_data(cache, options, sweep, table);
    print_views(sweep, table);
    pf_processors_say();
    for (int tap = 0; tap < sweep->tap_count; tap++)
        print_feature_memory(cache, options, sweep, tap);
    if (sweep->trial_count == 1)
        print_head(sweep, table);
    else
        print_sweep(options, sweep);
    if (sweep->trial_count > 1) print_sweeps_search(cache, options, sweep, table);
    if (sweep->finetune) print_finetune(options, sweep);
    warn_of_untrained(table);
    if (!table->split_counts[PF_SPLIT_VAL] && !options->folds)
        pf_warn("no rows for validation: the last epoch is kept, whatever it is worth");
}

/* ---- while it runs ---- */

/* Epochs between two lines: 1, 2, 5, 10, 20, 50, ... */
static int line_stride(int epochs)
{
    static const int factors[] = {1, 2, 5};
    for (int power = 1;; power *= 10)
        for (int i = 0; i < 3; i++)
            if (epochs / (factors[i] * power) < MAX_EPOCH_LINES || power >= 100000000)
                return factors[i] * power;
}

/* Then lines of epochs have no rate, and fit 40 columns. */
static bool is_narrow(void)
{
    return pf_log_columns(STDERR_FILENO) < EPOCH_COLUMNS;
}

void pf_training_lines_start(PfTrainingLines *lines, const PfTrainOptions *options,
                             const PfSweep *sweep, const PfFeatureTable *table)
{
    const PfExperiment *experiment = &sweep->settings[0].experiment;
    *lines = (PfTrainingLines){
        .options = options,
        .heads = sweep->trial_count,
    };
    if (sweep->trial_count == 1 && experiment->optimizer != PF_LBFGS &&
        pf_search_plan(experiment, table, NULL) == PF_SEARCH_NONE) {
        lines->epochs = pf_experiment_epochs(experiment, pf_train_row_count(table, experiment));
        char score[24];
        snprintf(score, sizeof score, "val %s", pf_train_run_score_name(table));
        if (is_narrow())
            pf_say(" epoch    train      val %8s", pf_train_run_score_name(table));
        else
            pf_say(" epoch          lr   train loss   val loss   %12s", score);
    }
    pf_progress_start(&lines->progress, lines->heads > 1 ? "heads" : "steps", sweep->trial_count);
}

void pf_training_lines_step(PfTrainingLines *lines, int64_t done, int64_t total)
{
    lines->progress.total = total;
    pf_progress_update(&lines->progress, done, NULL);
}

static void print_epoch(const PfHeadEpoch *epoch, const char *remark)
{
    char loss[16] = "-", score[16] = "-";
    if (!isnan(epoch->val_loss)) {
        snprintf(loss, sizeof loss, "%.4f", epoch->val_loss);
        snprintf(score, sizeof score, "%.4f", epoch->val_score);
    }
    if (is_narrow())
        pf_say("%6d %8.4f %8s %8s%s", epoch->epoch, epoch->train_loss, loss, score,
               *remark ? " best" : "");
    else
        pf_say("%6d  %10.4g   %10.4f   %8s   %12s%s", epoch->epoch, epoch->learning_rate,
               epoch->train_loss, loss, score, remark);
}

void pf_training_lines_epoch(PfTrainingLines *lines, const PfHeadEpoch *epoch)
{
    int stride = pf_log_verbosity() > PF_NORMAL ? 1 : line_stride(lines->epochs);
    if (!lines->epochs) return;
    if (epoch->epoch % stride && epoch->epoch != 1 && epoch->epoch != lines->epochs) return;
    pf_progress_end(&lines->progress);
    print_epoch(epoch, epoch->is_best && !isnan(epoch->val_loss) ? "  best so far" : "");
}

void pf_training_lines_end(PfTrainingLines *lines)
{
    pf_progress_end(&lines->progress);
}

/* ---- the search ---- */

/* "weight decay 0.0316 chosen by 5 folds of the 800 train rows: their loss 0.3314 +- 0.0309; 0.01
 * to 0.1 are within one standard error" of a target. */
static void print_path(const PfDecayPath *path, double decay, const char *target, const char *by)
{
    char of[PF_CACHE_NAME_SIZE + 8] = "", loss[128];
    const PfDecayStep *chosen = &path->steps[path->chosen];
    if (*target) snprintf(of, sizeof of, " of '%s'", target);
    if (!path->count) {
        pf_say("weight decay %.3g%s is the default: no row that was held out has a value of it",
               decay, of);
        return;
    }
    if (isnan(chosen->standard_error))
        snprintf(loss, sizeof loss, "%.4f", chosen->loss);
    else
        snprintf(loss, sizeof loss, "%.4f +- %.4f; %.3g to %.3g are within one standard error",
                 chosen->loss, chosen->standard_error, path->steps[path->weakest].decay,
                 path->steps[path->strongest].decay);
    pf_say("weight decay %.3g%s chosen %s: their loss %s", decay, of, by, loss);
}

/* Why rows chose no decay. */
static void print_no_choice(int64_t rows)
{
    if (rows < PF_DECAY_LEAST_ROWS)
        pf_say("weight decay and rate are the defaults: %lld train rows are too few to choose",
               (long long)rows);
    else
        pf_say("weight decay and rate are the defaults: the %lld train rows are of fewer than %d "
               "groups or images that differ, too few to choose",
               (long long)rows, PF_DECAY_FOLDS);
}

void pf_report_search(const PfTrainRun *run)
{
    const PfDecaySearch *search = run->sweep->result.search;
    char by[96];
    if (!search) {
        if (pf_search_plan(&run->sweep->experiment, run->sweep->table, NULL) != PF_SEARCH_NONE)
            print_no_choice(pf_train_row_count(run->sweep->table, &run->sweep->experiment));
        return;
    }
    if (search->folds == 1)
        snprintf(by, sizeof by, "by %lld of the %lld train rows, held out from the others",
                 (long long)search->held_rows, (long long)search->rows);
    else
        snprintf(by, sizeof by, "by %d folds of the %lld train rows", search->folds,
                 (long long)search->rows);
    for (int t = 0; t < search->task_count; t++)
        print_path(&search->paths[t], search->decays[t],
                   search->task_count > 1 ? run->sweep->table->tasks[t].name : "", by);
}

void pf_report_calibration(const PfTrainRun *run)
{
    const PfCalibration *calibration = run->sweep->calibration;
    for (int t = 0; calibration && t < calibration->task_count; t++) {
        const PfCalibrationTask *own = &calibration->tasks[t];
        if (!own->rows) continue;
        if (own->is_open) {
            pf_warn("'%s' is not calibrated: all of the %lld %s rows are right, and say nothing of "
                    "how sure it should be where it is wrong",
                    run->sweep->table->tasks[t].name, (long long)own->rows,
                    calibration->folds ? "out-of-fold" : "val");
            continue;
        }
        pf_say("'%s' calibrated by %lld %s rows: temperature %.3f, calibration error %.4f -> %.4f, "
               "log loss %.4f -> %.4f",
               run->sweep->table->tasks[t].name, (long long)own->rows,
               calibration->folds ? "out-of-fold" : "val", own->temperature, own->error_before,
               own->error_after, own->loss_before, own->loss_after);
    }
}

/* ---- is it any good ---- */

/* Rows of the split that are of the class that most train rows are of. */
static int64_t rows_of_largest(const PfFeatureTable *table, const PfTask *task, PfSplit split)
{
    int64_t found = 0;
    int32_t best = 0;
    int64_t *counts = pf_calloc((size_t)task->outputs, sizeof *counts, NULL);
    if (!counts) return 0;
    for (int64_t i = 0; i < table->split_counts[PF_SPLIT_TRAIN]; i++) {
        const int32_t label = task->labels[table->split_rows[PF_SPLIT_TRAIN][i]];
        if (label >= 0) counts[label]++;
    }
    for (int32_t c = 1; c < task->outputs; c++)
        if (counts[c] > counts[best]) best = c;
    free(counts);
    for (int64_t i = 0; i < table->split_counts[split]; i++)
        found += task->labels[table->split_rows[split][i]] == best;
    return found;
}

static void check_task(const PfTrainRun *run, int t, PfSplit split)
{
    const PfFeatureTable *table = run->sweep->table;
    const PfTask *task = &table->tasks[t];
    const PfTaskMetrics *metrics = &run->metrics[split][t];
    const void *values;
    const PfMetricField *field = pf_task_metric_fields(metrics, &values);
    double figure = NAN;
    const char *wanted = pf_task_class_count(task) ? "accuracy" : task->scale ? "r2" : "";
    for (; field->key; field++)
        if (!strcmp(field->key, wanted)) figure = pf_field_value(field, values);
    if (isnan(figure) && table->task_count == 1 && split == PF_SPLIT_VAL)
        figure = pf_train_run_best(run)->val_score; /* of points, which have no R2 among theirs */
    if (pf_task_class_count(task)) {
        double share = (double)rows_of_largest(table, task, split) / (double)metrics->count;
        if (figure <= share)
            pf_warn("the head is no better on %s than the largest class of '%s', which %.1f %% of "
                    "the rows are of: these features do not tell the classes apart",
                    pf_split_names[split], task->name, 100 * share);
    } else if (task->scale && figure <= 0) {
        pf_warn("the head is no better on %s than the mean of '%s': R2 %.3f", pf_split_names[split],
                task->name, figure);
    }
}

void pf_report_baseline(const PfTrainRun *run)
{
    for (int split = PF_SPLIT_TRAIN + 1; split < PF_SPLIT_COUNT; split++)
        for (int t = 0; t < run->sweep->table->task_count; t++)
            if (pf_train_run_rows(run, split, t)) check_task(run, t, (PfSplit)split);
}

void pf_training_lines_best(const PfTrainingLines *lines, const PfTrainRun *run)
{
    const PfHeadEpoch *best = pf_train_run_best(run);
    if (lines->epochs && !isnan(best->val_loss)) print_epoch(best, "  best, kept");
}

/* ---- the end ---- */

/* "val accuracy 0.9412", "test age mae 8.71, gender accuracy 0.8533", behind what is there. */
static void add_main_metrics(const PfTrainRun *run, int split, char *text, size_t size)
{
    const PfFeatureTable *table = run->sweep->table;
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used ? ", " : "", pf_split_names[split]);
    for (int t = 0; t < table->task_count; t++) {
        const char *name;
        double value = pf_task_main_metric(&run->metrics[split][t], &name);
        used = strlen(text);
        snprintf(text + used, size - used, "%s%s%s %s ", t ? "," : "",
                 table->task_count > 1 ? " " : "",
                 table->task_count > 1 ? table->tasks[t].name : "", name);
        used = strlen(text);
        if (isnan(value))
            snprintf(text + used, size - used, "-");
        else
            snprintf(text + used, size - used, fabs(value) < 1e6 ? "%.4f" : "%.4g", value);
    }
}

/* Of test last, where there is one; of train only where there is no val. */
static void main_metrics_text(const PfTrainRun *run, char *text, size_t size)
{
    const PfFeatureTable *table = run->sweep->table;
    const PfRanked *best = &run->sweep->ranking[0];
    bool has_val = run->metrics[PF_SPLIT_VAL] != NULL;
    const int64_t all = table->split_counts[PF_SPLIT_TRAIN];
    const int64_t rows = pf_train_row_count(table, &run->sweep->experiment);
    char some[32] = "all ", deviation[24] = "";
    *text = '\0';
    if (rows < all) snprintf(some, sizeof some, "%lld of ", (long long)rows);
    if (!isnan(best->deviation)) snprintf(deviation, sizeof deviation, " +- %.4f", best->deviation);
    if (run->options->folds)
        snprintf(text, size, "val %s %.4f%s over %d folds, then trained on %s%lld rows",
                 pf_train_run_score_name(table), best->mean, deviation, run->options->folds, some,
                 (long long)all);
    else
        add_main_metrics(run, has_val ? PF_SPLIT_VAL : PF_SPLIT_TRAIN, text, size);
    if (!has_val && !run->options->folds) strncat(text, " (no val)", size - strlen(text) - 1);
    if (run->metrics[PF_SPLIT_TEST]) add_main_metrics(run, PF_SPLIT_TEST, text, size);
}

static void print_finetune_seconds(const PfSuffixSeconds *seconds)
{
    double total =
        seconds->read + seconds->forward + seconds->backward + seconds->step + seconds->evaluate;
    double percent = total > 0 ? 100 / total : 0;
    pf_say("fine-tuning: waiting for maps %.1f %%, forward %.1f %%, backward %.1f %%, steps %.1f "
           "%%, evaluating %.1f %%",
           percent * seconds->read, percent * seconds->forward, percent * seconds->backward,
           percent * seconds->step, percent * seconds->evaluate);
}

static void print_stream_seconds(const PfStreamSeconds *seconds)
{
    pf_say("streamed: reading %.2f s, decompressing %.2f s, in threads beside the training",
           1e-9 * (double)seconds->read_nanoseconds, 1e-9 * (double)seconds->unpack_nanoseconds);
}

/* "12 iterations": to the optimum, unless it says what ended them before. */
static void iterations_text(const PfSweep *sweep, const PfHeadHistory *history, char *text,
                            size_t size)
{
    const int asked = sweep->experiment.epochs;
    const char *end = history->converged                      ? ""
                      : !asked || history->iterations < asked ? ", short of the optimum"
                      : sweep->result.search ? " after the search, ended by --epochs"
                                             : ", ended by --epochs";
    snprintf(text, size, "%d iteration%s%s", history->iterations,
             history->iterations == 1 ? "" : "s", end);
}

void pf_report_end(const PfTrainRun *run, const char *model_path)
{
    char load[PF_DURATION_SIZE], train[PF_DURATION_SIZE], total[PF_DURATION_SIZE], metrics[1024];
    char when[96], heads[32] = "";
    const PfSweep *sweep = run->sweep;
    const PfHeadHistory *history = pf_train_run_history(run);
    main_metrics_text(run, metrics, sizeof metrics);
    if (sweep->experiment.optimizer == PF_LBFGS)
        iterations_text(sweep, history, when, sizeof when);
    else
        snprintf(when, sizeof when, "epoch %d of %d", history->best_epoch, history->epoch_count);
    if (sweep->trial_count > 1) snprintf(heads, sizeof heads, " (%d heads)", sweep->trial_count);
    if (sweep->finetune) print_finetune_seconds(pf_finetune_seconds(sweep->finetune));
    if (sweep->table->stream) print_stream_seconds(&sweep->stream_seconds);
    pf_say("%s, %s; load %s, train %s%s, total %s%s%s", metrics, when,
           pf_clock_duration_text(sweep->load_seconds, load),
           pf_clock_duration_text(sweep->train_seconds, train), heads,
           pf_clock_duration_text(run->total_seconds, total),
           model_path ? "; model: " : "; no model written, -o FILE keeps it",
           model_path ? model_path : "");
}
