/* The pipeline with a fake backbone: order, bad images, failures, interrupts. */
#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/digest.h"
#include "extract/image/preprocess.h"
#include "extract/pipeline/internal.h"
#include "extract/pipeline/pipeline.h"
#include "tests/unit/fake_backbone.h"

enum { IMAGES = 61, CROP = 8, BATCH = 8, USUAL_DEPTH = 4 };

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
    int rows, rejected, last_rejected, repeated, last_repeated, fail_at_row, fail_at_reject;
    int64_t progress;
    int pause_ms; /* for a batch */
    char reason[300];
} Seen;

static int take_rows(void *context, int count, const PfPipelineRow *rows,
                     const void *const *features, PfError *err)
{
    Seen *seen = context;
    usleep((useconds_t)seen->pause_ms * 1000);
    for (int i = 0; i < count; i++) {
        if (seen->rows + 1 == seen->fail_at_row)
            return pf_fail(err, PF_EXIT_FAILED, "the sink was told to fail");
        seen->samples[seen->rows] = rows[i].sample;
        memcpy(seen->digests[seen->rows], rows[i].file.digest, PF_DIGEST_SIZE);
        memcpy(seen->means[seen->rows], (const float *)features[0] + i * 3, sizeof seen->means[0]);
        memcpy(seen->grids[seen->rows], (const float *)features[1] + i * 12, sizeof seen->grids[0]);
        seen->rows++;
    }
    return 0;
}

static int take_rejected(void *context, const PfPipelineRow *row, const char *reason, PfError *err)
{
    Seen *seen = context;
    seen->rejected++;
    seen->last_rejected = (int)row->sample;
    snprintf(seen->reason, sizeof seen->reason, "%s", reason);
    if (seen->rejected != seen->fail_at_reject) return 0;
    return pf_fail(err, PF_EXIT_BAD_IMAGES, "the sink has seen enough");
}

/* The features of the same bytes have come before. */
static int take_repeated(void *context, const PfPipelineRow *row, PfError *err)
{
    Seen *seen = context;
    int first = 0;
    (void)err;
    while (first < seen->rows && memcmp(seen->digests[first], row->file.digest, PF_DIGEST_SIZE))
        first++;
    ck_assert_int_lt(first, seen->rows);
    ck_assert_int_lt(seen->samples[first], row->sample);
    seen->repeated++;
    seen->last_repeated = (int)row->sample;
    return 0;
}

static void take_progress(void *context, int64_t done)
{
    ((Seen *)context)->progress = done;
}

typedef struct Run {
    int workers, readers, batch, depth, once;
    int devices, device_depth;                          /* 0 is 1 */
    int fail_at_call, fail_at_submit, infinite_at_call; /* of the first device */
    int pause_ms;                                       /* of the first device; others are slower */
    int prefetch, loading_ms;
    PfPipelineStats before; /* of earlier runs */
    const int64_t *samples;
    int64_t sample_count;
    const volatile sig_atomic_t *interrupted;
} Run;

static int run_pipeline(Run run, Seen *seen, PfPipelineStats *stats, PfError *err)
{
    PfDataset *dataset = NULL;
    PfBackbone *backbones[FAKE_DEVICES];
    int devices = run.devices ? run.devices : 1;
    PfBackboneConfig open = {
        .input_height = CROP, .input_width = CROP, .output_dtype = PF_DTYPE_F32};
    ck_assert_int_eq(pf_dataset_open(root, NULL, &dataset, err), 0);
    for (int d = 0; d < devices; d++) {
        fake_plugin.open(&open, &backbones[d], err);
        backbones[d]->depth = run.device_depth;
        backbones[d]->pause_ms = run.pause_ms * (d + 1);
    }
    backbones[0]->fail_at_call = run.fail_at_call;
    backbones[0]->fail_at_submit = run.fail_at_submit;
    backbones[0]->infinite_at_call = run.infinite_at_call;
    PfPipelineConfig config = {
        .dataset = dataset,
        .samples = run.samples,
        .sample_count = run.sample_count,
        .once = run.once,
        .preprocess = &preprocess,
        .workers = run.workers ? run.workers : 2,
        .readers = run.readers,
        .prefetch = run.prefetch,
        .interrupted = run.interrupted,
    };
    PfPipelineNetwork network = {
        .plugin = &fake_plugin,
        .backbones = backbones,
        .backbone_count = devices,
        .output_dtype = PF_DTYPE_F32,
        .batch = run.batch ? run.batch : BATCH,
        .depth = run.depth,
    };
    PfPipelineSink sink = {seen, take_rows, take_rejected, take_repeated, take_progress, NULL};
    PfPipeline *pipeline = NULL;
    ck_assert_uint_gt(pf_pipeline_memory(&config, &network), 0);
    ck_assert_int_eq(pf_pipeline_open(&config, &pipeline, err), 0);
    usleep((useconds_t)run.loading_ms * 1000);
    *stats = run.before;
    int failed = pf_pipeline_run(pipeline, &network, &sink, stats, err);
    pf_pipeline_close(&pipeline);
    ck_assert_ptr_null(pipeline);
    for (int d = 0; d < devices; d++) {
        ck_assert_int_eq(backbones[d]->blocks, 0);
        ck_assert_int_eq(backbones[d]->job_count, 0);
        fake_plugin.close(&backbones[d]);
    }
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
    ck_assert_int_le(fake_backbones[0].largest_n, BATCH);
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
        pf_digest_xxh128(bytes.data, bytes.size_bytes, digest);
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
                               {.workers = 3, .depth = 2},
                               {.workers = 2, .device_depth = 3},
                               {.workers = 7, .device_depth = 2, .depth = 1},
                               {.workers = 1, .devices = 2},
                               {.workers = 7, .devices = 3, .pause_ms = 3},
                               {.workers = 2, .devices = 3, .device_depth = 3, .pause_ms = 1},
                               {.workers = 7, .devices = 8, .device_depth = 4, .depth = 3},
                               {.workers = 1, .readers = 1},
                               {.workers = 7, .readers = 1},
                               {.workers = 2, .readers = 5, .depth = 1},
                               {.workers = 3, .readers = 200}};
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

START_TEST(all_devices_work)
{
    Seen seen = {0};
    PfPipelineStats stats;
    Run run = {.workers = 7, .batch = 2, .devices = 3, .device_depth = 2, .pause_ms = 10};
    ck_assert_int_eq(run_pipeline(run, &seen, &stats, NULL), 0);
    ck_assert_int_eq(stats.depth, 2 + 3 * 3);
    int images = 0;
    for (int d = 0; d < 3; d++) {
        ck_assert_int_gt(fake_backbones[d].images, 0);
        images += fake_backbones[d].images;
    }
    ck_assert_int_eq(images, seen.rows);
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
    ck_assert_int_eq(seen.rows, fake_backbones[0].images - fake_backbones[0].last_n);
    ck_assert_int_gt(seen.rows, BATCH);
}
END_TEST

/* Whatever the others have computed of what comes before is kept. */
START_TEST(one_failing_device_ends_the_run)
{
    for (int depth = 1; depth <= 3; depth++) {
        Seen seen = {0};
        Run run = {.workers = 7, .batch = 2, .devices = 3, .device_depth = depth, .pause_ms = 10};
        run.fail_at_call = 1;
        expect_failure(run, &seen, PF_EXIT_FAILED, "told to fail");
        ck_assert_int_le(seen.rows, fake_backbones[1].images + fake_backbones[2].images);
        run.fail_at_call = 0, run.fail_at_submit = 1;
        seen = (Seen){0};
        expect_failure(run, &seen, PF_EXIT_FAILED, "told to refuse");
        run.fail_at_submit = 0, run.infinite_at_call = 1;
        seen = (Seen){0};
        expect_failure(run, &seen, PF_EXIT_FAILED, "tap 'mean' of image");
    }
}
END_TEST

START_TEST(a_failing_sink_ends_the_run_with_its_message)
{
    Seen seen = {.fail_at_row = 20};
    expect_failure((Run){.workers = 7}, &seen, PF_EXIT_FAILED, "sink was told");
    seen = (Seen){.fail_at_row = 20};
    expect_failure((Run){.devices = 2, .device_depth = 3}, &seen, PF_EXIT_FAILED, "sink was told");
    expect_failure((Run){.workers = 3, .readers = 4}, &seen, PF_EXIT_FAILED, "sink was told");
}
END_TEST

START_TEST(features_that_are_not_finite_name_tap_and_image)
{
    Seen seen = {0};
    expect_failure((Run){.infinite_at_call = 2}, &seen, PF_EXIT_FAILED, "tap 'mean' of image 'a/");
}
END_TEST

START_TEST(bad_images_may_end_the_run)
{
    Seen seen = {.fail_at_reject = 3};
    expect_failure((Run){0}, &seen, PF_EXIT_BAD_IMAGES, "seen enough");
    ck_assert_int_eq(seen.rejected, 3);
    /* The good ones of the batch came first: work that is done is not lost. */
    ck_assert_int_gt(seen.samples[seen.rows - 1], seen.last_rejected);
}
END_TEST

START_TEST(some_samples_in_their_order)
{
    const int64_t samples[] = {60, 3, 5, 40, 4};
    Seen all = {0}, some = {0};
    PfPipelineStats stats;
    ck_assert_int_eq(run_pipeline((Run){0}, &all, &stats, NULL), 0);
    Run run = {.samples = samples, .sample_count = 5, .batch = 2};
    ck_assert_int_eq(run_pipeline(run, &some, &stats, NULL), 0);
    ck_assert_int_eq(some.rows, 5);
    ck_assert_int_eq(some.progress, 5);
    for (int i = 0; i < 5; i++) {
        int at = 0;
        while (all.samples[at] != samples[i]) at++;
        ck_assert_int_eq(some.samples[i], samples[i]);
        ck_assert_mem_eq(some.means[i], all.means[at], sizeof all.means[0]);
    }
    run = (Run){.samples = samples, .sample_count = 0};
    some = (Seen){0};
    ck_assert_int_eq(run_pipeline(run, &some, &stats, NULL), 0);
    ck_assert_int_eq(some.rows + some.rejected, 0);
}
END_TEST

/* All but the first few images of "b" hold the bytes of one of those; one of the bad
 * ones is there thrice. */
static void repeat_images(void)
{
    char command[400];
    snprintf(command, sizeof command,
             "cd %s && for i in 11 13 15 19 21 23 51 53; do cp b/003.ppm b/0$i.ppm; done && "
             "cp a/002.ppm b/059.ppm && cp b/017.ppm b/025.ppm && cp b/017.ppm b/055.ppm",
             root);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(repeated_images_are_computed_once)
{
    Seen first = {0}, plain = {0};
    PfPipelineStats stats;
    repeat_images();
    ck_assert_int_eq(run_pipeline((Run){.workers = 1, .once = 1}, &first, &stats, NULL), 0);
    int images = fake_backbones[0].images;
    ck_assert_int_eq(first.repeated, 9);
    ck_assert_int_eq(first.rejected, 6 + 2);
    ck_assert_int_eq(first.rows, IMAGES - 9 - 8);
    ck_assert_int_eq(images, first.rows);
    ck_assert_int_eq(stats.repeated, 9);
    ck_assert_int_eq(first.progress, IMAGES);
    ck_assert_ptr_nonnull(strstr(first.reason, "hello"));
    ck_assert_int_eq(run_pipeline((Run){0}, &plain, &stats, NULL), 0);
    ck_assert_int_eq(plain.rows, IMAGES - 8);
    ck_assert_int_eq(plain.repeated, 0);
}
END_TEST

/* Enough for all that may be decoded before the network is there. */
enum { LOADING_MS = 500 };

START_TEST(images_are_decoded_while_the_network_is_loaded)
{
    static const int limits[] = {1, BATCH - 1, BATCH, 3 * BATCH + 2, IMAGES, 0, 10 * IMAGES};
    Seen plain = {0};
    PfPipelineStats stats;
    repeat_images();
    ck_assert_int_eq(run_pipeline((Run){.once = 1}, &plain, &stats, NULL), 0);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        Seen seen = {0};
        int limit = limits[i], all = limit == 0 || limit > IMAGES;
        Run run = {
            .workers = 1 + (int)i, .readers = (int)i % 3, .once = 1, .depth = 1 + (int)i % 4};
        run.prefetch = limit, run.loading_ms = LOADING_MS;
        ck_assert_int_eq(run_pipeline(run, &seen, &stats, NULL), 0);
        ck_assert_mem_eq(&seen, &plain, sizeof seen);
        ck_assert_int_eq(stats.prefetch, all ? IMAGES : limit);
        ck_assert(stats.prefetch_seconds > 0);
        ck_assert(stats.prefetch < IMAGES || stats.decode_seconds < stats.prefetch_seconds);
        ck_assert(stats.decode_wait_seconds <= stats.seconds * run.workers);
        double seconds = stats.seconds + stats.prefetch_seconds / run.workers;
        ck_assert_double_eq_tol(pf_pipeline_rate(&stats, run.workers),
                                (double)(stats.images + stats.rejected) / seconds, 1e-9);
    }
}
END_TEST

START_TEST(a_pipeline_may_be_closed_before_it_runs)
{
    PfDataset *dataset;
    ck_assert_int_eq(pf_dataset_open(root, NULL, &dataset, NULL), 0);
    for (int i = 0; i < 20; i++) {
        PfPipelineConfig config = {
            .dataset = dataset, .preprocess = &preprocess, .workers = 1 + i % 5, .readers = i % 4};
        PfPipeline *pipeline;
        ck_assert_int_eq(pf_pipeline_open(&config, &pipeline, NULL), 0);
        usleep((useconds_t)i * 300);
        pf_pipeline_close(&pipeline);
    }
    pf_dataset_close(&dataset);
}
END_TEST

START_TEST(what_ends_a_run_ends_it_after_a_prefetch_too)
{
    volatile sig_atomic_t interrupted = 1;
    Seen seen = {.fail_at_row = 20};
    Run run = {.workers = 3, .loading_ms = LOADING_MS};
    expect_failure(run, &seen, PF_EXIT_FAILED, "sink was told");
    seen = (Seen){0};
    run.fail_at_call = 4;
    expect_failure(run, &seen, PF_EXIT_FAILED, "told to fail");
    seen = (Seen){0};
    run.fail_at_call = 0, run.interrupted = &interrupted;
    expect_failure(run, &seen, PF_EXIT_INTERRUPTED, "interrupted");
}
END_TEST

/* Large and equal in threes: threads read them at the same moment. */
static void make_triplets(void)
{
    static unsigned char row[3000];
    for (int i = 0; i < IMAGES; i += 2) {
        char path[128];
        snprintf(path, sizeof path, "%s/a/%03d.ppm", root, i);
        FILE *file = fopen(path, "wb");
        ck_assert_ptr_nonnull(file);
        fprintf(file, "P6 1000 60 255\n");
        memset(row, i / 6 * 7, sizeof row);
        for (int y = 0; y < 60; y++) fwrite(row, 1, sizeof row, file);
        fclose(file);
    }
}

START_TEST(which_of_equal_images_is_computed_does_not_depend_on_timing)
{
    Seen first = {0};
    PfPipelineStats stats;
    make_triplets();
    ck_assert_int_eq(run_pipeline((Run){.workers = 1, .once = 1}, &first, &stats, NULL), 0);
    for (int i = 0; i < 60; i++) {
        Seen seen = {0};
        Run run = {.workers = 2 + i % 15, .readers = i % 7, .depth = 1 + i % 4, .once = 1};
        ck_assert_int_eq(run_pipeline(run, &seen, &stats, NULL), 0);
        ck_assert_int_eq(fake_backbones[0].images, first.rows);
        ck_assert_mem_eq(&seen, &first, sizeof seen);
    }
}
END_TEST

/* Threads that read later images first, as far as the claims can tell. */
START_TEST(the_first_place_wins_whoever_claims_first)
{
    const uint8_t one[16] = {1}, two[16] = {2};
    PfContents *contents;
    ck_assert_int_eq(pf_contents_new(4, &contents, NULL), 0);
    ck_assert_int_eq(pf_contents_claim(contents, 3, one), 1);
    ck_assert_int_eq(pf_contents_claim(contents, 1, one), 1);
    ck_assert_int_eq(pf_contents_claim(contents, 2, one), 0);
    ck_assert_int_eq(pf_contents_claim(contents, 0, two), 1);
    ck_assert_int_eq(pf_contents_first(contents, one), 1);
    ck_assert_int_eq(pf_contents_first(contents, two), 0);
    ck_assert_ptr_null(pf_contents_reason(contents, 1));
    ck_assert_int_eq(pf_contents_reject(contents, 1, "torn", NULL), 0);
    ck_assert_str_eq(pf_contents_reason(contents, 1), "torn");
    ck_assert_ptr_null(pf_contents_reason(contents, 0));
    pf_contents_free(&contents);
}
END_TEST

/* A slow sink finds the ring full of what is computed; a slow backbone of what is decoded, and
 * leaves nothing in front of the sink. */
START_TEST(the_queues_are_counted)
{
    Seen slow_sink = {.pause_ms = 20}, slow_backbone = {0};
    PfPipelineStats stats;
    const int64_t batches = (IMAGES + BATCH - 1) / BATCH;
    ck_assert_int_eq(run_pipeline((Run){0}, &slow_sink, &stats, NULL), 0);
    ck_assert_int_eq(stats.depth, USUAL_DEPTH);
    ck_assert_int_eq(stats.sink_takes, batches);
    ck_assert_int_eq(stats.forward_takes, batches);
    ck_assert_int_ge(stats.computed_waiting, 3 * batches / 2);
    ck_assert_int_le(stats.computed_waiting, stats.depth * batches);
    ck_assert(stats.decode_wait_seconds > 0.02);
    ck_assert_int_eq(run_pipeline((Run){.pause_ms = 20}, &slow_backbone, &stats, NULL), 0);
    ck_assert_int_ge(stats.decoded_waiting, 3 * batches / 2);
    ck_assert_int_le(stats.computed_waiting, batches);
    ck_assert(stats.decode_wait_seconds > 0.02);
}
END_TEST

START_TEST(the_statistics_of_several_runs_add_up)
{
    Seen once = {0}, twice = {0};
    PfPipelineStats first, sum;
    ck_assert_int_eq(run_pipeline((Run){.workers = 3}, &once, &first, NULL), 0);
    Run again = {.workers = 3, .before = first};
    ck_assert_int_eq(run_pipeline(again, &twice, &sum, NULL), 0);
    ck_assert_int_eq(sum.images, 2 * first.images);
    ck_assert_int_eq(sum.rejected, 2 * first.rejected);
    ck_assert_int_eq(sum.sink_takes, 2 * first.sink_takes);
    ck_assert_int_eq(sum.forward_takes, 2 * first.forward_takes);
    ck_assert_int_ge(sum.prefetch, first.prefetch);
    ck_assert_int_eq(sum.depth, first.depth);
    ck_assert(sum.seconds > first.seconds);
    ck_assert(sum.decode_seconds > first.decode_seconds);
    ck_assert_int_eq(twice.progress, IMAGES);
}
END_TEST

START_TEST(an_interrupt_ends_the_run)
{
    volatile sig_atomic_t interrupted = 1;
    Seen seen = {0};
    expect_failure((Run){.interrupted = &interrupted}, &seen, PF_EXIT_INTERRUPTED, "interrupted");
    ck_assert_int_eq(seen.rows, fake_backbones[0].images);
    ck_assert_int_le(seen.rows, USUAL_DEPTH * BATCH);
    seen = (Seen){0};
    Run run = {.devices = 2, .device_depth = 3, .interrupted = &interrupted};
    expect_failure(run, &seen, PF_EXIT_INTERRUPTED, "interrupted");
    ck_assert_int_eq(seen.rows, fake_backbones[0].images + fake_backbones[1].images);
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
    tcase_add_test(cases, images_are_decoded_while_the_network_is_loaded);
    tcase_add_test(cases, a_pipeline_may_be_closed_before_it_runs);
    tcase_add_test(cases, what_ends_a_run_ends_it_after_a_prefetch_too);
    tcase_add_test(cases, all_devices_work);
    tcase_add_test(cases, one_failing_device_ends_the_run);
    tcase_add_test(cases, a_failing_backbone_ends_the_run_with_its_message);
    tcase_add_test(cases, a_failing_sink_ends_the_run_with_its_message);
    tcase_add_test(cases, features_that_are_not_finite_name_tap_and_image);
    tcase_add_test(cases, bad_images_may_end_the_run);
    tcase_add_test(cases, some_samples_in_their_order);
    tcase_add_test(cases, repeated_images_are_computed_once);
    tcase_add_test(cases, which_of_equal_images_is_computed_does_not_depend_on_timing);
    tcase_add_test(cases, the_first_place_wins_whoever_claims_first);
    tcase_add_test(cases, the_queues_are_counted);
    tcase_add_test(cases, the_statistics_of_several_runs_add_up);
    tcase_add_test(cases, an_interrupt_ends_the_run);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
