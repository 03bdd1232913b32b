/* Apple's icons: the picture that PIL takes, the largest: a PNG or JPEG 2000, or run lengths beside
 * a mask of transparency. */
#include <string.h>

#include "extract/image/codecs/codecs.h"
#include "extract/image/formats/bytes.h"
#include "extract/image/formats/formats.h"

enum { HEADER_SIZE = 8, ENTRY_HEADER_SIZE = 8 };

/* What an icon of one size may be stored as: the names of the entries. */
enum { PICTURE, PACKED, MASK, KINDS };
typedef struct Size {
    int side; /* of those in run lengths */
    char kinds[KINDS][5];
} Size;

/* From the largest on, as PIL orders them: by points, and only then by pixels for a point. */
static const Size sizes[] = {
    {0, {"ic10"}}, {0, {"ic09"}},
    {0, {"ic14"}}, {0, {"ic08"}},
    {0, {"ic13"}}, {128, {"ic07", "it32", "t8mk"}},
    {0, {"icp6"}}, {48, {"", "ih32", "h8mk"}},
    {0, {"ic12"}}, {32, {"icp5", "il32", "l8mk"}},
    {0, {"ic11"}}, {16, {"icp4", "is32", "s8mk"}},
};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* The data of an entry; bytes NULL: there is none. Of several of one name the last counts. */
typedef struct Entry {
    const uint8_t *bytes;
    size_t size;
} Entry;

static int truncated(size_t size, PfError *err)
{
    return pf_image_bad(err, "truncated ICNS: ends after %zu bytes", size);
}

static void note_entry(const uint8_t *name, Entry entry, Entry found[SIZES][KINDS])
{
    for (int i = 0; i < SIZES; i++)
        for (int kind = 0; kind < KINDS; kind++)
            if (!memcmp(name, sizes[i].kinds[kind], 4)) found[i][kind] = entry;
}

static int read_entries(const uint8_t *bytes, size_t size, Entry found[SIZES][KINDS], PfError *err)
{
    if (size < HEADER_SIZE || pf_get_be32(bytes + 4) > size) return truncated(size, err);
    PfCursor file = pf_cursor(bytes, pf_get_be32(bytes + 4), HEADER_SIZE);
    while (pf_cursor_left(&file) >= ENTRY_HEADER_SIZE) {
        const uint8_t *head = pf_cursor_take(&file, ENTRY_HEADER_SIZE);
        size_t entry_size = pf_get_be32(head + 4);
        if (entry_size < ENTRY_HEADER_SIZE)
            return pf_image_bad(err, "broken ICNS: an entry of %zu bytes", entry_size);
        Entry entry = {.size = entry_size - ENTRY_HEADER_SIZE};
        entry.bytes = pf_cursor_take(&file, entry.size);
        if (!entry.bytes) return truncated(size, err);
        note_entry(head, entry, found);
    }
    return 0;
}

static bool is_png(const Entry *entry)
{
    return entry->size >= 8 && !memcmp(entry->bytes, "\x89PNG\r\n\x1a\n", 8);
}

static bool is_jpeg2000(const Entry *entry)
{
    return entry->size >= 8 && (!memcmp(entry->bytes, "\0\0\0\x0cjP  ", 8) ||
                                !memcmp(entry->bytes, "\xff\x4f\xff\x51", 4));
}

/* ---- run lengths ---- */

/* One channel of so many RGBA pixels: a byte that counts, and then one value, or so many. */
static int unpack_channel(PfCursor *file, size_t count, uint8_t *out, PfError *err)
{
    for (size_t done = 0; done < count;) {
        int head = pf_cursor_byte(file);
        bool is_run = head >= 128;
        size_t part = is_run ? (size_t)head - 125 : (size_t)head + 1;
        const uint8_t *values = head < 0 ? NULL : pf_cursor_take(file, is_run ? 1 : part);
        if (!values) return pf_image_bad(err, "broken ICNS: its run lengths end too early");
        if (part > count - done)
            return pf_image_bad(err, "broken ICNS: a run goes beyond its channel");
        for (size_t i = 0; i < part; i++) out[4 * (done + i)] = values[is_run ? 0 : i];
        done += part;
    }
    return 0;
}

/* Three bytes a pixel stand there as they are if there are so many. */
static int unpack(PfCursor *file, size_t count, uint8_t *rgba, PfError *err)
{
    bool is_plain = pf_cursor_left(file) == 3 * count;
    for (size_t i = 0; i < count && is_plain; i++) memcpy(rgba + 4 * i, pf_cursor_take(file, 3), 3);
    for (size_t c = 0; c < 3 && !is_plain; c++)
        if (unpack_channel(file, count, rgba + c, err)) return -1;
    return 0;
}

static int decode_packed(const Size *size, const Entry *packed, const Entry *mask, PfImage *image,
                         PfError *err)
{
    size_t count = (size_t)size->side * (size_t)size->side;
    PfCursor file = pf_cursor(packed->bytes, packed->size, 0);
    /* Before those of 128 x 128 stand four zeros. */
    if (size->side == 128) {
        const uint8_t *zeros = pf_cursor_take(&file, 4);
        if (!zeros || pf_get_be32(zeros))
            return pf_image_bad(err, "broken ICNS: run lengths that do not begin with zeros");
    }
    if (mask->bytes && mask->size < count)
        return pf_image_bad(err, "broken ICNS: a mask of %zu bytes; expected %zu", mask->size,
                            count);
    if (pf_image_resize_rgba(image, size->side, size->side, err) ||
        unpack(&file, count, image->pixels, err))
        return -1;
    for (size_t i = 0; i < count; i++)
        image->pixels[4 * i + 3] = mask->bytes ? mask->bytes[i] : 255;
    pf_image_flatten(image, image->pixels, image->pixels, count);
    return 0;
}

static int decode_jpeg2000(const Entry *entry, int least_side, PfImage *image, PfError *err)
{
    if (pf_image_jpeg2000_open(err)) return -1;
    return pf_image_jpeg2000_decode(entry->bytes, entry->size, least_side, image, err);
}

int pf_image_icns_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                         PfError *err)
{
    Entry found[SIZES][KINDS] = {{{NULL, 0}}};
    if (read_entries(bytes, size, found, err)) return -1;
    for (int i = 0; i < SIZES; i++) {
        const Entry *picture = &found[i][PICTURE], *packed = &found[i][PACKED];
        if (picture->bytes && is_png(picture))
            return pf_image_png_decode(picture->bytes, picture->size, least_side, image, err);
        if (picture->bytes && is_jpeg2000(picture))
            return decode_jpeg2000(picture, least_side, image, err);
        if (picture->bytes)
            return pf_image_bad(err, "ICNS whose largest picture is neither PNG nor JPEG 2000, "
                                     "which is not supported");
        if (packed->bytes) return decode_packed(&sizes[i], packed, &found[i][MASK], image, err);
    }
    return pf_image_bad(err, "ICNS without a picture in colour, which is not supported");
}
