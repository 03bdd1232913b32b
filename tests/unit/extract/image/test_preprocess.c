/* Resize and CenterCrop: sizes, rounding and padding as torchvision's. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "extract/image/preprocess.h"

/* Every pixel says where it is: (x, y, 1 + x / 256 + 16 * (y / 256)). Never black. */
static PfImage make_map(int width, int height)
{
    PfImage image = {
        .width = width, .height = height, .pixels = malloc(3 * (size_t)width * (size_t)height)};
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            uint8_t *pixel = image.pixels + 3 * ((size_t)y * (size_t)width + (size_t)x);
            pixel[0] = (uint8_t)x;
            pixel[1] = (uint8_t)y;
            pixel[2] = (uint8_t)(1 + x / 256 + 16 * (y / 256));
        }
    return image;
}

/* The crop's pixel, or where it came from. */
static const uint8_t *at(const uint8_t *crop, int side, int x, int y)
{
    return crop + 3 * ((size_t)y * (size_t)side + (size_t)x);
}

static void expect_source(const uint8_t *pixel, int x, int y)
{
    ck_assert_int_eq(pixel[0] + 256 * ((pixel[2] - 1) % 16), x);
    ck_assert_int_eq(pixel[1] + 256 * ((pixel[2] - 1) / 16), y);
}

static void preprocess(const PfImage *image, const PfPreprocess *settings, uint8_t *out)
{
    PfResizeScratch scratch = {0};
    PfError err = {0};
    ck_assert_msg(pf_preprocess_image(image, settings, out, &scratch, &err) == 0, "%s",
                  err.message);
    pf_resize_scratch_free(&scratch);
}

START_TEST(crops_begin_where_python_rounds_to)
{
    /* int(round((size - 224) / 2)): 0.5 -> 0, 1.5 -> 2, 2.5 -> 2, 3.5 -> 4 */
    static const struct {
        int size, begin;
    } expected[] = {{224, 0}, {225, 0}, {226, 1}, {227, 2}, {229, 2}, {231, 4}, {500, 138}};
    static uint8_t out[224 * 224 * 3];
    const PfPreprocess settings = {.crop = 224};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        PfImage image = make_map(expected[i].size, 300);
        preprocess(&image, &settings, out);
        expect_source(at(out, 224, 0, 0), expected[i].begin, 38);
        expect_source(at(out, 224, 223, 223), expected[i].begin + 223, 38 + 223);
        pf_image_free(&image);
    }
}
END_TEST

START_TEST(small_images_are_padded_with_the_odd_row_last)
{
    enum { SIDE = 10 };
    uint8_t out[SIDE * SIDE * 3 + 1];
    const PfPreprocess settings = {.crop = SIDE};
    PfImage image = make_map(5, 15); /* left 2, right 3; top cut at round(2.5) = 2 */
    memset(out, 0xA5, sizeof out);
    preprocess(&image, &settings, out);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const uint8_t *pixel = at(out, SIDE, x, y);
            if (x >= 2 && x < 7)
                expect_source(pixel, x - 2, y + 2);
            else
                ck_assert_int_eq(pixel[0] | pixel[1] | pixel[2], 0);
        }
    ck_assert_int_eq(out[SIDE * SIDE * 3], 0xA5);
    pf_image_free(&image);
}
END_TEST

/* The width of the resized image, seen from a crop that is wider than it. */
static int padded_width(const uint8_t *out, int side)
{
    int count = 0;
    for (int x = 0; x < side; x++) count += at(out, side, x, side / 2)[2] != 0;
    return count;
}

START_TEST(the_longer_side_is_cut_off_not_rounded)
{
    enum { SIDE = 90 };
    static uint8_t out[SIDE * SIDE * 3];
    const PfPreprocess settings = {.resize = 32, .crop = SIDE};
    static const struct {
        int width, height, resized;
    } expected[] = {{500, 375, 42}, {333, 250, 42}, {47, 31, 48}, {64, 32, 64}, {31, 47, 32}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        PfImage image = make_map(expected[i].width, expected[i].height);
        preprocess(&image, &settings, out);
        ck_assert_int_eq(padded_width(out, SIDE), expected[i].resized);
        pf_image_free(&image);
    }
}
END_TEST

START_TEST(an_image_of_the_right_size_is_left_alone)
{
    static uint8_t out[224 * 224 * 3];
    const PfPreprocess resize = {.resize = 224, .crop = 224, .interpolation = PF_BICUBIC};
    const PfPreprocess squash = {.resize = 77, .crop = 224, .squash = 1};
    PfImage image = make_map(224, 224);
    preprocess(&image, &resize, out);
    ck_assert_mem_eq(out, image.pixels, sizeof out);
    preprocess(&image, &squash, out);
    ck_assert_mem_eq(out, image.pixels, sizeof out);
    pf_image_free(&image);
}
END_TEST

START_TEST(squash_takes_the_whole_image)
{
    enum { SIDE = 50 };
    static uint8_t out[SIDE * SIDE * 3];
    const PfPreprocess settings = {.crop = SIDE, .squash = 1};
    PfImage image = make_map(200, 100);
    preprocess(&image, &settings, out);
    ck_assert_int_le(at(out, SIDE, 0, 0)[0], 3);
    ck_assert_int_ge(at(out, SIDE, SIDE - 1, 0)[0], 196);
    ck_assert_int_ge(at(out, SIDE, 0, SIDE - 1)[1], 97);
    pf_image_free(&image);
}
END_TEST

START_TEST(a_part_of_a_reduced_image_is_the_same_part_of_the_picture)
{
    PfImage image = {.width = 61, .height = 42, .pixels = (uint8_t[1]){0}, .halvings = 2};
    PfResize resize = {0};
    pf_preprocess_take(&image, (PfRect){0, 0, 61, 42}, &resize);
    ck_assert_int_eq(resize.in_width, 16);
    ck_assert_int_eq(resize.in_height, 11);
    ck_assert(resize.box.x == 0 && resize.box.width == 15.25 && resize.box.height == 10.5);
    pf_preprocess_take(&image, (PfRect){9, 22, 40, 19}, &resize);
    ck_assert_int_eq(resize.in - image.pixels, 3 * (5 * 16 + 2));
    ck_assert_uint_eq(resize.in_stride, 3 * 16);
    ck_assert_int_eq(resize.in_width, 13 - 2);
    ck_assert_int_eq(resize.in_height, 11 - 5);
    ck_assert(resize.box.x == 0.25 && resize.box.y == 0.5);
    ck_assert(resize.box.width == 10 && resize.box.height == 4.75);
}
END_TEST

/* A picture of its own coordinates, halved: they come out as from the whole one. */
START_TEST(a_reduced_image_is_cropped_where_the_whole_one_is)
{
    enum { SIDE = 20, HALF = 100 };
    static uint8_t whole[SIDE * SIDE * 3], reduced[SIDE * SIDE * 3];
    PfPreprocess settings = {.resize = 25, .crop = SIDE, .fast_decode = 1};
    PfImage image = make_map(2 * HALF + 1, 150), half = make_map(HALF + 1, 75);
    half.width = image.width, half.height = image.height, half.halvings = 1;
    ck_assert_int_eq(pf_preprocess_least_side(&settings), 50);
    preprocess(&image, &settings, whole);
    preprocess(&half, &settings, reduced);
    for (int i = 0; i < SIDE * SIDE; i++) {
        ck_assert_int_le(abs(whole[3 * i] - (2 * reduced[3 * i] + 1)), 2);
        ck_assert_int_le(abs(whole[3 * i + 1] - (2 * reduced[3 * i + 1] + 1)), 2);
    }
    settings = (PfPreprocess){.crop = SIDE, .squash = 1, .fast_decode = 1};
    ck_assert_int_eq(pf_preprocess_least_side(&settings), 2 * SIDE);
    settings.fast_decode = 0;
    ck_assert_int_eq(pf_preprocess_least_side(&settings), 0);
    pf_image_free(&image);
    pf_image_free(&half);
}
END_TEST

START_TEST(impossible_requests_are_refused_in_words)
{
    PfResizeScratch scratch = {0};
    PfError err = {0};
    uint8_t out[3];
    PfImage image = make_map(1, 60000);
    PfPreprocess settings = {.resize = 256, .crop = 1};
    ck_assert_int_eq(pf_preprocess_image(&image, &settings, out, &scratch, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
    ck_assert_str_eq(err.message,
                     "too narrow: 1 x 60000 pixels would be resized to 15360000 x 256");
    err = (PfError){0};
    ck_assert_int_eq(pf_preprocess_check_shape(&image, &settings, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
    settings.squash = 1;
    ck_assert_int_eq(pf_preprocess_check_shape(&image, &settings, &err), 0);
    settings = (PfPreprocess){.crop = 0};
    ck_assert_int_eq(pf_preprocess_image(&image, &settings, out, &scratch, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
    settings = (PfPreprocess){.resize = -1, .crop = 1};
    ck_assert_int_eq(pf_preprocess_image(&image, &settings, out, &scratch, &err), -1);
    pf_image_free(&image);
    pf_resize_scratch_free(&scratch);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("preprocess");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, crops_begin_where_python_rounds_to);
    tcase_add_test(cases, small_images_are_padded_with_the_odd_row_last);
    tcase_add_test(cases, the_longer_side_is_cut_off_not_rounded);
    tcase_add_test(cases, an_image_of_the_right_size_is_left_alone);
    tcase_add_test(cases, squash_takes_the_whole_image);
    tcase_add_test(cases, a_part_of_a_reduced_image_is_the_same_part_of_the_picture);
    tcase_add_test(cases, a_reduced_image_is_cropped_where_the_whole_one_is);
    tcase_add_test(cases, impossible_requests_are_refused_in_words);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
