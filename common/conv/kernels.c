#include "common/conv/kernels.h"

#include <stddef.h>

#include "common/simd/processor.h"

/* ---- for any processor: the definition of the loops ---- */

#include "common/simd/lanes_plain.h"

#define PRODUCT_ROWS 4
#define PRODUCT_VECTORS 1
enum { PRODUCT_UNROLL = 1, PRODUCT_DEPTH = 512 };
#include "common/conv/lanes.h"

const PfConvKernels pf_conv_kernels_plain = CONVOLUTION_TABLE("plain");

/* ---- which are used ---- */

const PfConvKernels *pf_conv_kernels(void)
{
    const PfConvKernels *sets[] = {pf_conv_kernels_avx512(), pf_conv_kernels_avx2(),
                                   pf_conv_kernels_neon(), &pf_conv_kernels_plain};
    const char *names[PF_LANES_SETS];
    for (int i = 0; i < PF_LANES_SETS; i++) names[i] = sets[i] ? sets[i]->name : NULL;
    return sets[pf_processor_choose_lanes(names)];
}
