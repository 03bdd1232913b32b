/* TIFF through libtiff: its first picture, in strips or tiles, chunky or planar, with whatever
 * compression libtiff has. libtiff decodes blocks; tiff_pixels.c makes RGB of their samples, as PIL
 * does. YCbCr alone, but for plain samples, is made RGB by libtiff, or by libjpeg behind it.
 *
 * TIFF's orientation tells how its rows are stored: pixels are turned here, as PIL does when it
 * loads them, and the image is upright whatever --exif says. */
#include <stdlib.h>
#include <string.h>

#include "extract/image/codecs/codec_library.h"
#include "extract/image/codecs/tiff_internal.h"

#ifndef PF_TIFF_SONAME

PF_CODEC_LEFT_OUT(tiff, "TIFF", "libtiff-dev")

#else
#include <tiffio.h>

#include "common/base/memory.h"
#include "common/base/printable.h"

#define FUNCTIONS(_)                                                                               \
    _(TIFFOpenOptionsAlloc)                                                                        \
    _(TIFFOpenOptionsFree)                                                                         \
    _(TIFFOpenOptionsSetMaxSingleMemAlloc)                                                         \
    _(TIFFOpenOptionsSetErrorHandlerExtR)                                                          \
    _(TIFFOpenOptionsSetWarningHandlerExtR)                                                        \
    _(TIFFClientOpenExt)                                                                           \
    _(TIFFClose)                                                                                   \
    _(TIFFGetField)                                                                                \
    _(TIFFGetFieldDefaulted)                                                                       \
    _(TIFFSetField)                                                                                \
    _(TIFFIsTiled)                                                                                 \
    _(TIFFTileSize64)                                                                              \
    _(TIFFTileRowSize64)                                                                           \
    _(TIFFStripSize64)                                                                             \
    _(TIFFScanlineSize64)                                                                          \
    _(TIFFComputeTile)                                                                             \
    _(TIFFComputeStrip)                                                                            \
    _(TIFFReadEncodedTile)                                                                         \
    _(TIFFReadEncodedStrip)                                                                        \
    _(TIFFRGBAImageBegin)                                                                          \
    _(TIFFRGBAImageGet)                                                                            \
    _(TIFFRGBAImageEnd)
PF_CODEC_LIBRARY(tiff, "TIFF", PF_TIFF_SONAME, PF_TIFF_PACKAGE, FUNCTIONS);

int pf_image_tiff_open(PfError *err)
{
    return pf_codec_library_open(&tiff_library, err);
}

/* ---- a file in memory, as libtiff wants to read it ---- */

typedef struct Source {
    const uint8_t *bytes;
    uint64_t size, position;
    char message[300]; /* the first that libtiff had */
} Source;

static tmsize_t read_source(thandle_t handle, void *out, tmsize_t size)
{
    Source *source = handle;
    if (size < 0 || source->position > source->size) return 0;
    uint64_t left = source->size - source->position;
    uint64_t count = (uint64_t)size < left ? (uint64_t)size : left;
    memcpy(out, source->bytes + source->position, count);
    source->position += count;
    return (tmsize_t)count;
}

static tmsize_t write_source(thandle_t handle, void *bytes, tmsize_t size)
{
    (void)handle, (void)bytes, (void)size;
    return -1;
}

static toff_t seek_source(thandle_t handle, toff_t offset, int whence)
{
    Source *source = handle;
    uint64_t base = whence == SEEK_CUR ? source->position : whence == SEEK_END ? source->size : 0;
    source->position = base + offset;
    return source->position;
}

static int close_source(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t source_size(thandle_t handle)
{
    return ((Source *)handle)->size;
}

/* libtiff only reads what it has mapped this way. */
static int map_source(thandle_t handle, void **base, toff_t *size)
{
    Source *source = handle;
    memcpy(base, &source->bytes, sizeof *base);
    *size = source->size;
    return 1;
}

static void unmap_source(thandle_t handle, void *base, toff_t size)
{
    (void)handle, (void)base, (void)size;
}

static int note_message(TIFF *file, void *data, const char *module, const char *format,
                        va_list args)
{
    (void)file, (void)module;
    Source *source = data;
    if (!source->message[0]) vsnprintf(source->message, sizeof source->message, format, args);
    return 1; /* nobody else hears of it */
}

static int ignore_warning(TIFF *file, void *data, const char *module, const char *format,
                          va_list args)
{
    (void)file, (void)data, (void)module, (void)format, (void)args;
    return 1;
}

static int broken(const Source *source, PfError *err)
{
    if (pf_image_lacked_memory()) return pf_image_out_of_memory(err, "a TIFF");
    return pf_image_bad(err, "broken TIFF: %s",
                        source->message[0] ? source->message : "libtiff cannot read it");
}

/* ---- what the directory says ---- */

/* So many bytes for each pixel of the largest image that is taken may all blocks have together:
 * sixteen times four samples. */
#define BYTES_PER_PIXEL_OF_LARGEST 64

/* One file, and its picture's blocks: strips, which are as wide as the picture, or tiles. */
typedef struct Picture {
    Source source;
    TIFF *file;
    PfTiffLayout layout;
    uint32_t width, height;
    int orientation;
    bool has_extra_samples;   /* it says what samples beyond the colours are */
    bool is_tiled, is_planar; /* planar: a block has one sample of each pixel */
    bool is_converted;        /* libtiff converts to RGBA */
    uint32_t block_width, block_height;
    uint64_t block_bytes, row_bytes; /* of a decoded block, and each row of it */
    uint8_t *block;
    uint8_t *samples; /* (block_height, block_width, used samples) */
} Picture;

static int get_u16(const Picture *picture, uint32_t tag, int otherwise)
{
    uint16_t value;
    return tiff.TIFFGetFieldDefaulted(picture->file, tag, &value) == 1 ? value : otherwise;
}

/* Sixteen bits per value. Some writers put eight there, as no value above 255 tells. */
static void read_palette(Picture *picture)
{
    uint16_t *colors[3], highest = 0;
    int count = 1 << picture->layout.bits;
    if (tiff.TIFFGetField(picture->file, TIFFTAG_COLORMAP, &colors[0], &colors[1], &colors[2]) != 1)
        return;
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < count; i++)
            if (colors[c][i] > highest) highest = colors[c][i];
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < count; i++)
            picture->layout.palette[i][c] =
                (uint8_t)(highest > 255 ? colors[c][i] >> 8 : colors[c][i]);
}

/* Four samples of RGB of which nothing more is said are taken for RGBA, as in PIL: multiplied where
 * they are in compressed planes. */
static void read_alpha(Picture *picture)
{
    PfTiffLayout *layout = &picture->layout;
    uint16_t count = 0, *kinds = NULL;
    bool is_rgb = layout->photometric == PF_TIFF_RGB;
    bool is_in_compressed_planes =
        picture->is_planar &&
        get_u16(picture, TIFFTAG_COMPRESSION, COMPRESSION_NONE) != COMPRESSION_NONE;
    bool may_have = layout->photometric <= PF_TIFF_PALETTE && layout->bits <= 16 &&
                    layout->sample_format != PF_TIFF_SIGNED;
    layout->alpha = PF_TIFF_OPAQUE;
    if (!may_have) return;
    tiff.TIFFGetFieldDefaulted(picture->file, TIFFTAG_EXTRASAMPLES, &count, &kinds);
    if (!picture->has_extra_samples)
        layout->alpha = !is_rgb || layout->samples != 4 ? PF_TIFF_OPAQUE
                        : is_in_compressed_planes       ? PF_TIFF_PREMULTIPLIED
                                                        : PF_TIFF_STRAIGHT;
    else if (count && kinds[0] == EXTRASAMPLE_UNASSALPHA)
        layout->alpha = PF_TIFF_STRAIGHT;
    else if (count && kinds[0] == EXTRASAMPLE_ASSOCALPHA && layout->photometric != PF_TIFF_PALETTE)
        layout->alpha = PF_TIFF_PREMULTIPLIED;
}

/* Of YCbCr only plain samples, one of each per pixel, are converted by us. */
static void choose_conversion(Picture *picture)
{
    if (picture->layout.photometric != PF_TIFF_YCBCR || picture->layout.samples == 1) return;
    uint16_t across = 1, down = 1;
    int compression = get_u16(picture, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
    tiff.TIFFGetFieldDefaulted(picture->file, TIFFTAG_YCBCRSUBSAMPLING, &across, &down);
    if (compression == COMPRESSION_JPEG && !picture->is_planar) {
        tiff.TIFFSetField(picture->file, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        picture->layout.photometric = PF_TIFF_RGB;
    } else {
        picture->is_converted = compression != COMPRESSION_NONE || across != 1 || down != 1;
    }
}

static int read_layout(Picture *picture, PfError *err)
{
    PfTiffLayout *layout = &picture->layout;
    tiff.TIFFGetField(picture->file, TIFFTAG_IMAGEWIDTH, &picture->width);
    tiff.TIFFGetField(picture->file, TIFFTAG_IMAGELENGTH, &picture->height);
    layout->bits = get_u16(picture, TIFFTAG_BITSPERSAMPLE, 1);
    layout->samples = get_u16(picture, TIFFTAG_SAMPLESPERPIXEL, 1);
    layout->sample_format = get_u16(picture, TIFFTAG_SAMPLEFORMAT, PF_TIFF_UNSIGNED);
    layout->photometric = get_u16(picture, TIFFTAG_PHOTOMETRIC, PF_TIFF_WHITE_IS_ZERO);
    picture->orientation = get_u16(picture, TIFFTAG_ORIENTATION, 1);
    picture->is_planar = layout->samples > 1 && get_u16(picture, TIFFTAG_PLANARCONFIG, 1) == 2;
    read_alpha(picture);
    picture->is_tiled = tiff.TIFFIsTiled(picture->file);
    if (layout->photometric == PF_TIFF_PALETTE && layout->bits <= 8) read_palette(picture);
    choose_conversion(picture);
    return pf_tiff_check_layout(layout, err);
}

/* ---- blocks ---- */

static void read_block_size(Picture *picture)
{
    uint32_t rows = UINT32_MAX;
    if (picture->is_tiled) {
        tiff.TIFFGetField(picture->file, TIFFTAG_TILEWIDTH, &picture->block_width);
        tiff.TIFFGetField(picture->file, TIFFTAG_TILELENGTH, &picture->block_height);
        picture->block_bytes = tiff.TIFFTileSize64(picture->file);
        picture->row_bytes = tiff.TIFFTileRowSize64(picture->file);
        return;
    }
    tiff.TIFFGetFieldDefaulted(picture->file, TIFFTAG_ROWSPERSTRIP, &rows);
    picture->block_width = picture->width;
    picture->block_height = rows < picture->height ? rows : picture->height;
    picture->block_bytes = tiff.TIFFStripSize64(picture->file);
    picture->row_bytes = tiff.TIFFScanlineSize64(picture->file);
}

/* Blocks may be larger than what of the picture is in them, hold samples that no colour depends on,
 * and lie at the same place of the file: its size does not limit what there is to decode. */
static int check_work(const Picture *picture, const PfImageLimits *limits, PfError *err)
{
    int64_t pixels = limits->max_pixels ? limits->max_pixels : PF_IMAGE_MAX_PIXELS;
    uint64_t most = BYTES_PER_PIXEL_OF_LARGEST * (uint64_t)pixels;
    uint64_t fair = picture->source.size * PF_IMAGE_MAX_EXPANSION;
    uint64_t columns = picture->block_width, rows = picture->block_height;
    if (pf_image_check_size(limits, picture->block_width, picture->block_height, err)) return -1;
    uint64_t blocks =
        ((picture->width + columns - 1) / columns) * ((picture->height + rows - 1) / rows);
    if (picture->is_planar) blocks *= (uint64_t)pf_tiff_used_samples(&picture->layout);
    if (fair > most) most = fair;
    if (!picture->block_bytes || blocks <= most / picture->block_bytes) return 0;
    return pf_image_bad(err,
                        PF_IMAGE_TOO_LARGE
                        ": %llu %s of %llu bytes in a TIFF of %u x %u pixels, of which all "
                        "together have at most %d bytes for each pixel of the largest image "
                        "that is taken. Hint: --max-pixels",
                        (unsigned long long)blocks, picture->is_tiled ? "tiles" : "strips",
                        (unsigned long long)picture->block_bytes, picture->width, picture->height,
                        BYTES_PER_PIXEL_OF_LARGEST);
}

static size_t samples_size(const Picture *picture)
{
    return (size_t)picture->block_width * picture->block_height *
           (size_t)pf_tiff_used_samples(&picture->layout);
}

/* Tiles may be larger than the picture, and libtiff's idea of a row another than ours. */
static int check_blocks(Picture *picture, const PfImageLimits *limits, PfError *err)
{
    if (picture->is_converted) {
        picture->block_bytes = 4 * (uint64_t)picture->block_width * picture->block_height;
        picture->row_bytes = 4 * (uint64_t)picture->block_width;
    }
    if (pf_image_check_size(limits, picture->block_width, picture->block_height, err)) return -1;
    int samples = picture->is_planar ? 1 : picture->layout.samples;
    uint64_t bits =
        (uint64_t)picture->block_width * (uint64_t)samples * (uint64_t)picture->layout.bits;
    if (picture->block_bytes > INT32_MAX || picture->row_bytes < (bits + 7) / 8 ||
        picture->block_bytes / picture->block_height < picture->row_bytes)
        return picture->source.message[0]
                   ? broken(&picture->source, err)
                   : pf_image_bad(err, "broken TIFF: %s of %u x %u pixels in %llu bytes",
                                  picture->is_tiled ? "tiles" : "strips", picture->block_width,
                                  picture->block_height, (unsigned long long)picture->block_bytes);
    return 0;
}

/* The pixels, once more if they are turned, and what we and libtiff need for a block. */
static int check_memory(const Picture *picture, const PfImageLimits *limits, PfError *err)
{
    int64_t pixels = (int64_t)picture->width * picture->height;
    int64_t needed = 3 * pixels * (picture->orientation >= 5 ? 2 : 1) +
                     2 * (int64_t)picture->block_bytes + (int64_t)samples_size(picture);
    return pf_image_check_memory(limits, needed, picture->source.size, err);
}

static int make_blocks(Picture *picture, PfError *err)
{
    picture->block = pf_alloc_aligned(picture->block_bytes, 1, err);
    if (!picture->block) return -1;
    memset(picture->block, 0, picture->block_bytes); /* some decoders leave missing rows alone */
    if (picture->is_converted) return 0;
    picture->samples = pf_alloc_aligned(samples_size(picture), 1, err);
    return picture->samples ? 0 : -1;
}

/* ---- pixels of blocks ---- */

/* The part of a block that lies inside the picture. */
typedef struct Area {
    uint32_t x, y, columns, rows;
} Area;

static int read_block(Picture *picture, const Area *area, uint16_t plane, PfError *err)
{
    tmsize_t size = (tmsize_t)picture->block_bytes, got;
    if (picture->is_tiled) {
        uint32_t index = tiff.TIFFComputeTile(picture->file, area->x, area->y, 0, plane);
        got = tiff.TIFFReadEncodedTile(picture->file, index, picture->block, size);
    } else {
        uint32_t index = tiff.TIFFComputeStrip(picture->file, area->y, plane);
        got = tiff.TIFFReadEncodedStrip(picture->file, index, picture->block, size);
    }
    return got < 0 ? broken(&picture->source, err) : 0;
}

static size_t pixel_index(const PfImage *image, const Area *area, uint32_t row)
{
    return (size_t)(area->y + row) * (size_t)image->width + area->x;
}

/* Brings number `sample` of the block's samples to its place among the used ones. */
static void collect_sample(Picture *picture, const Area *area, int row_samples, int sample,
                           int place)
{
    int used = pf_tiff_used_samples(&picture->layout);
    size_t stride = (size_t)picture->block_width * (size_t)used;
    for (uint32_t y = 0; y < area->rows; y++)
        pf_tiff_sample_bytes(&picture->layout, picture->block + y * picture->row_bytes, row_samples,
                             sample, (int)area->columns, picture->samples + y * stride + place,
                             used);
}

static int collect_samples(Picture *picture, const Area *area, PfError *err)
{
    int used = pf_tiff_used_samples(&picture->layout);
    if (!picture->is_planar && read_block(picture, area, 0, err)) return -1;
    for (int i = 0; i < used; i++) {
        if (picture->is_planar && read_block(picture, area, (uint16_t)i, err)) return -1;
        collect_sample(picture, area, picture->is_planar ? 1 : picture->layout.samples,
                       picture->is_planar ? 0 : i, i);
    }
    return 0;
}

static int read_area(Picture *picture, const Area *area, PfImage *image, PfError *err)
{
    bool are_bytes = picture->layout.bits == 8 && !picture->is_planar;
    int used = pf_tiff_used_samples(&picture->layout);
    if (are_bytes ? read_block(picture, area, 0, err) : collect_samples(picture, area, err))
        return -1;
    const uint8_t *samples = are_bytes ? picture->block : picture->samples;
    int step = are_bytes ? picture->layout.samples : used;
    size_t stride = are_bytes ? picture->row_bytes : (size_t)picture->block_width * (size_t)used;
    for (uint32_t y = 0; y < area->rows; y++)
        pf_tiff_put_pixels(&picture->layout, samples + y * stride, step, (int)area->columns, image,
                           pixel_index(image, area, y));
    return 0;
}

static int read_areas(Picture *picture, PfImage *image, PfError *err)
{
    uint32_t columns = picture->block_width, rows = picture->block_height;
    for (uint64_t y = 0; y < picture->height; y += rows)
        for (uint64_t x = 0; x < picture->width; x += columns) {
            uint32_t right = picture->width - (uint32_t)x, below = picture->height - (uint32_t)y;
            Area area = {(uint32_t)x, (uint32_t)y, right < columns ? right : columns,
                         below < rows ? below : rows};
            if (pf_image_is_interrupted(&image->limits)) return pf_image_interrupted(err);
            if (read_area(picture, &area, image, err)) return -1;
        }
    return 0;
}

/* ---- what libtiff converts ---- */

static int read_converted_rows(Picture *picture, TIFFRGBAImage *rgba, PfImage *image, PfError *err)
{
    for (uint64_t y = 0; y < picture->height; y += picture->block_height) {
        uint32_t below = picture->height - (uint32_t)y;
        Area area = {0, (uint32_t)y, picture->width,
                     below < picture->block_height ? below : picture->block_height};
        if (pf_image_is_interrupted(&image->limits)) return pf_image_interrupted(err);
        rgba->row_offset = (int)y;
        uint32_t *raster = (uint32_t *)(void *)picture->block;
        if (!tiff.TIFFRGBAImageGet(rgba, raster, picture->width, area.rows))
            return broken(&picture->source, err);
        for (uint32_t row = 0; row < area.rows; row++) {
            uint8_t *out = image->pixels + 3 * pixel_index(image, &area, row);
            for (uint32_t x = 0; x < picture->width; x++, out += 3, raster++) {
                out[0] = (uint8_t)TIFFGetR(*raster);
                out[1] = (uint8_t)TIFFGetG(*raster);
                out[2] = (uint8_t)TIFFGetB(*raster);
            }
        }
    }
    return 0;
}

static int read_converted(Picture *picture, PfImage *image, PfError *err)
{
    TIFFRGBAImage rgba;
    char reason[1024] = "";
    if (!tiff.TIFFRGBAImageBegin(&rgba, picture->file, 0, reason))
        return pf_image_lacked_memory() ? broken(&picture->source, err)
                                        : pf_image_bad(err, "broken TIFF: %s", reason);
    rgba.orientation = rgba.req_orientation = ORIENTATION_TOPLEFT;
    rgba.col_offset = 0;
    int result = read_converted_rows(picture, &rgba, image, err);
    tiff.TIFFRGBAImageEnd(&rgba);
    return result;
}

/* ---- the whole ---- */

/* Numbers from 0 to 1 would be black, and nobody would know why. */
static int check_range(const PfTiffLayout *layout, PfError *err)
{
    if (layout->largest <= 0 || layout->largest > 1) return 0;
    return pf_image_bad(err,
                        "TIFF of floating-point samples up to %g, all black where 255 is white. "
                        "Hint: save them times 255, or as 8 or 16 bits.",
                        (double)layout->largest);
}

static int read_picture(Picture *picture, PfImage *image, PfError *err)
{
    if (read_layout(picture, err)) return -1;
    read_block_size(picture);
    if (check_work(picture, &image->limits, err)) return -1;
    if (picture->is_converted) picture->block_width = picture->width;
    if (picture->layout.photometric == PF_TIFF_LAB && pf_tiff_lab_open(&picture->layout.lab, err))
        return -1;
    if (check_blocks(picture, &image->limits, err) || check_memory(picture, &image->limits, err) ||
        pf_image_resize_buffer(image, picture->width, picture->height, err) ||
        make_blocks(picture, err))
        return -1;
    if (picture->is_converted ? read_converted(picture, image, err)
                              : read_areas(picture, image, err))
        return -1;
    if (check_range(&picture->layout, err)) return -1;
    image->orientation = picture->orientation;
    return picture->orientation >= 1 && picture->orientation <= 8 ? pf_image_turn(image, err) : 0;
}

static TIFF *open_source(Source *source, const PfImageLimits *limits)
{
    int64_t most = (int64_t)source->size * PF_IMAGE_MAX_EXPANSION;
    if (limits->max_pixels || most > INT32_MAX) most = INT32_MAX; /* as of a block */
    if (most < PF_IMAGE_FREE_BYTES) most = PF_IMAGE_FREE_BYTES;
    TIFFOpenOptions *options = tiff.TIFFOpenOptionsAlloc();
    if (!options) return NULL;
    tiff.TIFFOpenOptionsSetMaxSingleMemAlloc(options, most);
    tiff.TIFFOpenOptionsSetErrorHandlerExtR(options, note_message, source);
    tiff.TIFFOpenOptionsSetWarningHandlerExtR(options, ignore_warning, NULL);
    TIFF *file =
        tiff.TIFFClientOpenExt("TIFF", "r", source, read_source, write_source, seek_source,
                               close_source, source_size, map_source, unmap_source, options);
    tiff.TIFFOpenOptionsFree(options);
    return file;
}

int pf_image_tiff_decode(const uint8_t *bytes, size_t size, int least_side, PfImage *image,
                         PfError *err)
{
    (void)least_side;
    Picture picture = {.source = {.bytes = bytes, .size = size}};
    if (pf_tiff_check_directory(bytes, size, &image->limits, &picture.has_extra_samples, err))
        return -1;
    pf_image_watch_memory();
    picture.file = open_source(&picture.source, &image->limits);
    if (!picture.file) return broken(&picture.source, err);
    int result = read_picture(&picture, image, err);
    tiff.TIFFClose(picture.file);
    free(picture.block);
    free(picture.samples);
    pf_tiff_lab_close(&picture.layout.lab);
    return result;
}

#endif
