/* From a decoded image to the network's input square, equal to torchvision's
 * Resize and CenterCrop on PIL images. Scaling and mean/std are the backbone's
 * part, so a pixel stays one byte. */
#ifndef PF_EXTRACT_IMAGE_PREPROCESS_H
#define PF_EXTRACT_IMAGE_PREPROCESS_H

#include "extract/image/image.h"
#include "extract/image/resize.h"

/* With settings->fast_decode: the sides of JPEGs are halved while they are decoded as long as they
 * remain so many times what they are then resized to. It is Pillow's reducing_gap in
 * Image.thumbnail, whose default is the same. docs/extract.md has what other factors do. */
#define PF_REDUCING_GAP 2

/* For pf_image_decode_reduced: 0 unless settings->fast_decode, or where nothing is resized. */
int pf_preprocess_least_side(const PfPreprocess *settings);

/* Sets what `resize` takes: that part, in pixels of the file's image, of one that may have been
 * decoded smaller. */
void pf_preprocess_take(const PfImage *image, PfRect part, PfResize *resize);

/* Fails with PF_EXIT_BAD_IMAGES where the image is so narrow that the resized one would be larger
 * than PF_IMAGE_MAX_PIXELS. Whoever measures images asks this first: what is kept of each of their
 * columns would take more memory than their pixels. */
int pf_preprocess_check_shape(const PfImage *image, const PfPreprocess *settings, PfError *err);

/* Decodes a file as the settings ask: no larger than they need, turned if settings->exif, as far as
 * it goes if settings->keep_truncated, and laid over settings->background if there is one. Fails as
 * pf_image_decode does. */
int pf_preprocess_decode(const uint8_t *bytes, size_t size, const PfPreprocess *settings,
                         PfImage *image, PfError *err);

/* out: (crop, crop, 3) RGB. With settings->squash: Resize((crop, crop)).
 * Otherwise Resize(resize), unless that is 0, then CenterCrop(crop), with zeros
 * around an image that is smaller than the crop. Fails where memory does, where
 * crop < 1 or resize < 0, and where pf_preprocess_check_shape does. */
int pf_preprocess_image(const PfImage *in, const PfPreprocess *settings, uint8_t *out,
                        PfResizeScratch *scratch, PfError *err);

#endif
