#include "resize_kernels.h"

static void horizontal(const PfResizeAxis *axis, const uint8_t *in, uint8_t *out)
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

static void vertical(const PfResizeAxis *axis, int index, const uint8_t *in, size_t in_stride,
                     uint8_t *out, size_t bytes)
{
    const int32_t *coefficients = axis->coefficients + (size_t)index * (size_t)axis->taps;
    for (size_t i = 0; i < bytes; i++) {
        int32_t sum = 0;
        for (int t = 0; t < axis->taps; t++) sum += in[(size_t)t * in_stride + i] * coefficients[t];
        out[i] = pf_resize_round(sum);
    }
}

const PfResizeKernels pf_resize_kernels_plain = {1, horizontal, vertical};
