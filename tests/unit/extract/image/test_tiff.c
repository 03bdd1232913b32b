/* TIFF: what is refused, in which words, and that damage is refused or decoded, in silence. Pixels
 * are compared with Pillow's in tests/parity/tiff_parity.py. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <unistd.h>

#include "extract/image/image.h"

/* ---- a file in memory, as libtiff writes it ---- */

typedef struct File {
    uint8_t bytes[1 << 16];
    size_t size, position;
} File;

static tmsize_t read_file(thandle_t handle, void *out, tmsize_t size)
{
    File *file = handle;
    memcpy(out, file->bytes + file->position, (size_t)size);
    file->position += (size_t)size;
    return size;
}

static tmsize_t write_file(thandle_t handle, void *bytes, tmsize_t size)
{
    File *file = handle;
    ck_assert_uint_le(file->position + (size_t)size, sizeof file->bytes);
    memcpy(file->bytes + file->position, bytes, (size_t)size);
    file->position += (size_t)size;
    if (file->position > file->size) file->size = file->position;
    return size;
}

static toff_t seek_file(thandle_t handle, toff_t offset, int whence)
{
    File *file = handle;
    file->position = whence == SEEK_SET   ? offset
                     : whence == SEEK_CUR ? file->position + offset
                                          : file->size + offset;
    return file->position;
}

static int close_file(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t file_size(thandle_t handle)
{
    return ((File *)handle)->size;
}

/* What to write: 23 x 19 pixels. */
enum { WIDTH = 23, HEIGHT = 19, TILE = 16, FEW_PIXELS = 1 << 14 };

typedef struct Kind {
    const char *mode;
    int compression, photometric, bits, samples, is_tiled, is_planar, sample_format;
} Kind;

static const Kind kinds[] = {
    {"w", COMPRESSION_NONE, PHOTOMETRIC_RGB, 8, 3, 0, 0, 1},
    {"wb", COMPRESSION_LZW, PHOTOMETRIC_RGB, 8, 3, 0, 0, 1},
    {"w8", COMPRESSION_ADOBE_DEFLATE, PHOTOMETRIC_RGB, 8, 3, 1, 1, 1},
    {"w8b", COMPRESSION_NONE, PHOTOMETRIC_RGB, 16, 4, 1, 0, 1},
    {"w", COMPRESSION_PACKBITS, PHOTOMETRIC_MINISWHITE, 8, 1, 0, 0, 1},
    {"w", COMPRESSION_CCITTFAX4, PHOTOMETRIC_MINISWHITE, 1, 1, 0, 0, 1},
    {"w", COMPRESSION_CCITTFAX3, PHOTOMETRIC_MINISBLACK, 1, 1, 1, 0, 1},
    {"w", COMPRESSION_PACKBITS, PHOTOMETRIC_PALETTE, 4, 1, 0, 0, 1},
    {"w", COMPRESSION_JPEG, PHOTOMETRIC_YCBCR, 8, 3, 0, 0, 1},
    {"w", COMPRESSION_JPEG, PHOTOMETRIC_RGB, 8, 3, 1, 1, 1},
    {"w", COMPRESSION_ADOBE_DEFLATE, PHOTOMETRIC_SEPARATED, 8, 4, 0, 0, 1},
    {"w", COMPRESSION_LZW, PHOTOMETRIC_MINISBLACK, 32, 1, 0, 0, 3},
    {"w", COMPRESSION_ADOBE_DEFLATE, PHOTOMETRIC_YCBCR, 8, 3, 0, 0, 1},
    {"w", COMPRESSION_NONE, PHOTOMETRIC_CIELAB, 8, 3, 0, 0, 1},
};
enum {
    KINDS = sizeof kinds / sizeof *kinds,
    QUICK_KINDS = KINDS - 1 /* L*a*b* takes a transform each */
};

/* JPEG takes no fewer of subsampled colours. */
static uint32_t rows_per_strip(const Kind *kind)
{
    return kind->compression == COMPRESSION_JPEG ? 16 : 8;
}

static void set_fields(TIFF *tiff, const Kind *kind)
{
    uint16_t palette[3][16];
    for (int i = 0; i < 48; i++) palette[i / 16][i % 16] = (uint16_t)(i * 1365);
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, WIDTH);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, HEIGHT);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, kind->bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, kind->samples);
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, kind->sample_format);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, kind->compression);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, kind->photometric);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, kind->is_planar ? 2 : 1);
    if (kind->photometric == PHOTOMETRIC_PALETTE)
        TIFFSetField(tiff, TIFFTAG_COLORMAP, palette[0], palette[1], palette[2]);
    if (kind->photometric == PHOTOMETRIC_YCBCR) TIFFSetField(tiff, TIFFTAG_YCBCRSUBSAMPLING, 2, 2);
    if (kind->is_tiled) {
        TIFFSetField(tiff, TIFFTAG_TILEWIDTH, TILE);
        TIFFSetField(tiff, TIFFTAG_TILELENGTH, TILE);
    } else {
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, rows_per_strip(kind));
    }
}

/* Byte number i of a block's samples is i + i / 8. */
static void write_blocks(TIFF *tiff, const Kind *kind)
{
    uint8_t block[1 << 13];
    uint32_t count = kind->is_tiled ? TIFFNumberOfTiles(tiff) : TIFFNumberOfStrips(tiff);
    tmsize_t size = kind->is_tiled ? TIFFTileSize(tiff) : TIFFStripSize(tiff);
    ck_assert_int_le(size, sizeof block);
    for (size_t i = 0; i < sizeof block; i++) block[i] = (uint8_t)(i + i / 8);
    if (kind->sample_format == 3)
        for (size_t i = 0; i < sizeof block / 4; i++)
            memcpy(block + 4 * i, &(float){(float)(i % 300)}, 4);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rows = rows_per_strip(kind), below = HEIGHT - i * rows;
        tmsize_t bytes = kind->is_tiled ? size : TIFFVStripSize(tiff, below < rows ? below : rows);
        ck_assert_int_ge(kind->is_tiled ? TIFFWriteEncodedTile(tiff, i, block, bytes)
                                        : TIFFWriteEncodedStrip(tiff, i, block, bytes),
                         0);
    }
}

static void write_tiff(File *file, const Kind *kind, int orientation)
{
    memset(file, 0, sizeof *file);
    TIFF *tiff = TIFFClientOpen("test", kind->mode, file, read_file, write_file, seek_file,
                                close_file, file_size, NULL, NULL);
    ck_assert_ptr_nonnull(tiff);
    set_fields(tiff, kind);
    if (orientation) TIFFSetField(tiff, TIFFTAG_ORIENTATION, orientation);
    write_blocks(tiff, kind);
    TIFFClose(tiff);
}

/* ---- decoding ---- */

/* Exactly as large as the file, so that a sanitizer sees one byte too many. */
static int decode(const void *bytes, size_t size, PfImage *image, PfError *err)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    int result = pf_image_decode(copy, size, image, err);
    free(copy);
    return result;
}

static void expect_refused(const void *bytes, size_t size, const char *reason)
{
    PfImage image = {0};
    PfError err = {0};
    ck_assert_int_eq(decode(bytes, size, &image, &err), -1);
    ck_assert_msg(strstr(err.message, reason) != NULL, "'%s' does not hold '%s'", err.message,
                  reason);
    ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
    ck_assert_int_eq(image.width | image.height, 0);
    pf_image_free(&image);
}

/* Whatever it is: decoded, or refused with a reason. */
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

START_TEST(every_kind_is_decoded)
{
    static File file;
    PfImage image = {0};
    PfError err = {0};
    write_tiff(&file, &kinds[_i], 0);
    ck_assert_msg(!decode(file.bytes, file.size, &image, &err), "kind %d: %s", _i, err.message);
    ck_assert_int_eq(image.width, WIDTH);
    ck_assert_int_eq(image.height, HEIGHT);
    ck_assert_int_eq(image.orientation, 1);
    ck_assert_int_eq(image.is_transparent, kinds[_i].samples == 4 && kinds[_i].bits == 16);
    if (_i < 2)
        for (int i = 0; i < 3 * WIDTH; i++) ck_assert_int_eq(image.pixels[i], (uint8_t)(i + i / 8));
    pf_image_free(&image);
}
END_TEST

/* ---- damage ---- */

/* Every bit with PF_LONG=1, else one of each seven. */
static size_t flip_step(void)
{
    return getenv("PF_LONG") ? 1 : 7;
}

START_TEST(a_file_cut_anywhere_is_refused_or_decoded)
{
    static File file;
    PfImage image = {0};
    write_tiff(&file, &kinds[_i], 0);
    for (size_t size = 4; size < file.size; size++) expect_either(file.bytes, size, &image);
    pf_image_free(&image);
}
END_TEST

START_TEST(a_file_with_any_bit_flipped_is_refused_or_decoded)
{
    static File file;
    PfImage image = {.limits = {.max_pixels = FEW_PIXELS}};
    write_tiff(&file, &kinds[_i], 0);
    for (size_t bit = 8 * 4; bit < 8 * file.size; bit += flip_step()) {
        file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        expect_either(file.bytes, file.size, &image);
        file.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    pf_image_free(&image);
}
END_TEST

/* Standard error is a file meanwhile. */
START_TEST(libtiff_is_not_heard_itself)
{
    static File file;
    PfImage image = {.limits = {.max_pixels = FEW_PIXELS}};
    FILE *heard = tmpfile();
    int kept = dup(STDERR_FILENO);
    dup2(fileno(heard), STDERR_FILENO);
    for (int i = 0; i < QUICK_KINDS; i++) {
        write_tiff(&file, &kinds[i], 0);
        long before = ftell(heard);
        for (size_t at = 4; at < file.size; at += 11) {
            file.bytes[at] ^= 0x55;
            expect_either(file.bytes, file.size, &image);
            file.bytes[at] ^= 0x55;
        }
        fseek(heard, 0, SEEK_END);
        ck_assert_msg(ftell(heard) == before, "kind %d", i);
    }
    dup2(kept, STDERR_FILENO);
    close(kept);
    fclose(heard);
    pf_image_free(&image);
}
END_TEST

START_TEST(reasons_are_those_of_libtiff)
{
    static File file;
    write_tiff(&file, &kinds[1], 0);
    memset(file.bytes + 8, 0xff, 40); /* of the first strip */
    expect_refused(file.bytes, file.size, "broken TIFF: ");
    expect_refused("II*\0\x08\0\0\0\0\0", 10, "empty image: 0 x 0 pixels");
    expect_refused("II*\0\x08\0\0\0\x01\0", 10, "truncated TIFF: ends after 10 bytes");
    expect_refused("MM\0*\0\0\0\x63", 8, "truncated TIFF: ends after 8 bytes");
    expect_refused("II+\0\x08\0\0\0", 8, "truncated TIFF: ends after 8 bytes");
}
END_TEST

/* ---- directories written here ---- */

static void put(File *file, uint64_t value, int bytes)
{
    for (; bytes > 0; bytes--, value >>= 8) file->bytes[file->size++] = (uint8_t)value;
}

static void put_entry(File *file, int tag, int type, uint32_t count, uint32_t value)
{
    put(file, (uint64_t)tag, 2);
    put(file, (uint64_t)type, 2);
    put(file, count, 4);
    put(file, value, 4);
}

/* One byte of grey, which lies in the header. More entries may follow, and put_entry's of its own.
 */
static void begin(File *file, uint32_t width, uint32_t height, int more)
{
    file->size = 0;
    put(file, 0x002a4949, 4);
    put(file, 8, 4);
    put(file, (uint64_t)(7 + more), 2);
    put_entry(file, TIFFTAG_IMAGEWIDTH, 4, 1, width);
    put_entry(file, TIFFTAG_IMAGELENGTH, 4, 1, height);
    put_entry(file, TIFFTAG_BITSPERSAMPLE, 3, 1, 8);
    put_entry(file, TIFFTAG_COMPRESSION, 3, 1, 1);
    put_entry(file, TIFFTAG_PHOTOMETRIC, 3, 1, 1);
    put_entry(file, TIFFTAG_STRIPOFFSETS, 4, 1, 0);
    put_entry(file, TIFFTAG_STRIPBYTECOUNTS, 4, 1, 1);
}

START_TEST(pages_that_go_round_are_not_followed)
{
    static File file;
    PfImage image = {0};
    PfError err = {0};
    begin(&file, 1, 1, 0);
    put(&file, 8, 4); /* the next directory is this one */
    ck_assert_msg(!decode(file.bytes, file.size, &image, &err), "%s", err.message);
    ck_assert_int_eq(image.pixels[0], 'I');
    pf_image_free(&image);
}
END_TEST

START_TEST(sizes_are_checked_before_memory_is_taken)
{
    static File file;
    begin(&file, 1 << 20, 1 << 20, 0);
    put(&file, 0, 4);
    expect_refused(file.bytes, file.size, "too large: 1048576 x 1048576 pixels");
    begin(&file, 1 << 14, 1 << 14, 0);
    put(&file, 0, 4);
    expect_refused(file.bytes, file.size, "too large for its file");
    begin(&file, 0, 5, 0);
    put(&file, 0, 4);
    expect_refused(file.bytes, file.size, "empty image: 0 x 5 pixels");
}
END_TEST

/* Tiles of a gigabyte for one pixel. */
START_TEST(tiles_may_not_be_much_larger_than_the_image)
{
    static File file;
    for (int i = 0; i < 2; i++) {
        begin(&file, 1, 1, 2);
        file.bytes[8 + 2 + 5 * 12] = (uint8_t)TIFFTAG_TILEOFFSETS;
        file.bytes[8 + 2 + 5 * 12 + 1] = TIFFTAG_TILEOFFSETS >> 8;
        file.bytes[8 + 2 + 6 * 12] = (uint8_t)TIFFTAG_TILEBYTECOUNTS;
        file.bytes[8 + 2 + 6 * 12 + 1] = TIFFTAG_TILEBYTECOUNTS >> 8;
        put_entry(&file, TIFFTAG_TILEWIDTH, 4, 1, i ? 1 << 20 : 1 << 14);
        put_entry(&file, TIFFTAG_TILELENGTH, 4, 1, 1 << 14);
        put(&file, 0, 4);
        expect_refused(file.bytes, file.size, "too large");
    }
}
END_TEST

/* Offset and size of all tiles may be the same: a small file, and terabytes to decode. */
START_TEST(blocks_may_not_hold_many_times_the_picture)
{
    static File file;
    begin(&file, 1000, 1000, 3);
    file.bytes[8 + 2 + 5 * 12] = (uint8_t)TIFFTAG_TILEOFFSETS;
    file.bytes[8 + 2 + 5 * 12 + 1] = TIFFTAG_TILEOFFSETS >> 8;
    file.bytes[8 + 2 + 6 * 12] = (uint8_t)TIFFTAG_TILEBYTECOUNTS;
    file.bytes[8 + 2 + 6 * 12 + 1] = TIFFTAG_TILEBYTECOUNTS >> 8;
    put_entry(&file, TIFFTAG_SAMPLESPERPIXEL, 3, 1, 65535);
    put_entry(&file, TIFFTAG_TILEWIDTH, 4, 1, 16);
    put_entry(&file, TIFFTAG_TILELENGTH, 4, 1, 16);
    put(&file, 0, 4);
    expect_refused(file.bytes, file.size, "too large: 3969 tiles of 16776960 bytes in a TIFF");
}
END_TEST

/* libtiff keeps a copy of each. */
START_TEST(values_that_lie_on_each_other_are_refused)
{
    static File file;
    enum { COUNT = 50 };
    begin(&file, 1, 1, COUNT);
    for (int i = 0; i < COUNT; i++) put_entry(&file, 40000 + i, 1, 30000, 100);
    put(&file, 0, 4);
    file.size = 40000;
    expect_refused(file.bytes, file.size, "values that its directory points to");
}
END_TEST

/* ---- what pixels mean ---- */

START_TEST(rows_come_upright)
{
    static File file;
    PfImage image = {0};
    write_tiff(&file, &kinds[0], 6);
    ck_assert_int_eq(pf_image_orientation(file.bytes, file.size), 1);
    ck_assert_int_eq(decode(file.bytes, file.size, &image, NULL), 0);
    ck_assert_int_eq(image.width, HEIGHT);
    ck_assert_int_eq(image.height, WIDTH);
    ck_assert_int_eq(image.orientation, 1);
    /* The first row is the last column. */
    ck_assert_int_eq(image.pixels[3 * (HEIGHT - 1)], 0);
    ck_assert_int_eq(image.pixels[3 * (2 * HEIGHT - 1)], 3);
    pf_image_free(&image);
}
END_TEST

START_TEST(numbers_from_0_to_1_are_refused)
{
    static File file;
    begin(&file, 1, 1, 1);
    file.bytes[8 + 2 + 2 * 12 + 8] = 32;
    put_entry(&file, TIFFTAG_SAMPLEFORMAT, 3, 1, 3);
    file.bytes[8 + 2 + 5 * 12 + 8] = 8 + 2 + 8 * 12 + 4;
    file.bytes[8 + 2 + 6 * 12 + 8] = 4;
    put(&file, 0, 4);
    memcpy(file.bytes + file.size, &(float){0.5f}, 4);
    expect_refused(file.bytes, file.size + 4, "floating-point samples up to 0.5, all black");
}
END_TEST

START_TEST(what_has_no_meaning_is_refused)
{
    static File file;
    begin(&file, 1, 1, 0);
    put(&file, 0, 4);
    file.bytes[8 + 2 + 2 * 12 + 8] = 24;
    expect_refused(file.bytes, file.size, "TIFF with 1 samples of 24 bits");
    begin(&file, 1, 1, 0);
    put(&file, 0, 4);
    file.bytes[8 + 2 + 4 * 12 + 8] = 32;
    file.bytes[8 + 2 + 4 * 12 + 9] = 0x80;
    expect_refused(file.bytes, file.size, "photometric interpretation 32800");
    begin(&file, 1, 1, 0);
    put(&file, 0, 4);
    file.bytes[8 + 2 + 3 * 12 + 8] = 99;
    expect_refused(file.bytes, file.size, "broken TIFF: ");
}
END_TEST

START_TEST(a_run_that_ends_says_so)
{
    static File file;
    volatile sig_atomic_t interrupted = 1;
    PfImage image = {.limits = {.interrupted = &interrupted}};
    PfError err = {0};
    write_tiff(&file, &kinds[_i], 0);
    ck_assert_int_eq(decode(file.bytes, file.size, &image, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_INTERRUPTED);
    pf_image_free(&image);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tiff");
    TCase *tests = tcase_create("tiff");
    tcase_add_loop_test(tests, every_kind_is_decoded, 0, KINDS);
    tcase_add_loop_test(tests, a_file_cut_anywhere_is_refused_or_decoded, 0, QUICK_KINDS);
    tcase_add_loop_test(tests, a_file_with_any_bit_flipped_is_refused_or_decoded, 0, QUICK_KINDS);
    tcase_add_test(tests, libtiff_is_not_heard_itself);
    tcase_add_test(tests, reasons_are_those_of_libtiff);
    tcase_add_test(tests, pages_that_go_round_are_not_followed);
    tcase_add_test(tests, sizes_are_checked_before_memory_is_taken);
    tcase_add_test(tests, tiles_may_not_be_much_larger_than_the_image);
    tcase_add_test(tests, blocks_may_not_hold_many_times_the_picture);
    tcase_add_test(tests, values_that_lie_on_each_other_are_refused);
    tcase_add_test(tests, rows_come_upright);
    tcase_add_test(tests, numbers_from_0_to_1_are_refused);
    tcase_add_test(tests, what_has_no_meaning_is_refused);
    tcase_add_loop_test(tests, a_run_that_ends_says_so, 0, KINDS);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
