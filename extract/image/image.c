#include "extract/image/image.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/base/size_text.h"
#include "extract/image/internal.h"

/* ---- the formats ---- */

#define SIGNATURE(text) text, sizeof(text) - 1

/* What files begin with, and who reads them. A format that has no decoder is known by its name
 * only. A format without a signature is told by is_likely alone. */
typedef struct Format {
    const char *name;
    const char *signature; /* '?' stands for any byte */
    size_t signature_size;
    PfImageDecoder *decode;
    PfImageOrientation *orientation; /* NULL: such files say none */
    PfImageIsLikely *is_likely;      /* behind a signature that other files have as well; NULL: none
                                        has */
} Format;

/* Two reserved fields of zeros. */
static bool is_likely_bmp(const uint8_t *bytes, size_t size)
{
    static const uint8_t zeros[4];
    return size >= 10 && !memcmp(bytes + 6, zeros, sizeof zeros);
}

/* A space, or a comment. */
static bool is_likely_pnm(const uint8_t *bytes, size_t size)
{
    return size > 2 && (isspace(bytes[2]) || bytes[2] == '#');
}

static const Format formats[] = {
    {"JPEG", SIGNATURE("\xff\xd8\xff"), pf_image_jpeg_decode, pf_image_jpeg_orientation, NULL},
    {"PNG", SIGNATURE("\x89PNG\r\n\x1a\n"), pf_image_png_decode, pf_image_png_orientation, NULL},
    {"BMP", SIGNATURE("BM"), pf_image_bmp_decode, NULL, is_likely_bmp},
    {"PBM", SIGNATURE("P1"), pf_image_pnm_decode, NULL, is_likely_pnm},
    {"PGM", SIGNATURE("P2"), pf_image_pnm_decode, NULL, is_likely_pnm},
    {"PPM", SIGNATURE("P3"), pf_image_pnm_decode, NULL, is_likely_pnm},
    {"PBM", SIGNATURE("P4"), pf_image_pnm_decode, NULL, is_likely_pnm},
    {"PGM", SIGNATURE("P5"), pf_image_pnm_decode, NULL, is_likely_pnm},
    {"PPM", SIGNATURE("P6"), pf_image_pnm_decode, NULL, is_likely_pnm},
    {"PFM", SIGNATURE("Pf"), pf_image_pnm_decode, NULL, is_likely_pnm},
    {"WebP", SIGNATURE("RIFF????WEBP"), NULL, NULL, NULL},
    {"GIF", SIGNATURE("GIF8"), NULL, NULL, NULL},
    {"TIFF", SIGNATURE("II*\0"), NULL, NULL, NULL},
    {"TIFF", SIGNATURE("MM\0*"), NULL, NULL, NULL},
    {"HEIF", SIGNATURE("????ftypheic"), NULL, NULL, NULL},
    {"HEIF", SIGNATURE("????ftypmif1"), NULL, NULL, NULL},
    {"AVIF", SIGNATURE("????ftypavif"), NULL, NULL, NULL},
    {"JPEG 2000", SIGNATURE("\0\0\0\x0cjP  "), NULL, NULL, NULL},
    {"JPEG XL", SIGNATURE("\0\0\0\x0cJXL "), NULL, NULL, NULL},
    {"PSD", SIGNATURE("8BPS"), pf_image_psd_decode, NULL, NULL},
    {"QOI", SIGNATURE("qoif"), pf_image_qoi_decode, NULL, NULL},
    {"DDS", SIGNATURE("DDS "), pf_image_dds_decode, NULL, NULL},
    {"XPM", SIGNATURE("/* XPM */"), pf_image_xpm_decode, NULL, NULL},
    {"SUN raster", SIGNATURE("\x59\xa6\x6a\x95"), pf_image_sun_decode, NULL, NULL},
    {"DCX", SIGNATURE("\xb1\x68\xde\x3a"), pf_image_dcx_decode, NULL, NULL},
    {"ICNS", SIGNATURE("icns"), pf_image_icns_decode, NULL, NULL},
    {"ICO", SIGNATURE(""), pf_image_ico_decode, NULL, pf_image_is_likely_ico},
    {"CUR", SIGNATURE(""), pf_image_cur_decode, NULL, pf_image_is_likely_cur},
    {"SGI", SIGNATURE(""), pf_image_sgi_decode, NULL, pf_image_is_likely_sgi},
    {"BMP", SIGNATURE(""), pf_image_dib_decode, NULL, pf_image_is_likely_dib},
    {"PCX", SIGNATURE(""), pf_image_pcx_decode, NULL, pf_image_is_likely_pcx},
    {"XBM", SIGNATURE(""), pf_image_xbm_decode, NULL, pf_image_is_likely_xbm},
    {"TGA", SIGNATURE(""), pf_image_tga_decode, NULL, pf_image_is_likely_tga},
};

static bool has_signature(const Format *format, const uint8_t *bytes, size_t size)
{
    if (size < format->signature_size) return false;
    if (!format->signature_size) return format->is_likely(bytes, size);
    for (size_t i = 0; i < format->signature_size; i++)
        if (format->signature[i] != '?' && (uint8_t)format->signature[i] != bytes[i]) return false;
    return true;
}

static const Format *find_format(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (has_signature(&formats[i], bytes, size)) return &formats[i];
    return NULL;
}

const char *pf_image_format_name(const uint8_t *bytes, size_t size, bool *is_decoded)
{
    const Format *format = find_format(bytes, size);
    bool is_known = format && (!format->is_likely || format->is_likely(bytes, size));
    *is_decoded = is_known && format->decode;
    return is_known ? format->name : NULL;
}

int pf_image_orientation(const uint8_t *bytes, size_t size)
{
    const Format *format = find_format(bytes, size);
    int orientation = format && format->orientation ? format->orientation(bytes, size) : 0;
    return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

/* "not an image: begins with '<!DOCTYPE'" */
static int not_an_image(const uint8_t *bytes, size_t size, PfError *err)
{
    char text[10 * 4 + 1];
    size_t length = 0;
    for (size_t i = 0; i < size && i < 10; i++)
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   isprint(bytes[i]) ? "%c" : "\\x%02x", bytes[i]);
    return pf_image_bad(err, "not an image: begins with '%" PF_SENTENCE "'", text);
}

static int decode_any(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                      PfError *err)
{
    if (size == 0) return pf_image_bad(err, "empty file");
    const Format *format = find_format(bytes, size);
    if (!format) return not_an_image(bytes, size, err);
    if (!format->decode)
        return pf_image_bad(err, "%s is not supported. Hint: convert it to PNG or JPEG.",
                            format->name);
    return format->decode(bytes, size, least_side, image, err);
}

int pf_image_decode_reduced(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                            PfError *err)
{
    image->halvings = image->left = image->top = 0;
    image->is_truncated = false;
    int result = decode_any(bytes, size, least_side, image, err);
    if (result) image->width = image->height = image->halvings = 0;
    image->orientation = result ? 0 : pf_image_orientation(bytes, size);
    return result;
}

int pf_image_decode(const uint8_t *bytes, size_t size, PfImage *image, PfError *err)
{
    return pf_image_decode_reduced(bytes, size, 0, image, err);
}

void pf_image_free(PfImage *image)
{
    free(image->pixels);
    free(image->spare);
    *image = (PfImage){0};
}

/* ---- what every decoder needs: limits, and memory for the pixels ---- */

int pf_image_check_size(const PfImageLimits *limits, int64_t width, int64_t height, PfError *err)
{
    int64_t most = limits->max_pixels ? limits->max_pixels : PF_IMAGE_MAX_PIXELS;
    if (width < 1 || height < 1)
        return pf_image_bad(err, "empty image: %lld x %lld pixels", (long long)width,
                            (long long)height);
    if (width <= INT_MAX && height <= most / width) return 0;
    if (width <= INT_MAX && height <= PF_IMAGE_MOST_PIXELS / width)
        return pf_image_bad(
            err, PF_IMAGE_TOO_LARGE ": %lld x %lld pixels, at most %lld. Hint: --max-pixels %lld",
            (long long)width, (long long)height, (long long)most, (long long)(width * height));
    return pf_image_bad(err, PF_IMAGE_TOO_LARGE ": %lld x %lld pixels, more than %lld in all",
                        (long long)width, (long long)height, (long long)most);
}

int pf_image_check_memory(const PfImageLimits *limits, int64_t needed_bytes, size_t file_bytes,
                          PfError *err)
{
    char needed[PF_SIZE_TEXT], there[PF_SIZE_TEXT];
    int64_t fair = (int64_t)file_bytes * PF_IMAGE_MAX_EXPANSION;
    if (limits->max_pixels || needed_bytes <= PF_IMAGE_FREE_BYTES || needed_bytes <= fair) return 0;
    return pf_image_bad(err,
                        PF_IMAGE_TOO_LARGE " for its file: %s to decode, at most %d times the "
                                           "file's %s. Hint: --max-pixels %lld",
                        pf_size_text(needed_bytes, needed), PF_IMAGE_MAX_EXPANSION,
                        pf_size_text((int64_t)file_bytes, there), (long long)PF_IMAGE_MAX_PIXELS);
}

int pf_image_interrupted(PfError *err)
{
    return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted");
}

int pf_image_resize_buffer(PfImage *image, int64_t width, int64_t height, PfError *err)
{
    if (pf_image_check_size(&image->limits, width, height, err)) return -1;
    image->width = (int)width;
    image->height = (int)height;
    size_t needed = (size_t)pf_image_columns(image) * (size_t)pf_image_rows(image) * 3;
    if (needed <= image->capacity) return 0;
    free(image->pixels);
    image->capacity = 0;
    image->pixels = pf_alloc_aligned(needed, 1, err);
    if (!image->pixels) return -1;
    image->capacity = needed;
    return 0;
}
