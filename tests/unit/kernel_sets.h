/* What the suites of the kernels share: the sets that this processor has, the plain
 * one first, and arrays of floats. */
#ifndef PF_KERNEL_SETS_H
#define PF_KERNEL_SETS_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/random.h"
#include "train/kernels/kernels.h"

enum { MAX_KERNEL_SETS = 4 };

static inline int kernel_sets(const PfKernels *sets[MAX_KERNEL_SETS])
{
    int count = 0;
    sets[count++] = &pf_kernels_plain;
    if (pf_kernels_neon()) sets[count++] = pf_kernels_neon();
    if (pf_kernels_avx2()) sets[count++] = pf_kernels_avx2();
    if (pf_kernels_avx512()) sets[count++] = pf_kernels_avx512();
    if (count < MAX_KERNEL_SETS)
        printf("%d of %d sets of kernels on this processor\n", count, MAX_KERNEL_SETS);
    return count;
}

static inline void use_best_kernels(void)
{
    pf_kernels_use(NULL);
}

/* The same bits, or both NaN. */
static inline int same(float a, float b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

static inline int all_same(const float *a, const float *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!same(a[i], b[i])) return 0;
    return 1;
}

static inline int64_t below(PfRandom *random, int64_t bound)
{
    return (int64_t)pf_random_below(random, (uint64_t)bound);
}

static inline float *new_floats(int64_t count)
{
    float *values = calloc((size_t)count + 1, sizeof *values);
    ck_assert_ptr_nonnull(values);
    return values;
}

static inline float *copy_floats(const float *values, int64_t count)
{
    float *copy = new_floats(count);
    memcpy(copy, values, (size_t)count * sizeof *copy);
    return copy;
}

static inline void fill_normal(PfRandom *random, float *values, int64_t count, double scale)
{
    for (int64_t i = 0; i < count; i++) values[i] = (float)(scale * pf_random_normal(random));
}

#endif
