#include "train/kernels/kernels.h"

#include <stdatomic.h>
#include <stddef.h>

#include "common/simd/processor.h"

static _Atomic(const PfKernels *) chosen;

static const PfKernels *best(void)
{
    const PfKernels *sets[] = {pf_kernels_avx512(), pf_kernels_avx2(), pf_kernels_neon(),
                               &pf_kernels_plain};
    const char *names[PF_LANES_SETS];
    for (int i = 0; i < PF_LANES_SETS; i++) names[i] = sets[i] ? sets[i]->name : NULL;
    return sets[pf_processor_choose_lanes(names)];
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
