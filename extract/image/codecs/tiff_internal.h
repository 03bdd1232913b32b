/* What the parts of the TIFF decoder share: tiff.c reads blocks through libtiff, tiff_directory.c
 * looks at the directory before libtiff does, tiff_pixels.c makes RGB of samples. */
#ifndef PF_EXTRACT_IMAGE_CODECS_TIFF_INTERNAL_H
#define PF_EXTRACT_IMAGE_CODECS_TIFF_INTERNAL_H

#include "extract/image/codecs/codecs.h"

/* Sees that the first directory gives a size within the limits, and that its values together are
 * no larger than the file, so that reading it takes no more memory than the file does.
 * *has_extra_samples: whether it says what samples beyond the colours are; libtiff does not tell.
 */
int pf_tiff_check_directory(const uint8_t *bytes, size_t size, const PfImageLimits *limits,
                            bool *has_extra_samples, PfError *err);

/* TIFF's own numbers for photometric interpretations and formats of samples. */
enum {
    PF_TIFF_WHITE_IS_ZERO = 0,
    PF_TIFF_BLACK_IS_ZERO = 1,
    PF_TIFF_RGB = 2,
    PF_TIFF_PALETTE = 3,
    PF_TIFF_CMYK = 5,
    PF_TIFF_YCBCR = 6,
    PF_TIFF_LAB = 8,
    PF_TIFF_UNSIGNED = 1,
    PF_TIFF_SIGNED = 2,
    PF_TIFF_FLOAT = 3,
    PF_TIFF_UNTYPED = 4,
};

/* How the pixels are stored, in decoded blocks: samples in the machine's byte order, those of less
 * than 8 bits, and of 12, packed from the highest bit on. */
typedef struct PfTiffLayout {
    int photometric, sample_format;
    int bits;    /* per sample: 1, 2, 4, 8, 12, 16 or 32 */
    int samples; /* per pixel */
    int colors;  /* the first of them: 1, 3 or 4 */
    enum {
        PF_TIFF_OPAQUE,
        PF_TIFF_STRAIGHT,
        PF_TIFF_PREMULTIPLIED
    } alpha; /* the sample behind the colours, and whether they have been multiplied by it */
    uint8_t palette[256][3];
    void *lab;     /* of pf_tiff_lab_open, where photometric is PF_TIFF_LAB; lent */
    float largest; /* of the floating-point samples seen so far; starts as 0 */
} PfTiffLayout;

/* Fails unless pixels of that layout can be made into RGB. Sets colors. */
int pf_tiff_check_layout(PfTiffLayout *layout, PfError *err);

/* Samples per pixel that the colours depend on: colors, and an alpha. */
static inline int pf_tiff_used_samples(const PfTiffLayout *layout)
{
    return layout->colors + (layout->alpha != PF_TIFF_OPAQUE);
}

/* Makes 8 bits of a sample of each of `count` pixels: in `row`, which has row_samples of them per
 * pixel, it is number `sample`. out: every out_step bytes. */
void pf_tiff_sample_bytes(PfTiffLayout *layout, const void *row, int row_samples, int sample,
                          int count, uint8_t *out, int out_step);

/* L*a*b* to RGB. Opens what pf_tiff_lab_rgb needs, which pf_tiff_lab_close frees; fails where
 * Little CMS is not there. */
int pf_tiff_lab_open(void **lab, PfError *err);
void pf_tiff_lab_rgb(void *lab, const uint8_t *samples, int step, int count, uint8_t *rgb);
void pf_tiff_lab_close(void **lab);

/* Makes RGB of such bytes: (count, step), of which the first are those that are used. What to do
 * about alpha is the image's; pixel_index is the first one's place there. */
void pf_tiff_put_pixels(const PfTiffLayout *layout, const uint8_t *samples, int step, int count,
                        PfImage *image, size_t pixel_index);

#endif
