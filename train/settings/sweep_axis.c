#include "train/settings/sweep_axis.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/options.h"

#define MAX_VALUES 1000

static int fail_range(const char *text, PfError *err)
{
    return pf_fail(
        err, PF_EXIT_USAGE,
        "--sweep: expected a range as in 1e-4..1e-1:log7 (equal factors; both ends above "
        "0) or 0..0.5:lin6 (equal steps), of 2 to %d values, found '%s'",
        MAX_VALUES, text);
}

static double value_at(double low, double high, int is_log, int index, int count)
{
    double share = (double)index / (count - 1);
    return is_log ? low * pow(high / low, share) : low + (high - low) * share;
}

/* "A..B:logN" or "A..B:linN" */
static int parse_range(const char *text, PfSweepAxis *axis, PfError *err)
{
    double low, high;
    uint64_t wanted;
    const char *dots = strstr(text, ".."), *colon = strchr(text, ':');
    if (!colon || colon < dots + 2 || pf_options_read_double(text, (size_t)(dots - text), &low) ||
        pf_options_read_double(dots + 2, (size_t)(colon - dots - 2), &high))
        return fail_range(text, err);
    int is_log = !strncmp(colon, ":log", 4);
    if ((!is_log && strncmp(colon, ":lin", 4)) ||
        pf_options_read_unsigned(colon + 4, strlen(colon + 4), &wanted) || wanted < 2 ||
        wanted > MAX_VALUES || (is_log && (low <= 0 || high <= 0)))
        return fail_range(text, err);
    int count = (int)wanted;
    axis->values = pf_calloc((size_t)count, sizeof *axis->values, err);
    if (!axis->values) return -1;
    for (axis->count = 0; axis->count < count; axis->count++) {
        double value = value_at(low, high, is_log, axis->count, count);
        if (!(axis->values[axis->count] = pf_asprintf(err, "%.6g", value))) return -1;
    }
    return 0;
}

/* The whole list is a range; a list of values may hold words with dots. */
static bool is_range(const char *text)
{
    return strstr(text, "..") && !strchr(text, ',');
}

void pf_sweep_axis_free(PfSweepAxis *axis)
{
    free(axis->name);
    pf_options_free_list(&axis->values, &axis->count);
    *axis = (PfSweepAxis){0};
}

int pf_sweep_axis_parse(const char *text, PfSweepAxis *axis, PfError *err)
{
    const char *equals = strchr(text, '=');
    *axis = (PfSweepAxis){0};
    if (!equals || equals == text || !equals[1])
        return pf_fail(err, PF_EXIT_USAGE,
                       "--sweep: expected OPTION=VALUES as in lr=1e-3,1e-2 or lr=1e-4..1e-1:log7, "
                       "found '%s'",
                       text);
    axis->name = pf_asprintf(err, "%.*s", (int)(equals - text), text);
    if (axis->name && !(is_range(equals + 1)
                            ? parse_range(equals + 1, axis, err)
                            : pf_options_split_list(equals + 1, &axis->values, &axis->count, err)))
        return 0;
    pf_sweep_axis_free(axis);
    return -1;
}
