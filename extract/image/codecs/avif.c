/* AVIF: the primary image, or the first one of a sequence. Rotations are left to pf_image_turn. */
#include "extract/image/codecs/codec_library.h"

#ifdef PF_AVIF_SONAME
#include <avif/avif.h>

#include "common/base/integers.h"

/* clang-format off */
#define FUNCTIONS(_)                                                                               \
    _(avifDecoderCreate) _(avifDecoderSetIOMemory) _(avifDecoderParse) _(avifDecoderReset)         \
    _(avifDecoderNthImage) _(avifDecoderDestroy) _(avifRGBImageSetDefaults) _(avifImageYUVToRGB)   \
    _(avifResultToString)
/* clang-format on */
PF_CODEC_LIBRARY(avif, "AVIF", PF_AVIF_SONAME, PF_AVIF_PACKAGE, FUNCTIONS);

/* A tile may be larger than the image that is cut out of it. */
enum { LEAST_TILE_PIXELS = 4 << 20 };

int pf_image_avif_open(PfError *err)
{
    return pf_codec_library_open(&avif_library, err);
}

static int fail_result(avifResult result, size_t size, PfError *err)
{
    if (result == AVIF_RESULT_OUT_OF_MEMORY) return pf_image_out_of_memory(err, "an AVIF");
    if (result == AVIF_RESULT_TRUNCATED_DATA)
        return pf_image_bad(err, "truncated AVIF: ends after %zu bytes", size);
    return pf_image_bad(err, "broken AVIF: %s", avif.avifResultToString(result));
}

/* The header's sizes; then no frame may be larger than they say, whatever is in it. */
static int check_header(avifDecoder *decoder, size_t size, const PfImageLimits *limits,
                        PfError *err)
{
    const avifImage *header = decoder->image;
    int64_t width = header->width, height = header->height, sample = header->depth > 8 ? 2 : 1;
    /* Planes, twice within the decoder; the pixels. */
    if (pf_image_check_size(limits, width, height, err) ||
        pf_image_check_memory(limits, (8 * sample + 4) * width * height, size, err))
        return -1;
    decoder->imageSizeLimit =
        (uint32_t)pf_min(pf_max(2 * width * height, LEAST_TILE_PIXELS), decoder->imageSizeLimit);
    avifResult result = avif.avifDecoderReset(decoder);
    return result == AVIF_RESULT_OK ? 0 : fail_result(result, size, err);
}

static int convert(const avifDecoder *decoder, PfImage *image, PfError *err)
{
    int64_t width = decoder->image->width, height = decoder->image->height;
    bool has_alpha = decoder->alphaPresent;
    avifRGBImage rgb;
    if (has_alpha ? pf_image_resize_rgba(image, width, height, err)
                  : pf_image_resize_buffer(image, width, height, err))
        return -1;
    avif.avifRGBImageSetDefaults(&rgb, decoder->image);
    rgb.depth = 8;
    rgb.format = has_alpha ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
    rgb.pixels = image->pixels;
    rgb.rowBytes = (uint32_t)width * (has_alpha ? 4 : 3);
    avifResult result = avif.avifImageYUVToRGB(decoder->image, &rgb);
    if (result != AVIF_RESULT_OK) return fail_result(result, 0, err);
    if (has_alpha) pf_image_flatten(image, image->pixels, image->pixels, (size_t)(width * height));
    return 0;
}

static int decode(avifDecoder *decoder, const uint8_t *bytes, size_t size, PfImage *image,
                  PfError *err)
{
    /* As Pillow has them. */
    decoder->strictFlags &= ~(avifStrictFlags)(AVIF_STRICT_CLAP_VALID | AVIF_STRICT_PIXI_REQUIRED);
    decoder->ignoreExif = decoder->ignoreXMP = AVIF_TRUE;
    avifResult result = avif.avifDecoderSetIOMemory(decoder, bytes, size);
    if (result == AVIF_RESULT_OK) result = avif.avifDecoderParse(decoder);
    if (result != AVIF_RESULT_OK) return fail_result(result, size, err);
    if (check_header(decoder, size, &image->limits, err)) return -1;
    if (pf_image_is_interrupted(&image->limits)) return pf_image_interrupted(err);
    result = avif.avifDecoderNthImage(decoder, 0);
    if (result != AVIF_RESULT_OK) return fail_result(result, size, err);
    if (pf_image_is_interrupted(&image->limits)) return pf_image_interrupted(err);
    return convert(decoder, image, err);
}

int pf_image_avif_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                         PfError *err)
{
    (void)least_side;
    avifDecoder *decoder = avif.avifDecoderCreate();
    if (!decoder) return fail_result(AVIF_RESULT_OUT_OF_MEMORY, size, err);
    int failed = decode(decoder, bytes, size, image, err);
    avif.avifDecoderDestroy(decoder);
    return failed;
}

#else
PF_CODEC_LEFT_OUT(avif, "AVIF", "libavif-dev")
#endif
