/* GIF, WebP, AVIF and HEIC: what is refused before memory depends on it, interrupts, and what
 * becomes of transparency. Equality with Pillow is parity/web_formats_parity.py's. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "extract/image/codecs/codecs.h"
#include "extract/image/image.h"

#define FILE_OF(text) (text), sizeof(text) - 1

/* From memory of exactly that size, so that a sanitizer sees one byte too many. */
static int decode(const char *data, size_t size, PfImage *image, PfError *err)
{
    uint8_t *copy = malloc(size);
    memcpy(copy, data, size);
    int result = pf_image_decode(copy, size, image, err);
    free(copy);
    return result;
}

static void expect_refused(const char *data, size_t size, const char *reason)
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

/* Two by one pixels, 0 and 1 of a palette of two colours: codes 4 (clear), 0, 1, 5 (end), of three
 * bits each; a control block says that colour 1 is transparent. */
#define GIF_HEAD(size) "GIF89a" size "\x80\0\0\x0a\x14\x1e\x28\x32\x3c"
#define GIF_CLEAR "!\xf9\4\1\0\0\1\0"
#define GIF_PIXELS(codes) ",\0\0\0\0\2\0\1\0\0\2\2" codes "\0;"
#define TWO "\2\0\1\0"
#define GOOD "\x44\x0a"

START_TEST(a_transparent_colour_is_dropped_or_laid_over)
{
    static const char file[] = GIF_HEAD(TWO) GIF_CLEAR GIF_PIXELS(GOOD);
    PfImage image = {0};
    PfError err = {0};
    ck_assert_msg(!decode(FILE_OF(file), &image, &err), "%s", err.message);
    ck_assert_mem_eq(image.pixels, "\x0a\x14\x1e\x28\x32\x3c", 6);
    ck_assert(image.is_transparent);
    image.has_background = true;
    memcpy(image.background, "\1\2\3", 3);
    ck_assert_int_eq(decode(FILE_OF(file), &image, &err), 0);
    ck_assert_mem_eq(image.pixels, "\x0a\x14\x1e\1\2\3", 6);
    ck_assert_int_eq(decode(FILE_OF(GIF_HEAD(TWO) GIF_PIXELS(GOOD)), &image, &err), 0);
    ck_assert(!image.is_transparent);
    ck_assert_mem_eq(image.pixels, "\x0a\x14\x1e\x28\x32\x3c", 6);
    pf_image_free(&image);
}
END_TEST

START_TEST(damaged_gifs_are_refused)
{
    expect_refused(FILE_OF("GIF89a"), "truncated GIF: ends after 6 bytes");
    expect_refused(FILE_OF("GIF80a\2\0\1\0\0\0\0;"), "of a version other than 87a and 89a");
    expect_refused(FILE_OF(GIF_HEAD(TWO) ";"), "broken GIF: it has no image");
    expect_refused(FILE_OF(GIF_HEAD(TWO) "!\xf9\2\1\0\0,"), "a control block of 2 bytes");
    expect_refused(FILE_OF(GIF_HEAD(TWO) ",\0\0\0\0\0\0\1\0\0\2\2" GOOD "\0;"),
                   "its first frame is empty: 0 x 1");
    expect_refused(FILE_OF(GIF_HEAD(TWO) ",\0\0\0\0\2\0\1\0\0\x0d\2" GOOD "\0;"),
                   "indices of 13 bits");
    /* Clear, then a code that has no string yet. */
    expect_refused(FILE_OF(GIF_HEAD(TWO) GIF_PIXELS("\x3c\0")), "wrong compressed pixels");
    /* Clear, one index, the end. */
    expect_refused(FILE_OF(GIF_HEAD(TWO) GIF_PIXELS("\x44\1")), "ends before its first row");
    expect_refused(FILE_OF(GIF_HEAD("\xff\xff\xff\xff") GIF_PIXELS(GOOD)), "too large: 65535 x");
    expect_refused(FILE_OF(GIF_HEAD("\xff\x3f\xff\x3f") GIF_PIXELS(GOOD)),
                   "too large for its file");
}
END_TEST

/* A lossless picture of one pixel on a canvas of 16384 x 16384. */
START_TEST(canvases_and_headers_are_checked_before_memory)
{
    static const char canvas[] = "RIFF\x52\0\0\0WEBPVP8X\x0a\0\0\0\2\0\0\0\xff\x3f\0\xff\x3f\0"
                                 "ANIM\6\0\0\0\0\0\0\0\0\0ANMF\x26\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                 "\0\0\0\0VP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88"
                                 "\xfe\x07\0";
    if (pf_image_lacks_library((const uint8_t *)canvas, 12, NULL)) return; /* built without */
    expect_refused(FILE_OF(canvas), "too large for its file");
    expect_refused(canvas, sizeof canvas - 9, "truncated WebP: ends after ");
    expect_refused(FILE_OF("RIFF\x10\0\0\0WEBPVP8 \4\0\0\0abcd"), "broken WebP");
}
END_TEST

START_TEST(files_of_heifs_family_that_are_none_are_refused)
{
    expect_refused(FILE_OF("\0\0\0\x18"
                           "ftypavif\0\0\0\0mif1avif"),
                   "AVIF");
    expect_refused(FILE_OF("\0\0\0\x18"
                           "ftypheic\0\0\0\0mif1heic"),
                   "HEIF");
}
END_TEST

START_TEST(an_interrupt_ends_decoding)
{
    static const volatile sig_atomic_t yes = 1;
    /* A row of 40,000 pixels, each of a code, between clears. */
    static char file[64 + 30000];
    PfImage image = {.limits.interrupted = &yes};
    PfError err = {0};
    static const char head[] = GIF_HEAD("\x40\x9c\1\0") ",\0\0\0\0\x40\x9c\1\0\0\2";
    size_t size = sizeof head - 1;
    memcpy(file, head, size);
    for (int block = 0; block < 60; block++) {
        file[size++] = (char)255;
        for (int i = 0; i < 255; i += 3, size += 3) memcpy(file + size, "\x04\x41\x10", 3);
    }
    ck_assert_int_eq(decode(file, size, &image, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_INTERRUPTED);
    pf_image_free(&image);
}
END_TEST

START_TEST(refusals_that_are_tried_again)
{
    ck_assert(pf_image_may_be_taken_now("GIF is not supported. Hint: convert it", false));
    bool has_lab = !pf_image_tiff_lab_open(NULL);
    ck_assert_int_eq(pf_image_may_be_taken_now("TIFF in L*a*b* colours needs liblcms2.so.2", false),
                     has_lab);
    ck_assert(!pf_image_may_be_taken_now("JPEG XL is not supported. Hint: convert it", false));
    ck_assert(!pf_image_may_be_taken_now("broken GIF: it has no image", true));
    ck_assert(!pf_image_may_be_taken_now("GIFT needs a bow", true));
    ck_assert(!pf_image_may_be_taken_now("too large: 9 x 9 pixels", false));
    ck_assert(pf_image_may_be_taken_now("too large: 9 x 9 pixels", true));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("web_formats");
    TCase *cases = tcase_create("web_formats");
    tcase_add_test(cases, a_transparent_colour_is_dropped_or_laid_over);
    tcase_add_test(cases, damaged_gifs_are_refused);
    tcase_add_test(cases, canvases_and_headers_are_checked_before_memory);
    tcase_add_test(cases, files_of_heifs_family_that_are_none_are_refused);
    tcase_add_test(cases, an_interrupt_ends_decoding);
    tcase_add_test(cases, refusals_that_are_tried_again);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
