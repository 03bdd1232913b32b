/* HEIF with pictures of HEVC, as phones make them (HEIC): the primary image. libheif turns and
 * crops it as the file says, so that such a file has no orientation for us. */
#include "extract/image/codecs/codec_library.h"

#ifdef PF_HEIF_SONAME
#include <libheif/heif.h>
#include <pthread.h>
#include <string.h>

/* clang-format off */
#define FUNCTIONS(_)                                                                               \
    _(heif_init) _(heif_context_alloc) _(heif_context_free)                                        \
    _(heif_context_set_max_decoding_threads) _(heif_context_read_from_memory_without_copy)         \
    _(heif_context_get_primary_image_handle) _(heif_image_handle_release)                          \
    _(heif_image_handle_get_width) _(heif_image_handle_get_height)                                 \
    _(heif_image_handle_has_alpha_channel) _(heif_image_handle_get_luma_bits_per_pixel)            \
    _(heif_decoding_options_alloc) _(heif_decoding_options_free) _(heif_decode_image)              \
    _(heif_image_release) _(heif_image_get_width) _(heif_image_get_height)                         \
    _(heif_image_get_plane_readonly) _(heif_image_is_premultiplied_alpha)
/* clang-format on */
PF_CODEC_LIBRARY(heif, "HEIF", PF_HEIF_SONAME, PF_HEIF_PACKAGE, FUNCTIONS);

static void load_plugins(void)
{
    heif.heif_init(NULL);
}

int pf_image_heif_open(PfError *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (pf_codec_library_open(&heif_library, err)) return -1;
    pthread_once(&once, load_plugins);
    return 0;
}

/* libheif has libde265 decode in a thread of its own and waits for it: for ever, where a damaged
 * picture lacks a part. The programs export this function (extract/CMakeLists.txt), so that the
 * dynamic loader finds it before libde265's: no thread is started, and the picture is decoded in
 * the one that asks for it. Returns DE265_OK. */
__attribute__((visibility("default"))) int de265_start_worker_threads(void *decoder, int count);
int de265_start_worker_threads(void *decoder, int count)
{
    (void)decoder, (void)count;
    return 0;
}

/* ---- failures ---- */

static int fail_heif(struct heif_error found, size_t size, PfError *err)
{
    if (found.code == heif_error_Memory_allocation_error &&
        found.subcode != heif_suberror_Security_limit_exceeded)
        return pf_fail(err, PF_EXIT_FAILED, "out of memory while decoding a HEIF");
    if (found.subcode == heif_suberror_End_of_data)
        return pf_image_bad(err, "truncated HEIF: ends after %zu bytes", size);
    return pf_image_bad(err, "%s HEIF: %s",
                        found.code == heif_error_Unsupported_feature ||
                                found.code == heif_error_Unsupported_filetype
                            ? "unsupported"
                            : "broken",
                        found.message ? found.message : "libheif does not say why");
}

/* ---- pixels ---- */

/* Colours that were multiplied by their alpha, as they were before. */
static void divide_by_alpha(uint8_t *rgba, size_t count)
{
    for (size_t i = 0; i < count; i++, rgba += 4)
        for (int c = 0; c < 3 && rgba[3]; c++) {
            int value = (rgba[c] * 255 + rgba[3] / 2) / rgba[3];
            rgba[c] = (uint8_t)(value < 255 ? value : 255);
        }
}

static int copy_pixels(struct heif_image *decoded, bool has_alpha, PfImage *image, PfError *err)
{
    int stride, width = heif.heif_image_get_width(decoded, heif_channel_interleaved),
                height = heif.heif_image_get_height(decoded, heif_channel_interleaved);
    const uint8_t *rows =
        heif.heif_image_get_plane_readonly(decoded, heif_channel_interleaved, &stride);
    size_t row_bytes = (size_t)width * (has_alpha ? 4 : 3);
    if (!rows) return pf_image_bad(err, "broken HEIF: it has no pixels");
    if (has_alpha ? pf_image_resize_rgba(image, width, height, err)
                  : pf_image_resize_buffer(image, width, height, err))
        return -1;
    for (int y = 0; y < height; y++)
        memcpy(image->pixels + (size_t)y * row_bytes, rows + (size_t)y * (size_t)stride, row_bytes);
    size_t count = (size_t)width * (size_t)height;
    if (has_alpha && heif.heif_image_is_premultiplied_alpha(decoded))
        divide_by_alpha(image->pixels, count);
    if (has_alpha) pf_image_flatten(image, image->pixels, image->pixels, count);
    return 0;
}

static int decode_handle(struct heif_image_handle *handle, size_t size, PfImage *image,
                         PfError *err)
{
    const PfImageLimits *limits = &image->limits;
    int64_t width = heif.heif_image_handle_get_width(handle),
            height = heif.heif_image_handle_get_height(handle);
    int64_t sample = heif.heif_image_handle_get_luma_bits_per_pixel(handle) > 8 ? 2 : 1;
    bool has_alpha = heif.heif_image_handle_has_alpha_channel(handle);
    /* Planes and what they become within the library, and the pixels. */
    if (pf_image_check_size(limits, width, height, err) ||
        pf_image_check_memory(limits, (8 * sample + 8) * width * height, size, err))
        return -1;
    if (pf_image_is_interrupted(limits)) return pf_image_interrupted(err);
    struct heif_decoding_options *options = heif.heif_decoding_options_alloc();
    struct heif_image *decoded = NULL;
    if (!options) return pf_fail(err, PF_EXIT_FAILED, "out of memory while decoding a HEIF");
    options->convert_hdr_to_8bit = 1;
    struct heif_error found = heif.heif_decode_image(
        handle, &decoded, heif_colorspace_RGB,
        has_alpha ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB, options);
    heif.heif_decoding_options_free(options);
    if (found.code != heif_error_Ok) return fail_heif(found, size, err);
    int failed = pf_image_is_interrupted(limits) ? pf_image_interrupted(err)
                                                 : copy_pixels(decoded, has_alpha, image, err);
    heif.heif_image_release(decoded);
    return failed;
}

int pf_image_heif_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                         PfError *err)
{
    (void)least_side;
    struct heif_image_handle *handle = NULL;
    struct heif_context *context = heif.heif_context_alloc();
    if (!context) return pf_fail(err, PF_EXIT_FAILED, "out of memory while decoding a HEIF");
    heif.heif_context_set_max_decoding_threads(context, 0); /* this one */
    struct heif_error found =
        heif.heif_context_read_from_memory_without_copy(context, bytes, size, NULL);
    if (found.code == heif_error_Ok)
        found = heif.heif_context_get_primary_image_handle(context, &handle);
    int failed = found.code == heif_error_Ok ? decode_handle(handle, size, image, err)
                                             : fail_heif(found, size, err);
    if (handle) heif.heif_image_handle_release(handle);
    heif.heif_context_free(context);
    return failed;
}

#else
PF_CODEC_LEFT_OUT(heif, "HEIF", "libheif-dev")
#endif
