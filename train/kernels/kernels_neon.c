/* Bit-exact twin of kernels_plain.c for arm64, whose processors all have Advanced SIMD. */
#include "train/kernels/kernels.h"

#if defined(__aarch64__)
#include "common/simd/lanes_neon.h"

/* 24 of 32 registers hold the tile's sums, of four floats each. */
#define GEMM_ROWS 6
#define GEMM_VECTORS 1
enum { GEMM_UNROLL = 8 };
#include "train/kernels/kernels_lanes.h"

static const PfKernels kernels = KERNEL_TABLE("neon");

const PfKernels *pf_kernels_neon(void)
{
    return &kernels;
}

#else

const PfKernels *pf_kernels_neon(void)
{
    return NULL;
}

#endif
