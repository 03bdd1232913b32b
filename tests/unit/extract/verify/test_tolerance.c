/* What --verify takes for the same features. */
#include <check.h>
#include <math.h>

#include "extract/verify/tolerance.h"

enum { COUNT = 3 };

/* Whether rows whose largest number is 100 agree, where their middle numbers are these. */
static bool agree(const char *identity, PfDtype dtype, float left, float right)
{
    const float a[COUNT] = {-100, left, 0}, b[COUNT] = {-100, right, 0};
    return pf_tolerance_agrees(pf_tolerance_of(identity, dtype), a, b, COUNT);
}

START_TEST(by_precision)
{
    static const struct {
        const char *identity;
        float apart; /* of the largest number */
    } cases[] = {
        {"{\"precision\": \"fp32\"}", 1e-5f},
        {"{\"precision\": \"tf32\"}", 4e-3f},
        {"{\"precision\": \"fp16\"}", 4e-3f},
        {"{\"precision\": \"bf16\"}", 4e-2f},
        {"{\"precision\": \"new\"}", 1e-5f},
        {"{\"precision\": 3}", 1e-5f},
        {"none", 1e-5f},
        {"{}", 1e-5f},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const float apart = 100 * cases[i].apart;
        ck_assert_msg(agree(cases[i].identity, PF_DTYPE_F32, 1, 1 + 0.9f * apart), "%zu", i);
        ck_assert_msg(agree(cases[i].identity, PF_DTYPE_F32, 1, 1 - 0.9f * apart), "%zu", i);
        ck_assert_msg(!agree(cases[i].identity, PF_DTYPE_F32, 1, 1 + 1.1f * apart), "%zu", i);
        ck_assert_msg(!agree(cases[i].identity, PF_DTYPE_F32, 1 + 1.1f * apart, 1), "%zu", i);
    }
}
END_TEST

/* Beside what precision gives, one step of the stored type. */
START_TEST(by_type)
{
    ck_assert(agree("{}", PF_DTYPE_F16, 64, 64 + 0.0625f));
    ck_assert(!agree("{}", PF_DTYPE_F16, 64, 64 + 2 * 0.0625f));
    ck_assert(!agree("{}", PF_DTYPE_F32, 64, 64 + 0.0625f));
    ck_assert(agree("{}", PF_DTYPE_U8, 7, 7));
    ck_assert(!agree("{\"precision\": \"bf16\"}", PF_DTYPE_U8, 7, 8));
    const float zeros[COUNT] = {0}, least[COUNT] = {0x1p-24f, 0, 0}, two[COUNT] = {0x1p-23f, 0, 0};
    PfTolerance tolerance = pf_tolerance_of("{}", PF_DTYPE_F16);
    ck_assert(pf_tolerance_agrees(tolerance, zeros, least, COUNT));
    ck_assert(!pf_tolerance_agrees(tolerance, zeros, two, COUNT));
}
END_TEST

START_TEST(nothing_is_near_what_is_not_finite)
{
    ck_assert(!agree("{}", PF_DTYPE_F32, 1, NAN));
    ck_assert(!agree("{}", PF_DTYPE_F16, NAN, NAN));
    ck_assert(!agree("{}", PF_DTYPE_F32, INFINITY, 1));
    ck_assert(!agree("{}", PF_DTYPE_F32, INFINITY, INFINITY));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tolerance");
    TCase *cases = tcase_create("tolerance");
    tcase_add_test(cases, by_precision);
    tcase_add_test(cases, by_type);
    tcase_add_test(cases, nothing_is_near_what_is_not_finite);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
