/* Functions and sums: against double precision, and every set of kernels against the
 * plain one, bit for bit. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/guarded_floats.h"
#include "tests/unit/kernel_sets.h"
#include "train/kernels/vector_math.h"

/* ---- functions of one value ---- */

/* Distance in units of the last place of the exact value's float. */
static double ulps(float found, double exact)
{
    if (isnan(exact)) return isnan(found) ? 0 : INFINITY;
    float rounded = (float)exact;
    if (isinf(rounded)) return found == rounded ? 0 : INFINITY;
    double ulp =
        fmax((double)nextafterf(fabsf(rounded), INFINITY) - (double)fabsf(rounded), 0x1p-149);
    return fabs((double)found - exact) / ulp;
}

static double gelu(double x)
{
    return 0.5 * x * erfc(-x * M_SQRT1_2);
}

static double gelu_slope(double x)
{
    return 0.5 * erfc(-x * M_SQRT1_2) + x * exp(-0.5 * x * x) / sqrt(2 * M_PI);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

enum { SAMPLES = 1 << 16 };

/* All magnitudes and, evenly, [-120, 120]. */
static float *new_samples(void)
{
    const float odd[] = {0.0f,      -0.0f,    INFINITY,  -INFINITY, NAN,      1e-45f,  -1e-45f,
                         88.72283f, 88.7229f, -87.3366f, -103.97f,  -103.98f, 3.4e38f, -3.4e38f};
    PfRandom random = pf_random_seeded(31, 0);
    float *x = new_floats(SAMPLES);
    for (int i = 0; i < SAMPLES; i++) {
        double u = 2 * pf_random_uniform(&random) - 1;
        x[i] = (float)(i % 2 ? 120 * u : copysign(exp2(60 * pf_random_uniform(&random) - 53), u));
    }
    memcpy(x, odd, sizeof odd);
    return x;
}

START_TEST(exp_and_sigmoid_are_near_the_exact_values)
{
    float *x = new_samples(), *found = new_floats(SAMPLES);
    pf_exp(x, SAMPLES, found);
    for (int i = 0; i < SAMPLES; i++) {
        double exact = exp((double)x[i]);
        if (exact < 0x1p-126)
            ck_assert(found[i] == 0);
        else
            ck_assert_msg(ulps(found[i], exact) <= 1.1, "exp(%a) = %a, %g ulp off", x[i], found[i],
                          ulps(found[i], exact));
    }
    pf_sigmoid(x, SAMPLES, found);
    for (int i = 0; i < SAMPLES; i++) {
        double exact = sigmoid((double)x[i]);
        if (exact < 0x1p-126)
            ck_assert(found[i] == 0);
        else
            ck_assert_msg(ulps(found[i], exact) <= 3, "sigmoid(%a) = %a, %g ulp off", x[i],
                          found[i], ulps(found[i], exact));
    }
    free(x);
    free(found);
}
END_TEST

START_TEST(gelu_is_near_the_exact_values)
{
    float *x = new_samples(), *found = new_floats(SAMPLES);
    pf_gelu(x, SAMPLES, found);
    for (int i = 0; i < SAMPLES; i++) {
        if (isinf(x[i])) continue; /* as torch: inf, and NaN for -inf */
        double exact = gelu((double)x[i]), slack = 1.5e-7 * fmax(fabs((double)x[i]), 1e-38);
        if (isnan(exact))
            ck_assert(isnan(found[i]));
        else
            ck_assert_msg(fabs((double)found[i] - exact) <= slack, "gelu(%a) = %a, not %a", x[i],
                          found[i], exact);
    }
    pf_gelu_slope(x, SAMPLES, found);
    for (int i = 0; i < SAMPLES; i++)
        if (isfinite(x[i]))
            ck_assert_msg(fabs((double)found[i] - gelu_slope((double)x[i])) <= 3e-7,
                          "slope(%a) = %a, not %a", x[i], found[i], gelu_slope((double)x[i]));
    free(x);
    free(found);
}
END_TEST

/* Logarithms of sums of exponentials, the only ones that losses take. */
START_TEST(log_is_near_the_exact_value_from_1_on)
{
    PfRandom random = pf_random_seeded(32, 0);
    float *x = new_floats(SAMPLES), *found = new_floats(SAMPLES);
    for (int i = 0; i < SAMPLES; i++) {
        double u = pf_random_uniform(&random);
        x[i] = (float)(i % 2 ? exp2(90 * u * u * u) : 1 + exp2(-30 * u));
    }
    x[0] = NAN;
    x[1] = 1;
    pf_kernels()->log(x, SAMPLES, found);
    for (int i = 0; i < SAMPLES; i++)
        ck_assert_msg(ulps(found[i], log((double)x[i])) <= 1.5, "log(%a) = %a, %g ulp off", x[i],
                      found[i], ulps(found[i], log((double)x[i])));
    free(x);
    free(found);
}
END_TEST

typedef void (*Function)(const float *x, int64_t count, float *out);

static void check_function(const char *name, Function plain, Function other, const float *x)
{
    float *expected = new_floats(SAMPLES), *found = new_floats(SAMPLES);
    plain(x, SAMPLES, expected);
    other(x, SAMPLES, found);
    for (int i = 0; i < SAMPLES; i++)
        ck_assert_msg(same(found[i], expected[i]), "%s(%a): %a and %a", name, x[i], found[i],
                      expected[i]);
    for (int count = 0; count < 40; count++) { /* in place, with nothing behind */
        GuardedFloats part = guarded_floats((size_t)count, 0);
        memcpy(part.values, x, (size_t)count * sizeof *x);
        other(part.values, count, part.values);
        ck_assert(all_same(part.values, expected, count));
        guarded_floats_free(&part);
    }
    free(expected);
    free(found);
}

START_TEST(all_sets_compute_the_same_functions)
{
    const PfKernels *sets[MAX_KERNEL_SETS], *plain = &pf_kernels_plain;
    int count = kernel_sets(sets);
    float *x = new_samples(), *above_one = new_floats(SAMPLES);
    for (int i = 0; i < SAMPLES; i++) above_one[i] = 1 + fminf(fabsf(x[i]), 1e30f);
    for (int s = 0; s < count; s++) {
        check_function("exp", plain->exp, sets[s]->exp, x);
        check_function("log", plain->log, sets[s]->log, above_one);
        check_function("sigmoid", plain->sigmoid, sets[s]->sigmoid, x);
        check_function("gelu", plain->gelu, sets[s]->gelu, x);
        check_function("gelu_slope", plain->gelu_slope, sets[s]->gelu_slope, x);
    }
    free(x);
    free(above_one);
}
END_TEST

/* ---- sums ---- */

START_TEST(column_sums_are_sums_in_order)
{
    const PfKernels *sets[MAX_KERNEL_SETS];
    int count = kernel_sets(sets);
    PfRandom random = pf_random_seeded(33, 0);
    for (int round = 0; round < 60; round++) {
        int64_t rows = below(&random, 20), columns = below(&random, 50);
        int64_t stride = columns + below(&random, 5);
        GuardedFloats x = guarded_floats(rows ? (size_t)((rows - 1) * stride + columns) : 0, NAN);
        for (int64_t i = 0; i < rows; i++) fill_normal(&random, x.values + i * stride, columns, 1);
        for (int s = 0; s < count; s++) {
            double sums[50], squares[50];
            for (int64_t j = 0; j < 50; j++) sums[j] = squares[j] = (double)j;
            pf_kernels_use(sets[s]);
            pf_column_sums(x.values, rows, columns, stride, sums);
            pf_column_square_sums(x.values, rows, columns, stride, squares);
            for (int64_t j = 0; j < 50; j++) {
                double sum = (double)j, square = sum;
                for (int64_t i = 0; i < rows && j < columns; i++) {
                    double value = (double)x.values[i * stride + j];
                    sum += value;
                    square += value * value;
                }
                ck_assert(sums[j] == sum && squares[j] == square);
            }
        }
        guarded_floats_free(&x);
    }
}
END_TEST

START_TEST(sum_of_squares_has_one_order)
{
    const PfKernels *sets[MAX_KERNEL_SETS];
    int count = kernel_sets(sets);
    PfRandom random = pf_random_seeded(34, 0);
    for (int64_t n = 0; n < 100; n++) {
        GuardedFloats x = guarded_floats((size_t)n, 0);
        fill_normal(&random, x.values, n, 1);
        double exact = 0, found[MAX_KERNEL_SETS];
        for (int64_t i = 0; i < n; i++) exact += (double)x.values[i] * (double)x.values[i];
        for (int s = 0; s < count; s++) {
            pf_kernels_use(sets[s]);
            found[s] = pf_sum_of_squares(x.values, n);
            ck_assert(found[s] == found[0]);
        }
        ck_assert_double_eq_tol(found[0], exact, 1e-14 * (exact + 1));
        guarded_floats_free(&x);
    }
}
END_TEST

/* ---- choosing ---- */

START_TEST(the_environment_names_a_set)
{
    const PfKernels *sets[MAX_KERNEL_SETS];
    int count = kernel_sets(sets);
    for (int s = 0; s < count; s++) {
        setenv("PF_KERNELS", sets[s]->name, 1);
        pf_kernels_use(NULL);
        ck_assert_ptr_eq(pf_kernels(), sets[s]);
    }
    setenv("PF_KERNELS", "abacus", 1);
    pf_kernels_use(NULL);
    ck_assert_ptr_eq(pf_kernels(), sets[count - 1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, use_best_kernels, use_best_kernels);
    tcase_add_test(cases, exp_and_sigmoid_are_near_the_exact_values);
    tcase_add_test(cases, gelu_is_near_the_exact_values);
    tcase_add_test(cases, log_is_near_the_exact_value_from_1_on);
    tcase_add_test(cases, all_sets_compute_the_same_functions);
    tcase_add_test(cases, column_sums_are_sums_in_order);
    tcase_add_test(cases, sum_of_squares_has_one_order);
    tcase_add_test(cases, the_environment_names_a_set);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
