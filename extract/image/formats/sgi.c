/* Silicon Graphics' images: grey and colour of 8 and 16 bits, plain or in run lengths, as PIL reads
 * them. The first row is the lowest, and each channel has its own rows. */
#include <string.h>

#include "extract/image/formats/raster.h"

enum { HEADER_SIZE = 512 };

typedef struct Silicon {
    int64_t width, height;
    int sample_bytes; /* 1, or 2, of which the first stays */
    int planes;       /* that are stored: 1, 3 or 4 */
    bool is_packed;
} Silicon;

static int truncated(size_t size, PfError *err)
{
    return pf_image_bad(err, "truncated SGI: ends after %zu bytes", size);
}

static int read_header(const uint8_t *bytes, size_t size, Silicon *sgi, PfError *err)
{
    if (size < HEADER_SIZE) return truncated(size, err);
    int dimensions = (int)pf_get_be16(bytes + 4);
    *sgi = (Silicon){.width = pf_get_be16(bytes + 6),
                     .height = pf_get_be16(bytes + 8),
                     .sample_bytes = bytes[3],
                     .planes = (int)pf_get_be16(bytes + 10),
                     .is_packed = bytes[2] == 1};
    bool is_grey = (dimensions == 1 || dimensions == 2) && sgi->planes == 1;
    bool is_color = dimensions == 3 && (sgi->planes == 3 || sgi->planes == 4);
    if ((is_grey || is_color) && (sgi->sample_bytes == 1 || sgi->sample_bytes == 2) &&
        bytes[2] <= 1)
        return 0;
    return pf_image_bad(err,
                        "SGI image of %d dimensions and %d channels of %d bytes, compression %d, "
                        "which is not supported",
                        dimensions, sgi->planes, sgi->sample_bytes, bytes[2]);
}

bool pf_image_is_sgi(const uint8_t *bytes, size_t size)
{
    return size >= 12 && pf_get_be16(bytes) == 0x1da && bytes[2] <= 1 &&
           (bytes[3] == 1 || bytes[3] == 2) && pf_get_be16(bytes + 4) <= 3 &&
           pf_get_be16(bytes + 10) <= 4;
}

/* One row: samples of which the lower seven bits count, and the eighth says literal. */
static bool unpack_row(PfCursor row, const Silicon *sgi, uint8_t *out)
{
    size_t sample = (size_t)sgi->sample_bytes;
    for (int64_t x = 0; x < sgi->width;) {
        const uint8_t *head = pf_cursor_take(&row, sample);
        if (!head) return false;
        int count = head[sample - 1] & 127;
        bool is_literal = head[sample - 1] & 128;
        if (count == 0) return true;
        if (count > sgi->width - x) return false;
        const uint8_t *values = pf_cursor_take(&row, is_literal ? sample * (size_t)count : sample);
        if (!values) return false;
        for (int i = 0; i < count; i++) {
            memcpy(out, values, sample);
            out += sample;
            if (is_literal) values += sample;
        }
        x += count;
    }
    return true;
}

/* Tables of where the rows begin, and how long they are, stand first. */
static int unpack(const uint8_t *bytes, size_t size, const Silicon *sgi, PfRaster *raster,
                  PfImage *image, PfError *err)
{
    PfCursor tables = pf_cursor(bytes, size, HEADER_SIZE);
    const uint8_t *starts = pf_cursor_take(&tables, 4 * raster->rows);
    const uint8_t *sizes = starts ? pf_cursor_take(&tables, 4 * raster->rows) : NULL;
    if (!sizes) return truncated(size, err);
    for (size_t y = 0; y < raster->rows; y++) {
        size_t start = pf_get_be32(starts + 4 * y), length = pf_get_be32(sizes + 4 * y);
        if (y % 1024 == 0 && pf_image_is_interrupted(&image->limits))
            return pf_image_interrupted(err);
        if (start > size || length > size - start) return truncated(size, err);
        if (!unpack_row(pf_cursor(bytes + start, length, 0), sgi, raster->bytes + raster->filled))
            return pf_image_bad(err, "broken SGI: row %zu does not fit its size", y);
        raster->filled += raster->stride;
    }
    return 0;
}

static void put_rows(const Silicon *sgi, const PfRaster *raster, PfImage *image)
{
    for (int y = 0; y < image->height; y++) {
        int line = image->height - 1 - y, channels = pf_raster_channels(raster);
        uint8_t *out = pf_raster_begin_row(raster, image, line);
        for (int c = 0; c < channels; c++) {
            size_t plane = sgi->planes == 1 ? 0 : (size_t)c;
            const uint8_t *row = pf_raster_row(raster, plane * (size_t)image->height + (size_t)y);
            for (int x = 0; x < image->width; x++)
                out[channels * x + c] = row[sgi->sample_bytes * x];
        }
        pf_raster_end_row(raster, image, line);
    }
}

int pf_image_sgi_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    Silicon sgi = {0};
    PfCursor pixels = pf_cursor(bytes, size, HEADER_SIZE);
    if (read_header(bytes, size, &sgi, err)) return -1;
    PfRaster raster = {.row_bytes = (size_t)sgi.width * (size_t)sgi.sample_bytes,
                       .planes = (size_t)sgi.planes,
                       .has_alpha = sgi.planes == 4};
    int result = pf_raster_open(&raster, sgi.width, sgi.height, size, image, err);
    if (!result && sgi.is_packed) result = unpack(bytes, size, &sgi, &raster, image, err);
    if (!result && !sgi.is_packed) pf_raster_copy(&raster, &pixels);
    if (!result) result = pf_raster_check(&raster, "SGI", image, err);
    if (!result) put_rows(&sgi, &raster, image);
    pf_raster_close(&raster);
    return result;
}
