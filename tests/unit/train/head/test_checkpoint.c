/* Checkpoints: what is written comes back, and what must not is refused. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/head/checkpoint.h"

enum { WEIGHTS = 5000 };

static char path[] = "/tmp/pf_checkpoint_XXXXXX";
static float weights[WEIGHTS], losses[3];
static PfCheckpoint *checkpoint;

static void setup(void)
{
    PfError err;
    strcpy(path, "/tmp/pf_checkpoint_XXXXXX");
    close(mkstemp(path));
    ck_assert(!pf_checkpoint_new(path, "a run", &checkpoint, &err));
    ck_assert(
        !pf_checkpoint_add_weights(checkpoint, "network.0.parameters", weights, WEIGHTS, &err));
    ck_assert(!pf_checkpoint_add(checkpoint, "epochs", losses, sizeof losses, &err));
    for (int i = 0; i < WEIGHTS; i++) weights[i] = (float)i;
}

static void teardown(void)
{
    pf_checkpoint_free(&checkpoint);
    unlink(path);
}

/* Losses may be anything: without val rows they are NaN. */
START_TEST(what_was_written_comes_back)
{
    int found;
    PfError err = {0};
    losses[1] = NAN;
    ck_assert(!pf_checkpoint_write(checkpoint, &err));
    memset(weights, 0, sizeof weights);
    losses[1] = 0;
    ck_assert_msg(!pf_checkpoint_read(checkpoint, &found, &err), "%s", err.message);
    ck_assert(found && weights[WEIGHTS - 1] == WEIGHTS - 1 && isnan(losses[1]));
}
END_TEST

/* A file of an older version says the same of its run in another way; any third way is another run.
 */
START_TEST(a_run_in_the_words_of_before_is_taken)
{
    int found;
    PfError err = {0};
    PfCheckpoint *later;
    ck_assert(!pf_checkpoint_write(checkpoint, &err));
    ck_assert(!pf_checkpoint_new(path, "the same run", &later, &err));
    ck_assert(!pf_checkpoint_take_also(later, "another run", &err));
    ck_assert_int_eq(pf_checkpoint_read(later, &found, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_IDENTITY);
    ck_assert(!pf_checkpoint_take_also(later, "a run", &err));
    ck_assert_msg(!pf_checkpoint_read(later, &found, &err), "%s", err.message);
    pf_checkpoint_free(&later);
}
END_TEST

START_TEST(weights_that_are_not_finite_are_refused_by_name)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        int found;
        PfError err = {0};
        weights[WEIGHTS - 1 - i] = bad[i];
        ck_assert(!pf_checkpoint_write(checkpoint, &err));
        weights[WEIGHTS - 1 - i] = 7;
        ck_assert_int_eq(pf_checkpoint_read(checkpoint, &found, &err), -1);
        ck_assert_int_eq(err.exit_code, PF_EXIT_FAILED);
        ck_assert_ptr_nonnull(strstr(err.message, path));
        ck_assert_ptr_nonnull(
            strstr(err.message, "'network.0.parameters' holds numbers that are not"));
        ck_assert(weights[WEIGHTS - 1 - i] == 7);
    }
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("checkpoint");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, what_was_written_comes_back);
    tcase_add_test(cases, a_run_in_the_words_of_before_is_taken);
    tcase_add_test(cases, weights_that_are_not_finite_are_refused_by_name);
    Suite *suite = suite_create("checkpoint");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
