/* PGM and PPM, binary (P5, P6) and plain (P2, P3), up to 16 bits. */
#include <ctype.h>
#include <math.h>

#include "extract/image/internal.h"

typedef struct Reader {
    const uint8_t *bytes;
    size_t size, position;
} Reader;

/* Skips white space and comments, then reads digits. -1 where there are none or
 * the number is larger than any that a file may hold. */
static int64_t read_number(Reader *reader)
{
    const uint8_t *bytes = reader->bytes;
    while (reader->position < reader->size) {
        if (bytes[reader->position] == '#')
            while (reader->position < reader->size && bytes[reader->position] != '\n' &&
                   bytes[reader->position] != '\r')
                reader->position++;
        else if (isspace(bytes[reader->position]))
            reader->position++;
        else
            break;
    }
    size_t start = reader->position;
    int64_t value = 0;
    while (reader->position < reader->size && isdigit(bytes[reader->position])) {
        value = value * 10 + (bytes[reader->position++] - '0');
        if (value > PF_IMAGE_MOST_PIXELS) return -1;
    }
    return reader->position > start ? value : -1;
}

/* Brings a sample from 0 .. maximum to 0 .. 255, half to even as Python rounds. */
static uint8_t scale(int64_t value, int64_t maximum)
{
    if (maximum == 255) return (uint8_t)value;
    if (value > maximum) return 255;
    return (uint8_t)nearbyint((double)value / (double)maximum * 255.0);
}

static void put_sample(uint8_t *pixels, size_t index, int channels, uint8_t value)
{
    if (channels == 3)
        pixels[index] = value;
    else
        pixels[3 * index] = pixels[3 * index + 1] = pixels[3 * index + 2] = value;
}

static int read_plain(Reader *reader, size_t count, int channels, int64_t maximum, PfImage *image,
                      PfError *err)
{
    for (size_t i = 0; i < count; i++) {
        if (i % 65536 == 0 && pf_image_is_interrupted(&image->limits))
            return pf_image_interrupted(err);
        int64_t value = read_number(reader);
        if (value < 0 || value > maximum)
            return pf_image_bad(err,
                                "broken or truncated P%c: sample %zu of %zu is not a number "
                                "up to %lld",
                                reader->bytes[1], i + 1, count, (long long)maximum);
        put_sample(image->pixels, i, channels, scale(value, maximum));
    }
    return 0;
}

static void read_binary(const uint8_t *samples, size_t count, int channels, int64_t maximum,
                        uint8_t *pixels)
{
    for (size_t i = 0; i < count; i++) {
        int64_t value = maximum < 256 ? samples[i] : samples[2 * i] << 8 | samples[2 * i + 1];
        put_sample(pixels, i, channels, scale(value, maximum));
    }
}

int pf_image_pnm_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    Reader reader = {bytes, size, 2};
    int kind = bytes[1], channels = kind == '3' || kind == '6' ? 3 : 1;
    int64_t width = read_number(&reader), height = read_number(&reader);
    int64_t maximum = read_number(&reader);
    if (width < 0 || height < 0 || maximum < 1 || maximum > 65535 || reader.position >= size ||
        !isspace(bytes[reader.position]))
        return pf_image_bad(err, "broken P%c header: expected width, height and maximum", kind);
    reader.position++;
    if (pf_image_check_size(&image->limits, width, height, err)) return -1;
    /* A plain sample is a digit and a space; the last may do without the space. */
    size_t count = (size_t)(width * height * channels), left = size - reader.position;
    bool plain = kind == '2' || kind == '3';
    size_t needed = plain ? 2 * count - 1 : count * (maximum < 256 ? 1 : 2);
    if (left < needed)
        return pf_image_bad(err, "truncated P%c: %zu of at least %zu bytes of pixels", kind, left,
                            needed);
    if (pf_image_resize_buffer(image, width, height, err)) return -1;
    if (plain) return read_plain(&reader, count, channels, maximum, image, err);
    read_binary(bytes + reader.position, count, channels, maximum, image->pixels);
    return 0;
}
