/* The inner loops of a resize: in plain C, and a bit-exact twin for AVX2.
 *
 * In the twin a coefficient has 24 bits and a pixel 8, so one 16-bit multiply-add of pairs
 * (vpmaddwd) per half of the coefficient gives two taps: sum = low + high * 2^15.
 * The low sum may wrap for very long filters; modulo 2^32 the total is exact
 * all the same, and the total itself always fits. */
#include "extract/image/resize_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>
#endif

/* ---- plain ---- */

static void horizontal_plain(const PfResizeAxis *axis, const uint8_t *in, uint8_t *out)
{
    for (int i = 0; i < axis->count; i++) {
        const uint8_t *pixel = in + 3 * (size_t)axis->first[i];
        const int32_t *coefficients = axis->coefficients + (size_t)i * (size_t)axis->taps;
        int32_t red = 0, green = 0, blue = 0;
        for (int t = 0; t < axis->taps; t++, pixel += 3) {
            red += pixel[0] * coefficients[t];
            green += pixel[1] * coefficients[t];
            blue += pixel[2] * coefficients[t];
        }
        *out++ = pf_resize_round(red);
        *out++ = pf_resize_round(green);
        *out++ = pf_resize_round(blue);
    }
}

static void vertical_plain(const PfResizeAxis *axis, int index, const uint8_t *in, size_t in_stride,
                           uint8_t *out, size_t bytes)
{
    const int32_t *coefficients = axis->coefficients + (size_t)index * (size_t)axis->taps;
    for (size_t i = 0; i < bytes; i++) {
        int32_t sum = 0;
        for (int t = 0; t < axis->taps; t++) sum += in[(size_t)t * in_stride + i] * coefficients[t];
        out[i] = pf_resize_round(sum);
    }
}

const PfResizeKernels pf_resize_kernels_plain = {1, horizontal_plain, vertical_plain};

/* ---- AVX2 ---- */

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2")))

static inline __m128i load16(const uint8_t *bytes)
{
    return _mm_loadu_si128((const __m128i *)(const void *)bytes);
}

AVX2 static inline __m256i load32(const uint8_t *bytes)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)bytes);
}

/* Four 16-bit halves of coefficients, in every 64 bits. */
AVX2 static inline __m256i broadcast_four(const int16_t *split)
{
    int64_t four;
    memcpy(&four, split, sizeof four);
    return _mm256_set1_epi64x(four);
}

/* Two of them, in every 32 bits. */
AVX2 static inline __m256i broadcast_two(const int16_t *split)
{
    int32_t two;
    memcpy(&two, split, sizeof two);
    return _mm256_set1_epi32(two);
}

AVX2 static inline __m256i multiply_add(__m256i sum, __m256i pixels, __m256i coefficients)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pixels, coefficients));
}

/* low + high * 2^15, rounded and without its fractional bits. */
AVX2 static inline __m256i whole(__m256i low, __m256i high)
{
    __m256i half = _mm256_set1_epi32(1 << (PF_RESIZE_BITS - 1));
    __m256i sum = _mm256_add_epi32(low, _mm256_slli_epi32(high, PF_RESIZE_SPLIT_BITS));
    return _mm256_srai_epi32(_mm256_add_epi32(sum, half), PF_RESIZE_BITS);
}

/* One output pixel, red in the lowest byte. split: groups of four taps. */
AVX2 static inline uint32_t horizontal_pixel(const uint8_t *in, const int16_t *split, int groups)
{
    /* Four pixels to 16 bits each: the reds, the greens | the blues, zeros. */
    const __m256i planes =
        _mm256_setr_epi8(0, -1, 3, -1, 6, -1, 9, -1, 1, -1, 4, -1, 7, -1, 10, -1, 2, -1, 5, -1, 8,
                         -1, 11, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    __m256i low = _mm256_setzero_si256(), high = low;
    for (int g = 0; g < groups; g++, in += 12, split += 8) {
        __m256i pixels = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load16(in)), planes);
        low = multiply_add(low, pixels, broadcast_four(split));
        high = multiply_add(high, pixels, broadcast_four(split + 4));
    }
    /* Each plane's two partial sums lie side by side. */
    low = _mm256_add_epi32(low, _mm256_srli_epi64(low, 32));
    high = _mm256_add_epi32(high, _mm256_srli_epi64(high, 32));
    __m256i sums =
        _mm256_permutevar8x32_epi32(whole(low, high), _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(sums), _mm256_castsi256_si128(sums));
    return (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(words, words));
}

AVX2 static void horizontal(const PfResizeAxis *axis, const uint8_t *in, uint8_t *out)
{
    int groups = axis->taps / 4;
    for (int i = 0; i < axis->count; i++, out += 3) {
        const int16_t *split = axis->split + (size_t)i * (size_t)groups * 8;
        uint32_t pixel = horizontal_pixel(in + 3 * (size_t)axis->first[i], split, groups);
        /* Four bytes are one store; the next pixel overwrites the fourth. */
        memcpy(out, &pixel, i + 1 < axis->count ? 4 : 3);
    }
}

/* 32 neighbouring bytes of one output row. */
AVX2 static inline void vertical_block(const int16_t *split, int taps, const uint8_t *in,
                                       size_t in_stride, uint8_t *out)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i low[4] = {zero, zero, zero, zero}, high[4] = {zero, zero, zero, zero};
    for (int t = 0; t < taps; t += 2, in += 2 * in_stride) {
        /* The last of an odd number pairs with itself and a zero coefficient. */
        __m256i a = load32(in), b = load32(t + 1 < taps ? in + in_stride : in);
        __m256i even = _mm256_unpacklo_epi8(a, b), odd = _mm256_unpackhi_epi8(a, b);
        __m256i pixels[4] = {_mm256_unpacklo_epi8(even, zero), _mm256_unpackhi_epi8(even, zero),
                             _mm256_unpacklo_epi8(odd, zero), _mm256_unpackhi_epi8(odd, zero)};
        const int16_t *pair = split + t / 4 * 8 + t % 4;
        __m256i low_pair = broadcast_two(pair), high_pair = broadcast_two(pair + 4);
        for (int i = 0; i < 4; i++) {
            low[i] = multiply_add(low[i], pixels[i], low_pair);
            high[i] = multiply_add(high[i], pixels[i], high_pair);
        }
    }
    /* Packing undoes the unpacking, lane by lane. */
    __m256i first = _mm256_packs_epi32(whole(low[0], high[0]), whole(low[1], high[1]));
    __m256i second = _mm256_packs_epi32(whole(low[2], high[2]), whole(low[3], high[3]));
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_packus_epi16(first, second));
}

AVX2 static void vertical(const PfResizeAxis *axis, int index, const uint8_t *in, size_t in_stride,
                          uint8_t *out, size_t bytes)
{
    if (bytes < 32) {
        pf_resize_kernels_plain.vertical(axis, index, in, in_stride, out, bytes);
        return;
    }
    const int16_t *split = axis->split + (size_t)index * (size_t)((axis->taps + 3) / 4) * 8;
    size_t i = 0;
    for (; i + 32 <= bytes; i += 32) vertical_block(split, axis->taps, in + i, in_stride, out + i);
    /* The last block overlaps the one before it and writes the same there. */
    if (i < bytes) {
        i = bytes - 32;
        vertical_block(split, axis->taps, in + i, in_stride, out + i);
    }
}

/* A group of four taps loads 16 bytes and uses 12. */
static const PfResizeKernels kernels = {4, horizontal, vertical};

const PfResizeKernels *pf_resize_kernels_avx2(void)
{
    return __builtin_cpu_supports("avx2") ? &kernels : NULL;
}

#else

const PfResizeKernels *pf_resize_kernels_avx2(void)
{
    return NULL;
}

#endif
