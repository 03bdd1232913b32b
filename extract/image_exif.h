/* Which way up the picture in a file is: what PIL's ImageOps.exif_transpose goes by.
 *
 *   JPEG  the first APP1 segment that begins with "Exif\0\0"
 *   PNG   the chunk eXIf, the last one before the pixels, else the last one behind them; without
 *         one the text "Raw profile type exif"; where neither says it, tiff:Orientation in the text
 *         "XML:com.adobe.xmp"
 *
 * Whatever is cut off, contradicts itself or has no meaning says nothing, as in PIL. */
#ifndef PF_IMAGE_EXIF_H
#define PF_IMAGE_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* 1 to 8; 1 where nothing is said: upright. bytes: the beginning of a file, or all of it. */
int pf_image_orientation(const uint8_t *bytes, size_t size);

#endif
