#include "inspect/findings/features.h"

#include <math.h>

#include "common/base/memory.h"

/* A deviation of less than this share of the mean is what sums of squares leave of none. */
#define ROUNDING 1e-6

static bool is_constant(const PfRows *rows, int64_t column)
{
    return rows->spread[column] <= ROUNDING * fabs(rows->mean[column]);
}

int pf_features_check(const PfRows *rows, PfFeatureFindings *out, PfError *err)
{
    out->constant = pf_calloc((size_t)rows->features, sizeof *out->constant, err);
    out->broken = pf_calloc((size_t)rows->broken_count, sizeof *out->broken, err);
    out->zero = pf_calloc((size_t)rows->zero_count, sizeof *out->zero, err);
    if (!out->constant || !out->broken || !out->zero) return -1;
    for (int64_t j = 0; j < rows->features && rows->count - rows->broken_count > 1; j++)
        if (is_constant(rows, j)) out->constant[out->constant_count++] = (int32_t)j;
    for (int64_t i = 0; i < rows->count; i++)
        if (rows->broken[i] == 1)
            out->broken[out->broken_count++] = (int32_t)i;
        else if (rows->broken[i] == 2)
            out->zero[out->zero_count++] = (int32_t)i;
    out->status.done = true;
    return 0;
}
