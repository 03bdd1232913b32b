/* PNG: everything that stb_image does not look at is checked here first.
 *
 * stb_image ignores checksums, reads palette entries that the file does not
 * have, and inflates without bound. It is given a file of its own: the header,
 * a palette of 256 entries, the image data in one piece, the end. Transparency
 * and everything else that does not change the RGB values is left out. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "image_decoder.h"
#include "memory.h"

enum {
    SIGNATURE_SIZE = 8,
    CHUNK_OVERHEAD = 12, /* length, type, checksum */
    HEADER_SIZE = 13,
    PALETTE_SIZE = 256 * 3,
};

typedef struct Chunk {
    char type[5];
    const uint8_t *data;
    uint32_t size;
} Chunk;

/* A file that is being read. */
typedef struct Reader {
    const uint8_t *bytes;
    size_t size, position;
} Reader;

/* The part of a PNG that makes its pixels. */
typedef struct Content {
    uint32_t width, height;
    int depth, color_type;
    const uint8_t *header; /* HEADER_SIZE bytes */
    Chunk palette;
    size_t data_size; /* of all IDAT chunks together */
} Content;

static uint32_t get_be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint8_t *put_be32(uint8_t *out, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) *out++ = (uint8_t)(value >> shift);
    return out;
}

static int has_right_checksum(const Chunk *chunk)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return 1; /* a fuzzer would not get past it */
#endif
    uLong crc = crc32(0, (const Bytef *)chunk->type, 4);
    return crc32_z(crc, chunk->data, chunk->size) == get_be32(chunk->data + chunk->size);
}

static int next_chunk(Reader *reader, Chunk *chunk, PfError *err)
{
    const uint8_t *start = reader->bytes + reader->position;
    size_t left = reader->size - reader->position;
    if (left < CHUNK_OVERHEAD)
        return pf_image_bad(err, "truncated PNG: ends after %zu bytes without its IEND chunk",
                            reader->size);
    memcpy(chunk->type, start + 4, 4);
    chunk->type[4] = '\0';
    for (int i = 0; i < 4; i++)
        if ((chunk->type[i] | 32) < 'a' || (chunk->type[i] | 32) > 'z')
            return pf_image_bad(err, "broken PNG: no chunk at byte %zu", reader->position);
    chunk->size = get_be32(start);
    chunk->data = start + 8;
    if (chunk->size > left - CHUNK_OVERHEAD)
        return pf_image_bad(err, "truncated PNG: ends after %zu bytes inside its %s chunk",
                            reader->size, chunk->type);
    if (!has_right_checksum(chunk))
        return pf_image_bad(err, "broken PNG: its %s chunk at byte %zu has a wrong checksum",
                            chunk->type, reader->position);
    reader->position += CHUNK_OVERHEAD + (size_t)chunk->size;
    return 0;
}

static int is_type(const Chunk *chunk, const char *type)
{
    return memcmp(chunk->type, type, 4) == 0;
}

/* Samples per pixel of a colour type, 0 where there is no such type or it does
 * not go with the depth. */
static int channel_count(int color_type, int depth)
{
    static const int channels[7] = {1, 0, 3, 1, 2, 0, 4};
    static const char *const depths[7] = {"\1\2\4\10\20", "", "\10\20", "\1\2\4\10",
                                          "\10\20",       "", "\10\20"};
    if (color_type < 0 || color_type > 6 || depth == 0) return 0;
    return strchr(depths[color_type], depth) ? channels[color_type] : 0;
}

static int read_header(Reader *reader, Content *content, PfError *err)
{
    Chunk chunk;
    if (next_chunk(reader, &chunk, err)) return -1;
    if (!is_type(&chunk, "IHDR") || chunk.size != HEADER_SIZE)
        return pf_image_bad(err, "broken PNG: begins with a %s chunk of %u bytes; expected IHDR",
                            chunk.type, chunk.size);
    content->header = chunk.data;
    content->width = get_be32(chunk.data);
    content->height = get_be32(chunk.data + 4);
    content->depth = chunk.data[8];
    content->color_type = chunk.data[9];
    if (!channel_count(content->color_type, content->depth))
        return pf_image_bad(err, "broken PNG: %d-bit pixels of colour type %d", content->depth,
                            content->color_type);
    return pf_image_check_size(content->width, content->height, err);
}

/* Bytes of one row: a filter byte and the pixels. */
static size_t row_size(const Content *content)
{
    int channels = channel_count(content->color_type, content->depth);
    return ((size_t)content->width * (size_t)(content->depth * channels) + 7) / 8 + 1;
}

/* Deflate packs at most 1032 bytes into one: a header that promises more than
 * that is seen through before memory is asked for. */
static int check_data_size(const Content *content, PfError *err)
{
    if (content->data_size > INT32_MAX / 2)
        return pf_image_bad(err, "too large: %zu bytes of compressed pixels", content->data_size);
    if (content->data_size < row_size(content) * content->height / 1032)
        return pf_image_bad(err, "broken PNG: %zu bytes of compressed pixels cannot hold %u x %u",
                            content->data_size, content->width, content->height);
    return 0;
}

/* Walks all chunks up to IEND. What follows that is no matter. */
static int read_content(const uint8_t *bytes, size_t size, Content *content, PfError *err)
{
    Reader reader = {bytes, size, SIGNATURE_SIZE};
    if (read_header(&reader, content, err)) return -1;
    Chunk chunk;
    do {
        if (next_chunk(&reader, &chunk, err)) return -1;
        if (is_type(&chunk, "PLTE")) content->palette = chunk;
        if (is_type(&chunk, "IDAT")) content->data_size += chunk.size;
    } while (!is_type(&chunk, "IEND"));
    if (content->color_type == 3 && content->palette.size < 3)
        return pf_image_bad(err, "broken PNG: its pixels are indices and it has no palette");
    return check_data_size(content, err);
}

static uint8_t *put_chunk_header(uint8_t *out, const char *type, uint32_t size)
{
    out = put_be32(out, size);
    memcpy(out, type, 4);
    return out + 4;
}

/* Entries that the file does not have are grey, as in PIL. */
static uint8_t *put_palette(uint8_t *out, const Chunk *palette)
{
    uint32_t given = palette->size < PALETTE_SIZE ? palette->size / 3 * 3 : PALETTE_SIZE;
    out = put_chunk_header(out, "PLTE", PALETTE_SIZE);
    for (int i = 0; i < PALETTE_SIZE; i++) out[i] = (uint8_t)(i / 3);
    memcpy(out, palette->data, given);
    return put_be32(out + PALETTE_SIZE, 0);
}

static uint8_t *put_data(uint8_t *out, const uint8_t *bytes, size_t size, size_t data_size)
{
    Reader reader = {bytes, size, SIGNATURE_SIZE};
    Chunk chunk = {0};
    out = put_chunk_header(out, "IDAT", (uint32_t)data_size);
    while (!is_type(&chunk, "IEND")) {
        if (next_chunk(&reader, &chunk, NULL)) break; /* cannot be: all have been read before */
        if (!is_type(&chunk, "IDAT")) continue;
        memcpy(out, chunk.data, chunk.size);
        out += chunk.size;
    }
    return put_be32(out, 0);
}

/* Writes the trimmed file (checksums are 0: stb_image skips them); returns its size. */
static size_t put_trimmed(uint8_t *out, const uint8_t *bytes, size_t size, const Content *content)
{
    uint8_t *end = out;
    memcpy(end, bytes, SIGNATURE_SIZE);
    end = put_chunk_header(end + SIGNATURE_SIZE, "IHDR", HEADER_SIZE);
    memcpy(end, content->header, HEADER_SIZE);
    end = put_be32(end + HEADER_SIZE, 0);
    if (content->color_type == 3) end = put_palette(end, &content->palette);
    end = put_data(end, bytes, size, content->data_size);
    end = put_be32(put_chunk_header(end, "IEND", 0), 0);
    return (size_t)(end - out);
}

/* No buffer that the image honestly needs is larger: compressed data, inflated
 * rows with their filter bytes (twice, for the small passes of an interlaced
 * one), and 16-bit RGBA or 8-bit RGB on the way out. */
static size_t allocation_limit(const Content *content)
{
    size_t bits = (size_t)(content->depth * channel_count(content->color_type, content->depth));
    size_t inflated = 2 * row_size(content) * content->height + 4096;
    size_t pixels = (size_t)content->width * content->height * (bits > 24 ? bits / 8 : 3);
    size_t limit = 2 * content->data_size + 4096;
    if (inflated > limit) limit = inflated;
    return pixels > limit ? pixels : limit;
}

int pf_image_png_decode(const uint8_t *bytes, size_t size, PfImage *image, PfError *err)
{
    Content content = {0};
    if (read_content(bytes, size, &content, err)) return -1;
    size_t room = SIGNATURE_SIZE + 4 * CHUNK_OVERHEAD + HEADER_SIZE + PALETTE_SIZE;
    uint8_t *trimmed = pf_alloc_aligned(room + content.data_size, 1, err);
    if (!trimmed) return -1;
    size_t trimmed_size = put_trimmed(trimmed, bytes, size, &content);
    int result = pf_image_stb_decode(trimmed, trimmed_size, allocation_limit(&content), image, err);
    free(trimmed);
    return result;
}
