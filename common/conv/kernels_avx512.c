/* Bit-exact AVX-512 twin of the plain loops in kernels.c. */
#include <stddef.h>

#include "common/conv/kernels.h"

#if defined(__x86_64__)
#include "common/simd/lanes_avx512.h"

/* 24 of 32 registers hold the sums. */
#define PRODUCT_ROWS 6
#define PRODUCT_VECTORS 4
enum { PRODUCT_UNROLL = 14, PRODUCT_DEPTH = 512 };
#include "common/conv/lanes.h"

static const PfConvKernels kernels = CONVOLUTION_TABLE("avx512");

const PfConvKernels *pf_conv_kernels_avx512(void)
{
    return __builtin_cpu_supports("avx512f") ? &kernels : NULL;
}

#else

const PfConvKernels *pf_conv_kernels_avx512(void)
{
    return NULL;
}

#endif
