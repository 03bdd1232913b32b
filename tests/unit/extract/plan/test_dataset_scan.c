/* What a scan makes of a dataset, given a cache and a journal of earlier runs. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/digest.h"
#include "common/base/hash_index.h"
#include "extract/plan/dataset_scan.h"

enum { IMAGES = 12 };

static char top[64];
static PfDataset *dataset;
static PfCache *cache;
static PfJournal *journal;
static PfRowIndex *known;
static PfDatasetScan *scan;
static PfError err;
static PfDatasetOptions listing; /* of the next look */
static PfCacheTap taps[2] = {{"mean", {1, {3}}, PF_DTYPE_F32}, {"grid", {2, {2, 2}}, PF_DTYPE_F32}};

/* ---- files ---- */

static const char *in_top(const char *name)
{
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", top, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *stream = fopen(in_top(name), "w");
    ck_assert_ptr_nonnull(stream);
    fputs(text, stream);
    ck_assert_int_eq(fclose(stream), 0);
}

static const char *image_name(int i)
{
    static char names[4][32];
    static int next;
    char *name = names[next++ % 4];
    snprintf(name, sizeof names[0], "set/%c/%02d.jpg", "ab"[i / 6], i);
    return name;
}

static void setup(void)
{
    char text[64];
    strcpy(top, "/tmp/pf_survey_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    mkdir(in_top("set"), 0777);
    mkdir(in_top("set/a"), 0777);
    mkdir(in_top("set/b"), 0777);
    for (int i = 0; i < IMAGES; i++) {
        snprintf(text, sizeof text, "image %02d%.*s", i, i, "xxxxxxxxxxxxxxxx");
        write_file(image_name(i), text);
    }
    taps[1].shape = (PfShape){2, {2, 2}};
    listing = (PfDatasetOptions){0};
    err = (PfError){0};
}

static void forget(void)
{
    pf_dataset_scan_free(&scan);
    pf_row_index_free(&known);
    pf_cache_close(&cache);
    pf_journal_close(&journal);
    pf_dataset_close(&dataset);
}

static void teardown(void)
{
    char command[128];
    forget();
    snprintf(command, sizeof command, "rm -rf %s", top);
    ck_assert_int_eq(system(command), 0);
}

static void open_dataset(void)
{
    pf_dataset_close(&dataset);
    ck_assert_msg(!pf_dataset_open(in_top("set"), &listing, &dataset, &err), "%s", err.message);
}

/* ---- earlier runs ---- */

static PfJournalImage image_of(int64_t sample)
{
    PfSampleBytes bytes = {0};
    PfJournalImage image = {.file.path = pf_dataset_samples(dataset)[sample].path};
    ck_assert_int_eq(pf_dataset_read(dataset, sample, &bytes, &err), 0);
    pf_digest_xxh128(bytes.data, bytes.size_bytes, image.file.digest);
    pf_sample_bytes_free(&bytes);
    /* Taken as settled: the tests do not wait until they are. */
    ck_assert_int_eq(pf_dataset_stat(dataset, sample, &image.file.stamp), 0);
    return image;
}

/* A cache of all images that there are but the last `rejected`, which it rejects, with
 * the first `tap_count` taps. */
static void write_cache(int tap_count, int rejected)
{
    const char *classes[] = {"a", "b"};
    const PfCacheTarget target = {"class", PF_TARGET_CLASS, 1, classes, 2};
    PfCacheWriterConfig config = {.taps = taps,
                                  .tap_count = tap_count,
                                  .targets = &target,
                                  .target_count = 1,
                                  .identity = "{}",
                                  .provenance = "{}",
                                  .compression = PF_COMPRESS_ZSTD,
                                  .threads = 1};
    PfCacheWriter *writer;
    open_dataset();
    int64_t count = pf_dataset_count(dataset);
    ck_assert_int_eq(pf_cache_writer_open(in_top("old.h5"), &config, &writer, &err), 0);
    for (int64_t i = 0; i < count; i++) {
        const PfSample *sample = &pf_dataset_samples(dataset)[i];
        PfJournalImage image = image_of(i);
        float row[4] = {(float)i};
        const void *features[] = {row, row};
        if (i >= count - rejected) {
            PfCacheReject reject = pf_image_file_to_reject(&image.file, "torn");
            ck_assert_int_eq(pf_cache_writer_reject(writer, &reject, &err), 0);
            continue;
        }
        PfCacheSample out = pf_image_file_to_sample(&image.file);
        out.split = sample->split;
        out.class_indices = &sample->class_index;
        ck_assert_int_eq(pf_cache_writer_append(writer, 1, &out, features, &err), 0);
    }
    ck_assert_msg(!pf_cache_writer_finish(&writer, NULL, &err), "%s", err.message);
}

/* Samples [first, first + count) into the journal, tap t only where bit t is set. */
static void write_journal(int first, int count, int tap, int tap_count)
{
    PfJournalConfig config = {.output = in_top("old.h5"),
                              .identity = "{}",
                              .sync_seconds = 5,
                              .sync_bytes = 1 << 20,
                              .threads = 1};
    const char *identity;
    int segment;
    open_dataset();
    ck_assert_msg(!pf_journal_open(&config, &journal, &identity, &err), "%s", err.message);
    ck_assert_int_eq(
        pf_journal_begin(journal, taps + tap, tap_count, PF_COMPRESS_ZSTD, 0, &segment, &err), 0);
    for (int i = first; i < first + count; i++) {
        PfJournalImage image = image_of(i);
        float row[4] = {(float)i};
        const void *features[] = {row, row};
        ck_assert_int_eq(pf_journal_append(journal, 1, &image, features, &err), 0);
    }
    ck_assert_msg(!pf_journal_end(journal, &err), "%s", err.message);
}

/* Scans the dataset as it is now, for both taps. */
static PfScanCounts look(void)
{
    pf_dataset_scan_free(&scan);
    pf_row_index_free(&known);
    if (!cache && !access(in_top("old.h5"), F_OK))
        ck_assert_msg(!pf_cache_open(in_top("old.h5"), &cache, &err), "%s", err.message);
    open_dataset();
    ck_assert_msg(!pf_row_index_new(cache, journal, taps, 2, &known, &err), "%s", err.message);
    ck_assert_msg(!pf_dataset_scan_new(dataset, known, 2, NULL, &scan, &err), "%s", err.message);
    return pf_dataset_scan_count(scan);
}

/* ---- tests ---- */

START_TEST(without_anything_all_is_new)
{
    PfScanCounts counts = look();
    PfScanGroup group;
    ck_assert_int_eq(counts.images, IMAGES);
    ck_assert_int_eq(counts.fresh, IMAGES);
    ck_assert_int_eq(counts.hashed, 0);
    ck_assert_int_eq(pf_dataset_scan_next_group(scan, &group, &err), 0);
    ck_assert_int_eq(group.count, IMAGES);
    ck_assert_uint_eq(group.taps, 3);
    for (int i = 0; i < IMAGES; i++) ck_assert_int_eq(group.samples[i], i);
    free(group.samples);
}
END_TEST

START_TEST(unchanged_images_are_not_read)
{
    PfScanGroup group;
    write_cache(2, 2);
    PfScanCounts counts = look();
    ck_assert_int_eq(counts.reused, IMAGES - 2);
    ck_assert_int_eq(counts.rejected, 2);
    ck_assert_int_eq(counts.rejected_before, 2);
    ck_assert_int_eq(counts.hashed, 0);
    ck_assert_str_eq(scan->samples[IMAGES - 1].reason, "torn");
    ck_assert_int_eq(pf_dataset_scan_next_group(scan, &group, &err), 0);
    ck_assert_int_eq(group.count, 0);
}
END_TEST

START_TEST(content_is_recognised_under_any_name_and_date)
{
    write_cache(2, 1);
    struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
    ck_assert_int_eq(utimensat(AT_FDCWD, in_top(image_name(0)), times, 0), 0);
    rename(in_top(image_name(1)), in_top("set/b/moved.jpg"));
    write_file("set/b/copy.jpg", "image 02xx");
    write_file("set/b/torn.jpg", "image 11xxxxxxxxxxx");
    write_file("set/b/new.jpg", "image 99xx");                    /* of a known size */
    write_file("set/b/other.jpg", "of a size that none had yet"); /* is not even read */
    PfScanCounts counts = look();
    ck_assert_int_eq(counts.reused, IMAGES);
    ck_assert_int_eq(counts.fresh, 2);
    ck_assert_int_eq(counts.rejected, 2);
    ck_assert_int_eq(counts.rejected_before, 1);
    ck_assert_int_eq(counts.hashed, 5);
}
END_TEST

/* A stamp that is not to be relied on equals no other, not even its like. */
START_TEST(a_file_without_a_date_is_hashed)
{
    struct timespec times[2] = {{0, 0}, {0, 0}};
    ck_assert_int_eq(utimensat(AT_FDCWD, in_top(image_name(3)), times, 0), 0);
    write_cache(2, 0);
    PfScanCounts counts = look();
    ck_assert_int_eq(counts.hashed, 1);
    ck_assert_int_eq(counts.reused, IMAGES);
}
END_TEST

START_TEST(what_cannot_be_read_needs_no_network_to_be_rejected)
{
    write_cache(2, 0);
    write_file(image_name(4), "");
    ck_assert_int_eq(symlink("/nonexistent", in_top("set/a/dangling.jpg")), 0);
    PfScanCounts counts = look();
    ck_assert_int_eq(counts.rejected, 2);
    ck_assert_int_eq(counts.rejected_before, 0);
    ck_assert_int_eq(counts.fresh, 0);
    ck_assert_str_eq(scan->samples[4].reason, "is empty (0 bytes)");
}
END_TEST

START_TEST(what_lacks_the_same_taps_is_a_group)
{
    PfScanGroup group;
    write_cache(1, 0);
    write_file("set/a/99.jpg", "something quite new");
    PfScanCounts counts = look();
    ck_assert_int_eq(counts.incomplete, IMAGES);
    ck_assert_int_eq(counts.fresh, 1);
    ck_assert_int_eq(pf_dataset_scan_next_group(scan, &group, &err), 0);
    ck_assert_uint_eq(group.taps, 3);
    ck_assert_int_eq(group.count, 1);
    ck_assert_int_eq(group.samples[0], 6);
    free(group.samples);
    const PfImageFile file = {
        .path = scan->samples[6].file.path, .digest = {9}, .stamp = {19, 1, 1}};
    ck_assert_int_eq(pf_dataset_scan_note_rejected(scan, 6, &file, "no image", &err), 0);
    pf_dataset_scan_update(scan, known);
    ck_assert_int_eq(pf_dataset_scan_next_group(scan, &group, &err), 0);
    ck_assert_uint_eq(group.taps, 2);
    ck_assert_int_eq(group.count, IMAGES);
    free(group.samples);
}
END_TEST

START_TEST(rows_are_found_in_cache_and_journal)
{
    write_cache(1, 0);
    write_journal(2, 5, 1, 1);
    write_file("set/b/99.jpg", "image 03xxx"); /* equal to the fourth */
    PfScanCounts counts = look();
    ck_assert_int_eq(counts.reused, 6);
    ck_assert_int_eq(counts.incomplete, IMAGES - 5);
    const PfScannedSample *samples = scan->samples;
    PfRowPlace place = {-1, 0};
    for (int i = 2; i < 7; i++) {
        place = pf_row_index_place(known, 0, samples[i].file.digest, place);
        ck_assert_int_eq(place.source, 0);
        ck_assert_int_eq(place.row, i);
        PfRowPlace grid = pf_row_index_place(known, 1, samples[i].file.digest, (PfRowPlace){-1, 0});
        ck_assert_int_eq(grid.source, 1);
        ck_assert_int_eq(grid.row, i - 2);
        ck_assert_int_eq(pf_row_index_in_journal(known, samples[i].file.digest), 1);
    }
    ck_assert_int_eq(pf_row_index_place(known, 1, samples[0].file.digest, place).source, -1);
    ck_assert_int_eq(pf_row_index_in_journal(known, samples[0].file.digest), 0);
    ck_assert_int_eq(samples[IMAGES].missing, 0);
}
END_TEST

/* Of equal rows the one behind the row before, so that whole chunks can be moved. */
START_TEST(runs_of_rows_stay_together)
{
    write_file(image_name(5), "image 02xx");
    write_cache(2, 0);
    look();
    PfRowPlace first =
        pf_row_index_place(known, 0, scan->samples[5].file.digest, (PfRowPlace){-1, 0});
    PfRowPlace behind =
        pf_row_index_place(known, 0, scan->samples[5].file.digest, (PfRowPlace){0, 4});
    ck_assert_int_eq(first.row, 2);
    ck_assert_int_eq(behind.row, 5);
}
END_TEST

START_TEST(rows_of_another_shape_are_no_rows)
{
    write_cache(2, 0);
    taps[1].shape = (PfShape){1, {4}};
    ck_assert_int_eq(look().incomplete, IMAGES);
    taps[1].shape.rank = -1; /* not known yet */
    ck_assert_int_eq(look().reused, IMAGES);
    ck_assert_int_eq(taps[1].shape.rank, 2);
}
END_TEST

START_TEST(an_index_finds_each_of_many)
{
    enum { COUNT = 5000 };
    const uint64_t spread = 0x9e3779b97f4a7c15u;
    PfHashIndex index;
    ck_assert_int_eq(pf_hash_index_init(&index, COUNT, &err), 0);
    for (uint32_t i = 0; i < COUNT; i++) { /* ten under each hash */
        uint32_t *slot = pf_hash_index_first(&index, i / 10 * spread);
        while (*slot != PF_HASH_EMPTY) slot = pf_hash_index_next(&index, slot);
        *slot = i;
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t *slot = pf_hash_index_first(&index, i / 10 * spread);
        while (*slot != i && *slot != PF_HASH_EMPTY) slot = pf_hash_index_next(&index, slot);
        ck_assert_uint_eq(*slot, i);
    }
    pf_hash_index_free(&index);
    ck_assert_int_eq(pf_hash_index_init(&index, INT64_C(5000000000), &err), -1);
}
END_TEST

/* Images with equal ones in the other class, all of them known. */
static void look_at_equal_images(double val)
{
    char text[64];
    for (int i = 0; i < IMAGES; i++) {
        snprintf(text, sizeof text, "image %02d of two", i % 6);
        write_file(image_name(i), text);
    }
    listing = (PfDatasetOptions){.val_fraction = val};
    write_cache(2, 0);
    look();
    ck_assert_int_eq(pf_dataset_scan_draw_sides(scan, &err), 0);
}

START_TEST(equal_images_are_drawn_to_one_side)
{
    PfEqualImages equal;
    int in_val = 0;
    look_at_equal_images(0.4);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(scan->samples[i].split, scan->samples[i + 6].split);
        in_val += scan->samples[i].split == PF_SPLIT_VAL;
    }
    ck_assert_int_gt(in_val, 0);
    ck_assert_int_lt(in_val, 6);
    ck_assert_int_eq(pf_dataset_scan_count_equal(scan, &equal, &err), 0);
    ck_assert_int_eq(equal.val_in_train, 0);
    ck_assert_int_eq(equal.two_labels, 6);
}
END_TEST

START_TEST(a_shard_draws_the_sides_of_the_whole)
{
    uint8_t whole[IMAGES];
    look_at_equal_images(0.4);
    for (int i = 0; i < IMAGES; i++) whole[i] = scan->samples[i].split;
    for (int number = 1; number <= 3; number++) {
        listing.shard = (PfShard){number, 3};
        look();
        ck_assert_int_eq(pf_dataset_scan_draw_sides(scan, &err), 0);
        ck_assert_int_eq(scan->count, IMAGES / 3);
        for (int i = 0; i < scan->count; i++)
            ck_assert_int_eq(scan->samples[i].split, whole[(number - 1) * IMAGES / 3 + i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("survey");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, without_anything_all_is_new);
    tcase_add_test(cases, equal_images_are_drawn_to_one_side);
    tcase_add_test(cases, a_shard_draws_the_sides_of_the_whole);
    tcase_add_test(cases, unchanged_images_are_not_read);
    tcase_add_test(cases, content_is_recognised_under_any_name_and_date);
    tcase_add_test(cases, a_file_without_a_date_is_hashed);
    tcase_add_test(cases, what_cannot_be_read_needs_no_network_to_be_rejected);
    tcase_add_test(cases, what_lacks_the_same_taps_is_a_group);
    tcase_add_test(cases, rows_are_found_in_cache_and_journal);
    tcase_add_test(cases, runs_of_rows_stay_together);
    tcase_add_test(cases, rows_of_another_shape_are_no_rows);
    tcase_add_test(cases, an_index_finds_each_of_many);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
