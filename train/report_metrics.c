#include <math.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "printable.h"
#include "report.h"

/* With more classes only the worst are listed, and no matrix is drawn. */
#define MAX_TABLE_CLASSES 20
#define WORST_CLASSES 5
#define NAME_COLUMNS 16
/* A metric with its interval. */
#define CELL_COLUMNS 25
#define CELL_SIZE 64
#define LINE_SIZE (32 + PF_SPLIT_COUNT * (CELL_SIZE + 8))

/* The first NAME_COLUMNS characters of a UTF-8 name as it is printed, padded with spaces. */
static const char *name_cell(const char *name, char cell[4 * NAME_COLUMNS + 1])
{
    int columns = 0;
    size_t used = 0;
    char shown[8 * NAME_COLUMNS];
    pf_format(shown, sizeof shown, "%s", name);
    name = shown;
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

/* ---- numbers by split ---- */

static int64_t rows_of(const PfTrainRun *run, int split, int task)
{
    return run->metrics[split] ? run->metrics[split][task].count : 0;
}

/* "  0.9400 [0.876, 0.972]"; without the interval where it says little: of rows trained on. */
static void metric_cell(const PfMetricField *field, const void *metrics, int with_interval,
                        char cell[CELL_SIZE])
{
    double value = pf_field_value(field, metrics);
    PfInterval interval = pf_field_interval(field, metrics);
    int large = fabs(value) >= 1e6;
    int used = isnan(value) ? snprintf(cell, CELL_SIZE, "%8s", "-")
                            : snprintf(cell, CELL_SIZE, large ? "%8.4g" : "%8.4f", value);
    if (with_interval && !isnan(interval.low) && used < CELL_SIZE)
        snprintf(cell + used, (size_t)(CELL_SIZE - used), large ? " [%.3g, %.3g]" : " [%.3f, %.3f]",
                 interval.low, interval.high);
}

static void say_trimmed(const char *line)
{
    int length = (int)strlen(line);
    while (length && line[length - 1] == ' ') length--;
    pf_say("%.*s", length, line);
}

/* A line of the summary: the metric of each split; nothing where no split has it. */
static void say_metric(const PfTrainRun *run, int task, const PfMetricField *field)
{
    char line[LINE_SIZE];
    int used = sprintf(line, "  %-22s", field->title), found = 0;
    for (int split = 0; split < PF_SPLIT_COUNT; split++) {
        const void *metrics;
        char cell[CELL_SIZE];
        if (!rows_of(run, split, task)) continue;
        pf_task_metric_fields(&run->metrics[split][task], &metrics);
        metric_cell(field, metrics, split != PF_SPLIT_TRAIN, cell);
        found += !isnan(pf_field_value(field, metrics));
        used += sprintf(line + used, " %-*s", split == PF_SPLIT_TRAIN ? 8 : CELL_COLUMNS, cell);
    }
    if (found) say_trimmed(line);
}

static void say_rows(const PfTrainRun *run, int task)
{
    const PfFeatureTable *table = run->sweep->table;
    char line[LINE_SIZE], names[LINE_SIZE];
    int used = sprintf(names, "  %-22.22s", table->task_count > 1 ? table->tasks[task].name : "");
    sprintf(line, "  %-22s", "rows");
    for (int split = 0; split < PF_SPLIT_COUNT; split++) {
        int pad = split == PF_SPLIT_TRAIN ? 0 : CELL_COLUMNS - 8;
        if (!rows_of(run, split, task)) continue;
        sprintf(line + used, " %8lld%*s", (long long)rows_of(run, split, task), pad, "");
        used += sprintf(names + used, " %8s%*s", pf_split_names[split], pad, "");
    }
    say_trimmed(names);
    say_trimmed(line);
}

/* ---- classes ---- */

static const char *class_name(const PfTask *task, int index, char number[16])
{
    if (task->classes) return task->classes[index];
    snprintf(number, 16, "%d", index);
    return number;
}

static void say_class(const PfTask *task, const PfClassificationMetrics *metrics, int index)
{
    const PfClassMetrics *class = &metrics->classes[index];
    char cell[4 * NAME_COLUMNS + 1], number[16];
    pf_say("  %6d %" PF_SENTENCE "  %9.4f  %6.4f  %6.4f  %7lld", index,
           name_cell(class_name(task, index, number), cell), class->precision, class->recall,
           class->f1, (long long)class->support);
}

/* Index of the class with support whose f1 is next above (after, after_f1), or -1. */
static int next_worst(const PfClassificationMetrics *metrics, int after, double after_f1)
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

static void say_classes(const PfTask *task, const PfClassificationMetrics *metrics,
                        const char *split)
{
    int all = metrics->class_count <= MAX_TABLE_CLASSES;
    char heading[32];
    snprintf(heading, sizeof heading, all ? "%s, by class" : "%s, lowest f1", split);
    pf_say("  %-23s  precision  recall      f1  support", heading);
    if (all) {
        for (int c = 0; c < metrics->class_count; c++) say_class(task, metrics, c);
        return;
    }
    for (int c = next_worst(metrics, -1, -1.0), n = 0; c >= 0 && n < WORST_CLASSES; n++) {
        say_class(task, metrics, c);
        c = next_worst(metrics, c, metrics->classes[c].f1);
    }
}

static void say_confusion(const PfTask *task, const PfClassificationMetrics *metrics,
                          const char *split)
{
    char line[24 + 8 * MAX_TABLE_CLASSES + 8], heading[32], cell[4 * NAME_COLUMNS + 1], number[16];
    int count = metrics->class_count, used;
    snprintf(heading, sizeof heading, "%s, true \\ predicted", split);
    used = snprintf(line, sizeof line, "  %-23s", heading);
    for (int c = 0; c < count; c++) used += sprintf(line + used, " %6d", c);
    pf_say("%" PF_SENTENCE, line);
    for (int row = 0; row < count; row++) {
        used = 0;
        for (int c = 0; c < count; c++)
            used += sprintf(line + used, " %6lld", (long long)metrics->confusion[row * count + c]);
        pf_say("  %6d %" PF_SENTENCE "%s", row, name_cell(class_name(task, row, number), cell),
               line);
    }
}

/* ---- labels and columns ---- */

static void say_labels(const PfTask *task, const PfMultilabelMetrics *metrics, const char *split)
{
    char heading[32], cell[4 * NAME_COLUMNS + 1], number[16];
    int shown = metrics->label_count < MAX_TABLE_CLASSES ? metrics->label_count : MAX_TABLE_CLASSES;
    snprintf(heading, sizeof heading, "%s, by label", split);
    pf_say("  %-23s  precision  recall      f1       ap  support", heading);
    for (int c = 0; c < shown; c++) {
        const PfLabelMetrics *label = &metrics->labels[c];
        pf_say("  %6d %" PF_SENTENCE "  %9.4f  %6.4f  %6.4f  %7.4f  %7lld", c,
               name_cell(class_name(task, c, number), cell), label->precision, label->recall,
               label->f1, label->average_precision, (long long)label->support);
    }
    if (shown < metrics->label_count) pf_say("  ... and %d more", metrics->label_count - shown);
}

static void say_columns(const PfRegressionMetrics *metrics, const char *split)
{
    char heading[32];
    if (metrics->columns < 2) return;
    snprintf(heading, sizeof heading, "%s, by column", split);
    pf_say("  %-23s       mae      rmse       r2   values", heading);
    for (int c = 0; c < metrics->columns && c < MAX_TABLE_CLASSES; c++)
        pf_say("  %6d %16s  %8.4f  %8.4f  %7.4f  %7lld", c, "", metrics->column[c].mae,
               metrics->column[c].rmse, metrics->column[c].r2, (long long)metrics->column[c].count);
}

static void say_details(const PfTask *task, const PfTaskMetrics *metrics, const char *split)
{
    switch (metrics->kind) {
    case PF_TARGET_CLASS:
        say_classes(task, &metrics->classification, split);
        if (metrics->classification.class_count <= MAX_TABLE_CLASSES)
            say_confusion(task, &metrics->classification, split);
        break;
    case PF_TARGET_MULTILABEL: say_labels(task, &metrics->multilabel, split); break;
    case PF_TARGET_REGRESSION: say_columns(&metrics->regression, split); break;
    case PF_TARGET_KEYPOINTS: break;
    }
}

void pf_report_metrics(const PfTrainRun *run)
{
    const PfFeatureTable *table = run->sweep->table;
    int intervals = 0;
    for (int t = 0; t < table->task_count; t++) {
        int detailed = -1;
        for (int split = 0; split < PF_SPLIT_COUNT; split++)
            if (rows_of(run, split, t)) detailed = split;
        if (detailed < 0) continue;
        const void *metrics;
        const PfTaskMetrics *own = &run->metrics[detailed][t];
        const PfMetricField *field = pf_task_metric_fields(own, &metrics);
        say_rows(run, t);
        for (; field->key; field++)
            if (field->title) say_metric(run, t, field);
        intervals |= detailed != PF_SPLIT_TRAIN;
        say_details(&table->tasks[t], own, pf_split_names[detailed]);
    }
    if (intervals) pf_say("  [in brackets: 95 %% intervals]");
}
