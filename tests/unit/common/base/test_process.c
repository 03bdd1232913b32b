/* Signals: the first is noted, and what does not end by itself is ended. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/process.h"

static const volatile sig_atomic_t *interrupted;

static void sleep_milliseconds(long milliseconds)
{
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left)) continue;
}

/* The exit code of a process that catches signals and does this. */
static int code_of(void (*body)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (!pid) {
        interrupted = pf_process_catch_interrupts("nothing was written");
        body();
        _exit(99);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void end_in_order(void)
{
    if (*interrupted || pf_process_exit_code(PF_EXIT_INTERRUPTED) != PF_EXIT_INTERRUPTED) _exit(98);
    raise(SIGTERM);
    if (*interrupted != SIGTERM || pf_process_exit_code(PF_EXIT_FAILED) != PF_EXIT_FAILED)
        _exit(97);
    _exit(pf_process_exit_code(PF_EXIT_INTERRUPTED));
}

static void hear_another(void)
{
    raise(SIGTERM);
    pf_process_grant_seconds(1000);
    sleep_milliseconds(300);
    raise(SIGINT);
    _exit(96);
}

/* timeout(1) sends it to the process and to its group. */
static void hear_it_twice(void)
{
    raise(SIGTERM);
    raise(SIGTERM);
    _exit(*interrupted == SIGTERM ? 7 : 95);
}

static void hang(void)
{
    raise(SIGINT);
    for (;;) pause();
}

static void take_the_time_that_was_granted(void)
{
    raise(SIGINT);
    pf_process_grant_seconds(1000);
    sleep_milliseconds((long)(1000 * PF_PROCESS_GRACE_SECONDS) + 300);
    _exit(8);
}

START_TEST(a_signal_is_noted)
{
    ck_assert_int_eq(code_of(end_in_order), 143);
}
END_TEST

START_TEST(a_second_one_ends_it_at_once)
{
    ck_assert_int_eq(code_of(hear_another), 130);
}
END_TEST

START_TEST(the_same_one_twice_is_one)
{
    ck_assert_int_eq(code_of(hear_it_twice), 7);
}
END_TEST

START_TEST(what_hangs_is_ended)
{
    ck_assert_int_eq(code_of(hang), 130);
}
END_TEST

START_TEST(time_can_be_granted)
{
    ck_assert_int_eq(code_of(take_the_time_that_was_granted), 8);
}
END_TEST

int main(void)
{
    pf_log_setup("test", PF_NORMAL);
    Suite *suite = suite_create("process");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, a_signal_is_noted);
    tcase_add_test(cases, a_second_one_ends_it_at_once);
    tcase_add_test(cases, the_same_one_twice_is_one);
    tcase_add_test(cases, what_hangs_is_ended);
    tcase_add_test(cases, time_can_be_granted);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
