/* Bitmaps inside of icons and cursors. */
#ifndef PF_EXTRACT_IMAGE_BMP_H
#define PF_EXTRACT_IMAGE_BMP_H

#include "extract/image/internal.h"

typedef struct PfBmpLayout {
    int64_t width, height;
    bool is_top_down;
    bool is_packed; /* run lengths */
    int bits;       /* 1, 4, 8, 16, 24 or 32 */
    size_t offset;  /* of the pixels in the file */
} PfBmpLayout;

/* Decodes the bitmap whose header is at that byte of a file. Its height is twice the picture's: the
 * mask of transparency, which is left to the caller, counts. */
int pf_bmp_decode_icon(const uint8_t *bytes, size_t size, size_t at, PfImage *image,
                       PfBmpLayout *layout, PfError *err);

#endif
