#include "extract/image/preprocess.h"

#include <string.h>

#include "common/base/integers.h"
#include "common/model/crop_geometry.h"

/* The size of the whole resized image. */
static int resized_size(const PfImage *in, const PfPreprocess *settings, int *width, int *height,
                        PfError *err)
{
    *width = in->width;
    *height = in->height;
    if (settings->squash) *width = *height = settings->crop;
    if (settings->squash || settings->resize == 0) return 0;
    int shorter = (int)pf_min(in->width, in->height), longer = (int)pf_max(in->width, in->height);
    int64_t resized = pf_crop_geometry_resized_side(settings->resize, longer, shorter);
    if (resized > PF_IMAGE_MAX_PIXELS / settings->resize)
        return pf_fail(err, PF_EXIT_BAD_IMAGES,
                       "too narrow: %d x %d pixels would be resized to %lld x %d", in->width,
                       in->height, (long long)resized, settings->resize);
    *width = in->width <= in->height ? settings->resize : (int)resized;
    *height = in->width <= in->height ? (int)resized : settings->resize;
    return 0;
}

int pf_preprocess_check_shape(const PfImage *image, const PfPreprocess *settings, PfError *err)
{
    int width, height;
    return resized_size(image, settings, &width, &height, err);
}

static int check_settings(const PfPreprocess *settings, PfError *err)
{
    if (settings->crop < 1 || settings->resize < 0)
        return pf_fail(err, PF_EXIT_USAGE,
                       "preprocessing: crop %d and resize %d; expected a crop of at least 1 and a "
                       "resize of at least 0",
                       settings->crop, settings->resize);
    return 0;
}

int pf_preprocess_least_side(const PfPreprocess *settings)
{
    int64_t target = settings->squash ? settings->crop : settings->resize;
    return settings->fast_decode ? (int)(target * PF_REDUCING_GAP) : 0;
}

int pf_preprocess_decode(const uint8_t *bytes, size_t size, const PfPreprocess *settings,
                         PfImage *image, PfError *err)
{
    image->keep_truncated = settings->keep_truncated;
    image->has_background = settings->has_background;
    memcpy(image->background, settings->background, sizeof image->background);
    if (pf_image_decode_reduced(bytes, size, pf_preprocess_least_side(settings), image, err))
        return -1;
    return settings->exif ? pf_image_turn(image, err) : 0;
}

void pf_preprocess_take(const PfImage *image, PfRect part, PfResize *resize)
{
    int unit = 1 << image->halvings; /* of the file's pixels are one of ours, along an axis */
    part.x += image->left;
    part.y += image->top;
    int left = part.x / unit, top = part.y / unit;
    size_t stride = 3 * (size_t)pf_image_columns(image);
    resize->in = image->pixels + (size_t)top * stride + 3 * (size_t)left;
    resize->in_stride = stride;
    resize->in_width = (part.x + part.width + unit - 1) / unit - left;
    resize->in_height = (part.y + part.height + unit - 1) / unit - top;
    resize->box = (PfBox){.x = (double)part.x / unit - left,
                          .y = (double)part.y / unit - top,
                          .width = (double)part.width / unit,
                          .height = (double)part.height / unit};
}

int pf_preprocess_image(const PfImage *in, const PfPreprocess *settings, uint8_t *out,
                        PfResizeScratch *scratch, PfError *err)
{
    int width, height, crop = settings->crop;
    if (check_settings(settings, err) || resized_size(in, settings, &width, &height, err))
        return -1;
    PfCropSpan across = pf_crop_geometry_span(width, crop),
               down = pf_crop_geometry_span(height, crop);
    size_t stride = 3 * (size_t)crop;
    if (across.length < crop || down.length < crop) memset(out, 0, (size_t)crop * stride);
    PfResize resize = {
        .out_width = width,
        .out_height = height,
        .interpolation = settings->interpolation,
        .order = settings->resize_order,
        .kept = {across.from, down.from, across.length, down.length},
    };
    pf_preprocess_take(in, (PfRect){0, 0, in->width, in->height}, &resize);
    return pf_resize(&resize, out + (size_t)down.to * stride + 3 * (size_t)across.to, stride,
                     scratch, err);
}
