/* Windows icons and cursors: the picture of them that PIL takes. */
#include <string.h>

#include "extract/image/formats/bmp.h"
#include "extract/image/formats/bytes.h"

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

/* The mask is the last that belongs to the picture, a bit for each pixel; of 32-bit pictures it is
 * the fourth byte of each pixel. NULL where the file ends before. */
static const uint8_t *find_mask(const Entry *entry, const PfBmpLayout *layout, const uint8_t *bytes,
                                size_t size)
{
    uint64_t width = (uint64_t)layout->width, height = (uint64_t)layout->height;
    uint64_t length = entry->bits == 32 ? 4 * width * height : (width + 31) / 32 * 4 * height;
    uint64_t end =
        entry->bits == 32 ? layout->offset + length : (uint64_t)entry->offset + entry->size;
    return end <= size && length <= end ? bytes + end - length : NULL;
}

/* Rows of the mask go upwards. A bit says transparent. */
static void apply_mask(const Entry *entry, const uint8_t *mask, PfImage *image)
{
    size_t width = (size_t)image->width, height = (size_t)image->height;
    size_t stride = entry->bits == 32 ? 4 * width : (width + 31) / 32 * 4;
    uint8_t *rgb = image->pixels;
    for (size_t y = 0; y < height; y++) {
        const uint8_t *row = mask + (height - 1 - y) * stride;
        for (size_t x = 0; x < width; x++, rgb += 3) {
            uint8_t rgba[4] = {rgb[0], rgb[1], rgb[2], 255};
            if (entry->bits == 32)
                rgba[3] = row[4 * x + 3];
            else if (row[x / 8] >> (7 - x % 8) & 1)
                rgba[3] = 0;
            pf_image_flatten(image, rgba, rgb, 1);
        }
    }
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
    if (pf_bmp_decode_icon(bytes, size, entry.offset, PF_BMP_NO_ALPHA, image, &layout, err))
        return -1;
    const uint8_t *mask = find_mask(&entry, &layout, bytes, size);
    if (mask) apply_mask(&entry, mask, image);
    if (mask || image->keep_truncated) return 0;
    return pf_image_bad(err, "truncated ICO: ends after %zu bytes in its mask", size);
}

/* ---- cursors ---- */

/* The first that is wider and higher than the best before it; 256 counts as 0 here. */
static bool is_better_cursor(const Entry *entry, const Entry *best)
{
    return entry->width % 256 > best->width % 256 && entry->height % 256 > best->height % 256;
}

/* Value times scale / 255, rounded. */
static uint8_t multiply(int value, int scale)
{
    int product = value * scale + 128;
    return (uint8_t)((product + (product >> 8)) >> 8);
}

/* The upper half of the image is the mask, in which white is transparent, and the lower one the
 * picture. As in PIL its grey is multiplied with what the mask lets through, and so is black where
 * nothing is seen. */
static void merge_halves(PfImage *image)
{
    image->height /= 2;
    size_t count = (size_t)image->width * (size_t)image->height;
    uint8_t *above = image->pixels;
    const uint8_t *below = image->pixels + 3 * count;
    for (size_t i = 0; i < count; i++, above += 3, below += 3) {
        uint8_t alpha = (uint8_t)(255 - above[0]), grey = multiply(below[0], alpha);
        pf_image_flatten(image, (uint8_t[4]){grey, grey, grey, alpha}, above, 1);
    }
}

/* Behind a directory of one picture. PIL takes the fourth byte for alpha there alone. */
enum { FIRST_PICTURE = HEADER_SIZE + ENTRY_SIZE };

int pf_image_cur_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    Entry entry = {0};
    PfBmpLayout layout;
    if (find_entry(bytes, size, "CUR", is_better_cursor, &entry, err)) return -1;
    if (is_png(bytes, size, entry.offset))
        return pf_image_png_decode(bytes + entry.offset, size - entry.offset, least_side, image,
                                   err);
    PfBmpAlpha alpha = entry.offset == FIRST_PICTURE ? PF_BMP_ALL_ALPHA : PF_BMP_MASKED_ALPHA;
    if (pf_bmp_decode_icon(bytes, size, entry.offset, alpha, image, &layout, err)) return -1;
    if (!layout.is_grey) return 0;
    if (pf_bmp_decode_with_mask(bytes, size, entry.offset, image, err)) return -1;
    merge_halves(image);
    return 0;
}
