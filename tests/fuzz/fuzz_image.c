/* A file's bytes through decoding and preprocessing; the file's size decides whether files that end
 * early are taken, and whether transparency is laid over a colour. */
#include "extract/image/image.h"
#include "extract/image/preprocess.h"
#include "fuzz.h"

/* A damaged header of a file of 60 bytes may claim 40 million pixels; what follows would then take
 * most of a minute under sanitizers. */
enum { CROP = 48, MOST_PIXELS = 1 << 20 };

static void preprocess(const PfImage *image, const PfPreprocess *settings)
{
    static PfResizeScratch scratch;
    static uint8_t out[CROP * CROP * 3];
    PfError err = {0};
    if (pf_preprocess_image(image, settings, out, &scratch, &err)) {
        fuzz_check_refusal(&err);
        FUZZ_CHECK(err.exit_code == PF_EXIT_BAD_IMAGES);
    } else {
        fuzz_touch(out, sizeof out);
    }
}

static void decode_fast(const uint8_t *data, size_t size, const PfPreprocess *settings)
{
    static PfImage image = {.limits.max_pixels = MOST_PIXELS};
    int least_side = pf_preprocess_least_side(settings);
    if (pf_image_decode_reduced(data, size, least_side, &image, NULL)) return;
    fuzz_touch(image.pixels, 3 * (size_t)pf_image_columns(&image) * (size_t)pf_image_rows(&image));
    preprocess(&image, settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const PfPreprocess fast = {.resize = 5, .crop = CROP, .fast_decode = 1};
    static const PfPreprocess settings[] = {
        {.resize = 0, .crop = CROP, .interpolation = PF_BILINEAR},
        {.resize = CROP + 8, .crop = CROP, .interpolation = PF_BICUBIC},
        {.resize = CROP, .crop = CROP, .squash = 1, .interpolation = PF_BILINEAR},
    };
    static PfImage image;
    PfError err = {0};
    image.limits.max_pixels = MOST_PIXELS;
    image.keep_truncated = size & 1;
    image.has_background = size & 2;
    decode_fast(data, size, &fast);
    if (pf_image_decode(data, size, &image, &err)) {
        fuzz_check_refusal(&err);
        FUZZ_CHECK(err.exit_code == PF_EXIT_BAD_IMAGES && !image.width && !image.height);
        return 0;
    }
    FUZZ_CHECK(image.width > 0 && image.height > 0);
    fuzz_touch(image.pixels, 3 * (size_t)image.width * (size_t)image.height);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        preprocess(&image, &settings[i]);
    return 0;
}
