#include <math.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "report.h"

/* A metric with its interval. */
#define CELL_COLUMNS 25
#define CELL_SIZE 64
#define LINE_SIZE (32 + PF_SPLIT_COUNT * (CELL_SIZE + 8))

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
        own->metrics->say(own->values, table->tasks[t].classes, pf_split_names[detailed]);
    }
    if (intervals) pf_say("  [in brackets: 95 %% intervals]");
}
