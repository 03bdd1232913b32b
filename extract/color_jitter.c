#include "color_jitter.h"

/* As libImaging's Blend.c, in float. */
static uint8_t blend(int poorer, int value, float factor)
{
    float blended = (float)poorer + factor * (float)(value - poorer);
    return blended <= 0.0f ? 0 : blended >= 255.0f ? 255 : (uint8_t)blended;
}

/* ITU-R 601-2 luma, as convert("L"). */
static int grey(const uint8_t *pixel)
{
    return (pixel[0] * 19595 + pixel[1] * 38470 + pixel[2] * 7471 + 0x8000) >> 16;
}

static void blend_all(uint8_t *pixels, size_t count, int poorer, float factor)
{
    uint8_t table[256];
    for (int value = 0; value < 256; value++) table[value] = blend(poorer, value, factor);
    for (size_t i = 0; i < 3 * count; i++) pixels[i] = table[pixels[i]];
}

void pf_adjust_brightness(uint8_t *pixels, size_t count, float factor)
{
    blend_all(pixels, count, 0, factor);
}

void pf_adjust_contrast(uint8_t *pixels, size_t count, float factor)
{
    uint64_t sum = 0;
    if (!count) return;
    for (size_t i = 0; i < count; i++) sum += (uint64_t)grey(pixels + 3 * i);
    blend_all(pixels, count, (int)((double)sum / (double)count + 0.5), factor);
}

void pf_adjust_saturation(uint8_t *pixels, size_t count, float factor)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *pixel = pixels + 3 * i;
        int poorer = grey(pixel);
        for (int c = 0; c < 3; c++) pixel[c] = blend(poorer, pixel[c], factor);
    }
}
