/* Seeded random numbers: splitmix64 (Steele, Lea, Flood 2014). One 64-bit
 * state, so a stream can be derived from (seed, what it is for, epoch, ...) and
 * never depends on which thread asks first. */
#ifndef PF_COMMON_BASE_RANDOM_H
#define PF_COMMON_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

typedef struct PfRandom {
    uint64_t state;
} PfRandom;

/* A stream of its own for every (seed, stream). */
PfRandom pf_random_seeded(uint64_t seed, uint64_t stream);
uint64_t pf_random_u64(PfRandom *random);
/* Uniform in [0, bound), without modulo bias. bound > 0. */
uint64_t pf_random_below(PfRandom *random, uint64_t bound);
/* Uniform in [0, 1). */
double pf_random_uniform(PfRandom *random);
/* Standard normal; the same bits on every machine (no libm but sqrt). */
double pf_random_normal(PfRandom *random);
/* Fisher-Yates shuffle of count indices. */
void pf_random_shuffle(PfRandom *random, int32_t *values, size_t count);

#endif
