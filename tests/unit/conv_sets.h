/* What the suites of common/conv share: the sets of kernels that this processor has, floats between
 * unreadable pages, and what is not finite. */
#ifndef PF_CONV_SETS_H
#define PF_CONV_SETS_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/conv/kernels.h"
#include "tests/unit/guarded_floats.h"
#include "tests/unit/random_between.h"

enum { CONV_SETS = 4 };

/* Set s of those that this processor has, the plain one first; NULL behind the last. */
static inline const PfConvKernels *conv_set(int s)
{
    const PfConvKernels *const sets[CONV_SETS] = {&pf_conv_kernels_plain, pf_conv_kernels_neon(),
                                                  pf_conv_kernels_avx2(), pf_conv_kernels_avx512()};
    for (int i = 0; i < CONV_SETS; i++)
        if (sets[i] && s-- == 0) return sets[i];
    return NULL;
}

static inline int conv_set_count(void)
{
    int count = 0;
    while (conv_set(count)) count++;
    return count;
}

static inline void print_conv_sets(void)
{
    for (int s = 0; conv_set(s); s++) printf("%s ", conv_set(s)->name);
    printf("of %d sets of kernels are on this processor\n", CONV_SETS);
}

/* The first set's result is kept, for the others' to be compared with, bit for bit. */
static inline void keep_or_compare(int s, float *kept, const float *y, int64_t count)
{
    const size_t bytes = (size_t)count * sizeof *kept;
    if (!s) memcpy(kept, y, bytes);
    assert_each(!memcmp(kept, y, bytes), "%s and %s differ", conv_set(s)->name, conv_set(0)->name);
}

/* Of the normal distribution. */
static inline GuardedFloats random_guarded(PfRandom *random, int64_t count, double scale,
                                           double shift)
{
    GuardedFloats floats = guarded_floats((size_t)count, 0);
    for (int64_t i = 0; i < count; i++)
        floats.values[i] = (float)(shift + scale * pf_random_normal(random));
    return floats;
}

static inline float not_finite(PfRandom *random)
{
    static const float kinds[] = {NAN, INFINITY, -INFINITY};
    return kinds[between(random, 0, 2)];
}

/* Up to so many values, anywhere. */
static inline void break_some(PfRandom *random, float *values, int64_t count, int64_t broken)
{
    for (int64_t i = 0; i < broken; i++) values[between(random, 0, count - 1)] = not_finite(random);
}

/* Equal where it is not finite, else within the tolerance. */
static inline bool is_near(double found, double expected, double tolerance)
{
    if (isnan(expected)) return isnan(found);
    return isfinite(expected) ? fabs(found - expected) <= tolerance : found == expected;
}

#endif
