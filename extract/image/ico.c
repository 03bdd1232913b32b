/* Windows icons and cursors: the picture of them that PIL takes. Where it is transparent does not
 * change RGB values, but for cursors in black and white. */
#include <string.h>

#include "extract/image/bmp.h"
#include "extract/image/bytes.h"

enum { HEADER_SIZE = 6, ENTRY_SIZE = 16 };

typedef struct Entry {
    int width, height, depth; /* what the directory says */
    int bits;
    size_t size, offset;
} Entry;

static int truncated(const char *kind, size_t size, PfError *err)
{
    return pf_image_bad(err, "truncated %s: ends after %zu bytes", kind, size);
}

/* Bits per pixel, or what the number of colours says; 256 where neither is known. */
static int depth_of(int bits, int colors)
{
    if (bits) return bits;
    if (!colors) return 256;
    int depth = 0;
    while (1 << depth < colors) depth++;
    return depth ? depth : 256;
}

static Entry get_entry(const uint8_t *bytes)
{
    int bits = (int)pf_get_le16(bytes + 6);
    return (Entry){.width = bytes[0] ? bytes[0] : 256,
                   .height = bytes[1] ? bytes[1] : 256,
                   .depth = depth_of(bits, bytes[2]),
                   .bits = bits,
                   .size = pf_get_le32(bytes + 8),
                   .offset = pf_get_le32(bytes + 12)};
}

/* The largest; of those the one with the fewest colours; of those the first. */
static bool is_better_icon(const Entry *entry, const Entry *best)
{
    int square = entry->width * entry->height, best_square = best->width * best->height;
    return square != best_square ? square > best_square : entry->depth < best->depth;
}

static int find_entry(const uint8_t *bytes, size_t size, const char *kind,
                      bool (*is_better)(const Entry *entry, const Entry *best), Entry *best,
                      PfError *err)
{
    PfCursor file = pf_cursor(bytes, size, HEADER_SIZE);
    if (size < HEADER_SIZE) return truncated(kind, size, err);
    uint32_t count = pf_get_le16(bytes + 4);
    if (count == 0) return pf_image_bad(err, "%s without a picture", kind);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *at = pf_cursor_take(&file, ENTRY_SIZE);
        if (!at) return truncated(kind, size, err);
        Entry entry = get_entry(at);
        if (i == 0 || is_better(&entry, best)) *best = entry;
    }
    return best->offset < size ? 0 : truncated(kind, size, err);
}

/* There are pictures, and of the first the reserved byte is 0. */
static bool is_likely(const uint8_t *bytes, size_t size, const char *signature)
{
    return size >= HEADER_SIZE + ENTRY_SIZE && !memcmp(bytes, signature, 4) &&
           pf_get_le16(bytes + 4) && !bytes[9];
}

bool pf_image_is_ico(const uint8_t *bytes, size_t size)
{
    return is_likely(bytes, size, "\0\0\1");
}

bool pf_image_is_cur(const uint8_t *bytes, size_t size)
{
    return is_likely(bytes, size, "\0\0\2");
}

static bool is_png(const uint8_t *bytes, size_t size, size_t at)
{
    return size - at >= 8 && !memcmp(bytes + at, "\x89PNG\r\n\x1a\n", 8);
}

/* ---- icons ---- */

/* The mask is the last that belongs to the picture, a bit for each pixel; of 32-bit pictures the
 * fourth byte of each pixel. */
static int check_mask(const Entry *entry, const PfBmpLayout *layout, size_t size, PfError *err)
{
    uint64_t pixels = (uint64_t)layout->width * (uint64_t)layout->height;
    uint64_t mask = (uint64_t)(layout->width + 31) / 32 * 4 * (uint64_t)layout->height;
    uint64_t end = entry->bits == 32 ? layout->offset + 4 * pixels : entry->offset + entry->size;
    if (end <= size && (entry->bits == 32 || mask <= end)) return 0;
    return pf_image_bad(err, "truncated ICO: ends after %zu bytes in its mask", size);
}

int pf_image_ico_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    Entry entry = {0};
    PfBmpLayout layout;
    if (find_entry(bytes, size, "ICO", is_better_icon, &entry, err)) return -1;
    if (is_png(bytes, size, entry.offset))
        return pf_image_png_decode(bytes + entry.offset, size - entry.offset, least_side, image,
                                   err);
    if (pf_bmp_decode_icon(bytes, size, entry.offset, image, &layout, err)) return -1;
    return image->keep_truncated ? 0 : check_mask(&entry, &layout, size, err);
}

/* ---- cursors ---- */

/* The first that is wider and higher than the best before it; 256 counts as 0 here. */
static bool is_better_cursor(const Entry *entry, const Entry *best)
{
    return entry->width % 256 > best->width % 256 && entry->height % 256 > best->height % 256;
}

static bool is_black_and_white(const PfImage *image)
{
    size_t count = 3 * (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < count; i++)
        if (image->pixels[i] != 0 && image->pixels[i] != 255) return false;
    return true;
}

/* Black where the mask, which follows the pixels, says transparent. */
static int apply_mask(const uint8_t *bytes, size_t size, const PfBmpLayout *layout, PfImage *image,
                      PfError *err)
{
    size_t stride = (size_t)(image->width + 31) / 32 * 4, picture = stride * (size_t)image->height;
    PfCursor file = pf_cursor(bytes, size, layout->offset + picture);
    const uint8_t *mask = pf_cursor_take(&file, picture);
    if (!mask) return truncated("CUR", size, err);
    for (int y = 0; y < image->height; y++, mask += stride) {
        int line = layout->is_top_down ? y : image->height - 1 - y;
        uint8_t *row = image->pixels + 3 * (size_t)line * (size_t)image->width;
        for (int x = 0; x < image->width; x++)
            if (mask[x / 8] >> (7 - x % 8) & 1) memset(row + 3 * x, 0, 3);
    }
    return 0;
}

int pf_image_cur_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    Entry entry = {0};
    PfBmpLayout layout;
    if (find_entry(bytes, size, "CUR", is_better_cursor, &entry, err)) return -1;
    if (is_png(bytes, size, entry.offset))
        return pf_image_png_decode(bytes + entry.offset, size - entry.offset, least_side, image,
                                   err);
    if (pf_bmp_decode_icon(bytes, size, entry.offset, image, &layout, err)) return -1;
    if (layout.bits != 1 || !is_black_and_white(image)) return 0;
    return apply_mask(bytes, size, &layout, image, err);
}
