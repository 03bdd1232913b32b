/* What is known of an image file: into a cache's rows and rejects, and back. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cache/image_file.h"

static char cache_path[64];
static PfError err;

static const PfImageFile FILES[] = {
    {.path = "a/1.jpg",
     .digest = {1, 2, 3},
     .stamp = {10, 20, 30},
     .width = 640,
     .height = 480,
     .has_statistics = true,
     .statistics = {640, 480, 127.5f, 60.25f, 900},
     .perceptual_hash = UINT64_C(0xfedcba9876543210)},
    {.path = "b/\xc3\xa4.png", .digest = {4, 5}, .stamp = {40, 50, 60}, .width = 7, .height = 9},
};
static const PfImageFile BAD = {.path = "bad.jpg", .digest = {9}, .stamp = {1, 2, 3}};

static void assert_equal(const PfImageFile *found, const PfImageFile *expected)
{
    ck_assert_str_eq(found->path, expected->path);
    ck_assert_mem_eq(found->digest, expected->digest, PF_DIGEST_SIZE);
    ck_assert_mem_eq(&found->stamp, &expected->stamp, sizeof found->stamp);
    ck_assert_int_eq(found->width, expected->width);
    ck_assert_int_eq(found->height, expected->height);
    ck_assert_int_eq(found->has_statistics, expected->has_statistics);
    ck_assert_mem_eq(found->statistics, expected->statistics, sizeof found->statistics);
    ck_assert_uint_eq(found->perceptual_hash, expected->perceptual_hash);
}

static void setup(void)
{
    strcpy(cache_path, "/tmp/pf_image_file_XXXXXX");
    int fd = mkstemp(cache_path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void teardown(void)
{
    unlink(cache_path);
}

static void write_cache(void)
{
    const PfCacheTap tap = {.name = "pool", .shape = {1, {1}}, .dtype = PF_DTYPE_F32};
    const PfCacheWriterConfig config = {
        .taps = &tap, .tap_count = 1, .identity = "{}", .provenance = "{}", .threads = 1};
    const PfCacheReject reject = pf_image_file_to_reject(&BAD, "is torn");
    PfCacheWriter *writer;
    ck_assert_msg(!pf_cache_writer_open(cache_path, &config, &writer, &err), "%s", err.message);
    for (int i = 0; i < 2; i++) {
        const float row = (float)i;
        PfCacheSample sample = pf_image_file_to_sample(&FILES[i]);
        ck_assert(!pf_cache_writer_append(writer, 1, &sample, (const void *const[]){&row}, &err));
    }
    ck_assert(!pf_cache_writer_reject(writer, &reject, &err));
    ck_assert_msg(!pf_cache_writer_finish(&writer, NULL, &err), "%s", err.message);
}

START_TEST(a_cache_knows_all_that_was_known)
{
    PfCache *cache;
    PfImageFiles files;
    const PfCacheReject *rejects;
    write_cache();
    ck_assert_msg(!pf_cache_open(cache_path, &cache, &err), "%s", err.message);
    ck_assert_msg(!pf_image_files_read(cache, &files, &err), "%s", err.message);
    for (int i = 0; i < 2; i++) {
        const PfImageFile found = pf_image_files_at(&files, i);
        assert_equal(&found, &FILES[i]);
    }
    ck_assert_int_eq(files.statistics_count, 1);
    ck_assert(!pf_cache_rejects(cache, &rejects, &err));
    ck_assert_str_eq(rejects[0].reason, "is torn");
    const PfImageFile bad = pf_image_file_of_reject(&rejects[0]);
    assert_equal(&bad, &BAD);
    pf_image_files_free(&files);
    pf_cache_close(&cache);
}
END_TEST

START_TEST(only_zeros_are_no_digest)
{
    uint8_t digest[PF_DIGEST_SIZE] = {0};
    ck_assert(pf_digest_is_none(digest));
    for (int i = 0; i < PF_DIGEST_SIZE; i++) {
        digest[i] = 1;
        ck_assert(!pf_digest_is_none(digest));
        digest[i] = 0;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("image_file");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_cache_knows_all_that_was_known);
    tcase_add_test(cases, only_zeros_are_no_digest);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
