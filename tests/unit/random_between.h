/* Random whole numbers, for the suites that draw their cases. */
#ifndef PF_RANDOM_BETWEEN_H
#define PF_RANDOM_BETWEEN_H

#include "common/base/random.h"

/* Either end included. */
static inline int64_t between(PfRandom *random, int64_t low, int64_t high)
{
    return low + (int64_t)pf_random_below(random, (uint64_t)(high - low + 1));
}

#endif
