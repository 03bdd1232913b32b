/* JPEG 2000: subsampled components, depths, and damage. Whole pictures are compared with Pillow's
 * in tests/parity/tiff_parity.py, which cannot write the former. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openjpeg.h>

#include "extract/image/image.h"

/* ---- a file in memory, as OpenJPEG writes it ---- */

typedef struct File {
    uint8_t bytes[1 << 15];
    size_t size, position;
} File;

static OPJ_SIZE_T write_file(void *bytes, OPJ_SIZE_T size, void *data)
{
    File *file = data;
    ck_assert_uint_le(file->position + size, sizeof file->bytes);
    memcpy(file->bytes + file->position, bytes, size);
    file->position += size;
    if (file->position > file->size) file->size = file->position;
    return size;
}

static OPJ_OFF_T skip_file(OPJ_OFF_T count, void *data)
{
    ((File *)data)->position += (size_t)count;
    return count;
}

static OPJ_BOOL seek_file(OPJ_OFF_T position, void *data)
{
    ((File *)data)->position = (size_t)position;
    return OPJ_TRUE;
}

enum { WIDTH = 23, HEIGHT = 19, FEW_PIXELS = 1 << 14 };

/* Component c's sample number i. */
typedef int Samples(int c, int x, int y);

typedef struct Kind {
    OPJ_CODEC_FORMAT format;
    OPJ_COLOR_SPACE space;
    unsigned components, bits, is_signed, steps; /* steps: of the components behind the first */
    int tile;                                    /* 0: one */
    Samples *samples;
} Kind;

static opj_image_t *new_picture(const Kind *kind)
{
    opj_image_cmptparm_t parameters[4] = {0};
    for (unsigned c = 0; c < kind->components; c++) {
        unsigned step = c ? kind->steps : 1;
        parameters[c] = (opj_image_cmptparm_t){.dx = step,
                                               .dy = step,
                                               .w = (WIDTH + step - 1) / step,
                                               .h = (HEIGHT + step - 1) / step,
                                               .prec = kind->bits,
                                               .bpp = kind->bits,
                                               .sgnd = kind->is_signed};
    }
    opj_image_t *picture = opj_image_create(kind->components, parameters, kind->space);
    picture->x1 = WIDTH;
    picture->y1 = HEIGHT;
    for (unsigned c = 0; c < kind->components; c++)
        for (unsigned i = 0; i < picture->comps[c].w * picture->comps[c].h; i++)
            picture->comps[c].data[i] = kind->samples((int)c, (int)(i % picture->comps[c].w),
                                                      (int)(i / picture->comps[c].w));
    return picture;
}

static void write_jpeg2000(File *file, const Kind *kind)
{
    memset(file, 0, sizeof *file);
    opj_image_t *picture = new_picture(kind);
    opj_cparameters_t parameters;
    opj_set_default_encoder_parameters(&parameters);
    parameters.numresolution = 3;
    parameters.tcp_numlayers = 1;
    parameters.cp_disto_alloc = 1;
    parameters.tile_size_on = kind->tile > 0;
    parameters.cp_tdx = parameters.cp_tdy = kind->tile;
    opj_codec_t *codec = opj_create_compress(kind->format);
    opj_stream_t *stream = opj_stream_create(1 << 12, OPJ_FALSE);
    opj_stream_set_write_function(stream, write_file);
    opj_stream_set_skip_function(stream, skip_file);
    opj_stream_set_seek_function(stream, seek_file);
    opj_stream_set_user_data(stream, file, NULL);
    ck_assert(opj_setup_encoder(codec, &parameters, picture));
    ck_assert(opj_start_compress(codec, picture, stream));
    ck_assert(opj_encode(codec, stream));
    ck_assert(opj_end_compress(codec, stream));
    opj_stream_destroy(stream);
    opj_destroy_codec(codec);
    opj_image_destroy(picture);
}

/* Exactly as large as the file, so that a sanitizer sees one byte too many. */
static int decode(const void *bytes, size_t size, PfImage *image, PfError *err)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    int result = pf_image_decode(copy, size, image, err);
    free(copy);
    return result;
}

static void decode_kind(const Kind *kind, PfImage *image)
{
    static File file;
    PfError err = {0};
    write_jpeg2000(&file, kind);
    ck_assert_msg(!decode(file.bytes, file.size, image, &err), "%s", err.message);
    ck_assert_int_eq(image->width, WIDTH);
    ck_assert_int_eq(image->height, HEIGHT);
}

static void expect_refused(const void *bytes, size_t size, const char *reason)
{
    PfImage image = {0};
    PfError err = {0};
    ck_assert_int_eq(decode(bytes, size, &image, &err), -1);
    ck_assert_msg(strstr(err.message, reason) != NULL, "'%s' does not hold '%s'", err.message,
                  reason);
    ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
    pf_image_free(&image);
}

/* ---- pixels ---- */

static int plain(int c, int x, int y)
{
    return (17 * c + 5 * x + 11 * y) % 256;
}

static const uint8_t *pixel(const PfImage *image, int x, int y)
{
    return image->pixels + 3 * (y * image->width + x);
}

START_TEST(lossless_pixels_come_as_they_are)
{
    PfImage image = {0};
    for (int tile = 0; tile < 17; tile += 16) {
        decode_kind(&(Kind){OPJ_CODEC_JP2, OPJ_CLRSPC_SRGB, 3, 8, 0, 1, tile, plain}, &image);
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++)
                for (int c = 0; c < 3; c++)
                    ck_assert_int_eq(pixel(&image, x, y)[c], plain(c, x, y));
    }
    pf_image_free(&image);
}
END_TEST

/* Y is the same everywhere, Cb another in each of its samples, Cr none. */
static int blue(int c, int x, int y)
{
    return c == 0 ? 100 : c == 1 ? 128 + 4 * (x % 12) + y % 4 : 128;
}

/* An image that says nothing of its colours is YCbCr because its second component is smaller; tiles
 * and odd sides have no part in where a sample lies. */
START_TEST(subsampled_components_cover_their_pixels)
{
    static const Kind kinds[] = {
        {OPJ_CODEC_J2K, OPJ_CLRSPC_UNSPECIFIED, 3, 8, 0, 2, 0, blue},
        {OPJ_CODEC_JP2, OPJ_CLRSPC_SYCC, 3, 8, 0, 2, 0, blue},
        {OPJ_CODEC_JP2, OPJ_CLRSPC_SYCC, 3, 8, 0, 2, 8, blue},
    };
    PfImage image = {0};
    decode_kind(&kinds[_i], &image);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            int cb = blue(1, x / 2, y / 2) - 128;
            ck_assert_int_eq(pixel(&image, x, y)[0], 100);
            ck_assert_int_le(abs(pixel(&image, x, y)[2] - (100 + (int)(1.772 * cb + 0.5))), 1);
        }
    pf_image_free(&image);
}
END_TEST

static int bright(int c, int x, int y)
{
    (void)c, (void)y;
    return 65535 - x * 129;
}

static int dark(int c, int x, int y)
{
    (void)c, (void)y;
    return x - 128;
}

START_TEST(other_depths_become_8_bits)
{
    PfImage image = {0};
    decode_kind(&(Kind){OPJ_CODEC_J2K, OPJ_CLRSPC_GRAY, 1, 16, 0, 1, 0, bright}, &image);
    for (int x = 0; x < WIDTH; x++)
        ck_assert_int_eq(pixel(&image, x, 3)[1], (65535 - x * 129) >> 8);
    decode_kind(&(Kind){OPJ_CODEC_J2K, OPJ_CLRSPC_SRGB, 3, 16, 0, 1, 0, bright}, &image);
    for (int x = 0; x < WIDTH; x++) {
        int rounded = (65535 - x * 129 + 128) >> 8;
        ck_assert_int_eq(pixel(&image, x, 3)[1], rounded < 255 ? rounded : 255);
    }
    decode_kind(&(Kind){OPJ_CODEC_J2K, OPJ_CLRSPC_GRAY, 1, 8, 1, 1, 0, dark}, &image);
    for (int x = 0; x < WIDTH; x++) ck_assert_int_eq(pixel(&image, x, 3)[1], x);
    pf_image_free(&image);
}
END_TEST

START_TEST(fourth_components_are_alpha)
{
    PfImage image = {.has_background = true, .background = {9, 8, 7}};
    decode_kind(&(Kind){OPJ_CODEC_JP2, OPJ_CLRSPC_SRGB, 4, 8, 0, 1, 0, plain}, &image);
    ck_assert(image.is_transparent);
    int alpha = plain(3, 4, 5), value = alpha * plain(0, 4, 5) + (255 - alpha) * 9;
    ck_assert_int_eq(pixel(&image, 4, 5)[0], (value + 127) / 255);
    pf_image_free(&image);
}
END_TEST

/* ---- damage ---- */

/* Every bit with PF_LONG=1, else one of each seven. */
static size_t flip_step(void)
{
    return getenv("PF_LONG") ? 1 : 7;
}

static const Kind damaged[] = {
    {OPJ_CODEC_JP2, OPJ_CLRSPC_SRGB, 3, 8, 0, 1, 8, plain},
    {OPJ_CODEC_J2K, OPJ_CLRSPC_UNSPECIFIED, 3, 8, 0, 2, 0, blue},
    {OPJ_CODEC_JP2, OPJ_CLRSPC_GRAY, 2, 12, 0, 1, 0, plain},
};
enum { DAMAGED = sizeof damaged / sizeof *damaged };

static void expect_either(const void *bytes, size_t size, PfImage *image)
{
    PfError err = {0};
    if (decode(bytes, size, image, &err)) {
        ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
        ck_assert(err.message[0] != '\0');
    } else {
        ck_assert(image->width > 0 && image->height > 0);
    }
}

START_TEST(a_file_cut_anywhere_is_refused_or_decoded)
{
    static File file;
    PfImage image = {0};
    write_jpeg2000(&file, &damaged[_i]);
    for (size_t size = 4; size < file.size; size++) expect_either(file.bytes, size, &image);
    pf_image_free(&image);
}
END_TEST

START_TEST(a_file_with_any_bit_flipped_is_refused_or_decoded)
{
    static File file;
    PfImage image = {.limits = {.max_pixels = FEW_PIXELS}};
    write_jpeg2000(&file, &damaged[_i]);
    for (size_t bit = 8 * 4; bit < 8 * file.size; bit += flip_step()) {
        file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        expect_either(file.bytes, file.size, &image);
        file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    pf_image_free(&image);
}
END_TEST

/* ---- headers written here ---- */

static void put(File *file, uint32_t value, int bytes)
{
    while (bytes-- > 0) file->bytes[file->size++] = (uint8_t)(value >> 8 * bytes);
}

/* SOC and SIZ, then COD with precincts of 2^exponent pixels. */
static void put_header(File *file, uint32_t side, uint32_t tile, int components, uint32_t exponent)
{
    memset(file, 0, sizeof *file);
    put(file, 0xff4fff51, 4);
    put(file, (uint32_t)(38 + 3 * components), 2);
    put(file, 0, 2);
    put(file, side, 4);
    put(file, side, 4);
    put(file, 0, 4);
    put(file, 0, 4);
    put(file, tile, 4);
    put(file, tile, 4);
    put(file, 0, 4);
    put(file, 0, 4);
    put(file, (uint32_t)components, 2);
    for (int c = 0; c < components; c++) put(file, 0x070101, 3);
    put(file, 0xff52, 2);
    put(file, 2 + 5 + 5 + 1, 2);
    put(file, 1, 1);          /* precincts are given */
    put(file, 0x00000100, 4); /* order, layers, transform */
    put(file, 0, 1);          /* halvings */
    put(file, 0x0404, 2);     /* code blocks of 64 x 64 */
    put(file, 0x0001, 2);
    put(file, exponent << 4 | exponent, 1);
}

START_TEST(headers_that_ask_for_too_much_are_refused)
{
    static File file;
    put_header(&file, 1 << 20, 1 << 20, 1, 15);
    expect_refused(file.bytes, file.size, "too large: 1048576 x 1048576 pixels");
    put_header(&file, 1 << 13, 1 << 13, 4, 15);
    expect_refused(file.bytes, file.size, "too large for its file");
    put_header(&file, 1000, 1, 1, 15);
    expect_refused(file.bytes, file.size, "more than 65535 tiles");
    put_header(&file, 1000, 4, 4, 15); /* 62,500 tiles */
    expect_refused(file.bytes, file.size, "broken JPEG 2000: tiles, precincts and code blocks");
    put_header(&file, 1000, 1000, 1, 0); /* a million precincts */
    expect_refused(file.bytes, file.size, "broken JPEG 2000: tiles, precincts and code blocks");
    put_header(&file, 3, 3, 1, 15);
    expect_refused(file.bytes, file.size, "broken JPEG 2000: ");
    put_header(&file, 10, 10, 5, 15);
    expect_refused(file.bytes, file.size, "JPEG 2000 of 5 components, 1 to 4 expected");
    put_header(&file, 10, 0, 1, 15);
    expect_refused(file.bytes, file.size, "broken JPEG 2000: tiles of 0 x 0 pixels");
    put_header(&file, 0, 10, 1, 15);
    expect_refused(file.bytes, file.size, "empty image: 0 x 0 pixels");
    expect_refused(file.bytes, 20, "truncated JPEG 2000: ends after 20 bytes");
}
END_TEST

START_TEST(palettes_have_four_columns_at_most)
{
    static const char file[] = "\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14jp2h\0\0\0\x0cpclr\0\1\xff\0";
    expect_refused(file, sizeof file - 1, "a palette of 255 columns, 1 to 4 expected");
    expect_refused(file, 12, "truncated JPEG 2000: no codestream in its 12 bytes");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jpeg2000");
    TCase *tests = tcase_create("jpeg2000");
    tcase_add_test(tests, lossless_pixels_come_as_they_are);
    tcase_add_loop_test(tests, subsampled_components_cover_their_pixels, 0, 3);
    tcase_add_test(tests, other_depths_become_8_bits);
    tcase_add_test(tests, fourth_components_are_alpha);
    tcase_add_loop_test(tests, a_file_cut_anywhere_is_refused_or_decoded, 0, DAMAGED);
    tcase_add_loop_test(tests, a_file_with_any_bit_flipped_is_refused_or_decoded, 0, DAMAGED);
    tcase_add_test(tests, headers_that_ask_for_too_much_are_refused);
    tcase_add_test(tests, palettes_have_four_columns_at_most);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
