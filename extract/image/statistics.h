/* Five numbers of an image's pixels that tell dark, bright, blank and blurred ones. */
#ifndef PF_EXTRACT_IMAGE_STATISTICS_H
#define PF_EXTRACT_IMAGE_STATISTICS_H

#include "extract/image/pixels/pixels.h"
#include "permafrost/error.h"

typedef enum PfImageStatistic {
    PF_IMAGE_WIDTH, /* of the image in the file, turned where it was */
    PF_IMAGE_HEIGHT,
    PF_IMAGE_MEAN,      /* of the luminance, 0 to 255 */
    PF_IMAGE_DEVIATION, /* its standard deviation */
    PF_IMAGE_LAPLACIAN, /* variance of its Laplacian */
    PF_IMAGE_STATISTIC_COUNT,
} PfImageStatistic;

/* The shorter side that images are brought to first, or up to twice as much. */
#define PF_IMAGE_STATISTICS_SIDE 256
/* Of so many rows of blocks three are looked at: time is short where images are extracted. */
#define PF_IMAGE_STATISTICS_STRIDE 8

/* Luminance is (299 R + 587 G + 114 B) / 1000, averaged over blocks of f x f pixels, f being the
 * largest number that leaves the shorter side PF_IMAGE_STATISTICS_SIDE blocks (at least 1), so that
 * noise does not count as sharpness and photographs of all sizes compare; what is left at the right
 * and at the bottom is left out. Of every PF_IMAGE_STATISTICS_STRIDE rows of blocks the first three
 * count. The Laplacian of a block of the middle one of these is the sum of its four neighbours less
 * four times itself, inside the border (Pech-Pacheco, Cristobal, Chamorro-Martinez,
 * Fernandez-Valdivia, Diatom autofocusing in brightfield microscopy (2000)). */
int pf_image_measure(const PfImage *image, float out[PF_IMAGE_STATISTIC_COUNT], PfError *err);

#endif
