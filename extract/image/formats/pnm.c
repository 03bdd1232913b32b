/* PBM, PGM and PPM, binary (P4, P5, P6) and plain (P1, P2, P3), up to 16 bits, and PFM in grey
 * (Pf), as PIL reads them; 16-bit grey is scaled to 8 bits as that of PNGs is. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "extract/image/formats/raster.h"

enum { LONGEST_TOKEN = 10 };

typedef struct Header {
    char kind; /* the second character of the file */
    int channels;
    int64_t width, height;
    int64_t maximum;    /* of a sample */
    bool is_big_endian; /* floating-point numbers */
} Header;

/* Skips white space and comments. */
static void skip_space(PfCursor *file)
{
    const uint8_t *bytes = file->bytes;
    while (file->position < file->size) {
        if (bytes[file->position] == '#')
            while (file->position < file->size && bytes[file->position] != '\n' &&
                   bytes[file->position] != '\r')
                file->position++;
        else if (isspace(bytes[file->position]))
            file->position++;
        else
            break;
    }
}

/* Reads digits. -1 where there are none or the number is larger than any that a file may hold. */
static int64_t read_number(PfCursor *file)
{
    skip_space(file);
    size_t start = file->position;
    int64_t value = 0;
    while (file->position < file->size && isdigit(file->bytes[file->position])) {
        value = value * 10 + (file->bytes[file->position++] - '0');
        if (value > PF_IMAGE_MOST_PIXELS) return -1;
    }
    return file->position > start ? value : -1;
}

/* The scale of a PFM, of which the sign alone matters. */
static int read_scale(PfCursor *file, Header *header)
{
    char text[LONGEST_TOKEN + 1] = "", *end;
    skip_space(file);
    for (size_t i = 0;
         i < LONGEST_TOKEN && file->position < file->size && !isspace(file->bytes[file->position]);
         i++)
        text[i] = (char)file->bytes[file->position++];
    double scale = strtod(text, &end);
    header->is_big_endian = scale > 0;
    return end > text && !*end && isfinite(scale) && scale != 0.0 ? 0 : -1;
}

/* The maximum, for those that have one. */
static int read_maximum(PfCursor *file, Header *header)
{
    header->maximum = 1;
    if (header->kind == '1' || header->kind == '4') return 0;
    if (header->kind == 'f') return read_scale(file, header);
    header->maximum = read_number(file);
    return header->maximum < 1 || header->maximum > 65535 ? -1 : 0;
}

static int read_header(PfCursor *file, const PfImageLimits *limits, Header *header, PfError *err)
{
    header->kind = (char)file->bytes[1];
    header->channels = header->kind == '3' || header->kind == '6' ? 3 : 1;
    header->width = read_number(file);
    header->height = read_number(file);
    if (header->width < 0 || header->height < 0 || read_maximum(file, header) ||
        file->position >= file->size || !isspace(file->bytes[file->position]))
        return pf_image_bad(err, "broken P%c header: expected width, height and maximum",
                            header->kind);
    file->position++;
    return pf_image_check_size(limits, header->width, header->height, err);
}

/* Brings a sample from 0 .. maximum to 0 .. 255, half to even as Python rounds. Grey of more than 8
 * bits becomes 16-bit, of which the upper half stays. */
static uint8_t scale(const Header *header, int64_t value)
{
    double maximum = (double)header->maximum;
    if (header->maximum == 255) return (uint8_t)value;
    if (value > header->maximum) return 255;
    if (header->maximum < 256 || header->channels == 3)
        return (uint8_t)nearbyint((double)value / maximum * 255.0);
    return (uint8_t)((int)nearbyint((double)value / maximum * 65535.0) >> 8);
}

static void put_sample(uint8_t *pixels, size_t index, int channels, uint8_t value)
{
    if (channels == 3)
        pixels[index] = value;
    else
        memset(pixels + 3 * index, value, 3);
}

/* ---- plain ---- */

/* A bit of a plain PBM, which needs no space behind it: 1 is black. -1: something else. */
static int64_t read_bit(PfCursor *file)
{
    skip_space(file);
    int digit = pf_cursor_byte(file);
    return digit == '0' ? 1 : digit == '1' ? 0 : -1;
}

static int read_plain(PfCursor *file, const Header *header, PfImage *image, PfError *err)
{
    size_t count = (size_t)(header->width * header->height * header->channels);
    for (size_t i = 0; i < count; i++) {
        if (i % 65536 == 0 && pf_image_is_interrupted(&image->limits))
            return pf_image_interrupted(err);
        int64_t value = header->kind == '1' ? read_bit(file) : read_number(file);
        if (value < 0 || value > header->maximum)
            return pf_image_bad(err,
                                "broken or truncated P%c: sample %zu of %zu is not a number "
                                "up to %lld",
                                header->kind, i + 1, count, (long long)header->maximum);
        put_sample(image->pixels, i, header->channels, scale(header, value));
    }
    return 0;
}

/* A plain sample is a digit and a space; the last may do without the space, and bits need none. */
static int decode_plain(PfCursor *file, const Header *header, PfImage *image, PfError *err)
{
    size_t count = (size_t)(header->width * header->height * header->channels);
    size_t needed = header->kind == '1' ? count : 2 * count - 1, left = pf_cursor_left(file);
    if (left < needed)
        return pf_image_bad(err, "truncated P%c: %zu of at least %zu bytes of pixels", header->kind,
                            left, needed);
    if (pf_image_resize_buffer(image, header->width, header->height, err)) return -1;
    return read_plain(file, header, image, err);
}

/* ---- binary ---- */

static void put_samples(const Header *header, const uint8_t *row, uint8_t *out)
{
    size_t count = (size_t)(header->width * header->channels);
    for (size_t i = 0; i < count; i++) {
        int64_t value = header->maximum < 256 ? row[i] : (int64_t)pf_get_be16(row + 2 * i);
        put_sample(out, i, header->channels, scale(header, value));
    }
}

/* Clipped to 0 .. 255, whole numbers. */
static void put_floats(const Header *header, const uint8_t *row, uint8_t *out)
{
    for (int x = 0; x < (int)header->width; x++, row += 4) {
        uint32_t word = header->is_big_endian ? pf_get_be32(row) : pf_get_le32(row);
        float value;
        memcpy(&value, &word, sizeof value);
        memset(out + 3 * (size_t)x, value > 0.0F ? value < 255.0F ? (int)value : 255 : 0, 3);
    }
}

/* A PFM's first row is the lowest. */
static void put_rows(const Header *header, const PfRaster *raster, PfImage *image)
{
    static const PfPalette black_and_white = {{0, 0, 0}, {255, 255, 255}};
    for (int y = 0; y < image->height; y++) {
        uint8_t *out = pf_image_row(image, header->kind == 'f' ? image->height - 1 - y : y);
        const uint8_t *row = pf_raster_row(raster, (size_t)y);
        if (header->kind == '4')
            pf_palette_put_row(black_and_white, row, 1, image->width, 3, out);
        else if (header->kind == 'f')
            put_floats(header, row, out);
        else
            put_samples(header, row, out);
    }
}

static size_t bits_per_pixel(const Header *header)
{
    if (header->kind == '4') return 1;
    if (header->kind == 'f') return 32;
    return (size_t)header->channels * (header->maximum < 256 ? 8 : 16);
}

static int decode_binary(PfCursor *file, const Header *header, PfImage *image, PfError *err)
{
    char name[] = {'P', header->kind, '\0'};
    PfRaster raster = {.row_bytes = ((size_t)header->width * bits_per_pixel(header) + 7) / 8};
    int result = pf_raster_open(&raster, header->width, header->height, file->size, image, err);
    if (!result) {
        pf_raster_copy(&raster, file);
        result = pf_raster_check(&raster, name, image, err);
    }
    if (!result && header->kind == '4') pf_raster_invert(&raster); /* 1 is black */
    if (!result) put_rows(header, &raster, image);
    pf_raster_close(&raster);
    return result;
}

int pf_image_pnm_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    Header header = {0};
    PfCursor file = pf_cursor(bytes, size, 2);
    if (read_header(&file, &image->limits, &header, err)) return -1;
    return header.kind >= '1' && header.kind <= '3' ? decode_plain(&file, &header, image, err)
                                                    : decode_binary(&file, &header, image, err);
}
