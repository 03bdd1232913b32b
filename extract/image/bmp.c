/* Uncompressed Windows bitmaps of 1, 4, 8, 16, 24 and 32 bits, as PIL reads them. */
#include <string.h>

#include "extract/image/internal.h"

enum { FILE_HEADER_SIZE = 14, COMPRESSION_NONE = 0, COMPRESSION_BITFIELDS = 3 };

typedef struct Bitmap {
    int64_t width, height;
    bool top_down;
    int bits;
    uint32_t compression, color_count;
    size_t offset, stride;    /* of the pixels */
    uint8_t palette[256][3];  /* RGB; up to 8 bits */
    uint32_t masks[3];        /* RGB; from 16 bits on */
    uint8_t channels[3][256]; /* a masked value, shifted down, to 8 bits */
    int shifts[3];
} Bitmap;

static uint32_t get_le(const uint8_t *bytes, int count)
{
    uint32_t value = 0;
    while (count-- > 0) value = value << 8 | bytes[count];
    return value;
}

static int truncated(size_t size, PfError *err)
{
    return pf_image_bad(err, "truncated BMP: ends after %zu bytes", size);
}

/* The header of 40 bytes, which the longer ones begin with. */
static int read_header(const uint8_t *bytes, size_t size, const PfImageLimits *limits,
                       Bitmap *bitmap, PfError *err)
{
    if (size < FILE_HEADER_SIZE + 40) return truncated(size, err);
    const uint8_t *info = bytes + FILE_HEADER_SIZE;
    uint32_t info_size = get_le(info, 4);
    if (info_size != 40 && info_size != 64 && info_size != 108 && info_size != 124)
        return pf_image_bad(err, "BMP with a header of %u bytes; expected 40, 64, 108 or 124",
                            info_size);
    if (size < FILE_HEADER_SIZE + info_size) return truncated(size, err);
    bitmap->offset = get_le(bytes + 10, 4);
    bitmap->width = get_le(info + 4, 4);
    bitmap->height = (int32_t)get_le(info + 8, 4);
    bitmap->top_down = bitmap->height < 0;
    if (bitmap->top_down) bitmap->height = -bitmap->height;
    bitmap->bits = (int)get_le(info + 14, 2);
    bitmap->compression = get_le(info + 16, 4);
    bitmap->color_count = get_le(info + 32, 4);
    bitmap->stride = ((size_t)bitmap->width * (size_t)bitmap->bits + 31) / 32 * 4;
    return pf_image_check_size(limits, bitmap->width, bitmap->height, err);
}

/* Entries that the file does not have are grey, as in PIL. */
static int read_palette(const uint8_t *bytes, size_t size, Bitmap *bitmap, PfError *err)
{
    size_t start = FILE_HEADER_SIZE + (size_t)get_le(bytes + FILE_HEADER_SIZE, 4);
    uint32_t count = bitmap->color_count ? bitmap->color_count : 1u << bitmap->bits;
    if (count > 256) count = 256;
    if (size - start < 4 * (size_t)count) return truncated(size, err);
    for (uint32_t i = 0; i < 256; i++)
        for (int c = 0; c < 3; c++)
            bitmap->palette[i][c] = i < count ? bytes[start + 4 * i + 2 - (size_t)c] : (uint8_t)i;
    /* Some writers point to the palette as if it were the pixels. */
    if (bitmap->offset == start) bitmap->offset += 4 * (size_t)count;
    return 0;
}

/* A mask's channel: where it lies, and its values times 255 / largest. */
static int set_channel(Bitmap *bitmap, int channel, uint32_t mask, PfError *err)
{
    int shift = 0;
    if (mask != 0)
        while (!(mask >> shift & 1)) shift++;
    uint32_t largest = mask >> shift;
    if (mask == 0 || largest > 255 || (largest & (largest + 1)))
        return pf_image_bad(err, "BMP with the colour mask 0x%08x, which is not supported", mask);
    bitmap->masks[channel] = mask;
    bitmap->shifts[channel] = shift;
    for (uint32_t i = 0; i <= largest; i++)
        bitmap->channels[channel][i] = (uint8_t)(i * 255 / largest);
    return 0;
}

static int read_masks(const uint8_t *bytes, size_t size, Bitmap *bitmap, PfError *err)
{
    static const uint32_t bgr15[3] = {0x7c00, 0x3e0, 0x1f}, bgr24[3] = {0xff0000, 0xff00, 0xff};
    uint32_t given[3] = {0};
    size_t start = FILE_HEADER_SIZE + 40; /* after the short header, inside the long ones */
    if (bitmap->compression == COMPRESSION_BITFIELDS) {
        if (size < start + 12) return truncated(size, err);
        for (int c = 0; c < 3; c++) given[c] = get_le(bytes + start + 4 * c, 4);
    }
    const uint32_t *masks = given;
    if (!given[0] && !given[1] && !given[2]) masks = bitmap->bits == 16 ? bgr15 : bgr24;
    for (int c = 0; c < 3; c++)
        if (set_channel(bitmap, c, masks[c], err)) return -1;
    return 0;
}

static void read_indexed_row(const Bitmap *bitmap, const uint8_t *row, uint8_t *out)
{
    int bits = bitmap->bits, mask = (1 << bits) - 1, per_byte = 8 / bits;
    for (int x = 0; x < (int)bitmap->width; x++, out += 3) {
        int shift = (per_byte - 1 - x % per_byte) * bits;
        memcpy(out, bitmap->palette[row[x / per_byte] >> shift & mask], 3);
    }
}

static void read_masked_row(const Bitmap *bitmap, const uint8_t *row, uint8_t *out)
{
    int bytes = bitmap->bits / 8;
    for (int x = 0; x < (int)bitmap->width; x++, row += bytes) {
        uint32_t pixel = get_le(row, bytes);
        for (int c = 0; c < 3; c++)
            *out++ = bitmap->channels[c][(pixel & bitmap->masks[c]) >> bitmap->shifts[c]];
    }
}

static int read_layout(const uint8_t *bytes, size_t size, const PfImageLimits *limits,
                       Bitmap *bitmap, PfError *err)
{
    if (read_header(bytes, size, limits, bitmap, err)) return -1;
    int bits = bitmap->bits;
    bool indexed = bits == 1 || bits == 4 || bits == 8;
    bool masked = bits == 16 || bits == 24 || bits == 32;
    if (bitmap->compression != COMPRESSION_NONE &&
        !(masked && bitmap->compression == COMPRESSION_BITFIELDS))
        return pf_image_bad(err, "BMP with compression %u, which is not supported",
                            bitmap->compression);
    if (!indexed && !masked) return pf_image_bad(err, "BMP with %d bits per pixel", bits);
    if (indexed ? read_palette(bytes, size, bitmap, err) : read_masks(bytes, size, bitmap, err))
        return -1;
    /* Checked before anything is allocated. Both factors have been bounded. */
    if (bitmap->offset > size || (size - bitmap->offset) / bitmap->stride < (size_t)bitmap->height)
        return truncated(size, err);
    return 0;
}

int pf_image_bmp_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    Bitmap bitmap = {0};
    if (read_layout(bytes, size, &image->limits, &bitmap, err) ||
        pf_image_resize_buffer(image, bitmap.width, bitmap.height, err))
        return -1;
    for (int y = 0; y < image->height; y++) {
        int line = bitmap.top_down ? y : image->height - 1 - y;
        const uint8_t *row = bytes + bitmap.offset + (size_t)line * bitmap.stride;
        uint8_t *out = image->pixels + 3 * (size_t)y * (size_t)image->width;
        if (bitmap.bits <= 8)
            read_indexed_row(&bitmap, row, out);
        else
            read_masked_row(&bitmap, row, out);
    }
    return 0;
}
