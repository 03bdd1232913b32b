/* dump_pixels RESIZE CROP SQUASH bilinear|bicubic [fast] [keep] [exif] [pillow13] [over=R,G,B] <
 * PATHS > PIXELS
 *
 * For every path on stdin (one a line) writes what the pixel path makes of it:
 * a byte 1 and (crop, crop, 3) RGB, or a byte 0 where the image was refused, with
 * the reason on stderr. Crop 0 writes the decoded image itself: a byte 1, width
 * and height as little-endian int32, (height, width, 3) RGB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "extract/image/image.h"
#include "extract/image/preprocess.h"

typedef struct File {
    uint8_t *bytes;
    size_t size, capacity;
} File;

static int read_file(const char *path, File *file, PfError *err)
{
    FILE *stream = fopen(path, "rb");
    if (!stream) return pf_fail_errno(err, "cannot open");
    size_t count;
    file->size = 0;
    do {
        if (pf_grow(&file->bytes, &file->capacity, file->size + 65536, 1, err)) break;
        count = fread(file->bytes + file->size, 1, 65536, stream);
        file->size += count;
    } while (count > 0);
    fclose(stream);
    return 0;
}

static int write_image(const PfImage *image)
{
    int32_t size[2] = {image->width, image->height};
    size_t count = 3 * (size_t)image->width * (size_t)image->height;
    return putchar(1) == EOF || fwrite(size, sizeof size, 1, stdout) != 1 ||
           fwrite(image->pixels, 1, count, stdout) != count;
}

static int dump(const char *path, const PfPreprocess *settings, File *file, PfImage *image,
                PfResizeScratch *scratch, PfError *err)
{
    if (read_file(path, file, err) ||
        pf_preprocess_decode(file->bytes, file->size, settings, image, err))
        return -1;
    if (settings->crop == 0) return write_image(image);
    size_t size = 3 * (size_t)settings->crop * (size_t)settings->crop;
    uint8_t *out = pf_alloc_aligned(size, 1, err);
    if (!out) return -1;
    int result = pf_preprocess_image(image, settings, out, scratch, err);
    if (!result && (putchar(1) == EOF || fwrite(out, 1, size, stdout) != size)) result = -1;
    free(out);
    return result;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fputs("dump_pixels RESIZE CROP SQUASH INTERPOLATION [fast] [keep] [exif] [pillow13] "
              "[over=R,G,B]\n",
              stderr);
        return 2;
    }
    PfPreprocess settings = {.resize = atoi(argv[1]),
                             .crop = atoi(argv[2]),
                             .squash = atoi(argv[3]),
                             .interpolation =
                                 strcmp(argv[4], "bicubic") ? PF_BILINEAR : PF_BICUBIC};
    for (int i = 5; i < argc; i++) {
        if (!strcmp(argv[i], "fast")) settings.fast_decode = 1;
        if (!strcmp(argv[i], "keep")) settings.keep_truncated = 1;
        if (!strcmp(argv[i], "exif")) settings.exif = 1;
        uint8_t *over = settings.background;
        if (sscanf(argv[i], "over=%hhu,%hhu,%hhu", over, over + 1, over + 2) == 3)
            settings.has_background = 1;
        if (!strcmp(argv[i], "pillow13")) settings.resize_order = PF_PILLOW13;
    }
    File file = {0};
    PfImage image = {0};
    PfResizeScratch scratch = {0};
    char path[4096];
    while (fgets(path, sizeof path, stdin)) {
        PfError err = {0};
        path[strcspn(path, "\n")] = '\0';
        if (dump(path, &settings, &file, &image, &scratch, &err) == 0) continue;
        fprintf(stderr, "%s: %s\n", path, err.message);
        putchar(0);
    }
    free(file.bytes);
    pf_image_free(&image);
    pf_resize_scratch_free(&scratch);
    return 0;
}
