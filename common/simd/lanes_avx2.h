/* 16 floats in two AVX registers. See lanes_plain.h for what each function means. */
#ifndef PF_COMMON_SIMD_LANES_AVX2_H
#define PF_COMMON_SIMD_LANES_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#define LANES_TARGET __attribute__((target("avx2,fma")))
#define LANES static inline LANES_TARGET __attribute__((always_inline))

typedef struct Lanes {
    __m256 low, high;
} Lanes;

LANES Lanes lanes_of(__m256 low, __m256 high)
{
    return (Lanes){low, high};
}

LANES Lanes lanes_set(float value)
{
    return lanes_of(_mm256_set1_ps(value), _mm256_set1_ps(value));
}

LANES Lanes lanes_load(const float *values)
{
    return lanes_of(_mm256_loadu_ps(values), _mm256_loadu_ps(values + 8));
}

LANES void lanes_store(float *values, Lanes a)
{
    _mm256_storeu_ps(values, a.low);
    _mm256_storeu_ps(values + 8, a.high);
}

/* All ones in lane i where first + i < count. */
LANES __m256i lanes_mask(int first, int count)
{
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count - first), lane);
}

/* Masked loads and stores touch no memory of the lanes left out. */
LANES Lanes lanes_load_part(const float *values, int count)
{
    return lanes_of(_mm256_maskload_ps(values, lanes_mask(0, count)),
                    _mm256_maskload_ps(values + 8, lanes_mask(8, count)));
}

LANES Lanes lanes_load_over(Lanes fill, const float *values, int count)
{
    Lanes a = lanes_load_part(values, count);
    return lanes_of(_mm256_blendv_ps(fill.low, a.low, _mm256_castsi256_ps(lanes_mask(0, count))),
                    _mm256_blendv_ps(fill.high, a.high, _mm256_castsi256_ps(lanes_mask(8, count))));
}

LANES void lanes_store_part(float *values, int count, Lanes a)
{
    _mm256_maskstore_ps(values, lanes_mask(0, count), a.low);
    _mm256_maskstore_ps(values + 8, lanes_mask(8, count), a.high);
}

LANES Lanes lanes_add(Lanes a, Lanes b)
{
    return lanes_of(_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high));
}

LANES Lanes lanes_sub(Lanes a, Lanes b)
{
    return lanes_of(_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high));
}

LANES Lanes lanes_mul(Lanes a, Lanes b)
{
    return lanes_of(_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high));
}

LANES Lanes lanes_div(Lanes a, Lanes b)
{
    return lanes_of(_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high));
}

LANES Lanes lanes_sqrt(Lanes a)
{
    return lanes_of(_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high));
}

LANES Lanes lanes_fma(Lanes a, Lanes b, Lanes c)
{
    return lanes_of(_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high));
}

LANES Lanes lanes_fnma(Lanes a, Lanes b, Lanes c)
{
    return lanes_of(_mm256_fnmadd_ps(a.low, b.low, c.low),
                    _mm256_fnmadd_ps(a.high, b.high, c.high));
}

LANES Lanes lanes_max(Lanes a, Lanes b)
{
    return lanes_of(_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high));
}

LANES Lanes lanes_min(Lanes a, Lanes b)
{
    return lanes_of(_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high));
}

LANES Lanes lanes_abs(Lanes a)
{
    __m256 sign = _mm256_set1_ps(-0.0f);
    return lanes_of(_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high));
}

LANES Lanes lanes_round(Lanes a)
{
    return lanes_of(_mm256_round_ps(a.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                    _mm256_round_ps(a.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

LANES Lanes lanes_if_less(Lanes a, Lanes b, Lanes yes, Lanes no)
{
    return lanes_of(_mm256_blendv_ps(no.low, yes.low, _mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ)),
                    _mm256_blendv_ps(no.high, yes.high, _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ)));
}

LANES Lanes lanes_if_nan(Lanes a, Lanes yes, Lanes no)
{
    return lanes_of(
        _mm256_blendv_ps(no.low, yes.low, _mm256_cmp_ps(a.low, a.low, _CMP_UNORD_Q)),
        _mm256_blendv_ps(no.high, yes.high, _mm256_cmp_ps(a.high, a.high, _CMP_UNORD_Q)));
}

/* 2^n for n in [-126, 127] */
LANES __m256 lanes_power(__m256i n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

/* In two steps, as 2^n itself may be no float. The first is exact. */
LANES __m256 lanes_scale_half(__m256 a, __m256 n)
{
    __m256i whole = _mm256_cvtps_epi32(n), part = _mm256_srai_epi32(whole, 1);
    a = _mm256_mul_ps(a, lanes_power(part));
    return _mm256_mul_ps(a, lanes_power(_mm256_sub_epi32(whole, part)));
}

LANES __m256 lanes_half_round_bf16(__m256 a)
{
    const __m256i bits = _mm256_castps_si256(a);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    return _mm256_castsi256_ps(_mm256_and_si256(up, _mm256_set1_epi32(-0x10000)));
}

LANES Lanes lanes_round_bf16(Lanes a)
{
    Lanes r = lanes_of(lanes_half_round_bf16(a.low), lanes_half_round_bf16(a.high));
    return lanes_if_nan(a, a, r);
}

LANES Lanes lanes_scale(Lanes a, Lanes n)
{
    return lanes_of(lanes_scale_half(a.low, n.low), lanes_scale_half(a.high, n.high));
}

/* The bits of 2^-127 are those of 0. */
LANES __m256 lanes_half_power_half(__m256 n)
{
    return lanes_power(_mm256_sub_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(1)));
}

LANES Lanes lanes_half_power(Lanes n)
{
    return lanes_of(lanes_half_power_half(n.low), lanes_half_power_half(n.high));
}

LANES __m256 lanes_exponent_half(__m256 a)
{
    __m256i biased = _mm256_srli_epi32(_mm256_castps_si256(a), 23);
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)));
}

LANES Lanes lanes_exponent(Lanes a)
{
    return lanes_of(lanes_exponent_half(a.low), lanes_exponent_half(a.high));
}

LANES __m256 lanes_mantissa_half(__m256 a)
{
    __m256 fraction = _mm256_castsi256_ps(_mm256_set1_epi32(0x007fffff));
    return _mm256_or_ps(_mm256_and_ps(a, fraction), _mm256_set1_ps(1.0f));
}

LANES Lanes lanes_mantissa(Lanes a)
{
    return lanes_of(lanes_mantissa_half(a.low), lanes_mantissa_half(a.high));
}

LANES float lanes_sum(Lanes a)
{
    __m256 eight = _mm256_add_ps(a.low, a.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

LANES float lanes_largest(Lanes a)
{
    __m256 eight = _mm256_max_ps(a.low, a.high);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

typedef struct LanesDouble {
    __m256d v[4];
} LanesDouble;

LANES LanesDouble lanes_double_load(const double *values)
{
    return (LanesDouble){{_mm256_loadu_pd(values), _mm256_loadu_pd(values + 4),
                          _mm256_loadu_pd(values + 8), _mm256_loadu_pd(values + 12)}};
}

LANES void lanes_double_store(double *values, LanesDouble a)
{
    for (int i = 0; i < 4; i++) _mm256_storeu_pd(values + 4 * i, a.v[i]);
}

LANES __m256d lanes_double_add_four(__m256d sum, __m128 a, __m128 b)
{
    return _mm256_fmadd_pd(_mm256_cvtps_pd(a), _mm256_cvtps_pd(b), sum);
}

LANES LanesDouble lanes_double_add_product(LanesDouble sum, Lanes a, Lanes b)
{
    return (LanesDouble){{lanes_double_add_four(sum.v[0], _mm256_castps256_ps128(a.low),
                                                _mm256_castps256_ps128(b.low)),
                          lanes_double_add_four(sum.v[1], _mm256_extractf128_ps(a.low, 1),
                                                _mm256_extractf128_ps(b.low, 1)),
                          lanes_double_add_four(sum.v[2], _mm256_castps256_ps128(a.high),
                                                _mm256_castps256_ps128(b.high)),
                          lanes_double_add_four(sum.v[3], _mm256_extractf128_ps(a.high, 1),
                                                _mm256_extractf128_ps(b.high, 1))}};
}

#endif
