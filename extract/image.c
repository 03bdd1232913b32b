#include "image.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_decoder.h"
#include "image_exif.h"
#include "memory.h"
#include "printable.h"
#include "size_text.h"

/* What files begin with. '?' stands for any byte. Without a decoder the format
 * is known by name only. */
typedef struct Format {
    const char *name;
    const char *signature;
    size_t signature_size;
    PfImageDecoder *decode;
} Format;

#define SIGNATURE(text) text, sizeof(text) - 1

static const Format formats[] = {
    {"JPEG", SIGNATURE("\xff\xd8\xff"), pf_image_jpeg_decode},
    {"PNG", SIGNATURE("\x89PNG\r\n\x1a\n"), pf_image_png_decode},
    {"BMP", SIGNATURE("BM"), pf_image_bmp_decode},
    {"PGM", SIGNATURE("P2"), pf_image_pnm_decode},
    {"PPM", SIGNATURE("P3"), pf_image_pnm_decode},
    {"PGM", SIGNATURE("P5"), pf_image_pnm_decode},
    {"PPM", SIGNATURE("P6"), pf_image_pnm_decode},
    {"WebP", SIGNATURE("RIFF????WEBP"), NULL},
    {"GIF", SIGNATURE("GIF8"), NULL},
    {"TIFF", SIGNATURE("II*\0"), NULL},
    {"TIFF", SIGNATURE("MM\0*"), NULL},
    {"HEIF", SIGNATURE("????ftypheic"), NULL},
    {"HEIF", SIGNATURE("????ftypmif1"), NULL},
    {"AVIF", SIGNATURE("????ftypavif"), NULL},
    {"JPEG 2000", SIGNATURE("\0\0\0\x0cjP  "), NULL},
    {"JPEG XL", SIGNATURE("\0\0\0\x0cJXL "), NULL},
    {"Photoshop", SIGNATURE("8BPS"), NULL},
};

static int has_signature(const Format *format, const uint8_t *bytes, size_t size)
{
    if (size < format->signature_size) return 0;
    for (size_t i = 0; i < format->signature_size; i++)
        if (format->signature[i] != '?' && (uint8_t)format->signature[i] != bytes[i]) return 0;
    return 1;
}

static const Format *find_format(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (has_signature(&formats[i], bytes, size)) return &formats[i];
    return NULL;
}

/* Two reserved fields of zeros in a BMP; a space, or a comment, in a PNM. */
static int is_likely(const Format *format, const uint8_t *bytes, size_t size)
{
    static const uint8_t zeros[4];
    if (format->signature_size > 2) return 1;
    if (format->signature[0] == 'B') return size >= 10 && !memcmp(bytes + 6, zeros, sizeof zeros);
    return size > 2 && (isspace(bytes[2]) || bytes[2] == '#');
}

const char *pf_image_format_name(const uint8_t *bytes, size_t size, int *is_decoded)
{
    const Format *format = find_format(bytes, size);
    int is_known = format && is_likely(format, bytes, size);
    *is_decoded = is_known && format->decode;
    return is_known ? format->name : NULL;
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
    image->halvings = image->left = image->top = image->is_truncated = 0;
    int result = decode_any(bytes, size, least_side, image, err);
    if (result) image->width = image->height = image->halvings = 0;
    image->orientation = result ? 0 : pf_image_orientation(bytes, size);
    return result;
}

int pf_image_decode(const uint8_t *bytes, size_t size, PfImage *image, PfError *err)
{
    return pf_image_decode_reduced(bytes, size, 0, image, err);
}

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

void pf_image_free(PfImage *image)
{
    free(image->pixels);
    free(image->spare);
    *image = (PfImage){0};
}
