/* Targa: colours, greys and palettes, plain or in run lengths, as PIL reads them.
 *
 * Such files begin with no signature. A file is taken for one where its header is one that programs
 * write: all its fields go together, and those that have no meaning are 0. One that ends with the
 * signature of the format's second version is taken if its header can be read at all. */
#include <string.h>

#include "extract/image/formats/raster.h"

enum {
    HEADER_SIZE = 18,
    KIND_INDEXED = 1,
    KIND_COLOR = 2,
    KIND_GREY = 3,
    KIND_PACKED = 8, /* is added to the others */
    FROM_RIGHT = 0x10,
    FROM_TOP = 0x20,
};

static const char footer[] = "TRUEVISION-XFILE.";

typedef struct Targa {
    int id_size, map_type, kind, map_start, map_count, map_bits;
    int width, height, bits, flags;
    bool uses_alpha; /* pixels of 16 and 32 bits; in a palette it always counts */
    PfPalette palette;
} Targa;

static void read_header(const uint8_t *bytes, Targa *targa)
{
    *targa = (Targa){.id_size = bytes[0],
                     .map_type = bytes[1],
                     .kind = bytes[2],
                     .map_start = (int)pf_get_le16(bytes + 3),
                     .map_count = (int)pf_get_le16(bytes + 5),
                     .map_bits = bytes[7],
                     .width = (int)pf_get_le16(bytes + 12),
                     .height = (int)pf_get_le16(bytes + 14),
                     .bits = bytes[16],
                     .flags = bytes[17]};
}

static int base_kind(const Targa *targa)
{
    return targa->kind & ~KIND_PACKED;
}

static bool has_known_kind(const Targa *targa)
{
    int bits = targa->bits;
    switch (base_kind(targa)) {
    case KIND_INDEXED: return bits == 8 && targa->map_type == 1;
    case KIND_COLOR: return bits == 15 || bits == 16 || bits == 24 || bits == 32;
    case KIND_GREY: return bits == 8 || bits == 16 || (bits == 1 && targa->kind == KIND_GREY);
    default: return false;
    }
}

static bool has_known_map(const Targa *targa)
{
    int bits = targa->map_bits;
    if (targa->map_type == 0) return true;
    return targa->map_type == 1 && (bits == 15 || bits == 16 || bits == 24 || bits == 32) &&
           targa->map_count > 0 && targa->map_start + targa->map_count <= 256;
}

static bool can_be_read(const Targa *targa)
{
    return has_known_kind(targa) && has_known_map(targa) && targa->width && targa->height &&
           !(targa->flags & 0xc0);
}

/* Bits of alpha that go with the depth. */
static bool has_usual_alpha(const Targa *targa)
{
    int alpha = targa->flags & 15;
    if (targa->bits == 32 || (targa->bits == 16 && base_kind(targa) == KIND_GREY))
        return alpha == 0 || alpha == 8;
    return alpha == 0 || (alpha == 1 && targa->bits == 16) || (alpha == 8 && targa->map_bits == 32);
}

bool pf_image_is_tga(const uint8_t *bytes, size_t size)
{
    Targa targa = {0};
    if (size < HEADER_SIZE) return false;
    read_header(bytes, &targa);
    if (!can_be_read(&targa)) return false;
    if (size > HEADER_SIZE + sizeof footer &&
        !memcmp(bytes + size - sizeof footer, footer, sizeof footer))
        return true;
    static const uint8_t zeros[5];
    return has_usual_alpha(&targa) && (targa.map_type || !memcmp(bytes + 3, zeros, sizeof zeros));
}

/* As in PIL the highest of 16 bits says transparent. */
static void put_16_bits(const uint8_t *bytes, int bits, uint8_t rgba[4])
{
    uint32_t pixel = pf_get_le16(bytes);
    for (int c = 0; c < 3; c++) rgba[c] = (uint8_t)((pixel >> (10 - 5 * c) & 31) * 255 / 31);
    rgba[3] = bits == 16 && pixel >> 15 ? 0 : 255;
}

static void put_color(const uint8_t *bytes, int bits, uint8_t rgba[4])
{
    if (bits <= 16) {
        put_16_bits(bytes, bits, rgba);
        return;
    }
    for (int c = 0; c < 3; c++) rgba[c] = bytes[2 - c];
    rgba[3] = bits == 32 ? bytes[3] : 255;
}

static int read_palette(PfCursor *file, Targa *targa, PfError *err)
{
    size_t color_bytes = (size_t)(targa->map_bits + 7) / 8;
    const uint8_t *color = pf_cursor_take(file, color_bytes * (size_t)targa->map_count);
    if (!color) return pf_image_bad(err, "truncated TGA: ends in its palette");
    for (int i = 0; i < targa->map_count; i++, color += color_bytes)
        put_color(color, targa->map_bits, targa->palette[targa->map_start + i]);
    return 0;
}

static int read_layout(PfCursor *file, Targa *targa, PfError *err)
{
    const uint8_t *header = pf_cursor_take(file, HEADER_SIZE);
    if (!header) return pf_image_bad(err, "truncated TGA: ends in its header");
    read_header(header, targa);
    if (!can_be_read(targa))
        return pf_image_bad(err, "TGA of type %d with %d bits per pixel, which is not supported",
                            targa->kind, targa->bits);
    if (!pf_cursor_take(file, (size_t)targa->id_size))
        return pf_image_bad(err, "truncated TGA: ends in its header");
    if (base_kind(targa) == KIND_GREY) pf_palette_grey(targa->palette, targa->bits == 1 ? 2 : 256);
    if (targa->map_type == 0) return 0;
    if (base_kind(targa) == KIND_INDEXED) return read_palette(file, targa, err);
    size_t unused = (size_t)(targa->map_bits + 7) / 8 * (size_t)targa->map_count;
    return pf_cursor_take(file, unused) ? 0
                                        : pf_image_bad(err, "truncated TGA: ends in its palette");
}

/* A byte that counts, and then one pixel, or so many. They may go on in the next row. */
static int unpack(PfCursor *file, size_t pixel_bytes, PfRaster *raster, PfImage *image,
                  PfError *err)
{
    bool has_room = true;
    for (size_t steps = 0; has_room; steps++) {
        if (steps % 65536 == 0 && pf_image_is_interrupted(&image->limits))
            return pf_image_interrupted(err);
        int head = pf_cursor_byte(file);
        if (head < 0) break;
        size_t count = (size_t)(head & 127) + 1;
        bool is_run = head & 128;
        size_t size = is_run ? pixel_bytes : count * pixel_bytes;
        const uint8_t *pixels = pf_cursor_take(file, size);
        if (!pixels) break;
        if (is_run && pixel_bytes == 1)
            has_room = pf_raster_put_run(raster, *pixels, count);
        else
            for (size_t i = 0; i < (is_run ? count : 1) && has_room; i++)
                has_room = pf_raster_put_bytes(raster, pixels, size);
        has_room = has_room && raster->filled < pf_raster_size(raster);
    }
    return 0;
}

/* The extension area of the format's second version may say that the alpha of colours, not that of
 * greys, means nothing. */
static bool uses_alpha(const Targa *targa, const uint8_t *bytes, size_t size)
{
    enum { FOOTER_SIZE = 8 + sizeof footer, ATTRIBUTES_AT = 494 };
    if (targa->bits < 16 || base_kind(targa) != KIND_COLOR || size < FOOTER_SIZE ||
        memcmp(bytes + size - sizeof footer, footer, sizeof footer))
        return true;
    size_t extension = pf_get_le32(bytes + size - FOOTER_SIZE), at = extension + ATTRIBUTES_AT;
    return !extension || at >= size || bytes[at];
}

/* Whether any pixel can be less than opaque. */
static bool has_alpha(const Targa *targa)
{
    int bits = base_kind(targa) == KIND_INDEXED ? targa->map_bits : targa->bits;
    return bits == 16 || bits == 32;
}

static int row_bits(const Targa *targa)
{
    return targa->bits == 15 ? 16 : targa->bits;
}

static void put_row(const Targa *targa, const uint8_t *row, int channels, uint8_t *out)
{
    int pixel_bytes = (targa->bits + 7) / 8;
    if (targa->bits <= 8) {
        pf_palette_put_row(targa->palette, row, targa->bits, targa->width, channels, out);
        return;
    }
    for (int x = 0; x < targa->width; x++, row += pixel_bytes, out += channels) {
        uint8_t rgba[4] = {row[0], row[0], row[0], row[1]};
        if (base_kind(targa) != KIND_GREY) put_color(row, targa->bits, rgba);
        if (!targa->uses_alpha) rgba[3] = 255;
        memcpy(out, rgba, (size_t)channels);
    }
}

static void mirror_row(uint8_t *row, int width, int channels)
{
    for (int left = 0, right = width - 1; left < right; left++, right--)
        for (int c = 0; c < channels; c++) {
            uint8_t other = row[channels * left + c];
            row[channels * left + c] = row[channels * right + c];
            row[channels * right + c] = other;
        }
}

static void put_rows(const Targa *targa, const PfRaster *raster, PfImage *image)
{
    for (int y = 0; y < image->height; y++) {
        int line = targa->flags & FROM_TOP ? y : image->height - 1 - y;
        int channels = pf_raster_channels(raster);
        uint8_t *out = pf_raster_begin_row(raster, image, y);
        put_row(targa, pf_raster_row(raster, (size_t)line), channels, out);
        if (targa->flags & FROM_RIGHT) mirror_row(out, image->width, channels);
        pf_raster_end_row(raster, image, y);
    }
}

int pf_image_tga_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    Targa targa = {0};
    PfCursor file = pf_cursor(bytes, size, 0);
    if (read_layout(&file, &targa, err)) return -1;
    size_t pixel_bytes = (size_t)(targa.bits + 7) / 8;
    PfRaster raster = {.row_bytes = ((size_t)targa.width * (size_t)row_bits(&targa) + 7) / 8,
                       .has_alpha = has_alpha(&targa)};
    targa.uses_alpha = uses_alpha(&targa, bytes, size);
    int result = pf_raster_open(&raster, targa.width, targa.height, size, image, err);
    if (!result && targa.kind & KIND_PACKED)
        result = unpack(&file, pixel_bytes, &raster, image, err);
    else if (!result)
        pf_raster_copy(&raster, &file);
    if (!result) result = pf_raster_check(&raster, "TGA", image, err);
    if (!result) put_rows(&targa, &raster, image);
    pf_raster_close(&raster);
    return result;
}
