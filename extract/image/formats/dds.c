/* DirectDraw surfaces, textures of games: the first and largest picture, in blocks of 4 x 4 pixels
 * or plain, as PIL reads them. */
#include <string.h>

#include "extract/image/formats/raster.h"
#include "extract/image/formats/texture.h"

enum {
    HEADER_SIZE = 128, /* with the signature */
    MORE_HEADER_SIZE = 20,
    HAS_ALPHA = 0x1, /* flags of the pixels' format */
    HAS_CODE = 0x4,
    HAS_PALETTE = 0x20,
    HAS_COLORS = 0x40,
    HAS_GREY = 0x20000,
};

/* The codes of blocks: four letters, or behind DX10 a number. */
static const struct {
    const char *letters;
    uint32_t first, last; /* numbers */
    PfTextureKind kind;
} codes[] = {
    {"DXT1", 70, 71, PF_TEXTURE_BC1}, {"DXT3", 73, 74, PF_TEXTURE_BC2},
    {"DXT5", 76, 77, PF_TEXTURE_BC3}, {"BC4U", 79, 80, PF_TEXTURE_BC4},
    {"ATI1", 79, 80, PF_TEXTURE_BC4}, {"BC5U", 82, 83, PF_TEXTURE_BC5},
    {"ATI2", 82, 83, PF_TEXTURE_BC5}, {"BC5S", 84, 84, PF_TEXTURE_BC5_SIGNED},
    {"", 95, 95, PF_TEXTURE_BC6},     {"", 96, 96, PF_TEXTURE_BC6_SIGNED},
    {"", 97, 99, PF_TEXTURE_BC7},
};

/* A channel of pixels that are stored as numbers. */
typedef struct Channel {
    uint32_t mask, largest;
    int shift;
} Channel;

typedef struct Surface {
    int64_t width, height;
    size_t offset; /* of the pixels */
    bool is_blocks;
    PfTextureKind kind;
    int pixel_bytes; /* 1 to 4, where it is plain */
    Channel channels[4];
    PfPalette palette; /* of pixels of one byte, and of grey ones */
    bool is_indexed;
    bool has_alpha; /* of plain pixels; behind grey it is the second byte */
} Surface;

static int truncated(size_t size, PfError *err)
{
    return pf_image_bad(err, "truncated DDS: ends after %zu bytes", size);
}

static void set_channel(Channel *channel, uint32_t mask)
{
    *channel = (Channel){.mask = mask};
    while (mask && !(mask >> channel->shift & 1)) channel->shift++;
    channel->largest = mask >> channel->shift;
}

static int set_masks(Surface *surface, uint32_t bits, const uint32_t masks[4], PfError *err)
{
    surface->pixel_bytes = (int)(bits / 8);
    if (bits < 8 || bits > 32) return pf_image_bad(err, "DDS with %u bits per pixel", bits);
    for (int c = 0; c < 4; c++) set_channel(&surface->channels[c], masks[c]);
    return 0;
}

/* 28 to 30: four bytes, red first. */
static int read_number(const uint8_t *bytes, size_t size, Surface *surface, PfError *err)
{
    static const uint32_t rgba[4] = {0xff, 0xff00, 0xff0000, 0xff000000};
    if (size < HEADER_SIZE + MORE_HEADER_SIZE) return truncated(size, err);
    uint32_t number = pf_get_le32(bytes + HEADER_SIZE);
    surface->offset = HEADER_SIZE + MORE_HEADER_SIZE;
    surface->has_alpha = number >= 27 && number <= 29;
    if (surface->has_alpha) return set_masks(surface, 32, rgba, err);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (number >= codes[i].first && number <= codes[i].last) {
            surface->is_blocks = true;
            surface->kind = codes[i].kind;
            return 0;
        }
    return pf_image_bad(err, "DDS of DXGI format %u, which is not supported", number);
}

static int read_code(const uint8_t *bytes, size_t size, Surface *surface, PfError *err)
{
    const uint8_t *code = bytes + 84;
    if (!memcmp(code, "DX10", 4)) return read_number(bytes, size, surface, err);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (*codes[i].letters && !memcmp(code, codes[i].letters, 4)) {
            surface->is_blocks = true;
            surface->kind = codes[i].kind;
            return 0;
        }
    return pf_image_bad(err, "DDS of format '%.4s', which is not supported", (const char *)code);
}

/* Four bytes for each colour, red first, alpha last. */
static int read_palette(const uint8_t *bytes, size_t size, Surface *surface, PfError *err)
{
    PfCursor file = pf_cursor(bytes, size, HEADER_SIZE);
    const uint8_t *colors = pf_cursor_take(&file, 4 * 256);
    if (!colors) return truncated(size, err);
    memcpy(surface->palette, colors, sizeof surface->palette);
    surface->has_alpha = true;
    surface->pixel_bytes = 1;
    surface->is_indexed = true;
    surface->offset = file.position;
    return 0;
}

static int read_layout(const uint8_t *bytes, size_t size, Surface *surface, PfError *err)
{
    if (size < HEADER_SIZE) return truncated(size, err);
    *surface = (Surface){
        .height = pf_get_le32(bytes + 12), .width = pf_get_le32(bytes + 16), .offset = HEADER_SIZE};
    uint32_t flags = pf_get_le32(bytes + 80), bits = pf_get_le32(bytes + 88);
    uint32_t masks[4];
    for (int c = 0; c < 4; c++) masks[c] = pf_get_le32(bytes + 92 + 4 * c);
    surface->has_alpha = flags & HAS_ALPHA && flags & (HAS_COLORS | HAS_GREY);
    if (flags & HAS_COLORS) return set_masks(surface, bits, masks, err);
    if (flags & HAS_GREY) {
        surface->pixel_bytes = (int)bits / 8;
        surface->has_alpha = surface->has_alpha && bits == 16;
        surface->is_indexed = true;
        pf_palette_grey(surface->palette, 256);
        return bits == 8 || bits == 16 ? 0 : pf_image_bad(err, "DDS with %u bits of grey", bits);
    }
    if (flags & HAS_PALETTE) return read_palette(bytes, size, surface, err);
    if (flags & HAS_CODE) return read_code(bytes, size, surface, err);
    return pf_image_bad(err, "DDS with pixels of the kind 0x%x, which is not supported", flags);
}

/* Of so many channels: 3 for RGB, 4 for RGBA. */
static void put_pixel(const Surface *surface, const uint8_t *bytes, int channels, uint8_t *out)
{
    uint32_t value = 0;
    for (int i = surface->pixel_bytes; i-- > 0;) value = value << 8 | bytes[i];
    for (int c = 0; c < channels; c++) {
        const Channel *channel = &surface->channels[c];
        double sample = (value & channel->mask) >> channel->shift;
        out[c] = channel->largest ? (uint8_t)(sample / channel->largest * 255) : 0;
    }
}

static void put_row(const Surface *surface, const uint8_t *row, int width, int channels,
                    uint8_t *out)
{
    for (int x = 0; x < width; x++, row += surface->pixel_bytes, out += channels) {
        if (!surface->is_indexed) {
            put_pixel(surface, row, channels, out);
            continue;
        }
        memcpy(out, surface->palette[row[0]], (size_t)channels);
        if (channels == 4 && surface->pixel_bytes == 2) out[3] = row[1];
    }
}

static int decode_plain(const uint8_t *bytes, size_t size, const Surface *surface, PfImage *image,
                        PfError *err)
{
    PfCursor file = pf_cursor(bytes, size, surface->offset);
    PfRaster raster = {.row_bytes = (size_t)surface->width * (size_t)surface->pixel_bytes,
                       .has_alpha = surface->has_alpha};
    int result = pf_raster_open(&raster, surface->width, surface->height, size, image, err);
    if (!result) {
        pf_raster_copy(&raster, &file);
        /* As in PIL those with masks are not kept in part. */
        bool is_whole = raster.filled == pf_raster_size(&raster);
        result = is_whole || surface->is_indexed ? pf_raster_check(&raster, "DDS", image, err)
                                                 : truncated(size, err);
    }
    for (int y = 0; y < image->height && !result; y++) {
        const uint8_t *row = pf_raster_row(&raster, (size_t)y);
        uint8_t *out = pf_raster_begin_row(&raster, image, y);
        put_row(surface, row, image->width, pf_raster_channels(&raster), out);
        pf_raster_end_row(&raster, image, y);
    }
    pf_raster_close(&raster);
    return result;
}

/* Blocks stand out over the right and the lower edge. */
static void put_block(const PfTextureBlock block, int left, int top, PfImage *image)
{
    int columns = image->width - left < 4 ? image->width - left : 4;
    for (int y = 0; y < 4 && top + y < image->height; y++)
        pf_image_flatten(image, block[4 * y], pf_image_row(image, top + y) + 3 * (size_t)left,
                         (size_t)columns);
}

static int decode_blocks(const uint8_t *bytes, size_t size, const Surface *surface, PfImage *image,
                         PfError *err)
{
    PfCursor file = pf_cursor(bytes, size, surface->offset);
    size_t block_size = pf_texture_block_size(surface->kind);
    size_t blocks = (size_t)((surface->width + 3) / 4) * (size_t)((surface->height + 3) / 4);
    if (pf_image_check_size(&image->limits, surface->width, surface->height, err)) return -1;
    if (pf_cursor_left(&file) / block_size < blocks) return truncated(size, err);
    if (pf_image_resize_buffer(image, surface->width, surface->height, err)) return -1;
    for (int top = 0; top < image->height; top += 4) {
        if (pf_image_is_interrupted(&image->limits)) return pf_image_interrupted(err);
        for (int left = 0; left < image->width; left += 4) {
            PfTextureBlock pixels;
            pf_texture_decode(surface->kind, pf_cursor_take(&file, block_size), pixels);
            put_block(pixels, left, top, image);
        }
    }
    return 0;
}

int pf_image_dds_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                        PfError *err)
{
    (void)least_side;
    Surface surface = {0};
    if (read_layout(bytes, size, &surface, err)) return -1;
    return surface.is_blocks ? decode_blocks(bytes, size, &surface, image, err)
                             : decode_plain(bytes, size, &surface, image, err);
}
