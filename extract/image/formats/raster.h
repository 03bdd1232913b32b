/* Rows of a picture as its file packs them: what decoders of simple formats fill first, and then
 * turn into RGB. Zeros are where the file had nothing. */
#ifndef PF_EXTRACT_IMAGE_FORMATS_RASTER_H
#define PF_EXTRACT_IMAGE_FORMATS_RASTER_H

#include "extract/image/formats/bytes.h"
#include "extract/image/formats/formats.h"

/* Starts with row_bytes, and stride, planes and has_alpha where they are not the usual ones. */
typedef struct PfRaster {
    size_t row_bytes; /* of a row, with pixels; what follows them may be missing in the last row */
    size_t stride;    /* bytes from one row to the next; 0: row_bytes */
    size_t planes;    /* how many sets of rows there are, below each other; 0: 1 */
    bool has_alpha;   /* rows become RGBA first */
    size_t rows;      /* of all planes */
    uint8_t *bytes;   /* (rows, stride), owned */
    size_t filled;    /* bytes that the file has given, from the beginning */
    uint8_t *rgba;    /* (width, 4), owned: the row that is being made; NULL without has_alpha */
} PfRaster;

/* Red, green, blue and alpha of each colour. Alpha counts only where a raster has it. */
typedef uint8_t PfPalette[256][4];

/* Checks the size and the memory that it takes, and makes room in the image for width x height
 * pixels and in the raster for its rows. The caller closes the raster, also on failure. */
int pf_raster_open(PfRaster *raster, int64_t width, int64_t height, size_t file_size,
                   PfImage *image, PfError *err);
void pf_raster_close(PfRaster *raster);

static inline size_t pf_raster_size(const PfRaster *raster)
{
    return raster->rows * raster->stride;
}

static inline const uint8_t *pf_raster_row(const PfRaster *raster, size_t row)
{
    return raster->bytes + row * raster->stride;
}

/* Takes what is there of uncompressed rows. */
void pf_raster_copy(PfRaster *raster, PfCursor *cursor);

/* Appends one byte `count` times, or `count` bytes. False where that goes beyond the last row: what
 * fits is taken. */
bool pf_raster_put_run(PfRaster *raster, uint8_t value, size_t count);
bool pf_raster_put_bytes(PfRaster *raster, const uint8_t *bytes, size_t count);

/* Sees that all rows are there. Where some are not the file is refused; or, with
 * image->keep_truncated, if there is a whole one, the rest becomes zeros. */
int pf_raster_check(PfRaster *raster, const char *format, PfImage *image, PfError *err);

/* Turns all bits that the file has given, for formats in which 0 is white. */
void pf_raster_invert(PfRaster *raster);

/* Opaque greys from black to white; the other colours are black. */
void pf_palette_grey(PfPalette palette, int count);

/* Turns a row of indices of 1, 2, 4 or 8 bits, the first in the highest bits, into pixels of so
 * many channels: 3 for RGB, 4 for RGBA. */
void pf_palette_put_row(const PfPalette palette, const uint8_t *row, int bits, int width,
                        int channels, uint8_t *out);

/* Row y of the image. */
static inline uint8_t *pf_image_row(const PfImage *image, int y)
{
    return image->pixels + 3 * (size_t)y * (size_t)image->width;
}

/* Bytes of a pixel in the rows that are made: 3 for RGB, 4 for RGBA. */
static inline int pf_raster_channels(const PfRaster *raster)
{
    return raster->has_alpha ? 4 : 3;
}

/* Where to make row y of the image, and then, when it is made, puts it there. */
static inline uint8_t *pf_raster_begin_row(const PfRaster *raster, const PfImage *image, int y)
{
    return raster->has_alpha ? raster->rgba : pf_image_row(image, y);
}
void pf_raster_end_row(const PfRaster *raster, PfImage *image, int y);

#endif
