#include "train/report/result_tables.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/cache/split.h"

#define MAX_RANKED_LINES 10
/* A metric with its interval. */
#define CELL_SIZE 64
#define MAX_TITLE 24
/* What stands before the setting in a line of the ranking. */
#define RANK_COLUMNS 36
#define RANK_INDENT 7
#define LINE_SIZE (32 + PF_SPLIT_COUNT * (CELL_SIZE + 8))

/* ---- the ranking ---- */

/* "lr=0.01 head=linear", with the tap where several were tried, into text. */
static const char *setting_text(const PfTrainRun *run, const PfRanked *ranked, char *text,
                                size_t size)
{
    const PfSweep *sweep = run->sweep;
    *text = '\0';
    if (sweep->tap_count > 1)
        snprintf(text, size, "tap=%s", pf_cache_tap(run->cache, sweep->taps[ranked->tap])->name);
    for (int a = 0; a < run->options->axis_count; a++) {
        size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%s=%s", used ? " " : "", run->options->axes[a].name,
                 sweep->settings[ranked->setting].values[a]);
    }
    return *text ? text : "as given";
}

/* Words that do not fit behind a line's numbers: below them, as many in a line as the terminal has
 * room for. */
static void print_below(const char *words)
{
    const int room = pf_log_show_columns() - RANK_INDENT;
    while (*words) {
        int length = (int)strlen(words), end = length;
        if (length > room) {
            for (end = room > 0 ? room : 1; end > 0 && words[end] != ' ';) end--;
            if (!end) end = (int)strcspn(words, " ");
        }
        pf_show("%*s%.*s", RANK_INDENT, "", end, words);
        words += end;
        words += strspn(words, " ");
    }
}

static void print_ranked(const PfTrainRun *run, int place)
{
    const PfRanked *ranked = &run->sweep->ranking[place];
    char setting[560], numbers[64], deviation[24] = "", test[48] = "", some[40] = "";
    if (run->options->evaluate_all && !isnan(ranked->test_deviation))
        snprintf(test, sizeof test, "  test %.4f +- %.4f", ranked->test_mean,
                 ranked->test_deviation);
    else if (run->options->evaluate_all && !isnan(ranked->test_mean))
        snprintf(test, sizeof test, "  test %.4f", ranked->test_mean);
    if (!isnan(ranked->deviation))
        snprintf(deviation, sizeof deviation, " +- %.4f", ranked->deviation);
    setting_text(run, ranked, setting, sizeof setting);
    if (ranked->diverged && ranked->diverged < ranked->trials)
        snprintf(some, sizeof some, "  (%d of %d diverged)", ranked->diverged, ranked->trials);
    strncat(setting, some, sizeof setting - strlen(setting) - 1);
    strncat(setting, test, sizeof setting - strlen(setting) - 1);
    snprintf(numbers, sizeof numbers, "%7.4f%-10s  %8.4f", ranked->mean, deviation,
             ranked->mean_loss);
    bool fits = RANK_COLUMNS + strlen(setting) <= (size_t)pf_log_show_columns();
    pf_show(fits ? "%5d  %-27s  %s" : "%5d  %s", place + 1,
            ranked->diverged == ranked->trials ? "diverged" : numbers, setting);
    if (!fits) print_below(setting);
}

void pf_result_tables_ranking(const PfTrainRun *run)
{
    const PfSweep *sweep = run->sweep;
    int lines = pf_log_verbosity() > PF_NORMAL ? sweep->ranked_count : MAX_RANKED_LINES;
    if (sweep->trial_count == 1) return;
    char score[40];
    snprintf(score, sizeof score, "%s %s", sweep->ranking[0].of_train ? "train" : "val",
             pf_train_run_score_name(sweep->table));
    pf_show(" rank  %-18s      loss%s", score,
            pf_log_show_columns() > RANK_COLUMNS + RANK_INDENT ? "  setting" : "");
    for (int i = 0; i < sweep->ranked_count && i < lines; i++) print_ranked(run, i);
    if (sweep->ranked_count > lines)
        pf_show("       ... and %d more; --csv FILE has every head", sweep->ranked_count - lines);
}

/* ---- the winner's numbers, split by split ---- */

/* "  0.9400 [0.876, 0.972]"; without the interval where it says little: of rows trained on. */
static void metric_cell(const PfMetricField *field, const void *metrics, bool with_interval,
                        char cell[CELL_SIZE])
{
    double value = pf_field_value(field, metrics);
    PfInterval interval = pf_field_interval(field, metrics);
    bool large = fabs(value) >= 1e6;
    int used = isnan(value) ? snprintf(cell, CELL_SIZE, "%8s", "-")
                            : snprintf(cell, CELL_SIZE, large ? "%8.4g" : "%8.4f", value);
    if (with_interval && !isnan(interval.low) && used < CELL_SIZE)
        snprintf(cell + used, (size_t)(CELL_SIZE - used), large ? " [%.3g, %.3g]" : " [%.3f, %.3f]",
                 interval.low, interval.high);
}

/* How wide the cells of each split are, so that the table is as narrow as they allow. */
typedef struct Widths {
    int title, splits[PF_SPLIT_COUNT];
} Widths;

static void widen(int *width, const char *text)
{
    int length = (int)strlen(text);
    if (length > *width) *width = length;
}

/* A metric of a split. */
static const char *cell_of(const PfTrainRun *run, int task, int split, const PfMetricField *field,
                           char cell[CELL_SIZE])
{
    const void *metrics;
    pf_task_metric_fields(&run->metrics[split][task], &metrics);
    metric_cell(field, metrics, split != PF_SPLIT_TRAIN, cell);
    return cell;
}

static bool has_value(const PfTrainRun *run, int task, const PfMetricField *field)
{
    const void *metrics;
    for (int split = 0; split < PF_SPLIT_COUNT; split++) {
        if (!pf_train_run_rows(run, split, task)) continue;
        pf_task_metric_fields(&run->metrics[split][task], &metrics);
        if (!isnan(pf_field_value(field, metrics))) return true;
    }
    return false;
}

/* Returns how wide a line is at most. */
static int measure(const PfTrainRun *run, int task, const PfMetricField *fields, Widths *widths)
{
    char cell[CELL_SIZE];
    *widths = (Widths){.title = 16};
    for (int split = 0; split < PF_SPLIT_COUNT; split++)
        if (pf_train_run_rows(run, split, task)) widths->splits[split] = 8;
    for (const PfMetricField *field = fields; field->key; field++) {
        if (!field->title || !has_value(run, task, field)) continue;
        widen(&widths->title, field->title);
        for (int split = 0; split < PF_SPLIT_COUNT; split++)
            if (pf_train_run_rows(run, split, task))
                widen(&widths->splits[split], cell_of(run, task, split, field, cell));
    }
    int total = 2 + widths->title;
    for (int split = 0; split < PF_SPLIT_COUNT; split++)
        if (widths->splits[split]) total += 1 + widths->splits[split];
    return total;
}

/* A line of the table: a title and a cell for each split. Folded: a line for each split. */
static void print_cells(const Widths *widths, bool is_folded, const char *title,
                        char cells[PF_SPLIT_COUNT][CELL_SIZE])
{
    char line[LINE_SIZE];
    int used = sprintf(line, "  %-*.*s", widths->title, MAX_TITLE, title);
    if (is_folded) pf_show("  %s", title);
    for (int split = 0; split < PF_SPLIT_COUNT; split++) {
        if (!widths->splits[split]) continue;
        if (is_folded)
            pf_show("    %-5s %s", pf_split_names[split], cells[split] + strspn(cells[split], " "));
        used += sprintf(line + used, " %-*s", widths->splits[split], cells[split]);
    }
    while (line[used - 1] == ' ') used--;
    line[used] = '\0';
    if (!is_folded) pf_show("%s", line);
}

static void print_heading(const PfTrainRun *run, int task, const Widths *widths, bool is_folded)
{
    const PfFeatureTable *table = run->sweep->table;
    const char *name = table->task_count > 1 ? table->tasks[task].name : "";
    char names[PF_SPLIT_COUNT][CELL_SIZE], counts[PF_SPLIT_COUNT][CELL_SIZE];
    for (int split = 0; split < PF_SPLIT_COUNT; split++) {
        snprintf(names[split], CELL_SIZE, "%8s", pf_split_names[split]);
        snprintf(counts[split], CELL_SIZE, "%8lld", (long long)pf_train_run_rows(run, split, task));
    }
    if (!is_folded)
        print_cells(widths, false, name, names);
    else if (*name)
        pf_show("  %s", name);
    print_cells(widths, is_folded, "rows", counts);
}

static void print_table(const PfTrainRun *run, int task, const PfMetricField *fields)
{
    Widths widths;
    char cells[PF_SPLIT_COUNT][CELL_SIZE];
    bool is_folded = measure(run, task, fields, &widths) > pf_log_show_columns();
    print_heading(run, task, &widths, is_folded);
    for (const PfMetricField *field = fields; field->key; field++) {
        if (!field->title || !has_value(run, task, field)) continue;
        for (int split = 0; split < PF_SPLIT_COUNT; split++)
            if (pf_train_run_rows(run, split, task)) cell_of(run, task, split, field, cells[split]);
        print_cells(&widths, is_folded, field->title, cells);
    }
}

void pf_result_tables_metrics(const PfTrainRun *run)
{
    const PfFeatureTable *table = run->sweep->table;
    bool intervals = false;
    for (int t = 0; t < table->task_count; t++) {
        int detailed = -1;
        for (int split = 0; split < PF_SPLIT_COUNT; split++)
            if (pf_train_run_rows(run, split, t)) detailed = split;
        if (detailed < 0) continue;
        const void *metrics;
        const PfTaskMetrics *own = &run->metrics[detailed][t];
        const PfMetricField *field = pf_task_metric_fields(own, &metrics);
        print_table(run, t, field);
        intervals |= detailed != PF_SPLIT_TRAIN;
        own->metrics->print(own->values, table->tasks[t].classes, pf_split_names[detailed]);
    }
    if (intervals) pf_show("  [in brackets: 95 %% intervals]");
}
