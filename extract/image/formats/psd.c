/* Photoshop's files: the flattened picture, as PIL reads it. Layers are passed over. */
#include <string.h>

#include "extract/image/formats/raster.h"

enum {
    HEADER_SIZE = 26,
    MODE_BITMAP = 0,
    MODE_GREY = 1,
    MODE_INDEXED = 2,
    MODE_RGB = 3,
    MODE_CMYK = 4,
    MODE_MULTICHANNEL = 7, /* of which the first channel is read, as grey */
    MODE_DUOTONE = 8,
    PLAIN = 0,
    PACKED = 1, /* PackBits */
};

typedef struct Photoshop {
    int64_t width, height;
    int mode, bits;
    int channels, planes; /* in the file; that make the colours and alpha, which come first */
    PfPalette palette;
} Photoshop;

static int truncated(const PfCursor *file, PfError *err)
{
    return pf_image_bad(err, "truncated PSD: ends after %zu bytes", file->size);
}

/* Channels that the pixels need; 0 where the mode is not read. */
static int planes_of(int mode, int bits)
{
    if (mode == MODE_BITMAP) return bits == 1 || bits == 8; /* by PIL read as grey */
    if (bits != 8) return 0;
    if (mode == MODE_RGB) return 3;
    if (mode == MODE_CMYK) return 4;
    return mode == MODE_GREY || mode == MODE_INDEXED || mode == MODE_MULTICHANNEL ||
           mode == MODE_DUOTONE;
}

static int read_header(PfCursor *file, const PfImageLimits *limits, Photoshop *psd, PfError *err)
{
    const uint8_t *header = pf_cursor_take(file, HEADER_SIZE);
    if (!header) return truncated(file, err);
    psd->height = pf_get_be32(header + 14);
    psd->width = pf_get_be32(header + 18);
    psd->bits = (int)pf_get_be16(header + 22);
    psd->mode = (int)pf_get_be16(header + 24);
    psd->channels = (int)pf_get_be16(header + 12);
    psd->planes = planes_of(psd->mode, psd->bits);
    if (pf_get_be16(header + 4) != 1)
        return pf_image_bad(err, "PSD of version %u, which is not supported",
                            pf_get_be16(header + 4));
    if (!psd->planes)
        return pf_image_bad(err, "PSD of mode %d with %d bits, which is not supported", psd->mode,
                            psd->bits);
    if (psd->channels < psd->planes)
        return pf_image_bad(err, "broken PSD: %d channels, fewer than its mode has", psd->channels);
    /* As in PIL the fourth of four is alpha; of more none is. */
    if (psd->mode == MODE_RGB && psd->channels == 4) psd->planes = 4;
    return pf_image_check_size(limits, psd->width, psd->height, err);
}

/* A section begins with its size. */
static const uint8_t *take_section(PfCursor *file, uint32_t *size)
{
    const uint8_t *bytes = pf_cursor_take(file, 4);
    if (!bytes) return NULL;
    *size = pf_get_be32(bytes);
    return pf_cursor_take(file, *size);
}

/* The palette's 256 reds come first, then greens, then blues. */
static int read_colors(PfCursor *file, Photoshop *psd, PfError *err)
{
    uint32_t size;
    const uint8_t *colors = take_section(file, &size);
    if (!colors) return truncated(file, err);
    pf_palette_grey(psd->palette, psd->bits == 1 ? 2 : 256);
    if (psd->mode != MODE_INDEXED) return 0;
    if (size != 768) return pf_image_bad(err, "broken PSD: a palette of %u bytes", size);
    for (int i = 0; i < 256; i++)
        for (int c = 0; c < 3; c++) psd->palette[i][c] = colors[256 * c + i];
    return 0;
}

/* Goes to the pixels. *is_packed: how they are stored. */
static int read_layout(PfCursor *file, const PfImageLimits *limits, Photoshop *psd, bool *is_packed,
                       PfError *err)
{
    uint32_t size;
    if (read_header(file, limits, psd, err) || read_colors(file, psd, err)) return -1;
    if (!take_section(file, &size) || !take_section(file, &size)) return truncated(file, err);
    const uint8_t *storage = pf_cursor_take(file, 2);
    if (!storage) return truncated(file, err);
    *is_packed = pf_get_be16(storage) == PACKED;
    if (*is_packed || pf_get_be16(storage) == PLAIN) return 0;
    return pf_image_bad(err, "PSD with compression %u, which is not supported",
                        pf_get_be16(storage));
}

/* One row. What would go beyond it is dropped. False at the file's end. */
static bool unpack_row(PfCursor *file, PfRaster *raster)
{
    size_t end = raster->filled + raster->stride;
    while (raster->filled < end) {
        int head = pf_cursor_byte(file);
        if (head < 0) return false;
        if (head == 128) continue;
        size_t count = head < 128 ? (size_t)head + 1 : 257 - (size_t)head;
        const uint8_t *bytes = pf_cursor_take(file, head < 128 ? count : 1);
        if (!bytes) return false;
        if (count > end - raster->filled) count = end - raster->filled;
        if (head < 128)
            pf_raster_put_bytes(raster, bytes, count);
        else
            pf_raster_put_run(raster, *bytes, count);
    }
    return true;
}

/* The packed sizes of the rows of all channels stand first. */
static int unpack(PfCursor *file, const Photoshop *psd, PfRaster *raster, PfImage *image,
                  PfError *err)
{
    if (!pf_cursor_take(file, 2 * (size_t)psd->channels * (size_t)psd->height))
        return truncated(file, err);
    for (size_t row = 0; row < raster->rows && unpack_row(file, raster); row++)
        if (row % 1024 == 0 && pf_image_is_interrupted(&image->limits))
            return pf_image_interrupted(err);
    return 0;
}

/* planes[c]: the row of that channel. */
static void put_row(const Photoshop *psd, const uint8_t *const planes[4], int width, uint8_t *out)
{
    if (psd->planes == 1) {
        pf_palette_put_row(psd->palette, planes[0], psd->bits, width, 3, out);
        return;
    }
    for (int x = 0; x < width && psd->mode == MODE_RGB; x++, out += psd->planes)
        for (int c = 0; c < psd->planes; c++) out[c] = planes[c][x];
    for (int x = 0; x < width && psd->mode == MODE_CMYK; x++, out += 3) {
        uint8_t cmyk[4];
        for (int c = 0; c < 4; c++) cmyk[c] = planes[c][x];
        pf_image_rgb_from_cmyk(cmyk, out);
    }
}

static void put_rows(const Photoshop *psd, const PfRaster *raster, PfImage *image)
{
    for (int y = 0; y < image->height; y++) {
        const uint8_t *planes[4] = {0};
        for (int c = 0; c < psd->planes; c++)
            planes[c] = pf_raster_row(raster, (size_t)c * (size_t)image->height + (size_t)y);
        put_row(psd, planes, image->width, pf_raster_begin_row(raster, image, y));
        pf_raster_end_row(raster, image, y);
    }
}

int pf_image_psd_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    Photoshop psd = {0};
    bool is_packed;
    PfCursor file = pf_cursor(bytes, size, 0);
    if (read_layout(&file, &image->limits, &psd, &is_packed, err)) return -1;
    PfRaster raster = {.row_bytes = ((size_t)psd.width * (size_t)psd.bits + 7) / 8,
                       .planes = (size_t)psd.planes,
                       .has_alpha = psd.mode == MODE_RGB && psd.planes == 4};
    int result = pf_raster_open(&raster, psd.width, psd.height, size, image, err);
    if (!result && is_packed) result = unpack(&file, &psd, &raster, image, err);
    if (!result && !is_packed) pf_raster_copy(&raster, &file);
    if (!result) result = pf_raster_check(&raster, "PSD", image, err);
    if (!result && psd.mode == MODE_CMYK) pf_raster_invert(&raster); /* 0 is all ink */
    if (!result) put_rows(&psd, &raster, image);
    pf_raster_close(&raster);
    return result;
}
