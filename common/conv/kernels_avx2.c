/* Bit-exact AVX2 twin of the plain loops in kernels.c. */
#include <stddef.h>

#include "common/conv/kernels.h"

#if defined(__x86_64__)
#include "common/simd/lanes_avx2.h"

/* 12 of 16 registers hold the sums. */
#define PRODUCT_ROWS 6
#define PRODUCT_VECTORS 1
enum { PRODUCT_UNROLL = 6, PRODUCT_DEPTH = 256 };
#include "common/conv/lanes.h"

static const PfConvKernels kernels = CONVOLUTION_TABLE("avx2");

const PfConvKernels *pf_conv_kernels_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kernels : NULL;
}

#else

const PfConvKernels *pf_conv_kernels_avx2(void)
{
    return NULL;
}

#endif
