/* max_pool.h against its definition on random windows, bit for bit, by every set of kernels,
 * between unreadable pages. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "common/conv/max_pool.h"
#include "tests/unit/conv_sets.h"

enum { CASES = 40 };
static const float poison = 1e30f;

typedef struct Case {
    PfMaxPool pool;
    PfMaxPoolMaps maps;
    GuardedFloats x, y;
    int64_t height, width, inputs, outputs; /* height, width: of y */
} Case;

/* Windows that reach over every edge of the map, and ones that leave a part of it out. */
static void open_case(Case *c, uint64_t number)
{
    PfRandom random = pf_random_seeded(11, number);
    PfMaxPool *pool = &c->pool;
    PfMaxPoolMaps *maps = &c->maps;
    pool->channels = 16 * between(&random, 1, 5);
    for (int axis = 0; axis < 2; axis++) {
        pool->kernel[axis] = between(&random, 1, 4);
        pool->stride[axis] = between(&random, 1, 3);
        pool->padding[axis] = between(&random, 0, pool->kernel[axis] / 2);
    }
    maps->count = between(&random, 1, 4);
    maps->height = between(&random, 4, 12);
    maps->width = between(&random, 4, 12);
    c->height = pf_max_pool_outputs(pool, 0, maps->height);
    c->width = pf_max_pool_outputs(pool, 1, maps->width);
    c->inputs = maps->count * maps->height * maps->width * pool->channels;
    c->outputs = maps->count * c->height * c->width * pool->channels;
    c->x = random_guarded(&random, c->inputs, 1, 0);
    break_some(&random, c->x.values, c->inputs, c->inputs / 50 + 1);
    c->y = guarded_floats((size_t)c->outputs, poison);
    maps->x = c->x.values;
    maps->y = c->y.values;
}

static void close_case(Case *c)
{
    guarded_floats_free(&c->x);
    guarded_floats_free(&c->y);
}

static float expected_at(const Case *c, int64_t map, int64_t y, int64_t x, int64_t channel)
{
    const PfMaxPool *pool = &c->pool;
    float most = -INFINITY;
    for (int64_t i = 0; i < pool->kernel[0] * pool->kernel[1]; i++) {
        int64_t row = y * pool->stride[0] - pool->padding[0] + i / pool->kernel[1];
        int64_t column = x * pool->stride[1] - pool->padding[1] + i % pool->kernel[1];
        if (row < 0 || row >= c->maps.height || column < 0 || column >= c->maps.width) continue;
        float value =
            c->maps.x[((map * c->maps.height + row) * c->maps.width + column) * pool->channels +
                      channel];
        if (value > most || isnan(value)) most = value;
    }
    return most;
}

/* Rows in two parts, the second one first. */
static void run(Case *c, const char *kernels)
{
    const int64_t rows = c->maps.count * c->height, half = rows / 2;
    setenv("PF_KERNELS", kernels, 1);
    for (int64_t i = 0; i < c->outputs; i++) c->y.values[i] = poison;
    pf_max_pool_run(&c->pool, &c->maps, half, rows);
    for (int64_t i = 0; i < half * c->width * c->pool.channels; i++)
        assert_each(c->y.values[i] == poison, "a row was written that was not asked for");
    pf_max_pool_run(&c->pool, &c->maps, 0, half);
    unsetenv("PF_KERNELS");
}

static int check_case(const Case *c)
{
    int nans = 0;
    for (int64_t i = 0; i < c->outputs; i++) {
        const int64_t pixel = i / c->pool.channels;
        const float expected =
            expected_at(c, pixel / (c->width * c->height), pixel / c->width % c->height,
                        pixel % c->width, i % c->pool.channels);
        nans += isnan(expected);
        if (isnan(expected))
            assert_each(isnan(c->maps.y[i]), "a NaN was swallowed");
        else
            assert_each(c->maps.y[i] == expected, "%g at %ld, not %g", (double)c->maps.y[i],
                        (long)i, (double)expected);
    }
    return nans;
}

START_TEST(is_the_largest_of_its_window)
{
    int nans = 0;
    for (int s = 0; s < conv_set_count(); s++)
        for (uint64_t i = 0; i < CASES; i++) {
            Case c = {0};
            open_case(&c, i);
            run(&c, conv_set(s)->name);
            nans += check_case(&c);
            close_case(&c);
        }
    ck_assert_int_gt(nans, 0);
}
END_TEST

/* As torch says for kernel, stride, padding, and maps of 7 and 8 pixels. */
START_TEST(windows_that_do_not_fit_are_left_out)
{
    const struct {
        int64_t kernel, stride, padding, of_7, of_8;
    } known[] = {
        {2, 2, 0, 3, 4}, {3, 2, 1, 4, 4}, {3, 1, 1, 7, 8}, {3, 3, 0, 2, 2}, {9, 1, 0, 0, 0}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        PfMaxPool pool = {.kernel = {1, known[i].kernel},
                          .stride = {1, known[i].stride},
                          .padding = {0, known[i].padding}};
        ck_assert_int_eq(pf_max_pool_outputs(&pool, 1, 7), known[i].of_7);
        ck_assert_int_eq(pf_max_pool_outputs(&pool, 1, 8), known[i].of_8);
        ck_assert_int_eq(pf_max_pool_outputs(&pool, 0, 8), 8);
    }
}
END_TEST

int main(void)
{
    print_conv_sets();
    Suite *suite = suite_create("max_pool");
    TCase *cases = tcase_create("max_pool");
    tcase_set_timeout(cases, 300);
    tcase_add_test(cases, is_the_largest_of_its_window);
    tcase_add_test(cases, windows_that_do_not_fit_are_left_out);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
