#include "common/base/random.h"

#include <math.h>

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

PfRandom pf_random_seeded(uint64_t seed, uint64_t stream)
{
    return (PfRandom){mix(mix(seed + 0x9e3779b97f4a7c15u) ^ mix(stream + 0xd1b54a32d192ed03u))};
}

uint64_t pf_random_u64(PfRandom *random)
{
    return mix(random->state += 0x9e3779b97f4a7c15u);
}

uint64_t pf_random_below(PfRandom *random, uint64_t bound)
{
    /* Values past the last whole multiple of bound are drawn again. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t value;
    do value = pf_random_u64(random);
    while (value >= limit);
    return value % bound;
}

double pf_random_uniform(PfRandom *random)
{
    return (double)(pf_random_u64(random) >> 11) * 0x1p-53;
}

/* log(x) for 0 < x < 1 from sums and products alone: x = m 2^e with m near 1,
 * log m = 2 atanh((m - 1) / (m + 1)). libm's log differs in its last bit from
 * processor to processor. */
static double exact_log(double x)
{
    int exponent;
    double m = frexp(x, &exponent);
    if (m < 0.70710678118654752) {
        m *= 2;
        exponent--;
    }
    double z = (m - 1) / (m + 1), square = z * z, sum = 0;
    for (int n = 23; n > 0; n -= 2) sum = sum * square + 1.0 / n;
    return 2 * z * sum + exponent * 0.69314718055994530942;
}

/* num[0] + num[1] x + ... + num[7] x^7 over the same of den. */
static double rational(const double num[8], const double den[8], double x)
{
    double above = num[7], below = den[7];
    for (int i = 6; i >= 0; i--) {
        above = above * x + num[i];
        below = below * x + den[i];
    }
    return above / below;
}

/* The standard normal's quantile for 0 < p < 1: Wichura, Algorithm AS 241
 * (PPND16), Applied Statistics 37, 1988. Relative error about 1e-16. */
static double normal_quantile(double p)
{
    static const double centre[2][8] = {
        {3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3,
         1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
         3.3430575583588128105e+4, 2.5090809287301226727e+3},
        {1.0, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
         2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4,
         5.2264952788528545610e+3}};
    static const double tail[2][8] = {
        {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
         3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
         2.27238449892691845833e-2, 7.74545014278341407640e-4},
        {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
         1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
         1.05075007164441684324e-9}};
    static const double far_tail[2][8] = {
        {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
         2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
         2.71155556874348757815e-5, 2.01033439929228813265e-7},
        {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
         7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
         2.04426310338993978564e-15}};
    double q = p - 0.5;
    if (fabs(q) <= 0.425) return q * rational(centre[0], centre[1], 0.180625 - q * q);
    double r = sqrt(-exact_log(q < 0 ? p : 1 - p));
    double magnitude =
        r <= 5 ? rational(tail[0], tail[1], r - 1.6) : rational(far_tail[0], far_tail[1], r - 5);
    return q < 0 ? -magnitude : magnitude;
}

double pf_random_normal(PfRandom *random)
{
    /* The middles of 2^52 equal intervals: never 0 or 1, and 1 - p is exact. */
    return normal_quantile(((double)(pf_random_u64(random) >> 12) + 0.5) * 0x1p-52);
}

void pf_random_shuffle(PfRandom *random, int32_t *values, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)pf_random_below(random, i);
        int32_t swapped = values[i - 1];
        values[i - 1] = values[other];
        values[other] = swapped;
    }
}
