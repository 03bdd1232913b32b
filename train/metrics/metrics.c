#include "train/metrics/metrics.h"

#include <math.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/printable.h"

double pf_field_value(const PfMetricField *field, const void *metrics)
{
    return *(const double *)(const void *)((const char *)metrics + field->value);
}

PfInterval pf_field_interval(const PfMetricField *field, const void *metrics)
{
    if (field->interval == PF_FIELD_WITHOUT_INTERVAL) return pf_interval_none();
    return *(const PfInterval *)(const void *)((const char *)metrics + field->interval);
}

double pf_metrics_quotient(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

/* ---- on the terminal ---- */

const char *pf_metrics_name_cell(const char *const *names, int index,
                                 char cell[PF_METRICS_NAME_SIZE])
{
    int columns = 0;
    size_t used = 0;
    char shown[8 * PF_METRICS_NAME_COLUMNS];
    if (names)
        pf_format(shown, sizeof shown, "%s", names[index]);
    else
        snprintf(shown, sizeof shown, "%d", index);
    for (const char *name = shown; *name && used < PF_METRICS_NAME_SIZE - 5; name++) {
        bool starts = ((unsigned char)*name & 0xc0) != 0x80;
        if (starts && columns == PF_METRICS_NAME_COLUMNS) break;
        columns += starts;
        cell[used++] = *name;
    }
    for (; columns < PF_METRICS_NAME_COLUMNS; columns++) cell[used++] = ' ';
    cell[used] = '\0';
    return cell;
}

PfTableGaps pf_metrics_gaps(int columns)
{
    if (columns <= pf_log_show_columns()) return (PfTableGaps){"  ", "  "};
    return (PfTableGaps){"\n ", " "};
}

/* ---- JSON ---- */

void pf_metrics_add_number(cJSON *json, const char *key, double value)
{
    if (isfinite(value)) cJSON_AddNumberToObject(json, key, value);
}

static void add_interval(cJSON *json, const char *key, PfInterval interval)
{
    if (!isfinite(interval.low) || !isfinite(interval.high)) return;
    const double ends[] = {interval.low, interval.high};
    cJSON_AddItemToObject(json, key, cJSON_CreateDoubleArray(ends, 2));
}

void pf_metrics_add_fields(cJSON *json, const PfMetricField *fields, const void *metrics,
                           bool with_intervals)
{
    for (const PfMetricField *field = fields; field->key; field++)
        pf_metrics_add_number(json, field->key, pf_field_value(field, metrics));
    if (!with_intervals) return;
    cJSON *intervals = cJSON_AddObjectToObject(json, "intervals");
    for (const PfMetricField *field = fields; field->key; field++)
        add_interval(intervals, field->key, pf_field_interval(field, metrics));
}

void pf_metrics_add_name(cJSON *json, const char *const *names, int index)
{
    if (names) cJSON_AddStringToObject(json, "name", names[index]);
}
