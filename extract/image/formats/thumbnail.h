/* Small JPEGs for pages. */
#ifndef PF_EXTRACT_IMAGE_FORMATS_THUMBNAIL_H
#define PF_EXTRACT_IMAGE_FORMATS_THUMBNAIL_H

#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"

/* pixels: (height, width, 3) RGB. quality: 1 to 100. *jpeg: malloc'ed. */
int pf_image_jpeg_encode(const uint8_t *pixels, int width, int height, int quality, uint8_t **jpeg,
                         size_t *size, PfError *err);

#endif
