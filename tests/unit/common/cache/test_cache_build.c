/* Building a cache from rows that lie elsewhere: every row is the one that was asked
 * for, chunks that fit are moved, and the file is byte for byte the one that is written
 * directly. */
#include <check.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/random.h"
#include "common/cache/build.h"
#include "common/cache/hdf5/internal.h"
#include "common/cache/internal.h"

enum { WIDTH = 512, MAP = 4 * 16 * 16, VECTOR_CHUNK = 512, MAP_CHUNK = 128 };

static char folder[] = "/tmp/pf_cache_build_XXXXXX";

static void make_folder(void)
{
    strcpy(folder, "/tmp/pf_cache_build_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert(!chdir(folder));
}

static void remove_folder(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -f %s/*.h5", folder);
    ck_assert(!system(command));
    ck_assert(!chdir("/"));
    ck_assert_msg(!rmdir(folder), "something was left behind in %s", folder);
}

/* ---- rows that are known by an id ---- */

static const PfCacheTap TAPS[] = {
    {.name = "vector", .shape = {1, {WIDTH}}, .dtype = PF_DTYPE_F16},
    {.name = "map", .shape = {3, {4, 16, 16}}, .dtype = PF_DTYPE_F32},
};
static const char *const CLASSES[] = {"ants", "bees", "wasps"};
static const PfCacheTarget TARGET = {
    .name = "class", .kind = PF_TARGET_CLASS, .width = 1, .classes = CLASSES, .class_count = 3};

static void fill_vector(int64_t id, uint16_t *row)
{
    PfRandom random = pf_random_seeded((uint64_t)id, 1);
    for (int i = 0; i < WIDTH; i++) row[i] = (uint16_t)(0x3000 + pf_random_u64(&random) % 1024);
}

static void fill_map(int64_t id, float *row)
{
    for (int i = 0; i < MAP; i++) row[i] = i % 3 ? 0 : (float)(id * 7 + i);
}

typedef struct Sample {
    char path[32];
    int32_t index;
} Sample;

static PfCacheSample sample_of(int64_t id, Sample *sample)
{
    snprintf(sample->path, sizeof sample->path, "img/%lld.jpg", (long long)id);
    sample->index = (int32_t)(id % 3);
    return (PfCacheSample){.path = sample->path,
                           .digest = {1, (uint8_t)id, (uint8_t)(id >> 8)},
                           .stamp = {(uint64_t)id, id + 1, id + 2},
                           .split = (PfSplit)(id % 2),
                           .class_indices = &sample->index};
}

static const PfCacheReject REJECT = {"bad.jpg", "it is no image", {3}, {4, 5, 6}};

static PfCacheWriterConfig config_of(int tap_count, PfCompression compression)
{
    return (PfCacheWriterConfig){.taps = TAPS,
                                 .tap_count = tap_count,
                                 .targets = &TARGET,
                                 .target_count = 1,
                                 .identity = "{\"a\": 1}",
                                 .provenance = "{}",
                                 .compression = compression,
                                 .threads = 2};
}

static void append_features(PfCacheWriter *writer, int tap, int64_t id)
{
    PfError err = {0};
    uint16_t vector[WIDTH];
    float map[MAP];
    fill_vector(id, vector);
    fill_map(id, map);
    ck_assert_msg(!pf_cache_writer_append_tap(writer, tap, 1,
                                              tap ? (const void *)map : (const void *)vector, &err),
                  "%s", err.message);
}

/* Rows with these ids, tap after tap. */
static void write_cache(const char *path, int tap_count, PfCompression compression,
                        const int64_t *ids, int64_t count)
{
    PfCacheWriterConfig config = config_of(tap_count, compression);
    PfCacheWriter *writer;
    PfError err = {0};
    ck_assert_msg(!pf_cache_writer_open(path, &config, &writer, &err), "%s", err.message);
    for (int64_t i = 0; i < count; i++) {
        Sample sample;
        PfCacheSample row = sample_of(ids[i], &sample);
        ck_assert(!pf_cache_writer_append_samples(writer, 1, &row, &err));
    }
    for (int t = 0; t < tap_count; t++) {
        for (int64_t i = 0; i < count; i++) append_features(writer, t, ids[i]);
        pf_cache_writer_finish_tap(writer, t);
    }
    ck_assert(!pf_cache_writer_reject(writer, &REJECT, &err));
    ck_assert_msg(!pf_cache_writer_finish(&writer, NULL, &err), "%s", err.message);
}

static int64_t *ids_from(int64_t first, int64_t count)
{
    int64_t *ids = malloc((size_t)(count + 1) * sizeof *ids);
    for (int64_t i = 0; i < count; i++) ids[i] = first + i;
    return ids;
}

static void write_range(const char *path, PfCompression compression, int64_t first, int64_t count)
{
    int64_t *ids = ids_from(first, count);
    write_cache(path, 2, compression, ids, count);
    free(ids);
}

static PfCache *open_cache(const char *path)
{
    PfCache *cache;
    PfError err = {0};
    ck_assert_msg(!pf_cache_open(path, &cache, &err), "%s", err.message);
    return cache;
}

/* ---- building ---- */

enum { MAX_SOURCES = 4 };

/* Sources hold rows of consecutive ids: of source s from first_ids[s] on. */
typedef struct Job {
    PfCache *caches[MAX_SOURCES];
    PfRowSource sources[MAX_SOURCES];
    int64_t first_ids[MAX_SOURCES];
    int source_count;
    int taps_of_source; /* nonzero: a tap's rows are in the source of its number */
    const int64_t *ids;
    Sample sample;
    volatile sig_atomic_t interrupted;
    int64_t interrupt_at, last_done, last_total; /* progress */
} Job;

static void add_source(Job *job, const char *path, int64_t first_id)
{
    int s = job->source_count++;
    job->caches[s] = open_cache(path);
    job->sources[s] = pf_cache_build_source(job->caches[s]);
    job->first_ids[s] = first_id;
}

static void close_sources(Job *job)
{
    for (int s = 0; s < job->source_count; s++) pf_cache_close(&job->caches[s]);
}

static PfRowPlace place(void *context, int tap, int64_t row)
{
    Job *job = context;
    for (int s = job->taps_of_source ? tap : 0; s < job->source_count; s++) {
        int64_t at = job->ids[row] - job->first_ids[s];
        if (at >= 0 && at < pf_cache_row_count(job->caches[s])) return (PfRowPlace){s, at};
    }
    ck_abort_msg("no source has id %lld", (long long)job->ids[row]);
}

static int sample_at(void *context, int64_t row, PfCacheSample *out, PfError *error)
{
    (void)error;
    Job *job = context;
    *out = sample_of(job->ids[row], &job->sample);
    return 0;
}

static int reject_at(void *context, int64_t index, PfCacheReject *out, PfError *error)
{
    (void)context;
    (void)error;
    ck_assert_int_eq(index, 0);
    *out = REJECT;
    return 0;
}

static void note_progress(void *context, int64_t done, int64_t total)
{
    Job *job = context;
    ck_assert(done >= job->last_done && done <= total);
    job->last_done = done;
    job->last_total = total;
    if (job->interrupt_at && done >= job->interrupt_at) job->interrupted = 1;
}

static int build(Job *job, int tap_count, PfCompression compression, const int64_t *ids,
                 int64_t count, PfCacheBuildStats *stats, PfError *err)
{
    PfCacheWriterConfig config = config_of(tap_count, compression);
    PfCacheBuildPlan plan = {.taps = config.taps,
                             .tap_count = tap_count,
                             .targets = config.targets,
                             .target_count = config.target_count,
                             .identity = config.identity,
                             .provenance = config.provenance,
                             .compression = compression,
                             .threads = 2,
                             .sources = job->sources,
                             .source_count = job->source_count,
                             .row_count = count,
                             .reject_count = 1,
                             .context = job,
                             .place = place,
                             .sample = sample_at,
                             .reject = reject_at,
                             .progress = note_progress,
                             .interrupted = &job->interrupted};
    job->ids = ids;
    job->last_done = 0;
    return pf_cache_build("out.h5", &plan, stats, err);
}

/* ---- what came out ---- */

static char *file_bytes(const char *name, size_t *size)
{
    FILE *file = fopen(name, "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert(!fseek(file, 0, SEEK_END));
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    ck_assert_uint_eq(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void check_same_files(const char *a, const char *b)
{
    size_t size_a, size_b;
    char *bytes_a = file_bytes(a, &size_a), *bytes_b = file_bytes(b, &size_b);
    ck_assert_uint_eq(size_a, size_b);
    ck_assert_msg(!memcmp(bytes_a, bytes_b, size_a), "%s and %s differ", a, b);
    free(bytes_a);
    free(bytes_b);
}

/* Out.h5 is the file that writing these rows directly makes; then so are its rows. */
static void check_result(int tap_count, PfCompression compression, const int64_t *ids,
                         int64_t count)
{
    PfError err = {0};
    uint16_t expected[WIDTH];
    write_cache("direct.h5", tap_count, compression, ids, count);
    check_same_files("out.h5", "direct.h5");
    PfCache *cache = open_cache("out.h5");
    uint16_t *rows = malloc((size_t)(count + 1) * sizeof expected);
    ck_assert_int_eq(pf_cache_row_count(cache), count);
    ck_assert_msg(!pf_cache_read(cache, 0, 0, count, rows, 2, &err), "%s", err.message);
    for (int64_t i = 0; i < count; i++) {
        fill_vector(ids[i], expected);
        if (memcmp(rows + i * WIDTH, expected, sizeof expected))
            ck_abort_msg("row %lld is not %lld", (long long)i, (long long)ids[i]);
    }
    free(rows);
    pf_cache_close(&cache);
}

static void build_and_check(Job *job, int tap_count, PfCompression compression, const int64_t *ids,
                            int64_t count, PfCacheBuildStats *stats)
{
    PfError err = {0};
    ck_assert_msg(!build(job, tap_count, compression, ids, count, stats, &err), "%s", err.message);
    ck_assert_int_eq(stats->written.rows, count);
    check_result(tap_count, compression, ids, count);
}

static int64_t chunks_of(int64_t rows)
{
    return (rows + VECTOR_CHUNK - 1) / VECTOR_CHUNK + (rows + MAP_CHUNK - 1) / MAP_CHUNK;
}

static const PfCompression COMPRESSIONS[] = {PF_COMPRESS_NONE, PF_COMPRESS_GZIP, PF_COMPRESS_ZSTD};

START_TEST(a_copy_moves_every_chunk)
{
    static const int64_t counts[] = {0, 1, 512, 1300};
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < 4; i++) {
            Job job = {0};
            PfCacheBuildStats stats;
            int64_t *ids = ids_from(0, counts[i]);
            write_range("a.h5", COMPRESSIONS[c], 0, counts[i]);
            add_source(&job, "a.h5", 0);
            build_and_check(&job, 2, COMPRESSIONS[c], ids, counts[i], &stats);
            ck_assert_int_eq(stats.chunks_moved, chunks_of(counts[i]));
            ck_assert_int_eq(stats.chunks_encoded, 0);
            ck_assert_int_eq(stats.written.rejected, 1);
            close_sources(&job);
            check_same_files("out.h5", "a.h5");
            free(ids);
        }
}
END_TEST

static void shuffle(int64_t *ids, int64_t count)
{
    PfRandom random = pf_random_seeded(9, 0);
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t j = (int64_t)(pf_random_u64(&random) % (uint64_t)(i + 1)), id = ids[i];
        ids[i] = ids[j];
        ids[j] = id;
    }
}

START_TEST(rows_in_any_order_are_gathered)
{
    Job job = {0};
    PfCacheBuildStats stats;
    int64_t *ids = ids_from(0, 1300);
    write_range("a.h5", PF_COMPRESS_ZSTD, 0, 1300);
    add_source(&job, "a.h5", 0);
    shuffle(ids, 1300);
    build_and_check(&job, 2, PF_COMPRESS_ZSTD, ids, 1300, &stats);
    ck_assert_int_eq(stats.chunks_moved, 0);
    ck_assert_int_eq(stats.chunks_encoded, chunks_of(1300));
    build_and_check(&job, 2, PF_COMPRESS_ZSTD, ids, 77, &stats); /* some of them */
    for (int i = 0; i < 1300; i++) ids[i] = i / 3;               /* some again */
    build_and_check(&job, 2, PF_COMPRESS_ZSTD, ids, 1300, &stats);
    for (int i = 0; i < 1300; i++) ids[i] = 42;
    build_and_check(&job, 2, PF_COMPRESS_ZSTD, ids, 1300, &stats);
    close_sources(&job);
    free(ids);
}
END_TEST

START_TEST(chunks_before_a_change_are_moved)
{
    Job job = {0};
    PfCacheBuildStats stats;
    int64_t *ids = ids_from(0, 1299);
    write_range("a.h5", PF_COMPRESS_ZSTD, 0, 1300);
    add_source(&job, "a.h5", 0);
    for (int i = 600; i < 1299; i++) ids[i]++; /* one is gone */
    build_and_check(&job, 2, PF_COMPRESS_ZSTD, ids, 1299, &stats);
    ck_assert_int_eq(stats.chunks_moved, 1 + 600 / MAP_CHUNK);
    ck_assert_int_eq(stats.chunks_moved + stats.chunks_encoded, chunks_of(1299));
    int64_t swap = ids[1000]; /* between chunks that stay */
    for (int i = 0; i < 1299; i++) ids[i] = i;
    ids[1000] = ids[600];
    ids[600] = swap;
    build_and_check(&job, 2, PF_COMPRESS_ZSTD, ids, 1280, &stats);
    ck_assert_int_eq(stats.chunks_encoded, 2 + 2); /* the vectors' last chunk is cut */
    close_sources(&job);
    free(ids);
}
END_TEST

START_TEST(another_compression_is_encoded_again)
{
    int64_t *ids = ids_from(0, 700);
    for (size_t from = 0; from < 3; from++)
        for (size_t to = 0; to < 3; to++) {
            Job job = {0};
            PfCacheBuildStats stats;
            write_range("a.h5", COMPRESSIONS[from], 0, 700);
            add_source(&job, "a.h5", 0);
            build_and_check(&job, 2, COMPRESSIONS[to], ids, 700, &stats);
            ck_assert_int_eq(stats.chunks_moved, from == to ? chunks_of(700) : 0);
            close_sources(&job);
        }
    free(ids);
}
END_TEST

/* ---- several sources ---- */

START_TEST(sources_follow_each_other)
{
    Job job = {0};
    PfCacheBuildStats stats;
    int64_t *ids = ids_from(0, 2048);
    write_range("a.h5", PF_COMPRESS_ZSTD, 0, 1024);
    write_range("b.h5", PF_COMPRESS_ZSTD, 1024, 300); /* ends within a chunk */
    write_range("c.h5", PF_COMPRESS_NONE, 1324, 724);
    add_source(&job, "a.h5", 0);
    add_source(&job, "b.h5", 1024);
    add_source(&job, "c.h5", 1324);
    build_and_check(&job, 2, PF_COMPRESS_ZSTD, ids, 2048, &stats);
    ck_assert_int_eq(stats.chunks_moved, 2 + 10); /* of vectors; of maps, two of b.h5's */
    build_and_check(&job, 2, PF_COMPRESS_ZSTD, ids, 1324, &stats);
    ck_assert_int_eq(stats.chunks_moved, chunks_of(1324));
    shuffle(ids, 2048);
    build_and_check(&job, 2, PF_COMPRESS_ZSTD, ids, 2048, &stats);
    ck_assert_int_eq(stats.chunks_moved, 0);
    close_sources(&job);
    free(ids);
}
END_TEST

/* A tap that was added later: its rows alone are in another file. */
static void write_one_tap(const char *path, int tap, int64_t count)
{
    PfCacheWriterConfig config = config_of(1, PF_COMPRESS_ZSTD);
    PfCacheWriter *writer;
    PfError err;
    Sample sample;
    config.taps = &TAPS[tap];
    ck_assert(!pf_cache_writer_open(path, &config, &writer, &err));
    for (int64_t id = 0; id < count; id++) {
        PfCacheSample row = sample_of(id, &sample);
        uint16_t vector[WIDTH];
        float map[MAP];
        fill_vector(id, vector);
        fill_map(id, map);
        const void *features = tap ? (const void *)map : (const void *)vector;
        ck_assert(!pf_cache_writer_append(writer, 1, &row, &features, &err));
    }
    ck_assert(!pf_cache_writer_finish(&writer, NULL, &err));
}

START_TEST(taps_may_come_from_different_sources)
{
    Job job = {.taps_of_source = 1};
    PfCacheBuildStats stats;
    PfError err = {0};
    int64_t *ids = ids_from(0, 1000);
    write_one_tap("a.h5", 0, 1000);
    write_one_tap("b.h5", 1, 1000);
    add_source(&job, "a.h5", 0);
    add_source(&job, "b.h5", 0);
    build_and_check(&job, 2, PF_COMPRESS_ZSTD, ids, 1000, &stats);
    ck_assert_int_eq(stats.chunks_moved, chunks_of(1000));
    job.taps_of_source = 0; /* all from a.h5, which lacks the maps */
    ck_assert(build(&job, 2, PF_COMPRESS_ZSTD, ids, 1000, &stats, &err));
    ck_assert_msg(strstr(err.message, "'a.h5' has no features of tap 'map'"), "%s", err.message);
    close_sources(&job);
    free(ids);
}
END_TEST

/* As another program writes it: gzip alone, in chunks; contiguous where chunk_rows is 0. */
static void write_foreign(const char *path, int64_t count, hsize_t chunk_rows)
{
    hsize_t dims[2] = {(hsize_t)count, WIDTH}, chunk[2] = {chunk_rows, WIDTH};
    uint16_t *rows = malloc((size_t)count * WIDTH * sizeof *rows);
    for (int64_t id = 0; id < count; id++) fill_vector(id, rows + id * WIDTH);
    pf_hdf5_lock();
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t group = pf_hdf5_create_group(file, "features"), type = pf_hdf5_type(PF_DTYPE_F16);
    hid_t space = H5Screate_simple(2, dims, NULL), properties = H5Pcreate(H5P_DATASET_CREATE);
    if (chunk_rows) {
        H5Pset_chunk(properties, 2, chunk);
        H5Pset_deflate(properties, 1);
    }
    hid_t dataset = H5Dcreate2(group, "vector", type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows), 0);
    ck_assert(!pf_hdf5_write_text_attribute(file, "format", PF_CACHE_FORMAT));
    ck_assert(!pf_hdf5_write_int_attribute(file, "format_version", PF_CACHE_FORMAT_VERSION));
    H5Dclose(dataset);
    H5Pclose(properties);
    H5Sclose(space);
    H5Gclose(group);
    H5Fclose(file);
    pf_hdf5_unlock();
    free(rows);
}

START_TEST(files_of_other_programs_are_sources)
{
    static const hsize_t chunks[] = {0, 100, 512, 1300};
    int64_t *ids = ids_from(0, 1300);
    for (size_t i = 0; i < 4; i++) {
        Job job = {0};
        PfCacheBuildStats stats;
        write_foreign("a.h5", 1300, chunks[i]);
        add_source(&job, "a.h5", 0);
        build_and_check(&job, 1, PF_COMPRESS_GZIP, ids, 1300, &stats);
        ck_assert_int_eq(stats.chunks_moved, 0); /* they lack shuffle and Fletcher-32 */
        shuffle(ids, 1300);
        build_and_check(&job, 1, PF_COMPRESS_GZIP, ids, 1300, &stats);
        close_sources(&job);
        for (int64_t row = 0; row < 1300; row++) ids[row] = row;
    }
    free(ids);
}
END_TEST

/* ---- more than one batch ---- */

enum { BIG_SIDE = 512, BIG_ROWS = 300 };

static PfRowPlace place_backwards(void *context, int tap, int64_t row)
{
    (void)context;
    (void)tap;
    return (PfRowPlace){0, BIG_ROWS - 1 - row};
}

/* Some noise, for no reader takes a file that compresses a thousandfold. */
static void fill_big(unsigned char *row, size_t size, int64_t id)
{
    uint32_t noise = (uint32_t)id + 1;
    memset(row, (int)id, size);
    for (size_t i = 0; i < 4096; i++)
        row[i] = (unsigned char)((noise = noise * 1664525u + 1013904223u) >> 24);
}

START_TEST(gathering_takes_bounded_steps)
{
    PfCacheTap tap = {.name = "big", .shape = {2, {BIG_SIDE, BIG_SIDE}}, .dtype = PF_DTYPE_U8};
    PfCacheWriterConfig config = config_of(1, PF_COMPRESS_ZSTD);
    PfCacheWriter *writer;
    PfError err = {0};
    Sample sample;
    size_t size = (size_t)BIG_SIDE * BIG_SIDE;
    unsigned char *row = malloc(size), *expected = malloc(size);
    Job job = {0};
    int64_t *ids = ids_from(0, BIG_ROWS);
    config.taps = &tap;
    ck_assert(!pf_cache_writer_open("a.h5", &config, &writer, &err));
    for (int64_t id = 0; id < BIG_ROWS; id++) {
        PfCacheSample info = sample_of(id, &sample);
        const void *features = row;
        fill_big(row, size, id);
        ck_assert(!pf_cache_writer_append(writer, 1, &info, &features, &err));
    }
    ck_assert(!pf_cache_writer_finish(&writer, NULL, &err));
    add_source(&job, "a.h5", 0);
    job.ids = ids;
    PfCacheBuildPlan plan = {.taps = &tap,
                             .tap_count = 1,
                             .targets = &TARGET,
                             .target_count = 1,
                             .identity = "{}",
                             .provenance = "{}",
                             .compression = PF_COMPRESS_ZSTD,
                             .threads = 2,
                             .sources = job.sources,
                             .source_count = 1,
                             .row_count = BIG_ROWS,
                             .context = &job,
                             .place = place_backwards,
                             .sample = sample_at};
    ck_assert_msg(!pf_cache_build("out.h5", &plan, NULL, &err), "%s", err.message);
    PfCache *cache = open_cache("out.h5");
    for (int64_t i = 0; i < BIG_ROWS; i++) {
        ck_assert(!pf_cache_read(cache, 0, i, 1, row, 1, &err));
        fill_big(expected, size, BIG_ROWS - 1 - i);
        if (memcmp(row, expected, size)) ck_abort_msg("row %lld is another", (long long)i);
    }
    pf_cache_close(&cache);
    close_sources(&job);
    free(row);
    free(expected);
    free(ids);
}
END_TEST

/* ---- what goes wrong ---- */

/* Building fails, and what was at out.h5 is still there. */
static void check_fails(Job *job, const int64_t *ids, int64_t count, PfExit code, const char *words)
{
    size_t before_size, after_size;
    PfError err = {0};
    write_range("out.h5", PF_COMPRESS_GZIP, 5, 9);
    char *before = file_bytes("out.h5", &before_size);
    ck_assert_int_eq(build(job, 2, PF_COMPRESS_ZSTD, ids, count, NULL, &err), -1);
    ck_assert_int_eq(err.exit_code, code);
    ck_assert_msg(strstr(err.message, words), "%s", err.message);
    char *after = file_bytes("out.h5", &after_size);
    ck_assert(before_size == after_size && !memcmp(before, after, before_size));
    free(before);
    free(after);
}

START_TEST(an_interrupt_leaves_the_old_file)
{
    int64_t *ids = ids_from(0, 1300);
    write_range("a.h5", PF_COMPRESS_ZSTD, 0, 1300);
    for (int shuffled = 0; shuffled < 2; shuffled++) {
        Job job = {.interrupt_at = 1024};
        add_source(&job, "a.h5", 0);
        check_fails(&job, ids, 1300, PF_EXIT_INTERRUPTED, "interrupted");
        ck_assert_int_eq(job.last_total, 2600);
        close_sources(&job);
        shuffle(ids, 1300);
    }
    free(ids);
}
END_TEST

START_TEST(a_damaged_chunk_is_no_source)
{
    int64_t *ids = ids_from(0, 1300);
    size_t size;
    write_range("a.h5", PF_COMPRESS_ZSTD, 0, 1300);
    char *bytes = file_bytes("a.h5", &size);
    for (int shuffled = 0; shuffled < 2; shuffled++) {
        Job job = {0};
        add_source(&job, "a.h5", 0);
        FILE *file = fopen("a.h5", "r+b");
        fseek(file, 300 * 1024, SEEK_SET); /* among the vectors */
        fputc(bytes[300 * 1024] ^ 1, file);
        fclose(file);
        check_fails(&job, ids, 1300, PF_EXIT_FAILED,
                    "'a.h5': rows 0 to 511 of /features/vector cannot be read: the checksum");
        close_sources(&job);
        file = fopen("a.h5", "r+b");
        fseek(file, 300 * 1024, SEEK_SET);
        fputc(bytes[300 * 1024], file);
        fclose(file);
        shuffle(ids, 1300);
    }
    free(bytes);
    free(ids);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache_build");
    TCase *rows = tcase_create("rows");
    tcase_set_timeout(rows, 120);
    tcase_add_checked_fixture(rows, make_folder, remove_folder);
    tcase_add_test(rows, a_copy_moves_every_chunk);
    tcase_add_test(rows, rows_in_any_order_are_gathered);
    tcase_add_test(rows, chunks_before_a_change_are_moved);
    tcase_add_test(rows, another_compression_is_encoded_again);
    tcase_add_test(rows, sources_follow_each_other);
    tcase_add_test(rows, taps_may_come_from_different_sources);
    tcase_add_test(rows, files_of_other_programs_are_sources);
    tcase_add_test(rows, gathering_takes_bounded_steps);
    suite_add_tcase(suite, rows);
    TCase *failures = tcase_create("failures");
    tcase_set_timeout(failures, 120);
    tcase_add_checked_fixture(failures, make_folder, remove_folder);
    tcase_add_test(failures, an_interrupt_leaves_the_old_file);
    tcase_add_test(failures, a_damaged_chunk_is_no_source);
    suite_add_tcase(suite, failures);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
