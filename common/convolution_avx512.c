/* Bit-exact AVX-512 twin of the plain loops in convolution_kernels.c. */
#include <stddef.h>

#include "convolution_kernels.h"

#if defined(__x86_64__)
#include "lanes_avx512.h"

/* 24 of 32 registers hold the sums. */
#define PRODUCT_ROWS 6
#define PRODUCT_VECTORS 4
enum { PRODUCT_UNROLL = 6 };
#include "convolution_lanes.h"

static const PfConvolutionKernels kernels = CONVOLUTION_TABLE("avx512");

const PfConvolutionKernels *pf_convolution_avx512(void)
{
    return __builtin_cpu_supports("avx512f") ? &kernels : NULL;
}

#else

const PfConvolutionKernels *pf_convolution_avx512(void)
{
    return NULL;
}

#endif
