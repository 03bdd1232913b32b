/* From a decoded image to the network's input square, equal to torchvision's
 * Resize and CenterCrop on PIL images. Scaling and mean/std are the backbone's
 * part, so a pixel stays one byte. */
#ifndef PF_PREPROCESS_H
#define PF_PREPROCESS_H

#include "image.h"
#include "resize.h"

/* out: (crop, crop, 3) RGB. With settings->squash: Resize((crop, crop)).
 * Otherwise Resize(resize), unless that is 0, then CenterCrop(crop), with zeros
 * around an image that is smaller than the crop. Fails where memory does, where
 * crop < 1 or resize < 0, and for images so narrow that the resized one would be
 * larger than PF_IMAGE_MAX_PIXELS. */
int pf_preprocess_image(const PfImage *in, const PfPreprocess *settings, uint8_t *out,
                        PfResizeScratch *scratch, PfError *err);

#endif
