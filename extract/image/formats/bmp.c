/* Windows and OS/2 bitmaps of 1, 4, 8, 16, 24 and 32 bits, as PIL reads them: plain, with masks, or
 * run lengths. The same without their file header are in icons and cursors. */
#include <string.h>

#include "extract/image/formats/bmp.h"
#include "extract/image/formats/raster.h"

enum {
    FILE_HEADER_SIZE = 14,
    CORE_HEADER_SIZE = 12, /* OS/2's, with sizes of 16 bits and no compression */
    INFO_HEADER_SIZE = 40, /* Windows', which all longer ones begin with */
    COMPRESSION_NONE = 0,
    COMPRESSION_RLE8 = 1,
    COMPRESSION_RLE4 = 2,
    COMPRESSION_BITFIELDS = 3,
};

typedef struct Channel {
    uint32_t mask;
    int shift;
    uint8_t values[256]; /* a masked value, shifted down, to 8 bits */
} Channel;

typedef struct Bitmap {
    PfBmpLayout layout;
    uint32_t compression, color_count;
    int color_bytes;     /* of a palette's entry */
    PfPalette palette;   /* up to 8 bits */
    Channel channels[4]; /* RGB and, with has_alpha, A; from 16 bits on */
    bool has_alpha;
} Bitmap;

static int truncated(size_t size, PfError *err)
{
    return pf_image_bad(err, "truncated BMP: ends after %zu bytes", size);
}

static void read_core_header(const uint8_t *info, Bitmap *bitmap)
{
    bitmap->layout.width = pf_get_le16(info + 4);
    bitmap->layout.height = pf_get_le16(info + 6);
    bitmap->layout.bits = (int)pf_get_le16(info + 10);
    bitmap->color_bytes = 3;
}

static void read_info_header(const uint8_t *info, Bitmap *bitmap)
{
    PfBmpLayout *layout = &bitmap->layout;
    layout->width = pf_get_le32(info + 4);
    layout->height = (int32_t)pf_get_le32(info + 8);
    layout->is_top_down = layout->height < 0;
    if (layout->is_top_down) layout->height = -layout->height;
    layout->bits = (int)pf_get_le16(info + 14);
    bitmap->compression = pf_get_le32(info + 16);
    bitmap->color_count = pf_get_le32(info + 32);
    bitmap->color_bytes = 4;
}

static int read_header(PfCursor *file, Bitmap *bitmap, PfError *err)
{
    const uint8_t *info = file->bytes + file->position;
    if (pf_cursor_left(file) < 4) return truncated(file->size, err);
    uint32_t size = pf_get_le32(info);
    if (size != CORE_HEADER_SIZE && size != INFO_HEADER_SIZE && size != 52 && size != 56 &&
        size != 64 && size != 108 && size != 124)
        return pf_image_bad(
            err, "BMP with a header of %u bytes; expected 12, 40, 52, 56, 64, 108 or 124", size);
    if (!pf_cursor_take(file, size)) return truncated(file->size, err);
    if (size == CORE_HEADER_SIZE)
        read_core_header(info, bitmap);
    else
        read_info_header(info, bitmap);
    return 0;
}

/* Whether it is what PIL takes for no palette at all: black and white, or the grey of each index.
 */
static bool is_grey(const Bitmap *bitmap, uint32_t count)
{
    int bits = bitmap->layout.bits;
    if (bits == 1 ? count > 2 : bits != 8 || count <= 2 || count > 256) return false;
    for (uint32_t i = 0; i < count; i++)
        for (int c = 0; c < 3; c++)
            if (bitmap->palette[i][c] != (count == 2 ? i * 255 : i)) return false;
    return true;
}

/* Entries that the file does not have are black. */
static int read_palette(PfCursor *file, Bitmap *bitmap, size_t *offset, PfError *err)
{
    uint32_t count = bitmap->color_count ? bitmap->color_count : 1u << bitmap->layout.bits;
    if (count > 65536) return pf_image_bad(err, "BMP with a palette of %u colours", count);
    size_t start = file->position, size = (size_t)bitmap->color_bytes * count;
    /* Some writers point to the palette as if it were the pixels. */
    if (*offset == start || !*offset) *offset = start + size;
    if (size > pf_cursor_left(file)) size = pf_cursor_left(file);
    const uint8_t *color = pf_cursor_take(file, size);
    size_t there = size / (size_t)bitmap->color_bytes;
    for (size_t i = 0; i < there && i < 256; i++, color += bitmap->color_bytes)
        for (int c = 0; c < 3; c++) bitmap->palette[i][c] = color[2 - c];
    bitmap->layout.is_grey = count <= there && is_grey(bitmap, count);
    return 0;
}

/* A mask's channel: where it lies, and its values times 255 / largest. */
static int set_channel(Channel *channel, uint32_t mask, PfError *err)
{
    int shift = 0;
    if (mask != 0)
        while (!(mask >> shift & 1)) shift++;
    uint32_t largest = mask >> shift;
    if (mask == 0 || largest > 255 || (largest & (largest + 1)))
        return pf_image_bad(err, "BMP with the colour mask 0x%08x, which is not supported", mask);
    channel->mask = mask;
    channel->shift = shift;
    for (uint32_t i = 0; i <= largest; i++) channel->values[i] = (uint8_t)(i * 255 / largest);
    return 0;
}

/* As in PIL alpha is there in pixels of 32 bits alone, if the header has room for its mask, or if
 * the other masks are 0. A mask that is none of alpha is passed over. */
static void set_alpha(Bitmap *bitmap, uint32_t mask)
{
    bitmap->has_alpha =
        mask && bitmap->layout.bits == 32 && !set_channel(&bitmap->channels[3], mask, NULL);
}

/* Masks stand after the shortest of Windows' headers, which is inside the longer ones. */
static int read_masks(PfCursor *file, size_t header_at, Bitmap *bitmap, size_t *offset,
                      PfError *err)
{
    static const uint32_t bgr15[3] = {0x7c00, 0x3e0, 0x1f}, bgr24[3] = {0xff0000, 0xff00, 0xff};
    enum { ALPHA_AT = INFO_HEADER_SIZE + 12 };
    uint32_t given[4] = {0};
    bool has_masks = bitmap->compression == COMPRESSION_BITFIELDS;
    if (has_masks) {
        PfCursor at = pf_cursor(file->bytes, file->size, header_at + INFO_HEADER_SIZE);
        const uint8_t *bytes = pf_cursor_take(&at, 12);
        if (!bytes) return truncated(file->size, err);
        for (int c = 0; c < 3; c++) given[c] = pf_get_le32(bytes + 4 * c);
        /* Headers from this size on have it. */
        if (file->position >= header_at + ALPHA_AT + 4) given[3] = pf_get_le32(bytes + 12);
        if (file->position < at.position) file->position = at.position;
    }
    if (!*offset) *offset = file->position;
    const uint32_t *masks = given;
    bool has_none = !given[0] && !given[1] && !given[2];
    if (has_none) masks = bitmap->layout.bits == 16 ? bgr15 : bgr24;
    set_alpha(bitmap, has_masks && has_none ? 0xff000000 : given[3]);
    for (int c = 0; c < 3; c++)
        if (set_channel(&bitmap->channels[c], masks[c], err)) return -1;
    return 0;
}

static int check_kind(const Bitmap *bitmap, PfError *err)
{
    int bits = bitmap->layout.bits;
    bool indexed = bits == 1 || bits == 4 || bits == 8;
    bool masked = bits == 16 || bits == 24 || bits == 32;
    if (!indexed && !masked) return pf_image_bad(err, "BMP with %d bits per pixel", bits);
    bool is_read = bitmap->compression == COMPRESSION_NONE ||
                   (masked ? bitmap->compression == COMPRESSION_BITFIELDS
                           : bitmap->compression == COMPRESSION_RLE4 ||
                                 bitmap->compression == COMPRESSION_RLE8);
    if (is_read) return 0;
    return pf_image_bad(err, "BMP with compression %u, which is not supported",
                        bitmap->compression);
}

/* offset: of the pixels; 0: behind the headers. */
static int read_layout(const uint8_t *bytes, size_t size, size_t header_at, size_t offset,
                       Bitmap *bitmap, PfError *err)
{
    PfCursor file = pf_cursor(bytes, size, header_at);
    if (read_header(&file, bitmap, err) || check_kind(bitmap, err)) return -1;
    PfBmpLayout *layout = &bitmap->layout;
    layout->offset = offset;
    layout->is_packed =
        bitmap->compression == COMPRESSION_RLE4 || bitmap->compression == COMPRESSION_RLE8;
    return layout->bits <= 8 ? read_palette(&file, bitmap, &layout->offset, err)
                             : read_masks(&file, header_at, bitmap, &layout->offset, err);
}

/* ---- run lengths ---- */

/* Pixels that are being unpacked, a byte each. */
typedef struct Unpacking {
    PfCursor file;
    PfRaster *out;
    bool is_4_bit;
    size_t x, width;
} Unpacking;

static void put_pair_run(Unpacking *unpacking, uint8_t pair, size_t count)
{
    uint8_t pixels[255];
    for (size_t i = 0; i < count; i++) pixels[i] = i % 2 ? pair & 15 : pair >> 4;
    pf_raster_put_bytes(unpacking->out, pixels, count);
}

/* What would go beyond the row is dropped. */
static void put_run(Unpacking *unpacking, uint8_t value, size_t count)
{
    size_t room = unpacking->x < unpacking->width ? unpacking->width - unpacking->x : 0;
    if (count > room) count = room;
    if (unpacking->is_4_bit)
        put_pair_run(unpacking, value, count);
    else
        pf_raster_put_run(unpacking->out, value, count);
    unpacking->x += count;
}

static void end_row(Unpacking *unpacking)
{
    size_t over = unpacking->out->filled % unpacking->width;
    if (over) pf_raster_put_run(unpacking->out, 0, unpacking->width - over);
    unpacking->x = 0;
}

/* Pixels that are passed over are 0. */
static bool pass_over(Unpacking *unpacking)
{
    const uint8_t *delta = pf_cursor_take(&unpacking->file, 2);
    if (!delta) return false;
    pf_raster_put_run(unpacking->out, 0, delta[0] + delta[1] * unpacking->width);
    unpacking->x = unpacking->out->filled % unpacking->width;
    return true;
}

/* Pixels as they are, padded to an even place in the file. */
static bool put_literals(Unpacking *unpacking, size_t count)
{
    PfCursor *file = &unpacking->file;
    const uint8_t *bytes = pf_cursor_take(file, unpacking->is_4_bit ? (count + 1) / 2 : count);
    if (!bytes) return false;
    if (!unpacking->is_4_bit)
        pf_raster_put_bytes(unpacking->out, bytes, count);
    else
        for (size_t i = 0; i < count; i++)
            pf_raster_put_run(unpacking->out, i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4, 1);
    unpacking->x += count;
    if (file->position % 2) pf_cursor_byte(file);
    return true;
}

/* One instruction. False at the end of the picture. */
static bool unpack_step(Unpacking *unpacking)
{
    int count = pf_cursor_byte(&unpacking->file), value = pf_cursor_byte(&unpacking->file);
    if (value < 0) return false;
    if (count) {
        put_run(unpacking, (uint8_t)value, (size_t)count);
        return true;
    }
    if (value == 0) end_row(unpacking);
    if (value == 1) return false;
    if (value == 2) return pass_over(unpacking);
    return value == 0 || put_literals(unpacking, (size_t)value);
}

static int unpack(PfCursor file, const Bitmap *bitmap, PfRaster *raster, PfImage *image,
                  PfError *err)
{
    Unpacking unpacking = {.file = file,
                           .out = raster,
                           .is_4_bit = bitmap->compression == COMPRESSION_RLE4,
                           .width = raster->stride};
    for (size_t steps = 0; raster->filled < pf_raster_size(raster); steps++) {
        if (steps % 65536 == 0 && pf_image_is_interrupted(&image->limits))
            return pf_image_interrupted(err);
        if (!unpack_step(&unpacking)) break;
    }
    size_t pixels = pf_raster_size(raster);
    if (raster->filled == pixels) return 0;
    return pf_image_bad(err, "truncated BMP: %zu of %zu run-length coded pixels", raster->filled,
                        pixels);
}

/* ---- pixels ---- */

static uint32_t get_pixel(const uint8_t *bytes, int count)
{
    uint32_t value = 0;
    while (count-- > 0) value = value << 8 | bytes[count];
    return value;
}

static void put_masked_row(const Bitmap *bitmap, const uint8_t *row, uint8_t *out)
{
    int bytes = bitmap->layout.bits / 8, channels = bitmap->has_alpha ? 4 : 3;
    for (int x = 0; x < (int)bitmap->layout.width; x++, row += bytes) {
        uint32_t pixel = get_pixel(row, bytes);
        for (int c = 0; c < channels; c++) {
            const Channel *channel = &bitmap->channels[c];
            *out++ = channel->values[(pixel & channel->mask) >> channel->shift];
        }
    }
}

static void put_rows(const Bitmap *bitmap, const PfRaster *raster, PfImage *image)
{
    const PfBmpLayout *layout = &bitmap->layout;
    for (int y = 0; y < image->height; y++) {
        int line = layout->is_top_down ? y : image->height - 1 - y;
        const uint8_t *row = pf_raster_row(raster, (size_t)line);
        uint8_t *out = pf_raster_begin_row(raster, image, y);
        if (layout->bits > 8)
            put_masked_row(bitmap, row, out);
        else
            pf_palette_put_row(bitmap->palette, row, layout->is_packed ? 8 : layout->bits,
                               image->width, 3, out);
        pf_raster_end_row(raster, image, y);
    }
}

static int decode_bitmap(const uint8_t *bytes, size_t size, const Bitmap *bitmap, PfImage *image,
                         PfError *err)
{
    const PfBmpLayout *layout = &bitmap->layout;
    PfCursor pixels = pf_cursor(bytes, size, layout->offset);
    bool packed = layout->is_packed;
    size_t bits = (size_t)layout->width * (size_t)layout->bits;
    PfRaster raster = {.row_bytes = packed ? (size_t)layout->width : (bits + 7) / 8,
                       .stride = packed ? 0 : (bits + 31) / 32 * 4,
                       .has_alpha = bitmap->has_alpha};
    int result = pf_raster_open(&raster, layout->width, layout->height, size, image, err);
    if (!result && packed) result = unpack(pixels, bitmap, &raster, image, err);
    if (!result && !packed) {
        pf_raster_copy(&raster, &pixels);
        result = pf_raster_check(&raster, "BMP", image, err);
    }
    if (!result) put_rows(bitmap, &raster, image);
    pf_raster_close(&raster);
    return result;
}

int pf_image_bmp_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    Bitmap bitmap = {0};
    if (size < FILE_HEADER_SIZE) return truncated(size, err);
    size_t offset = pf_get_le32(bytes + 10);
    return read_layout(bytes, size, FILE_HEADER_SIZE, offset, &bitmap, err) ||
                   decode_bitmap(bytes, size, &bitmap, image, err)
               ? -1
               : 0;
}

bool pf_image_is_dib(const uint8_t *bytes, size_t size)
{
    if (size < INFO_HEADER_SIZE || pf_get_le32(bytes) != INFO_HEADER_SIZE ||
        pf_get_le16(bytes + 12) != 1)
        return false;
    Bitmap bitmap = {0};
    read_info_header(bytes, &bitmap);
    return bitmap.layout.width > 0 && bitmap.layout.height > 0 && !check_kind(&bitmap, NULL);
}

int pf_image_dib_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    Bitmap bitmap = {0};
    return read_layout(bytes, size, 0, 0, &bitmap, err) ||
                   decode_bitmap(bytes, size, &bitmap, image, err)
               ? -1
               : 0;
}

int pf_bmp_decode_icon(const uint8_t *bytes, size_t size, size_t at, PfBmpAlpha alpha,
                       PfImage *image, PfBmpLayout *layout, PfError *err)
{
    Bitmap bitmap = {0};
    if (read_layout(bytes, size, at, 0, &bitmap, err)) return -1;
    if (alpha == PF_BMP_NO_ALPHA) bitmap.has_alpha = false;
    if (alpha == PF_BMP_ALL_ALPHA && bitmap.compression == COMPRESSION_NONE)
        set_alpha(&bitmap, 0xff000000);
    bitmap.layout.height /= 2;
    *layout = bitmap.layout;
    return decode_bitmap(bytes, size, &bitmap, image, err);
}

int pf_bmp_decode_with_mask(const uint8_t *bytes, size_t size, size_t at, PfImage *image,
                            PfError *err)
{
    Bitmap bitmap = {0};
    if (read_layout(bytes, size, at, 0, &bitmap, err)) return -1;
    bitmap.layout.height -= bitmap.layout.height % 2;
    return decode_bitmap(bytes, size, &bitmap, image, err);
}
