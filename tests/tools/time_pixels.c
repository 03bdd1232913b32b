/* time_pixels [REPEATS [fast]] < PATHS: milliseconds per image of decoding and of
 * Resize(256) + CenterCrop(224), the fastest of the repeats, on one thread, as extract does it;
 * fast: as with --fast-decode. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "extract/image/image.h"
#include "extract/image/preprocess.h"

typedef struct Stopwatch {
    double decode, resize; /* seconds */
} Stopwatch;

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *stream = fopen(path, "rb");
    if (!stream) return NULL;
    fseek(stream, 0, SEEK_END);
    *size = (size_t)ftell(stream);
    rewind(stream);
    uint8_t *bytes = malloc(*size + 1);
    if (bytes && fread(bytes, 1, *size, stream) != *size) *size = 0;
    fclose(stream);
    return bytes;
}

static void keep_fastest(double *fastest, double seconds)
{
    if (*fastest == 0 || seconds < *fastest) *fastest = seconds;
}

static int time_one(const char *path, int repeats, const PfPreprocess *settings, PfImage *image,
                    PfResizeScratch *scratch, Stopwatch *total)
{
    static uint8_t crop[224 * 224 * 3];
    Stopwatch best = {0};
    size_t size = 0;
    uint8_t *bytes = read_file(path, &size);
    PfError err = {0};
    int result = bytes ? 0 : pf_fail(&err, PF_EXIT_FAILED, "cannot be read");
    for (int i = 0; i < repeats && !result; i++) {
        double start = pf_clock_seconds();
        result = pf_preprocess_decode(bytes, size, settings, image, &err);
        double decoded = pf_clock_seconds();
        if (!result) result = pf_preprocess_image(image, settings, crop, scratch, &err);
        keep_fastest(&best.decode, decoded - start);
        keep_fastest(&best.resize, pf_clock_seconds() - decoded);
    }
    if (result) fprintf(stderr, "%s: %s\n", path, err.message);
    total->decode += best.decode;
    total->resize += best.resize;
    free(bytes);
    return result;
}

int main(int argc, char **argv)
{
    int repeats = argc > 1 ? atoi(argv[1]) : 3, count = 0;
    const PfPreprocess settings = {.resize = 256,
                                   .crop = 224,
                                   .fast_decode = argc > 2,
                                   .exif = 1,
                                   .resize_order = PF_PILLOW13};
    PfImage image = {0};
    PfResizeScratch scratch = {0};
    Stopwatch total = {0};
    char path[4096];
    while (fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\n")] = '\0';
        count += time_one(path, repeats, &settings, &image, &scratch, &total) == 0;
    }
    printf("%d images: decode %.3f ms, resize and crop %.3f ms per image\n", count,
           1e3 * total.decode / count, 1e3 * total.resize / count);
    pf_image_free(&image);
    pf_resize_scratch_free(&scratch);
    return 0;
}
