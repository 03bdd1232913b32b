/* Classification metrics by hand, and conditions on results. */
#include <check.h>
#include <string.h>

#include "assertion.h"
#include "metrics.h"

START_TEST(a_small_example_by_hand)
{
    /* true a b c d: predicted */
    const int32_t labels[] = {9, 0, 0, 0, 1, 1, 2, 9}; /* by table row */
    const int32_t rows[] = {1, 2, 3, 4, 5, 6}, predictions[] = {0, 0, 1, 1, 0, 1};
    PfMetrics metrics;
    ck_assert_int_eq(pf_metrics_compute(labels, rows, predictions, 6, 4, 0.5, &metrics, NULL), 0);
    const int64_t confusion[16] = {2, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    ck_assert_mem_eq(metrics.confusion, confusion, sizeof confusion);
    ck_assert_double_eq_tol(metrics.accuracy, 0.5, 1e-15);
    ck_assert(metrics.loss == 0.5);
    const PfClassMetrics *a = &metrics.classes[0], *b = &metrics.classes[1];
    ck_assert_int_eq(a->support, 3);
    ck_assert_int_eq(a->predicted, 3);
    ck_assert_double_eq_tol(a->precision, 2.0 / 3, 1e-15);
    ck_assert_double_eq_tol(a->recall, 2.0 / 3, 1e-15);
    ck_assert_double_eq_tol(a->f1, 2.0 / 3, 1e-15);
    ck_assert_double_eq_tol(b->precision, 1.0 / 3, 1e-15);
    ck_assert_double_eq_tol(b->recall, 0.5, 1e-15);
    ck_assert_double_eq_tol(b->f1, 0.4, 1e-15);
    ck_assert(metrics.classes[2].precision == 0 && metrics.classes[2].f1 == 0); /* never taken */
    /* The fourth class is neither there nor predicted, and leaves the means alone. */
    ck_assert_double_eq_tol(metrics.macro_recall, (2.0 / 3 + 0.5) / 3, 1e-15);
    ck_assert_double_eq_tol(metrics.macro_f1, (2.0 / 3 + 0.4) / 3, 1e-15);
    pf_metrics_free(&metrics);
    ck_assert_ptr_null(metrics.classes);
}
END_TEST

START_TEST(many_classes_have_no_matrix)
{
    const int32_t labels[] = {0, 99999}, rows[] = {0, 1}, predictions[] = {0, 0};
    PfMetrics metrics;
    ck_assert_int_eq(pf_metrics_compute(labels, rows, predictions, 2, 100000, 1, &metrics, NULL),
                     0);
    ck_assert_ptr_null(metrics.confusion);
    ck_assert(metrics.accuracy == 0.5);
    ck_assert_int_eq(metrics.classes[99999].support, 1);
    pf_metrics_free(&metrics);
}
END_TEST

static int check(const char *text, const char *json)
{
    PfAssertion assertion;
    PfError err = {0};
    cJSON *result = cJSON_Parse(json);
    if (!pf_assertion_parse(text, &assertion, &err)) pf_assertion_check(&assertion, result, &err);
    cJSON_Delete(result);
    return err.exit_code;
}

START_TEST(conditions_hold_or_fail_with_their_own_code)
{
    const char *json =
        "{\"val\": {\"accuracy\": 0.95, \"name\": \"x\"}, \"epochs\": [{\"loss\": 2}]}";
    ck_assert_int_eq(check("val.accuracy>=0.95", json), 0);
    ck_assert_int_eq(check("val.accuracy==0.95", json), 0);
    ck_assert_int_eq(check("val.accuracy<=0.95", json), 0);
    ck_assert_int_eq(check("val.accuracy>0.95", json), PF_EXIT_ASSERT);
    ck_assert_int_eq(check("val.accuracy<0.95", json), PF_EXIT_ASSERT);
    ck_assert_int_eq(check("val.accuracy>=0.96", json), PF_EXIT_ASSERT);
    ck_assert_int_eq(check("epochs.0.loss<3", json), 0);
    ck_assert_int_eq(check("epochs.1.loss<3", json), PF_EXIT_USAGE);
    ck_assert_int_eq(check("epochs.x.loss<3", json), PF_EXIT_USAGE);
    ck_assert_int_eq(check("test.accuracy>=0", json), PF_EXIT_USAGE);
    ck_assert_int_eq(check("val>=0", json), PF_EXIT_USAGE);
    ck_assert_int_eq(check("val.name>=0", json), PF_EXIT_USAGE);
    ck_assert_int_eq(check("val..accuracy>=0", json), PF_EXIT_USAGE);
}
END_TEST

START_TEST(malformed_conditions_are_usage_errors)
{
    const char *const wrong[] = {"",     "val.accuracy", ">=0.9", "val.accuracy=0.9",
                                 "a=>1", "a>=",          "a>=b",  "a>=1x",
                                 "a<>1", "a>>=1",        "a>=nan"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(check(wrong[i], "{\"a\": 2}"), PF_EXIT_USAGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, a_small_example_by_hand);
    tcase_add_test(cases, many_classes_have_no_matrix);
    tcase_add_test(cases, conditions_hold_or_fail_with_their_own_code);
    tcase_add_test(cases, malformed_conditions_are_usage_errors);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
