/* Splits by hash, of paths and of keys, and images that are equal. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/cache/equal_images.h"
#include "common/cache/split.h"

enum { COUNT = 3000 };
static char names[COUNT][32];
static const char *keys[COUNT];
static int32_t groups[COUNT];

static void make_keys(void)
{
    for (int i = 0; i < COUNT; i++) {
        groups[i] = i % 3;
        snprintf(names[i], sizeof names[i], "class%d/image_%04d.jpg", i % 3, i);
        keys[i] = names[i];
    }
}

static void split(int64_t first, int64_t count, double val, double test, uint8_t *splits)
{
    ck_assert_int_eq(pf_split_by_hash(keys + first, groups + first, count, val, test, splits, NULL),
                     0);
}

static int64_t count_side(const uint8_t *splits, int64_t count, int32_t group, int side)
{
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) found += splits[i] == side && groups[i] == group;
    return found;
}

START_TEST(fractions_are_met_in_every_class)
{
    uint8_t splits[COUNT];
    split(0, COUNT, 0.2, 0.1, splits);
    for (int32_t group = 0; group < 3; group++) {
        /* 1000 draws: standard deviations 12.6 and 9.5 */
        ck_assert_int_lt(llabs(count_side(splits, COUNT, group, PF_SPLIT_VAL) - 200), 51);
        ck_assert_int_lt(llabs(count_side(splits, COUNT, group, PF_SPLIT_TEST) - 100), 39);
    }
}
END_TEST

START_TEST(images_stay_where_they_are_when_others_are_added)
{
    uint8_t few[COUNT], all[COUNT];
    split(0, COUNT, 0.2, 0.1, all);
    split(600, 1500, 0.2, 0.1, few);
    for (int i = 0; i < 1500; i++) ck_assert_int_eq(few[i], all[600 + i]);
}
END_TEST

START_TEST(small_classes_have_something_on_each_side)
{
    uint8_t splits[COUNT];
    for (int first = 0; first < 300; first += 3) {
        for (int count = 1; count <= 18; count++) {
            split(first, count, 0.05, 0.05, splits);
            for (int32_t group = 0; group < 3 && group < count; group++) {
                int64_t size = (count - group + 2) / 3;
                ck_assert_int_ge(count_side(splits, count, group, PF_SPLIT_TRAIN), 1);
                ck_assert_int_ge(count_side(splits, count, group, PF_SPLIT_VAL), size >= 2);
                ck_assert_int_ge(count_side(splits, count, group, PF_SPLIT_TEST), size >= 3);
            }
        }
    }
}
END_TEST

START_TEST(sides_that_nobody_wants_stay_empty)
{
    uint8_t splits[COUNT];
    split(0, COUNT, 0.9, 0, splits);
    for (int i = 0; i < COUNT; i++) ck_assert_int_ne(splits[i], PF_SPLIT_TEST);
    split(0, COUNT, 0, 0, splits);
    for (int i = 0; i < COUNT; i++) ck_assert_int_eq(splits[i], PF_SPLIT_TRAIN);
    ck_assert_int_eq(pf_split_by_hash(keys, NULL, 0, 0.5, 0, splits, NULL), 0);
}
END_TEST

/* ---- by key ---- */

static uint64_t hashes[COUNT];

static void split_keys(const uint64_t *of, const int32_t *classes, int64_t count, double val,
                       double test, int fill, uint8_t *splits)
{
    ck_assert_int_eq(pf_split_by_key(of, classes, count, val, test, fill, splits, NULL), 0);
}

START_TEST(keys_decide_alone)
{
    uint8_t all[COUNT], part[COUNT];
    split_keys(hashes, groups, COUNT, 0.2, 0.1, 1, all);
    for (int32_t group = 0; group < 3; group++) {
        ck_assert_int_lt(llabs(count_side(all, COUNT, group, PF_SPLIT_VAL) - 200), 51);
        ck_assert_int_lt(llabs(count_side(all, COUNT, group, PF_SPLIT_TEST) - 100), 39);
    }
    /* A part, and another order, with no other classes to look at. */
    for (int first = 0; first < COUNT; first += 700) {
        int count = first + 700 < COUNT ? 700 : COUNT - first;
        split_keys(hashes + first, NULL, count, 0.2, 0.1, 0, part);
        ck_assert_mem_eq(part, all + first, (size_t)count);
    }
}
END_TEST

START_TEST(equal_keys_are_on_one_side_whatever_their_classes)
{
    enum { DISTINCT = 40, COPIES = 5, ALL = DISTINCT * COPIES };
    uint64_t repeated[ALL];
    int32_t classes[ALL];
    uint8_t splits[ALL];
    for (int i = 0; i < ALL; i++) {
        repeated[i] = hashes[i % DISTINCT];
        classes[i] = (i / DISTINCT + i) % 4;
    }
    split_keys(repeated, classes, ALL, 0.3, 0.2, 1, splits);
    int sides[PF_SPLIT_COUNT] = {0};
    for (int i = 0; i < ALL; i++) {
        ck_assert_int_eq(splits[i], splits[i % DISTINCT]);
        sides[splits[i]]++;
    }
    for (int side = 0; side < PF_SPLIT_COUNT; side++) ck_assert_int_gt(sides[side], 0);
}
END_TEST

START_TEST(small_classes_of_keys_have_something_on_each_side)
{
    uint8_t splits[COUNT];
    for (int first = 0; first < 300; first += 3) {
        for (int count = 1; count <= 18; count++) {
            split_keys(hashes + first, groups + first, count, 0.05, 0.05, 1, splits);
            for (int32_t group = 0; group < 3 && group < count; group++) {
                int64_t size = (count - group + 2) / 3;
                ck_assert_int_ge(count_side(splits, count, group, PF_SPLIT_TRAIN), 1);
                ck_assert_int_ge(count_side(splits, count, group, PF_SPLIT_VAL), size >= 2);
                ck_assert_int_ge(count_side(splits, count, group, PF_SPLIT_TEST), size >= 3);
            }
        }
    }
}
END_TEST

/* Two patients that have both classes, and one that has but the second: whoever goes to val leaves
 * no class without training images. */
START_TEST(filling_takes_nothing_from_another_class)
{
    const int32_t classes[] = {0, 1, 0, 1, 1, 1};
    for (int i = 0; i < 200; i++) {
        uint64_t of[6] = {hashes[i],     hashes[i],     hashes[i + 1],
                          hashes[i + 1], hashes[i + 2], hashes[i + 2]};
        int in_train[2] = {0}, in_val[2] = {0};
        uint8_t splits[6];
        split_keys(of, classes, 6, 0.2, 0, 1, splits);
        for (int row = 0; row < 6; row++)
            (splits[row] == PF_SPLIT_VAL ? in_val : in_train)[classes[row]]++;
        for (int class = 0; class < 2; class ++) ck_assert_int_gt(in_train[class], 0);
        ck_assert_int_gt(in_val[1], 0);
        for (int row = 0; row < 6; row += 2) ck_assert_int_eq(splits[row], splits[row + 1]);
    }
}
END_TEST

/* A patient of the first class, and one of both: only one way gives each class what it can have. */
START_TEST(filling_finds_the_key_that_can_go)
{
    const int32_t classes[] = {0, 0, 1};
    for (int i = 0; i < 200; i++) {
        uint64_t of[3] = {hashes[i], hashes[i + 1], hashes[i + 1]};
        uint8_t splits[3];
        split_keys(of, classes, 3, 0.5, 0, 1, splits);
        ck_assert_int_eq(splits[0], PF_SPLIT_VAL);
        ck_assert_int_eq(splits[1], PF_SPLIT_TRAIN);
        ck_assert_int_eq(splits[2], PF_SPLIT_TRAIN);
    }
}
END_TEST

/* Whatever belongs together, there is an end, and every class can be trained on. */
START_TEST(filling_comes_to_an_end)
{
    for (int i = 0; i < 500; i++) {
        enum { ALL = 24 };
        uint64_t of[ALL];
        int32_t classes[ALL];
        uint8_t splits[ALL];
        int in_train[6] = {0}, there[6] = {0};
        for (int row = 0; row < ALL; row++) {
            of[row] = hashes[i + (int)(hashes[i + row] % 7)];
            classes[row] = (int32_t)(hashes[i + row] / 7 % 6);
        }
        split_keys(of, classes, ALL, 0.4, 0.4, 1, splits);
        for (int row = 0; row < ALL; row++) {
            in_train[classes[row]] += splits[row] == PF_SPLIT_TRAIN;
            there[classes[row]] = 1;
        }
        for (int class = 0; class < 6; class ++) ck_assert(!there[class] || in_train[class]);
    }
}
END_TEST

START_TEST(a_group_comes_before_the_bytes)
{
    const uint8_t digest[PF_DIGEST_SIZE] = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1};
    ck_assert(pf_split_key(digest, 0) == 0x123456789abcdef0u);
    ck_assert(pf_split_key(digest, 7) == 7);
    ck_assert(pf_split_group("patient 1") != pf_split_group("patient 2"));
    ck_assert(pf_split_is_by_path("{}") && pf_split_is_by_path("no JSON"));
    ck_assert(!pf_split_is_by_path("{\"split_by\":\"content\"}"));
}
END_TEST

/* ---- a second draw ---- */

static bool is_drawn(const uint64_t *of, const uint8_t *splits, int64_t count)
{
    bool found;
    ck_assert_int_eq(pf_split_is_drawn(of, splits, count, &found, NULL), 0);
    return found;
}

/* The share of the train rows that a draw by the second keys takes. */
static double second_share(const uint64_t *of, const uint8_t *splits, int64_t count, double val)
{
    uint64_t second[COUNT];
    uint8_t drawn[COUNT];
    int64_t train = 0, taken = 0;
    for (int64_t i = 0; i < count; i++)
        if (splits[i] == PF_SPLIT_TRAIN) second[train++] = pf_split_second_key(of[i]);
    split_keys(second, NULL, train, val, 0, 1, drawn);
    for (int64_t i = 0; i < train; i++) taken += drawn[i] == PF_SPLIT_VAL;
    return (double)taken / (double)train;
}

START_TEST(what_was_drawn_is_drawn_from_again_by_other_keys)
{
    static const double fractions[] = {0.05, 0.1, 0.2, 0.5, 0.8};
    uint8_t splits[COUNT];
    for (int f = 0; f < 5; f++) {
        double share = fractions[f];
        split_keys(hashes, groups, COUNT, 0, share, 1, splits);
        ck_assert(is_drawn(hashes, splits, COUNT));
        /* Of at least 550 rows: a standard deviation is 0.017 at most. */
        ck_assert_double_eq_tol(second_share(hashes, splits, COUNT, 0.2), 0.2, 0.06);
        split_keys(hashes, groups, COUNT, share, 0, 1, splits); /* a val part is as good */
        ck_assert(is_drawn(hashes, splits, COUNT));
        split(0, COUNT, 0, share, splits); /* by the hash of the paths, which are these */
        ck_assert(is_drawn(hashes, splits, COUNT));
    }
}
END_TEST

/* Five images of each class: most classes have none below the threshold and are given one. */
START_TEST(small_classes_do_not_hide_a_draw)
{
    int32_t classes[COUNT];
    uint8_t splits[COUNT];
    for (int i = 0; i < COUNT; i++) classes[i] = i / 5;
    for (int count = 500; count <= COUNT; count += 500) {
        split_keys(hashes, classes, count, 0, 0.1, 1, splits);
        ck_assert(is_drawn(hashes, splits, count));
        ck_assert_double_eq_tol(second_share(hashes, splits, count, 0.2), 0.2, 0.08);
    }
}
END_TEST

START_TEST(other_splits_are_no_draw)
{
    uint8_t splits[COUNT] = {0};
    ck_assert(!is_drawn(hashes, splits, COUNT)); /* nothing is held out */
    ck_assert(!is_drawn(hashes, splits, 0));
    for (int step = 2; step < 40; step++) {
        for (int i = 0; i < COUNT; i++) splits[i] = i % step ? PF_SPLIT_TRAIN : PF_SPLIT_TEST;
        ck_assert(!is_drawn(hashes, splits, COUNT));
    }
    /* Images of one person, all of them in the test part: that is one key, and it may be low. */
    uint64_t of[COUNT];
    for (int i = 0; i < COUNT; i++) {
        of[i] = i < COUNT / 2 ? 5 : hashes[i % 10];
        splits[i] = of[i] == 5 || i % 10 == 3 ? PF_SPLIT_TEST : PF_SPLIT_TRAIN;
    }
    ck_assert(!is_drawn(of, splits, COUNT));
    /* Equal keys on both sides. */
    for (int i = 0; i < COUNT; i++) of[i] = hashes[i / 2], splits[i] = i % 2 ? PF_SPLIT_TEST : 0;
    ck_assert(!is_drawn(of, splits, COUNT));
}
END_TEST

/* ---- equal images ---- */

/* Rows of images "a", "b", ...; '-' is one whose bytes nobody knows. */
static PfEqualImages count_equal(const char *images, const char *parts, const int32_t *labels)
{
    uint8_t digests[16][PF_DIGEST_SIZE] = {{0}}, splits[16];
    size_t count = strlen(images);
    PfEqualImages equal;
    for (size_t i = 0; i < count; i++) {
        splits[i] = (uint8_t)(parts[i] - '0');
        if (images[i] != '-') pf_digest_xxh128(&images[i], 1, digests[i]);
    }
    ck_assert_int_eq(pf_equal_images_count((const uint8_t(*)[PF_DIGEST_SIZE])digests, splits,
                                           labels, (int64_t)count, &equal, NULL),
                     0);
    return equal;
}

START_TEST(equal_images_are_counted)
{
    char text[PF_EQUAL_IMAGES_TEXT];
    const int32_t labels[] = {0, 1, 0, 0, 1, -1, 2, 2, 0};
    PfEqualImages equal = count_equal("aabbacc--", "011210201", labels);
    ck_assert_int_eq(equal.val_in_train, 2);  /* the second a, and the third */
    ck_assert_int_eq(equal.test_in_train, 1); /* the second c */
    ck_assert_int_eq(equal.test_in_val, 1);   /* the second b */
    ck_assert_int_eq(equal.two_labels, 1);    /* a */
    ck_assert_str_eq(pf_equal_images_text(&equal, text),
                     "2 images of val are also in train, 1 image of test is also in train, 1 image "
                     "of test is also in val (equal bytes); 1 image stands under two labels");
    equal = count_equal("abc--", "01201", NULL);
    ck_assert_str_eq(pf_equal_images_text(&equal, text), "");
    /* Rows that are in no part do not count. */
    equal = count_equal("aab", "031", (const int32_t[]){0, 1, 1});
    ck_assert_str_eq(pf_equal_images_text(&equal, text), "");
}
END_TEST

int main(void)
{
    make_keys();
    for (int i = 0; i < COUNT; i++) hashes[i] = pf_digest_xxh64_text(names[i]);
    Suite *suite = suite_create("split");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, fractions_are_met_in_every_class);
    tcase_add_test(cases, images_stay_where_they_are_when_others_are_added);
    tcase_add_test(cases, small_classes_have_something_on_each_side);
    tcase_add_test(cases, sides_that_nobody_wants_stay_empty);
    tcase_add_test(cases, keys_decide_alone);
    tcase_add_test(cases, equal_keys_are_on_one_side_whatever_their_classes);
    tcase_add_test(cases, small_classes_of_keys_have_something_on_each_side);
    tcase_add_test(cases, filling_takes_nothing_from_another_class);
    tcase_add_test(cases, filling_finds_the_key_that_can_go);
    tcase_add_test(cases, filling_comes_to_an_end);
    tcase_add_test(cases, a_group_comes_before_the_bytes);
    tcase_add_test(cases, what_was_drawn_is_drawn_from_again_by_other_keys);
    tcase_add_test(cases, small_classes_do_not_hide_a_draw);
    tcase_add_test(cases, other_splits_are_no_draw);
    tcase_add_test(cases, equal_images_are_counted);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
