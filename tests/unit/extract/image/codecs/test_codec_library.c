/* Libraries that are opened when first needed: one that every machine has, one that none has, and
 * one that lacks a function. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "extract/image/codecs/codec_library.h"

/* Declared as by a header; only their types are used. */
double pf_no_such_function(double x);

#define ROOT(_) _(cbrt) _(hypot)
#define FUTURE(_) _(cbrt) _(pf_no_such_function)

START_TEST(test_functions_are_found)
{
    PF_CODEC_LIBRARY(maths, "Maths", "libm.so.6", "libc6", ROOT);
    ck_assert_int_eq(pf_codec_library_open(&maths_library, NULL), 0);
    ck_assert_int_eq(pf_codec_library_open(&maths_library, NULL), 0);
    ck_assert_double_eq_tol(maths.cbrt(27), 3, 1e-12);
    ck_assert_double_eq_tol(maths.hypot(3, 4), 5, 1e-12);
}
END_TEST

START_TEST(test_missing_library_names_its_package)
{
    PF_CODEC_LIBRARY(none, "Xyz", "libpf_nowhere.so.9", "libpf-nowhere9", ROOT);
    for (int i = 0; i < 2; i++) {
        PfError err = {0};
        ck_assert_int_eq(pf_codec_library_open(&none_library, &err), -1);
        ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
        ck_assert_str_eq(err.message, "Xyz needs libpf_nowhere.so.9, which is not installed. "
                                      "Hint: apt install libpf-nowhere9");
    }
}
END_TEST

START_TEST(test_missing_function_is_named)
{
    PF_CODEC_LIBRARY(future, "Maths", "libm.so.6", "libc6", FUTURE);
    PfError err = {0};
    ck_assert_int_eq(pf_codec_library_open(&future_library, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "Maths needs libm.so.6, which cannot be opened ("));
    ck_assert_ptr_nonnull(strstr(err.message, "undefined symbol: pf_no_such_function"));
}
END_TEST

PF_CODEC_LIBRARY(shared, "Maths", "libm.so.6", "libc6", ROOT);

static void *open_and_call(void *result)
{
    double *out = result;
    if (!pf_codec_library_open(&shared_library, NULL)) *out = shared.cbrt(8);
    return NULL;
}

START_TEST(test_threads_open_it_at_once)
{
    enum { COUNT = 8 };
    pthread_t threads[COUNT];
    double results[COUNT] = {0};
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, open_and_call, &results[i]), 0);
    for (int i = 0; i < COUNT; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_double_eq_tol(results[i], 2, 1e-12);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("codec_library");
    TCase *tests = tcase_create("codec_library");
    tcase_add_test(tests, test_functions_are_found);
    tcase_add_test(tests, test_missing_library_names_its_package);
    tcase_add_test(tests, test_missing_function_is_named);
    tcase_add_test(tests, test_threads_open_it_at_once);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
