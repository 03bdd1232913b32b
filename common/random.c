#include "random.h"

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

double pf_random_normal(PfRandom *random)
{
    double radius = 1.0 - pf_random_uniform(random); /* (0, 1]: its logarithm is finite */
    double angle = pf_random_uniform(random);
    return sqrt(-2.0 * log(radius)) * cos(6.283185307179586 * angle);
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
