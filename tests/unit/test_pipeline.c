/* The pipeline with a fake backbone: order, bad images, failures, interrupts. */
#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "digest.h"
#include "fake_backbone.h"
#include "pipeline.h"
#include "preprocess.h"

enum { IMAGES = 61, CROP = 8, BATCH = 8 };

static const PfPreprocess preprocess = {
    .resize = CROP, .crop = CROP, .mean = {0, 0, 0}, .std = {1, 1, 1}};
static char root[] = "/tmp/permafrost-pipeline-XXXXXX";

static void write_image(int number)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%c/%03d.ppm", root, "ab"[number % 2], number);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fprintf(file, "P6 10 9 255\n");
    for (int i = 0; i < 10 * 9 * 3; i++) fputc((number * 37 + i * (number % 5 + 1)) & 255, file);
    fclose(file);
}

/* Every image whose number ends in 7 is a text file with an image's name. */
static void make_tree(int with_bad)
{
    char path[128];
    strcpy(root + sizeof root - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    for (const char *name = "ab"; *name; name++) {
        snprintf(path, sizeof path, "%s/%c", root, *name);
        mkdir(path, 0777);
    }
    for (int i = 0; i < IMAGES; i++) {
        write_image(i);
        if (!with_bad || i % 10 != 7) continue;
        snprintf(path, sizeof path, "%s/%c/%03d.ppm", root, "ab"[i % 2], i);
        FILE *file = fopen(path, "w");
        fputs("hello, I am no picture", file);
        fclose(file);
    }
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static void setup(void)
{
    make_tree(1);
}

static void teardown(void)
{
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* What the sink saw. */
typedef struct Seen {
    int64_t samples[IMAGES + 1];
    float means[IMAGES + 1][3], grids[IMAGES + 1][12];
    uint8_t digests[IMAGES + 1][PF_DIGEST_SIZE];
    int rows, rejected, last_rejected, fail_at_row;
    int64_t progress;
    char reason[300];
} Seen;

static int take_rows(void *context, int count, const PfPipelineRow *rows,
                     const void *const *features, PfError *err)
{
    Seen *seen = context;
    for (int i = 0; i < count; i++) {
        if (seen->rows + 1 == seen->fail_at_row)
            return pf_fail(err, PF_EXIT_FAILED, "the sink was told to fail");
        seen->samples[seen->rows] = rows[i].sample;
        memcpy(seen->digests[seen->rows], rows[i].digest, PF_DIGEST_SIZE);
        memcpy(seen->means[seen->rows], (const float *)features[0] + i * 3, sizeof seen->means[0]);
        memcpy(seen->grids[seen->rows], (const float *)features[1] + i * 12, sizeof seen->grids[0]);
        seen->rows++;
    }
    return 0;
}

static int take_rejected(void *context, int64_t sample, const char *reason, PfError *err)
{
    Seen *seen = context;
    (void)err;
    seen->rejected++;
    seen->last_rejected = (int)sample;
    snprintf(seen->reason, sizeof seen->reason, "%s", reason);
    return 0;
}

static void take_progress(void *context, int64_t done)
{
    ((Seen *)context)->progress = done;
}

typedef struct Run {
    int workers, batch, depth, fail_at_call, infinite_at_call;
    int64_t max_rejected;
    const volatile sig_atomic_t *interrupted;
} Run;

static int run_pipeline(Run run, Seen *seen, PfPipelineStats *stats, PfError *err)
{
    PfDataset *dataset = NULL;
    PfBackbone *backbone;
    PfBackboneConfig open = {
        .input_height = CROP, .input_width = CROP, .output_dtype = PF_DTYPE_F32};
    ck_assert_int_eq(pf_dataset_open(root, NULL, &dataset, err), 0);
    fake_plugin.open(&open, &backbone, err);
    backbone->fail_at_call = run.fail_at_call;
    backbone->infinite_at_call = run.infinite_at_call;
    PfPipelineConfig config = {
        .dataset = dataset,
        .preprocess = &preprocess,
        .plugin = &fake_plugin,
        .backbone = backbone,
        .output_dtype = PF_DTYPE_F32,
        .batch = run.batch ? run.batch : BATCH,
        .workers = run.workers ? run.workers : 2,
        .depth = run.depth,
        .max_rejected = run.max_rejected ? run.max_rejected : IMAGES,
        .interrupted = run.interrupted,
    };
    PfPipelineSink sink = {seen, take_rows, take_rejected, take_progress};
    ck_assert_uint_gt(pf_pipeline_memory(&config), 0);
    int failed = pf_pipeline_run(&config, &sink, stats, err);
    pf_dataset_close(&dataset);
    return failed;
}

START_TEST(rows_come_in_dataset_order_without_the_bad_ones)
{
    Seen seen = {0};
    PfPipelineStats stats;
    PfError err = {0};
    ck_assert_msg(!run_pipeline((Run){0}, &seen, &stats, &err), "%s", err.message);
    ck_assert_int_eq(seen.rows, IMAGES - 6);
    ck_assert_int_eq(seen.rejected, 6);
    ck_assert_int_eq(stats.images, IMAGES - 6);
    ck_assert_int_eq(stats.rejected, 6);
    ck_assert_int_eq(seen.progress, IMAGES);
    ck_assert_ptr_nonnull(strstr(seen.reason, "hello"));
    for (int i = 1; i < seen.rows; i++) ck_assert_int_gt(seen.samples[i], seen.samples[i - 1]);
    ck_assert_int_le(fake_backbone.largest_n, BATCH);
}
END_TEST

START_TEST(features_belong_to_their_own_image)
{
    Seen seen = {0};
    PfPipelineStats stats;
    ck_assert_int_eq(run_pipeline((Run){.workers = 3}, &seen, &stats, NULL), 0);
    PfDataset *dataset;
    ck_assert_int_eq(pf_dataset_open(root, NULL, &dataset, NULL), 0);
    PfSampleBytes bytes = {0};
    PfImage image = {0};
    PfResizeScratch scratch = {0};
    uint8_t crop[CROP * CROP * 3], digest[PF_DIGEST_SIZE];
    for (int i = 0; i < seen.rows; i++) {
        ck_assert_int_eq(pf_dataset_read(dataset, seen.samples[i], &bytes, NULL), 0);
        pf_xxh128(bytes.data, bytes.size_bytes, digest);
        ck_assert_mem_eq(seen.digests[i], digest, PF_DIGEST_SIZE);
        ck_assert_int_eq(pf_image_decode(bytes.data, bytes.size_bytes, &image, NULL), 0);
        ck_assert_int_eq(pf_preprocess_image(&image, &preprocess, crop, &scratch, NULL), 0);
        for (int c = 0; c < 3; c++)
            ck_assert(seen.means[i][c] == (float)fake_mean(crop, CROP, c, 0, CROP, 0, CROP));
    }
    pf_sample_bytes_free(&bytes);
    pf_image_free(&image);
    pf_resize_scratch_free(&scratch);
    pf_dataset_close(&dataset);
}
END_TEST

START_TEST(the_result_does_not_depend_on_threads_or_ring)
{
    static const Run runs[] = {{.workers = 1},
                               {.workers = 2},
                               {.workers = 7},
                               {.workers = 7, .depth = 1},
                               {.workers = 3, .depth = 2}};
    Seen first = {0};
    PfPipelineStats stats;
    ck_assert_int_eq(run_pipeline(runs[0], &first, &stats, NULL), 0);
    for (size_t i = 1; i < sizeof runs / sizeof runs[0]; i++) {
        Seen seen = {0};
        ck_assert_int_eq(run_pipeline(runs[i], &seen, &stats, NULL), 0);
        ck_assert_mem_eq(&seen, &first, sizeof seen);
    }
}
END_TEST

static void expect_failure(Run run, Seen *seen, int exit_code, const char *part)
{
    PfPipelineStats stats;
    PfError err = {0};
    ck_assert_int_eq(run_pipeline(run, seen, &stats, &err), -1);
    ck_assert_int_eq(err.exit_code, exit_code);
    ck_assert_msg(strstr(err.message, part) != NULL, "'%s' lacks '%s'", err.message, part);
}

START_TEST(a_failing_backbone_ends_the_run_with_its_message)
{
    Seen seen = {0};
    expect_failure((Run){.fail_at_call = 4}, &seen, PF_EXIT_FAILED, "told to fail");
    ck_assert_int_le(seen.rows, 3 * BATCH);
}
END_TEST

START_TEST(a_failing_sink_ends_the_run_with_its_message)
{
    Seen seen = {.fail_at_row = 20};
    expect_failure((Run){.workers = 7}, &seen, PF_EXIT_FAILED, "sink was told");
}
END_TEST

START_TEST(features_that_are_not_finite_name_tap_and_image)
{
    Seen seen = {0};
    expect_failure((Run){.infinite_at_call = 2}, &seen, PF_EXIT_FAILED, "tap 'mean' of image 'a/");
}
END_TEST

START_TEST(too_many_bad_images_end_the_run)
{
    Seen seen = {0};
    expect_failure((Run){.max_rejected = 3}, &seen, PF_EXIT_BAD_IMAGES, "--max-bad allows 3 of 61");
    ck_assert_int_le(seen.rejected, 4 + 1);
}
END_TEST

START_TEST(an_interrupt_ends_the_run)
{
    volatile sig_atomic_t interrupted = 1;
    Seen seen = {0};
    expect_failure((Run){.interrupted = &interrupted}, &seen, PF_EXIT_INTERRUPTED, "interrupted");
    ck_assert_int_eq(seen.rows, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pipeline");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, rows_come_in_dataset_order_without_the_bad_ones);
    tcase_add_test(cases, features_belong_to_their_own_image);
    tcase_add_test(cases, the_result_does_not_depend_on_threads_or_ring);
    tcase_add_test(cases, a_failing_backbone_ends_the_run_with_its_message);
    tcase_add_test(cases, a_failing_sink_ends_the_run_with_its_message);
    tcase_add_test(cases, features_that_are_not_finite_name_tap_and_image);
    tcase_add_test(cases, too_many_bad_images_end_the_run);
    tcase_add_test(cases, an_interrupt_ends_the_run);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
