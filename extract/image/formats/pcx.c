/* PC Paintbrush's pictures, and the first page of DCX files, which hold several: black and white, 4
 * and 16 colours in planes, 256 colours or greys, and RGB, as PIL reads them. */
#include <string.h>

#include "extract/image/formats/raster.h"

enum { HEADER_SIZE = 128, PALETTE_MARK = 12, PALETTE_SIZE = 768 };

typedef struct Paintbrush {
    int64_t width, height;
    int bits, planes; /* bits of a pixel in each plane of a row */
    int plane_bytes;
    PfPalette palette; /* for all but RGB */
} Paintbrush;

static int read_header(const uint8_t *bytes, size_t size, Paintbrush *pcx, PfError *err)
{
    if (size < HEADER_SIZE) return pf_image_bad(err, "truncated PCX: ends in its header");
    pcx->width = (int64_t)pf_get_le16(bytes + 8) - pf_get_le16(bytes + 4) + 1;
    pcx->height = (int64_t)pf_get_le16(bytes + 10) - pf_get_le16(bytes + 6) + 1;
    pcx->bits = bytes[3];
    pcx->planes = bytes[65];
    pcx->plane_bytes = (int)(pcx->width * pcx->bits + 7) / 8;
    /* Rows should be of an even size; those of some files are not. */
    if ((int)pf_get_le16(bytes + 66) != pcx->plane_bytes) pcx->plane_bytes += pcx->plane_bytes % 2;
    bool is_indexed = pcx->bits == 1 && (pcx->planes == 1 || pcx->planes == 2 || pcx->planes == 4);
    bool is_256 = bytes[1] == 5 && pcx->bits == 8 && (pcx->planes == 1 || pcx->planes == 3);
    if (is_indexed || is_256) return 0;
    return pf_image_bad(err, "PCX of version %d with %d planes of %d bits, which is not supported",
                        bytes[1], pcx->planes, pcx->bits);
}

/* All of the header's fields go together. */
bool pf_image_is_pcx(const uint8_t *bytes, size_t size)
{
    Paintbrush pcx = {0};
    if (size < HEADER_SIZE || bytes[0] != 10 || bytes[2] != 1 || bytes[1] > 5) return false;
    return !read_header(bytes, size, &pcx, NULL) && pcx.width > 0 && pcx.height > 0;
}

static void set_colors(Paintbrush *pcx, const uint8_t *colors, int count)
{
    for (int i = 0; i < count; i++) memcpy(pcx->palette[i], colors + 3 * i, 3);
}

/* 16 colours are in the header, 256 at the end of the file. */
static void read_palette(const uint8_t *bytes, size_t size, Paintbrush *pcx)
{
    pf_palette_grey(pcx->palette, pcx->bits == 1 ? 2 : 256);
    if (pcx->bits == 1 && pcx->planes > 1) set_colors(pcx, bytes + 16, 16);
    if (pcx->bits == 8 && size > PALETTE_SIZE && bytes[size - PALETTE_SIZE - 1] == PALETTE_MARK)
        set_colors(pcx, bytes + size - PALETTE_SIZE, 256);
}

/* Two high bits say that the six lower ones count. A run ends with its row. */
static int unpack(PfCursor *file, PfRaster *raster, PfImage *image, PfError *err)
{
    size_t end = pf_raster_size(raster);
    for (size_t steps = 0; raster->filled < end; steps++) {
        if (steps % 65536 == 0 && pf_image_is_interrupted(&image->limits))
            return pf_image_interrupted(err);
        int value = pf_cursor_byte(file), count = 1;
        if (value >= 0xc0) {
            count = value & 63;
            value = pf_cursor_byte(file);
        }
        if (value < 0) return 0;
        if ((size_t)count > raster->stride - raster->filled % raster->stride)
            return pf_image_bad(err, "broken PCX: a run goes beyond its row");
        pf_raster_put_run(raster, (uint8_t)value, (size_t)count);
    }
    return 0;
}

static void put_row(const Paintbrush *pcx, const uint8_t *row, int width, uint8_t *out)
{
    size_t plane = (size_t)pcx->plane_bytes;
    if (pcx->planes == 1) {
        pf_palette_put_row(pcx->palette, row, pcx->bits, width, 3, out);
        return;
    }
    for (int x = 0; x < width; x++, out += 3) {
        if (pcx->bits == 8) {
            for (size_t c = 0; c < 3; c++) out[c] = row[c * plane + (size_t)x];
            continue;
        }
        int index = 0;
        for (int p = 0; p < pcx->planes; p++)
            index |= (row[(size_t)p * plane + (size_t)x / 8] >> (7 - x % 8) & 1) << p;
        memcpy(out, pcx->palette[index], 3);
    }
}

int pf_image_pcx_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    Paintbrush pcx = {0};
    PfCursor pixels = pf_cursor(bytes, size, HEADER_SIZE);
    if (read_header(bytes, size, &pcx, err)) return -1;
    read_palette(bytes, size, &pcx);
    /* All planes of a row lie behind each other. */
    PfRaster raster = {.row_bytes = (size_t)pcx.plane_bytes * (size_t)pcx.planes};
    int result = pf_raster_open(&raster, pcx.width, pcx.height, size, image, err);
    if (!result) result = unpack(&pixels, &raster, image, err);
    if (!result) result = pf_raster_check(&raster, "PCX", image, err);
    for (int y = 0; y < image->height && !result; y++)
        put_row(&pcx, pf_raster_row(&raster, (size_t)y), image->width, pf_image_row(image, y));
    pf_raster_close(&raster);
    return result;
}

/* The first of the places of the pages. Its palette is looked for at the file's end, as in PIL. */
int pf_image_dcx_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    size_t at = size < 8 ? size : pf_get_le32(bytes + 4);
    if (at >= size) return pf_image_bad(err, "truncated DCX: ends before its first page");
    return pf_image_pcx_decode(bytes + at, size - at, least_side, image, err);
}
