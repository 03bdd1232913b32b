/* Loops on threads that stay. */
#include <check.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "common/thread/thread_pool.h"
#include "tests/unit/assert_each.h"

enum { COUNT = 1000 };

typedef struct Tally {
    int visits[COUNT]; /* each written by one task */
    _Atomic int64_t total;
} Tally;

static void visit(void *context, int64_t index)
{
    Tally *tally = context;
    tally->visits[index]++;
    atomic_fetch_add(&tally->total, index);
}

static void check_loop(PfThreadPool *pool, int64_t count)
{
    Tally tally = {.total = 0};
    memset(tally.visits, 0, sizeof tally.visits);
    pf_thread_pool_for(pool, count, visit, &tally);
    for (int64_t i = 0; i < COUNT; i++)
        assert_each(tally.visits[i] == (i < count), "task %ld of %ld ran %d times", (long)i,
                    (long)count, tally.visits[i]);
    ck_assert_int_eq(tally.total, count * (count - 1) / 2);
}

START_TEST(every_task_runs_once)
{
    PfThreadPool *pool;
    ck_assert_int_eq(pf_thread_pool_new(_i, &pool, NULL), 0);
    ck_assert_int_ge(pf_thread_pool_size(pool), 1);
    if (_i) ck_assert_int_eq(pf_thread_pool_size(pool), _i);
    for (int round = 0; round < 300; round++) check_loop(pool, round % 8);
    check_loop(pool, COUNT);
    pf_thread_pool_free(&pool);
    ck_assert_ptr_null(pool);
}
END_TEST

START_TEST(threads_that_fell_asleep_wake_up)
{
    PfThreadPool *pool;
    ck_assert_int_eq(pf_thread_pool_new(3, &pool, NULL), 0);
    for (int round = 0; round < 10; round++) {
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
        check_loop(pool, 50);
    }
    nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
    pf_thread_pool_free(&pool);
}
END_TEST

START_TEST(without_a_pool_the_caller_does_it_all)
{
    ck_assert_int_eq(pf_thread_pool_size(NULL), 1);
    check_loop(NULL, 17);
    PfThreadPool *none = NULL;
    pf_thread_pool_free(&none);
}
END_TEST

/* Two tasks that wait for each other: they end only if they run at once. */
static void meet(void *context, int64_t index)
{
    atomic_int *arrived = context;
    (void)index;
    atomic_fetch_add(arrived, 1);
    while (atomic_load(arrived) < 2) nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

START_TEST(tasks_run_at_the_same_time)
{
    PfThreadPool *pool;
    ck_assert_int_eq(pf_thread_pool_new(2, &pool, NULL), 0);
    for (int round = 0; round < 20; round++) {
        atomic_int arrived = 0;
        pf_thread_pool_for(pool, 2, meet, &arrived);
        ck_assert_int_eq(arrived, 2);
    }
    pf_thread_pool_free(&pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("thread_pool");
    TCase *cases = tcase_create("all");
    tcase_add_loop_test(cases, every_task_runs_once, 0, 6);
    tcase_add_test(cases, threads_that_fell_asleep_wake_up);
    tcase_add_test(cases, without_a_pool_the_caller_does_it_all);
    tcase_add_test(cases, tasks_run_at_the_same_time);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
