#include "extract/image/pixels/decoder.h"

/* value / 255, rounded to the nearest, for values up to 255 * 255: as Pillow's alpha_composite does
 * it over an opaque image. */
static uint8_t divide_by_255(unsigned value)
{
    value += 128;
    return (uint8_t)((value + (value >> 8)) >> 8);
}

/* out = (alpha * colour + (255 - alpha) * background) / 255 */
static void lay_over(const uint8_t background[3], const uint8_t *rgba, uint8_t *rgb, size_t count)
{
    for (size_t i = 0; i < count; i++, rgba += 4, rgb += 3) {
        unsigned alpha = rgba[3];
        for (int c = 0; c < 3; c++)
            rgb[c] = divide_by_255(alpha * rgba[c] + (255 - alpha) * background[c]);
    }
}

static void drop_alpha(const uint8_t *rgba, uint8_t *rgb, size_t count)
{
    for (size_t i = 0; i < count; i++, rgba += 4, rgb += 3)
        for (int c = 0; c < 3; c++) rgb[c] = rgba[c];
}

void pf_image_flatten(PfImage *image, const uint8_t *rgba, uint8_t *rgb, size_t count)
{
    uint8_t all = 255;
    for (size_t i = 0; i < count; i++) all &= rgba[4 * i + 3];
    if (all != 255) image->is_transparent = true;
    if (image->has_background && all != 255)
        lay_over(image->background, rgba, rgb, count);
    else
        drop_alpha(rgba, rgb, count);
}
