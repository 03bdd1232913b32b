/* Bit-exact twin of the plain loops in kernels.c for arm64, whose processors all have Advanced
 * SIMD. */
#include <stddef.h>

#include "common/conv/kernels.h"

#if defined(__aarch64__)
#include "common/simd/lanes_neon.h"

/* 24 of 32 registers hold the sums, of four floats each. */
#define PRODUCT_ROWS 6
#define PRODUCT_VECTORS 1
enum { PRODUCT_UNROLL = 6, PRODUCT_DEPTH = 256 };
#include "common/conv/lanes.h"

static const PfConvKernels kernels = CONVOLUTION_TABLE("neon");

const PfConvKernels *pf_conv_kernels_neon(void)
{
    return &kernels;
}

#else

const PfConvKernels *pf_conv_kernels_neon(void)
{
    return NULL;
}

#endif
