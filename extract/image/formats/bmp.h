/* Bitmaps inside of icons and cursors. */
#ifndef PF_EXTRACT_IMAGE_FORMATS_BMP_H
#define PF_EXTRACT_IMAGE_FORMATS_BMP_H

#include "extract/image/formats/formats.h"

typedef struct PfBmpLayout {
    int64_t width, height;
    bool is_top_down;
    bool is_packed; /* run lengths */
    bool is_grey;   /* 1 or 8 bits, whose palette is black and white, or the grey of each index */
    int bits;       /* 1, 4, 8, 16, 24 or 32 */
    size_t offset;  /* of the pixels in the file */
} PfBmpLayout;

/* Which alpha of 32-bit pixels counts. */
typedef enum PfBmpAlpha {
    PF_BMP_NO_ALPHA,
    PF_BMP_MASKED_ALPHA, /* that of bitmaps with masks, as in files of their own */
    PF_BMP_ALL_ALPHA,    /* the fourth byte of those without, too */
} PfBmpAlpha;

/* Decodes the bitmap whose header is at that byte of a file. Its height is twice the picture's: the
 * mask of transparency, which is left to the caller, counts. */
int pf_bmp_decode_icon(const uint8_t *bytes, size_t size, size_t at, PfBmpAlpha alpha,
                       PfImage *image, PfBmpLayout *layout, PfError *err);

/* Decodes the same bitmap in its whole height, as if its mask were a part of the picture. */
int pf_bmp_decode_with_mask(const uint8_t *bytes, size_t size, size_t at, PfImage *image,
                            PfError *err);

#endif
