/* Fuzz target: a file's bytes through decoding and preprocessing.
 *
 * With libFuzzer: cmake -DPF_FUZZ=ON -DPF_SANITIZE=address,undefined,fuzzer-no-link
 * (clang), then build/tests/fuzz_image CORPUS_DIR. Without: runs the files given
 * as arguments. */
#include <stdio.h>
#include <stdlib.h>

#include "image.h"
#include "preprocess.h"

enum { CROP = 48 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void preprocess(const PfImage *image, int resize, PfInterpolation interpolation)
{
    static PfResizeScratch scratch;
    static uint8_t out[CROP * CROP * 3];
    const PfPreprocess settings = {.resize = resize, .crop = CROP, .interpolation = interpolation};
    PfError err;
    if (pf_preprocess_image(image, &settings, out, &scratch, &err) &&
        err.exit_code != PF_EXIT_BAD_IMAGES)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static PfImage image;
    PfError err;
    if (pf_image_decode(data, size, &image, &err)) {
        if (err.exit_code != PF_EXIT_BAD_IMAGES || image.width || image.height) abort();
        return 0;
    }
    /* Every pixel has been written: a sum of unwritten ones is reported by MSan. */
    size_t bytes = 3 * (size_t)image.width * (size_t)image.height, sum = 0;
    for (size_t i = 0; i < bytes; i++) sum += image.pixels[i];
    if (sum > 255 * bytes) abort();
    preprocess(&image, 0, PF_BILINEAR);
    preprocess(&image, CROP + 8, PF_BICUBIC);
    return 0;
}

#ifndef PF_FUZZ
static int run_file(const char *path)
{
    static uint8_t bytes[1 << 24];
    FILE *stream = fopen(path, "rb");
    if (!stream) return perror(path), 1;
    size_t size = fread(bytes, 1, sizeof bytes, stream);
    fclose(stream);
    return LLVMFuzzerTestOneInput(bytes, size);
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++) failed |= run_file(argv[i]);
    return failed;
}
#endif
