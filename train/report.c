#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"

#define MAX_EPOCH_LINES 20
/* With more classes only the worst are listed, and no matrix is drawn. */
#define MAX_TABLE_CLASSES 20
#define WORST_CLASSES 5
#define NAME_COLUMNS 16

/* ---- epochs ---- */

/* Epochs between two lines: 1, 2, 5, 10, 20, 50, ... */
static int line_stride(int epochs)
{
    static const int factors[] = {1, 2, 5};
    for (int power = 1;; power *= 10)
        for (int i = 0; i < 3; i++)
            if (epochs / (factors[i] * power) < MAX_EPOCH_LINES || power >= 100000000)
                return factors[i] * power;
}

void pf_epoch_table_start(PfEpochTable *table, int epochs, int64_t steps)
{
    table->epochs = epochs;
    pf_say(" epoch          lr   train loss   val loss   val accuracy   seconds");
    pf_progress_start(&table->progress, "steps", steps);
}

void pf_epoch_table_step(PfEpochTable *table, int64_t done)
{
    pf_progress_update(&table->progress, done, NULL);
}

void pf_epoch_table_add(PfEpochTable *table, const PfEpochStats *stats)
{
    int stride = pf_log_verbosity() > PF_NORMAL ? 1 : line_stride(table->epochs);
    if (stats->epoch % stride && stats->epoch != 1 && stats->epoch != table->epochs) return;
    char loss[16] = "-", accuracy[16] = "-";
    if (!isnan(stats->val_loss)) {
        snprintf(loss, sizeof loss, "%.4f", stats->val_loss);
        snprintf(accuracy, sizeof accuracy, "%.4f", stats->val_accuracy);
    }
    pf_progress_end(&table->progress);
    pf_say("%6d  %10.4g   %10.4f   %8s   %12s   %7.3f%s", stats->epoch, stats->learning_rate,
           stats->train_loss, loss, accuracy, stats->train_seconds + stats->val_seconds,
           stats->is_best && !isnan(stats->val_loss) ? "  best so far" : "");
}

void pf_epoch_table_end(PfEpochTable *table)
{
    pf_progress_end(&table->progress);
}

/* ---- words ---- */

static void settings_text(const PfTrainRun *run, char *text, size_t size)
{
    const PfTrainConfig *config = run->config;
    char schedule[PF_SCHEDULE_TEXT_SIZE], momentum[32] = "";
    if (config->optimizer.kind == PF_SGD)
        snprintf(momentum, sizeof momentum, ", momentum %g", config->optimizer.momentum);
    snprintf(text, size, "%s, lr %g %s, weight decay %g%s, batch %d, %d epochs, normalize %s",
             pf_optimizer_name(config->optimizer.kind), config->learning_rate,
             pf_schedule_text(&config->schedule, schedule), config->optimizer.weight_decay,
             momentum, config->batch, config->epochs, pf_normalize_name(run->normalize));
}

void pf_report_plan(const PfTrainRun *run)
{
    const PfFeatureTable *table = run->table;
    char shape[PF_SHAPE_TEXT_SIZE], settings[256], left_out[48] = "", chosen[64] = "";
    if (table->unlabelled)
        snprintf(left_out, sizeof left_out, ", %lld unlabelled left out",
                 (long long)table->unlabelled);
    if (run->val > 0)
        snprintf(chosen, sizeof chosen, " (%g %% of train, by hash of the paths)", 100 * run->val);
    pf_say(
        "%s: tap '%s' %s, target '%s' with %d classes; rows: %lld train, %lld val%s, %lld test%s",
        pf_cache_path(run->cache), run->tap->name, pf_shape_text(&run->tap->shape, shape),
        run->target->name, table->class_count, (long long)table->split_counts[PF_SPLIT_TRAIN],
        (long long)table->split_counts[PF_SPLIT_VAL], chosen,
        (long long)table->split_counts[PF_SPLIT_TEST], left_out);
    settings_text(run, settings, sizeof settings);
    pf_say("linear head %lld -> %d: %s", (long long)table->features, table->class_count, settings);
    if (table->untrained_classes)
        pf_warn("%d of the classes are in val or test but not in train; the head cannot know them",
                table->untrained_classes);
    if (!table->split_counts[PF_SPLIT_VAL])
        pf_warn("no rows for validation: the last epoch is kept, whatever it is worth");
}

/* The first NAME_COLUMNS characters of a UTF-8 name, padded with spaces. */
static const char *name_cell(const char *name, char cell[4 * NAME_COLUMNS + 1])
{
    int columns = 0;
    size_t used = 0;
    for (; *name && used < 4 * NAME_COLUMNS - 4; name++) {
        int starts = ((unsigned char)*name & 0xc0) != 0x80;
        if (starts && columns == NAME_COLUMNS) break;
        columns += starts;
        cell[used++] = *name;
    }
    for (; columns < NAME_COLUMNS; columns++) cell[used++] = ' ';
    cell[used] = '\0';
    return cell;
}

static void say_class(const PfTrainRun *run, const PfMetrics *metrics, int index)
{
    const PfClassMetrics *class = &metrics->classes[index];
    char cell[4 * NAME_COLUMNS + 1];
    pf_say("  %6d %s  %9.4f  %6.4f  %6.4f  %7lld", index,
           name_cell(run->target->classes[index], cell), class->precision, class->recall, class->f1,
           (long long)class->support);
}

/* Index of the class with support whose f1 is next above (after, after_f1), or -1. */
static int next_worst(const PfMetrics *metrics, int after, double after_f1)
{
    int worst = -1;
    for (int c = 0; c < metrics->class_count; c++) {
        double f1 = metrics->classes[c].f1;
        if (!metrics->classes[c].support || f1 < after_f1 || (f1 == after_f1 && c <= after))
            continue;
        if (worst < 0 || f1 < metrics->classes[worst].f1) worst = c;
    }
    return worst;
}

static void say_classes(const PfTrainRun *run, const PfMetrics *metrics, const char *split)
{
    int all = metrics->class_count <= MAX_TABLE_CLASSES;
    char heading[32];
    snprintf(heading, sizeof heading, all ? "%s, by class" : "%s, lowest f1", split);
    pf_say("  %-23s  precision  recall      f1  support", heading);
    if (all) {
        for (int c = 0; c < metrics->class_count; c++) say_class(run, metrics, c);
        return;
    }
    for (int c = next_worst(metrics, -1, -1.0), n = 0; c >= 0 && n < WORST_CLASSES; n++) {
        say_class(run, metrics, c);
        c = next_worst(metrics, c, metrics->classes[c].f1);
    }
}

static void say_confusion(const PfTrainRun *run, const PfMetrics *metrics, const char *split)
{
    char line[24 + 8 * MAX_TABLE_CLASSES + 8], heading[32], cell[4 * NAME_COLUMNS + 1];
    int count = metrics->class_count, used;
    snprintf(heading, sizeof heading, "%s, true \\ predicted", split);
    used = snprintf(line, sizeof line, "  %-23s", heading);
    for (int c = 0; c < count; c++) used += sprintf(line + used, " %6d", c);
    pf_say("%s", line);
    for (int row = 0; row < count; row++) {
        used = 0;
        for (int c = 0; c < count; c++)
            used += sprintf(line + used, " %6lld", (long long)metrics->confusion[row * count + c]);
        pf_say("  %6d %s%s", row, name_cell(run->target->classes[row], cell), line);
    }
}

void pf_report_summary(const PfTrainRun *run)
{
    const PfMetrics *detailed = NULL;
    const char *split_name = NULL;
    pf_say("  %-23s       loss  accuracy  macro f1", "");
    for (int split = 0; split < PF_SPLIT_COUNT; split++) {
        const PfMetrics *metrics = &run->metrics[split];
        if (!metrics->count) continue;
        pf_say("  %-5s %12lld rows  %9.4f  %8.4f  %8.4f", pf_split_names[split],
               (long long)metrics->count, metrics->loss, metrics->accuracy, metrics->macro_f1);
        detailed = metrics;
        split_name = pf_split_names[split];
    }
    if (!detailed) return;
    say_classes(run, detailed, split_name);
    if (detailed->class_count <= MAX_TABLE_CLASSES) say_confusion(run, detailed, split_name);
}

void pf_report_end(const PfTrainRun *run, const char *model_path)
{
    char load[PF_DURATION_SIZE], train[PF_DURATION_SIZE], total[PF_DURATION_SIZE], accuracy[48];
    const PfTrainResult *result = run->result;
    const PfMetrics *val = &run->metrics[PF_SPLIT_VAL];
    if (val->count)
        snprintf(accuracy, sizeof accuracy, "val accuracy %.4f", val->accuracy);
    else
        snprintf(accuracy, sizeof accuracy, "train accuracy %.4f (no val)",
                 run->metrics[PF_SPLIT_TRAIN].accuracy);
    pf_say("%s, epoch %d of %d; load %s, train %s, total %s%s%s", accuracy, result->best_epoch,
           result->epoch_count, pf_duration_text(run->load_seconds, load),
           pf_duration_text(result->seconds, train), pf_duration_text(run->total_seconds, total),
           model_path ? "; model: " : "; no model written, -o FILE keeps it",
           model_path ? model_path : "");
}

/* ---- JSON ---- */

cJSON *pf_report_config(const PfTrainRun *run)
{
    const PfTrainConfig *config = run->config;
    char schedule[PF_SCHEDULE_TEXT_SIZE];
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "cache", pf_cache_path(run->cache));
    cJSON_AddStringToObject(json, "tap", run->tap->name);
    cJSON_AddStringToObject(json, "target", run->target->name);
    cJSON_AddStringToObject(json, "head", "linear");
    cJSON_AddNumberToObject(json, "epochs", config->epochs);
    cJSON_AddNumberToObject(json, "batch", config->batch);
    cJSON_AddNumberToObject(json, "lr", config->learning_rate);
    cJSON_AddNumberToObject(json, "weight_decay", config->optimizer.weight_decay);
    cJSON_AddStringToObject(json, "optimizer", pf_optimizer_name(config->optimizer.kind));
    if (config->optimizer.kind == PF_SGD)
        cJSON_AddNumberToObject(json, "momentum", config->optimizer.momentum);
    cJSON_AddStringToObject(json, "schedule", pf_schedule_text(&config->schedule, schedule));
    cJSON_AddStringToObject(json, "normalize", pf_normalize_name(run->normalize));
    cJSON_AddNumberToObject(json, "val_fraction", run->val);
    cJSON_AddNumberToObject(json, "seed", (double)config->seed);
    return json;
}

static void add_finite(cJSON *json, const char *key, double value)
{
    if (isfinite(value)) cJSON_AddNumberToObject(json, key, value);
}

static cJSON *epoch_json(const PfEpochStats *stats)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "epoch", stats->epoch);
    cJSON_AddNumberToObject(json, "lr", stats->learning_rate);
    cJSON_AddNumberToObject(json, "train_loss", stats->train_loss);
    cJSON_AddNumberToObject(json, "train_accuracy", stats->train_accuracy);
    add_finite(json, "val_loss", stats->val_loss);
    add_finite(json, "val_accuracy", stats->val_accuracy);
    cJSON_AddNumberToObject(json, "train_seconds", stats->train_seconds);
    cJSON_AddNumberToObject(json, "val_seconds", stats->val_seconds);
    return json;
}

cJSON *pf_report_metrics(const PfMetrics *metrics)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "rows", (double)metrics->count);
    cJSON_AddNumberToObject(json, "loss", metrics->loss);
    cJSON_AddNumberToObject(json, "accuracy", metrics->accuracy);
    cJSON_AddNumberToObject(json, "macro_precision", metrics->macro_precision);
    cJSON_AddNumberToObject(json, "macro_recall", metrics->macro_recall);
    cJSON_AddNumberToObject(json, "macro_f1", metrics->macro_f1);
    return json;
}

static cJSON *class_json(const PfClassMetrics *class, const char *name)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "name", name);
    cJSON_AddNumberToObject(json, "support", (double)class->support);
    cJSON_AddNumberToObject(json, "precision", class->precision);
    cJSON_AddNumberToObject(json, "recall", class->recall);
    cJSON_AddNumberToObject(json, "f1", class->f1);
    return json;
}

static void add_classes(cJSON *json, const PfTrainRun *run, const PfMetrics *metrics)
{
    cJSON *classes = cJSON_AddArrayToObject(json, "classes");
    for (int c = 0; c < metrics->class_count; c++)
        cJSON_AddItemToArray(classes, class_json(&metrics->classes[c], run->target->classes[c]));
    if (!metrics->confusion) return;
    cJSON *rows = cJSON_AddArrayToObject(json, "confusion");
    for (int row = 0; row < metrics->class_count; row++) {
        cJSON *columns = cJSON_CreateArray();
        for (int c = 0; c < metrics->class_count; c++)
            cJSON_AddItemToArray(
                columns,
                cJSON_CreateNumber((double)metrics->confusion[row * metrics->class_count + c]));
        cJSON_AddItemToArray(rows, columns);
    }
}

static void add_splits(cJSON *json, const PfTrainRun *run)
{
    for (int split = 0; split < PF_SPLIT_COUNT; split++) {
        const PfMetrics *metrics = &run->metrics[split];
        if (!metrics->count) continue;
        cJSON *item = pf_report_metrics(metrics);
        if (split != PF_SPLIT_TRAIN) add_classes(item, run, metrics);
        cJSON_AddItemToObject(json, pf_split_names[split], item);
    }
}

cJSON *pf_report_json(const PfTrainRun *run)
{
    const PfTrainResult *result = run->result;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddItemToObject(json, "config", pf_report_config(run));
    cJSON *epochs = cJSON_AddArrayToObject(json, "epochs");
    for (int i = 0; i < result->epoch_count; i++)
        cJSON_AddItemToArray(epochs, epoch_json(&result->epochs[i]));
    cJSON_AddItemToObject(json, "best", epoch_json(&result->epochs[result->best_epoch - 1]));
    add_splits(json, run);
    cJSON *seconds = cJSON_AddObjectToObject(json, "seconds");
    cJSON_AddNumberToObject(seconds, "load", run->load_seconds);
    cJSON_AddNumberToObject(seconds, "train", result->seconds);
    cJSON_AddNumberToObject(seconds, "total", run->total_seconds);
    return json;
}
