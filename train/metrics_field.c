#include "metrics_field.h"

double pf_field_value(const PfMetricField *field, const void *metrics)
{
    return *(const double *)(const void *)((const char *)metrics + field->value);
}

PfInterval pf_field_interval(const PfMetricField *field, const void *metrics)
{
    if (field->interval == PF_FIELD_WITHOUT_INTERVAL) return pf_interval_none();
    return *(const PfInterval *)(const void *)((const char *)metrics + field->interval);
}
