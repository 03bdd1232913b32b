/* Bit-exact AVX-512 twin of kernels_plain.c. */
#include "train/kernels/kernels.h"

#if defined(__x86_64__)
#include "common/simd/lanes_avx512.h"

/* 24 of 32 registers hold the tile's sums. */
#define GEMM_ROWS 8
#define GEMM_VECTORS 3
enum { GEMM_UNROLL = 8 };
#include "train/kernels/kernels_lanes.h"

static const PfKernels kernels = KERNEL_TABLE("avx512");

const PfKernels *pf_kernels_avx512(void)
{
    return __builtin_cpu_supports("avx512f") ? &kernels : NULL;
}

#else

const PfKernels *pf_kernels_avx512(void)
{
    return NULL;
}

#endif
