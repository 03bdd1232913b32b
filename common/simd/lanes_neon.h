/* 16 floats in four registers of arm64's Advanced SIMD. See lanes_plain.h for what each function
 * means. */
#ifndef PF_COMMON_SIMD_LANES_NEON_H
#define PF_COMMON_SIMD_LANES_NEON_H

#include <arm_neon.h>
#include <stdint.h>

#define LANES_TARGET
#define LANES static inline __attribute__((always_inline))

typedef struct Lanes {
    float32x4_t q0, q1, q2, q3;
} Lanes;

LANES Lanes lanes_of(float32x4_t q0, float32x4_t q1, float32x4_t q2, float32x4_t q3)
{
    return (Lanes){q0, q1, q2, q3};
}

LANES Lanes lanes_set(float value)
{
    float32x4_t quad = vdupq_n_f32(value);
    return lanes_of(quad, quad, quad, quad);
}

LANES Lanes lanes_load(const float *values)
{
    return lanes_of(vld1q_f32(values), vld1q_f32(values + 4), vld1q_f32(values + 8),
                    vld1q_f32(values + 12));
}

LANES void lanes_store(float *values, Lanes a)
{
    vst1q_f32(values, a.q0);
    vst1q_f32(values + 4, a.q1);
    vst1q_f32(values + 8, a.q2);
    vst1q_f32(values + 12, a.q3);
}

/* Fewer than 16, which are seldom: not expanded wherever it is called, or code and the time that it
 * takes to compile would be several times as much. */
__attribute__((noinline)) static Lanes lanes_load_few(Lanes fill, const float *values, int count)
{
    float all[16];
    lanes_store(all, fill);
    for (int i = 0; i < count; i++) all[i] = values[i];
    return lanes_load(all);
}

LANES Lanes lanes_load_over(Lanes fill, const float *values, int count)
{
    return count == 16 ? lanes_load(values) : lanes_load_few(fill, values, count);
}

LANES Lanes lanes_load_part(const float *values, int count)
{
    return lanes_load_over(lanes_set(0), values, count);
}

__attribute__((noinline)) static void lanes_store_few(float *values, int count, Lanes a)
{
    float all[16];
    lanes_store(all, a);
    for (int i = 0; i < count; i++) values[i] = all[i];
}

LANES void lanes_store_part(float *values, int count, Lanes a)
{
    if (count == 16)
        lanes_store(values, a);
    else
        lanes_store_few(values, count, a);
}

LANES Lanes lanes_add(Lanes a, Lanes b)
{
    return lanes_of(vaddq_f32(a.q0, b.q0), vaddq_f32(a.q1, b.q1), vaddq_f32(a.q2, b.q2),
                    vaddq_f32(a.q3, b.q3));
}

LANES Lanes lanes_sub(Lanes a, Lanes b)
{
    return lanes_of(vsubq_f32(a.q0, b.q0), vsubq_f32(a.q1, b.q1), vsubq_f32(a.q2, b.q2),
                    vsubq_f32(a.q3, b.q3));
}

LANES Lanes lanes_mul(Lanes a, Lanes b)
{
    return lanes_of(vmulq_f32(a.q0, b.q0), vmulq_f32(a.q1, b.q1), vmulq_f32(a.q2, b.q2),
                    vmulq_f32(a.q3, b.q3));
}

LANES Lanes lanes_div(Lanes a, Lanes b)
{
    return lanes_of(vdivq_f32(a.q0, b.q0), vdivq_f32(a.q1, b.q1), vdivq_f32(a.q2, b.q2),
                    vdivq_f32(a.q3, b.q3));
}

LANES Lanes lanes_sqrt(Lanes a)
{
    return lanes_of(vsqrtq_f32(a.q0), vsqrtq_f32(a.q1), vsqrtq_f32(a.q2), vsqrtq_f32(a.q3));
}

LANES Lanes lanes_fma(Lanes a, Lanes b, Lanes c)
{
    return lanes_of(vfmaq_f32(c.q0, a.q0, b.q0), vfmaq_f32(c.q1, a.q1, b.q1),
                    vfmaq_f32(c.q2, a.q2, b.q2), vfmaq_f32(c.q3, a.q3, b.q3));
}

LANES Lanes lanes_fnma(Lanes a, Lanes b, Lanes c)
{
    return lanes_of(vfmsq_f32(c.q0, a.q0, b.q0), vfmsq_f32(c.q1, a.q1, b.q1),
                    vfmsq_f32(c.q2, a.q2, b.q2), vfmsq_f32(c.q3, a.q3, b.q3));
}

/* By comparison: the instruction for a maximum gives NaN where either is. */
LANES float32x4_t lanes_max_quad(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

LANES float32x4_t lanes_min_quad(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

LANES Lanes lanes_max(Lanes a, Lanes b)
{
    return lanes_of(lanes_max_quad(a.q0, b.q0), lanes_max_quad(a.q1, b.q1),
                    lanes_max_quad(a.q2, b.q2), lanes_max_quad(a.q3, b.q3));
}

LANES Lanes lanes_min(Lanes a, Lanes b)
{
    return lanes_of(lanes_min_quad(a.q0, b.q0), lanes_min_quad(a.q1, b.q1),
                    lanes_min_quad(a.q2, b.q2), lanes_min_quad(a.q3, b.q3));
}

LANES Lanes lanes_abs(Lanes a)
{
    return lanes_of(vabsq_f32(a.q0), vabsq_f32(a.q1), vabsq_f32(a.q2), vabsq_f32(a.q3));
}

LANES Lanes lanes_round(Lanes a)
{
    return lanes_of(vrndnq_f32(a.q0), vrndnq_f32(a.q1), vrndnq_f32(a.q2), vrndnq_f32(a.q3));
}

LANES Lanes lanes_if_less(Lanes a, Lanes b, Lanes yes, Lanes no)
{
    return lanes_of(vbslq_f32(vcltq_f32(a.q0, b.q0), yes.q0, no.q0),
                    vbslq_f32(vcltq_f32(a.q1, b.q1), yes.q1, no.q1),
                    vbslq_f32(vcltq_f32(a.q2, b.q2), yes.q2, no.q2),
                    vbslq_f32(vcltq_f32(a.q3, b.q3), yes.q3, no.q3));
}

LANES Lanes lanes_if_nan(Lanes a, Lanes yes, Lanes no)
{
    return lanes_of(vbslq_f32(vceqq_f32(a.q0, a.q0), no.q0, yes.q0),
                    vbslq_f32(vceqq_f32(a.q1, a.q1), no.q1, yes.q1),
                    vbslq_f32(vceqq_f32(a.q2, a.q2), no.q2, yes.q2),
                    vbslq_f32(vceqq_f32(a.q3, a.q3), no.q3, yes.q3));
}

LANES float32x4_t lanes_round_bf16_quad(float32x4_t a)
{
    const uint32x4_t bits = vreinterpretq_u32_f32(a);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t up = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    return vreinterpretq_f32_u32(vandq_u32(up, vdupq_n_u32(0xffff0000)));
}

LANES Lanes lanes_round_bf16(Lanes a)
{
    Lanes r = lanes_of(lanes_round_bf16_quad(a.q0), lanes_round_bf16_quad(a.q1),
                       lanes_round_bf16_quad(a.q2), lanes_round_bf16_quad(a.q3));
    return lanes_if_nan(a, a, r);
}

/* 2^n for n in [-126, 127] */
LANES float32x4_t lanes_power(int32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

/* In two steps, as 2^n itself may be no float. The first is exact. */
LANES float32x4_t lanes_scale_quad(float32x4_t a, float32x4_t n)
{
    int32x4_t whole = vcvtq_s32_f32(n), part = vshrq_n_s32(whole, 1);
    a = vmulq_f32(a, lanes_power(part));
    return vmulq_f32(a, lanes_power(vsubq_s32(whole, part)));
}

LANES Lanes lanes_scale(Lanes a, Lanes n)
{
    return lanes_of(lanes_scale_quad(a.q0, n.q0), lanes_scale_quad(a.q1, n.q1),
                    lanes_scale_quad(a.q2, n.q2), lanes_scale_quad(a.q3, n.q3));
}

/* The bits of 2^-127 are those of 0. */
LANES float32x4_t lanes_half_power_quad(float32x4_t n)
{
    return lanes_power(vsubq_s32(vcvtq_s32_f32(n), vdupq_n_s32(1)));
}

LANES Lanes lanes_half_power(Lanes n)
{
    return lanes_of(lanes_half_power_quad(n.q0), lanes_half_power_quad(n.q1),
                    lanes_half_power_quad(n.q2), lanes_half_power_quad(n.q3));
}

LANES float32x4_t lanes_exponent_quad(float32x4_t a)
{
    int32x4_t biased = vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_f32(a), 23));
    return vcvtq_f32_s32(vsubq_s32(biased, vdupq_n_s32(127)));
}

LANES Lanes lanes_exponent(Lanes a)
{
    return lanes_of(lanes_exponent_quad(a.q0), lanes_exponent_quad(a.q1), lanes_exponent_quad(a.q2),
                    lanes_exponent_quad(a.q3));
}

LANES float32x4_t lanes_mantissa_quad(float32x4_t a)
{
    uint32x4_t fraction = vandq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(0x007fffff));
    return vreinterpretq_f32_u32(vorrq_u32(fraction, vdupq_n_u32(0x3f800000)));
}

LANES Lanes lanes_mantissa(Lanes a)
{
    return lanes_of(lanes_mantissa_quad(a.q0), lanes_mantissa_quad(a.q1), lanes_mantissa_quad(a.q2),
                    lanes_mantissa_quad(a.q3));
}

LANES float lanes_sum(Lanes a)
{
    float32x4_t four = vaddq_f32(vaddq_f32(a.q0, a.q2), vaddq_f32(a.q1, a.q3));
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

LANES float lanes_largest(Lanes a)
{
    float32x4_t four = lanes_max_quad(lanes_max_quad(a.q0, a.q2), lanes_max_quad(a.q1, a.q3));
    float32x2_t low = vget_low_f32(four), high = vget_high_f32(four);
    float32x2_t two = vbsl_f32(vcgt_f32(low, high), low, high);
    float even = vget_lane_f32(two, 0), odd = vget_lane_f32(two, 1);
    return even > odd ? even : odd;
}

typedef struct LanesDouble {
    float64x2_t v[8];
} LanesDouble;

LANES LanesDouble lanes_double_load(const double *values)
{
    LanesDouble r;
    for (int i = 0; i < 8; i++) r.v[i] = vld1q_f64(values + 2 * i);
    return r;
}

LANES void lanes_double_store(double *values, LanesDouble a)
{
    for (int i = 0; i < 8; i++) vst1q_f64(values + 2 * i, a.v[i]);
}

LANES float64x2_t lanes_double_add_low(float64x2_t sum, float32x4_t a, float32x4_t b)
{
    return vfmaq_f64(sum, vcvt_f64_f32(vget_low_f32(a)), vcvt_f64_f32(vget_low_f32(b)));
}

LANES float64x2_t lanes_double_add_high(float64x2_t sum, float32x4_t a, float32x4_t b)
{
    return vfmaq_f64(sum, vcvt_high_f64_f32(a), vcvt_high_f64_f32(b));
}

LANES LanesDouble lanes_double_add_product(LanesDouble sum, Lanes a, Lanes b)
{
    return (LanesDouble){
        {lanes_double_add_low(sum.v[0], a.q0, b.q0), lanes_double_add_high(sum.v[1], a.q0, b.q0),
         lanes_double_add_low(sum.v[2], a.q1, b.q1), lanes_double_add_high(sum.v[3], a.q1, b.q1),
         lanes_double_add_low(sum.v[4], a.q2, b.q2), lanes_double_add_high(sum.v[5], a.q2, b.q2),
         lanes_double_add_low(sum.v[6], a.q3, b.q3), lanes_double_add_high(sum.v[7], a.q3, b.q3)}};
}

#endif
