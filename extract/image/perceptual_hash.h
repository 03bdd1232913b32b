/* The perceptual hash of an image, as common/cache/perceptual_hash.h defines it. */
#ifndef PF_EXTRACT_IMAGE_PERCEPTUAL_HASH_H
#define PF_EXTRACT_IMAGE_PERCEPTUAL_HASH_H

#include "extract/image/pixels/pixels.h"
#include "permafrost/error.h"

/* 0 where the image is nearly of one colour: no coefficient reaches half a level of 255. A cell
 * averages four rows of pixels, however many it has, evenly spread: time is short where images are
 * extracted. */
int pf_image_hash(const PfImage *image, uint64_t *out, PfError *err);

#endif
