/* Samples of TIFFs to RGB, as PIL converts them. */
#include <string.h>

#include "extract/image/codecs/tiff_internal.h"

/* ---- what there is a meaning for ---- */

static int color_count(int photometric)
{
    switch (photometric) {
    case PF_TIFF_WHITE_IS_ZERO:
    case PF_TIFF_BLACK_IS_ZERO:
    case PF_TIFF_PALETTE: return 1;
    case PF_TIFF_RGB:
    case PF_TIFF_YCBCR:
    case PF_TIFF_LAB: return 3;
    case PF_TIFF_CMYK: return 4;
    default: return 0;
    }
}

static const char *format_name(int sample_format)
{
    return sample_format == PF_TIFF_FLOAT    ? " floating-point"
           : sample_format == PF_TIFF_SIGNED ? " signed"
                                             : "";
}

static bool is_convertible(const PfTiffLayout *layout)
{
    bool is_grey = layout->colors == 1 && layout->photometric != PF_TIFF_PALETTE;
    int bits = layout->bits;
    switch (layout->sample_format) {
    case PF_TIFF_FLOAT: return is_grey && bits == 32;
    case PF_TIFF_SIGNED: return is_grey && (bits == 8 || bits == 16 || bits == 32);
    case PF_TIFF_UNSIGNED:
    case PF_TIFF_UNTYPED:
        if (layout->photometric == PF_TIFF_LAB) return bits == 8;
        if (bits == 1 || bits == 2 || bits == 4 || bits == 8) return true;
        if (bits == 16) return layout->photometric != PF_TIFF_PALETTE;
        return is_grey && (bits == 12 || bits == 32);
    default: return false;
    }
}

int pf_tiff_check_layout(PfTiffLayout *layout, PfError *err)
{
    layout->colors = color_count(layout->photometric);
    if (layout->photometric == PF_TIFF_YCBCR && layout->samples == 1) {
        layout->photometric = PF_TIFF_BLACK_IS_ZERO; /* only Y is there */
        layout->colors = 1;
    }
    if (!layout->colors)
        return pf_image_bad(err,
                            "TIFF with photometric interpretation %d, which is not supported. "
                            "Hint: convert it to PNG or JPEG.",
                            layout->photometric);
    if (layout->samples < pf_tiff_used_samples(layout))
        return pf_image_bad(err,
                            "broken TIFF: %d samples per pixel, at least %d expected with "
                            "photometric interpretation %d",
                            layout->samples, pf_tiff_used_samples(layout), layout->photometric);
    if (!is_convertible(layout))
        return pf_image_bad(err,
                            "TIFF with %d%s samples of %d bits and photometric interpretation %d, "
                            "which is not supported. Hint: convert it to 8 bits.",
                            layout->samples, format_name(layout->sample_format), layout->bits,
                            layout->photometric);
    return 0;
}

/* ---- samples to 8 bits ---- */

/* Packed samples of 1, 2, 4 or 12 bits. */
static unsigned get_packed(const uint8_t *row, int bits, size_t index)
{
    size_t at = index * (size_t)bits;
    if (bits < 8) return row[at / 8] >> (8 - bits - (int)(at % 8)) & ((1u << bits) - 1);
    unsigned two = (unsigned)row[at / 8] << 8 | row[at / 8 + 1];
    return at % 8 ? two & 0xfff : two >> 4;
}

static uint8_t clip(double value)
{
    return value > 0 ? value < 255 ? (uint8_t)value : 255 : 0; /* NaN: 0 */
}

static uint8_t float_byte(PfTiffLayout *layout, const uint8_t *sample)
{
    float value;
    memcpy(&value, sample, sizeof value);
    if (value > layout->largest) layout->largest = value;
    return clip(value);
}

/* Unsigned samples of 16 bits are scaled; whatever is signed or of 32 bits is clipped, as in PIL,
 * since such numbers seldom fill their range. */
static uint8_t sample_byte(PfTiffLayout *layout, const uint8_t *row, size_t index)
{
    uint16_t u16;
    uint32_t u32;
    bool is_signed = layout->sample_format == PF_TIFF_SIGNED;
    switch (layout->bits) {
    case 8: return row[index];
    case 12: return (uint8_t)(get_packed(row, 12, index) >> 4);
    case 16:
        memcpy(&u16, row + 2 * index, sizeof u16);
        return is_signed ? clip((int16_t)u16) : (uint8_t)(u16 >> 8);
    case 32:
        if (layout->sample_format == PF_TIFF_FLOAT) return float_byte(layout, row + 4 * index);
        memcpy(&u32, row + 4 * index, sizeof u32);
        return is_signed ? clip((int32_t)u32) : clip(u32);
    default: {
        unsigned value = get_packed(row, layout->bits, index);
        bool is_index = layout->photometric == PF_TIFF_PALETTE;
        return (uint8_t)(is_index ? value : value * (255u / ((1u << layout->bits) - 1)));
    }
    }
}

void pf_tiff_sample_bytes(PfTiffLayout *layout, const void *row, int row_samples, int sample,
                          int count, uint8_t *out, int out_step)
{
    for (int x = 0; x < count; x++, out += out_step)
        *out = sample_byte(layout, row, (size_t)x * (size_t)row_samples + (size_t)sample);
}

/* ---- colours to RGB ---- */

static void put_grey(uint8_t value, uint8_t *rgb)
{
    rgb[0] = rgb[1] = rgb[2] = value;
}

static void put_pixel(const PfTiffLayout *layout, const uint8_t *samples, uint8_t *rgb)
{
    /* PIL takes floating-point numbers as they are. */
    uint8_t white_is_zero = layout->sample_format == PF_TIFF_FLOAT ? 0 : 255;
    switch (layout->photometric) {
    case PF_TIFF_WHITE_IS_ZERO: put_grey(samples[0] ^ white_is_zero, rgb); break;
    case PF_TIFF_BLACK_IS_ZERO: put_grey(samples[0], rgb); break;
    case PF_TIFF_PALETTE: memcpy(rgb, layout->palette[samples[0]], 3); break;
    case PF_TIFF_CMYK: pf_image_rgb_from_cmyk(samples, rgb); break;
    case PF_TIFF_YCBCR: pf_image_rgb_from_ycc(samples, rgb); break;
    default: memcpy(rgb, samples, 3); break;
    }
}

/* Divides colours by their alpha; where nothing shows they are black. */
static void divide(const PfTiffLayout *layout, const uint8_t *samples, uint8_t *out)
{
    int alpha = samples[layout->colors];
    for (int c = 0; c < layout->colors; c++) {
        int value = alpha ? samples[c] * 255 / alpha : 0;
        out[c] = (uint8_t)(value < 255 ? value : 255);
    }
}

static void put_opaque(const PfTiffLayout *layout, const uint8_t *samples, int step, int count,
                       uint8_t *rgb)
{
    if (layout->photometric == PF_TIFF_LAB)
        pf_tiff_lab_rgb(layout->lab, samples, step, count, rgb);
    else
        for (int x = 0; x < count; x++, samples += step, rgb += 3) put_pixel(layout, samples, rgb);
}

static void put_transparent(const PfTiffLayout *layout, const uint8_t *samples, int step, int count,
                            PfImage *image, uint8_t *rgb)
{
    enum { MOST = 256 };
    uint8_t rgba[MOST * 4], colors[4];
    bool is_premultiplied = layout->alpha == PF_TIFF_PREMULTIPLIED;
    for (int done = 0; done < count; done += MOST) {
        int pixels = count - done < MOST ? count - done : MOST;
        for (int x = 0; x < pixels; x++, samples += step) {
            if (is_premultiplied) divide(layout, samples, colors);
            put_pixel(layout, is_premultiplied ? colors : samples, rgba + 4 * x);
            rgba[4 * x + 3] = samples[layout->colors];
        }
        pf_image_flatten(image, rgba, rgb + 3 * (size_t)done, (size_t)pixels);
    }
}

void pf_tiff_put_pixels(const PfTiffLayout *layout, const uint8_t *samples, int step, int count,
                        PfImage *image, size_t pixel_index)
{
    uint8_t *rgb = image->pixels + 3 * pixel_index;
    if (layout->alpha == PF_TIFF_OPAQUE)
        put_opaque(layout, samples, step, count, rgb);
    else
        put_transparent(layout, samples, step, count, image, rgb);
}
