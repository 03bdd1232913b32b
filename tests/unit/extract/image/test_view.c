/* Views of an image: what they follow from, and what becomes of the pixels. Equality with Pillow is
 * parity/views_parity.py's. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "extract/image/view.h"

enum { WIDTH = 301, HEIGHT = 222, CROP = 65 };

static uint8_t pixels[HEIGHT * WIDTH * 3];
static const PfImage image = {.width = WIDTH, .height = HEIGHT, .pixels = pixels};
static const PfPreprocess settings = {.resize = 80, .crop = CROP};
static PfResizeScratch scratch;

static void set_up(void)
{
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(i * i / 7 + i / 900);
}

static void tear_down(void)
{
    pf_resize_scratch_free(&scratch);
}

static PfView draw(uint64_t seed, uint8_t first_byte, uint8_t last_byte, int number)
{
    uint8_t digest[PF_DIGEST_SIZE] = {first_byte};
    digest[PF_DIGEST_SIZE - 1] = last_byte;
    return pf_view_draw(seed, digest, number, WIDTH, HEIGHT, 0);
}

static int same_view(const PfView *a, const PfView *b)
{
    return !memcmp(&a->box, &b->box, sizeof a->box) &&
           !memcmp(a->factors, b->factors, sizeof a->factors);
}

static void render(const PfView *view, uint8_t *out)
{
    PfError err = {0};
    ck_assert_msg(!pf_view_render(&image, &settings, view, out, &scratch, &err), "%s", err.message);
}

START_TEST(a_view_follows_from_seed_digest_and_number)
{
    PfView view = draw(7, 1, 2, 3), same = draw(7, 1, 2, 3);
    ck_assert(same_view(&view, &same));
    ck_assert_int_eq(view.is_mirrored, same.is_mirrored);
    const PfView others[] = {draw(8, 1, 2, 3), draw(7, 2, 2, 3), draw(7, 1, 1, 3),
                             draw(7, 1, 2, 4)};
    for (int i = 0; i < 4; i++) ck_assert_msg(!same_view(&view, &others[i]), "%d", i);
}
END_TEST

/* Recipe 1, as caches were made with it. */
START_TEST(what_was_drawn_stays)
{
    PfView view = draw(7, 1, 2, 3);
    ck_assert_int_eq(PF_VIEW_RECIPE, 1);
    ck_assert_int_eq(view.box.x, 87);
    ck_assert_int_eq(view.box.y, 0);
    ck_assert_int_eq(view.box.width, 188);
    ck_assert_int_eq(view.box.height, 221);
    ck_assert_int_eq(view.is_mirrored, 0);
    ck_assert(view.factors[PF_BRIGHTNESS] == 1.17490494f);
    ck_assert_int_eq(view.order[0], PF_CONTRAST);
}
END_TEST

START_TEST(both_sides_orders_and_many_boxes_are_drawn)
{
    int mirrored = 0, first[PF_JITTER_COUNT] = {0}, wide = 0, small = 0;
    for (int number = 2; number < 200; number++) {
        PfView view = draw(1, 5, 6, number);
        mirrored += view.is_mirrored;
        first[view.order[0]]++;
        wide += view.box.width > view.box.height;
        small += view.box.width * view.box.height < WIDTH * HEIGHT * 0.67;
    }
    ck_assert(mirrored > 70 && mirrored < 130);
    ck_assert(wide > 60 && wide < 140);
    ck_assert(small > 60 && small < 170);
    for (int i = 0; i < PF_JITTER_COUNT; i++) ck_assert_int_gt(first[i], 40);
}
END_TEST

START_TEST(the_first_is_the_centre_and_the_second_its_mirror_image)
{
    static uint8_t centre[CROP * CROP * 3], first[CROP * CROP * 3], second[CROP * CROP * 3];
    PfView views[] = {draw(3, 1, 1, 0), draw(3, 1, 1, 1)};
    ck_assert(!pf_preprocess_image(&image, &settings, centre, &scratch, NULL));
    render(&views[0], first);
    render(&views[1], second);
    ck_assert_mem_eq(first, centre, sizeof centre);
    for (int y = 0; y < CROP; y++)
        for (int x = 0; x < CROP; x++)
            ck_assert_mem_eq(second + (y * CROP + x) * 3, first + (y * CROP + CROP - 1 - x) * 3, 3);
}
END_TEST

/* The last boxes touch the right and the lower edge. */
START_TEST(a_box_is_resized_as_if_it_were_an_image_of_its_own)
{
    static const PfRect boxes[] = {{0, 0, WIDTH, HEIGHT},        {17, 30, 99, 80},
                                   {WIDTH - 70, 1, 70, 65},      {WIDTH - 65, 5, 65, 65},
                                   {3, HEIGHT - 65, 120, 65},    {5, HEIGHT - 9, 7, 9},
                                   {WIDTH - 3, HEIGHT - 2, 3, 2}};
    static uint8_t alone[HEIGHT * WIDTH * 3], out[CROP * CROP * 3], expected[CROP * CROP * 3];
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
        PfView view = {.box = boxes[i]};
        size_t row = 3 * (size_t)boxes[i].width;
        for (int y = 0; y < boxes[i].height; y++)
            memcpy(alone + (size_t)y * row, pixels + ((boxes[i].y + y) * WIDTH + boxes[i].x) * 3,
                   row);
        PfResize resize = {.in = alone,
                           .in_width = boxes[i].width,
                           .in_height = boxes[i].height,
                           .out_width = CROP,
                           .out_height = CROP,
                           .kept = {0, 0, CROP, CROP}};
        ck_assert(!pf_resize_plain(&resize, expected, 3 * CROP, &scratch, NULL));
        render(&view, out);
        ck_assert_mem_eq(out, expected, sizeof out);
    }
}
END_TEST

START_TEST(colours_are_cut_off_and_clipped)
{
    uint8_t three[] = {10, 101, 250, 0, 255, 3}, same[] = {10, 101, 250, 0, 255, 3};
    pf_view_adjust_brightness(three, 2, 1);
    pf_view_adjust_contrast(three, 2, 1);
    pf_view_adjust_saturation(three, 2, 1);
    ck_assert_mem_eq(three, same, 6);
    pf_view_adjust_brightness(three, 2, 1.25f);
    const uint8_t brighter[] = {12, 126, 255, 0, 255, 3};
    ck_assert_mem_eq(three, brighter, 6);
    pf_view_adjust_saturation(three, 1, 0);
    ck_assert(three[0] == 107 && three[1] == 107 && three[2] == 107);
}
END_TEST

int main(void)
{
    TCase *views = tcase_create("views");
    tcase_add_checked_fixture(views, set_up, tear_down);
    tcase_add_test(views, a_view_follows_from_seed_digest_and_number);
    tcase_add_test(views, what_was_drawn_stays);
    tcase_add_test(views, both_sides_orders_and_many_boxes_are_drawn);
    tcase_add_test(views, the_first_is_the_centre_and_the_second_its_mirror_image);
    tcase_add_test(views, a_box_is_resized_as_if_it_were_an_image_of_its_own);
    tcase_add_test(views, colours_are_cut_off_and_clipped);
    Suite *suite = suite_create("view");
    suite_add_tcase(suite, views);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
