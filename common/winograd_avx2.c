/* Bit-exact AVX2 twin of winograd_plain.c. */
#include <stddef.h>

#include "winograd_kernels.h"

#if defined(__x86_64__)
#include "lanes_avx2.h"

/* 12 of 16 registers hold the sums. */
#define WINOGRAD_ROWS 6
#define WINOGRAD_VECTORS 1
enum { WINOGRAD_UNROLL = 6 };
#include "winograd_lanes.h"

static const PfWinogradKernels kernels = WINOGRAD_TABLE("avx2");

const PfWinogradKernels *pf_winograd_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kernels : NULL;
}

#else

const PfWinogradKernels *pf_winograd_avx2(void)
{
    return NULL;
}

#endif
