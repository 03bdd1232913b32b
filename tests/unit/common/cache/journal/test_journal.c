/* The journal: what was synced comes back bit for bit, whatever was cut, killed or
 * refused afterwards, and chunks lie as if nothing had happened. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/cache/journal/internal.h"
#include "common/cache/journal/journal.h"
#include "common/file/record_file.h"

/* ThreadSanitizer looks for races, which are the same at every byte, and takes its time. */
#ifdef __SANITIZE_THREAD__
#define STRIDE 23
#else
#define STRIDE 1
#endif

#define IDENTITY "{\"backbone\": \"resnet18\"}"

static char folder[64], output[96], path[96];

static void make_folder(void)
{
    strcpy(folder, "/tmp/pf_journal_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(output, sizeof output, "%s/photos.h5", folder);
    snprintf(path, sizeof path, "%s/photos.h5.journal", folder);
}

static void remove_folder(void)
{
    unlink(path);
    ck_assert_msg(!rmdir(folder), "something was left behind in %s", folder);
}

/* ---- time and disk: the linker sends the calls here ---- */

double __wrap_pf_clock_seconds(void);
int __wrap_fdatasync(int fd);

static _Atomic double now;

double __wrap_pf_clock_seconds(void)
{
    return now;
}

/* No test pulls the plug, so that nothing need wait for the disk. */
int __wrap_fdatasync(int fd)
{
    (void)fd;
    return 0;
}

/* ---- rows whose every number is known ---- */

/* Chunks of 8, 4 and 32 rows. */
static const PfCacheTap TAPS[] = {
    {"avgpool", {1, {65536}}, PF_DTYPE_U8},
    {"input", {3, {3, 150, 200}}, PF_DTYPE_U8},
    {"fc6", {1, {8192}}, PF_DTYPE_F16},
};
#define TAP_COUNT 3

static size_t row_bytes(const PfCacheTap *tap)
{
    return (size_t)pf_shape_count(&tap->shape) * pf_dtype_size(tap->dtype);
}

/* Few different bytes, so that rows compress to little. */
static void fill_row(const PfCacheTap *tap, int64_t row, unsigned char *out)
{
    size_t bytes = row_bytes(tap);
    memset(out, (int)(row * 7 + tap->name[0]), bytes);
    for (size_t i = (size_t)row % 50; i < bytes; i += 9973)
        out[i] = (unsigned char)(i ^ (size_t)row);
}

/* Rows [first, first + count), malloc'ed. */
static unsigned char *make_rows(const PfCacheTap *tap, int64_t first, int64_t count)
{
    size_t bytes = row_bytes(tap);
    unsigned char *rows = malloc((size_t)count * bytes + 1);
    for (int64_t i = 0; i < count; i++) fill_row(tap, first + i, rows + (size_t)i * bytes);
    return rows;
}

static PfJournalImage make_image(int64_t row, char text[64])
{
    snprintf(text, 64, "train/\xc3\xa4/%lld.jpg", (long long)row);
    PfJournalImage image = {.file = {.path = text,
                                     .stamp = {(uint64_t)row, -row, row * 3},
                                     .width = (int32_t)row + 1,
                                     .height = (int32_t)row + 2,
                                     .has_statistics = row % 3 != 0}};
    if (row % 3) image.file.perceptual_hash = UINT64_C(0x8000000000000001) * (uint64_t)row;
    for (int s = 0; s < PF_CACHE_STATISTICS && row % 3; s++)
        image.file.statistics[s] = (float)row / 2 + (float)s;
    memset(image.file.digest, (int)row, sizeof image.file.digest);
    return image;
}

static void check_image(const PfJournalImage *found, int64_t row)
{
    char text[64];
    PfJournalImage image = make_image(row, text);
    const PfImageFile *file = &found->file;
    ck_assert_str_eq(file->path, image.file.path);
    ck_assert_ptr_null(found->reason);
    ck_assert_mem_eq(file->digest, image.file.digest, PF_DIGEST_SIZE);
    ck_assert_mem_eq(&file->stamp, &image.file.stamp, sizeof image.file.stamp);
    ck_assert_int_eq(file->width, image.file.width);
    ck_assert_int_eq(file->height, image.file.height);
    ck_assert_int_eq(file->has_statistics, image.file.has_statistics);
    ck_assert_mem_eq(file->statistics, image.file.statistics, sizeof file->statistics);
    ck_assert_uint_eq(file->perceptual_hash, image.file.perceptual_hash);
}

static int append(PfJournal *journal, const PfCacheTap *taps, int tap_count, int64_t first,
                  int count, PfError *err)
{
    char texts[64][64];
    PfJournalImage images[64];
    void *features[TAP_COUNT];
    ck_assert_int_le(count, 64);
    for (int i = 0; i < count; i++) images[i] = make_image(first + i, texts[i]);
    for (int t = 0; t < tap_count; t++) features[t] = make_rows(&taps[t], first, count);
    int failed = pf_journal_append(journal, count, images, (const void *const *)features, err);
    for (int t = 0; t < tap_count; t++) free(features[t]);
    return failed;
}

static PfJournal *open_journal(int threads)
{
    PfJournalConfig config = {.output = output,
                              .identity = IDENTITY,
                              .sync_seconds = 1e9,
                              .sync_bytes = INT64_MAX,
                              .threads = threads};
    PfJournal *journal;
    PfError err = {0};
    const char *identity;
    if (pf_journal_open(&config, &journal, &identity, &err)) ck_abort_msg("%s", err.message);
    ck_assert_str_eq(identity, IDENTITY);
    return journal;
}

static int begin(PfJournal *journal, const PfCacheTap *taps, int tap_count)
{
    PfError err;
    int segment = -1;
    if (pf_journal_begin(journal, taps, tap_count, PF_COMPRESS_ZSTD, 0, &segment, &err))
        ck_abort_msg("%s", err.message);
    return segment;
}

/* Goes on with the first tap_count of TAPS up to `rows` rows, `batch` at a time. */
static void append_up_to(PfJournal *journal, int tap_count, int64_t rows, int batch)
{
    PfError err;
    int segment = begin(journal, TAPS, tap_count);
    for (int64_t row = pf_journal_row_count(journal, segment); row < rows; row += batch) {
        int count = rows - row < batch ? (int)(rows - row) : batch;
        ck_assert_msg(!append(journal, TAPS, tap_count, row, count, &err), "%s", err.message);
    }
    ck_assert_msg(!pf_journal_end(journal, &err), "%s", err.message);
    ck_assert_int_eq(pf_journal_row_count(journal, segment), rows);
}

static void check_range(PfRowSource *source, int tap, const PfCacheTap *info, int64_t first,
                        int64_t count)
{
    PfError err;
    size_t bytes = (size_t)count * row_bytes(info);
    unsigned char *found = malloc(bytes + 1), *expected = make_rows(info, first, count);
    if (source->read_rows(source->context, tap, first, count, found, &err))
        ck_abort_msg("%s", err.message);
    ck_assert(!memcmp(found, expected, bytes));
    free(expected);
    free(found);
}

/* The segment has rows [0, rows) of these taps. */
static void check_segment(PfJournal *journal, int segment, const PfCacheTap *taps, int tap_count,
                          int64_t rows)
{
    ck_assert_int_eq(pf_journal_row_count(journal, segment), rows);
    ck_assert_int_eq(pf_journal_segment_tap_count(journal, segment), tap_count);
    for (int64_t row = 0; row < rows; row++)
        check_image(pf_journal_row(journal, segment, row), row);
    PfRowSource source = pf_journal_source(journal, segment);
    for (int t = 0; t < tap_count; t++) {
        ck_assert_str_eq(pf_journal_segment_tap(journal, segment, t)->name, taps[t].name);
        ck_assert_int_eq(source.find_tap(source.context, taps[t].name), t);
        check_range(&source, t, &taps[t], 0, rows);
        for (int64_t row = rows - 1; row >= 0; row -= 3) check_range(&source, t, &taps[t], row, 1);
        if (rows > 7) check_range(&source, t, &taps[t], 3, rows - 5);
    }
    ck_assert_int_eq(source.find_tap(source.context, "fc"), -1);
}

static PfTapLayout layout_of(const PfCacheTap *tap)
{
    PfTapLayout layout;
    PfError err;
    ck_assert(!pf_tap_layout_plan(tap, PF_COMPRESS_ZSTD, 0, &layout, &err));
    return layout;
}

/* The stored bytes of chunk `index` of a tap, malloc'ed. */
static unsigned char *stored_chunk(PfJournal *journal, int tap, int64_t index, size_t *bytes)
{
    PfTapLayout layout = layout_of(&TAPS[tap]);
    PfRowSource source = pf_journal_source(journal, 0);
    PfError err;
    unsigned char *stored = malloc(pf_chunk_bound(&layout.format));
    ck_assert(!source.read_stored(source.context, tap, index * layout.chunk_rows, layout.chunk_rows,
                                  &layout, stored, bytes, &err));
    return stored;
}

/* Every whole chunk of rows [0, rows) is stored as one, as encoding it alone gives it. */
static void check_chunks(PfJournal *journal, int tap_count, int64_t rows)
{
    PfChunkCodec *codec;
    PfError err;
    ck_assert(!pf_chunk_codec_new(&codec, &err));
    for (int t = 0; t < tap_count; t++) {
        PfTapLayout layout = layout_of(&TAPS[t]);
        int64_t chunks = rows / layout.chunk_rows;
        for (int64_t c = 0; c <= chunks; c++) {
            size_t bytes, expected_bytes;
            unsigned char *stored = stored_chunk(journal, t, c, &bytes);
            unsigned char *expected = malloc(pf_chunk_bound(&layout.format));
            unsigned char *raw = make_rows(&TAPS[t], c * layout.chunk_rows, layout.chunk_rows);
            ck_assert(
                !pf_chunk_encode(codec, &layout.format, raw, expected, &expected_bytes, &err));
            ck_assert_uint_eq(bytes, c < chunks ? expected_bytes : 0);
            ck_assert(!memcmp(stored, expected, bytes));
            free(raw);
            free(expected);
            free(stored);
        }
    }
    pf_chunk_codec_free(&codec);
}

/* ---- rows ---- */

START_TEST(rows_come_back)
{
    for (int64_t rows = 0; rows < 80; rows += 13 + 13 * (_i % 2)) {
        PfJournal *journal = open_journal(1 + _i);
        append_up_to(journal, TAP_COUNT, rows, 1 + _i * 9);
        check_segment(journal, 0, TAPS, TAP_COUNT, rows);
        check_chunks(journal, TAP_COUNT, rows);
        pf_journal_close(&journal);
        ck_assert_ptr_null(journal);
        journal = open_journal(1);
        ck_assert_int_eq(pf_journal_segment_count(journal), 1);
        ck_assert_int_eq(pf_journal_dropped_bytes(journal), 0);
        check_segment(journal, 0, TAPS, TAP_COUNT, rows);
        check_chunks(journal, TAP_COUNT, rows);
        PfError err;
        ck_assert(!pf_journal_remove(&journal, &err));
        ck_assert_ptr_null(journal);
    }
}
END_TEST

static const PfCompression COMPRESSIONS[] = {PF_COMPRESS_NONE, PF_COMPRESS_GZIP, PF_COMPRESS_ZSTD};

START_TEST(every_compression_comes_back)
{
    PfError err;
    int segment;
    PfJournal *journal = open_journal(2);
    ck_assert(!pf_journal_begin(journal, TAPS, TAP_COUNT, COMPRESSIONS[_i], 1, &segment, &err));
    ck_assert(!append(journal, TAPS, TAP_COUNT, 0, 40, &err));
    ck_assert(!append(journal, TAPS, TAP_COUNT, 40, 5, &err));
    ck_assert(!pf_journal_end(journal, &err));
    check_segment(journal, 0, TAPS, TAP_COUNT, 45);
    pf_journal_close(&journal);
}
END_TEST

START_TEST(rows_after_the_last_sync_do_not_count)
{
    PfError err;
    PfJournal *journal = open_journal(2);
    int segment = begin(journal, TAPS, TAP_COUNT);
    ck_assert(!append(journal, TAPS, TAP_COUNT, 0, 21, &err));
    ck_assert_int_eq(pf_journal_row_count(journal, segment), 0);
    ck_assert(!pf_journal_sync(journal, &err));
    ck_assert_int_eq(pf_journal_row_count(journal, segment), 21);
    ck_assert(!append(journal, TAPS, TAP_COUNT, 21, 30, &err));
    ck_assert_int_eq(pf_journal_row_count(journal, segment), 21);
    pf_journal_close(&journal); /* as if it had been killed */
    journal = open_journal(2);
    ck_assert_int_gt(pf_journal_dropped_bytes(journal), 0);
    check_segment(journal, 0, TAPS, TAP_COUNT, 21);
    append_up_to(journal, TAP_COUNT, 51, 9);
    check_segment(journal, 0, TAPS, TAP_COUNT, 51);
    check_chunks(journal, TAP_COUNT, 51);
    pf_journal_close(&journal);
}
END_TEST

/* Ends after every few rows; half of the ends lose rows that were not synced. */
START_TEST(resuming_keeps_chunks_aligned)
{
    PfError err;
    PfJournal *journal;
    for (int64_t rows = 0; rows < 40; rows += 1 + 3 * _i) {
        journal = open_journal(2);
        append_up_to(journal, TAP_COUNT, rows, 5);
        begin(journal, TAPS, TAP_COUNT);
        if (rows % 2) ck_assert(!append(journal, TAPS, TAP_COUNT, 1000, 11, &err));
        pf_journal_close(&journal);
    }
    journal = open_journal(1);
    append_up_to(journal, TAP_COUNT, 50, 5);
    ck_assert_int_eq(pf_journal_segment_count(journal), 1);
    check_segment(journal, 0, TAPS, TAP_COUNT, 50);
    check_chunks(journal, TAP_COUNT, 50);
    pf_journal_close(&journal);
}
END_TEST

START_TEST(several_segments)
{
    PfError err;
    static const PfCacheTap other = {"fc6", {1, {8192}}, PF_DTYPE_F32};
    PfJournal *journal = open_journal(2);
    append_up_to(journal, 1, 10, 4);
    ck_assert_int_eq(begin(journal, TAPS, 1), 0); /* goes on */
    ck_assert(!pf_journal_end(journal, &err));
    append_up_to(journal, TAP_COUNT, 37, 7);
    ck_assert_int_eq(begin(journal, &other, 1), 2); /* another dtype */
    ck_assert(!append(journal, &other, 1, 0, 3, &err));
    ck_assert(!pf_journal_end(journal, &err));
    ck_assert_int_eq(begin(journal, TAPS, 1), 3); /* the first is not the last any more */
    ck_assert(!pf_journal_end(journal, &err));
    pf_journal_close(&journal);

    journal = open_journal(2);
    ck_assert_int_eq(pf_journal_segment_count(journal), 4);
    check_segment(journal, 0, TAPS, 1, 10);
    check_segment(journal, 1, TAPS, TAP_COUNT, 37);
    check_segment(journal, 2, &other, 1, 3);
    check_segment(journal, 3, TAPS, 1, 0);
    append_up_to(journal, 1, 12, 5);
    ck_assert_int_eq(pf_journal_segment_count(journal), 4);
    check_segment(journal, 3, TAPS, 1, 12);
    pf_journal_close(&journal);
}
END_TEST

START_TEST(a_segment_without_a_sync_is_forgotten)
{
    PfError err;
    PfJournal *journal = open_journal(1);
    append_up_to(journal, 1, 10, 4);
    ck_assert_int_eq(begin(journal, TAPS + 1, 2), 1);
    ck_assert(!append(journal, TAPS + 1, 2, 0, 20, &err));
    pf_journal_close(&journal);
    journal = open_journal(1);
    ck_assert_int_eq(pf_journal_segment_count(journal), 1);
    append_up_to(journal, 1, 12, 4);
    check_segment(journal, 0, TAPS, 1, 12);
    pf_journal_close(&journal);
}
END_TEST

/* Only chunks that are exactly what is wanted are handed over as they are. */
START_TEST(other_layouts_find_nothing_stored)
{
    PfError err;
    PfJournal *journal = open_journal(1);
    append_up_to(journal, 1, 20, 4);
    PfRowSource source = pf_journal_source(journal, 0);
    const PfTapLayout layout = layout_of(&TAPS[0]);
    unsigned char *stored = malloc(pf_chunk_bound(&layout.format));
    PfTapLayout wanted[6];
    for (int i = 0; i < 6; i++) wanted[i] = layout;
    strcpy(wanted[1].tap.name, "another name");
    wanted[2].format.shuffle = !layout.format.shuffle;
    wanted[3].format.compression = PF_COMPRESS_GZIP;
    wanted[4].tap.dtype = PF_DTYPE_F16;
    wanted[5].tap.shape.dims[0]--;
    for (int i = 0; i < 6; i++) {
        size_t bytes = 99;
        ck_assert(!source.read_stored(source.context, 0, 8, 8, &wanted[i], stored, &bytes, &err));
        ck_assert_int_eq(bytes != 0, i < 2);
    }
    static const int64_t ranges[][2] = {{4, 8}, {0, 4}, {16, 4}, {16, 8}, {24, 8}};
    for (int i = 0; i < 5; i++) {
        size_t bytes = 99;
        ck_assert(!source.read_stored(source.context, 0, ranges[i][0], ranges[i][1], &layout,
                                      stored, &bytes, &err));
        ck_assert_uint_eq(bytes, 0);
    }
    free(stored);
    pf_journal_close(&journal);
}
END_TEST

/* ---- refused images ---- */

START_TEST(rejects_come_back)
{
    PfError err;
    PfJournal *journal = open_journal(1);
    PfJournalImage image = {.file = {.path = "a.jpg", .digest = {1, 2}, .stamp = {3}},
                            .reason = "not a JPEG"};
    ck_assert(!pf_journal_reject(journal, &image, &err)); /* before there is a segment */
    ck_assert_int_eq(pf_journal_reject_count(journal), 0);
    ck_assert(!pf_journal_sync(journal, &err));
    begin(journal, TAPS, 1);
    for (int i = 0; i < 20; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d.png", i);
        image = (PfJournalImage){.file.path = text, .reason = i % 2 ? "" : "it is empty"};
        ck_assert(!append(journal, TAPS, 1, i, 1, &err));
        ck_assert(!pf_journal_reject(journal, &image, &err));
    }
    ck_assert(!pf_journal_end(journal, &err));
    for (int opened = 0; opened < 2; opened++) {
        ck_assert_int_eq(pf_journal_reject_count(journal), 21);
        const PfJournalImage *found = pf_journal_reject_at(journal, 0);
        ck_assert_str_eq(found->file.path, "a.jpg");
        ck_assert_str_eq(found->reason, "not a JPEG");
        ck_assert_int_eq(found->file.digest[1], 2);
        ck_assert_uint_eq(found->file.stamp.size_bytes, 3);
        ck_assert_str_eq(pf_journal_reject_at(journal, 20)->file.path, "19.png");
        ck_assert_str_eq(pf_journal_reject_at(journal, 20)->reason, "");
        check_segment(journal, 0, TAPS, 1, 20);
        pf_journal_close(&journal);
        journal = open_journal(1);
    }
    pf_journal_close(&journal);
}
END_TEST

START_TEST(what_is_lent_stays)
{
    PfError err;
    PfJournal *journal = open_journal(1);
    begin(journal, TAPS, 1);
    ck_assert(!append(journal, TAPS, 1, 0, 1, &err));
    ck_assert(!pf_journal_sync(journal, &err));
    const PfJournalImage *first = pf_journal_row(journal, 0, 0);
    for (int i = 0; i < 5000; i++) {
        char text[64];
        PfJournalImage image = {.file.path = text, .reason = text};
        snprintf(text, sizeof text, "%d", i);
        ck_assert(!pf_journal_reject(journal, &image, &err));
        if (i == 1) ck_assert(!pf_journal_sync(journal, &err));
    }
    const PfJournalImage *reject = pf_journal_reject_at(journal, 1);
    ck_assert(!pf_journal_sync(journal, &err));
    check_image(first, 0);
    ck_assert_str_eq(reject->file.path, "1");
    ck_assert_ptr_eq(reject, pf_journal_reject_at(journal, 1));
    ck_assert_str_eq(pf_journal_reject_at(journal, 4999)->reason, "4999");
    pf_journal_close(&journal);
}
END_TEST

/* ---- identity, lock, peek ---- */

START_TEST(the_identity_is_kept)
{
    PfError err;
    const char *identity;
    PfJournal *journal = open_journal(1);
    pf_journal_close(&journal);
    PfJournalConfig config = {.output = output, .identity = "{\"other\": 1}", .threads = 1};
    ck_assert(!pf_journal_open(&config, &journal, &identity, &err));
    ck_assert_str_eq(identity, IDENTITY);
    ck_assert(!pf_journal_remove(&journal, &err));
    ck_assert(!pf_journal_open(&config, &journal, &identity, &err));
    ck_assert_str_eq(identity, "{\"other\": 1}");
    pf_journal_close(&journal);
}
END_TEST

START_TEST(one_at_a_time)
{
    PfError err;
    const char *identity;
    PfJournal *journal = open_journal(1), *other;
    PfJournalConfig config = {.output = output, .identity = IDENTITY, .threads = 1};
    ck_assert(pf_journal_open(&config, &other, &identity, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "another extract is writing"));
    ck_assert_ptr_nonnull(strstr(err.message, path));
    pf_journal_close(&journal);
    ck_assert(!pf_journal_open(&config, &other, &identity, &err));
    pf_journal_close(&other);
}
END_TEST

START_TEST(peeking_changes_nothing)
{
    PfError err;
    const char *identity = output;
    PfJournal *peeked;
    ck_assert(!pf_journal_peek(output, &peeked, &identity, &err));
    ck_assert_ptr_null(identity);
    ck_assert_ptr_null(peeked);
    ck_assert_int_eq(access(path, F_OK), -1);
    PfJournal *journal = open_journal(1);
    append_up_to(journal, 1, 10, 4);
    append_up_to(journal, TAP_COUNT, 7, 4);
    begin(journal, TAPS, TAP_COUNT);
    ck_assert(!append(journal, TAPS, TAP_COUNT, 7, 40, &err));
    ck_assert(!pf_journal_peek(output, &peeked, &identity, &err)); /* although it is locked */
    ck_assert_str_eq(identity, IDENTITY);
    ck_assert_int_eq(pf_journal_segment_count(peeked), 2);
    ck_assert_int_eq(pf_journal_row_count(peeked, 0), 10);
    ck_assert_int_eq(pf_journal_row_count(peeked, 1), 7);
    ck_assert_str_eq(pf_journal_row(peeked, 1, 6)->file.path,
                     pf_journal_row(journal, 1, 6)->file.path);
    pf_journal_close(&peeked);
    pf_journal_close(&journal);
}
END_TEST

/* ---- when it is synced ---- */

static PfJournal *open_syncing(double seconds, int64_t bytes)
{
    PfError err;
    const char *identity;
    PfJournal *journal;
    PfJournalConfig config = {.output = output,
                              .identity = IDENTITY,
                              .sync_seconds = seconds,
                              .sync_bytes = bytes,
                              .threads = 1};
    ck_assert(!pf_journal_open(&config, &journal, &identity, &err));
    begin(journal, TAPS, 1);
    return journal;
}

START_TEST(synced_by_time)
{
    PfError err;
    now = 100;
    PfJournal *journal = open_syncing(5, INT64_MAX);
    PfJournalImage image = {.file.path = "a.jpg", .reason = "bad"};
    for (int i = 0; i < 30; i++) {
        now = now + 1;
        ck_assert(!append(journal, TAPS, 1, i, 1, &err));
        ck_assert_int_eq(pf_journal_row_count(journal, 0), (i + 1) / 5 * 5);
    }
    now = now + 5;
    ck_assert(!pf_journal_reject(journal, &image, &err));
    ck_assert_int_eq(pf_journal_reject_count(journal), 1);
    pf_journal_close(&journal);
}
END_TEST

START_TEST(synced_by_bytes)
{
    PfError err;
    struct stat before = {0}, after;
    PfJournal *journal = open_syncing(1e9, 3000);
    int64_t synced = 0;
    for (int i = 0; i < 1000; i++) {
        ck_assert(!append(journal, TAPS, 1, i, 1, &err));
        ck_assert(!stat(path, &after));
        if (pf_journal_row_count(journal, 0) == synced) continue;
        synced = pf_journal_row_count(journal, 0);
        ck_assert_int_eq(synced, i + 1);
        ck_assert_int_ge(after.st_size - before.st_size, 3000);
        before = after;
    }
    ck_assert_int_gt(synced, 0);
    pf_journal_close(&journal);
}
END_TEST

START_TEST(tails_are_counted_once)
{
    PfError err;
    PfJournal *journal = open_journal(1);
    PfJournalStats stats;
    int64_t raw, stored, row = (int64_t)row_bytes(&TAPS[0]);
    begin(journal, TAPS, 2);
    for (int i = 0; i < 21; i++) {
        ck_assert(!append(journal, TAPS, 2, i, 1, &err));
        ck_assert(!pf_journal_sync(journal, &err));
        pf_journal_tap_stats(journal, 0, &raw, &stored);
        ck_assert_int_eq(raw, (i + 1) * row);
        ck_assert_int_gt(stored, 0);
        ck_assert_int_lt(stored, raw / 10);
    }
    ck_assert(!pf_journal_end(journal, &err));
    pf_journal_stats(journal, &stats);
    ck_assert_int_eq(stats.raw_bytes, 21 * (row + (int64_t)row_bytes(&TAPS[1])));
    ck_assert_int_gt(stats.file_bytes, stats.stored_bytes);
    begin(journal, TAPS, 2); /* 5 rows and 1 that wait in tails are of the run before */
    ck_assert(!append(journal, TAPS, 2, 21, 7, &err));
    ck_assert(!pf_journal_end(journal, &err));
    pf_journal_stats(journal, &stats);
    ck_assert_int_ge(stats.raw_bytes, 28 * (row + (int64_t)row_bytes(&TAPS[1])));
    pf_journal_close(&journal);
}
END_TEST

/* ---- damage ---- */

typedef struct Bytes {
    unsigned char *data;
    size_t size;
} Bytes;

static Bytes read_journal(void)
{
    struct stat status;
    ck_assert(!stat(path, &status));
    Bytes bytes = {malloc((size_t)status.st_size), (size_t)status.st_size};
    FILE *stream = fopen(path, "rb");
    ck_assert_uint_eq(fread(bytes.data, 1, bytes.size, stream), bytes.size);
    fclose(stream);
    return bytes;
}

static void write_journal(const Bytes *bytes, size_t size)
{
    FILE *stream = fopen(path, access(path, F_OK) ? "wb" : "r+b");
    ck_assert_uint_eq(fwrite(bytes->data, 1, size, stream), size);
    ck_assert(!fclose(stream));
    ck_assert(!truncate(path, (off_t)size));
}

typedef struct Positions {
    size_t ends[256], checkpoints[256];
    int end_count, checkpoint_count;
} Positions;

static int note_position(void *context, const PfRecord *record, PfError *err)
{
    (void)err;
    Positions *positions = context;
    size_t end = (size_t)record->position + record->size;
    positions->ends[positions->end_count++] = end;
    if (record->type == PF_JOURNAL_CHECKPOINT)
        positions->checkpoints[positions->checkpoint_count++] = end;
    return 0;
}

/* A journal with a sync after every row; then `wild` rows without one. */
static Bytes make_synced(int64_t rows, int wild, Positions *positions)
{
    PfError err;
    int exists;
    PfJournal *journal = open_journal(1);
    begin(journal, TAPS, 2);
    for (int64_t row = 0; row < rows; row++) {
        ck_assert(!append(journal, TAPS, 2, row, 1, &err));
        ck_assert(!pf_journal_sync(journal, &err));
    }
    if (wild) ck_assert(!append(journal, TAPS, 2, rows, wild, &err));
    pf_journal_close(&journal);
    *positions = (Positions){0};
    ck_assert(!pf_record_file_scan(path, note_position, positions, &exists, &err));
    return read_journal();
}

static int64_t rows_before(const Positions *positions, size_t cut)
{
    int64_t rows = 0;
    while (rows < positions->checkpoint_count && positions->checkpoints[rows] <= cut) rows++;
    return rows;
}

/* What the next run finds in the file as it is now. */
static PfJournal *open_next_run(int64_t rows)
{
    PfJournal *journal = open_journal(1);
    ck_assert_int_eq(pf_journal_segment_count(journal), rows > 0);
    if (rows) check_segment(journal, 0, TAPS, 2, rows);
    return journal;
}

/* And what it makes of that. */
static void check_next_run(int64_t rows, int64_t all_rows)
{
    PfJournal *journal = open_next_run(rows);
    append_up_to(journal, 2, all_rows, 3);
    check_segment(journal, 0, TAPS, 2, all_rows);
    check_chunks(journal, 2, all_rows);
    pf_journal_close(&journal);
}

/* Its last two records: with seven rows tails before the checkpoint, with eight chunks.
 * Opening leaves whole records, so that going on is the same after most cuts. */
START_TEST(cut_at_every_byte)
{
    Positions positions;
    Bytes bytes = make_synced(_i, 0, &positions);
    size_t first = positions.ends[positions.end_count - 3];
    for (size_t cut = first; cut <= bytes.size; cut += STRIDE) {
        int64_t rows = rows_before(&positions, cut);
        write_journal(&bytes, cut);
        PfJournal *journal = open_next_run(rows);
        pf_journal_close(&journal);
        if ((cut - first) % 20 == 0 || cut == bytes.size) check_next_run(rows, _i + 1);
    }
    free(bytes.data);
}
END_TEST

START_TEST(cut_after_every_record)
{
    Positions positions;
    Bytes bytes = make_synced(18, 9, &positions);
    for (int i = 0; i < positions.end_count; i += STRIDE) {
        size_t cut = positions.ends[i];
        int64_t rows = rows_before(&positions, cut);
        write_journal(&bytes, cut);
        check_next_run(rows, rows + 5);
        write_journal(&bytes, cut - 1);
        check_next_run(rows_before(&positions, cut - 1), rows + 5);
    }
    free(bytes.data);
}
END_TEST

START_TEST(flipped_bits_end_the_journal)
{
    Positions positions;
    Bytes bytes = make_synced(17, 0, &positions);
    PfRandom random = pf_random_seeded(5, 0);
    for (int i = 0; i < 100; i += STRIDE) {
        size_t bit = 32 + pf_random_below(&random, bytes.size * 8 - 32);
        int64_t rows = rows_before(&positions, bit / 8);
        bytes.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        write_journal(&bytes, bytes.size);
        PfJournal *journal = open_next_run(rows);
        pf_journal_close(&journal);
        bytes.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    free(bytes.data);
}
END_TEST

/* The disk gives other bytes than when the journal was opened. */
START_TEST(later_damage_is_found_by_reading)
{
    PfError err;
    PfJournal *journal = open_journal(1);
    append_up_to(journal, 1, 8, 4);
    PfRowSource source = pf_journal_source(journal, 0);
    PfTapLayout layout = layout_of(&TAPS[0]);
    unsigned char *raw = malloc(layout.format.raw_bytes);
    unsigned char *stored = malloc(pf_chunk_bound(&layout.format));
    size_t stored_bytes;
    Bytes bytes = read_journal();
    for (size_t i = 0; i < bytes.size; i++) bytes.data[i] ^= i > bytes.size / 3;
    write_journal(&bytes, bytes.size);
    ck_assert(source.read_rows(source.context, 0, 0, 8, raw, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "has changed"));
    ck_assert(source.read_stored(source.context, 0, 0, 8, &layout, stored, &stored_bytes, &err));
    free(bytes.data);
    free(stored);
    free(raw);
    pf_journal_close(&journal);
}
END_TEST

/* ---- records with good checksums that make no sense ---- */

typedef struct Copying {
    PfRecordFile *file;
    PfRandom random;
    int count, changed;
} Copying;

static int skip(void *context, const PfRecord *record, PfError *err)
{
    (void)context;
    (void)record;
    (void)err;
    return 0;
}

/* Copies a record; the changed one with a few wrong bytes, cut, or twice. */
static int copy_record(void *context, const PfRecord *record, PfError *err)
{
    Copying *copying = context;
    unsigned char *payload = malloc(record->size + 1);
    size_t size = record->size;
    uint32_t type = record->type;
    if (size) memcpy(payload, record->payload, size);
    int repeats = 1;
    if (copying->count++ == copying->changed) {
        switch (pf_random_below(&copying->random, 5)) {
        case 0: size = pf_random_below(&copying->random, size + 1); break;
        case 1: repeats = (int)pf_random_below(&copying->random, 3); break;
        case 2: type = (uint32_t)pf_random_below(&copying->random, 8); break;
        default:
            for (int i = 0; i < 3 && size; i++)
                payload[pf_random_below(&copying->random, size < 200 ? size : 200)] =
                    (unsigned char)pf_random_u64(&copying->random);
        }
    }
    for (int i = 0; i < repeats; i++)
        ck_assert(!pf_record_file_append(copying->file, type, payload, size, NULL, 0, NULL, err));
    free(payload);
    return 0;
}

/* Reads what there is, and only asks that nothing breaks. */
static void read_everything(void)
{
    PfJournalConfig config = {.output = output, .identity = IDENTITY, .threads = 1};
    PfError err = {0};
    PfJournal *journal;
    const char *identity;
    if (pf_journal_open(&config, &journal, &identity, &err)) {
        ck_assert_ptr_nonnull(strstr(err.message, path));
        return;
    }
    for (int s = 0; s < pf_journal_segment_count(journal); s++) {
        PfRowSource source = pf_journal_source(journal, s);
        for (int t = 0; t < pf_journal_segment_tap_count(journal, s); t++) {
            const PfCacheTap *tap = pf_journal_segment_tap(journal, s, t);
            for (int64_t row = 0; row < pf_journal_row_count(journal, s); row++) {
                void *out = malloc(row_bytes(tap));
                if (source.read_rows(source.context, t, row, 1, out, &err))
                    ck_assert_ptr_nonnull(strstr(err.message, path));
                free(out);
            }
        }
    }
    pf_journal_close(&journal);
}

START_TEST(records_that_make_no_sense)
{
    char original[128];
    PfError err;
    int exists;
    int64_t dropped;
    Positions positions;
    Bytes bytes = make_synced(9, 0, &positions);
    snprintf(original, sizeof original, "%s/original", folder);
    ck_assert(!rename(path, original));
    for (int i = 0; i < 600; i += STRIDE) {
        Copying copying = {.random = pf_random_seeded(1, (uint64_t)i)};
        copying.changed = i % positions.end_count;
        ck_assert(!pf_record_file_open(path, skip, NULL, &copying.file, &dropped, &err));
        ck_assert(!pf_record_file_scan(original, copy_record, &copying, &exists, &err));
        pf_record_file_close(&copying.file);
        read_everything();
        unlink(path);
    }
    unlink(original);
    free(bytes.data);
}
END_TEST

/* A journal of some hundred bytes, a row of which claims gigabytes. */
static void write_bomb(const PfCacheTap *tap, PfCompression compression, size_t stored_bytes)
{
    const uint32_t version = PF_JOURNAL_VERSION;
    const PfJournalChunkHead head = {.rows = 1};
    unsigned char *stored = calloc(1, stored_bytes);
    PfTapLayout layout;
    PfJournalBytes segment = {0}, image = {0};
    PfJournalImage row = {.file = {.path = "a.jpg", .width = 1, .height = 1}};
    PfRecordFile *file;
    PfError err = {0};
    int64_t dropped;
    ck_assert(!pf_tap_layout_plan(tap, compression, 1, &layout, &err));
    ck_assert(!pf_journal_records_put_segment(&segment, &layout, 1, &err));
    ck_assert(!pf_journal_records_put_image(&image, &row, &err));
    ck_assert(!pf_record_file_open(path, skip, NULL, &file, &dropped, &err));
    ck_assert(!pf_record_file_append(file, PF_JOURNAL_IDENTITY, &version, sizeof version, IDENTITY,
                                     strlen(IDENTITY), NULL, &err));
    ck_assert(!pf_record_file_append(file, PF_JOURNAL_SEGMENT, segment.data, segment.size, NULL, 0,
                                     NULL, &err));
    ck_assert(!pf_record_file_append(file, PF_JOURNAL_CHUNK, &head, sizeof head, stored,
                                     stored_bytes, NULL, &err));
    ck_assert(!pf_record_file_append(file, PF_JOURNAL_CHECKPOINT, image.data, image.size, NULL, 0,
                                     NULL, &err));
    pf_record_file_close(&file);
    free(image.data);
    free(segment.data);
    free(stored);
}

START_TEST(few_bytes_are_not_gigabytes)
{
    static const struct {
        int64_t values; /* of a row, 4 bytes each */
        PfCompression compression;
        size_t stored_bytes;
        int is_refused;
    } cases[] = {
        {(int64_t)900 << 20, PF_COMPRESS_ZSTD, 500, 1},
        {(int64_t)900 << 20, PF_COMPRESS_GZIP, 500, 1},
        {(int64_t)900 << 20, PF_COMPRESS_ZSTD, 200000, 1},
        {(int64_t)8 << 20, PF_COMPRESS_ZSTD, 500, 1},
        {(int64_t)8 << 20, PF_COMPRESS_ZSTD, 1200, 0}, /* zeros */
        {(int64_t)8 << 20, PF_COMPRESS_GZIP, 40000, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        PfCacheTap tap = {.name = "huge", .shape = {1, {cases[i].values}}, .dtype = PF_DTYPE_F32};
        PfJournalConfig config = {.output = output, .identity = IDENTITY, .threads = 1};
        PfError err = {0};
        PfJournal *journal;
        const char *identity;
        write_bomb(&tap, cases[i].compression, cases[i].stored_bytes);
        int failed = pf_journal_open(&config, &journal, &identity, &err);
        ck_assert_msg((failed != 0) == cases[i].is_refused, "%zu: %s", i, err.message);
        if (failed)
            ck_assert_msg(strstr(err.message, path) && strstr(err.message, "would unpack to"), "%s",
                          err.message);
        else
            pf_journal_close(&journal);
        unlink(path);
    }
}
END_TEST

/* Of a segment of two taps, the second one's rows; then a segment that has no second tap. */
START_TEST(chunks_of_a_segment_that_was_left)
{
    PfError err;
    PfRecordFile *file;
    int64_t dropped;
    PfTapLayout layouts[] = {layout_of(&TAPS[0]), layout_of(&TAPS[1])};
    const struct {
        PfJournalChunkHead head;
        char stored[8];
    } tail = {{1, 1, 0}, "encoded"};
    PfJournalBytes segment = {0};
    uint32_t version = PF_JOURNAL_VERSION;
    ck_assert(!pf_journal_records_put_segment(&segment, layouts, 2, &err));
    ck_assert(!pf_record_file_open(path, skip, NULL, &file, &dropped, &err));
    const struct {
        uint32_t type;
        const void *payload;
        size_t size;
    } records[] = {
        {PF_JOURNAL_IDENTITY, &version, sizeof version},
        {PF_JOURNAL_SEGMENT, segment.data, segment.size},
        {PF_JOURNAL_TAIL, &tail, sizeof tail},
        {PF_JOURNAL_SEGMENT, segment.data, segment.size / 2},
        {PF_JOURNAL_CHECKPOINT, NULL, 0},
    };
    for (int i = 0; i < 5; i++)
        ck_assert(!pf_record_file_append(file, records[i].type, records[i].payload, records[i].size,
                                         NULL, 0, NULL, &err));
    pf_record_file_close(&file);
    free(segment.data);
    PfJournalConfig config = {.output = output, .identity = IDENTITY, .threads = 1};
    PfJournal *journal;
    const char *identity;
    ck_assert(pf_journal_open(&config, &journal, &identity, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "another version"));
}
END_TEST

/* ---- who computes ---- */

static void append_by(PfJournal *journal, const char *runtime, int64_t first, int count)
{
    PfError err = {0};
    ck_assert(!pf_journal_set_runtime(journal, runtime, &err));
    begin(journal, TAPS, 1);
    ck_assert(!append(journal, TAPS, 1, first, count, &err));
    ck_assert(!pf_journal_end(journal, &err));
}

static void check_runtime(const PfJournal *journal, int segment, const char *runtime, int64_t rows)
{
    const char *found = pf_journal_segment_runtime(journal, segment);
    ck_assert_msg(!found == !runtime && (!runtime || !strcmp(found, runtime)), "%d: %s", segment,
                  found ? found : "none");
    ck_assert_int_eq(pf_journal_row_count(journal, segment), rows);
}

/* As long as nobody else computes a segment goes on, also in the next process. */
START_TEST(rows_of_other_runtimes_are_other_segments)
{
    PfJournal *journal = open_journal(1);
    append_by(journal, "", 0, 3);
    append_by(journal, "one, 2 threads", 3, 2);
    append_by(journal, "one, 2 threads", 5, 2);
    append_by(journal, "t\x1bw\xc3\xb6", 7, 1);
    ck_assert(!pf_journal_set_runtime(journal, "three", NULL));
    begin(journal, TAPS, 1); /* left before any row */
    pf_journal_close(&journal);
    for (int i = 0; i < 2; i++) {
        journal = open_journal(1);
        ck_assert_int_eq(pf_journal_segment_count(journal), 3);
        check_runtime(journal, 0, NULL, 3);
        check_runtime(journal, 1, "one, 2 threads", 4);
        check_runtime(journal, 2, "t?w??", 1 + 2 * i);
        append_by(journal, "t?w??", 8 + 2 * i, 2);
        ck_assert_int_eq(pf_journal_segment_count(journal), 3);
        pf_journal_close(&journal);
    }
    journal = open_journal(1);
    append_by(journal, "", 12, 1);
    ck_assert_int_eq(pf_journal_segment_count(journal), 4);
    check_runtime(journal, 3, NULL, 1);
    pf_journal_close(&journal);
}
END_TEST

/* Texts that nothing of ours has written. */
START_TEST(runtimes_that_make_no_sense)
{
    static char longest[PF_JOURNAL_RUNTIME_MAX + 1];
    memset(longest, 'x', sizeof longest);
    const struct {
        const char *text;
        size_t size;
    } cases[] = {{"", 0}, {"a\nb", 3}, {"a\0b", 3}, {"\xc3\xa4", 2}, {longest, sizeof longest}};
    const uint32_t version = PF_JOURNAL_VERSION;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        PfJournalConfig config = {.output = output, .identity = IDENTITY, .threads = 1};
        PfError err = {0};
        PfRecordFile *file;
        PfJournal *journal;
        const char *identity;
        int64_t dropped;
        ck_assert(!pf_record_file_open(path, skip, NULL, &file, &dropped, &err));
        ck_assert(!pf_record_file_append(file, PF_JOURNAL_IDENTITY, &version, sizeof version,
                                         IDENTITY, strlen(IDENTITY), NULL, &err));
        ck_assert(!pf_record_file_append(file, PF_JOURNAL_RUNTIME, cases[i].text, cases[i].size,
                                         NULL, 0, NULL, &err));
        pf_record_file_close(&file);
        ck_assert(pf_journal_open(&config, &journal, &identity, &err));
        ck_assert_msg(strstr(err.message, "another version"), "%zu: %s", i, err.message);
        unlink(path);
    }
}
END_TEST

/* ---- a full disk ---- */

START_TEST(a_full_disk_keeps_what_was_synced)
{
    PfError err, again;
    struct rlimit old;
    PfJournal *journal = open_journal(2);
    append_up_to(journal, TAP_COUNT, 30, 7);
    begin(journal, TAPS, TAP_COUNT);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    struct stat status;
    ck_assert(!stat(path, &status));
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){(rlim_t)(status.st_size + _i * 60), old.rlim_max});
    ck_assert(append(journal, TAPS, TAP_COUNT, 30, 40, &err) || pf_journal_sync(journal, &err));
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_ptr_nonnull(strstr(err.message, "File too large"));
    ck_assert_ptr_nonnull(strstr(err.message, path));
    ck_assert(append(journal, TAPS, TAP_COUNT, 30, 1, &again)); /* it stays so */
    ck_assert_str_eq(again.message, err.message);
    ck_assert(pf_journal_end(journal, &again));
    check_segment(journal, 0, TAPS, TAP_COUNT, 30);
    pf_journal_close(&journal);
    journal = open_journal(2);
    check_segment(journal, 0, TAPS, TAP_COUNT, 30);
    append_up_to(journal, TAP_COUNT, 70, 7);
    check_segment(journal, 0, TAPS, TAP_COUNT, 70);
    check_chunks(journal, TAP_COUNT, 70);
    pf_journal_close(&journal);
}
END_TEST

START_TEST(no_room_for_a_journal_leaves_none)
{
    PfError err;
    const char *identity;
    struct rlimit old;
    PfJournal *journal;
    PfJournalConfig config = {.output = output, .identity = IDENTITY, .threads = 1};
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){10, old.rlim_max});
    ck_assert(pf_journal_open(&config, &journal, &identity, &err));
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_ptr_nonnull(strstr(err.message, "File too large"));
    ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal");
    TCase *rows = tcase_create("rows"), *images = tcase_create("images");
    TCase *syncing = tcase_create("syncing"), *damage = tcase_create("damage");
    TCase *cases[] = {rows, images, syncing, damage};
    for (int i = 0; i < 4; i++) {
        tcase_add_checked_fixture(cases[i], make_folder, remove_folder);
        suite_add_tcase(suite, cases[i]);
    }
    tcase_add_loop_test(rows, rows_come_back, 0, 4);
    tcase_add_loop_test(rows, every_compression_comes_back, 0, 3);
    tcase_add_test(rows, rows_after_the_last_sync_do_not_count);
    tcase_add_loop_test(rows, resuming_keeps_chunks_aligned, 0, 4);
    tcase_add_test(rows, several_segments);
    tcase_add_test(rows, a_segment_without_a_sync_is_forgotten);
    tcase_add_test(rows, other_layouts_find_nothing_stored);
    tcase_add_test(images, rejects_come_back);
    tcase_add_test(images, what_is_lent_stays);
    tcase_add_test(images, the_identity_is_kept);
    tcase_add_test(images, one_at_a_time);
    tcase_add_test(images, peeking_changes_nothing);
    tcase_add_test(syncing, synced_by_time);
    tcase_add_test(syncing, synced_by_bytes);
    tcase_add_test(syncing, tails_are_counted_once);
    tcase_add_loop_test(damage, cut_at_every_byte, 7, 9);
    tcase_add_test(damage, cut_after_every_record);
    tcase_add_test(damage, flipped_bits_end_the_journal);
    tcase_add_test(damage, later_damage_is_found_by_reading);
    tcase_add_test(damage, records_that_make_no_sense);
    tcase_add_test(damage, few_bytes_are_not_gigabytes);
    tcase_add_test(damage, chunks_of_a_segment_that_was_left);
    tcase_add_test(damage, rows_of_other_runtimes_are_other_segments);
    tcase_add_test(damage, runtimes_that_make_no_sense);
    tcase_add_loop_test(damage, a_full_disk_keeps_what_was_synced, 0, 6);
    tcase_add_test(damage, no_room_for_a_journal_leaves_none);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures ? 1 : 0;
}
