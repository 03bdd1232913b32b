#include "extract/image/pixels/pixels.h"

#include <limits.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/base/size_text.h"
#include "extract/image/pixels/decoder.h"

void pf_image_free(PfImage *image)
{
    free(image->pixels);
    free(image->spare);
    *image = (PfImage){0};
}

int pf_image_check_size(const PfImageLimits *limits, int64_t width, int64_t height, PfError *err)
{
    int64_t most = limits->max_pixels ? limits->max_pixels : PF_IMAGE_MAX_PIXELS;
    if (width < 1 || height < 1)
        return pf_image_bad(err, "empty image: %lld x %lld pixels", (long long)width,
                            (long long)height);
    if (width <= INT_MAX && height <= most / width) return 0;
    if (width <= INT_MAX && height <= PF_IMAGE_MOST_PIXELS / width)
        return pf_image_bad(
            err, PF_IMAGE_TOO_LARGE ": %lld x %lld pixels, at most %lld. Hint: --max-pixels %lld",
            (long long)width, (long long)height, (long long)most, (long long)(width * height));
    return pf_image_bad(err, PF_IMAGE_TOO_LARGE ": %lld x %lld pixels, more than %lld in all",
                        (long long)width, (long long)height, (long long)most);
}

int pf_image_check_memory(const PfImageLimits *limits, int64_t needed_bytes, size_t file_bytes,
                          PfError *err)
{
    char needed[PF_SIZE_TEXT], there[PF_SIZE_TEXT];
    int64_t fair = (int64_t)file_bytes * PF_IMAGE_MAX_EXPANSION;
    if (limits->max_pixels || needed_bytes <= PF_IMAGE_FREE_BYTES || needed_bytes <= fair) return 0;
    return pf_image_bad(err,
                        PF_IMAGE_TOO_LARGE " for its file: %s to decode, at most %d times the "
                                           "file's %s. Hint: --max-pixels %lld",
                        pf_size_text(needed_bytes, needed), PF_IMAGE_MAX_EXPANSION,
                        pf_size_text((int64_t)file_bytes, there), (long long)PF_IMAGE_MAX_PIXELS);
}

int pf_image_interrupted(PfError *err)
{
    return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted");
}

static int resize(PfImage *image, int64_t width, int64_t height, size_t pixel_bytes, PfError *err)
{
    if (pf_image_check_size(&image->limits, width, height, err)) return -1;
    image->width = (int)width;
    image->height = (int)height;
    size_t needed = (size_t)pf_image_columns(image) * (size_t)pf_image_rows(image) * pixel_bytes;
    if (needed <= image->capacity) return 0;
    free(image->pixels);
    image->capacity = 0;
    image->pixels = pf_alloc_aligned(needed, 1, err);
    if (!image->pixels) return -1;
    image->capacity = needed;
    return 0;
}

int pf_image_resize_buffer(PfImage *image, int64_t width, int64_t height, PfError *err)
{
    return resize(image, width, height, 3, err);
}

int pf_image_resize_rgba(PfImage *image, int64_t width, int64_t height, PfError *err)
{
    return resize(image, width, height, 4, err);
}
