/* Sun's raster files: black and white, greys, palettes and colours, plain or in run lengths, as PIL
 * reads them. */
#include <string.h>

#include "extract/image/formats/raster.h"

enum { HEADER_SIZE = 32, TYPE_PACKED = 2, TYPE_RGB = 3, LAST_TYPE = 5, RUN = 0x80 };

typedef struct Sun {
    int64_t width, height;
    uint32_t bits, type;
    PfPalette palette; /* up to 8 bits */
} Sun;

/* All reds come first, then greens, then blues. */
static int read_palette(PfCursor *file, uint32_t kind, uint32_t size, Sun *sun, PfError *err)
{
    if (sun->bits <= 8) pf_palette_grey(sun->palette, 1 << sun->bits);
    if (size == 0) return 0;
    if (kind != 1 || size > 3 * 256)
        return pf_image_bad(err, "SUN raster with a palette of kind %u and %u bytes", kind, size);
    const uint8_t *colors = pf_cursor_take(file, size);
    if (!colors) return pf_image_bad(err, "truncated SUN raster: ends in its palette");
    if (sun->bits == 1) return 0;
    memset(sun->palette, 0, sizeof sun->palette);
    for (uint32_t i = 0; i < size / 3; i++)
        for (uint32_t c = 0; c < 3; c++) sun->palette[i][c] = colors[size / 3 * c + i];
    return 0;
}

static int read_layout(PfCursor *file, Sun *sun, PfError *err)
{
    const uint8_t *header = pf_cursor_take(file, HEADER_SIZE);
    if (!header) return pf_image_bad(err, "truncated SUN raster: ends in its header");
    sun->width = pf_get_be32(header + 4);
    sun->height = pf_get_be32(header + 8);
    sun->bits = pf_get_be32(header + 12);
    sun->type = pf_get_be32(header + 20);
    bool has_bits =
        sun->bits == 1 || sun->bits == 4 || sun->bits == 8 || sun->bits == 24 || sun->bits == 32;
    if (!has_bits || sun->type > LAST_TYPE)
        return pf_image_bad(err, "SUN raster of type %u with %u bits, which is not supported",
                            sun->type, sun->bits);
    return read_palette(file, pf_get_be32(header + 24), pf_get_be32(header + 28), sun, err);
}

/* A mark, how often less one, and the byte; a mark and 0 are the mark itself. */
static int unpack(PfCursor *file, PfRaster *raster, PfImage *image, PfError *err)
{
    for (size_t steps = 0; raster->filled < pf_raster_size(raster); steps++) {
        if (steps % 65536 == 0 && pf_image_is_interrupted(&image->limits))
            return pf_image_interrupted(err);
        int value = pf_cursor_byte(file), count = 0;
        if (value == RUN) {
            count = pf_cursor_byte(file);
            if (count > 0) value = pf_cursor_byte(file);
        }
        if (value < 0 || count < 0) return 0;
        pf_raster_put_run(raster, (uint8_t)value, (size_t)count + 1);
    }
    return 0;
}

static void put_row(const Sun *sun, const uint8_t *row, uint8_t *out)
{
    if (sun->bits <= 8) {
        pf_palette_put_row(sun->palette, row, (int)sun->bits, (int)sun->width, 3, out);
        return;
    }
    for (int64_t x = 0; x < sun->width; x++, row += sun->bits / 8, out += 3)
        for (int c = 0; c < 3; c++) out[c] = row[sun->type == TYPE_RGB ? c : 2 - c];
}

int pf_image_sun_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    Sun sun = {0};
    PfCursor file = pf_cursor(bytes, size, 0);
    if (read_layout(&file, &sun, err)) return -1;
    size_t bits = (size_t)sun.width * sun.bits;
    PfRaster raster = {.row_bytes = (bits + 7) / 8, .stride = (bits + 15) / 16 * 2};
    int result = pf_raster_open(&raster, sun.width, sun.height, size, image, err);
    if (!result && sun.type == TYPE_PACKED) result = unpack(&file, &raster, image, err);
    if (!result && sun.type != TYPE_PACKED) pf_raster_copy(&raster, &file);
    if (!result) result = pf_raster_check(&raster, "SUN raster", image, err);
    if (!result && sun.bits == 1) pf_raster_invert(&raster); /* 1 is black */
    for (int y = 0; y < image->height && !result; y++)
        put_row(&sun, pf_raster_row(&raster, (size_t)y), pf_image_row(image, y));
    pf_raster_close(&raster);
    return result;
}
