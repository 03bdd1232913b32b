/* Colours changed as PIL.ImageEnhance does, byte for byte: each pixel is blended with that of a
 * poorer image, out = poorer + factor * (in - poorer), cut off and clipped to a byte. A factor of 1
 * changes nothing. */
#ifndef PF_COLOR_JITTER_H
#define PF_COLOR_JITTER_H

#include <stddef.h>
#include <stdint.h>

/* pixels: (count, 3) RGB, in place. */
void pf_adjust_brightness(uint8_t *pixels, size_t count, float factor); /* with black */
void pf_adjust_contrast(uint8_t *pixels, size_t count, float factor);   /* with its mean grey */
void pf_adjust_saturation(uint8_t *pixels, size_t count, float factor); /* with itself in grey */

#endif
