/* PNG: everything that stb_image does not look at is done here first.
 *
 * stb_image ignores checksums, reads palette entries that the file does not
 * have, and trusts the compressed data: it takes distances that deflate does
 * not have for pixels, and inflates without bound. So it is given a file of its
 * own: the header, a palette of 256 entries, the transparent colours, and the
 * image data inflated by zlib, as stored blocks. Whatever else does not change
 * the pixels is left out. */
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "common/base/memory.h"
#include "extract/image/formats/formats.h"

enum {
    SIGNATURE_SIZE = 8,
    CHUNK_OVERHEAD = 12, /* length, type, checksum */
    HEADER_SIZE = 13,
    PALETTE_SIZE = 256 * 3,
    BLOCK_OVERHEAD = 5, /* of a stored deflate block, whose size has 16 bits */
    BLOCK_SIZE = 65535,
    STREAM_OVERHEAD = 2 + 4, /* zlib's header and checksum */
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
    bool interlaced;
    const uint8_t *header; /* HEADER_SIZE bytes */
    Chunk palette;
    Chunk transparency; /* tRNS; size 0: there is none that means anything */
    size_t packed_size; /* of all IDAT chunks together */
    size_t data_size;   /* of the rows in them, filter bytes included */
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

static bool has_right_checksum(const Chunk *chunk)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return true; /* a fuzzer would not get past it */
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
    reader->position += CHUNK_OVERHEAD + (size_t)chunk->size;
    return 0;
}

static int next_checked_chunk(Reader *reader, Chunk *chunk, PfError *err)
{
    size_t start = reader->position;
    if (next_chunk(reader, chunk, err)) return -1;
    if (!has_right_checksum(chunk))
        return pf_image_bad(err, "broken PNG: its %s chunk at byte %zu has a wrong checksum",
                            chunk->type, start);
    return 0;
}

static bool is_type(const Chunk *chunk, const char *type)
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

static int read_header(Reader *reader, const PfImageLimits *limits, Content *content, PfError *err)
{
    Chunk chunk;
    if (next_checked_chunk(reader, &chunk, err)) return -1;
    if (!is_type(&chunk, "IHDR") || chunk.size != HEADER_SIZE)
        return pf_image_bad(err, "broken PNG: begins with a %s chunk of %u bytes; expected IHDR",
                            chunk.type, chunk.size);
    content->header = chunk.data;
    content->width = get_be32(chunk.data);
    content->height = get_be32(chunk.data + 4);
    content->depth = chunk.data[8];
    content->color_type = chunk.data[9];
    content->interlaced = chunk.data[12];
    if (!channel_count(content->color_type, content->depth))
        return pf_image_bad(err, "broken PNG: %d-bit pixels of colour type %d", content->depth,
                            content->color_type);
    return pf_image_check_size(limits, content->width, content->height, err);
}

/* Bytes of the rows of an image or a pass of it, each with its filter byte. */
static size_t rows_size(const Content *content, size_t width, size_t height)
{
    int bits = content->depth * channel_count(content->color_type, content->depth);
    return width && height ? ((width * (size_t)bits + 7) / 8 + 1) * height : 0;
}

static size_t inflated_size(const Content *content)
{
    /* Adam7: where each pass begins and how far its pixels are apart. */
    static const struct {
        uint8_t x, y, step_x, step_y;
    } passes[7] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                   {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
    if (!content->interlaced) return rows_size(content, content->width, content->height);
    size_t size = 0;
    for (int i = 0; i < 7; i++)
        size += rows_size(
            content, (content->width - passes[i].x + passes[i].step_x - 1) / passes[i].step_x,
            (content->height - passes[i].y + passes[i].step_y - 1) / passes[i].step_y);
    return size;
}

static bool has_alpha(const Content *content)
{
    return content->color_type & 4 || content->transparency.size;
}

/* Deflate packs at most 1032 bytes into one: a header that promises more than
 * that is seen through before memory is asked for. */
static int check_data_size(Content *content, const PfImageLimits *limits, size_t file_size,
                           PfError *err)
{
    /* stb_image counts the bytes that it makes of the rows in an int, too. */
    int64_t channels = has_alpha(content) ? 4 : 3;
    content->data_size = inflated_size(content);
    if (content->data_size > INT32_MAX / 2 ||
        channels * content->width * content->height > INT32_MAX)
        return pf_image_bad(err,
                            "PNG of %u x %u pixels of %d bits per sample: more than can be decoded",
                            content->width, content->height, content->depth);
    if (content->packed_size < content->data_size / 1032)
        return pf_image_bad(err, "broken PNG: %zu bytes of compressed pixels cannot hold %u x %u",
                            content->packed_size, content->width, content->height);
    /* The rows as we write them, as stb_image collects and as it inflates them, and the pixels. */
    int64_t needed =
        3 * (int64_t)content->data_size + 4 * (int64_t)content->width * (int64_t)content->height;
    return pf_image_check_memory(limits, needed, file_size, err);
}

/* Leaves of a tRNS chunk what the colour type has room for: a level of grey, a colour, or an alpha
 * for each entry of the palette. One that is too short says nothing. */
static void trim_transparency(Content *content)
{
    static const uint32_t sizes[7] = {2, 0, 6, 256, 0, 0, 0};
    uint32_t most = sizes[content->color_type], *size = &content->transparency.size;
    if (*size > most) *size = most;
    if (content->color_type != 3 && *size < most) *size = 0;
}

/* Walks all chunks up to IEND. What follows that is no matter. */
static int read_content(const uint8_t *bytes, size_t size, const PfImageLimits *limits,
                        Content *content, PfError *err)
{
    Reader reader = {bytes, size, SIGNATURE_SIZE};
    if (read_header(&reader, limits, content, err)) return -1;
    Chunk chunk;
    do {
        if (next_checked_chunk(&reader, &chunk, err)) return -1;
        if (is_type(&chunk, "PLTE")) content->palette = chunk;
        if (is_type(&chunk, "tRNS")) content->transparency = chunk;
        if (is_type(&chunk, "IDAT")) content->packed_size += chunk.size;
    } while (!is_type(&chunk, "IEND"));
    trim_transparency(content);
    if (content->color_type == 3 && content->palette.size < 3)
        return pf_image_bad(err, "broken PNG: its pixels are indices and it has no palette");
    return check_data_size(content, limits, size, err);
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

static uint8_t *put_transparency(uint8_t *out, const Chunk *chunk)
{
    out = put_chunk_header(out, "tRNS", chunk->size);
    memcpy(out, chunk->data, chunk->size);
    return put_be32(out + chunk->size, 0);
}

static uint8_t *put_le16(uint8_t *out, unsigned value)
{
    *out++ = (uint8_t)value;
    *out++ = (uint8_t)(value >> 8);
    return out;
}

/* Inflates exactly `size` bytes from the IDAT chunks that follow in the reader. */
static int inflate_bytes(z_stream *stream, Reader *reader, uint8_t *out, size_t size, PfError *err)
{
    stream->next_out = out;
    stream->avail_out = (uInt)size;
    while (stream->avail_out > 0) {
        Chunk chunk;
        while (stream->avail_in == 0) {
            if (next_chunk(reader, &chunk, err)) return -1;
            if (is_type(&chunk, "IEND"))
                return pf_image_bad(err, "broken PNG: its pixels end too early");
            if (!is_type(&chunk, "IDAT")) continue;
            stream->next_in = chunk.data;
            stream->avail_in = chunk.size;
        }
        int status = inflate(stream, Z_NO_FLUSH);
        if (status == Z_STREAM_END && stream->avail_out > 0)
            return pf_image_bad(err, "broken PNG: its pixels end too early");
        if (status == Z_MEM_ERROR) return pf_image_out_of_memory(err, "a PNG");
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            return pf_image_bad(err, "broken PNG: %s", stream->msg ? stream->msg : "bad data");
    }
    return 0;
}

/* The image data as a zlib stream of stored blocks. *end is where they end. */
static int put_blocks(uint8_t *out, Reader *reader, size_t left, const PfImageLimits *limits,
                      uint8_t **end, PfError *err)
{
    z_stream stream = {0};
    if (inflateInit(&stream) != Z_OK) return pf_fail(err, PF_EXIT_FAILED, "zlib: out of memory");
    int result = 0;
    *out++ = 0x78; /* deflate, window of 32 KB */
    *out++ = 0x01; /* makes the two bytes a multiple of 31 */
    while (left > 0 && !result) {
        size_t size = left < BLOCK_SIZE ? left : BLOCK_SIZE;
        left -= size;
        *out++ = left == 0; /* the last block is marked */
        out = put_le16(put_le16(out, (unsigned)size), ~(unsigned)size);
        result = pf_image_is_interrupted(limits) ? pf_image_interrupted(err)
                                                 : inflate_bytes(&stream, reader, out, size, err);
        out += size;
    }
    inflateEnd(&stream);
    *end = put_be32(out, 0);
    return result;
}

static size_t blocks_size(const Content *content)
{
    size_t count = (content->data_size + BLOCK_SIZE - 1) / BLOCK_SIZE;
    return STREAM_OVERHEAD + count * BLOCK_OVERHEAD + content->data_size;
}

/* Writes stb_image's file, checksums 0 since it skips them. *size is its length. */
static int put_file(uint8_t *out, Reader reader, const Content *content,
                    const PfImageLimits *limits, size_t *size, PfError *err)
{
    uint8_t *end = out;
    memcpy(end, reader.bytes, SIGNATURE_SIZE);
    end = put_chunk_header(end + SIGNATURE_SIZE, "IHDR", HEADER_SIZE);
    memcpy(end, content->header, HEADER_SIZE);
    end = put_be32(end + HEADER_SIZE, 0);
    if (content->color_type == 3) end = put_palette(end, &content->palette);
    if (content->transparency.size) end = put_transparency(end, &content->transparency);
    end = put_chunk_header(end, "IDAT", (uint32_t)blocks_size(content));
    if (put_blocks(end, &reader, content->data_size, limits, &end, err)) return -1;
    end = put_be32(end, 0);
    end = put_be32(put_chunk_header(end, "IEND", 0), 0);
    *size = (size_t)(end - out);
    return 0;
}

int pf_image_png_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    Content content = {0};
    if (read_content(bytes, size, &image->limits, &content, err)) return -1;
    size_t others = SIGNATURE_SIZE + 5 * CHUNK_OVERHEAD + HEADER_SIZE + PALETTE_SIZE + 256;
    uint8_t *file = pf_alloc_aligned(others + blocks_size(&content), 1, err);
    if (!file) return -1;
    Reader reader = {bytes, size, SIGNATURE_SIZE};
    size_t file_size;
    int result = put_file(file, reader, &content, &image->limits, &file_size, err);
    if (!result) result = pf_image_stb_decode(file, file_size, has_alpha(&content), image, err);
    free(file);
    return result;
}
