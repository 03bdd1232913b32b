/* The perceptual hash: what leaves it as it is, what turns known bits, and where there is none.
 * tests/parity/inspect_parity.py compares it with a definition in NumPy. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cache/perceptual_hash.h"
#include "extract/image/perceptual_hash.h"

/* A smooth picture, of any size the same. */
static double level(double x, double y)
{
    return 120 + 40 * sin(7 * x + 2 * y) + 30 * cos(9 * y - 3 * x) + 20 * sin(15 * x * y + 1);
}

static uint64_t hash_of(int width, int height, bool is_mirrored, double scale)
{
    PfImage image = {.width = width, .height = height};
    PfError err;
    uint64_t hash;
    image.pixels = malloc((size_t)width * (size_t)height * 3);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            const int from = is_mirrored ? width - 1 - x : x;
            const double value =
                scale * level((from + 0.5) / width, (y + 0.5) / height) + 128 * (1 - scale);
            memset(image.pixels + 3 * (y * width + x), (int)lround(value), 3);
        }
    ck_assert(!pf_image_hash(&image, &hash, &err));
    free(image.pixels);
    return hash;
}

START_TEST(size_and_contrast_change_few_bits)
{
    const uint64_t hash = hash_of(640, 480, false, 1);
    ck_assert_uint_ne(hash, 0);
    ck_assert_int_le(pf_perceptual_hash_distance(hash, hash_of(320, 240, false, 1)), 2);
    ck_assert_int_le(pf_perceptual_hash_distance(hash, hash_of(1280, 960, false, 1)), 2);
    ck_assert_int_le(pf_perceptual_hash_distance(hash, hash_of(128, 96, false, 1)), 5);
    ck_assert_int_le(pf_perceptual_hash_distance(hash, hash_of(640, 480, false, 0.5)), 3);
}
END_TEST

START_TEST(mirroring_turns_the_odd_columns)
{
    const uint64_t hash = hash_of(640, 480, false, 1), mirrored = hash_of(640, 480, true, 1);
    ck_assert_int_gt(pf_perceptual_hash_distance(hash, mirrored), 10);
    ck_assert_int_le(pf_perceptual_hash_distance(hash, pf_perceptual_hash_mirror(mirrored)), 1);
}
END_TEST

START_TEST(one_colour_has_none)
{
    ck_assert_uint_eq(hash_of(200, 100, false, 0), 0);
    ck_assert_uint_eq(hash_of(200, 100, false, 0.001), 0);
    ck_assert_uint_eq(hash_of(1, 1, false, 1), 0);
    ck_assert_uint_eq(pf_perceptual_hash_mirror(0), 0);
}
END_TEST

START_TEST(images_smaller_than_the_cells_have_one)
{
    ck_assert_uint_ne(hash_of(5, 3, false, 1), 0);
    ck_assert_uint_ne(hash_of(1, 40, false, 1), 0);
    ck_assert_uint_ne(hash_of(3000, 2, false, 1), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("perceptual hash");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, size_and_contrast_change_few_bits);
    tcase_add_test(cases, mirroring_turns_the_odd_columns);
    tcase_add_test(cases, one_colour_has_none);
    tcase_add_test(cases, images_smaller_than_the_cells_have_one);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
