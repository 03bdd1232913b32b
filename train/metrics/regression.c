#include "train/metrics/regression.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "train/metrics/ranking.h"

#define FIELD(member, key, title) PF_FIELD(PfRegressionScores, member, key, title)
const PfMetricField pf_regression_fields[] = {
    FIELD(mae, "mae", "mean absolute error"),
    FIELD(rmse, "rmse", "RMSE"),
    FIELD(r2, "r2", "R2"),
    FIELD(median_abs_error, "median_absolute_error", "median absolute error"),
    {0},
};

struct PfRegressionMeter {
    int columns;
    PfColumns values; /* prediction and target of each column in turn, of rows with a known one */
};

int pf_regression_meter_new(int columns, PfRegressionMeter **out, PfError *err)
{
    PfRegressionMeter *meter = pf_calloc(1, sizeof *meter, err);
    if (!meter) return -1;
    meter->columns = columns;
    meter->values.columns = 2 * (int64_t)columns;
    *out = meter;
    return 0;
}

void pf_regression_meter_free(PfRegressionMeter **meter)
{
    if (!*meter) return;
    pf_columns_free(&(*meter)->values);
    free(*meter);
    *meter = NULL;
}

static bool has_known(const float *targets, int columns)
{
    for (int c = 0; c < columns; c++)
        if (!isnan(targets[c])) return true;
    return false;
}

int pf_regression_meter_add(PfRegressionMeter *meter, int64_t n, const float *predictions,
                            int64_t stride, const float *targets, int64_t target_stride,
                            PfError *err)
{
    for (int64_t i = 0; i < n; i++) {
        const float *prediction = predictions + i * stride, *target = targets + i * target_stride;
        float *row;
        if (!has_known(target, meter->columns)) continue;
        if (pf_columns_add(&meter->values, &row, err)) return -1;
        for (int c = 0; c < meter->columns; c++) {
            row[2 * c * PF_COLUMNS_BLOCK] = prediction[c];
            row[(2 * c + 1) * PF_COLUMNS_BLOCK] = target[c];
        }
    }
    return 0;
}

/* ---- what comes out ---- */

/* The metrics with linearised intervals. */
enum { MAE, RMSE, R2, LINEARISED };

typedef struct Finish {
    const PfRegressionMeter *meter;
    int64_t rows;
    PfRanking *ranking;                 /* of the absolute errors of a column */
    double *influence[LINEARISED];      /* (rows) on the sum over columns */
    int columns[LINEARISED + 1];        /* that have the number; last: the median */
    double target_mean, target_squares; /* of a column: sum of squared distances to the mean */
} Finish;

/* A row's prediction and target of a column; false where the target is not known. */
static bool known_value(const Finish *finish, int64_t row, int column, double *prediction,
                        double *target)
{
    const float *value = pf_columns_at(&finish->meter->values, row, 2 * (int64_t)column);
    *prediction = (double)value[0];
    *target = (double)value[PF_COLUMNS_BLOCK];
    return !isnan(*target);
}

/* Sums of a column; ranks its absolute errors. */
static void add_up(Finish *finish, int column, PfRegressionScores *out)
{
    double absolute = 0, squared = 0, sum = 0, prediction, target;
    pf_ranking_clear(finish->ranking);
    for (int64_t i = 0; i < finish->rows; i++) {
        if (!known_value(finish, i, column, &prediction, &target)) continue;
        double error = prediction - target;
        absolute += fabs(error);
        squared += error * error;
        sum += target;
        pf_ranking_put(finish->ranking, (float)fabs(error), 0, false);
        out->count++;
    }
    pf_ranking_sort(finish->ranking);
    out->mae = absolute / (double)out->count;
    out->rmse = sqrt(squared / (double)out->count);
    finish->target_mean = sum / (double)out->count;
}

/* 1 - n mse / sum (y - mean)^2 */
static void finish_r2(Finish *finish, int column, PfRegressionScores *out)
{
    double squares = 0, prediction, target;
    for (int64_t i = 0; i < finish->rows; i++) {
        if (!known_value(finish, i, column, &prediction, &target)) continue;
        double distance = target - finish->target_mean;
        squares += distance * distance;
    }
    finish->target_squares = squares;
    out->r2 = squares > 0 ? 1 - (double)out->count * out->rmse * out->rmse / squares : (double)NAN;
}

/* How far a row with this error and distance to the target's mean moves n times each metric. */
static void row_influence(const Finish *finish, const PfRegressionScores *scores, double error,
                          double distance, double influence[LINEARISED])
{
    double square = error * error, n = (double)scores->count;
    influence[MAE] = fabs(error) - scores->mae;
    influence[RMSE] = (square - scores->rmse * scores->rmse) / (2 * scores->rmse);
    influence[R2] = ((1 - scores->r2) * distance * distance - square) * n / finish->target_squares;
}

/* Standard errors of a column; its influences are added to those of the sum. */
static void finish_errors(Finish *finish, int column, const PfRegressionScores *scores,
                          double errors[LINEARISED])
{
    double n = (double)scores->count, scale = sqrt(n / (n - 1)) / n, squares[LINEARISED] = {0};
    bool used[LINEARISED] = {true, true, !isnan(scores->r2)};
    for (int64_t i = 0; i < finish->rows; i++) {
        double influence[LINEARISED], prediction, target;
        if (!known_value(finish, i, column, &prediction, &target)) continue;
        row_influence(finish, scores, prediction - target, target - finish->target_mean, influence);
        for (int m = 0; m < LINEARISED; m++) {
            if (!used[m]) continue;
            finish->influence[m][i] += scale * influence[m];
            squares[m] += influence[m] * influence[m];
        }
    }
    for (int m = 0; m < LINEARISED; m++) errors[m] = scale * sqrt(squares[m]);
}

static void finish_median(const PfRanking *ranking, PfRegressionScores *out)
{
    int64_t low, high, n = out->count;
    double below = (double)pf_ranking_score(ranking, (n - 1) / 2);
    double above = (double)pf_ranking_score(ranking, n / 2);
    out->median_abs_error = (below + above) / 2;
    out->median_abs_error_interval = pf_interval_none();
    if (pf_interval_median_ranks(n, &low, &high))
        out->median_abs_error_interval = (PfInterval){(double)pf_ranking_score(ranking, low),
                                                      (double)pf_ranking_score(ranking, high)};
}

static void set_intervals(PfRegressionScores *scores, const double errors[LINEARISED])
{
    double infinity = (double)INFINITY;
    scores->mae_interval = pf_interval_normal(scores->mae, errors[MAE], 0, infinity);
    scores->rmse_interval = pf_interval_normal(scores->rmse, errors[RMSE], 0, infinity);
    scores->r2_interval = pf_interval_normal(scores->r2, errors[R2], -infinity, 1);
}

static PfRegressionScores no_scores(void)
{
    double nan = (double)NAN;
    PfInterval none = pf_interval_none();
    return (PfRegressionScores){0, nan, nan, nan, nan, none, none, none, none};
}

static void finish_column(Finish *finish, int column, PfRegressionScores *out)
{
    double errors[LINEARISED];
    add_up(finish, column, out);
    if (!out->count) {
        *out = no_scores();
        return;
    }
    finish_r2(finish, column, out);
    finish_median(finish->ranking, out);
    finish_errors(finish, column, out, errors);
    set_intervals(out, errors);
}

/* Adds a column's numbers to the sums in overall. */
static void add_column(const PfRegressionScores *column, PfRegressionScores *overall,
                       int columns[LINEARISED + 1])
{
    const double values[] = {column->mae, column->rmse, column->r2, column->median_abs_error};
    double *sums[] = {&overall->mae, &overall->rmse, &overall->r2, &overall->median_abs_error};
    overall->count += column->count;
    for (int m = 0; m <= LINEARISED; m++) {
        if (isnan(values[m])) continue;
        *sums[m] += values[m];
        columns[m]++;
    }
}

static void finish_overall(Finish *finish, PfRegressionMetrics *out)
{
    PfRegressionScores *overall = &out->overall;
    double errors[LINEARISED];
    for (int c = 0; c < out->columns; c++) add_column(&out->column[c], overall, finish->columns);
    overall->mae /= finish->columns[MAE];
    overall->rmse /= finish->columns[RMSE];
    overall->r2 /= finish->columns[R2];
    overall->median_abs_error /= finish->columns[LINEARISED];
    for (int m = 0; m < LINEARISED; m++)
        errors[m] =
            pf_influence_standard_error(finish->influence[m], out->rows) / finish->columns[m];
    set_intervals(overall, errors);
    overall->median_abs_error_interval =
        out->columns == 1 ? out->column[0].median_abs_error_interval : pf_interval_none();
}

int pf_regression_meter_finish(const PfRegressionMeter *meter, PfRegressionMetrics *out,
                               PfError *err)
{
    size_t rows = (size_t)meter->values.rows;
    Finish finish = {.meter = meter, .rows = meter->values.rows};
    *out = (PfRegressionMetrics){.rows = finish.rows, .columns = meter->columns};
    out->column = pf_calloc((size_t)meter->columns, sizeof *out->column, err);
    double *influence = pf_calloc(LINEARISED * rows, sizeof *influence, err);
    int failed = !out->column || !influence || pf_ranking_new(finish.rows, &finish.ranking, err);
    if (failed) {
        pf_regression_metrics_free(out);
    } else {
        for (size_t m = 0; m < LINEARISED; m++) finish.influence[m] = influence + m * rows;
        for (int c = 0; c < meter->columns; c++) finish_column(&finish, c, &out->column[c]);
        finish_overall(&finish, out);
    }
    pf_ranking_free(&finish.ranking);
    free(influence);
    return failed ? -1 : 0;
}

void pf_regression_metrics_free(PfRegressionMetrics *metrics)
{
    free(metrics->column);
    *metrics = (PfRegressionMetrics){0};
}

/* ---- for people, and JSON ---- */

#define COLUMN_COLUMNS 63

static void print_columns(const void *results, const char *const *names, const char *split)
{
    const PfRegressionMetrics *metrics = results;
    char heading[32];
    (void)names;
    if (metrics->columns < 2) return;
    snprintf(heading, sizeof heading, "%s, by column", split);
    const PfTableGaps gap = pf_metrics_gaps(COLUMN_COLUMNS);
    pf_show("  %-23s%" PF_SENTENCE "     mae%s    rmse%s     r2%s values", heading, gap.first,
            gap.other, gap.other, gap.other);
    for (int c = 0; c < metrics->columns && c < PF_METRICS_MAX_LINES; c++)
        pf_show("  %6d %16s%" PF_SENTENCE "%8.4f%s%8.4f%s%7.4f%s%7lld", c, "", gap.first,
                metrics->column[c].mae, gap.other, metrics->column[c].rmse, gap.other,
                metrics->column[c].r2, gap.other, (long long)metrics->column[c].count);
}

static void add_json(const void *results, const char *const *names, cJSON *json)
{
    const PfRegressionMetrics *metrics = results;
    (void)names;
    cJSON *columns = cJSON_AddArrayToObject(json, "columns");
    for (int c = 0; c < metrics->columns; c++) {
        cJSON *column = cJSON_CreateObject();
        cJSON_AddNumberToObject(column, "values", (double)metrics->column[c].count);
        pf_metrics_add_fields(column, pf_regression_fields, &metrics->column[c], false);
        cJSON_AddItemToArray(columns, column);
    }
}

/* ---- as any metrics ---- */

static int start_meter(int width, int threads, bool with_auc, void **meter, PfError *err)
{
    PfRegressionMeter *own = NULL;
    (void)threads;
    (void)with_auc;
    if (pf_regression_meter_new(width, &own, err)) return -1;
    *meter = own;
    return 0;
}

static int add_rows(void *meter, const PfMeterRows *rows, PfError *err)
{
    return pf_regression_meter_add(meter, rows->n, rows->outputs, rows->stride, rows->values,
                                   rows->width, err);
}

static int finish_meter(const void *meter, void *results, PfError *err)
{
    return pf_regression_meter_finish(meter, results, err);
}

static void stop_meter(void *meter)
{
    PfRegressionMeter *own = meter;
    pf_regression_meter_free(&own);
}

static void clear_results(void *results)
{
    pf_regression_metrics_free(results);
}

const PfMetrics pf_regression = {
    .fields = pf_regression_fields,
    .fields_at = offsetof(PfRegressionMetrics, overall),
    .size = sizeof(PfRegressionMetrics),
    .main_name = "mae",
    .main_value = offsetof(PfRegressionMetrics, overall.mae),
    .start = start_meter,
    .add = add_rows,
    .finish = finish_meter,
    .stop = stop_meter,
    .clear = clear_results,
    .print = print_columns,
    .add_json = add_json,
};
