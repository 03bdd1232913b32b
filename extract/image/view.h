/* Views of an image: what else it could have looked like.
 *
 *   0     the centre crop, as without views
 *   1     that, mirrored
 *   2...  a box of 35 to 100 % of the image's area and 3:4 to 4:3 in shape, resized to the crop;
 *         mirrored in half of them; brightness, contrast and saturation times 0.7 to 1.3 each, in
 *         any order
 *
 * A view follows from the seed, the digest of the image file, its number and the image's size, and
 * from nothing else. PF_VIEW_RECIPE is in the identity of caches: any change of the above raises
 * it. */
#ifndef PF_EXTRACT_IMAGE_VIEW_H
#define PF_EXTRACT_IMAGE_VIEW_H

#include "extract/image/preprocess.h"
#include "permafrost/feature_cache.h"

#define PF_VIEW_RECIPE 1

typedef enum PfJitter { PF_BRIGHTNESS, PF_CONTRAST, PF_SATURATION, PF_JITTER_COUNT } PfJitter;

typedef struct PfView {
    PfRect box; /* of the file's image; width 0: the centre crop */
    bool is_mirrored;
    bool is_jittered;
    float factors[PF_JITTER_COUNT]; /* by PfJitter */
    int32_t order[PF_JITTER_COUNT]; /* PfJitter, the first to be applied first */
} PfView;

/* squash: the box's shape is relative to the image's, as that is given up anyway. */
PfView pf_view_draw(uint64_t seed, const uint8_t digest[PF_DIGEST_SIZE], int number, int width,
                    int height, bool squash);

/* out: (crop, crop, 3) RGB. Fails as pf_preprocess_image does. */
int pf_view_render(const PfImage *image, const PfPreprocess *settings, const PfView *view,
                   uint8_t *out, PfResizeScratch *scratch, PfError *err);

/* Colours changed as PIL.ImageEnhance does, byte for byte: each pixel is blended with that of a
 * poorer image, out = poorer + factor * (in - poorer), cut off and clipped to a byte. A factor of 1
 * changes nothing.
 *
 * pixels: (count, 3) RGB, in place. */
void pf_view_adjust_brightness(uint8_t *pixels, size_t count, float factor); /* with black */
void pf_view_adjust_contrast(uint8_t *pixels, size_t count, float factor); /* with its mean grey */
void pf_view_adjust_saturation(uint8_t *pixels, size_t count,
                               float factor); /* with itself in grey */

#endif
