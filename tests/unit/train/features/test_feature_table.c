/* Tables filled by hand: row lists, checks and normalisation. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/random.h"
#include "train/features/feature_table.h"
#include "train/features/normalize.h"
#include "train/features/row_choice.h"

enum { ROWS = 300, D = 6, CLASSES = 3 };

static PfFeatureTable *new_table(void)
{
    PfFeatureTable *table;
    ck_assert_int_eq(pf_feature_table_new(ROWS, 1, D, 1, &table, NULL), 0);
    ck_assert_int_eq(pf_task_init(&table->tasks[0], "class", PF_TARGET_CLASS, CLASSES, ROWS, NULL),
                     0);
    PfRandom random = pf_random_seeded(1, 0);
    for (int i = 0; i < ROWS * D; i++)
        table->x[i] = (float)(100 + (i % D) * pf_random_normal(&random));
    for (int i = 0; i < ROWS; i++) table->tasks[0].labels[i] = i % CLASSES;
    return table;
}

static const char *const *some_paths(void)
{
    static char names[ROWS][24];
    static const char *paths[ROWS];
    for (int i = 0; i < ROWS; i++) {
        snprintf(names[i], sizeof names[i], "class%d/%03d.jpg", i % CLASSES, i);
        paths[i] = names[i];
    }
    return paths;
}

static void expect_failure(PfFeatureTable *table, const char *part)
{
    PfError err = {0};
    ck_assert_int_eq(pf_feature_table_index(table, "x.h5", 0.2, &err), -1);
    ck_assert_msg(strstr(err.message, part) != NULL, "'%s' lacks '%s'", err.message, part);
    ck_assert_ptr_nonnull(strstr(err.message, "x.h5"));
}

START_TEST(rows_are_listed_by_split_without_the_unlabelled)
{
    PfFeatureTable *table = new_table();
    for (int i = 200; i < 300; i++) table->splits[i] = i < 250 ? PF_SPLIT_VAL : PF_SPLIT_TEST;
    for (int i = 0; i < 10; i++) table->tasks[0].labels[i * 30] = -1;
    ck_assert_int_eq(pf_feature_table_index(table, "x.h5", 0.2, NULL), 0);
    ck_assert_int_eq(table->unlabelled, 10);
    ck_assert_int_eq(table->split_counts[PF_SPLIT_TRAIN], 193);
    ck_assert_int_eq(table->split_counts[PF_SPLIT_VAL], 48);
    ck_assert_int_eq(table->split_counts[PF_SPLIT_TEST], 49);
    ck_assert_int_eq(table->split_rows[PF_SPLIT_TRAIN][0], 1);
    ck_assert_int_eq(table->split_rows[PF_SPLIT_VAL][0], 200);
    ck_assert_int_eq(table->split_rows[PF_SPLIT_TEST][0], 250);
    ck_assert(table->val == 0);
    pf_feature_table_free(&table);
    ck_assert_ptr_null(table);
}
END_TEST

START_TEST(val_is_chosen_by_path_where_there_is_none)
{
    PfFeatureTable *table = new_table();
    for (int i = 270; i < 300; i++) table->splits[i] = PF_SPLIT_TEST;
    table->paths = some_paths();
    ck_assert_int_eq(pf_feature_table_index(table, "x.h5", 0.2, NULL), 0);
    ck_assert_int_eq(llabs(table->split_counts[PF_SPLIT_VAL] - 54) < 33, 1); /* 5 sigma */
    ck_assert_int_eq(table->split_counts[PF_SPLIT_TEST], 30);
    ck_assert(table->val == 0.2);
    int moved = table->split_rows[PF_SPLIT_VAL][0];
    ck_assert_int_eq(table->splits[moved], PF_SPLIT_VAL);
    ck_assert_int_lt(moved, 270);
    pf_feature_table_free(&table);

    table = new_table(); /* without paths, or with val = 0, there is none */
    ck_assert_int_eq(pf_feature_table_index(table, "x.h5", 0.2, NULL), 0);
    ck_assert_int_eq(table->split_counts[PF_SPLIT_VAL], 0);
    table->paths = some_paths();
    ck_assert_int_eq(pf_feature_table_index(table, "x.h5", 0, NULL), 0);
    ck_assert_int_eq(table->split_counts[PF_SPLIT_VAL], 0);
    pf_feature_table_free(&table);
}
END_TEST

/* Row i and row i + 100 are of one image. */
static void make_alike(PfFeatureTable *table)
{
    table->keys = calloc(ROWS, sizeof *table->keys);
    table->alike = calloc(ROWS, sizeof *table->alike);
    for (int i = 0; i < ROWS; i++) {
        table->alike[i] = (uint32_t)(i % 100);
        table->keys[i] = (uint64_t)(i % 100) * 0x9e3779b97f4a7c15u;
    }
}

START_TEST(val_is_chosen_by_key_where_there_are_any)
{
    PfFeatureTable *table = new_table();
    make_alike(table); /* 100 is no multiple of the classes: an image has all labels */
    ck_assert_int_eq(pf_feature_table_index(table, "x.h5", 0.2, NULL), 0);
    ck_assert_int_gt(table->split_counts[PF_SPLIT_VAL], 30);
    ck_assert_int_lt(table->split_counts[PF_SPLIT_VAL], 90);
    for (int i = 0; i < ROWS; i++) ck_assert_int_eq(table->splits[i], table->splits[i % 100]);
    pf_feature_table_free(&table);
}
END_TEST

/* Held out by the lowest keys, so that no train row is below a threshold on them; by paths, too. */
START_TEST(val_is_chosen_beside_a_test_part_that_was_drawn)
{
    for (int by_path = 0; by_path < 2; by_path++) {
        PfFeatureTable *table = new_table();
        uint64_t keys[ROWS];
        uint8_t splits[ROWS];
        make_alike(table);
        if (by_path) {
            free(table->keys);
            table->keys = NULL;
            table->paths = some_paths();
        }
        for (int i = 0; i < ROWS; i++)
            keys[i] = by_path ? pf_digest_xxh64_text(table->paths[i]) : table->keys[i];
        ck_assert_int_eq(pf_split_by_key(keys, NULL, ROWS, 0, 0.25, 1, splits, NULL), 0);
        memcpy(table->splits, splits, ROWS);
        ck_assert_int_eq(pf_feature_table_index(table, "x.h5", 0.2, NULL), 0);
        ck_assert_int_eq(table->val_keys, PF_VAL_KEYS_SECOND);
        int64_t val = table->split_counts[PF_SPLIT_VAL];
        double share = (double)val / (double)(val + table->split_counts[PF_SPLIT_TRAIN]);
        ck_assert_double_eq_tol(share, 0.2, 0.15); /* of 75 keys or more */
        for (int i = 0; i < ROWS; i++)
            ck_assert_int_eq(table->splits[i] == PF_SPLIT_TEST, splits[i] == PF_SPLIT_TEST);
        for (int i = 0; i < ROWS && !by_path; i++)
            ck_assert_int_eq(table->splits[i], table->splits[i % 100]);
        /* A model of before drew by the first keys. */
        memcpy(table->splits, splits, ROWS);
        table->val_keys = PF_VAL_KEYS_FIRST;
        ck_assert_int_eq(pf_feature_table_index(table, "x.h5", 0.2, NULL), 0);
        ck_assert_int_lt(table->split_counts[PF_SPLIT_VAL], val / 2);
        pf_feature_table_free(&table);
    }
}
END_TEST

START_TEST(folds_keep_equal_images_together)
{
    enum { FOLDS = 4, FIRST = 37 };
    PfFeatureTable *table = new_table();
    int32_t rows[ROWS];
    uint8_t fold[ROWS], alone[ROWS];
    int sizes[FOLDS] = {0};
    for (int i = 0; i < ROWS; i++) rows[i] = i;
    make_alike(table);
    /* The first rows of some images are not among those that are dealt out. */
    ck_assert_int_eq(pf_row_choice_fold(&table->tasks[0], rows + FIRST, table->alike, ROWS - FIRST,
                                        FOLDS, 3, fold + FIRST, NULL),
                     0);
    for (int i = FIRST; i + 100 < ROWS; i++) ck_assert_int_eq(fold[i], fold[i + 100]);
    for (int i = FIRST; i < FIRST + 100; i++) sizes[fold[i]]++;
    for (int f = 0; f < FOLDS; f++) ck_assert_int_eq(sizes[f], 25);
    /* Where all differ, they are what they are without knowing of any. */
    for (int i = 0; i < ROWS; i++) table->alike[i] = (uint32_t)i;
    ck_assert_int_eq(
        pf_row_choice_fold(&table->tasks[0], rows, table->alike, ROWS, FOLDS, 3, fold, NULL), 0);
    ck_assert_int_eq(pf_row_choice_fold(&table->tasks[0], rows, NULL, ROWS, FOLDS, 3, alone, NULL),
                     0);
    ck_assert_mem_eq(fold, alone, ROWS);
    pf_feature_table_free(&table);
}
END_TEST

START_TEST(what_cannot_be_trained_on_is_refused)
{
    PfFeatureTable *table = new_table();
    memset(table->splits, PF_SPLIT_TEST, ROWS);
    expect_failure(table, "no labelled row is in the train part");
    memset(table->splits, PF_SPLIT_TRAIN, ROWS);
    for (int i = 0; i < ROWS; i++) table->tasks[0].labels[i] = 2;
    expect_failure(table, "one class");
    for (int i = 0; i < ROWS; i++) table->tasks[0].labels[i] = -1;
    expect_failure(table, "has a label");
    pf_feature_table_free(&table);
}
END_TEST

START_TEST(classes_that_training_never_sees_are_counted)
{
    PfFeatureTable *table = new_table();
    for (int i = 0; i < ROWS; i++)
        if (table->tasks[0].labels[i] == 1) table->splits[i] = i % 2 ? PF_SPLIT_VAL : PF_SPLIT_TEST;
    ck_assert_int_eq(pf_feature_table_index(table, "x.h5", 0, NULL), 0);
    ck_assert_int_eq(table->untrained_classes, 1);
    pf_feature_table_free(&table);
}
END_TEST

START_TEST(the_first_row_that_is_not_finite_is_found)
{
    PfFeatureTable *table = new_table();
    table->x[5 * D] = 3e38f;
    for (int threads = 1; threads <= 7; threads += 3) {
        ck_assert_int_eq(pf_feature_table_find_not_finite(table, threads), -1);
        table->x[251 * D + 5] = NAN;
        table->x[250 * D + 3] = -INFINITY;
        table->x[252 * D] = NAN;
        ck_assert_int_eq(pf_feature_table_find_not_finite(table, threads), 250);
        table->x[251 * D + 5] = table->x[250 * D + 3] = table->x[252 * D] = 0;
    }
    pf_feature_table_free(&table);
}
END_TEST

static void column_moments(const PfFeatureTable *table, int column, double *mean, double *variance)
{
    double sum = 0, squares = 0, count = (double)table->split_counts[PF_SPLIT_TRAIN];
    for (int64_t i = 0; i < table->split_counts[PF_SPLIT_TRAIN]; i++) {
        double value = (double)table->x[table->split_rows[PF_SPLIT_TRAIN][i] * D + column];
        sum += value;
        squares += value * value;
    }
    *mean = sum / count;
    *variance = squares / count - *mean * *mean;
}

/* The table standardised with that many threads; column 0 is constant. */
static PfFeatureTable *standardized(int threads, float mean[D], float scale[D])
{
    PfFeatureTable *table = new_table();
    for (int i = 200; i < 300; i++) table->splits[i] = PF_SPLIT_VAL;
    ck_assert_int_eq(pf_feature_table_index(table, "x.h5", 0, NULL), 0);
    ck_assert_int_eq(pf_normalize(table, PF_NORMALIZE_STANDARDIZE, threads, mean, scale, NULL), 0);
    return table;
}

START_TEST(standardising_uses_the_train_rows_only)
{
    float mean[D], scale[D];
    PfFeatureTable *raw = new_table(), *table = standardized(1, mean, scale);
    for (int column = 0; column < D; column++) {
        double average, variance;
        column_moments(table, column, &average, &variance);
        ck_assert_double_eq_tol(average, 0, 1e-4);
        if (column) ck_assert_double_eq_tol(variance, 1, 1e-4);
    }
    for (int i = 0; i < ROWS * D; i++)
        ck_assert_float_eq_tol(table->x[i], (raw->x[i] - mean[i % D]) * scale[i % D], 1e-6f);
    ck_assert(table->x[250 * D] == 0 && isfinite(scale[0]));
    pf_feature_table_free(&raw);
    pf_feature_table_free(&table);
}
END_TEST

/* A feature a million times larger than the others does not flatten them. */
START_TEST(one_large_feature_leaves_the_others_their_scale)
{
    float mean[D], scale[D];
    PfFeatureTable *table = new_table();
    for (int i = 0; i < ROWS; i++) table->x[i * D + D - 1] *= 1e6f;
    ck_assert_int_eq(pf_feature_table_index(table, "x.h5", 0, NULL), 0);
    ck_assert_int_eq(pf_normalize(table, PF_NORMALIZE_STANDARDIZE, 2, mean, scale, NULL), 0);
    for (int column = 1; column < D; column++) {
        double average, variance;
        column_moments(table, column, &average, &variance);
        ck_assert_double_eq_tol(variance, 1, 1e-3);
    }
    pf_feature_table_free(&table);
}
END_TEST

START_TEST(standardising_is_the_same_for_any_number_of_threads)
{
    float mean[D], scale[D], other_mean[D], other_scale[D];
    PfFeatureTable *table = standardized(1, mean, scale);
    for (int threads = 2; threads <= 7; threads += 5) {
        PfFeatureTable *other = standardized(threads, other_mean, other_scale);
        ck_assert_mem_eq(table->x, other->x, ROWS * D * sizeof(float));
        ck_assert_mem_eq(mean, other_mean, sizeof mean);
        ck_assert_mem_eq(scale, other_scale, sizeof scale);
        pf_feature_table_free(&other);
    }
    pf_feature_table_free(&table);
}
END_TEST

START_TEST(l2_gives_rows_of_length_one)
{
    PfFeatureTable *table = new_table();
    memset(table->x + 7 * D, 0, D * sizeof(float));
    ck_assert_int_eq(pf_normalize(table, PF_NORMALIZE_L2, 2, NULL, NULL, NULL), 0);
    for (int i = 0; i < ROWS; i++) {
        double squares = 0;
        for (int j = 0; j < D; j++) squares += pow((double)table->x[i * D + j], 2);
        ck_assert_double_eq_tol(squares, i == 7 ? 0 : 1, 1e-6);
    }
    pf_feature_table_free(&table);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("feature_table");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, rows_are_listed_by_split_without_the_unlabelled);
    tcase_add_test(cases, val_is_chosen_by_path_where_there_is_none);
    tcase_add_test(cases, val_is_chosen_by_key_where_there_are_any);
    tcase_add_test(cases, val_is_chosen_beside_a_test_part_that_was_drawn);
    tcase_add_test(cases, folds_keep_equal_images_together);
    tcase_add_test(cases, what_cannot_be_trained_on_is_refused);
    tcase_add_test(cases, classes_that_training_never_sees_are_counted);
    tcase_add_test(cases, the_first_row_that_is_not_finite_is_found);
    tcase_add_test(cases, standardising_uses_the_train_rows_only);
    tcase_add_test(cases, one_large_feature_leaves_the_others_their_scale);
    tcase_add_test(cases, standardising_is_the_same_for_any_number_of_threads);
    tcase_add_test(cases, l2_gives_rows_of_length_one);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
