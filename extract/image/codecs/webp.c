/* WebP: still images, and the first frame of animated ones. As in Pillow the canvas around a frame
 * that is smaller is transparent black. */
#include "extract/image/codecs/codec_library.h"

#if defined(PF_WEBP_SONAME) && defined(PF_WEBPDEMUX_SONAME)
#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "common/base/integers.h"

/* clang-format off */
#define DECODING(_)                                                                                \
    _(WebPInitDecoderConfigInternal) _(WebPGetFeaturesInternal) _(WebPIDecode) _(WebPIUpdate)      \
    _(WebPIDelete)
#define TAKING_APART(_)                                                                            \
    _(WebPDemuxInternal) _(WebPDemuxGetI) _(WebPDemuxGetFrame) _(WebPDemuxReleaseIterator)         \
    _(WebPDemuxDelete)
/* clang-format on */
PF_CODEC_LIBRARY(webp, "WebP", PF_WEBP_SONAME, PF_WEBP_PACKAGE, DECODING);
PF_CODEC_LIBRARY(demux, "WebP", PF_WEBPDEMUX_SONAME, PF_WEBPDEMUX_PACKAGE, TAKING_APART);

/* A file is handed over in so many pieces, each of this many bytes at least, to hear of interrupts
 * between them. */
enum { PIECES = 32, PIECE_BYTES = 1 << 16 };

int pf_image_webp_open(PfError *err)
{
    return pf_codec_library_open(&webp_library, err) ? -1
                                                     : pf_codec_library_open(&demux_library, err);
}

static int fail_status(VP8StatusCode status, size_t size, PfError *err)
{
    if (status == VP8_STATUS_OUT_OF_MEMORY || pf_image_lacked_memory())
        return pf_image_out_of_memory(err, "a WebP");
    if (status == VP8_STATUS_SUSPENDED || status == VP8_STATUS_NOT_ENOUGH_DATA)
        return pf_image_bad(err, "truncated WebP: its pixels end early, in a file of %zu bytes",
                            size);
    return pf_image_bad(err, "broken WebP: its pixels cannot be decoded (libwebp's error %d)",
                        (int)status);
}

/* The whole frame, into the buffer that the configuration has. */
static int decode_frame(WebPDecoderConfig *config, const WebPData *frame,
                        const PfImageLimits *limits, PfError *err)
{
    size_t piece = (size_t)pf_max((int64_t)(frame->size / PIECES), PIECE_BYTES), done = 0;
    VP8StatusCode status = VP8_STATUS_SUSPENDED;
    WebPIDecoder *decoder = webp.WebPIDecode(NULL, 0, config);
    if (!decoder) return fail_status(VP8_STATUS_OUT_OF_MEMORY, 0, err);
    while (status == VP8_STATUS_SUSPENDED && done < frame->size &&
           !pf_image_is_interrupted(limits)) {
        done = frame->size - done < piece ? frame->size : done + piece;
        status = webp.WebPIUpdate(decoder, frame->bytes, done);
    }
    webp.WebPIDelete(decoder);
    if (status == VP8_STATUS_SUSPENDED && done < frame->size) return pf_image_interrupted(err);
    return status == VP8_STATUS_OK ? 0 : fail_status(status, frame->size, err);
}

/* Makes room for the canvas, and fills what the frame leaves of it. */
static int make_canvas(PfImage *image, const WebPDemuxer *file, size_t size, bool has_alpha,
                       const WebPIterator *frame, PfError *err)
{
    int64_t width = demux.WebPDemuxGetI(file, WEBP_FF_CANVAS_WIDTH),
            height = demux.WebPDemuxGetI(file, WEBP_FF_CANVAS_HEIGHT);
    if (pf_image_check_size(&image->limits, width, height, err)) return -1;
    /* The canvas, and a plane of 32 bits that lossless frames are decoded in. */
    if (pf_image_check_memory(&image->limits, 8 * width * height, size, err) ||
        (has_alpha ? pf_image_resize_rgba(image, width, height, err)
                   : pf_image_resize_buffer(image, width, height, err)))
        return -1;
    if (frame->width < width || frame->height < height)
        memset(image->pixels, 0, (size_t)width * (size_t)height * (has_alpha ? 4 : 3));
    return 0;
}

/* As Pillow tells it: of an animation by its flags, of a still image by its pixels, too. */
static bool has_alpha_channel(const WebPData *data)
{
    WebPBitstreamFeatures features;
    VP8StatusCode status =
        webp.WebPGetFeaturesInternal(data->bytes, data->size, &features, WEBP_DECODER_ABI_VERSION);
    return status != VP8_STATUS_OK || features.has_alpha;
}

static int decode_first(const WebPDemuxer *file, const WebPData *data, const WebPIterator *frame,
                        PfImage *image, PfError *err)
{
    bool has_alpha = has_alpha_channel(data);
    WebPDecoderConfig config;
    if (!webp.WebPInitDecoderConfigInternal(&config, WEBP_DECODER_ABI_VERSION))
        return pf_fail(err, PF_EXIT_FAILED, "%s is of another version than this program expects",
                       PF_WEBP_SONAME);
    if (make_canvas(image, file, data->size, has_alpha, frame, err)) return -1;
    size_t pixel = has_alpha ? 4 : 3, stride = pixel * (size_t)image->width;
    WebPRGBABuffer *out = &config.output.u.RGBA;
    config.output.colorspace = has_alpha ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    out->stride = (int)stride;
    out->rgba = image->pixels + (size_t)frame->y_offset * stride + (size_t)frame->x_offset * pixel;
    out->size =
        stride * (size_t)(image->height - frame->y_offset) - (size_t)frame->x_offset * pixel;
    if (decode_frame(&config, &frame->fragment, &image->limits, err)) return -1;
    if (has_alpha)
        pf_image_flatten(image, image->pixels, image->pixels,
                         (size_t)image->width * (size_t)image->height);
    return 0;
}

static bool fits(const WebPDemuxer *file, const WebPIterator *frame)
{
    int64_t right = (int64_t)frame->x_offset + frame->width,
            bottom = (int64_t)frame->y_offset + frame->height;
    return frame->x_offset >= 0 && frame->y_offset >= 0 && frame->width > 0 && frame->height > 0 &&
           right <= demux.WebPDemuxGetI(file, WEBP_FF_CANVAS_WIDTH) &&
           bottom <= demux.WebPDemuxGetI(file, WEBP_FF_CANVAS_HEIGHT);
}

int pf_image_webp_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                         PfError *err)
{
    (void)least_side;
    const WebPData data = {bytes, size};
    WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
    WebPIterator frame;
    pf_image_watch_memory();
    WebPDemuxer *file = demux.WebPDemuxInternal(&data, 1, &state, WEBP_DEMUX_ABI_VERSION);
    int failed = -1;
    if (!file && pf_image_lacked_memory())
        pf_image_out_of_memory(err, "a WebP");
    else if (state == WEBP_DEMUX_PARSE_ERROR)
        pf_image_bad(err, "broken WebP: its %zu bytes are no chunks that belong together", size);
    else if (!file || state != WEBP_DEMUX_DONE)
        pf_image_bad(err, "truncated WebP: ends after %zu bytes, inside its chunks", size);
    else if (!demux.WebPDemuxGetFrame(file, 1, &frame))
        pf_image_bad(err, "broken WebP: it has no image");
    else {
        failed = fits(file, &frame)
                     ? decode_first(file, &data, &frame, image, err)
                     : pf_image_bad(err, "broken WebP: its first frame lies outside its canvas");
        demux.WebPDemuxReleaseIterator(&frame);
    }
    demux.WebPDemuxDelete(file);
    return failed;
}

#else
PF_CODEC_LEFT_OUT(webp, "WebP", "libwebp-dev")
#endif
