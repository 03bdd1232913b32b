/* Decoding: what each format becomes, and what is refused, in which words. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <jpeglib.h>

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image_write.h>

#include "extract/image/image.h"

typedef struct Bytes {
    uint8_t *data;
    size_t size;
} Bytes;

static void append(void *context, void *data, int size)
{
    Bytes *bytes = context;
    bytes->data = realloc(bytes->data, bytes->size + (size_t)size);
    if (size) memcpy(bytes->data + bytes->size, data, (size_t)size);
    bytes->size += (size_t)size;
}

static void append_text(Bytes *bytes, const char *text, size_t size)
{
    append(bytes, (void *)(uintptr_t)text, (int)size);
}

/* Exactly as large as the file, so that a sanitizer sees one byte too many. */
static int decode(const void *data, size_t size, PfImage *image, PfError *err)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (size) memcpy(copy, data, size);
    int result = pf_image_decode(copy, size, image, err);
    free(copy);
    return result;
}

static void expect_refused(const void *data, size_t size, const char *reason)
{
    PfImage image = {0};
    PfError err = {0};
    ck_assert_int_eq(decode(data, size, &image, &err), -1);
    ck_assert_msg(strstr(err.message, reason) != NULL, "'%s' does not hold '%s'", err.message,
                  reason);
    ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
    ck_assert_int_eq(image.width | image.height, 0);
    pf_image_free(&image);
}

static void expect_pixels(Bytes file, int width, int height, const uint8_t *pixels)
{
    PfImage image = {0};
    PfError err = {0};
    ck_assert_msg(decode(file.data, file.size, &image, &err) == 0, "%s", err.message);
    ck_assert_int_eq(image.width, width);
    ck_assert_int_eq(image.height, height);
    ck_assert_mem_eq(image.pixels, pixels, 3 * (size_t)width * (size_t)height);
    pf_image_free(&image);
    free(file.data);
}

/* ---- JPEG ---- */

static Bytes make_jpeg(int width, int height, J_COLOR_SPACE space, int channels, int progressive)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *data = NULL;
    unsigned long size = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &data, &size);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = channels;
    jpeg.in_color_space = space;
    jpeg_set_defaults(&jpeg);
    jpeg.restart_interval = 2;
    if (progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    uint8_t *row = malloc((size_t)width * (size_t)channels);
    for (int y = 0; y < height; y++) {
        for (int i = 0; i < width * channels; i++) row[i] = (uint8_t)(40 + 5 * y + 3 * i);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(row);
    return (Bytes){data, size};
}

static Bytes make_rgb_jpeg(int width, int height, int progressive)
{
    return make_jpeg(width, height, JCS_RGB, 3, progressive);
}

START_TEST(jpegs_of_every_colour_space_become_rgb)
{
    static const struct {
        J_COLOR_SPACE space;
        int channels;
    } kinds[] = {{JCS_GRAYSCALE, 1}, {JCS_RGB, 3}, {JCS_CMYK, 4}};
    for (size_t i = 0; i < 3; i++)
        for (int progressive = 0; progressive < 2; progressive++) {
            Bytes file = make_jpeg(19, 21, kinds[i].space, kinds[i].channels, progressive);
            PfImage image = {0};
            ck_assert_int_eq(decode(file.data, file.size, &image, NULL), 0);
            ck_assert_int_eq(image.width, 19);
            ck_assert_int_eq(image.height, 21);
            if (kinds[i].channels == 1) ck_assert_int_eq(image.pixels[7], image.pixels[6]);
            pf_image_free(&image);
            free(file.data);
        }
}
END_TEST

START_TEST(a_jpeg_cut_anywhere_is_refused)
{
    for (int progressive = 0; progressive < 2; progressive++) {
        Bytes file = make_rgb_jpeg(40, 33, progressive);
        PfImage image = {0};
        PfError err = {0};
        for (size_t size = 0; size < file.size; size++)
            ck_assert_int_eq(decode(file.data, size, &image, &err), -1);
        pf_image_free(&image);
        expect_refused(file.data, file.size - 4,
                       progressive ? "truncated JPEG: ends before its last scan" : "of 33 rows");
        expect_refused(file.data, 30, "truncated JPEG: ends before its pixels");
        free(file.data);
    }
}
END_TEST

/* The last two bytes are the end marker. */
START_TEST(a_jpeg_without_its_end_marker_is_told_from_one_that_lacks_rows)
{
    for (int progressive = 0; progressive < 2; progressive++) {
        Bytes file = make_rgb_jpeg(40, 33, progressive);
        const char *all = "truncated JPEG: all of its 33 rows are there, but not its end marker";
        expect_refused(file.data, file.size - 1, all);
        expect_refused(file.data, file.size - 2, all);
        expect_refused(file.data, file.size - 2, "--keep-truncated");
        for (size_t size = 1; size < file.size - 4; size++) {
            PfImage image = {0};
            PfError err = {0};
            ck_assert_int_eq(decode(file.data, size, &image, &err), -1);
            ck_assert_msg(!strstr(err.message, "all of its"), "%zu: %s", size, err.message);
            pf_image_free(&image);
        }
        free(file.data);
    }
}
END_TEST

START_TEST(a_truncated_jpeg_is_kept_where_that_is_asked)
{
    for (int progressive = 0; progressive < 2; progressive++) {
        Bytes file = make_rgb_jpeg(40, 33, progressive);
        PfImage whole = {.keep_truncated = 1}, image = {.keep_truncated = 1};
        PfError err = {0};
        ck_assert_int_eq(decode(file.data, file.size, &whole, &err), 0);
        ck_assert_int_eq(whole.is_truncated, 0);
        ck_assert_int_eq(decode(file.data, file.size - 2, &image, &err), 0);
        ck_assert_int_eq(image.is_truncated, 1);
        ck_assert_int_eq(memcmp(image.pixels, whole.pixels, 3 * 40 * 33), 0);
        ck_assert_int_eq(decode(file.data, file.size - 20, &image, &err), 0);
        ck_assert_int_eq(image.is_truncated, 1);
        ck_assert_int_ne(memcmp(image.pixels, whole.pixels, 3 * 40 * 33), 0);
        ck_assert_int_eq(decode(file.data, 30, &image, &err), -1);
        ck_assert_ptr_null(strstr(err.message, "--keep-truncated"));
        for (size_t size = 0; size < file.size; size++) { /* nothing is read beyond the end */
            int refused = decode(file.data, size, &image, &err);
            ck_assert_int_eq(refused ? 0 : 40, image.width);
        }
        ck_assert_int_eq(decode(file.data, file.size, &image, &err), 0);
        ck_assert_int_eq(image.is_truncated, 0);
        pf_image_free(&whole);
        pf_image_free(&image);
        free(file.data);
    }
}
END_TEST

START_TEST(sides_are_halved_while_both_are_long_enough)
{
    static const struct {
        int width, height, least_side, halvings;
    } expected[] = {{64, 48, 0, 0},  {64, 48, 49, 0}, {64, 48, 25, 0}, {64, 48, 24, 1},
                    {64, 47, 24, 0}, {48, 64, 12, 2}, {49, 65, 6, 3},  {65, 49, 1, 3},
                    {7, 64, 4, 0},   {1, 1, 1, 0},    {9, 9, 1, 3}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        int unit = 1 << expected[i].halvings;
        Bytes file = make_rgb_jpeg(expected[i].width, expected[i].height, i % 2 == 1);
        PfImage image = {0};
        ck_assert(
            !pf_image_decode_reduced(file.data, file.size, expected[i].least_side, &image, NULL));
        ck_assert_int_eq(image.halvings, expected[i].halvings);
        ck_assert_int_eq(image.width, expected[i].width);
        ck_assert_int_eq(image.height, expected[i].height);
        ck_assert_int_eq(pf_image_columns(&image), (image.width + unit - 1) / unit);
        ck_assert_int_eq(pf_image_rows(&image), (image.height + unit - 1) / unit);
        ck_assert(!decode(file.data, file.size, &image, NULL));
        ck_assert_int_eq(image.halvings, 0);
        pf_image_free(&image);
        free(file.data);
    }
}
END_TEST

/* Rows of one colour stay of that colour, which a wrong stride would show. */
START_TEST(a_reduced_jpeg_is_the_same_picture)
{
    Bytes file = make_rgb_jpeg(61, 83, 0);
    PfImage whole = {0}, reduced = {0};
    ck_assert(!decode(file.data, file.size, &whole, NULL));
    ck_assert(!pf_image_decode_reduced(file.data, file.size, 30, &reduced, NULL));
    ck_assert_int_eq(reduced.halvings, 1);
    for (int y = 0; y < 83 / 2; y++)
        for (int x = 0; x < 61 / 2; x++) {
            const uint8_t *four = whole.pixels + 3 * (2 * y * 61 + 2 * x);
            int mean = (four[0] + four[3] + four[3 * 61] + four[3 * 62]) / 4;
            int found = reduced.pixels[3 * (y * 31 + x)];
            if (abs(four[0] - four[3 * 62]) < 40) ck_assert_int_le(abs(mean - found), 24);
        }
    pf_image_free(&whole);
    pf_image_free(&reduced);
    free(file.data);
}
END_TEST

START_TEST(bytes_after_a_jpeg_are_no_matter)
{
    Bytes file = make_rgb_jpeg(40, 33, 0);
    PfImage whole = {0};
    ck_assert_int_eq(decode(file.data, file.size, &whole, NULL), 0);
    append_text(&file, "\xff\xd8\xff, and more", 12);
    expect_pixels(file, 40, 33, whole.pixels);
    pf_image_free(&whole);
}
END_TEST

START_TEST(a_broken_jpeg_says_what_libjpeg_says)
{
    Bytes file = make_rgb_jpeg(16, 16, 0);
    for (size_t i = 0; i + 1 < file.size; i++)
        if (file.data[i] == 0xff && file.data[i + 1] == 0xc4) file.data[i + 1] = 0xc8;
    expect_refused(file.data, file.size, "broken JPEG: Unsupported JPEG process: SOF type 0xc8");
    free(file.data);
}
END_TEST

START_TEST(a_buffer_is_kept_from_one_image_to_the_next)
{
    Bytes large = make_rgb_jpeg(64, 64, 0), small = make_rgb_jpeg(16, 16, 0);
    PfImage image = {0};
    ck_assert_int_eq(decode(large.data, large.size, &image, NULL), 0);
    const uint8_t *buffer = image.pixels;
    ck_assert_int_eq(decode(small.data, small.size, &image, NULL), 0);
    ck_assert_int_eq(decode("no", 2, &image, NULL), -1);
    ck_assert_int_eq(decode(large.data, large.size, &image, NULL), 0);
    ck_assert_ptr_eq(image.pixels, buffer);
    ck_assert_int_eq(image.width, 64);
    pf_image_free(&image);
    ck_assert_ptr_null(image.pixels);
    free(large.data);
    free(small.data);
}
END_TEST

/* ---- PNG ---- */

static void append_be32(Bytes *file, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                        (uint8_t)value};
    append(file, bytes, 4);
}

static void append_chunk(Bytes *file, const char *type, const void *data, size_t size)
{
    append_be32(file, (uint32_t)size);
    size_t start = file->size;
    append_text(file, type, 4);
    append_text(file, data, size);
    append_be32(file, (uint32_t)crc32(0, file->data + start, (uInt)(size + 4)));
}

/* rows: height rows, each a filter byte and its packed samples. */
static Bytes make_png(uint32_t width, uint32_t height, int depth, int color_type,
                      const char *palette, size_t palette_size, const void *rows, size_t size)
{
    Bytes file = {0};
    append_text(&file, "\x89PNG\r\n\x1a\n", 8);
    uint8_t header[13] = {(uint8_t)(width >> 24), (uint8_t)(width >> 16),  (uint8_t)(width >> 8),
                          (uint8_t)width,         (uint8_t)(height >> 24), (uint8_t)(height >> 16),
                          (uint8_t)(height >> 8), (uint8_t)height,         (uint8_t)depth,
                          (uint8_t)color_type};
    append_chunk(&file, "IHDR", header, sizeof header);
    if (palette) append_chunk(&file, "PLTE", palette, palette_size);
    uLongf packed_size = compressBound(size);
    uint8_t *packed = malloc(packed_size);
    ck_assert_int_eq(compress(packed, &packed_size, rows, size), Z_OK);
    append_chunk(&file, "IDAT", packed, packed_size);
    free(packed);
    append_chunk(&file, "IEND", NULL, 0);
    return file;
}

START_TEST(pngs_of_every_channel_count_become_rgb)
{
    enum { WIDTH = 9, HEIGHT = 5 };
    for (int channels = 1; channels <= 4; channels++) {
        uint8_t in[WIDTH * HEIGHT * 4], out[WIDTH * HEIGHT * 3];
        for (int i = 0; i < WIDTH * HEIGHT * channels; i++) in[i] = (uint8_t)(i * 37);
        for (int i = 0; i < WIDTH * HEIGHT; i++)
            for (int c = 0; c < 3; c++) out[3 * i + c] = in[channels * i + (channels < 3 ? 0 : c)];
        Bytes file = {0};
        ck_assert(
            stbi_write_png_to_func(append, &file, WIDTH, HEIGHT, channels, in, WIDTH * channels));
        expect_pixels(file, WIDTH, HEIGHT, out);
    }
}
END_TEST

START_TEST(sixteen_bit_grey_is_scaled)
{
    /* PIL would make 255 of everything above 255. */
    const uint8_t rows[] = {0, 0x00, 0xff, 0x12, 0x34, 0xff, 0xff};
    const uint8_t pixels[] = {0, 0, 0, 0x12, 0x12, 0x12, 0xff, 0xff, 0xff};
    expect_pixels(make_png(3, 1, 16, 0, NULL, 0, rows, sizeof rows), 3, 1, pixels);
}
END_TEST

START_TEST(palette_entries_that_are_not_there_are_grey)
{
    const uint8_t rows[] = {0, 0, 1, 2, 200};
    const uint8_t pixels[] = {9, 8, 7, 6, 5, 4, 2, 2, 2, 200, 200, 200};
    expect_pixels(make_png(4, 1, 8, 3, "\x9\x8\x7\x6\x5\x4", 6, rows, sizeof rows), 4, 1, pixels);
    Bytes none = make_png(4, 1, 8, 3, NULL, 0, rows, sizeof rows);
    expect_refused(none.data, none.size,
                   "broken PNG: its pixels are indices and it has no palette");
    free(none.data);
}
END_TEST

START_TEST(a_png_cut_anywhere_is_refused)
{
    uint8_t rows[20 * 31] = {0};
    for (size_t i = 0; i < sizeof rows; i++) rows[i] = i % 31 ? (uint8_t)(i * i) : 0;
    Bytes file = make_png(10, 20, 8, 2, NULL, 0, rows, sizeof rows);
    PfImage image = {0};
    for (size_t size = 0; size < file.size; size++)
        ck_assert_int_eq(decode(file.data, size, &image, NULL), -1);
    pf_image_free(&image);
    expect_refused(file.data, file.size - 1, "truncated PNG: ends after");
    expect_refused(file.data, file.size - 20, "inside its IDAT chunk");
    free(file.data);
}
END_TEST

START_TEST(a_png_with_one_bit_wrong_is_refused)
{
    const uint8_t rows[] = {0, 1, 2, 3, 0, 4, 5, 6};
    Bytes file = make_png(3, 2, 8, 0, NULL, 0, rows, sizeof rows);
    PfImage image = {0};
    for (size_t bit = 8 * 8; bit < file.size * 8; bit++) {
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_int_eq(decode(file.data, file.size, &image, NULL), -1);
        file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ck_assert_int_eq(decode(file.data, file.size, &image, NULL), 0);
    pf_image_free(&image);
    free(file.data);
}
END_TEST

START_TEST(pngs_that_promise_too_much_are_refused)
{
    const uint8_t rows[] = {0, 1, 2, 3};
    Bytes huge = make_png(1u << 30, 1u << 30, 8, 2, NULL, 0, rows, sizeof rows);
    expect_refused(huge.data, huge.size, "too large: 1073741824 x 1073741824 pixels");
    free(huge.data);
    Bytes hollow = make_png(16000, 16000, 8, 0, NULL, 0, rows, sizeof rows);
    expect_refused(hollow.data, hollow.size, "compressed pixels cannot hold 16000 x 16000");
    free(hollow.data);
    Bytes negative = make_png(0xffffffff, 2, 8, 0, NULL, 0, rows, sizeof rows);
    expect_refused(negative.data, negative.size, "too large: 4294967295 x 2 pixels");
    free(negative.data);
    Bytes few = make_png(3, 2, 8, 0, NULL, 0, rows, sizeof rows);
    expect_refused(few.data, few.size, "broken PNG: its pixels end too early");
    free(few.data);
}
END_TEST

/* stb_image makes three bytes of each pixel. */
START_TEST(pngs_of_more_bytes_than_can_be_counted_are_refused)
{
    const uint8_t rows[] = {0, 1, 2, 3};
    Bytes file = make_png(30000, 30000, 1, 0, NULL, 0, rows, sizeof rows);
    PfImage image = {.limits.max_pixels = PF_IMAGE_MOST_PIXELS};
    PfError err = {0};
    ck_assert_int_eq(decode(file.data, file.size, &image, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
    ck_assert_str_eq(err.message, "PNG of 30000 x 30000 pixels of 1 bits per sample: more than can "
                                  "be decoded");
    pf_image_free(&image);
    free(file.data);
}
END_TEST

/* ---- limits ---- */

static Bytes make_progressive_jpeg(int side)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *data = NULL;
    unsigned long size = 0;
    uint8_t *row = calloc((size_t)side, 3);
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &data, &size);
    jpeg.image_width = jpeg.image_height = (JDIMENSION)side;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) jpeg_write_scanlines(&jpeg, &row, 1);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    free(row);
    return (Bytes){data, size};
}

/* Ctrl-C while an image is decoded: it is neither good nor bad. */
START_TEST(decoding_ends_when_it_is_interrupted)
{
    static const uint8_t rows[20 * 31];
    static const char plain[] = "P3 2 1 255 1 2 3 4 5 6";
    Bytes text = {0};
    append_text(&text, plain, sizeof plain - 1);
    Bytes files[] = {make_progressive_jpeg(64), make_png(10, 20, 8, 2, NULL, 0, rows, sizeof rows),
                     text};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        volatile sig_atomic_t interrupted = 0;
        PfImage image = {.limits.interrupted = &interrupted};
        PfError err = {0};
        ck_assert_msg(!decode(files[i].data, files[i].size, &image, &err), "%s", err.message);
        interrupted = SIGINT;
        ck_assert_int_eq(decode(files[i].data, files[i].size, &image, &err), -1);
        ck_assert_int_eq(err.exit_code, PF_EXIT_INTERRUPTED);
        interrupted = 0;
        ck_assert(!decode(files[i].data, files[i].size, &image, &err));
        pf_image_free(&image);
        free(files[i].data);
    }
}
END_TEST

START_TEST(an_image_has_as_many_pixels_as_its_limits_say)
{
    static const uint8_t rows[20 * 31];
    Bytes bmp = {0}, text = {0};
    ck_assert(stbi_write_bmp_to_func(append, &bmp, 10, 20, 3, rows));
    append_text(&text, "P5 10 20 255 ", 13);
    append_text(&text, (const char *)rows, 200);
    Bytes files[] = {make_png(10, 20, 8, 2, NULL, 0, rows, sizeof rows), bmp, text,
                     make_progressive_jpeg(14)};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        PfImage image = {.limits.max_pixels = 200};
        PfError err = {0};
        ck_assert_msg(!decode(files[i].data, files[i].size, &image, &err), "%s", err.message);
        ck_assert_int_eq(image.limits.max_pixels, 200);
        image.limits.max_pixels = 195;
        ck_assert_int_eq(decode(files[i].data, files[i].size, &image, &err), -1);
        ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
        ck_assert_msg(strstr(err.message, "at most 195. Hint: --max-pixels"), "%s", err.message);
        pf_image_free(&image);
        free(files[i].data);
    }
}
END_TEST

/* ---- BMP, PGM, PPM ---- */

START_TEST(plain_and_binary_pnm_are_scaled_to_255)
{
    static const struct {
        const char *file;
        size_t size;
        uint8_t pixels[6];
    } files[] = {
        {"P5\n2 1 255\n\1\2", 13, {1, 1, 1, 2, 2, 2}},
        {"P5 # two\n2 1\n100\n\1\x64", 19, {3, 3, 3, 255, 255, 255}},
        {"P5 2 1 100 \1\xc8", 13, {3, 3, 3, 255, 255, 255}}, /* more than the maximum */
        {"P6 2 1 65535 \0\xff\x80\0\xff\xff\0\0\1\0\2\0", 25, {1, 128, 255, 0, 1, 2}},
        {"P2 2 1 4 1 # one\n4", 18, {64, 64, 64, 255, 255, 255}},
        {"P3 2 1 255 1 2 3 4 5 6", 22, {1, 2, 3, 4, 5, 6}},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        Bytes file = {0};
        append_text(&file, files[i].file, files[i].size);
        PfImage image = {0};
        for (size_t size = 0; size < file.size; size++)
            ck_assert_int_eq(decode(file.data, size, &image, NULL), -1);
        expect_pixels(file, 2, 1, files[i].pixels);
        pf_image_free(&image);
    }
}
END_TEST

START_TEST(broken_pnm_is_refused)
{
    expect_refused("P6 2 2 0 ....", 13, "broken P6 header");
    expect_refused("P6 2 2 65536 ....", 17, "broken P6 header");
    expect_refused("P6 -2 2 255 ....", 16, "broken P6 header");
    expect_refused("P6 99999999999999999999 2 255 ", 30, "broken P6 header");
    expect_refused("P6 200000000 200000000 255 ", 27, "too large: 200000000 x 200000000");
    expect_refused("P5 200 100 255 ....", 19, "truncated P5: ends after 0 of 100 rows");
    expect_refused("P2 2 1 9 9 x", 12, "sample 2 of 2 is not a number up to 9");
    expect_refused("P2 2 1 9 9 10", 13, "sample 2 of 2 is not a number up to 9");
}
END_TEST

START_TEST(a_bmp_cut_anywhere_is_refused)
{
    uint8_t pixels[3 * 5 * 4];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * 11);
    Bytes file = {0};
    ck_assert(stbi_write_bmp_to_func(append, &file, 5, 4, 3, pixels));
    PfImage image = {0};
    for (size_t size = 0; size < file.size - 1; size++) /* the last byte fills the row up */
        ck_assert_int_eq(decode(file.data, size, &image, NULL), -1);
    pf_image_free(&image);
    expect_pixels(file, 5, 4, pixels);
}
END_TEST

START_TEST(odd_bmps_are_refused_by_name)
{
    uint8_t pixel[3] = {1, 2, 3};
    Bytes file = {0};
    ck_assert(stbi_write_bmp_to_func(append, &file, 1, 1, 3, pixel));
    file.data[30] = 1;
    expect_refused(file.data, file.size, "BMP with compression 1, which is not supported");
    file.data[30] = 0;
    file.data[28] = 7;
    expect_refused(file.data, file.size, "BMP with 7 bits per pixel");
    file.data[28] = 24;
    memset(file.data + 18, 0xff, 4);
    expect_refused(file.data, file.size, "too large: 4294967295 x 1 pixels");
    file.data[14] = 13;
    expect_refused(file.data, file.size, "BMP with a header of 13 bytes; expected 12, 40, 52");
    free(file.data);
}
END_TEST

/* ---- everything else ---- */

START_TEST(a_format_is_told_by_its_first_bytes)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *name; /* NULL: they may be text as well, or say nothing */
        bool is_decoded;
    } files[] = {
        {"\xff\xd8\xff\xe0", 4, "JPEG", true},
        {"\x89PNG\r\n\x1a\n", 8, "PNG", true},
        {"\x89PNG\r\n\x1a", 7, NULL, false},
        {"BM\x36\x10\0\0\0\0\0\0", 10, "BMP", true},
        {"BM\x36\x10\0\0\0\0\0", 9, NULL, false},
        {"BMW is a maker", 14, NULL, false},
        {"P6 1 1 255 ", 11, "PPM", true},
        {"P2#", 3, "PGM", true},
        {"P65", 3, NULL, false},
        {"P5", 2, NULL, false},
        {"GIF89a", 6, "GIF", true},
        {"RIFF1234WEBP", 12, "WebP", true},
        {"abcdftypheic", 12, "HEIF", true},
        {"abcdftypmif1", 12, "HEIF", true},
        {"\0\0\0\x1c"
         "ftypmif1\0\0\0\0mif1heic",
         24, "HEIF", true},
        {"\0\0\0\x1c"
         "ftypmif1\0\0\0\0miafavif",
         24, "AVIF", true},
        {"\0\0\0\x14"
         "ftypmif1\0\0\0\0miafavif",
         24, "HEIF", true},
        {"\0\0\0\x1c"
         "ftypheic\0\0\0\0mif1avif",
         24, "HEIF", true},
        {"abcdftypavis", 12, "AVIF", true},
        {"abcdftypmp42", 12, NULL, false},
        {"\0\0\0\x0cJXL ", 8, "JPEG XL", false},
        {"P1\n", 3, "PBM", true},
        {"8BPS\0\1", 6, "Photoshop", true},
        {"/* XPM */\n", 10, "XPM", true},
        {"#define a_width 8\n", 18, "XBM", true},
        {"#define WIDTH 8\n", 16, NULL, false},
        {"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0\0\0\0\0\0\0\0\0", 22, "ICO", true},
        {"\0\0\2\0\0\0\0\0\0\0\0\0\x10\0\x10\0\x20\x08", 18, "TGA", true},
        {"\0\0\2\0\0\0\0\1\0\0\0\0\x10\0\x10\0\x20\x08", 18, NULL, false},
        {"\0\0\2\0\0\0\0\0\0\0\0\0\x10\0\x10\0\x21\x08", 18, NULL, false},
        {"\0\1\0\0\0\x0d\0\x80\0\3\0\x50\x46\x46\x54\x4d\x6b\x2e", 18, NULL, false}, /* a font */
        {"", 0, NULL, false},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        bool is_decoded = !files[i].is_decoded;
        const char *name =
            pf_image_format_name((const uint8_t *)files[i].bytes, files[i].size, &is_decoded);
        ck_assert_pstr_eq(name, files[i].name);
        ck_assert_int_eq(is_decoded, files[i].is_decoded);
    }
}
END_TEST

START_TEST(what_is_no_image_is_named)
{
    expect_refused("", 0, "empty file");
    expect_refused("hello world, hello", 18, "not an image: begins with 'hello worl'");
    expect_refused("\177ELF\n", 5, "not an image: begins with '\\x7fELF\\x0a'");
    expect_refused("\xff\xd8", 2, "not an image: begins with '\\xff\\xd8'");
    expect_refused("II*\0....", 8, "truncated TIFF: ends after 8 bytes");
    expect_refused("\0\0\0\x0cJXL ", 8, "JPEG XL is not supported. Hint: convert it to PNG");
}
END_TEST

static void add_jpeg_tests(TCase *cases)
{
    tcase_add_test(cases, jpegs_of_every_colour_space_become_rgb);
    tcase_add_test(cases, a_jpeg_cut_anywhere_is_refused);
    tcase_add_test(cases, a_jpeg_without_its_end_marker_is_told_from_one_that_lacks_rows);
    tcase_add_test(cases, a_truncated_jpeg_is_kept_where_that_is_asked);
    tcase_add_test(cases, sides_are_halved_while_both_are_long_enough);
    tcase_add_test(cases, a_reduced_jpeg_is_the_same_picture);
    tcase_add_test(cases, bytes_after_a_jpeg_are_no_matter);
    tcase_add_test(cases, a_broken_jpeg_says_what_libjpeg_says);
    tcase_add_test(cases, a_buffer_is_kept_from_one_image_to_the_next);
}

static void add_other_tests(TCase *cases)
{
    tcase_add_test(cases, a_format_is_told_by_its_first_bytes);
    tcase_add_test(cases, pngs_of_every_channel_count_become_rgb);
    tcase_add_test(cases, sixteen_bit_grey_is_scaled);
    tcase_add_test(cases, palette_entries_that_are_not_there_are_grey);
    tcase_add_test(cases, a_png_cut_anywhere_is_refused);
    tcase_add_test(cases, a_png_with_one_bit_wrong_is_refused);
    tcase_add_test(cases, pngs_that_promise_too_much_are_refused);
    tcase_add_test(cases, pngs_of_more_bytes_than_can_be_counted_are_refused);
    tcase_add_test(cases, decoding_ends_when_it_is_interrupted);
    tcase_add_test(cases, an_image_has_as_many_pixels_as_its_limits_say);
    tcase_add_test(cases, plain_and_binary_pnm_are_scaled_to_255);
    tcase_add_test(cases, broken_pnm_is_refused);
    tcase_add_test(cases, a_bmp_cut_anywhere_is_refused);
    tcase_add_test(cases, odd_bmps_are_refused_by_name);
    tcase_add_test(cases, what_is_no_image_is_named);
}

int main(void)
{
    Suite *suite = suite_create("image");
    TCase *cases = tcase_create("all");
    tcase_set_timeout(cases, 60);
    add_jpeg_tests(cases);
    add_other_tests(cases);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
