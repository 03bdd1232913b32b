/* How many processors may be used, and what decided it. */
#include <check.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>

#include "common/thread/parallel.h"
#include "common/thread/processors.h"

static void expect(const PfProcessorSources *sources, int count, const char *decided_by)
{
    PfProcessors found = pf_processors_choose(sources);
    ck_assert_int_eq(found.count, count);
    if (decided_by)
        ck_assert_str_eq(found.decided_by, decided_by);
    else
        ck_assert_ptr_null(found.decided_by);
}

START_TEST(the_smallest_decides)
{
    PfProcessorSources sources = {.machine = 64, .mask = 64};
    expect(&sources, 64, NULL);
    sources.groups = (PfGroupLimits){.processors = 64, .decides = "cpu.max"};
    sources.openmp = "64";
    expect(&sources, 64, NULL);
    sources.mask = 48;
    expect(&sources, 48, "processor affinity");
    sources.groups.processors = 12;
    expect(&sources, 12, "cpu.max");
    sources.openmp = "8,4";
    expect(&sources, 8, "OMP_NUM_THREADS");
    sources.slurm = "2";
    expect(&sources, 2, "SLURM_CPUS_PER_TASK");
    sources.openmp = "1";
    expect(&sources, 1, "OMP_NUM_THREADS");
}
END_TEST

START_TEST(variables_without_meaning_are_passed_over)
{
    static const char *const nothing[] = {"", "0", "-1", "many", "2x", "x2", ",2", "1.5", " "};
    static const char *const three[] = {"3", " 3", "3 ", "3,1", "3 , 1", "3,,"};
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        PfProcessorSources sources = {
            .machine = 16, .mask = 16, .openmp = nothing[i], .slurm = nothing[i]};
        expect(&sources, 16, NULL);
    }
    for (size_t i = 0; i < sizeof three / sizeof *three; i++) {
        PfProcessorSources sources = {.machine = 16, .mask = 16, .openmp = three[i]};
        expect(&sources, 3, "OMP_NUM_THREADS");
    }
    PfProcessorSources large = {.machine = 16, .mask = 16, .slurm = "99999999999999999999"};
    expect(&large, 16, NULL);
}
END_TEST

START_TEST(what_is_not_known_limits_nothing)
{
    PfProcessorSources nothing = {.machine = -1};
    expect(&nothing, 1, NULL);
    PfProcessorSources mask = {.machine = -1, .mask = 5};
    expect(&mask, 5, NULL);
    PfProcessorSources machine = {.machine = 7};
    expect(&machine, 7, NULL);
}
END_TEST

/* ---- masks ---- */

static int width, chosen, calls; /* of the machine's mask, and how many of it are in */

static int get_mask(size_t bytes, void *mask)
{
    calls++;
    if (bytes * 8 < (size_t)width) {
        errno = EINVAL;
        return -1;
    }
    for (int i = 0; i < chosen; i++) CPU_SET_S((size_t)(width - 1 - i), bytes, (cpu_set_t *)mask);
    return 0;
}

static int refuse(size_t bytes, void *mask)
{
    (void)bytes, (void)mask;
    calls++;
    errno = EPERM;
    return -1;
}

START_TEST(masks_of_any_width_are_counted)
{
    static const int widths[][2] = {{2, 1},      {300, 300},   {1024, 1024},
                                    {1025, 300}, {8192, 5000}, {1 << 20, 3}};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        width = widths[i][0];
        chosen = widths[i][1];
        ck_assert_int_eq(pf_processors_in_mask(get_mask), chosen);
    }
    width = INT_MAX;
    calls = 0;
    ck_assert_int_eq(pf_processors_in_mask(get_mask), 0);
    ck_assert_int_lt(calls, 20);
    calls = 0;
    ck_assert_int_eq(pf_processors_in_mask(refuse), 0);
    ck_assert_int_eq(calls, 1);
}
END_TEST

/* ---- this process ---- */

START_TEST(threads_that_were_asked_for_stand_above_all)
{
    ck_assert_int_ge(pf_processors().count, 1);
    pf_processors_set(300);
    ck_assert_int_eq(pf_parallel_processor_count(), 300);
    ck_assert_str_eq(pf_processors().decided_by, "--threads");
    pf_processors_set(0);
    ck_assert_int_lt(pf_parallel_processor_count(), 300);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("processors");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, the_smallest_decides);
    tcase_add_test(cases, variables_without_meaning_are_passed_over);
    tcase_add_test(cases, what_is_not_known_limits_nothing);
    tcase_add_test(cases, masks_of_any_width_are_counted);
    tcase_add_test(cases, threads_that_were_asked_for_stand_above_all);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
