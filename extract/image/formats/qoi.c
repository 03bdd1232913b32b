/* "Quite OK Image": colour, with or without transparency, by its specification. */
#include <string.h>

#include "extract/image/formats/bytes.h"
#include "extract/image/formats/formats.h"

enum { HEADER_SIZE = 14, LONGEST_RUN = 62, SAW_RGB = 0xfe, SAW_RGBA = 0xff };

typedef struct Color {
    uint8_t rgba[4];
} Color;

typedef struct Stream {
    PfCursor file;
    Color color;     /* of the pixel before */
    Color seen[64];  /* colours of the past by their hash */
    int repetitions; /* of the colour that are still to come */
} Stream;

static void add(Color *color, int red, int green, int blue)
{
    color->rgba[0] = (uint8_t)(color->rgba[0] + red);
    color->rgba[1] = (uint8_t)(color->rgba[1] + green);
    color->rgba[2] = (uint8_t)(color->rgba[2] + blue);
}

static void remember(Stream *stream)
{
    const uint8_t *rgba = stream->color.rgba;
    stream->seen[(rgba[0] * 3 + rgba[1] * 5 + rgba[2] * 7 + rgba[3] * 11) % 64] = stream->color;
}

/* A whole colour. */
static bool take_color(Stream *stream, size_t channels)
{
    const uint8_t *bytes = pf_cursor_take(&stream->file, channels);
    if (bytes) memcpy(stream->color.rgba, bytes, channels);
    return bytes;
}

/* A difference in green, and of red and blue against it. */
static bool take_difference(Stream *stream, int green)
{
    int other = pf_cursor_byte(&stream->file);
    if (other >= 0) add(&stream->color, green + (other >> 4) - 8, green, green + (other & 15) - 8);
    return other >= 0;
}

/* The next pixel's colour. False at the file's end. */
static bool next_color(Stream *stream)
{
    if (stream->repetitions) {
        stream->repetitions--;
        return true;
    }
    int code = pf_cursor_byte(&stream->file), value = code & 63;
    bool is_there = code >= 0;
    if (!is_there) return false;
    if (code == SAW_RGB || code == SAW_RGBA) {
        is_there = take_color(stream, code == SAW_RGB ? 3 : 4);
    } else if (code >> 6 == 0) {
        stream->color = stream->seen[value];
    } else if (code >> 6 == 1) {
        add(&stream->color, (value >> 4) - 2, (value >> 2 & 3) - 2, (value & 3) - 2);
    } else if (code >> 6 == 2) {
        is_there = take_difference(stream, value - 32);
    } else {
        stream->repetitions = value;
        return true;
    }
    remember(stream);
    return is_there;
}

static int read_pixels(Stream *stream, size_t channels, PfImage *image, PfError *err)
{
    uint8_t *out = image->pixels;
    for (int y = 0; y < image->height; y++) {
        if (y % 1024 == 0 && pf_image_is_interrupted(&image->limits))
            return pf_image_interrupted(err);
        for (int x = 0; x < image->width; x++, out += channels) {
            if (!next_color(stream))
                return pf_image_bad(err, "truncated QOI: ends after %d of %d rows", y,
                                    image->height);
            memcpy(out, stream->color.rgba, channels);
        }
    }
    return 0;
}

int pf_image_qoi_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    if (size < HEADER_SIZE) return pf_image_bad(err, "truncated QOI: ends in its header");
    int64_t width = pf_get_be32(bytes + 4), height = pf_get_be32(bytes + 8);
    int channels = bytes[12];
    if (channels != 3 && channels != 4)
        return pf_image_bad(err, "broken QOI: %d channels", channels);
    if (pf_image_check_size(&image->limits, width, height, err)) return -1;
    /* A byte is at most a run. */
    if (width * height > (int64_t)LONGEST_RUN * (int64_t)(size - HEADER_SIZE))
        return pf_image_bad(err, "truncated QOI: %zu bytes cannot hold its pixels", size);
    if (pf_image_check_memory(&image->limits, channels * width * height, size, err) ||
        (channels == 4 ? pf_image_resize_rgba(image, width, height, err)
                       : pf_image_resize_buffer(image, width, height, err)))
        return -1;
    Stream stream = {.file = pf_cursor(bytes, size, HEADER_SIZE), .color = {{0, 0, 0, 255}}};
    if (read_pixels(&stream, (size_t)channels, image, err)) return -1;
    if (channels == 4)
        pf_image_flatten(image, image->pixels, image->pixels, (size_t)(width * height));
    return 0;
}
