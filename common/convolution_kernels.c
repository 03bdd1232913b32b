#include "convolution_kernels.h"

#include <stddef.h>

#include "processor.h"

/* ---- for any processor: the definition of the loops ---- */

#include "lanes_plain.h"

#define PRODUCT_ROWS 4
#define PRODUCT_VECTORS 1
enum { PRODUCT_UNROLL = 1 };
#include "convolution_lanes.h"

const PfConvolutionKernels pf_convolution_plain = CONVOLUTION_TABLE("plain");

/* ---- which are used ---- */

const PfConvolutionKernels *pf_convolution_kernels(void)
{
    const PfConvolutionKernels *sets[] = {pf_convolution_avx512(), pf_convolution_avx2(),
                                          &pf_convolution_plain};
    const char *names[PF_LANES_SETS];
    for (int i = 0; i < PF_LANES_SETS; i++) names[i] = sets[i] ? sets[i]->name : NULL;
    return sets[pf_lanes_choose(names)];
}
