/* Splits by hash of the path. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "split.h"

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

int main(void)
{
    make_keys();
    Suite *suite = suite_create("split");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, fractions_are_met_in_every_class);
    tcase_add_test(cases, images_stay_where_they_are_when_others_are_added);
    tcase_add_test(cases, small_classes_have_something_on_each_side);
    tcase_add_test(cases, sides_that_nobody_wants_stay_empty);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
