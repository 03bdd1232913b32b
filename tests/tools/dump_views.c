/* dump_views RESIZE CROP SQUASH bilinear|bicubic SEED VIEWS [pillow13] < PATHS > VIEWS
 *
 * For every path on stdin (one a line), which must be images that decode, and every view: how it
 * was drawn, as ten little-endian int32 (box x, y, width, height, is_mirrored, is_jittered, the
 * order of the three, 0) and three float32 (the factors of brightness, contrast and saturation),
 * and what came of it, (crop, crop, 3) RGB. Images are turned as their EXIF orientation says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/memory.h"
#include "extract/image/view.h"

#define MAX_BYTES ((size_t)64 << 20)

static int put_view(const PfView *view, const uint8_t *pixels, size_t size)
{
    const int32_t numbers[10] = {
        view->box.x,       view->box.y,    view->box.width, view->box.height, view->is_mirrored,
        view->is_jittered, view->order[0], view->order[1],  view->order[2],   0};
    return fwrite(numbers, sizeof numbers, 1, stdout) != 1 ||
           fwrite(view->factors, sizeof view->factors, 1, stdout) != 1 ||
           fwrite(pixels, size, 1, stdout) != 1;
}

static int dump(const char *path, const PfPreprocess *settings, uint64_t seed, int views,
                PfError *err)
{
    uint8_t digest[PF_DIGEST_SIZE];
    PfImage image = {0};
    PfResizeScratch scratch = {0};
    size_t size = 3 * (size_t)settings->crop * (size_t)settings->crop, count = 0;
    uint8_t *bytes = malloc(MAX_BYTES), *pixels = malloc(size);
    FILE *stream = fopen(path, "rb");
    if (stream && bytes) count = fread(bytes, 1, MAX_BYTES, stream);
    if (stream) fclose(stream);
    int failed = !count || !pixels || pf_preprocess_decode(bytes, count, settings, &image, err);
    if (!failed) pf_digest_xxh128(bytes, count, digest);
    for (int v = 0; v < views && !failed; v++) {
        PfView view = pf_view_draw(seed, digest, v, image.width, image.height, settings->squash);
        failed = pf_view_render(&image, settings, &view, pixels, &scratch, err) ||
                 put_view(&view, pixels, size);
    }
    pf_resize_scratch_free(&scratch);
    pf_image_free(&image);
    free(pixels);
    free(bytes);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fputs("dump_views RESIZE CROP SQUASH INTERPOLATION SEED VIEWS [pillow13]\n", stderr);
        return 2;
    }
    PfPreprocess settings = {
        .resize = atoi(argv[1]),
        .crop = atoi(argv[2]),
        .squash = atoi(argv[3]),
        .interpolation = strcmp(argv[4], "bicubic") ? PF_BILINEAR : PF_BICUBIC,
        .exif = 1,
        .resize_order = argc > 7 && !strcmp(argv[7], "pillow13") ? PF_PILLOW13 : PF_PILLOW12};
    char path[4096];
    while (fgets(path, sizeof path, stdin)) {
        PfError err = {0};
        path[strcspn(path, "\n")] = '\0';
        if (!dump(path, &settings, strtoull(argv[5], NULL, 10), atoi(argv[6]), &err)) continue;
        fprintf(stderr, "%s: %s\n", path, err.message);
        return 1;
    }
    return 0;
}
