#include "permafrost/tensor.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

size_t pf_dtype_size(PfDtype dtype)
{
    static const size_t sizes[] = {
        [PF_DTYPE_F32] = 4, [PF_DTYPE_F16] = 2,  [PF_DTYPE_BF16] = 2, [PF_DTYPE_F64] = 8,
        [PF_DTYPE_U8] = 1,  [PF_DTYPE_I8] = 1,   [PF_DTYPE_I16] = 2,  [PF_DTYPE_I32] = 4,
        [PF_DTYPE_I64] = 8, [PF_DTYPE_BOOL] = 1,
    };
    return sizes[dtype];
}

const char *pf_dtype_name(PfDtype dtype)
{
    static const char *const names[] = {
        [PF_DTYPE_F32] = "f32",   [PF_DTYPE_F16] = "f16", [PF_DTYPE_BF16] = "bf16",
        [PF_DTYPE_F64] = "f64",   [PF_DTYPE_U8] = "u8",   [PF_DTYPE_I8] = "i8",
        [PF_DTYPE_I16] = "i16",   [PF_DTYPE_I32] = "i32", [PF_DTYPE_I64] = "i64",
        [PF_DTYPE_BOOL] = "bool",
    };
    return names[dtype];
}

int64_t pf_shape_count(const PfShape *shape)
{
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) count *= shape->dims[i];
    return count;
}

int pf_shape_equal(const PfShape *a, const PfShape *b)
{
    if (a->rank != b->rank) return 0;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return 0;
    return 1;
}

const char *pf_shape_text(const PfShape *shape, char text[PF_SHAPE_TEXT_SIZE])
{
    int used = snprintf(text, PF_SHAPE_TEXT_SIZE, "(");
    for (int i = 0; i < shape->rank && used < PF_SHAPE_TEXT_SIZE; i++)
        used += snprintf(text + used, (size_t)(PF_SHAPE_TEXT_SIZE - used), "%s%lld", i ? "," : "",
                         (long long)shape->dims[i]);
    if (used < PF_SHAPE_TEXT_SIZE) snprintf(text + used, (size_t)(PF_SHAPE_TEXT_SIZE - used), ")");
    return text;
}

uint16_t pf_f16_from_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) /* NaN stays a quiet NaN, its upper payload kept */
        return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    if (magnitude >= 0x47800000u) return (uint16_t)(sign | 0x7c00u); /* 65536 and up */
    uint32_t shift, mantissa;
    if (magnitude >= 0x38800000u) { /* normal: rebias the exponent from 127 to 15 */
        shift = 13;
        mantissa = magnitude - 0x38000000u;
    } else { /* subnormal: the implicit bit becomes explicit and moves right */
        uint32_t exponent = magnitude >> 23;
        if (exponent < 102) return (uint16_t)sign;
        shift = 126 - exponent;
        mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    }
    uint32_t half = 1u << (shift - 1), rest = mantissa & ((1u << shift) - 1);
    uint32_t rounded = mantissa >> shift;
    if (rest > half || (rest == half && (rounded & 1))) rounded++;
    return (uint16_t)(sign | rounded);
}

float pf_f32_from_f16(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, exponent = bits >> 10 & 31u;
    uint32_t mantissa = bits & 0x3ffu, out;
    if (exponent == 31) { /* infinity, or NaN made quiet as the processor does */
        out = 0x7f800000u | mantissa << 13 | (mantissa ? 0x400000u : 0);
    } else if (exponent) {
        out = (exponent + 112) << 23 | mantissa << 13;
    } else { /* zero or subnormal: mantissa * 2^-24 is exact in float */
        float value = (float)mantissa * 0x1p-24f;
        memcpy(&out, &value, sizeof out);
    }
    out |= sign;
    float value;
    memcpy(&value, &out, sizeof value);
    return value;
}

#if defined(__x86_64__)
__attribute__((target("avx,f16c"))) static size_t to_f16_f16c(uint16_t *out, const float *in,
                                                              size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(out + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
    return i;
}

__attribute__((target("avx,f16c"))) static size_t from_f16_f16c(float *out, const uint16_t *in,
                                                                size_t count)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(out + i,
                         _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(in + i))));
    return i;
}

/* clang 14's __builtin_cpu_supports does not know f16c. That of avx also says
 * whether the operating system saves the wide registers. */
static bool ask_f16c(void)
{
    unsigned eax, ebx, ecx = 0, edx;
    return __builtin_cpu_supports("avx") && __get_cpuid(1, &eax, &ebx, &ecx, &edx) &&
           (ecx & bit_F16C);
}

/* Asked once: a virtual machine takes microseconds for the answer. */
static bool has_f16c(void)
{
    static _Atomic int answer; /* 1: no, 2: yes */
    if (!answer) answer = 1 + ask_f16c();
    return answer == 2;
}
#endif

void pf_f16_from_f32_array(uint16_t *out, const float *in, size_t count)
{
    size_t i = 0;
#if defined(__x86_64__)
    if (has_f16c()) i = to_f16_f16c(out, in, count);
#endif
    for (; i < count; i++) out[i] = pf_f16_from_f32(in[i]);
}

void pf_f32_from_f16_array(float *out, const uint16_t *in, size_t count)
{
    size_t i = 0;
#if defined(__x86_64__)
    if (has_f16c()) i = from_f16_f16c(out, in, count);
#endif
    for (; i < count; i++) out[i] = pf_f32_from_f16(in[i]);
}

static float f32_from_bf16(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* Element i of unaligned memory. */
static float f32_at(const unsigned char *bytes, PfDtype dtype, size_t i)
{
    uint16_t half;
    double wide;
    switch (dtype) {
    case PF_DTYPE_F16: memcpy(&half, bytes + 2 * i, sizeof half); return pf_f32_from_f16(half);
    case PF_DTYPE_BF16: memcpy(&half, bytes + 2 * i, sizeof half); return f32_from_bf16(half);
    case PF_DTYPE_F64: memcpy(&wide, bytes + 8 * i, sizeof wide); return (float)wide;
    default: return (float)bytes[i]; /* U8 */
    }
}

void pf_f32_from_dtype_array(float *out, const void *in, PfDtype dtype, size_t count)
{
    if (dtype == PF_DTYPE_F32) {
        memcpy(out, in, count * sizeof *out);
    } else if (dtype == PF_DTYPE_F16 && (uintptr_t)in % 2 == 0) {
        pf_f32_from_f16_array(out, in, count);
    } else {
        for (size_t i = 0; i < count; i++) out[i] = f32_at(in, dtype, i);
    }
}
