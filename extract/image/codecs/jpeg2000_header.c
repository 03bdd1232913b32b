/* The headers of a JPEG 2000 codestream, before OpenJPEG reads them: it allocates all tiles, and of
 * a tile all precincts and code blocks, and a few bytes can ask for millions of each. */
#include <string.h>

#include "extract/image/codecs/jpeg2000_internal.h"

enum {
    MARKER_COD = 0xff52,
    MARKER_COC = 0xff53,
    MARKER_SOT = 0xff90,
    MARKER_SOD = 0xff93,
    MARKER_EOC = 0xffd9,
    MOST_COMPONENTS = 4,
    MOST_TILES = 65535,
    /* What OpenJPEG 2.5 takes for each, rounded up. */
    TILE_BYTES = 6000,
    TILE_COMPONENT_BYTES = 1200,
    PRECINCT_BYTES = 600,
    CODE_BLOCK_BYTES = 600,
    PARTS_PER_PIXEL = 64, /* bytes for all of them, at most; of usual files it is less than 1 */
};

typedef struct Stream {
    const uint8_t *bytes;
    size_t size;
    int64_t width, height, tile_width, tile_height, tiles;
    int components;
    double block_bytes; /* for the precincts and code blocks of a tile, at most */
} Stream;

static uint32_t get(const uint8_t *bytes, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

static int truncated(size_t size, PfError *err)
{
    return pf_image_bad(err, "truncated JPEG 2000: ends after %zu bytes, inside its headers", size);
}

/* A part of the file: a box's contents, or boxes one behind the other. */
typedef struct Part {
    const uint8_t *bytes;
    size_t size;
} Part;

/* Takes the first box off `boxes`. False where there is none. */
static bool next_box(Part *boxes, const char **type, Part *box)
{
    if (boxes->size < 8) return false;
    uint64_t length = get(boxes->bytes, 4), header = 8;
    if (length == 1 && boxes->size >= 16) {
        length = (uint64_t)get(boxes->bytes + 8, 4) << 32 | get(boxes->bytes + 12, 4);
        header = 16;
    }
    if (length == 0 || length > boxes->size) length = boxes->size;
    if (length < header) return false;
    *type = (const char *)boxes->bytes + 4;
    *box = (Part){boxes->bytes + header, (size_t)(length - header)};
    *boxes = (Part){boxes->bytes + length, boxes->size - (size_t)length};
    return true;
}

/* A palette makes a component of each of its columns. */
static int check_palettes(Part header, PfError *err)
{
    const char *type;
    Part box;
    while (next_box(&header, &type, &box))
        if (!memcmp(type, "pclr", 4) && box.size > 2 && box.bytes[2] > MOST_COMPONENTS)
            return pf_image_bad(err, "JPEG 2000 with a palette of %d columns, 1 to %d expected",
                                box.bytes[2], MOST_COMPONENTS);
    return 0;
}

/* The first box named jp2c is the codestream. */
static int find_stream(const uint8_t *bytes, size_t size, Stream *stream, PfError *err)
{
    Part boxes = {bytes, size}, box;
    const char *type;
    while (next_box(&boxes, &type, &box)) {
        if (!memcmp(type, "jp2h", 4) && check_palettes(box, err)) return -1;
        if (memcmp(type, "jp2c", 4)) continue;
        stream->bytes = box.bytes;
        stream->size = box.size;
        return 0;
    }
    return pf_image_bad(err, "truncated JPEG 2000: no codestream in its %zu bytes", size);
}

static int64_t ceil_divide(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* SOC, then SIZ. */
static int read_size(Stream *stream, const PfImageLimits *limits, PfError *err)
{
    const uint8_t *siz = stream->bytes + 4;
    if (stream->size < 42) return truncated(stream->size, err);
    if (get(stream->bytes, 4) != 0xff4fff51)
        return pf_image_bad(err, "broken JPEG 2000: its codestream does not begin with its size");
    int64_t right = get(siz + 4, 4), bottom = get(siz + 8, 4), left = get(siz + 12, 4),
            top = get(siz + 16, 4), tile_left = get(siz + 28, 4), tile_top = get(siz + 32, 4);
    stream->width = right - left;
    stream->height = bottom - top;
    stream->tile_width = get(siz + 20, 4);
    stream->tile_height = get(siz + 24, 4);
    stream->components = (int)get(siz + 36, 2);
    if (pf_image_check_size(limits, stream->width, stream->height, err)) return -1;
    if (stream->components < 1 || stream->components > MOST_COMPONENTS)
        return pf_image_bad(err, "JPEG 2000 of %d components, 1 to %d expected", stream->components,
                            MOST_COMPONENTS);
    if (stream->tile_width < 1 || stream->tile_height < 1 || tile_left > left || tile_top > top)
        return pf_image_bad(err, "broken JPEG 2000: tiles of %lld x %lld pixels",
                            (long long)stream->tile_width, (long long)stream->tile_height);
    int64_t across = ceil_divide(right - tile_left, stream->tile_width),
            down = ceil_divide(bottom - tile_top, stream->tile_height);
    stream->tiles = across > MOST_TILES || down > MOST_TILES ? INT64_MAX : across * down;
    if (stream->tiles > MOST_TILES)
        return pf_image_bad(err, "broken JPEG 2000: more than %d tiles", MOST_TILES);
    if (stream->tile_width > stream->width) stream->tile_width = stream->width;
    if (stream->tile_height > stream->height) stream->tile_height = stream->height;
    return 0;
}

/* ---- precincts and code blocks ---- */

/* How often 2^exponent goes into a side that has been halved so many times. */
static double parts(int64_t side, int halvings, unsigned exponent)
{
    int64_t halved = ceil_divide(side, (int64_t)1 << halvings);
    return (double)ceil_divide(halved, (int64_t)1 << exponent) + 1;
}

/* The parameters that COD and COC have in common: the number of halvings, the exponents of code
 * blocks, two more numbers, and a precinct's exponents for each size if has_precincts. */
static void note_coding(Stream *stream, const uint8_t *coding, size_t size, bool has_precincts,
                        unsigned layers)
{
    if (size < 5) return;
    int halvings = coding[0];
    unsigned block_width = (coding[1] & 15u) + 2, block_height = (coding[2] & 15u) + 2;
    if (halvings > 32 || (has_precincts && size < 5 + (size_t)halvings + 1)) return;
    double bytes = 0, most_precincts = 0;
    for (int i = 0; i <= halvings; i++) {
        unsigned exponents = has_precincts ? coding[5 + i] : 0xff;
        unsigned across = exponents & 15, down = exponents >> 4;
        int64_t width = stream->tile_width, height = stream->tile_height;
        double precincts = parts(width, halvings - i, across) * parts(height, halvings - i, down);
        /* A precinct has code blocks of its own, no larger than itself. */
        double blocks = parts(width, halvings - i, across < block_width ? across : block_width) *
                        parts(height, halvings - i, down < block_height ? down : block_height);
        bytes += 3 * precincts * PRECINCT_BYTES + blocks * CODE_BLOCK_BYTES;
        if (precincts > most_precincts) most_precincts = precincts;
    }
    /* And of each packet whether it has come. */
    bytes += 2.0 * (layers + 1) * (halvings + 1) * most_precincts;
    bytes *= stream->components;
    if (bytes > stream->block_bytes) stream->block_bytes = bytes;
}

static void read_segment(Stream *stream, uint32_t marker, const uint8_t *data, size_t size,
                         unsigned *layers)
{
    if (marker == MARKER_COD && size > 5) {
        *layers = get(data + 1, 2);
        note_coding(stream, data + 5, size - 5, data[0] & 1, *layers);
    } else if (marker == MARKER_COC && size > 2) {
        note_coding(stream, data + 2, size - 2, data[1] & 1, *layers);
    }
}

/* Walks the main header and those of all parts of tiles, as far as they can be read: OpenJPEG does
 * not get further. */
static void read_segments(Stream *stream)
{
    size_t position = 2, part_end = 0;
    unsigned layers = 1;
    while (stream->size - position >= 4) {
        uint32_t marker = get(stream->bytes + position, 2);
        size_t length = get(stream->bytes + position + 2, 2);
        if (marker == MARKER_EOC) return;
        if (marker == MARKER_SOD) { /* the data, which end with the part */
            if (part_end <= position || part_end > stream->size) return;
            position = part_end;
            continue;
        }
        if (length < 2 || length > stream->size - position - 2) return;
        const uint8_t *data = stream->bytes + position + 4;
        if (marker == MARKER_SOT && length >= 10) part_end = position + get(data + 2, 4);
        read_segment(stream, marker, data, length - 2, &layers);
        position += 2 + length;
    }
}

/* What OpenJPEG needs beside the samples. */
static int64_t parts_bytes(const Stream *stream)
{
    double blocks = stream->block_bytes < 1e15 ? stream->block_bytes : 1e15;
    return stream->tiles * (TILE_BYTES + TILE_COMPONENT_BYTES * stream->components) +
           (int64_t)blocks;
}

int pf_jpeg2000_check_header(const uint8_t *bytes, size_t size, const PfImageLimits *limits,
                             PfError *err)
{
    Stream stream = {.bytes = bytes, .size = size};
    if (!PF_JPEG2000_IS_CODESTREAM(bytes) && find_stream(bytes, size, &stream, err)) return -1;
    if (read_size(&stream, limits, err)) return -1;
    read_segments(&stream);
    int64_t parts = parts_bytes(&stream), pixels = stream.width * stream.height;
    if (parts > PF_IMAGE_FREE_BYTES && parts / PARTS_PER_PIXEL > pixels)
        return pf_image_bad(err, "broken JPEG 2000: tiles, precincts and code blocks that would "
                                 "take more memory than its pixels");
    int64_t samples = pixels; /* of 32 bits per component */
    if (stream.tiles > 1) samples += stream.tile_width * stream.tile_height;
    return pf_image_check_memory(limits, 3 * pixels + 4 * stream.components * samples + parts, size,
                                 err);
}
