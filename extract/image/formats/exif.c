/* Which way up a picture is, as its file says. */
#include "extract/image/formats/formats.h"

#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#include "common/base/memory.h"

enum {
    ORIENTATION_TAG = 0x112,
    NOT_SAID = 0,
    TEXT_MAX = 1 << 20, /* of a compressed text: as much as PIL reads */
};

/* A part of a file. */
typedef struct Part {
    const uint8_t *bytes;
    size_t size;
} Part;

static bool begins_with(Part part, const char *text, size_t length)
{
    return part.size >= length && !memcmp(part.bytes, text, length);
}

#define BEGINS_WITH(part, text) begins_with(part, text, sizeof(text) - 1)

static Part without(Part part, size_t count)
{
    return (Part){part.bytes + count, part.size - count};
}

/* ---- TIFF's tags ---- */

typedef struct Tiff {
    Part data;
    bool is_big_endian;
} Tiff;

/* A number of 1, 2, 4 or 8 bytes that lie inside the data. */
static uint64_t get(const Tiff *tiff, size_t position, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 |
                tiff->data.bytes[position + (size_t)(tiff->is_big_endian ? i : bytes - 1 - i)];
    return value;
}

/* Bytes of a value of each of TIFF's types; 0: there is no such type. */
static const uint8_t type_sizes[17] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8};

static double ratio(double numerator, double denominator)
{
    return denominator != 0 ? numerator / denominator : 0;
}

/* The first value of an entry; NOT_SAID of types that are no numbers. */
static double first_value(const Tiff *tiff, int type, size_t position)
{
    uint32_t u32 = (uint32_t)get(tiff, position, type_sizes[type] < 4 ? 1 : 4);
    float f32;
    double f64;
    uint64_t u64;
    switch (type) {
    case 3: return (double)get(tiff, position, 2);
    case 6: return (int8_t)u32;
    case 8: return (int16_t)get(tiff, position, 2);
    case 4:
    case 13: return u32;
    case 9: return (int32_t)u32;
    case 5: return ratio(u32, (double)get(tiff, position + 4, 4));
    case 10: return ratio((int32_t)u32, (int32_t)get(tiff, position + 4, 4));
    case 11: memcpy(&f32, &u32, sizeof f32); return f32;
    case 12:
        u64 = get(tiff, position, 8);
        memcpy(&f64, &u64, sizeof f64);
        return f64;
    case 16: return (double)get(tiff, position, 8);
    default: return NOT_SAID;
    }
}

/* The orientation that the directory at `position` says: of several tags the last one counts. The
 * directory ends where it cannot be read. *is_there: whether there is such a tag at all. */
static int read_directory(const Tiff *tiff, size_t position, bool *is_there)
{
    size_t size = tiff->data.size;
    int orientation = NOT_SAID;
    if (position > size || size - position < 2) return NOT_SAID;
    size_t count = (size_t)get(tiff, position, 2);
    position += 2;
    for (size_t i = 0; i < count && size - position >= 12; i++, position += 12) {
        unsigned tag = (unsigned)get(tiff, position, 2),
                 type = (unsigned)get(tiff, position + 2, 2);
        if (type >= sizeof type_sizes || !type_sizes[type]) continue;
        uint64_t bytes = get(tiff, position + 4, 4) * type_sizes[type];
        uint64_t at = bytes > 4 ? get(tiff, position + 8, 4) : position + 8;
        if (bytes > 4 && (at > size || bytes > size - at)) return orientation;
        if (tag != ORIENTATION_TAG || !bytes) continue;
        double value = first_value(tiff, (int)type, (size_t)at);
        orientation = value >= 1 && value <= 8 && value == (int)value ? (int)value : NOT_SAID;
        *is_there = true;
    }
    return orientation;
}

static int read_exif(Part data, bool *is_there)
{
    while (BEGINS_WITH(data, "Exif\0\0")) data = without(data, 6);
    if (data.size < 8) return NOT_SAID;
    Tiff tiff = {data, data.bytes[0] == 'M'};
    /* PIL also takes the number 42 in the other order, and 43 in this one. */
    if (!BEGINS_WITH(data, "II*\0") && !BEGINS_WITH(data, "II\0*") && !BEGINS_WITH(data, "MM\0*") &&
        !BEGINS_WITH(data, "MM*\0") && !BEGINS_WITH(data, "MM\0+"))
        return NOT_SAID;
    return read_directory(&tiff, (size_t)get(&tiff, 4, 4), is_there);
}

/* ---- JPEG ---- */

/* Markers that no length follows: RST, SOI, EOI and those that are reserved. */
static bool is_bare(int marker)
{
    return marker == 0xC8 || (marker >= 0xD0 && marker <= 0xD9) ||
           (marker >= 0xF0 && marker <= 0xFD);
}

/* The next marker that a length follows, as PIL looks for it, whatever lies between; 0 where there
 * is none. *position is then behind it. */
static int next_marker(Part file, size_t *position)
{
    while (*position + 1 < file.size) {
        int marker = file.bytes[*position + 1];
        if (file.bytes[*position] != 0xFF || marker == 0xFF) {
            (*position)++;
            continue;
        }
        *position += 2;
        if (marker && marker < 0xC0) return 0;
        if (marker && !is_bare(marker)) return marker;
    }
    return 0;
}

int pf_image_jpeg_orientation(const uint8_t *bytes, size_t size)
{
    const Part file = {bytes, size};
    size_t position = 2;
    bool is_there = false;
    for (int marker; (marker = next_marker(file, &position)) && marker != 0xDA;) {
        if (file.size - position < 2) return NOT_SAID;
        size_t length = (size_t)file.bytes[position] << 8 | file.bytes[position + 1];
        if (length < 2) length = 2;
        if (length > file.size - position) length = file.size - position;
        Part segment = {file.bytes + position + 2, length - 2};
        if (marker == 0xE1 && BEGINS_WITH(segment, "Exif\0\0"))
            return read_exif(segment, &is_there);
        position += length;
    }
    return NOT_SAID;
}

/* ---- PNG ---- */

/* What stands behind a keyword and its 0 in a chunk of text. */
typedef struct Text {
    Part part;
    char kind; /* 't', 'z' or 'i', as in tEXt, zTXt, iTXt; 0: there is none */
} Text;

typedef struct PngTexts {
    Part exif; /* eXIf's data; NULL: none yet */
    bool is_before_pixels;
    Text profile, xmp;
} PngTexts;

static void take_text(Part chunk, char kind, const char *keyword, Text *text)
{
    size_t length = strlen(keyword) + 1;
    if (begins_with(chunk, keyword, length)) *text = (Text){without(chunk, length), kind};
}

static void take_chunk(PngTexts *texts, const char *type, Part chunk)
{
    if (!memcmp(type, "IDAT", 4) && texts->exif.bytes) texts->is_before_pixels = true;
    if (!memcmp(type, "eXIf", 4) && !texts->is_before_pixels) texts->exif = chunk;
    if (memcmp(type, "tEXt", 4) && memcmp(type, "zTXt", 4) && memcmp(type, "iTXt", 4)) return;
    take_text(chunk, type[0], "Raw profile type exif", &texts->profile);
    take_text(chunk, type[0], "XML:com.adobe.xmp", &texts->xmp);
}

static void read_png(Part file, PngTexts *texts)
{
    for (size_t position = 8; file.size - position >= 12;) {
        const uint8_t *start = file.bytes + position;
        size_t length =
            (size_t)start[0] << 24 | (size_t)start[1] << 16 | (size_t)start[2] << 8 | start[3];
        if (length > file.size - position - 12 || !memcmp(start + 4, "IEND", 4)) return;
        take_chunk(texts, (const char *)start + 4, (Part){start + 8, length});
        position += length + 12;
    }
}

/* Inflates into a buffer of TEXT_MAX bytes; {NULL, 0} where that is too little, or the data are
 * damaged. */
static Part inflate_text(Part packed, uint8_t *buffer)
{
    uLongf size = TEXT_MAX;
    uLong packed_size = packed.size;
    int status = uncompress2(buffer, &size, packed.bytes, &packed_size);
    return status == Z_OK ? (Part){buffer, size} : (Part){0};
}

/* zTXt: a method (0) comes before the text. iTXt: a flag, a method, a language and a translated
 * keyword. */
static Part open_text(const Text *text, uint8_t *buffer)
{
    Part part = text->part;
    size_t head = text->kind == 'i' ? 2 : text->kind == 'z' ? 1 : 0;
    if (part.size < head) return (Part){0};
    bool is_packed = text->kind == 'z' || (text->kind == 'i' && part.bytes[0]);
    if (is_packed && part.bytes[head - 1]) return (Part){0};
    part = without(part, head);
    for (int i = 0; i < 2 && text->kind == 'i'; i++) {
        const uint8_t *end = part.size ? memchr(part.bytes, 0, part.size) : NULL;
        if (!end) return (Part){0};
        part = without(part, (size_t)(end - part.bytes) + 1);
    }
    return is_packed ? inflate_text(part, buffer) : part;
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Three lines, then hexadecimal digits with line breaks between them. text may lie at `out`, which
 * has TEXT_MAX bytes. */
static Part read_hex(Part text, uint8_t *out)
{
    size_t count = 0;
    int half = -1;
    for (int line = 0; line < 3; line++) {
        const uint8_t *end = text.size ? memchr(text.bytes, '\n', text.size) : NULL;
        if (!end) return (Part){0};
        text = without(text, (size_t)(end - text.bytes) + 1);
    }
    for (size_t i = 0; i < text.size; i++) {
        int digit = hex_digit(text.bytes[i]);
        if (digit < 0 && (text.bytes[i] == '\n' || text.bytes[i] == ' ')) continue;
        if (digit < 0) return (Part){0};
        if (half >= 0) out[count++] = (uint8_t)(half << 4 | digit);
        half = half < 0 ? digit : -1;
    }
    return half < 0 ? (Part){out, count} : (Part){0};
}

/* tiff:Orientation="6" or <tiff:Orientation>6 */
static int read_xmp(Part text)
{
    static const char name[] = "tiff:Orientation";
    const size_t length = sizeof name - 1;
    for (size_t i = 0; i + length + 2 <= text.size; i++) {
        if (text.bytes[i] != 't' || memcmp(text.bytes + i, name, length)) continue;
        const uint8_t *next = text.bytes + i + length, *end = text.bytes + text.size;
        if (*next == '>')
            next++;
        else if (end - next >= 2 && next[0] == '=' && next[1] == '"')
            next += 2;
        else
            continue;
        if (next < end && *next >= '0' && *next <= '9') return *next - '0';
    }
    return NOT_SAID;
}

static int texts_orientation(const PngTexts *texts, uint8_t *buffer)
{
    bool is_there = false;
    int orientation = NOT_SAID;
    if (texts->exif.bytes) {
        orientation = read_exif(texts->exif, &is_there);
    } else if (texts->profile.kind) {
        Part text = open_text(&texts->profile, buffer);
        if (text.size <= TEXT_MAX) orientation = read_exif(read_hex(text, buffer), &is_there);
    }
    if (is_there || !texts->xmp.kind) return orientation;
    return read_xmp(open_text(&texts->xmp, buffer));
}

int pf_image_png_orientation(const uint8_t *bytes, size_t size)
{
    PngTexts texts = {0};
    read_png((Part){bytes, size}, &texts);
    if (!texts.exif.bytes && !texts.profile.kind && !texts.xmp.kind) return NOT_SAID;
    uint8_t *buffer = pf_alloc_aligned(TEXT_MAX, 1, NULL);
    int orientation = buffer ? texts_orientation(&texts, buffer) : NOT_SAID;
    free(buffer);
    return orientation;
}

/* ---- WebP ---- */

enum { WEBP_XMP_FLAG = 4, WEBP_EXIF_FLAG = 8 };

static uint32_t get_le32(const uint8_t *bytes)
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

/* Keeps the first chunk of a kind that the file's flags announce. */
static void take_webp_chunk(Part chunk, int flags, Part *exif, Part *xmp)
{
    const Part data = without(chunk, 8);
    if (BEGINS_WITH(chunk, "EXIF") && flags & WEBP_EXIF_FLAG && !exif->bytes) *exif = data;
    if (BEGINS_WITH(chunk, "XMP ") && flags & WEBP_XMP_FLAG && !xmp->bytes) *xmp = data;
}

int pf_image_webp_orientation(const uint8_t *bytes, size_t size)
{
    Part exif = {0}, xmp = {0};
    bool is_there = false;
    if (size < 30 || memcmp(bytes + 12, "VP8X", 4)) return NOT_SAID;
    size_t end = (size_t)get_le32(bytes + 4) + 8;
    if (end > size) end = size;
    for (size_t position = 12; position < end && end - position >= 8;) {
        size_t length = get_le32(bytes + position + 4), left = end - position - 8;
        if (length > left) break;
        take_webp_chunk((Part){bytes + position, length + 8}, bytes[20], &exif, &xmp);
        position += 8 + length + (length & 1);
    }
    int orientation = exif.size ? read_exif(exif, &is_there) : NOT_SAID;
    return is_there ? orientation : read_xmp(xmp);
}
