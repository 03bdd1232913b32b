/* Colours that are no RGB, as PIL converts them. */
#include "extract/image/pixels/decoder.h"

static uint8_t clip(int value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* In 64ths, rounded as PIL's tables are: half is added, then the fraction cut off. */
static int scaled64(double factor, int value)
{
    return (int)(factor * 64 * value + 0.5);
}

void pf_image_rgb_from_ycc(const uint8_t *ycc, uint8_t *rgb)
{
    int y = ycc[0], cb = ycc[1] - 128, cr = ycc[2] - 128;
    rgb[0] = clip(y + (scaled64(1.402, cr) >> 6));
    rgb[1] = clip(y + ((scaled64(-0.34414, cb) + scaled64(-0.71414, cr)) >> 6));
    rgb[2] = clip(y + (scaled64(1.772, cb) >> 6));
}

/* White * (1 - ink) * (1 - black), each product rounded to 8 bits. */
void pf_image_rgb_from_cmyk(const uint8_t *cmyk, uint8_t *rgb)
{
    int white = 255 - cmyk[3];
    for (int c = 0; c < 3; c++) {
        int product = cmyk[c] * white + 128;
        rgb[c] = (uint8_t)(white - ((product + (product >> 8)) >> 8));
    }
}
