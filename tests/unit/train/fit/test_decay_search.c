/* The search of weight decays: axes of rows, the path's losses against closed form, and its rules.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/random.h"
#include "tests/unit/assert_each.h"
#include "train/features/row_choice.h"
#include "train/fit/convex_head.h"
#include "train/fit/decay_search.h"
#include "train/fit/row_axes.h"

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
            assert_each(fabs(wanted - found) < 2e-3, "%d x %d: (%d, %d) is %g, not %g", count,
                        features, i, j, found, wanted);
        }
    pf_row_axes_free(&axes);
    forget();
}

START_TEST(rows_keep_their_products)
{
    check_axes(60, 12);
    check_axes(12, 60);
    check_axes(90, 200);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("decay_search");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, matrices_are_their_tridiagonal_ones_rotated);
    tcase_add_test(cases, rows_keep_their_products);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
