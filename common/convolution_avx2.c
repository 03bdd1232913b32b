/* Bit-exact AVX2 twin of the plain loops in convolution_kernels.c. */
#include <stddef.h>

#include "convolution_kernels.h"

#if defined(__x86_64__)
#include "lanes_avx2.h"

/* 12 of 16 registers hold the sums. */
#define PRODUCT_ROWS 6
#define PRODUCT_VECTORS 1
enum { PRODUCT_UNROLL = 6 };
#include "convolution_lanes.h"

static const PfConvolutionKernels kernels = CONVOLUTION_TABLE("avx2");

const PfConvolutionKernels *pf_convolution_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kernels : NULL;
}

#else

const PfConvolutionKernels *pf_convolution_avx2(void)
{
    return NULL;
}

#endif
