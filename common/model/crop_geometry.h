/* Where an image's pixels go when it is resized and cropped: torchvision's Resize and
 * CenterCrop, in whole pixels. */
#ifndef PF_COMMON_MODEL_CROP_GEOMETRY_H
#define PF_COMMON_MODEL_CROP_GEOMETRY_H

#include <stdint.h>

/* One axis of a centre crop: `length` pixels from `from` of the image land at
 * `to` of the crop. */
typedef struct PfCropSpan {
    int from, to, length;
} PfCropSpan;

/* An image smaller than the crop is padded, the odd pixel after it; of a larger one
 * the crop begins at round((size - crop) / 2), half to even as Python rounds. */
PfCropSpan pf_crop_geometry_span(int size, int crop);

/* The longer side once the shorter one is `resize`: int(resize * longer / shorter), the division
 * in double precision. */
int64_t pf_crop_geometry_resized_side(int resize, int longer, int shorter);

/* Where an image's points are in its crop: crop = image * scale + offset, in pixels. */
typedef struct PfCropFrame {
    float scale_x, scale_y, offset_x, offset_y;
} PfCropFrame;

/* resize 0: none; squash: straight to crop x crop, whatever resize says. */
PfCropFrame pf_crop_geometry_frame(int resize, int crop, int squash, int width, int height);

/* count points x0, y0, x1, ... in place; NaN stays NaN. */
void pf_crop_geometry_points_to_crop(const PfCropFrame *frame, float *points, int count);
void pf_crop_geometry_points_to_image(const PfCropFrame *frame, float *points, int count);

#endif
