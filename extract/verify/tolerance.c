#include "extract/verify/tolerance.h"

#include <math.h>
#include <string.h>

#include "common/base/json.h"

/* What two runtimes may be apart, each of which is off by half of it. fp32 where nothing is said.
 */
static double of_precision(const char *name)
{
    static const struct {
        const char *name;
        double share;
    } shares[] = {{"tf32", 4e-3}, {"fp16", 4e-3}, {"bf16", 4e-2}};
    for (size_t i = 0; name && i < sizeof shares / sizeof *shares; i++)
        if (!strcmp(name, shares[i].name)) return shares[i].share;
    return 1e-5;
}

PfTolerance pf_tolerance_of(const char *identity, PfDtype dtype)
{
    if (dtype != PF_DTYPE_F16 && dtype != PF_DTYPE_F32) return (PfTolerance){0};
    cJSON *object = pf_json_read(identity);
    PfTolerance tolerance = {.of_largest = of_precision(pf_json_member_text(object, "precision"))};
    cJSON_Delete(object);
    if (dtype == PF_DTYPE_F16) {
        tolerance.of_value = ldexp(1, -10);
        tolerance.step = ldexp(1, -24);
    }
    return tolerance;
}

static double largest_of(const float *left, const float *right, int64_t count)
{
    double largest = 0;
    for (int64_t i = 0; i < count; i++) { /* by fmax, gcc 12 for arm64 breaks off with an error */
        const double a = fabs((double)left[i]), b = fabs((double)right[i]);
        if (a > largest) largest = a;
        if (b > largest) largest = b;
    }
    return largest;
}

bool pf_tolerance_agrees(PfTolerance tolerance, const float *left, const float *right,
                         int64_t count)
{
    const double largest = largest_of(left, right, count);
    for (int64_t i = 0; i < count; i++) {
        double a = left[i], b = right[i];
        double allowed = tolerance.of_largest * largest + tolerance.step +
                         tolerance.of_value * fmax(fabs(a), fabs(b));
        if (!(fabs(a - b) <= allowed)) return false;
    }
    return true;
}

double pf_tolerance_difference(const float *left, const float *right, int64_t count)
{
    const double largest = largest_of(left, right, count);
    double most = 0;
    for (int64_t i = 0; i < count; i++) {
        const double difference = fabs((double)left[i] - (double)right[i]);
        if (difference > most) most = difference;
    }
    return largest > 0 ? most / largest : 0;
}
