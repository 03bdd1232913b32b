#include "train/metrics/interval.h"

#include <math.h>
#include <stdbool.h>

/* Quantile 0.975 of the standard normal. */
#define Z 1.959963984540054

PfInterval pf_interval_none(void)
{
    return (PfInterval){(double)NAN, (double)NAN};
}

/* (p + z^2/2n +- z sqrt(p (1-p)/n + z^2/4n^2)) / (1 + z^2/n) */
PfInterval pf_interval_wilson(int64_t successes, int64_t count)
{
    if (count <= 0) return pf_interval_none();
    double n = (double)count, p = (double)successes / n;
    double centre = p + Z * Z / (2 * n), scale = 1 + Z * Z / n;
    double half = Z * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n));
    double low = successes == 0 ? 0 : (centre - half) / scale;
    double high = successes == count ? 1 : (centre + half) / scale;
    return (PfInterval){low, high};
}

/* Not 0, nor what rounding makes of it. */
static bool is_spread(double estimate, double standard_error)
{
    return standard_error > 1e-12 * fabs(estimate);
}

PfInterval pf_interval_normal(double estimate, double standard_error, double min, double max)
{
    if (!is_spread(estimate, standard_error)) return pf_interval_none();
    return (PfInterval){fmax(min, estimate - Z * standard_error),
                        fmin(max, estimate + Z * standard_error)};
}

static double inverse_logit(double x)
{
    return 1 / (1 + exp(-x));
}

PfInterval pf_interval_logit(double estimate, double standard_error)
{
    if (!is_spread(estimate, standard_error) || !(estimate > 0 && estimate < 1))
        return pf_interval_none();
    double centre = log(estimate / (1 - estimate));
    double half = Z * standard_error / (estimate * (1 - estimate));
    return (PfInterval){inverse_logit(centre - half), inverse_logit(centre + half)};
}

static double binomial_half(int64_t n, int64_t k)
{
    int sign; /* lgamma itself would write a global */
    double a = (double)n + 1, b = (double)k + 1, c = (double)(n - k) + 1;
    return exp(lgamma_r(a, &sign) - lgamma_r(b, &sign) - lgamma_r(c, &sign) - (double)n * log(2));
}

/* The highest rank with P(B <= rank) <= 0.025, B ~ binomial(n, 1/2), and its mirror image. */
int pf_interval_median_ranks(int64_t n, int64_t *low, int64_t *high)
{
    if (n < 6) return 0;
    int64_t rank = (int64_t)((double)n / 2 - 5 * sqrt((double)n)); /* what is below: 1e-23 */
    if (rank < 0) rank = 0;
    double probability = binomial_half(n, rank), total = probability;
    while (total <= 0.025) {
        probability *= (double)(n - rank) / (double)(rank + 1);
        total += probability;
        rank++;
    }
    *low = rank - 1;
    *high = n - rank;
    return 1;
}

void pf_proportion_mean_add(PfProportionMean *mean, int64_t successes, int64_t count)
{
    PfInterval interval = pf_interval_wilson(successes, count);
    double p = (double)successes / (double)count;
    mean->proportions++;
    mean->sum += p;
    mean->below += (p - interval.low) * (p - interval.low);
    mean->above += (interval.high - p) * (interval.high - p);
}

double pf_proportion_mean_value(const PfProportionMean *mean)
{
    return mean->sum / (double)mean->proportions;
}

PfInterval pf_proportion_mean_interval(const PfProportionMean *mean)
{
    double value = pf_proportion_mean_value(mean), count = (double)mean->proportions;
    return (PfInterval){value - sqrt(mean->below) / count, value + sqrt(mean->above) / count};
}

void pf_ratio_add(PfRatio *ratio, double part, double whole)
{
    if (whole == 0) return;
    ratio->rows++;
    ratio->part += part;
    ratio->whole += whole;
    ratio->part_part += part * part;
    ratio->part_whole += part * whole;
    ratio->whole_whole += whole * whole;
}

double pf_ratio_value(const PfRatio *ratio)
{
    return ratio->part / ratio->whole;
}

/* n/(n-1) sum (part - R whole)^2 / (sum whole)^2 */
double pf_ratio_standard_error(const PfRatio *ratio)
{
    double n = (double)ratio->rows, r = pf_ratio_value(ratio);
    double squares = ratio->part_part - 2 * r * ratio->part_whole + r * r * ratio->whole_whole;
    if (squares <= 1e-15 * n * ratio->part_part) squares = 0; /* nothing but rounding */
    return sqrt(squares * n / (n - 1)) / ratio->whole;
}

double pf_influence_standard_error(const double *influence, int64_t rows)
{
    double squares = 0;
    for (int64_t i = 0; i < rows; i++) squares += influence[i] * influence[i];
    return sqrt(squares);
}
