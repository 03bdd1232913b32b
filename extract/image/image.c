#include "extract/image/image.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/base/printable.h"
#include "extract/image/codecs/codecs.h"
#include "extract/image/formats/formats.h"

/* ---- the formats ---- */

#define SIGNATURE(text) text, sizeof(text) - 1

/* What files begin with, and who reads them. A format that has no decoder is known by its name
 * only. A format without a signature is told by is_it alone. */
typedef struct Format {
    const char *name;
    const char *signature; /* '?' stands for any byte */
    size_t signature_size;
    PfImageIsIt *is_it; /* where the signature alone does not tell; NULL: it does */
    PfImageDecoder *decode;
    PfImageOrientation *orientation; /* NULL: such files say none */
    PfImageIsIt *is_likely; /* behind a signature that may be text as well; NULL: it may not */
    PfImageOpen *open;      /* the library that decode needs, when it is first needed; NULL: none */
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
    {"JPEG", SIGNATURE("\xff\xd8\xff"), .decode = pf_image_jpeg_decode,
     .orientation = pf_image_jpeg_orientation},
    {"PNG", SIGNATURE("\x89PNG\r\n\x1a\n"), .decode = pf_image_png_decode,
     .orientation = pf_image_png_orientation},
    {"BMP", SIGNATURE("BM"), .decode = pf_image_bmp_decode, .is_likely = is_likely_bmp},
    {"PBM", SIGNATURE("P1"), .decode = pf_image_pnm_decode, .is_likely = is_likely_pnm},
    {"PGM", SIGNATURE("P2"), .decode = pf_image_pnm_decode, .is_likely = is_likely_pnm},
    {"PPM", SIGNATURE("P3"), .decode = pf_image_pnm_decode, .is_likely = is_likely_pnm},
    {"PBM", SIGNATURE("P4"), .decode = pf_image_pnm_decode, .is_likely = is_likely_pnm},
    {"PGM", SIGNATURE("P5"), .decode = pf_image_pnm_decode, .is_likely = is_likely_pnm},
    {"PPM", SIGNATURE("P6"), .decode = pf_image_pnm_decode, .is_likely = is_likely_pnm},
    {"PFM", SIGNATURE("Pf"), .decode = pf_image_pnm_decode, .is_likely = is_likely_pnm},
    {"WebP", SIGNATURE("RIFF????WEBP"), .decode = pf_image_webp_decode,
     .orientation = pf_image_webp_orientation, .open = pf_image_webp_open},
    {"GIF", SIGNATURE("GIF8"), .decode = pf_image_gif_decode},
    {"TIFF", SIGNATURE("II*\0"), .decode = pf_image_tiff_decode, .open = pf_image_tiff_open},
    {"TIFF", SIGNATURE("MM\0*"), .decode = pf_image_tiff_decode, .open = pf_image_tiff_open},
    {"TIFF", SIGNATURE("II+\0"), .decode = pf_image_tiff_decode, .open = pf_image_tiff_open},
    {"TIFF", SIGNATURE("MM\0+"), .decode = pf_image_tiff_decode, .open = pf_image_tiff_open},
    /* Their files are TIFFs to whoever looks for one; reasons tell that another library is needed.
     */
    {PF_IMAGE_TIFF_LAB, SIGNATURE("II*\0"), .decode = pf_image_tiff_decode,
     .open = pf_image_tiff_lab_open},
    {"AVIF", SIGNATURE("????ftyp"), .is_it = pf_image_is_avif, .decode = pf_image_avif_decode,
     .orientation = pf_image_avif_orientation, .open = pf_image_avif_open},
    {"HEIF", SIGNATURE("????ftyp"), .is_it = pf_image_is_heif, .decode = pf_image_heif_decode,
     .open = pf_image_heif_open},
    {"JPEG 2000", SIGNATURE("\0\0\0\x0cjP  "), .decode = pf_image_jpeg2000_decode,
     .open = pf_image_jpeg2000_open},
    {"JPEG 2000", SIGNATURE("\xff\x4f\xff\x51"), .decode = pf_image_jpeg2000_decode,
     .open = pf_image_jpeg2000_open},
    {"JPEG XL", SIGNATURE("\0\0\0\x0cJXL "), .decode = NULL},
    {"Photoshop", SIGNATURE("8BPS"), .decode = pf_image_psd_decode},
    {"QOI", SIGNATURE("qoif"), .decode = pf_image_qoi_decode},
    {"DDS", SIGNATURE("DDS "), .decode = pf_image_dds_decode},
    {"XPM", SIGNATURE("/* XPM */"), .decode = pf_image_xpm_decode},
    {"SUN raster", SIGNATURE("\x59\xa6\x6a\x95"), .decode = pf_image_sun_decode},
    {"DCX", SIGNATURE("\xb1\x68\xde\x3a"), .decode = pf_image_dcx_decode},
    {"ICNS", SIGNATURE("icns"), .decode = pf_image_icns_decode},
    {"ICO", SIGNATURE(""), .is_it = pf_image_is_ico, .decode = pf_image_ico_decode},
    {"CUR", SIGNATURE(""), .is_it = pf_image_is_cur, .decode = pf_image_cur_decode},
    {"SGI", SIGNATURE(""), .is_it = pf_image_is_sgi, .decode = pf_image_sgi_decode},
    {"BMP", SIGNATURE(""), .is_it = pf_image_is_dib, .decode = pf_image_dib_decode},
    {"PCX", SIGNATURE(""), .is_it = pf_image_is_pcx, .decode = pf_image_pcx_decode},
    {"XBM", SIGNATURE(""), .is_it = pf_image_is_xbm, .decode = pf_image_xbm_decode},
    {"TGA", SIGNATURE(""), .is_it = pf_image_is_tga, .decode = pf_image_tga_decode},
};

static bool has_signature(const Format *format, const uint8_t *bytes, size_t size)
{
    if (size < format->signature_size) return false;
    for (size_t i = 0; i < format->signature_size; i++)
        if (format->signature[i] != '?' && (uint8_t)format->signature[i] != bytes[i]) return false;
    return true;
}

static const Format *find_format(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (has_signature(&formats[i], bytes, size) &&
            (!formats[i].is_it || formats[i].is_it(bytes, size)))
            return &formats[i];
    return NULL;
}

const char *pf_image_format_name(const uint8_t *bytes, size_t size, bool *is_decoded)
{
    const Format *format = find_format(bytes, size);
    bool is_known = format && (!format->is_likely || format->is_likely(bytes, size));
    *is_decoded = is_known && format->decode;
    return is_known ? format->name : NULL;
}

const char *pf_image_lacks_library(const uint8_t *bytes, size_t size, PfError *err)
{
    const Format *format = find_format(bytes, size);
    return format && format->open && format->open(err) ? format->name : NULL;
}

/* "WebP is not supported. ...", "WebP needs libwebp.so.7, ..." */
static bool is_about(const char *reason, const char *format)
{
    size_t length = strlen(format);
    if (strncmp(reason, format, length)) return false;
    return !strncmp(reason + length, " is not supported", 17) ||
           !strncmp(reason + length, " needs ", 7);
}

bool pf_image_may_be_taken_now(const char *reason, bool has_larger_limits)
{
    if (has_larger_limits && !strncmp(reason, PF_IMAGE_TOO_LARGE, strlen(PF_IMAGE_TOO_LARGE)))
        return true;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].decode && is_about(reason, formats[i].name))
            return !formats[i].open || !formats[i].open(NULL);
    return false;
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
    if (format->open && format->open(err)) return -1;
    return format->decode(bytes, size, least_side, image, err);
}

int pf_image_decode_reduced(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                            PfError *err)
{
    image->halvings = image->left = image->top = 0;
    image->is_truncated = image->is_transparent = false;
    int result = decode_any(bytes, size, least_side, image, err);
    if (result) image->width = image->height = image->halvings = 0;
    image->orientation = result ? 0 : pf_image_orientation(bytes, size);
    return result;
}

int pf_image_decode(const uint8_t *bytes, size_t size, PfImage *image, PfError *err)
{
    return pf_image_decode_reduced(bytes, size, 0, image, err);
}
