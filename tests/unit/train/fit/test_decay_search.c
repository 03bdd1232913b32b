/* The search of weight decays: axes of rows, the path's losses against closed form, and its rules.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/random.h"
#include "tests/unit/assert_each.h"
#include "train/features/row_choice.h"
#include "train/fit/calibration.h"
#include "train/fit/convex_head.h"
#include "train/fit/decay_search.h"
#include "train/fit/row_axes.h"
#include "train/head/novelty.h"

#define MOST_ROWS 400
#define MOST_FEATURES 400

static PfFeatureTable *table;
static PfTask tasks[2]; /* a number and three classes */
static PfBatchLoader loader;
static int32_t rows[MOST_ROWS];
static PfTrainingData data;
static PfThreadPool *pool;

/* Features of which the first few matter, a number with some noise, and a class. */
static void make(int count, int features, double noise)
{
    PfError err = {0};
    PfRandom random = pf_random_seeded(5, 1);
    ck_assert(!pf_feature_table_new(count, 1, features, 0, &table, &err));
    ck_assert(!pf_task_init(&tasks[0], "size", PF_TARGET_REGRESSION, 1, count, &err));
    ck_assert(!pf_task_init(&tasks[1], "kind", PF_TARGET_CLASS, 3, count, &err));
    for (int i = 0; i < count; i++) {
        float *x = table->x + i * features;
        for (int j = 0; j < features; j++) x[j] = (float)pf_random_normal(&random);
        tasks[0].values[i] = 3 * x[0] - x[1] + (float)(noise * pf_random_normal(&random)) + 40;
        double one = x[0] + noise * pf_random_normal(&random);
        tasks[1].labels[i] = one > 0.5 ? 2 : one > -0.5;
        rows[i] = i;
    }
    data = (PfTrainingData){.loader = &loader,
                            .features = features,
                            .tasks = tasks,
                            .task_count = 2,
                            .train_rows = rows,
                            .train_count = count};
    ck_assert(!pf_task_standardize(&tasks[0], rows, count, &err));
    ck_assert(!pf_batch_loader_of_memory(table, NULL, &loader, &err));
    ck_assert(!pf_thread_pool_new(3, &pool, &err));
}

static void forget(void)
{
    pf_thread_pool_free(&pool);
    pf_batch_loader_free(&loader);
    pf_task_free(&tasks[0]);
    pf_task_free(&tasks[1]);
    pf_feature_table_free(&table);
}

/* ---- axes ---- */

/* q t q^T, element (i, j). */
static double rotated(const double *q, const double *diagonal, const double *beside, int64_t n,
                      int64_t i, int64_t j)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        double product = diagonal[k] * q[j * n + k];
        if (k) product += beside[k - 1] * q[j * n + k - 1];
        if (k + 1 < n) product += beside[k] * q[j * n + k + 1];
        sum += q[i * n + k] * product;
    }
    return sum;
}

static void check_tridiagonal(int64_t n)
{
    PfError err = {0};
    PfRandom random = pf_random_seeded(9, (uint64_t)n);
    PfThreadPool *threads;
    double *a = malloc((size_t)(n * n) * sizeof *a), *kept = malloc((size_t)(n * n) * sizeof *a);
    double *q = malloc((size_t)(n * n) * sizeof *q), *diagonal = malloc((size_t)n * sizeof *q);
    double *beside = malloc((size_t)n * sizeof *q);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) a[i * n + j] = a[j * n + i] = pf_random_normal(&random);
    memcpy(kept, a, (size_t)(n * n) * sizeof *a);
    ck_assert(!pf_thread_pool_new(3, &threads, &err));
    ck_assert(!pf_tridiagonalise(a, n, threads, diagonal, beside, q, &err));
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            double found = rotated(q, diagonal, beside, n, i, j);
            assert_each(fabs(found - kept[i * n + j]) < 1e-11 * (double)n,
                        "n %d: (%d, %d) is %g, not %g", (int)n, (int)i, (int)j, found,
                        kept[i * n + j]);
        }
    pf_thread_pool_free(&threads);
    free(a);
    free(kept);
    free(q);
    free(diagonal);
    free(beside);
}

START_TEST(matrices_are_their_tridiagonal_ones_rotated)
{
    static const int64_t sizes[] = {1, 2, 3, 5, 33, 70, 200};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) check_tridiagonal(sizes[i]);
}
END_TEST

/* Products of rows are those of the centred features, whichever there are more of. */
static void check_axes(int count, int features)
{
    PfError err = {0};
    PfRowAxes *axes;
    make(count, features, 0.5);
    ck_assert(!pf_row_axes_new(&data, pool, &axes, &err));
    ck_assert_int_eq(axes->axes, count < features ? count : features);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) {
            double wanted = 0, found = 0;
            for (int k = 0; k < features; k++)
                wanted += (table->x[i * features + k] - axes->mean[k]) *
                          (table->x[j * features + k] - axes->mean[k]);
            for (int64_t k = 0; k < axes->axes; k++)
                found += axes->z[i * axes->axes + k] * axes->z[j * axes->axes + k];
            assert_each(fabs(wanted - found) < 2e-3 + 3e-6 * fabs(wanted),
                        "%d x %d: (%d, %d) is %g, not %g", count, features, i, j, found, wanted);
        }
    pf_row_axes_free(&axes);
    forget();
}

START_TEST(rows_keep_their_products)
{
    check_axes(60, 12);
    check_axes(12, 60);
    check_axes(90, 200);
    check_axes(40, 20000);
}
END_TEST

/* ---- the path ---- */

static PfDecaySearch *search_within(PfThreadPool *threads, int64_t memory_bytes)
{
    PfError err = {0};
    PfDecaySearch *search;
    PfHeadNetwork *start;
    PfDecaySearchConfig config = {.by = &tasks[1], .pool = threads, .memory_bytes = memory_bytes};
    ck_assert_msg(!pf_decay_search_run(&data, &config, &search, &start, &err), "%s", err.message);
    ck_assert(search != NULL);
    pf_head_network_free(&start);
    return search;
}

static PfDecaySearch *search_with(PfThreadPool *threads)
{
    return search_within(threads, 0);
}

/* Squared errors of a head fitted to all rows but a fold, on the fold. The search stops a fit where
 * a millionth of its value is left to gain, so that losses agree within a hundredth. */
static double errors_of_fold(const uint8_t *fold, int held, double decay)
{
    PfError err = {0};
    int32_t fitted[MOST_ROWS];
    PfTrainingData part = data;
    PfHeadSetting setting = {.weight_decay = decay};
    PfHeadBatchConfig config = {
        .optimizer = PF_LBFGS, .settings = &setting, .head_count = 1, .epochs = 1000, .batch = 64};
    PfHeadBatchResult result;
    double sum = 0;
    part.train_rows = fitted;
    part.train_count = 0;
    for (int i = 0; i < data.train_count; i++)
        if (fold[i] != held) fitted[part.train_count++] = i;
    ck_assert(!pf_convex_head_train(&part, &config, NULL, &result, &err));
    const float *weights = result.network->layers[0].parameters;
    for (int i = 0; i < data.train_count; i++) {
        double output = weights[data.features], off;
        if (fold[i] != held) continue;
        for (int j = 0; j < data.features; j++)
            output += (double)weights[j] * (double)table->x[i * data.features + j];
        off = output - (double)tasks[0].values[i];
        sum += off * off;
    }
    pf_head_batch_result_free(&result);
    return sum;
}

static void check_path(int count, int features)
{
    PfError err = {0};
    uint8_t fold[MOST_ROWS];
    make(count, features, 1.5);
    data.task_count = 1;
    PfDecaySearch *search = search_with(pool);
    const PfDecayPath *path = &search->paths[0];
    ck_assert_int_eq(search->folds, PF_DECAY_FOLDS);
    ck_assert(!pf_row_choice_fold(&tasks[1], rows, NULL, count, PF_DECAY_FOLDS, 0, fold, &err));
    for (int s = 0; s < path->count; s++) {
        double sum = 0;
        for (int f = 0; f < PF_DECAY_FOLDS; f++)
            sum += errors_of_fold(fold, f, path->steps[s].decay);
        assert_each(fabs(sum / count - path->steps[s].loss) < 1e-2 * path->steps[s].loss,
                    "%d x %d, decay %g: %g, not %g", count, features, path->steps[s].decay,
                    path->steps[s].loss, sum / count);
    }
    pf_decay_search_free(&search);
    forget();
}

START_TEST(losses_are_those_of_heads_fitted_alone)
{
    check_path(120, 20);
    check_path(60, 150);
}
END_TEST

/* Where the rows may not be held once more, a fifth of them is held out. */
START_TEST(rows_in_other_axes_are_bounded)
{
    make(200, 40, 1.5);
    const int64_t bytes = pf_row_axes_bytes(200, 40);
    PfDecaySearch *enough = search_within(pool, bytes), *less = search_within(pool, bytes - 1);
    ck_assert_int_eq(bytes, 200 * 40 * 4);
    ck_assert_int_eq(pf_row_axes_bytes(30, 4000), 30 * 30 * 4);
    ck_assert_int_eq(enough->folds, PF_DECAY_FOLDS);
    ck_assert_int_eq(less->folds, 1);
    for (int t = 0; t < 2; t++) {
        ck_assert_double_lt(less->decays[t], 11 * enough->decays[t]);
        ck_assert_double_gt(less->decays[t], enough->decays[t] / 11);
    }
    pf_decay_search_free(&enough);
    pf_decay_search_free(&less);
    forget();
}
END_TEST

START_TEST(the_path_does_not_depend_on_threads)
{
    make(200, 40, 1.5);
    PfDecaySearch *one = search_with(NULL), *three = search_with(pool);
    for (int t = 0; t < 2; t++) {
        ck_assert_int_eq(one->paths[t].count, three->paths[t].count);
        ck_assert(!memcmp(one->paths[t].steps, three->paths[t].steps,
                          (size_t)one->paths[t].count * sizeof(PfDecayStep)));
        ck_assert_int_le(one->paths[t].strongest, one->paths[t].chosen);
        ck_assert_int_ge(one->paths[t].weakest, one->paths[t].chosen);
    }
    pf_decay_search_free(&one);
    pf_decay_search_free(&three);
    forget();
}
END_TEST

/* Every row twice: were the two in different folds, no decay would seem too weak. */
START_TEST(rows_that_are_alike_stay_together)
{
    uint32_t alike[MOST_ROWS];
    make(120, 100, 3);
    for (int i = 0; i < 60; i++) {
        memcpy(table->x + (60 + i) * 100, table->x + i * 100, 100 * sizeof(float));
        tasks[0].values[60 + i] = tasks[0].values[i];
        tasks[1].labels[60 + i] = tasks[1].labels[i];
    }
    for (int i = 0; i < 120; i++) alike[i] = (uint32_t)(i % 60);
    PfError err = {0};
    PfDecaySearch *search;
    PfHeadNetwork *start;
    PfDecaySearchConfig config = {.by = &tasks[1], .pool = pool, .alike = alike};
    PfDecaySearch *apart = search_with(pool);
    ck_assert(!pf_decay_search_run(&data, &config, &search, &start, &err));
    ck_assert_double_gt(search->decays[0], 10 * apart->decays[0]);
    pf_head_network_free(&start);
    pf_decay_search_free(&search);
    pf_decay_search_free(&apart);
    forget();
}
END_TEST

START_TEST(few_rows_choose_nothing)
{
    PfError err = {0};
    PfDecaySearch *search;
    PfHeadNetwork *start;
    make(9, 4, 1);
    PfDecaySearchConfig config = {.by = &tasks[1]};
    ck_assert(!pf_decay_search_run(&data, &config, &search, &start, &err));
    ck_assert_ptr_null(search);
    ck_assert_ptr_null(start);
    forget();
}
END_TEST

/* ---- temperatures ---- */

START_TEST(logits_that_are_three_times_too_large_are_divided_by_three)
{
    enum { COUNT = 20000 };
    PfRandom random = pf_random_seeded(4, 4);
    PfTask task = {.outputs = 3, .weight = 1, .loss = PF_LOSS_CROSS_ENTROPY, .labels = rows};
    PfCalibrationTask own = {.logits = calloc(3 * COUNT, sizeof(float)),
                             .labels = calloc(COUNT, sizeof(int32_t)),
                             .rows = COUNT};
    PfCalibration calibration = {.task_count = 1, .tasks = &own};
    for (int i = 0; i < COUNT; i++) {
        double share[3], sum = 0, drawn = pf_random_uniform(&random);
        for (int c = 0; c < 3; c++) {
            double logit = pf_random_normal(&random);
            own.logits[3 * i + c] = (float)(3 * logit);
            sum += share[c] = exp(logit);
        }
        while (own.labels[i] < 2 && drawn > share[own.labels[i]] / sum)
            drawn -= share[own.labels[i]++] / sum;
    }
    ck_assert(!pf_calibration_fit(&calibration, &task, NULL, NULL));
    const PfCalibrationTask alone = own;
    ck_assert(!pf_thread_pool_new(3, &pool, NULL));
    ck_assert(!pf_calibration_fit(&calibration, &task, pool, NULL));
    ck_assert(alone.temperature == own.temperature && alone.loss_after == own.loss_after &&
              alone.error_after == own.error_after);
    pf_thread_pool_free(&pool);
    ck_assert_double_eq_tol(own.temperature, 3, 0.1);
    ck_assert_double_lt(own.loss_after, own.loss_before);
    ck_assert_double_lt(own.error_after, 0.02);
    ck_assert_double_gt(own.error_before, 0.1);
    free(own.logits);
    free(own.labels);
}
END_TEST

/* ---- novelty ---- */

START_TEST(novelty_is_a_percentile_among_rows_like_the_train_rows)
{
    PfError err = {0};
    PfNovelty *novelty;
    float far[8], room[8];
    int below = 0, seen = 0;
    make(400, 8, 1);
    ck_assert(!pf_novelty_measure(&loader, 8, rows, 200, NULL, NULL, NULL, pool, &novelty, &err));
    for (int i = 200; i < 400; i++, seen++)
        below += pf_novelty_percentile(novelty, table->x + i * 8, room) < 50;
    ck_assert_int_gt(below, seen * 35 / 100);
    ck_assert_int_lt(below, seen * 65 / 100);
    /* On one side of all: where no row of a one-sided set is. */
    for (int i = 0; i < 200; i++)
        for (int j = 0; j < 8; j++) table->x[i * 8 + j] = fabsf(table->x[i * 8 + j]);
    pf_novelty_free(&novelty);
    ck_assert(!pf_novelty_measure(&loader, 8, rows, 200, NULL, NULL, NULL, pool, &novelty, &err));
    for (int j = 0; j < 8; j++) far[j] = -1;
    ck_assert_double_eq(pf_novelty_percentile(novelty, far, room), 100);
    pf_novelty_free(&novelty);
    ck_assert(pf_novelty_measure(&loader, 8, rows, 19, NULL, NULL, NULL, pool, &novelty, &err));
    forget();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decay_search");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, matrices_are_their_tridiagonal_ones_rotated);
    tcase_add_test(cases, rows_keep_their_products);
    tcase_add_test(cases, losses_are_those_of_heads_fitted_alone);
    tcase_add_test(cases, rows_in_other_axes_are_bounded);
    tcase_add_test(cases, the_path_does_not_depend_on_threads);
    tcase_add_test(cases, rows_that_are_alike_stay_together);
    tcase_add_test(cases, few_rows_choose_nothing);
    tcase_add_test(cases, logits_that_are_three_times_too_large_are_divided_by_three);
    tcase_add_test(cases, novelty_is_a_percentile_among_rows_like_the_train_rows);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
