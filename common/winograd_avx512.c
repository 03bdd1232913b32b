/* Bit-exact AVX-512 twin of winograd_plain.c. */
#include <stddef.h>

#include "winograd_kernels.h"

#if defined(__x86_64__)
#include "lanes_avx512.h"

/* 24 of 32 registers hold the sums. */
#define WINOGRAD_ROWS 6
#define WINOGRAD_VECTORS 4
enum { WINOGRAD_UNROLL = 6 };
#include "winograd_lanes.h"

static const PfWinogradKernels kernels = WINOGRAD_TABLE("avx512");

const PfWinogradKernels *pf_winograd_avx512(void)
{
    return __builtin_cpu_supports("avx512f") ? &kernels : NULL;
}

#else

const PfWinogradKernels *pf_winograd_avx512(void)
{
    return NULL;
}

#endif
