/* 16 floats in one AVX-512 register. See lanes_plain.h for what each function means. */
#ifndef PF_COMMON_SIMD_LANES_AVX512_H
#define PF_COMMON_SIMD_LANES_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#define LANES_TARGET __attribute__((target("avx512f")))
#define LANES static inline LANES_TARGET __attribute__((always_inline))

typedef __m512 Lanes;

LANES Lanes lanes_set(float value)
{
    return _mm512_set1_ps(value);
}

LANES Lanes lanes_load(const float *values)
{
    return _mm512_loadu_ps(values);
}

LANES Lanes lanes_load_part(const float *values, int count)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1u), values);
}

LANES Lanes lanes_load_over(Lanes fill, const float *values, int count)
{
    return _mm512_mask_loadu_ps(fill, (__mmask16)((1u << count) - 1u), values);
}

LANES void lanes_store(float *values, Lanes a)
{
    _mm512_storeu_ps(values, a);
}

LANES void lanes_store_part(float *values, int count, Lanes a)
{
    _mm512_mask_storeu_ps(values, (__mmask16)((1u << count) - 1u), a);
}

LANES Lanes lanes_add(Lanes a, Lanes b)
{
    return _mm512_add_ps(a, b);
}

LANES Lanes lanes_sub(Lanes a, Lanes b)
{
    return _mm512_sub_ps(a, b);
}

LANES Lanes lanes_mul(Lanes a, Lanes b)
{
    return _mm512_mul_ps(a, b);
}

LANES Lanes lanes_div(Lanes a, Lanes b)
{
    return _mm512_div_ps(a, b);
}

LANES Lanes lanes_sqrt(Lanes a)
{
    return _mm512_sqrt_ps(a);
}

LANES Lanes lanes_fma(Lanes a, Lanes b, Lanes c)
{
    return _mm512_fmadd_ps(a, b, c);
}

LANES Lanes lanes_fnma(Lanes a, Lanes b, Lanes c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

LANES Lanes lanes_max(Lanes a, Lanes b)
{
    return _mm512_max_ps(a, b);
}

LANES Lanes lanes_min(Lanes a, Lanes b)
{
    return _mm512_min_ps(a, b);
}

LANES Lanes lanes_abs(Lanes a)
{
    return _mm512_abs_ps(a);
}

LANES Lanes lanes_round(Lanes a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

LANES Lanes lanes_if_less(Lanes a, Lanes b, Lanes yes, Lanes no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}

LANES Lanes lanes_if_nan(Lanes a, Lanes yes, Lanes no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), no, yes);
}

LANES Lanes lanes_round_bf16(Lanes a)
{
    const __m512i bits = _mm512_castps_si512(a);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return lanes_if_nan(a, a,
                        _mm512_castsi512_ps(_mm512_and_si512(up, _mm512_set1_epi32(-0x10000))));
}

LANES Lanes lanes_scale(Lanes a, Lanes n)
{
    return _mm512_scalef_ps(a, n);
}

LANES Lanes lanes_half_power(Lanes n)
{
    return _mm512_scalef_ps(_mm512_set1_ps(0.5f), n);
}

LANES Lanes lanes_exponent(Lanes a)
{
    return _mm512_getexp_ps(a);
}

LANES Lanes lanes_mantissa(Lanes a)
{
    return _mm512_getmant_ps(a, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
}

LANES float lanes_sum(Lanes a)
{
    a = _mm512_add_ps(a, _mm512_shuffle_f32x4(a, a, 0x4e));
    a = _mm512_add_ps(a, _mm512_shuffle_f32x4(a, a, 0xb1));
    a = _mm512_add_ps(a, _mm512_permute_ps(a, 0x4e));
    a = _mm512_add_ps(a, _mm512_permute_ps(a, 0xb1));
    return _mm512_cvtss_f32(a);
}

LANES float lanes_largest(Lanes a)
{
    a = _mm512_max_ps(a, _mm512_shuffle_f32x4(a, a, 0x4e));
    a = _mm512_max_ps(a, _mm512_shuffle_f32x4(a, a, 0xb1));
    a = _mm512_max_ps(a, _mm512_permute_ps(a, 0x4e));
    a = _mm512_max_ps(a, _mm512_permute_ps(a, 0xb1));
    return _mm512_cvtss_f32(a);
}

typedef struct LanesDouble {
    __m512d low, high;
} LanesDouble;

LANES LanesDouble lanes_double_load(const double *values)
{
    return (LanesDouble){_mm512_loadu_pd(values), _mm512_loadu_pd(values + 8)};
}

LANES void lanes_double_store(double *values, LanesDouble a)
{
    _mm512_storeu_pd(values, a.low);
    _mm512_storeu_pd(values + 8, a.high);
}

LANES __m512d lanes_double_low(Lanes a)
{
    return _mm512_cvtps_pd(_mm512_castps512_ps256(a));
}

LANES __m512d lanes_double_high(Lanes a)
{
    __m512d bits = _mm512_castps_pd(a);
    return _mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd(bits, 1)));
}

LANES LanesDouble lanes_double_add_product(LanesDouble sum, Lanes a, Lanes b)
{
    return (LanesDouble){_mm512_fmadd_pd(lanes_double_low(a), lanes_double_low(b), sum.low),
                         _mm512_fmadd_pd(lanes_double_high(a), lanes_double_high(b), sum.high)};
}

#endif
