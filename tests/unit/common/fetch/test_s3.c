/* Where an object of S3 is, and whose keys are taken. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/address.h"
#include "common/fetch/s3.h"

static char folder[64];

static void write_text(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_int_ge(fputs(text, out), 0);
    ck_assert_int_eq(fclose(out), 0);
}

static void set_up(void)
{
    static const char *const names[] = {
        "AWS_ACCESS_KEY_ID",   "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "AWS_REGION",          "AWS_DEFAULT_REGION",    "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL",      "AWS_ENDPOINT_URL_S3"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
    strcpy(folder, "/tmp/s3_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/credentials", folder);
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    snprintf(path, sizeof path, "%s/config", folder);
    setenv("AWS_CONFIG_FILE", path, 1);
}

static void tear_down(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static void expect_url(const char *address, const char *wanted)
{
    PfS3 s3;
    PfError err = {0};
    ck_assert_int_eq(pf_s3_open(&s3, &err), 0);
    char *url = pf_s3_url(&s3, address, &err);
    if (wanted)
        ck_assert_str_eq(url, wanted);
    else
        ck_assert_ptr_null(url);
    free(url);
    pf_s3_free(&s3);
}

START_TEST(addresses_are_those_of_the_bucket)
{
    expect_url("s3://photos/a b/\xc3\xa9+?.tar",
               "https://photos.s3.us-east-1.amazonaws.com/a%20b/%C3%A9%2B%3F.tar");
    expect_url("s3://photos/a//b/../c.tar",
               "https://photos.s3.us-east-1.amazonaws.com/a//b/../c.tar");
    expect_url("s3://my.photos/x.tar", "https://s3.us-east-1.amazonaws.com/my.photos/x.tar");
    setenv("AWS_DEFAULT_REGION", "cn-north-1", 1);
    expect_url("s3://photos/x.tar", "https://photos.s3.cn-north-1.amazonaws.com.cn/x.tar");
    setenv("AWS_REGION", "eu-west-1", 1);
    expect_url("s3://photos/x.tar", "https://photos.s3.eu-west-1.amazonaws.com/x.tar");
    setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000", 1);
    expect_url("s3://photos/x.tar", "http://127.0.0.1:9000/photos/x.tar");
    setenv("AWS_ENDPOINT_URL_S3", "https://store/", 1);
    expect_url("s3://photos/x.tar", "https://store/photos/x.tar");
    expect_url("s3://ph/x.tar", NULL);
    expect_url("s3://photos", NULL);
    expect_url("s3://photos/", NULL);
    expect_url("s3://evil.example@photos/x.tar", NULL);
}
END_TEST

static void expect_keys(const char *key, const char *secret, const char *session)
{
    PfS3 s3;
    PfError err = {0};
    ck_assert_int_eq(pf_s3_open(&s3, &err), 0);
    ck_assert_pstr_eq(s3.signer.key, key);
    ck_assert_pstr_eq(s3.signer.secret, secret);
    ck_assert_pstr_eq(s3.signer.session, session);
    pf_s3_free(&s3);
}

static void expect_failure(const char *text)
{
    PfS3 s3;
    PfError err = {0};
    ck_assert_int_eq(pf_s3_open(&s3, &err), -1);
    ck_assert_msg(strstr(err.message, text) != NULL, "%s", err.message);
    pf_s3_free(&s3);
}

START_TEST(variables_come_before_profiles)
{
    expect_keys(NULL, NULL, NULL);
    write_text("credentials", "aws_access_key_id = none\n[default]\r\naws_access_key_id = A\r\n"
                              "aws_secret_access_key = B=C \r\n; aws_session_token = D\r\n"
                              "[other]\naws_access_key_id=X\naws_secret_access_key=Y\n"
                              "aws_session_token=Z\n[half]\naws_access_key_id=X\n");
    write_text("config", "[profile other]\nregion = eu-north-1\n[profile asks]\n"
                         "credential_process = sh -c evil\n[bad]\nregion = ../x\n");
    expect_keys("A", "B=C", NULL);
    setenv("AWS_PROFILE", "other", 1);
    expect_keys("X", "Y", "Z");
    expect_url("s3://photos/x.tar", "https://photos.s3.eu-north-1.amazonaws.com/x.tar");
    setenv("AWS_ACCESS_KEY_ID", "K", 1);
    expect_failure("AWS_SECRET_ACCESS_KEY is not");
    setenv("AWS_SECRET_ACCESS_KEY", "S", 1);
    expect_keys("K", "S", NULL);
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    setenv("AWS_PROFILE", "half", 1);
    expect_failure("without an aws_secret_access_key");
    setenv("AWS_PROFILE", "asks", 1);
    expect_failure("credential_process, which is not asked here");
    setenv("AWS_PROFILE", "nobody", 1);
    expect_failure("no AWS profile 'nobody'");
    setenv("AWS_PROFILE", "bad", 1);
    expect_failure("no region of AWS");
}
END_TEST

static void expect_shown(const char *text, const char *wanted)
{
    char *shown = pf_address_shown(text, NULL);
    ck_assert_str_eq(shown, wanted);
    free(shown);
}

START_TEST(secrets_are_not_shown)
{
    expect_shown("https://me:pass@host:8/a@b.tar?X-Amz-Signature=1", "https://host:8/a@b.tar");
    expect_shown("HTTP://host#x", "HTTP://host");
    expect_shown("s3://photos/a?b@c", "s3://photos/a?b@c");
    expect_shown("a/b@c?d", "a/b@c?d");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("s3");
    TCase *cases = tcase_create("s3");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, addresses_are_those_of_the_bucket);
    tcase_add_test(cases, variables_come_before_profiles);
    tcase_add_test(cases, secrets_are_not_shown);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
