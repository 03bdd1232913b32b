/* What one core could do at most: a loop of fused multiply-adds in registers, on the thread's own
 * processor time, so that other programs disturb it less. */
#ifndef PF_BENCH_CEILING_H
#define PF_BENCH_CEILING_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

static inline double thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define CHAINS 12 /* independent ones: latency 4 times two units, and some */

__attribute__((target("avx512f"))) static float fma_loop_avx512(int64_t rounds)
{
    __m512 sum[CHAINS], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
    for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_set1_ps((float)i);
    while (rounds--)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_fmadd_ps(sum[i], x, y);
    for (int i = 1; i < CHAINS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx2,fma"))) static float fma_loop_avx2(int64_t rounds)
{
    __m256 sum[CHAINS], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
    for (int i = 0; i < CHAINS; i++) sum[i] = _mm256_set1_ps((float)i);
    while (rounds--)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; i++) sum[i] = _mm256_fmadd_ps(sum[i], x, y);
    for (int i = 1; i < CHAINS; i++) sum[0] = _mm256_add_ps(sum[0], sum[i]);
    return _mm256_cvtss_f32(sum[0]);
}

/* Operations a second with the kernels of that name; NaN for plain ones. */
static inline double measure_ceiling(const char *kernels)
{
    const int64_t rounds = 300000;
    int wide = !strcmp(kernels, "avx512");
    if (!wide && strcmp(kernels, "avx2") != 0) return NAN;
    volatile float sink;
    double best = INFINITY;
    for (int i = 0; i < 15; i++) {
        double start = thread_seconds();
        sink = wide ? fma_loop_avx512(rounds) : fma_loop_avx2(rounds);
        best = fmin(best, thread_seconds() - start);
    }
    (void)sink;
    return 2.0 * CHAINS * (wide ? 16 : 8) * (double)rounds / best;
}
#else
static inline double measure_ceiling(const char *kernels)
{
    (void)kernels;
    return NAN;
}
#endif

#endif
