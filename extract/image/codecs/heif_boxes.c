/* The boxes of HEIF's family, as far as they tell AVIF from HEIC and which way up an AVIF is. */
#include <string.h>

#include "extract/image/codecs/codecs.h"

/* A part of a file, or of what was read of it. */
typedef struct Span {
    const uint8_t *bytes;
    size_t size;
} Span;

static uint32_t get_be(const uint8_t *bytes, int count)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

/* A number at the front of a span, which it is taken from; 0 where it is too short. */
static uint32_t take_be(Span *span, int count)
{
    uint32_t value = span->size >= (size_t)count ? get_be(span->bytes, count) : 0;
    size_t taken = span->size >= (size_t)count ? (size_t)count : span->size;
    span->bytes += taken;
    span->size -= taken;
    return value;
}

/* Takes the box at the front of a span: its type and what is in it, as much of that as is there. */
static bool take_box(Span *span, char type[5], Span *content)
{
    if (span->size < 8) return false;
    uint64_t length = get_be(span->bytes, 4);
    size_t head = 8;
    memcpy(type, span->bytes + 4, 4);
    type[4] = '\0';
    if (length == 1 && span->size >= 16) {
        length = (uint64_t)get_be(span->bytes + 8, 4) << 32 | get_be(span->bytes + 12, 4);
        head = 16;
    }
    if (length == 0 || length > span->size) length = span->size;
    if (length < head) return false;
    *content = (Span){span->bytes + head, (size_t)length - head};
    span->bytes += length;
    span->size -= (size_t)length;
    return true;
}

static Span find_box(Span within, const char *wanted)
{
    char type[5];
    Span content;
    while (take_box(&within, type, &content))
        if (!strcmp(type, wanted)) return content;
    return (Span){0};
}

/* ---- brands ---- */

static const char *const avif_brands[] = {"avif", "avis", NULL};
static const char *const heic_brands[] = {"heic", "heix", "heim", "heis", "hevc",
                                          "hevx", "hevm", "hevs", NULL};
static const char *const other_brands[] = {"mif1", "msf1", "mif2", NULL};

static bool is_one_of(const uint8_t *brand, const char *const *brands)
{
    for (; *brands; brands++)
        if (!memcmp(brand, *brands, 4)) return true;
    return false;
}

/* Whether one of the brands is the file's own, or, as far as the bytes reach, among those that it
 * is said to be compatible with. */
static bool has_brand(const uint8_t *bytes, size_t size, const char *const *brands)
{
    if (size < 12) return false;
    size_t end = get_be(bytes, 4);
    if (end > size) end = size;
    if (is_one_of(bytes + 8, brands)) return true;
    if (!is_one_of(bytes + 8, other_brands)) return false;
    for (size_t at = 16; at + 4 <= end; at += 4)
        if (is_one_of(bytes + at, brands)) return true;
    return false;
}

bool pf_image_is_avif(const uint8_t *bytes, size_t size)
{
    return has_brand(bytes, size, avif_brands);
}

bool pf_image_is_heif(const uint8_t *bytes, size_t size)
{
    return has_brand(bytes, size, heic_brands) || has_brand(bytes, size, other_brands);
}

/* ---- orientation ---- */

enum { PROPERTIES = 128 }; /* of a file: so many are looked at */

/* What an item's properties say; -1: nothing. */
typedef struct Turning {
    int quarters; /* of a turn, anticlockwise */
    int axis;     /* mirrored afterwards: 1 left and right, 0 top and bottom */
} Turning;

static void take_property(Span properties, unsigned index, Turning *turning)
{
    char type[5];
    Span content;
    for (unsigned i = 1; i <= index && take_box(&properties, type, &content); i++) {
        if (i < index || !content.size) continue;
        if (!strcmp(type, "irot")) turning->quarters = content.bytes[0] & 3;
        if (!strcmp(type, "imir")) turning->axis = content.bytes[0] & 1;
    }
}

/* Associations of items with properties, numbered from 1 as they stand in their box. */
static Turning read_associations(Span association, Span properties, uint32_t wanted)
{
    Turning turning = {-1, -1};
    uint32_t head = take_be(&association, 4), items = take_be(&association, 4);
    int id_bytes = head >> 24 ? 4 : 2, index_bytes = head & 1 ? 2 : 1;
    while (items-- && association.size) {
        uint32_t id = take_be(&association, id_bytes), count = take_be(&association, 1);
        for (; count; count--) {
            unsigned index =
                take_be(&association, index_bytes) & (index_bytes == 2 ? 0x7FFF : 0x7F);
            if (id == wanted && index <= PROPERTIES) take_property(properties, index, &turning);
        }
    }
    return turning;
}

/* As libavif's documentation has it: the turn comes before the mirror. */
static int to_orientation(Turning turning)
{
    static const uint8_t turned[4] = {1, 8, 3, 6},
                         mirrored[4][2] = {{4, 2}, {5, 7}, {2, 4}, {7, 5}};
    int quarters = turning.quarters < 0 ? 0 : turning.quarters;
    return turning.axis < 0 ? turned[quarters] : mirrored[quarters][turning.axis];
}

int pf_image_avif_orientation(const uint8_t *bytes, size_t size)
{
    const Span file = {bytes, size};
    if (size < 12 || !memcmp(bytes + 8, "avis", 4)) return 0; /* a sequence, which has none */
    Span meta = find_box(file, "meta");
    take_be(&meta, 4); /* version, flags */
    Span primary = find_box(meta, "pitm"), all = find_box(meta, "iprp");
    uint32_t head = take_be(&primary, 4);
    uint32_t id = take_be(&primary, head >> 24 ? 4 : 2);
    return to_orientation(read_associations(find_box(all, "ipma"), find_box(all, "ipco"), id));
}
