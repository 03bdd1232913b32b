#include "kernels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic(const PfKernels *) chosen;

static const PfKernels *best(void)
{
    const PfKernels *sets[] = {pf_kernels_avx512(), pf_kernels_avx2(), &pf_kernels_plain};
    const char *wanted = getenv("PF_KERNELS");
    for (int i = 0; i < 3; i++)
        if (sets[i] && (!wanted || !strcmp(sets[i]->name, wanted))) return sets[i];
    return sets[0] ? sets[0] : sets[1] ? sets[1] : sets[2];
}

const PfKernels *pf_kernels(void)
{
    const PfKernels *kernels = atomic_load_explicit(&chosen, memory_order_acquire);
    if (kernels) return kernels;
    kernels = best();
    atomic_store_explicit(&chosen, kernels, memory_order_release);
    return kernels;
}

void pf_kernels_use(const PfKernels *kernels)
{
    atomic_store_explicit(&chosen, kernels, memory_order_release);
}
