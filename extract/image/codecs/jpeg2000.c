/* JPEG 2000 through OpenJPEG: codestreams, and those in boxes (JP2, JPX). Samples become 8 bits as
 * in PIL: fewer are shifted up, more are rounded, those of 16-bit grey cut off, as for PNG. Where
 * rounding up would leave 8 bits they stay at 255, while PIL's become 0. */
#include <stdlib.h>
#include <string.h>

#include "extract/image/codecs/codec_library.h"
#include "extract/image/codecs/jpeg2000_internal.h"

#ifndef PF_OPENJP2_SONAME

PF_CODEC_LEFT_OUT(jpeg2000, "JPEG 2000", "libopenjp2-7-dev")

#else
#include <openjpeg.h>

#define FUNCTIONS(_)                                                                               \
    _(opj_stream_create)                                                                           \
    _(opj_stream_destroy)                                                                          \
    _(opj_stream_set_read_function)                                                                \
    _(opj_stream_set_skip_function)                                                                \
    _(opj_stream_set_seek_function)                                                                \
    _(opj_stream_set_user_data)                                                                    \
    _(opj_stream_set_user_data_length)                                                             \
    _(opj_set_default_decoder_parameters)                                                          \
    _(opj_create_decompress)                                                                       \
    _(opj_destroy_codec)                                                                           \
    _(opj_set_error_handler)                                                                       \
    _(opj_setup_decoder)                                                                           \
    _(opj_read_header)                                                                             \
    _(opj_decode)                                                                                  \
    _(opj_end_decompress)                                                                          \
    _(opj_image_destroy)
PF_CODEC_LIBRARY(openjp2, "JPEG 2000", PF_OPENJP2_SONAME, PF_OPENJP2_PACKAGE, FUNCTIONS);

int pf_image_jpeg2000_open(PfError *err)
{
    return pf_codec_library_open(&openjp2_library, err);
}

/* ---- a file in memory, as OpenJPEG wants to read it ---- */

typedef struct Source {
    const uint8_t *bytes;
    size_t size, position;
    char message[200]; /* the first that OpenJPEG had */
} Source;

static OPJ_SIZE_T read_source(void *out, OPJ_SIZE_T size, void *data)
{
    Source *source = data;
    size_t left = source->size - source->position, count = size < left ? size : left;
    if (!count) return (OPJ_SIZE_T)-1;
    memcpy(out, source->bytes + source->position, count);
    source->position += count;
    return count;
}

/* As far as there are bytes. */
static OPJ_OFF_T skip_source(OPJ_OFF_T count, void *data)
{
    Source *source = data;
    size_t left = source->size - source->position;
    if (count < 0) return -1;
    if ((size_t)count > left) count = (OPJ_OFF_T)left;
    source->position += (size_t)count;
    return count;
}

static OPJ_BOOL seek_source(OPJ_OFF_T position, void *data)
{
    Source *source = data;
    if (position < 0 || (size_t)position > source->size) return OPJ_FALSE;
    source->position = (size_t)position;
    return OPJ_TRUE;
}

static void note_message(const char *message, void *data)
{
    Source *source = data;
    size_t length = strcspn(message, "\n");
    if (source->message[0] || !length) return;
    if (length >= sizeof source->message) length = sizeof source->message - 1;
    memcpy(source->message, message, length);
    source->message[length] = '\0';
}

static int broken(const Source *source, PfError *err)
{
    if (pf_image_lacked_memory()) return pf_image_out_of_memory(err, "a JPEG 2000");
    return pf_image_bad(err, "broken JPEG 2000: %s",
                        source->message[0] ? source->message : "OpenJPEG cannot read it");
}

/* ---- samples to RGB ---- */

/* Colours where the file says nothing: YCbCr is what has its second or third component subsampled.
 */
static OPJ_COLOR_SPACE color_space(const opj_image_t *picture)
{
    if (picture->color_space != OPJ_CLRSPC_UNKNOWN &&
        picture->color_space != OPJ_CLRSPC_UNSPECIFIED)
        return picture->color_space;
    if (picture->numcomps < 3) return OPJ_CLRSPC_GRAY;
    for (int i = 0; i < 3; i++)
        if (picture->comps[i].dx != 1 || picture->comps[i].dy != 1)
            return i ? OPJ_CLRSPC_SYCC : OPJ_CLRSPC_SRGB;
    return OPJ_CLRSPC_SRGB;
}

static uint8_t to_byte(const opj_image_comp_t *component, bool is_rounded, int64_t value)
{
    int bits = (int)component->prec;
    if (component->sgnd) value += (int64_t)1 << (bits - 1);
    if (bits > 8 && is_rounded) value += (int64_t)1 << (bits - 9);
    value = bits > 8 ? value >> (bits - 8) : value * ((int64_t)1 << (8 - bits));
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* The component's sample that covers a pixel of the picture, counted from its own origin. */
static size_t sample_index(uint32_t pixel, uint32_t step, uint32_t first, uint32_t count)
{
    uint32_t index = pixel / step;
    index = index > first ? index - first : 0;
    return index < count ? index : count - 1;
}

typedef struct Colors {
    OPJ_COLOR_SPACE space;
    int count;      /* of components that make the colour: 1, 3 or 4 */
    bool has_alpha; /* one component more */
} Colors;

static void put_pixel(const Colors *colors, const uint8_t *samples, uint8_t *rgb)
{
    if (colors->count == 1)
        rgb[0] = rgb[1] = rgb[2] = samples[0];
    else if (colors->space == OPJ_CLRSPC_SYCC)
        pf_image_rgb_from_ycc(samples, rgb);
    else if (colors->count == 4)
        pf_image_rgb_from_cmyk(samples, rgb);
    else
        memcpy(rgb, samples, 3);
}

static void read_samples(const opj_image_t *picture, int count, uint32_t x, uint32_t y,
                         uint8_t *samples)
{
    for (int c = 0; c < count; c++) {
        const opj_image_comp_t *component = &picture->comps[c];
        size_t row = sample_index(picture->y0 + y, component->dy, component->y0, component->h);
        size_t column = sample_index(picture->x0 + x, component->dx, component->x0, component->w);
        samples[c] =
            to_byte(component, picture->numcomps > 1, component->data[row * component->w + column]);
    }
}

static void put_row(const opj_image_t *picture, const Colors *colors, uint32_t y, PfImage *image)
{
    uint8_t samples[5], rgba[4];
    uint8_t *rgb = image->pixels + 3 * (size_t)y * (size_t)image->width;
    for (uint32_t x = 0; x < (uint32_t)image->width; x++, rgb += 3) {
        read_samples(picture, colors->count + colors->has_alpha, x, y, samples);
        put_pixel(colors, samples, rgba);
        rgba[3] = colors->has_alpha ? samples[colors->count] : 255;
        pf_image_flatten(image, rgba, rgb, 1);
    }
}

static int check_components(const opj_image_t *picture, Colors *colors, PfError *err)
{
    colors->space = color_space(picture);
    bool is_cmyk = colors->space == OPJ_CLRSPC_CMYK && picture->numcomps == 4;
    colors->count = is_cmyk ? 4 : picture->numcomps < 3 ? 1 : 3;
    colors->has_alpha = !is_cmyk && picture->numcomps % 2 == 0;
    if (colors->space == OPJ_CLRSPC_EYCC || (colors->space == OPJ_CLRSPC_CMYK && !is_cmyk))
        return pf_image_bad(err,
                            "JPEG 2000 of %u components in colours that are not supported. "
                            "Hint: convert it to PNG or JPEG.",
                            picture->numcomps);
    for (int c = 0; c < colors->count + colors->has_alpha; c++) {
        const opj_image_comp_t *component = &picture->comps[c];
        if (!component->data || !component->w || !component->h || !component->dx ||
            !component->dy || component->prec < 1 || component->prec > 32)
            return pf_image_lacked_memory()
                       ? pf_image_out_of_memory(err, "a JPEG 2000")
                       : pf_image_bad(err, "broken JPEG 2000: component %d has no pixels", c);
    }
    return 0;
}

static int put_pixels(const opj_image_t *picture, PfImage *image, PfError *err)
{
    Colors colors;
    if (check_components(picture, &colors, err) ||
        pf_image_resize_buffer(image, (int64_t)picture->x1 - picture->x0,
                               (int64_t)picture->y1 - picture->y0, err))
        return -1;
    for (int y = 0; y < image->height; y++) {
        if (pf_image_is_interrupted(&image->limits)) return pf_image_interrupted(err);
        put_row(picture, &colors, (uint32_t)y, image);
    }
    return 0;
}

/* ---- the whole ---- */

static int decode_stream(opj_stream_t *stream, opj_codec_t *codec, Source *source, PfImage *image,
                         PfError *err)
{
    opj_dparameters_t parameters;
    opj_image_t *picture = NULL;
    openjp2.opj_set_default_decoder_parameters(&parameters);
    openjp2.opj_set_error_handler(codec, note_message, source);
    bool is_decoded = openjp2.opj_setup_decoder(codec, &parameters) &&
                      openjp2.opj_read_header(stream, codec, &picture) &&
                      openjp2.opj_decode(codec, stream, picture) &&
                      openjp2.opj_end_decompress(codec, stream) && picture->comps;
    int result = is_decoded ? put_pixels(picture, image, err) : broken(source, err);
    if (picture) openjp2.opj_image_destroy(picture);
    return result;
}

static opj_stream_t *open_stream(Source *source)
{
    opj_stream_t *stream = openjp2.opj_stream_create(1 << 16, OPJ_TRUE);
    if (!stream) return NULL;
    openjp2.opj_stream_set_read_function(stream, read_source);
    openjp2.opj_stream_set_skip_function(stream, skip_source);
    openjp2.opj_stream_set_seek_function(stream, seek_source);
    openjp2.opj_stream_set_user_data(stream, source, NULL);
    openjp2.opj_stream_set_user_data_length(stream, source->size);
    return stream;
}

int pf_image_jpeg2000_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                             PfError *err)
{
    (void)least_side;
    if (pf_jpeg2000_check_header(bytes, size, &image->limits, err)) return -1;
    Source source = {.bytes = bytes, .size = size};
    pf_image_watch_memory();
    opj_stream_t *stream = open_stream(&source);
    opj_codec_t *codec = openjp2.opj_create_decompress(
        PF_JPEG2000_IS_CODESTREAM(bytes) ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    int result = stream && codec ? decode_stream(stream, codec, &source, image, err)
                                 : pf_fail(err, PF_EXIT_FAILED, "OpenJPEG: out of memory");
    if (codec) openjp2.opj_destroy_codec(codec);
    if (stream) openjp2.opj_stream_destroy(stream);
    return result;
}

#endif
