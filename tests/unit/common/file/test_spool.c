/* What is spooled comes back, whether it stayed in memory or not. */
#include <check.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file/spool.h"

static char folder[64];

static void make_folder(void)
{
    strcpy(folder, "/tmp/pf_spool_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
    ck_assert(!rmdir(folder)); /* nothing has a name in it */
}

/* Pieces of 1 to 7 bytes, and now and then one larger than any buffer. */
static size_t size_of(int i)
{
    return i % 1000 == 999 ? 3000000 : (size_t)(i % 7 + 1);
}

static void fill(unsigned char *bytes, int i)
{
    for (size_t k = 0; k < size_of(i); k++) bytes[k] = (unsigned char)(i * 31 + (int)k % 251);
}

START_TEST(bytes_come_back_in_order)
{
    static const int counts[] = {0, 1, 500, 2500};
    PfError err;
    unsigned char *bytes = malloc(3000000), *found = malloc(3000000);
    PfSpool spool = pf_spool_begin(folder);
    int64_t size = 0;
    for (int i = 0; i < counts[_i]; i++) {
        fill(bytes, i);
        ck_assert_msg(!pf_spool_append(&spool, bytes, size_of(i), &err), "%s", err.message);
        size += (int64_t)size_of(i);
    }
    ck_assert_int_eq(spool.size, size);
    ck_assert(spool.has_file == (counts[_i] > 1000));
    ck_assert(spool.capacity < 8000000);
    for (int pass = 0; pass < 2; pass++) {
        ck_assert_msg(!pf_spool_rewind(&spool, &err), "%s", err.message);
        for (int i = 0; i < counts[_i]; i++) {
            fill(bytes, i);
            ck_assert_msg(!pf_spool_read(&spool, found, size_of(i), &err), "%s", err.message);
            ck_assert_mem_eq(found, bytes, size_of(i));
        }
        ck_assert(pf_spool_read(&spool, found, 1, &err));
        ck_assert(strstr(err.message, folder) != NULL);
        if (!spool.has_file) break;
    }
    pf_spool_free(&spool);
    free(found);
    free(bytes);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_named)
{
    PfError err;
    PfSpool spool = pf_spool_begin("/nonexistent");
    char *bytes = calloc(1, 900000);
    ck_assert(!pf_spool_append(&spool, bytes, 900000, &err));
    ck_assert(pf_spool_append(&spool, bytes, 900000, &err));
    ck_assert(strstr(err.message, "/nonexistent") != NULL);
    pf_spool_free(&spool);
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spool");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, make_folder, remove_folder);
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, bytes_come_back_in_order, 0, 4);
    tcase_add_test(cases, a_folder_that_is_not_there_is_named);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
