/* script_file.h: the bytes that are lent are those whose digest was looked at. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/backbone/script_file.h"

static char path[64];

static void write_text(const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void make_file(void)
{
    snprintf(path, sizeof path, "/tmp/pf_script_XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    write_text("first bytes");
}

static void remove_file(void)
{
    unlink(path);
}

START_TEST(what_was_hashed_is_what_is_lent)
{
    PfScriptFile *script = NULL;
    PfScript lent;
    char expected[PF_SHA256_TEXT_SIZE];
    ck_assert_int_eq(pf_script_file_open(path, NULL, &script, NULL), 0);
    write_text("other bytes");
    ck_assert_int_eq(pf_script_file_lend(script, &lent, NULL), 0);
    ck_assert_str_eq(lent.path, path);
    ck_assert_uint_eq(lent.size, 11);
    ck_assert(!memcmp(lent.bytes, "first bytes", 11));
    pf_digest_sha256_text("first bytes", 11, expected);
    ck_assert_str_eq(script->sha256, expected);
    pf_script_file_free(&script);
    ck_assert_ptr_null(script);
}
END_TEST

/* A digest that is known by the file's stamp is believed until bytes are needed. */
static PfScriptFile *open_known(const char *sha256)
{
    PfFileStampSha256 known = {0};
    PfScriptFile *script = NULL;
    PfError error = {0};
    ck_assert_int_eq(pf_script_file_open(path, NULL, &script, &error), 0);
    known.stamp = script->stamp;
    pf_script_file_free(&script);
    snprintf(known.sha256, sizeof known.sha256, "%s", sha256);
    ck_assert_int_eq(pf_script_file_open(path, &known, &script, &error), 0);
    return script;
}

START_TEST(a_known_digest_is_checked_before_bytes_are_lent)
{
    char right[PF_SHA256_TEXT_SIZE], wrong[PF_SHA256_TEXT_SIZE];
    PfScript lent;
    PfError error = {0};
    sleep(3); /* a younger stamp tells nothing */
    pf_digest_sha256_text("first bytes", 11, right);
    pf_digest_sha256_text("other bytes", 11, wrong);
    PfScriptFile *script = open_known(right);
    ck_assert_ptr_null(script->bytes);
    ck_assert_int_eq(pf_script_file_lend(script, &lent, &error), 0);
    ck_assert(!memcmp(lent.bytes, "first bytes", 11));
    pf_script_file_free(&script);
    script = open_known(wrong);
    ck_assert_ptr_null(script->bytes);
    ck_assert_int_eq(pf_script_file_lend(script, &lent, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.message, "was changed meanwhile"));
    ck_assert_ptr_null(lent.bytes);
    pf_script_file_free(&script);
}
END_TEST

START_TEST(files_are_told_from_names)
{
    ck_assert(pf_script_file_is_meant("net.pt") && pf_script_file_is_meant("./resnet18"));
    ck_assert(!pf_script_file_is_meant("resnet18") && !pf_script_file_is_meant(".pt"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("script_file");
    TCase *cases = tcase_create("script_file");
    tcase_add_checked_fixture(cases, make_file, remove_file);
    tcase_add_test(cases, what_was_hashed_is_what_is_lent);
    tcase_add_test(cases, a_known_digest_is_checked_before_bytes_are_lent);
    tcase_add_test(cases, files_are_told_from_names);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
