/* EXIF orientations: where they are found, what is passed over, and what turning does to pixels.
 * Equality with Pillow is parity/pixels_parity.py's. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/random.h"
#include "extract/image/image.h"
#include "extract/image/preprocess.h"

/* ---- where it is found ---- */

/* From memory of exactly that size, so that a sanitizer sees one byte too many. */
static int orientation_of(const void *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    int orientation = pf_image_orientation(copy, size);
    free(copy);
    return orientation;
}

#define JFIF "\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
#define XMP "\xff\xe1\0\x0ahttp:/\0\1"
/* Of a make and an orientation, 38 bytes. */
#define INTEL(value)                                                                               \
    "II*\0\x08\0\0\0\2\0\x0f\1\2\0\4\0\0\0abc\0\x12\1\3\0\1\0\0\0" value "\0\0\0\0\0\0\0"
#define MOTOROLA(value)                                                                            \
    "MM\0*\0\0\0\x08\0\2\1\x0f\0\2\0\0\0\4abc\0\1\x12\0\3\0\0\0\1\0" value "\0\0\0\0\0\0"
#define ORIENTATION(text) orientation_of(text, sizeof(text) - 1)

/* A JPEG's beginning: `before`, then the block in an APP1 segment. */
static int in_jpeg(const char *before, size_t before_size, const char *tiff, size_t size)
{
    uint8_t file[512] = "\xff\xd8";
    uint8_t *at = file + 2;
    memcpy(at, before, before_size);
    at += before_size;
    const uint8_t head[] = {0xff, 0xe1, 0, (uint8_t)(size + 8), 'E', 'x', 'i', 'f', 0, 0};
    memcpy(at, head, sizeof head);
    at += sizeof head;
    memcpy(at, tiff, size);
    return orientation_of(file, (size_t)(at - file) + size);
}

#define IN_JPEG(before, tiff) in_jpeg(before, sizeof(before) - 1, tiff, sizeof(tiff) - 1)

START_TEST(both_byte_orders_are_read_behind_other_segments)
{
    ck_assert_int_eq(IN_JPEG("", INTEL("\6")), 6);
    ck_assert_int_eq(IN_JPEG(JFIF, INTEL("\3")), 3);
    ck_assert_int_eq(IN_JPEG(JFIF XMP, MOTOROLA("\x08")), 8);
    ck_assert_int_eq(IN_JPEG("\xff\xff", MOTOROLA("\2")), 2);
    /* Of two blocks the first counts; behind the pixels none does. */
    ck_assert_int_eq(IN_JPEG("\xff\xe1\0\x2e"
                             "Exif\0\0" INTEL("\5"),
                             INTEL("\6")),
                     5);
    ck_assert_int_eq(IN_JPEG("\xff\xda\0\2", INTEL("\6")), 1);
}
END_TEST

START_TEST(values_that_mean_nothing_are_upright)
{
    ck_assert_int_eq(IN_JPEG(JFIF, INTEL("\0")), 1);
    ck_assert_int_eq(IN_JPEG(JFIF, INTEL("\1")), 1);
    ck_assert_int_eq(IN_JPEG(JFIF, INTEL("\x09")), 1);
    ck_assert_int_eq(IN_JPEG(JFIF, MOTOROLA("\xff")), 1);
    ck_assert_int_eq(IN_JPEG(JFIF, "PP" INTEL("\6")), 1);
    ck_assert_int_eq(IN_JPEG(JFIF, "II*\0\xff\xff\xff\xff\1\0"), 1);
    ck_assert_int_eq(ORIENTATION(""), 1);
    ck_assert_int_eq(ORIENTATION("\xff\xd8\xff"), 1);
    ck_assert_int_eq(ORIENTATION("BM" INTEL("\6")), 1);
    ck_assert_int_eq(ORIENTATION("\x89PNG\r\n\x1a\n\xff\xff\xff\xff"
                                 "eXIf"),
                     1);
}
END_TEST

#define PNG "\x89PNG\r\n\x1a\n"
#define EXIF_CHUNK(type, tiff) "\0\0\0\x26" type tiff "CRC!"
#define PIXELS                                                                                     \
    "\0\0\0\1"                                                                                     \
    "IDAT"                                                                                         \
    "x"                                                                                            \
    "CRC!"
#define RAW "Raw profile type exif\0\nexif\n  46\n"
#define HEX_SIX "49492a000800000001001201030001000000060000000000\n0000"

START_TEST(a_png_says_it_in_several_places)
{
    ck_assert_uint_eq(sizeof(INTEL("\6")) - 1, 0x26);
    ck_assert_int_eq(ORIENTATION(PNG EXIF_CHUNK("eXIf", INTEL("\6")) PIXELS), 6);
    ck_assert_int_eq(ORIENTATION(PNG PIXELS EXIF_CHUNK("eXIf", MOTOROLA("\7"))), 7);
    ck_assert_int_eq(
        ORIENTATION(PNG EXIF_CHUNK("eXIf", INTEL("\6")) PIXELS EXIF_CHUNK("eXIf", MOTOROLA("\7"))),
        6);
    char text[256];
    memcpy(text, PNG "\0\0\0\0tEXt" RAW HEX_SIX, sizeof(PNG "\0\0\0\0tEXt" RAW HEX_SIX));
    text[11] = (char)(sizeof(RAW HEX_SIX) - 1);
    ck_assert_int_eq(orientation_of(text, sizeof(PNG "\0\0\0\0tEXt" RAW HEX_SIX) - 1 + 4), 6);
    ck_assert_int_eq(ORIENTATION(PNG "\0\0\0\x2d"
                                     "iTXt"
                                     "XML:com.adobe.xmp\0"
                                     "\0\0\0\0"
                                     "<tiff:Orientation>4</ >"
                                     "CRC!"),
                     4);
}
END_TEST

/* Whatever bytes say, nothing outside them is read: sanitizers look on. */
START_TEST(damaged_blocks_stay_inside_their_bytes)
{
    static const char *const blocks[] = {INTEL("\6"), MOTOROLA("\6")};
    const size_t size = sizeof(INTEL("\6")) - 1;
    PfRandom random = pf_random_seeded(3, 0);
    for (int b = 0; b < 2; b++) {
        for (size_t cut = 0; cut < size; cut++) {
            int orientation = in_jpeg(JFIF, sizeof(JFIF) - 1, blocks[b], cut);
            ck_assert_int_eq(orientation, cut < 34 ? 1 : 6); /* to the end of the second entry */
        }
        for (int round = 0; round < 4000; round++) {
            char damaged[64];
            memcpy(damaged, blocks[b], size);
            for (uint64_t i = 1 + pf_random_below(&random, 4); i > 0; i--)
                damaged[pf_random_below(&random, size)] = (char)pf_random_u64(&random);
            int orientation = in_jpeg("", 0, damaged, size);
            ck_assert(orientation >= 1 && orientation <= 8);
        }
    }
}
END_TEST

/* ---- turning ---- */

/* Where the pixel at (x, y) of the turned image is in the file's, as the standard words it: which
 * side of the file's image the turned one's first row and column are. */
static const uint8_t *source(const uint8_t *pixels, int width, int height, int orientation, int x,
                             int y)
{
    int column = 0, row = 0, right = width - 1, bottom = height - 1;
    switch (orientation) {
    case 1: column = x, row = y; break;
    case 2: column = right - x, row = y; break;
    case 3: column = right - x, row = bottom - y; break;
    case 4: column = x, row = bottom - y; break;
    case 5: column = y, row = x; break;
    case 6: column = y, row = bottom - x; break;
    case 7: column = right - y, row = bottom - x; break;
    default: column = right - y, row = x; break;
    }
    return pixels + 3 * ((size_t)row * (size_t)width + (size_t)column);
}

START_TEST(turning_moves_every_pixel_where_it_belongs)
{
    static const int sides[] = {1, 2, 3, 15, 16, 17, 31, 70, 200};
    enum { SIDES = sizeof sides / sizeof *sides };
    PfRandom random = pf_random_seeded(4, 0);
    PfImage image = {0}; /* one for all, as in a decoding thread */
    for (int round = 0; round < SIDES * SIDES * 9; round++) {
        int width = sides[round % SIDES], height = sides[round / SIDES % SIDES];
        size_t bytes = 3 * (size_t)width * (size_t)height;
        uint8_t *pixels = malloc(bytes);
        for (size_t i = 0; i < bytes; i++) pixels[i] = (uint8_t)pf_random_u64(&random);
        free(image.pixels);
        image.pixels = malloc(bytes);
        image.capacity = bytes;
        memcpy(image.pixels, pixels, bytes);
        image.width = width, image.height = height;
        image.orientation = round / (SIDES * SIDES);
        int orientation = image.orientation ? image.orientation : 1;
        ck_assert_int_eq(pf_image_turn(&image, NULL), 0);
        ck_assert_int_eq(image.width, orientation >= 5 ? height : width);
        ck_assert_int_eq(image.height, orientation >= 5 ? width : height);
        int wrong = 0;
        for (int y = 0; y < image.height; y++)
            for (int x = 0; x < image.width; x++) {
                const uint8_t *found =
                    image.pixels + 3 * ((size_t)y * (size_t)image.width + (size_t)x);
                wrong += memcmp(found, source(pixels, width, height, orientation, x, y), 3) != 0;
            }
        ck_assert_int_eq(wrong, 0);
        ck_assert_int_eq(image.left | image.top, 0);
        free(pixels);
    }
    pf_image_free(&image);
    ck_assert_ptr_null(image.spare);
}
END_TEST

/* An image decoded at a quarter has columns that the file's has not, at the side where turning has
 * put them. */
START_TEST(a_reduced_image_begins_inside_its_pixels_once_turned)
{
    static const struct {
        int orientation, left, top;
    } expected[] = {{1, 0, 0}, {2, 3, 0}, {3, 3, 2}, {4, 0, 2},
                    {5, 0, 0}, {6, 2, 0}, {7, 2, 3}, {8, 0, 3}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        PfImage image = {.width = 61, .height = 42, .halvings = 2};
        PfResize resize = {0};
        image.pixels = calloc(16 * 11, 3);
        image.capacity = 16 * 11 * 3;
        image.orientation = expected[i].orientation;
        ck_assert_int_eq(pf_image_turn(&image, NULL), 0);
        ck_assert_int_eq(image.left, expected[i].left);
        ck_assert_int_eq(image.top, expected[i].top);
        pf_preprocess_take(&image, (PfRect){0, 0, image.width, image.height}, &resize);
        ck_assert_int_eq(resize.in_width, expected[i].orientation >= 5 ? 11 : 16);
        ck_assert_int_eq(resize.in_height, expected[i].orientation >= 5 ? 16 : 11);
        ck_assert(resize.box.x == expected[i].left / 4.0 && resize.box.y == expected[i].top / 4.0);
        ck_assert(resize.box.width == image.width / 4.0);
        pf_image_free(&image);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exif");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, both_byte_orders_are_read_behind_other_segments);
    tcase_add_test(cases, values_that_mean_nothing_are_upright);
    tcase_add_test(cases, a_png_says_it_in_several_places);
    tcase_add_test(cases, damaged_blocks_stay_inside_their_bytes);
    tcase_add_test(cases, turning_moves_every_pixel_where_it_belongs);
    tcase_add_test(cases, a_reduced_image_begins_inside_its_pixels_once_turned);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
