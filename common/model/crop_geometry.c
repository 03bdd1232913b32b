#include "common/model/crop_geometry.h"

PfCropSpan pf_crop_geometry_span(int size, int crop)
{
    if (size <= crop) return (PfCropSpan){0, (crop - size) / 2, size};
    int twice = size - crop, half = twice / 2;
    return (PfCropSpan){half + (twice % 2 && half % 2), 0, crop};
}

int64_t pf_crop_geometry_resized_side(int resize, int longer, int shorter)
{
    return (int64_t)((double)((int64_t)resize * longer) / (double)shorter);
}

PfCropFrame pf_crop_geometry_frame(int resize, int crop, int squash, int width, int height)
{
    int64_t resized_width = width, resized_height = height;
    if (squash) {
        resized_width = resized_height = crop;
    } else if (resize) {
        resized_width =
            width <= height ? resize : pf_crop_geometry_resized_side(resize, width, height);
        resized_height =
            width <= height ? pf_crop_geometry_resized_side(resize, height, width) : resize;
    }
    PfCropSpan across = pf_crop_geometry_span((int)resized_width, crop);
    PfCropSpan down = pf_crop_geometry_span((int)resized_height, crop);
    return (PfCropFrame){
        .scale_x = (float)resized_width / (float)width,
        .scale_y = (float)resized_height / (float)height,
        .offset_x = (float)(across.to - across.from),
        .offset_y = (float)(down.to - down.from),
    };
}

void pf_crop_geometry_points_to_crop(const PfCropFrame *frame, float *points, int count)
{
    for (int p = 0; p < count; p++) {
        points[2 * p] = points[2 * p] * frame->scale_x + frame->offset_x;
        points[2 * p + 1] = points[2 * p + 1] * frame->scale_y + frame->offset_y;
    }
}

void pf_crop_geometry_points_to_image(const PfCropFrame *frame, float *points, int count)
{
    for (int p = 0; p < count; p++) {
        points[2 * p] = (points[2 * p] - frame->offset_x) / frame->scale_x;
        points[2 * p + 1] = (points[2 * p + 1] - frame->offset_y) / frame->scale_y;
    }
}
