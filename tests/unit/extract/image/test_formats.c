/* The simple formats: one small file of each kind. What they become, and what becomes of damaged
 * ones: parity with Pillow is tested elsewhere. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extract/image/image.h"

enum { WIDTH = 6, HEIGHT = 2 };

/* A file under construction, and whose numbers have which end first. */
typedef struct File {
    uint8_t bytes[4096];
    size_t size;
} File;

static void add(File *file, const char *bytes, size_t size)
{
    ck_assert_uint_le(file->size + size, sizeof file->bytes);
    memcpy(file->bytes + file->size, bytes, size);
    file->size += size;
}

#define ADD(file, text) add(file, text, sizeof(text) - 1)

static void add_zeros(File *file, size_t count)
{
    for (size_t i = 0; i < count; i++) ADD(file, "\0");
}

static void add_le(File *file, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++, value >>= 8)
        add(file, (const char *)&(uint8_t){(uint8_t)value}, 1);
}

static void add_be(File *file, uint32_t value, int bytes)
{
    while (bytes-- > 0) add(file, (const char *)&(uint8_t){(uint8_t)(value >> 8 * bytes)}, 1);
}

/* 10, 20, 30 ... */
static void add_steps(File *file, int count)
{
    for (int i = 1; i <= count; i++) add_le(file, (uint32_t)(10 * i), 1);
}

/* ---- the files: each of 6 x 2 pixels ---- */

static void add_info_header(File *file, int bits, int compression, int colors, int height)
{
    add_le(file, 40, 4);
    add_le(file, WIDTH, 4);
    add_le(file, (uint32_t)height, 4);
    add_le(file, 1, 2);
    add_le(file, (uint32_t)bits, 2);
    add_le(file, (uint32_t)compression, 4);
    add_zeros(file, 12);
    add_le(file, (uint32_t)colors, 4);
    add_zeros(file, 4);
}

static void add_bmp_header(File *file, size_t offset)
{
    ADD(file, "BM\0\0\0\0\0\0\0\0");
    add_le(file, (uint32_t)offset, 4);
}

/* Blue, green and red of the colours 0, 1 and 2; and, for Windows, a byte more. */
static void add_colors(File *file, int bytes)
{
    add(file, "\1\2\3\0", (size_t)bytes);
    add(file, "\4\5\6\0", (size_t)bytes);
    add(file, "\7\x8\x9\0", (size_t)bytes);
}

static void make_os2_bmp(File *file)
{
    add_bmp_header(file, 14 + 12 + 3 * 16);
    add_le(file, 12, 4);
    add_le(file, WIDTH, 2);
    add_le(file, HEIGHT, 2);
    add_le(file, 1, 2);
    add_le(file, 4, 2);
    add_colors(file, 3);
    add_zeros(file, 3 * 13);
    ADD(file, "\x00\x00\x02\0\x10\x00\x00\0");
}

static void make_rle8_bmp(File *file)
{
    add_bmp_header(file, 14 + 40 + 12);
    add_info_header(file, 8, 1, 3, HEIGHT);
    add_colors(file, 4);
    ADD(file, "\3\0\0\3\1\1\2\0\0\0\2\1\0\2\4\0\0\1");
}

static void make_rle4_bmp(File *file)
{
    add_bmp_header(file, 14 + 40 + 12);
    add_info_header(file, 4, 2, 3, HEIGHT);
    add_colors(file, 4);
    ADD(file, "\x06\x02\0\0\0\6\x10\x10\x10\0\0\1");
}

static void make_masked_bmp(File *file)
{
    add_bmp_header(file, 14 + 40 + 12);
    add_info_header(file, 16, 3, 0, -HEIGHT);
    ADD(file, "\0\xf8\0\0\xe0\x07\0\0\x1f\0\0\0");
    ADD(file, "\0\xf8");
    add_zeros(file, 20);
    ADD(file, "\x1f\0");
}

static void make_icon(File *file)
{
    ADD(file, "\0\0\1\0\2\0\1\1\0\0\1\0\x4\0\1\0\0\0\xff\xff\0\0");
    ADD(file, "\6\2\0\0\1\0\x4\0");
    add_le(file, 40 + 12 + 8 + 8, 4);
    add_le(file, 6 + 2 * 16, 4);
    add_info_header(file, 4, 0, 3, 2 * HEIGHT);
    add_colors(file, 4);
    ADD(file, "\x00\x00\x02\0\x10\x00\x00\0");
    add_zeros(file, 8);
}

static void make_cursor(File *file)
{
    ADD(file, "\0\0\2\0\1\0\6\2\0\0\0\0\0\0\x40\0\0\0\x16\0\0\0");
    add_info_header(file, 1, 0, 2, 2 * HEIGHT);
    ADD(file, "\0\0\0\0\xff\xff\xff\0");
    ADD(file, "\x04\0\0\0\xff\0\0\0");
    ADD(file, "\x00\0\0\0\x20\0\0\0");
}

static void make_packed_tga(File *file)
{
    ADD(file, "\3\0\x0a\0\0\0\0\0\0\0\0\0\6\0\2\0\x18\x20???");
    ADD(file, "\0\3\2\1\x87\0\0\0\2\0\0\0\0\0\0\x9\x8\x7");
}

static void make_indexed_tga(File *file)
{
    ADD(file, "\0\1\1\5\0\3\0\x18\0\0\0\0\6\0\2\0\x8\0");
    add_colors(file, 3);
    ADD(file, "\5\5\5\5\5\7\6\5\5\5\5\5");
}

static void make_pbm(File *file)
{
    ADD(file, "P4 6 2\n\x7c\xf8");
}

static void make_plain_pbm(File *file)
{
    ADD(file, "P1\n6 2 # here\n011111 1 111\n10");
}

static void make_pfm(File *file)
{
    ADD(file, "Pf\n6 2\n1.0\n");
    add_zeros(file, 20);
    ADD(file, "\x40\x40\0\0\x43\x80\0\0");
    add_zeros(file, 20);
}

static void add_psd_header(File *file, int channels, int mode)
{
    ADD(file, "8BPS\0\1\0\0\0\0\0\0");
    add_be(file, (uint32_t)channels, 2);
    add_be(file, HEIGHT, 4);
    add_be(file, WIDTH, 4);
    add_be(file, 8, 2);
    add_be(file, (uint32_t)mode, 2);
    add_zeros(file, 12);
}

static void make_packed_psd(File *file)
{
    add_psd_header(file, 3, 3);
    ADD(file, "\0\1\0\4\0\2\0\2\0\2\0\2\0\2");
    ADD(file, "\0\1\xfc\0\xfb\4\xfb\2\xfb\5\xfb\3\xfb\6");
}

static void make_cmyk_psd(File *file)
{
    add_psd_header(file, 4, 4);
    ADD(file, "\0\0");
    for (int i = 0; i < 48; i++) add(file, i == 11 ? "\0" : "\xff", 1);
}

static void make_packed_sgi(File *file)
{
    ADD(file, "\x01\xda\1\1\0\2\0\6\0\2\0\1");
    add_zeros(file, 500);
    add_be(file, 528, 4);
    add_be(file, 531, 4);
    add_be(file, 3, 4);
    add_be(file, 8, 4);
    ADD(file, "\6\7\0\x86\1\2\3\4\5\6\0");
}

static void add_pcx_header(File *file, int bits, int planes, const char *palette)
{
    ADD(file, "\x0a\5\1");
    add_le(file, (uint32_t)bits, 1);
    ADD(file, "\1\0\1\0\6\0\2\0\0\0\0\0");
    add(file, palette, 48);
    add_zeros(file, 1);
    add_le(file, (uint32_t)planes, 1);
    add_le(file, bits == 1 ? 2 : 6, 2);
    add_zeros(file, 60);
}

static void make_planes_pcx(File *file)
{
    char palette[48] = {0};
    palette[3 * 9] = 77;
    palette[3 * 6 + 1] = 88;
    add_pcx_header(file, 1, 4, palette);
    ADD(file, "\x80\0\0\0\0\0\x80\0");
    ADD(file, "\xc2\0\4\0\4\0\0\0");
}

static void make_indexed_pcx(File *file)
{
    add_pcx_header(file, 8, 1, (char[48]){0});
    ADD(file, "\1\xc5\0\xc5\0\2\x0c");
    for (int i = 0; i < 256; i++)
        for (int c = 1; c <= 3; c++) add_le(file, (uint32_t)(i * c), 1);
}

static void make_dcx(File *file)
{
    ADD(file, "\xb1\x68\xde\x3a\x0c\0\0\0\0\0\0\0");
    make_indexed_pcx(file);
}

static void make_qoi(File *file)
{
    ADD(file, "qoif\0\0\0\6\0\0\0\2\4\0\xfe\1\2\3\xff\0\0\0\x80\xc8\x7f\0\0\0\0\0\0\0\1");
}

static void make_packed_sun(File *file)
{
    ADD(file, "\x59\xa6\x6a\x95");
    const uint32_t fields[7] = {WIDTH, HEIGHT, 8, 0, 2, 0, 0};
    for (int i = 0; i < 7; i++) add_be(file, fields[i], 4);
    ADD(file, "\x80\0\x80\x9\1\2");
}

static void make_xbm(File *file)
{
    ADD(file, "#define a_width 6\n#define a_height 2\nstatic char a_bits[] = {\n0x01, 0x20 };\n");
}

static void make_xpm(File *file)
{
    ADD(file, "/* XPM */\nstatic char *a[] = {\n\"6 2 2 1\",\n\"a c #010203\",\n\"b m x c None\",\n"
              "\"abbbba\",\n\"bbaaab\"};\n");
}

static void add_dds_header(File *file, int flags, const char *code, int bits)
{
    ADD(file, "DDS \x7c\0\0\0\7\x10\0\0");
    add_le(file, HEIGHT, 4);
    add_le(file, WIDTH, 4);
    add_zeros(file, 56);
    add_le(file, 32, 4);
    add_le(file, (uint32_t)flags, 4);
    add(file, code, 4);
    add_le(file, (uint32_t)bits, 4);
    ADD(file, "\0\0\xff\0\0\xff\0\0\xff\0\0\0");
    add_zeros(file, 24);
}

static void make_dxt1(File *file)
{
    add_dds_header(file, 4, "DXT1", 0);
    ADD(file, "\0\xf8\x1f\0\0\0\0\0\0\xf8\x1f\0\0\x55\0\0");
}

static void add_number(File *file, int number, const char *block)
{
    add_dds_header(file, 4, "DX10", 0);
    add_le(file, (uint32_t)number, 4);
    add_zeros(file, 16);
    add(file, block, 16);
    add(file, block, 16);
}

/* All bits behind that of the mode are set: white. */
static void make_bc7(File *file)
{
    add_number(file, 98, "\xc0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
}

static void make_bc6(File *file)
{
    add_number(file, 95, "\xe3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
}

static void make_plain_dds(File *file)
{
    add_dds_header(file, 0x40, "\0\0\0", 24);
    add_steps(file, 18);
    add_steps(file, 18);
}

/* ---- with transparency: where pixels are opaque and where they are not ---- */

static void make_alpha_bmp(File *file)
{
    add_bmp_header(file, 14 + 108);
    add_le(file, 108, 4);
    add_le(file, WIDTH, 4);
    add_le(file, (uint32_t)-HEIGHT, 4);
    ADD(file, "\1\0\x20\0\3\0\0\0");
    add_zeros(file, 20);
    ADD(file, "\0\0\xff\0\0\xff\0\0\xff\0\0\0\0\0\0\xff");
    add_zeros(file, 52);
    ADD(file, "\3\2\1\xff");
    add_zeros(file, 4 * 10);
    ADD(file, "\x3\x2\x1\0");
}

static void make_masked_icon(File *file)
{
    make_icon(file);
    file->bytes[file->size - 8] = 0x04; /* the lowest row comes first */
}

/* All grey, and a mask of grey. */
static void make_grey_cursor(File *file)
{
    ADD(file, "\0\0\2\0\1\0\6\2\0\0\0\0\0\0\x40\0\0\0\x16\0\0\0");
    add_info_header(file, 8, 0, 0, 2 * HEIGHT);
    for (int i = 0; i < 256; i++) {
        for (int c = 0; c < 3; c++) add_le(file, (uint32_t)i, 1);
        add_zeros(file, 1);
    }
    ADD(file, "\x9\x9\x9\x9\x9\x9\0\0\x8\x8\x8\x8\x8\x8\0\0");
    ADD(file, "\0\0\0\0\0\xff\0\0\0\0\0\0\0\0\0\0");
}

static void make_alpha_tga(File *file)
{
    ADD(file, "\0\0\2\0\0\0\0\0\0\0\0\0\6\0\2\0\x20\x28\3\2\1\xff");
    add_zeros(file, 4 * 10);
    ADD(file, "\3\2\1\0");
}

static void make_15_bit_tga(File *file)
{
    ADD(file, "\0\0\2\0\0\0\0\0\0\0\0\0\6\0\2\0\x10\x21\0\x7c");
    add_zeros(file, 2 * 10);
    ADD(file, "\0\xfc");
}

static void make_alpha_psd(File *file)
{
    add_psd_header(file, 4, 3);
    ADD(file, "\0\0");
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 12; i++) add_le(file, (uint32_t)c + 1, 1);
    for (int i = 0; i < 12; i++) add_le(file, i == 11 ? 0 : 255, 1);
}

static void make_alpha_sgi(File *file)
{
    ADD(file, "\x01\xda\0\1\0\3\0\6\0\2\0\4");
    add_zeros(file, 500);
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 12; i++) add_le(file, (uint32_t)c + 1, 1);
    for (int i = 0; i < 12; i++) add_le(file, i == 5 ? 0 : 255, 1);
}

static void make_holed_dxt1(File *file)
{
    add_dds_header(file, 4, "DXT1", 0);
    ADD(file, "\0\0\x1f\0\0\0\0\0\0\0\x1f\0\0\xff\0\0");
}

/* First opaque, last transparent. */
static void make_alpha_bc7(File *file)
{
    add_dds_header(file, 4, "DX10", 0);
    add_le(file, 98, 4);
    add_zeros(file, 16);
    ADD(file, "\xc0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    ADD(file, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
}

static const struct {
    const char *name;
    void (*make)(File *file);
    uint8_t first[3], last[3]; /* over 200, 100, 0 */
} transparent[] = {
    {"BMP", make_alpha_bmp, {1, 2, 3}, {200, 100, 0}},
    {"ICO", make_masked_icon, {6, 5, 4}, {200, 100, 0}},
    {"CUR of greys", make_grey_cursor, {8, 8, 8}, {200, 100, 0}},
    {"TGA of 32 bits", make_alpha_tga, {1, 2, 3}, {200, 100, 0}},
    {"TGA of 15 bits", make_15_bit_tga, {255, 0, 0}, {200, 100, 0}},
    {"PSD", make_alpha_psd, {1, 2, 3}, {200, 100, 0}},
    {"SGI", make_alpha_sgi, {1, 2, 3}, {200, 100, 0}},
    {"QOI", make_qoi, {1, 2, 3}, {100, 50, 1}},
    {"XPM", make_xpm, {1, 2, 3}, {200, 100, 0}},
    {"DDS of DXT1", make_holed_dxt1, {0, 0, 0}, {200, 100, 0}},
    {"DDS of BC7", make_alpha_bc7, {255, 255, 255}, {200, 100, 0}},
};
#define TRANSPARENT (sizeof transparent / sizeof *transparent)

/* Of the pixels only the first and the last are told. */
static const struct {
    const char *name;
    void (*make)(File *file);
    uint8_t first[3], last[3];
    bool is_kept; /* where it is cut within its second row */
} kinds[] = {
    {"BMP of OS/2", make_os2_bmp, {6, 5, 4}, {9, 8, 7}, true},
    {"BMP in run lengths", make_rle8_bmp, {6, 5, 4}, {9, 8, 7}, false},
    {"BMP in run lengths of 4 bits", make_rle4_bmp, {6, 5, 4}, {9, 8, 7}, false},
    {"BMP with masks", make_masked_bmp, {255, 0, 0}, {0, 0, 255}, true},
    {"ICO", make_icon, {6, 5, 4}, {9, 8, 7}, true},
    {"CUR", make_cursor, {255, 255, 255}, {255, 255, 255}, true},
    {"TGA in run lengths", make_packed_tga, {1, 2, 3}, {7, 8, 9}, true},
    {"TGA with a palette", make_indexed_tga, {6, 5, 4}, {9, 8, 7}, true},
    {"PBM", make_pbm, {255, 255, 255}, {255, 255, 255}, true},
    {"plain PBM", make_plain_pbm, {255, 255, 255}, {255, 255, 255}, false},
    {"PFM", make_pfm, {255, 255, 255}, {3, 3, 3}, true},
    {"PSD in run lengths", make_packed_psd, {1, 2, 3}, {4, 5, 6}, true},
    {"PSD of CMYK", make_cmyk_psd, {255, 255, 255}, {0, 255, 255}, true},
    {"SGI in run lengths", make_packed_sgi, {1, 1, 1}, {7, 7, 7}, false},
    {"PCX in planes", make_planes_pcx, {77, 0, 0}, {0, 88, 0}, true},
    {"PCX with a palette", make_indexed_pcx, {1, 2, 3}, {2, 4, 6}, true},
    {"DCX", make_dcx, {1, 2, 3}, {2, 4, 6}, true},
    {"QOI", make_qoi, {1, 2, 3}, {1, 1, 1}, false},
    {"SUN raster in run lengths", make_packed_sun, {128, 128, 128}, {2, 2, 2}, true},
    {"XBM", make_xbm, {255, 255, 255}, {255, 255, 255}, true},
    {"XPM", make_xpm, {1, 2, 3}, {0, 0, 0}, false},
    {"DDS of DXT1", make_dxt1, {255, 0, 0}, {0, 0, 255}, false},
    {"DDS of BC7", make_bc7, {255, 255, 255}, {255, 255, 255}, false},
    {"DDS of BC6", make_bc6, {255, 255, 255}, {255, 255, 255}, false},
    {"DDS, plain", make_plain_dds, {30, 20, 10}, {180, 170, 160}, false},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* Exactly as large as the file, so that a sanitizer sees one byte too many. */
static int decode(const File *file, size_t size, PfImage *image, PfError *err)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, file->bytes, size);
    int result = pf_image_decode(copy, size, image, err);
    free(copy);
    return result;
}

static uint32_t sum_of(const PfImage *image)
{
    uint32_t sum = 0;
    size_t count = 3 * (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < count; i++) sum += image->pixels[i];
    return sum;
}

START_TEST(each_kind_has_its_pixels)
{
    File file = {.size = 0};
    PfImage image = {0};
    PfError err = {0};
    kinds[_i].make(&file);
    ck_assert_msg(!decode(&file, file.size, &image, &err), "%s: %s", kinds[_i].name, err.message);
    ck_assert_int_eq(image.width, WIDTH);
    ck_assert_int_eq(image.height, HEIGHT);
    ck_assert_msg(!memcmp(image.pixels, kinds[_i].first, 3), "%s", kinds[_i].name);
    ck_assert_msg(!memcmp(image.pixels + 3 * (WIDTH * HEIGHT - 1), kinds[_i].last, 3), "%s",
                  kinds[_i].name);
    bool is_decoded;
    ck_assert_ptr_nonnull(pf_image_format_name(file.bytes, file.size, &is_decoded));
    ck_assert(is_decoded);
    pf_image_free(&image);
}
END_TEST

START_TEST(transparency_is_laid_over)
{
    File file = {.size = 0};
    PfImage image = {.has_background = true, .background = {200, 100, 0}};
    PfError err = {0};
    const char *name = transparent[_i].name;
    transparent[_i].make(&file);
    ck_assert_msg(!decode(&file, file.size, &image, &err), "%s: %s", name, err.message);
    ck_assert_msg(image.is_transparent, "%s", name);
    ck_assert_msg(!memcmp(image.pixels, transparent[_i].first, 3), "%s: first pixel", name);
    ck_assert_msg(!memcmp(image.pixels + 3 * (WIDTH * HEIGHT - 1), transparent[_i].last, 3),
                  "%s: last pixel %d %d %d", name, image.pixels[33], image.pixels[34],
                  image.pixels[35]);
    /* Dropped it changes nothing, and counts all the same. */
    image.has_background = false;
    ck_assert_msg(!decode(&file, file.size, &image, &err), "%s: %s", name, err.message);
    ck_assert_msg(image.is_transparent, "%s", name);
    ck_assert_msg(!memcmp(image.pixels, transparent[_i].first, 3), "%s: first pixel", name);
    pf_image_free(&image);
}
END_TEST

/* Opaque files of formats that may have alpha do not count. */
START_TEST(opaque_images_are_told)
{
    void (*const make[])(File * file) = {make_icon, make_packed_tga, make_dxt1, make_bc7,
                                         make_masked_bmp};
    PfImage image = {.has_background = true, .background = {200, 100, 0}};
    PfError err = {0};
    for (size_t i = 0; i < sizeof make / sizeof *make; i++) {
        File file = {.size = 0};
        make[i](&file);
        ck_assert_int_eq(decode(&file, file.size, &image, &err), 0);
        ck_assert_msg(!image.is_transparent, "file %zu", i);
    }
    pf_image_free(&image);
}
END_TEST

/* ---- Apple's icons, which are square ---- */

static void add_entry(File *file, const char *name, size_t size)
{
    add(file, name, 4);
    add_be(file, (uint32_t)size + 8, 4);
}

/* 16 x 16 in run lengths: red 1, green 2, and blue from 3 on, whose last two pixels stand alone;
 * its mask hides the last one. */
static void make_icns(File *file)
{
    const char runs[] = "\xff\1\xfb\1\xff\2\xfb\2\xff\3\xf9\3\1\4\5";
    size_t size = sizeof runs - 1;
    ADD(file, "icns");
    add_be(file, (uint32_t)(8 + 8 + size + 8 + 256), 4);
    add_entry(file, "is32", size);
    add(file, runs, size);
    add_entry(file, "s8mk", 256);
    for (int i = 0; i < 256; i++) add_le(file, i == 255 ? 0 : 255, 1);
}

START_TEST(apple_icons_have_run_lengths_and_a_mask)
{
    File file = {.size = 0};
    PfImage image = {.has_background = true, .background = {200, 100, 0}};
    PfError err = {0};
    make_icns(&file);
    ck_assert_msg(!decode(&file, file.size, &image, &err), "%s", err.message);
    ck_assert_int_eq(image.width, 16);
    ck_assert_int_eq(image.height, 16);
    ck_assert(image.is_transparent);
    ck_assert_mem_eq(image.pixels, "\1\2\3", 3);
    ck_assert_mem_eq(image.pixels + 3 * 254, "\1\2\4\xc8\x64\0", 6);
    image.has_background = false;
    ck_assert_int_eq(decode(&file, file.size, &image, &err), 0);
    ck_assert_mem_eq(image.pixels + 3 * 255, "\1\2\5", 3);
    for (size_t size = 0; size < file.size; size++) {
        ck_assert_int_eq(decode(&file, size, &image, &err), -1);
        ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
    }
    for (size_t at = 4; at < 48; at++)
        for (int value = 0; value < 256; value += 15) {
            File damaged = file;
            damaged.bytes[at] = (uint8_t)value;
            if (!decode(&damaged, damaged.size, &image, &err)) sum_of(&image);
        }
    pf_image_free(&image);
}
END_TEST

/* The larger picture is taken although it is not read, and said to be what it is. */
START_TEST(the_largest_apple_icon_counts)
{
    File file = {.size = 0};
    PfImage image = {0};
    PfError err = {0};
    make_icns(&file);
    add_entry(&file, "ic07", 4);
    ADD(&file, "ARGB");
    file.bytes[7] = (uint8_t)file.size;
    file.bytes[6] = (uint8_t)(file.size >> 8);
    ck_assert_int_eq(decode(&file, file.size, &image, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "neither PNG nor JPEG 2000"));
    pf_image_free(&image);
}
END_TEST

/* Refused with a reason; where it is kept, the first row is there, and it is said. */
START_TEST(each_kind_may_end_anywhere)
{
    File file = {.size = 0};
    PfImage image = {0};
    int kept = 0;
    kinds[_i].make(&file);
    for (size_t size = 0; size < file.size; size++)
        for (int keep = 0; keep < 2; keep++) {
            PfError err = {0};
            image.keep_truncated = keep;
            int result = decode(&file, size, &image, &err);
            ck_assert_int_eq(image.width, result ? 0 : WIDTH);
            if (result) ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
            if (!result) sum_of(&image);
            if (!result && image.is_truncated) ck_assert(keep);
            kept += !result && image.is_truncated;
        }
    ck_assert_msg(!kept == !kinds[_i].is_kept, "%s: kept %d times", kinds[_i].name, kept);
    pf_image_free(&image);
}
END_TEST

/* Whatever the bytes are: pixels or a refusal. */
START_TEST(each_kind_may_be_damaged_anywhere)
{
    File file = {.size = 0}, damaged;
    PfImage image = {0};
    uint32_t state = 1 + (uint32_t)_i;
    kinds[_i].make(&file);
    for (int round = 0; round < 4000; round++) {
        damaged = file;
        for (int flips = 1 + round % 3; flips > 0; flips--) {
            state = state * 1664525 + 1013904223;
            size_t most = file.size < 160 || round % 2 ? file.size : 160; /* headers more often */
            damaged.bytes[(state >> 8) % most] = (uint8_t)(round % 5 ? state >> 24 : 0xff);
        }
        image.keep_truncated = round % 2;
        image.limits.max_pixels = 1 << 20;
        PfError err = {0};
        if (!decode(&damaged, damaged.size, &image, &err))
            sum_of(&image);
        else
            ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
    }
    pf_image_free(&image);
}
END_TEST

/* Sizes are looked at before memory is asked for. */
START_TEST(a_header_that_claims_too_much_is_refused)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *reason;
    } files[] = {
        {"qoif\0\0\x40\0\0\0\x40\0\4\0........", 22, "22 bytes cannot hold its pixels"},
        {"P4 30000 30000\n........", 23, "too large: 30000 x 30000"},
        {"P4 16000 16000\n........", 23, "too large for its file: "},
        {"#define a_width 16000\n#define a_height 16000\nchar a_bits[] = {0x11", 65,
         "too large for its file: "},
        {"/* XPM */\n\"30000 8000 2 2\"\n", 27, "cannot hold its pixels"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        File file = {.size = 0};
        PfImage image = {0};
        PfError err = {0};
        add(&file, files[i].bytes, files[i].size);
        ck_assert_int_eq(decode(&file, file.size, &image, &err), -1);
        ck_assert_msg(strstr(err.message, files[i].reason) != NULL, "%s", err.message);
        ck_assert_ptr_null(image.pixels);
        pf_image_free(&image);
    }
}
END_TEST

START_TEST(decoding_ends_when_interrupted)
{
    static const void *const interruptible[] = {make_rle8_bmp,   make_packed_tga, make_packed_psd,
                                                make_packed_sgi, make_planes_pcx, make_qoi,
                                                make_packed_sun, make_xbm,        make_xpm,
                                                make_dxt1,       make_plain_pbm};
    volatile sig_atomic_t interrupted = SIGINT;
    int count = 0;
    for (size_t i = 0; i < KINDS; i++)
        for (size_t k = 0; k < sizeof interruptible / sizeof *interruptible; k++) {
            if ((const void *)(uintptr_t)kinds[i].make != interruptible[k]) continue;
            File file = {.size = 0};
            PfImage image = {.limits.interrupted = &interrupted};
            PfError err = {0};
            kinds[i].make(&file);
            ck_assert_int_eq(decode(&file, file.size, &image, &err), -1);
            ck_assert_int_eq(err.exit_code, PF_EXIT_INTERRUPTED);
            pf_image_free(&image);
            count++;
        }
    ck_assert_int_eq(count, 11);
}
END_TEST

/* A palette may be shorter than its indices reach, and at the end of the file. */
START_TEST(what_a_palette_lacks_is_black)
{
    File file = {.size = 0};
    PfImage image = {0};
    add_bmp_header(&file, 14 + 40 + 12);
    add_info_header(&file, 8, 0, 3, HEIGHT);
    add_colors(&file, 4);
    ADD(&file, "\0\1\2\3\xff\0\0\0\0\1\2\3\xff\0\0\0");
    ck_assert(!decode(&file, file.size, &image, NULL));
    ck_assert_int_eq(image.pixels[3 * 2], 9);
    ck_assert_int_eq(image.pixels[3 * 3], 0);
    ck_assert_int_eq(image.pixels[3 * 4 + 2], 0);
    pf_image_free(&image);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("formats");
    TCase *cases = tcase_create("all");
    tcase_set_timeout(cases, 120);
    tcase_add_loop_test(cases, each_kind_has_its_pixels, 0, KINDS);
    tcase_add_loop_test(cases, each_kind_may_end_anywhere, 0, KINDS);
    tcase_add_loop_test(cases, transparency_is_laid_over, 0, TRANSPARENT);
    tcase_add_test(cases, opaque_images_are_told);
    tcase_add_test(cases, apple_icons_have_run_lengths_and_a_mask);
    tcase_add_test(cases, the_largest_apple_icon_counts);
    tcase_add_loop_test(cases, each_kind_may_be_damaged_anywhere, 0, KINDS);
    tcase_add_test(cases, a_header_that_claims_too_much_is_refused);
    tcase_add_test(cases, decoding_ends_when_interrupted);
    tcase_add_test(cases, what_a_palette_lacks_is_black);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
