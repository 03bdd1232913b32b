#include "extract/image/formats/raster.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

int pf_raster_open(PfRaster *raster, int64_t width, int64_t height, size_t file_size,
                   PfImage *image, PfError *err)
{
    if (pf_image_check_size(&image->limits, width, height, err)) return -1;
    if (!raster->stride) raster->stride = raster->row_bytes;
    if (!raster->planes) raster->planes = 1;
    raster->rows = (size_t)height * raster->planes;
    int64_t needed = (int64_t)pf_raster_size(raster) + 3 * width * height;
    if (pf_image_check_memory(&image->limits, needed, file_size, err) ||
        pf_image_resize_buffer(image, width, height, err))
        return -1;
    raster->bytes = pf_calloc(pf_raster_size(raster), 1, err);
    if (raster->bytes && raster->has_alpha) raster->rgba = pf_calloc((size_t)width, 4, err);
    return raster->bytes && (raster->rgba || !raster->has_alpha) ? 0 : -1;
}

void pf_raster_close(PfRaster *raster)
{
    free(raster->bytes);
    free(raster->rgba);
    *raster = (PfRaster){0};
}

static size_t clip_to_raster(const PfRaster *raster, size_t count)
{
    size_t room = pf_raster_size(raster) - raster->filled;
    return count < room ? count : room;
}

bool pf_raster_put_bytes(PfRaster *raster, const uint8_t *bytes, size_t count)
{
    size_t fitting = clip_to_raster(raster, count);
    if (fitting) memcpy(raster->bytes + raster->filled, bytes, fitting);
    raster->filled += fitting;
    return fitting == count;
}

bool pf_raster_put_run(PfRaster *raster, uint8_t value, size_t count)
{
    size_t fitting = clip_to_raster(raster, count);
    memset(raster->bytes + raster->filled, value, fitting);
    raster->filled += fitting;
    return fitting == count;
}

void pf_raster_copy(PfRaster *raster, PfCursor *cursor)
{
    size_t count = clip_to_raster(raster, pf_cursor_left(cursor));
    pf_raster_put_bytes(raster, pf_cursor_take(cursor, count), count);
}

int pf_raster_check(PfRaster *raster, const char *format, PfImage *image, PfError *err)
{
    size_t padding = raster->stride - raster->row_bytes;
    size_t rows = (raster->filled + padding) / raster->stride;
    if (rows >= raster->rows) return 0;
    if (!image->keep_truncated || rows == 0)
        return pf_image_bad(err, "truncated %s: ends after %zu of %zu rows", format, rows,
                            raster->rows);
    size_t kept = rows * raster->stride;
    if (kept < raster->filled) memset(raster->bytes + kept, 0, raster->filled - kept);
    if (kept < raster->filled) raster->filled = kept;
    image->is_truncated = true;
    return 0;
}

void pf_raster_invert(PfRaster *raster)
{
    for (size_t i = 0; i < raster->filled; i++) raster->bytes[i] = (uint8_t)~raster->bytes[i];
}

void pf_palette_grey(PfPalette palette, int count)
{
    memset(palette, 0, sizeof(PfPalette));
    for (int i = 0; i < 256; i++) {
        if (i < count) memset(palette[i], i * 255 / (count - 1), 3);
        palette[i][3] = 255;
    }
}

void pf_palette_put_row(const PfPalette palette, const uint8_t *row, int bits, int width,
                        int channels, uint8_t *out)
{
    int mask = (1 << bits) - 1, per_byte = 8 / bits;
    for (int x = 0; x < width; x++, out += channels) {
        int shift = (per_byte - 1 - x % per_byte) * bits;
        memcpy(out, palette[row[x / per_byte] >> shift & mask], (size_t)channels);
    }
}

void pf_raster_end_row(const PfRaster *raster, PfImage *image, int y)
{
    if (raster->has_alpha)
        pf_image_flatten(image, raster->rgba, pf_image_row(image, y), (size_t)image->width);
}
