/* What a metrics struct holds, as a table: reports print any kind of metrics by
 * one loop over its fields. */
#ifndef PF_METRICS_FIELD_H
#define PF_METRICS_FIELD_H

#include <stddef.h>

#include "metrics_interval.h"

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

double pf_field_value(const PfMetricField *field, const void *metrics);
/* None where the field has no interval. */
PfInterval pf_field_interval(const PfMetricField *field, const void *metrics);

#endif
