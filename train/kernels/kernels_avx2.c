/* Bit-exact AVX2 twin of kernels_plain.c. */
#include "train/kernels/kernels.h"

#if defined(__x86_64__)
#include "common/simd/lanes_avx2.h"

/* 12 of 16 registers hold the tile's sums. */
#define GEMM_ROWS 6
#define GEMM_VECTORS 1
enum { GEMM_UNROLL = 8 };
#include "train/kernels/kernels_lanes.h"

static const PfKernels kernels = KERNEL_TABLE("avx2");

const PfKernels *pf_kernels_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kernels : NULL;
}

#else

const PfKernels *pf_kernels_avx2(void)
{
    return NULL;
}

#endif
