/* 95 % confidence intervals: between which numbers a metric would lie, were it
 * taken on endlessly many rows of the same kind. Rows count as independent draws.
 *
 * All are closed formulas. The median's is exact (it covers at least 95 % whatever
 * the distribution); all others are asymptotic, and rough below some thirty rows.
 * Where the rows say nothing about the spread (a single row, or no row differs)
 * there is no interval: both ends are NaN. They measure the rows' luck alone: on
 * rows that a head was trained on, or chosen by, they are too hopeful. */
#ifndef PF_TRAIN_METRICS_INTERVAL_H
#define PF_TRAIN_METRICS_INTERVAL_H

#include <stdint.h>

typedef struct PfInterval {
    double low, high;
} PfInterval;

PfInterval pf_interval_none(void);

/* Of a proportion: Wilson's score interval. Asymptotic, and near 95 % from few rows
 * on, also at 0 and 1. Wilson, J. Am. Stat. Assoc. 22 (1927) 209; Brown, Cai,
 * DasGupta, Stat. Sci. 16 (2001) 101. */
PfInterval pf_interval_wilson(int64_t successes, int64_t count);

/* estimate +- 1.96 standard errors, cut off at min and max. Asymptotic (central
 * limit theorem). None where the error is 0 or NaN. */
PfInterval pf_interval_normal(double estimate, double standard_error, double min, double max);

/* The same on the log odds, so that it stays within (0, 1) and leans the right way.
 * Asymptotic (delta method). Pepe, The Statistical Evaluation of Medical Tests
 * (2003), ch. 5. None where the estimate is 0 or 1. */
PfInterval pf_interval_logit(double estimate, double standard_error);

/* The median of n values lies between those of these ranks (from 0) once sorted.
 * Exact: binomial(n, 1/2). David, Nagaraja, Order Statistics (2003), ch. 7. Returns
 * 0 where n is below 6, which has no such ranks. */
int pf_interval_median_ranks(int64_t n, int64_t *low, int64_t *high);

/* The mean of independent proportions, such as the recalls of classes. Wilson's
 * intervals combined by square and add: asymptotic. Newcombe, Stat. Med. 17 (1998)
 * 873; Zou, Donner, Stat. Med. 27 (2008) 1693. Start from {0}. */
typedef struct PfProportionMean {
    int64_t proportions;
    double sum, below, above; /* of the proportions; of the squared distances to their limits */
} PfProportionMean;

void pf_proportion_mean_add(PfProportionMean *mean, int64_t successes, int64_t count);
double pf_proportion_mean_value(const PfProportionMean *mean); /* NaN of none */
PfInterval pf_proportion_mean_interval(const PfProportionMean *mean);

/* A ratio of two sums over rows: a mean over values of which each row has some,
 * which need not be independent of one another. Start from {0}. */
typedef struct PfRatio {
    int64_t rows;
    double part, whole;                        /* sums over rows */
    double part_part, part_whole, whole_whole; /* of their products */
} PfRatio;

/* A row without anything (whole = 0) is no row. */
void pf_ratio_add(PfRatio *ratio, double part, double whole);
double pf_ratio_value(const PfRatio *ratio); /* NaN of none */
/* Linearised: asymptotic. With whole = 1 everywhere that of a mean. Cochran,
 * Sampling Techniques (1977), ch. 6. */
double pf_ratio_standard_error(const PfRatio *ratio);

/* Of any smooth metric, from how far each row alone moves it (its influence, in
 * first order; they add up to 0): the root of the sum of squares. Asymptotic
 * (infinitesimal jackknife). Efron, The Jackknife, the Bootstrap and Other
 * Resampling Plans (1982), ch. 6. */
double pf_influence_standard_error(const double *influence, int64_t rows);

#endif
