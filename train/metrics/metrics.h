/* What all metrics have in common: how rows are added up, which numbers come of them as a table of
 * fields, and how the details behind the numbers are printed and written as JSON. */
#ifndef PF_TRAIN_METRICS_METRICS_H
#define PF_TRAIN_METRICS_METRICS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"
#include "train/metrics/interval.h"

#define PF_FIELD_WITHOUT_INTERVAL ((size_t)-1)

/* A double of a struct, and the PfInterval that belongs to it. Tables end with key = NULL. */
typedef struct PfMetricField {
    const char *key;   /* in the result JSON */
    const char *title; /* in the table on the terminal; NULL: in the JSON only */
    size_t value;      /* offset in the struct */
    size_t interval;   /* offset, or PF_FIELD_WITHOUT_INTERVAL */
} PfMetricField;

/* Entries of a table for Struct.member, with and without Struct.member_interval. */
#define PF_FIELD(Struct, member, key, title)                                                       \
    {                                                                                              \
        key, title, offsetof(Struct, member), offsetof(Struct, member##_interval)                  \
    }
#define PF_PLAIN_FIELD(Struct, member, key, title)                                                 \
    {                                                                                              \
        key, title, offsetof(Struct, member), PF_FIELD_WITHOUT_INTERVAL                            \
    }

/* A block of rows, to be added up. */
typedef struct PfMeterRows {
    int64_t n;
    const float *outputs; /* (n, width) of the head: logits, or numbers in the target's own units */
    int64_t stride;       /* between rows of outputs */
    int64_t width;
    const int32_t *labels; /* (n) of classes, -1 missing; else NULL */
    const float *values;   /* (n, width) of other kinds, NaN missing; else NULL */
} PfMeterRows;

/* Metrics of one kind, as functions over a meter that adds rows up and a struct of results. */
typedef struct PfMetrics {
    const PfMetricField *fields; /* of what lies at fields_at in the results */
    size_t fields_at, size;      /* size: of the results */
    /* The one number that a person would ask for first, a double at main_value in the results. */
    const char *main_name;
    size_t main_value;
    /* width: outputs of a row. threads: 0 = all processors. with_auc: of classes; it costs most
     * of the time. *meter: to be freed with stop. */
    int (*start)(int width, int threads, bool with_auc, void **meter, PfError *err);
    int (*add)(void *meter, const PfMeterRows *rows, PfError *err);
    /* Before the first rows: a label is predicted where its logit is above it, not above 0. NULL of
     * kinds without labels. */
    void (*set_threshold)(void *meter, float logit);
    /* What they hold is freed with clear. */
    int (*finish)(const void *meter, void *results, PfError *err);
    void (*stop)(void *meter);
    void (*clear)(void *results);
    /* The details, below the fields. names: of classes or labels, or NULL. split: "val". */
    void (*print)(const void *results, const char *const *names, const char *split);
    void (*add_json)(const void *results, const char *const *names, cJSON *json);
} PfMetrics;

extern const PfMetrics pf_classification, pf_regression, pf_multilabel, pf_keypoints;

double pf_field_value(const PfMetricField *field, const void *metrics);
/* None where the field has no interval. */
PfInterval pf_field_interval(const PfMetricField *field, const void *metrics);

/* part / whole, and 0 where whole is 0, as scikit-learn's zero_division=0. */
double pf_metrics_quotient(double part, double whole);

/* ---- for the details ---- */

/* More classes, labels or columns than this are not all listed on the terminal. */
#define PF_METRICS_MAX_LINES 20
/* A name takes so many columns of the terminal. */
#define PF_METRICS_NAME_COLUMNS 16
#define PF_METRICS_NAME_SIZE (4 * PF_METRICS_NAME_COLUMNS + 1)

/* The beginning of names[index] as it is printed, padded with spaces; its number where names is
 * NULL. Into cell, which is returned. */
const char *pf_metrics_name_cell(const char *const *names, int index,
                                 char cell[PF_METRICS_NAME_SIZE]);

/* What stands between a line's name and its numbers, and between two numbers. */
typedef struct PfTableGaps {
    const char *first; /* a line break where the terminal is narrow; for PF_SENTENCE */
    const char *other;
} PfTableGaps;

/* Of a table that is so many columns wide with two spaces in every gap. Narrow, its numbers are
 * below the name, and have to fit into 40 columns. */
PfTableGaps pf_metrics_gaps(int columns);

/* Nothing where the value is not finite: JSON has no NaN. */
void pf_metrics_add_number(cJSON *json, const char *key, double value);
/* Every field, and, where asked for, an object "intervals" of their intervals. */
void pf_metrics_add_fields(cJSON *json, const PfMetricField *fields, const void *metrics,
                           bool with_intervals);
/* "name", where there are names. */
void pf_metrics_add_name(cJSON *json, const char *const *names, int index);

#endif
