#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/thread/parallel.h"
#include "extract/image/formats/thumbnail.h"
#include "extract/image/image.h"
#include "extract/image/resize.h"
#include "inspect/images/images.h"

#define QUALITY 70
/* Made in parallel before it is seen whether there is room for them. */
#define BLOCK_ROWS ((int64_t)512)

int pf_thumbnail_encode(const PfImage *image, int side, uint8_t **jpeg, size_t *size, PfError *err)
{
    int width = pf_image_columns(image), height = pf_image_rows(image), longer = width;
    if (height > longer) longer = height;
    PfResize resize = {.in = image->pixels,
                       .in_width = width,
                       .in_height = height,
                       .out_width = width,
                       .out_height = height,
                       .interpolation = PF_BILINEAR};
    if (longer > side) {
        resize.out_width = (int)pf_max(1, ((int64_t)width * side + longer / 2) / longer);
        resize.out_height = (int)pf_max(1, ((int64_t)height * side + longer / 2) / longer);
    }
    resize.kept = (PfRect){0, 0, resize.out_width, resize.out_height};
    PfResizeScratch scratch = {0};
    size_t stride = 3 * (size_t)resize.out_width;
    uint8_t *pixels = pf_calloc(stride, (size_t)resize.out_height, err);
    int failed =
        !pixels || pf_resize(&resize, pixels, stride, &scratch, err) ||
        pf_image_jpeg_encode(pixels, resize.out_width, resize.out_height, QUALITY, jpeg, size, err);
    free(pixels);
    pf_resize_scratch_free(&scratch);
    return failed ? -1 : 0;
}

typedef struct Making {
    const PfImages *images;
    PfThumbnail *items;
    int side;
    const volatile sig_atomic_t *interrupted;
} Making;

static int make_thumbnail(const Making *making, const PfSampleBytes *bytes, PfThumbnail *item)
{
    PfImage image = {0};
    if (bytes->width > 0) { /* CIFAR's and others' come decoded */
        PfImage pixels = {.width = bytes->width, .height = bytes->height, .pixels = bytes->data};
        return pf_thumbnail_encode(&pixels, making->side, &item->jpeg, &item->size, NULL);
    }
    int failed = pf_images_decode(making->images, bytes, making->side, &image, NULL) ||
                 pf_thumbnail_encode(&image, making->side, &item->jpeg, &item->size, NULL);
    pf_image_free(&image);
    return failed ? -1 : 0;
}

static void make_one(void *context, int64_t index)
{
    const Making *making = context;
    PfThumbnail *item = &making->items[index];
    PfSampleBytes bytes = {0};
    if (making->interrupted && *making->interrupted) return;
    if (pf_images_read(making->images, item->row, &bytes, NULL) ||
        make_thumbnail(making, &bytes, item))
        item->jpeg = NULL;
    pf_sample_bytes_free(&bytes);
}

int pf_thumbnails_make(const PfImages *images, const int32_t *rows, int64_t count, int side,
                       int64_t bytes, int threads, const volatile sig_atomic_t *interrupted,
                       PfThumbnails *out, PfError *err)
{
    *out = (PfThumbnails){.items = pf_calloc((size_t)count + 1, sizeof *out->items, err)};
    if (!out->items) return -1;
    for (int64_t i = 0; i < count; i++) out->items[i].row = rows[i];
    while (out->count < count) {
        int64_t block = pf_min(BLOCK_ROWS, count - out->count);
        Making making = {images, out->items + out->count, side, interrupted};
        if (bytes > 0) pf_parallel_for(block, threads, make_one, &making);
        if (interrupted && *interrupted) return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted");
        for (int64_t i = 0; i < block; i++) {
            PfThumbnail *item = &making.items[i];
            if (bytes > 0 && !item->jpeg) out->unreadable++;
            bytes -= (int64_t)item->size;
            if (bytes > 0) continue;
            out->left_out++;
            free(item->jpeg);
            item->jpeg = NULL;
            item->size = 0;
        }
        out->count += block;
    }
    return 0;
}

void pf_thumbnails_free(PfThumbnails *thumbnails)
{
    for (int64_t i = 0; thumbnails->items && i < thumbnails->count; i++)
        free(thumbnails->items[i].jpeg);
    free(thumbnails->items);
    *thumbnails = (PfThumbnails){0};
}
