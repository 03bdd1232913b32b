/* The feature cache: what is written is what is read, whatever the dtype, the
 * shape, the compression and the number of threads; what is not a cache is said
 * to be none. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "permafrost/feature_cache.h"

static char folder[] = "/tmp/pf_feature_cache_XXXXXX";
static char path[sizeof folder + 16];

static void make_folder(void)
{
    strcpy(folder, "/tmp/pf_feature_cache_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/cache.h5", folder);
}

static void remove_folder(void)
{
    unlink(path);
    ck_assert_msg(!rmdir(folder), "something was left behind in %s", folder);
}

/* ---- a cache whose every number is known ---- */

static const char *const CLASSES[] = {"ants", "bees", "S\xc3\xa4gewespen"};
static const char *const LABELS[] = {"red", "round"};
static const char *const POINTS[] = {"left", "right"};
static const PfCacheTarget TARGETS[] = {
    {.name = "class", .kind = PF_TARGET_CLASS, .width = 1, .classes = CLASSES, .class_count = 3},
    {.name = "age", .kind = PF_TARGET_REGRESSION, .width = 2},
    {.name = "tags", .kind = PF_TARGET_MULTILABEL, .width = 2, .classes = LABELS, .class_count = 2},
    {.name = "eyes", .kind = PF_TARGET_KEYPOINTS, .width = 4, .classes = POINTS, .class_count = 2},
    {.name = "nose", .kind = PF_TARGET_KEYPOINTS, .width = 2},
};
enum { TARGET_COUNT = 5, VALUES = 10 };

/* Bits of element i of a tap: half-zero values that every dtype can hold. */
static float element(int tap, int64_t i)
{
    uint64_t x = (uint64_t)(i * 2 + tap + 1) * 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    return x & 1 ? 0 : (float)(x >> 33 & 255);
}

static void store(void *out, PfDtype dtype, int64_t i, float value)
{
    if (dtype == PF_DTYPE_F32) ((float *)out)[i] = value;
    if (dtype == PF_DTYPE_F16) ((uint16_t *)out)[i] = pf_f16_from_f32(value);
    if (dtype == PF_DTYPE_U8) ((uint8_t *)out)[i] = (uint8_t)value;
}

typedef struct Row {
    char path[64];
    int32_t index;
    float values[VALUES];
    PfCacheSample sample;
} Row;

static void make_row(int64_t i, Row *row)
{
    snprintf(row->path, sizeof row->path, "train/\xc3\xa4/%lld%s.jpg", (long long)i,
             i % 5 ? "" : "\xff\xfe");
    row->index = (int32_t)(i % 4) - 1;
    row->values[0] = (float)i / 2;
    row->values[1] = i % 3 ? 1 : NAN;
    row->values[2] = (float)(i & 1);
    row->values[3] = i % 7 ? 0 : NAN;
    for (int v = 4; v < VALUES; v++) row->values[v] = i % 11 ? (float)(i * v) + 0.25f : NAN;
    row->sample = (PfCacheSample){
        .path = row->path,
        .split = (PfSplit)(i % 3),
        .stamp = {(uint64_t)i + ((uint64_t)1 << 40), -i, 3 * i},
        .class_indices = &row->index,
        .values = row->values,
        .width = (int32_t)(i + 1),
        .height = (int32_t)(2 * i + 3),
    };
    memset(row->sample.digest, (int)i, sizeof row->sample.digest);
}

static PfCacheWriterConfig config_of(const PfCacheTap *taps, int tap_count,
                                     PfCompression compression, int threads)
{
    return (PfCacheWriterConfig){
        .taps = taps,
        .tap_count = tap_count,
        .targets = TARGETS,
        .target_count = TARGET_COUNT,
        .identity = "{\"backbone\": \"caf\xc3\xa9\"}",
        .provenance = "{\"threads\": 7}",
        .compression = compression,
        .threads = threads,
    };
}

/* Rows [first, first + count) through one append. */
static int append(PfCacheWriter *writer, const PfCacheTap *taps, int tap_count, int64_t first,
                  int count, PfError *err)
{
    Row *rows = calloc((size_t)count + 1, sizeof *rows);
    PfCacheSample *samples = calloc((size_t)count + 1, sizeof *samples);
    void *features[4] = {0};
    for (int i = 0; i < count; i++) {
        make_row(first + i, &rows[i]);
        samples[i] = rows[i].sample;
    }
    for (int t = 0; t < tap_count; t++) {
        int64_t size = pf_shape_count(&taps[t].shape);
        features[t] = malloc((size_t)(count * size + 1) * 4);
        for (int64_t i = 0; i < count * size; i++)
            store(features[t], taps[t].dtype, i, element(t, first * size + i));
    }
    int failed = pf_cache_writer_append(writer, count, samples, (const void *const *)features, err);
    for (int t = 0; t < tap_count; t++) free(features[t]);
    free(samples);
    free(rows);
    return failed;
}

static void write_cache(const PfCacheTap *taps, int tap_count, PfCompression compression,
                        int threads, int64_t rows, int batch, PfCacheWriterStats *stats)
{
    PfCacheWriterConfig config = config_of(taps, tap_count, compression, threads);
    PfCacheWriter *writer;
    PfError err = {0};
    ck_assert_msg(!pf_cache_writer_open(path, &config, &writer, &err), "%s", err.message);
    for (int64_t row = 0; row < rows; row += batch) {
        int count = rows - row < batch ? (int)(rows - row) : batch;
        ck_assert_msg(!append(writer, taps, tap_count, row, count, &err), "%s", err.message);
    }
    PfCacheReject reject = {.path = "bad/\xe2\x98\x83.jpg",
                            .reason = "it is no image",
                            .digest = {7, 8},
                            .stamp = {5, -6, 7}};
    ck_assert(!pf_cache_writer_reject(writer, &reject, &err));
    ck_assert_msg(!pf_cache_writer_finish(&writer, stats, &err), "%s", err.message);
    ck_assert_ptr_null(writer);
}

static PfCache *open_cache(void)
{
    PfCache *cache;
    PfError err = {0};
    ck_assert_msg(!pf_cache_open(path, &cache, &err), "%s", err.message);
    return cache;
}

static void check_features(PfCache *cache, int tap, int64_t first, int64_t count, int threads)
{
    const PfCacheTap *info = pf_cache_tap(cache, tap);
    int64_t size = pf_shape_count(&info->shape);
    size_t bytes = (size_t)(count * size) * pf_dtype_size(info->dtype);
    float *values = malloc((size_t)(count * size + 1) * sizeof *values);
    char *stored = malloc(bytes + 4), *expected = malloc(bytes + 4);
    PfError err = {0};
    ck_assert_msg(!pf_cache_read_f32(cache, tap, first, count, values, threads, &err), "%s",
                  err.message);
    ck_assert_msg(!pf_cache_read(cache, tap, first, count, stored, threads, &err), "%s",
                  err.message);
    for (int64_t i = 0; i < count * size; i++) {
        float value = element(tap, first * size + i);
        if (values[i] != value) /* an assertion that holds costs a write */
            ck_abort_msg("tap %d element %lld is %g, not %g", tap, (long long)i, values[i], value);
        store(expected, info->dtype, i, value);
    }
    ck_assert(!memcmp(stored, expected, bytes));
    free(values);
    free(stored);
    free(expected);
}

static void check_target(const PfCacheTarget *found, const PfCacheTarget *expected)
{
    ck_assert_str_eq(found->name, expected->name);
    ck_assert_int_eq(found->kind, expected->kind);
    ck_assert_int_eq(found->width, expected->width);
    ck_assert_int_eq(found->class_count, expected->class_count);
    for (int c = 0; c < expected->class_count; c++)
        ck_assert_str_eq(found->classes[c], expected->classes[c]);
}

/* first: of the target's numbers in a row's values. */
static void check_values(PfCache *cache, int target, int first)
{
    int64_t rows = pf_cache_row_count(cache);
    int width = TARGETS[target].width;
    float *values = malloc((size_t)(rows + 1) * (size_t)width * sizeof *values);
    PfError err = {0};
    ck_assert_msg(!pf_cache_read_values(cache, target, values, &err), "%s", err.message);
    for (int64_t i = 0; i < rows; i++) {
        Row row;
        make_row(i, &row);
        for (int v = 0; v < width; v++) {
            float found = values[i * width + v], expected = row.values[first + v];
            ck_assert(found == expected || (isnan(found) && isnan(expected)));
        }
    }
    free(values);
}

static void check_targets(PfCache *cache)
{
    int64_t rows = pf_cache_row_count(cache);
    int32_t *indices = malloc((size_t)(rows + 1) * sizeof *indices);
    PfError err = {0};
    ck_assert_int_eq(pf_cache_target_count(cache), TARGET_COUNT);
    for (int t = 0; t < TARGET_COUNT; t++) check_target(pf_cache_target(cache, t), &TARGETS[t]);
    ck_assert(!pf_cache_read_classes(cache, 0, indices, &err));
    for (int64_t i = 0; i < rows; i++) {
        Row row;
        make_row(i, &row);
        ck_assert_int_eq(indices[i], row.index);
    }
    free(indices);
    for (int t = 1, first = 0; t < TARGET_COUNT; first += TARGETS[t++].width)
        check_values(cache, t, first);
}

static void check_image_sizes(PfCache *cache)
{
    int64_t rows = pf_cache_row_count(cache);
    int32_t *widths = malloc((size_t)(rows + 1) * sizeof *widths);
    int32_t *heights = malloc((size_t)(rows + 1) * sizeof *heights);
    PfError err = {0};
    ck_assert_msg(!pf_cache_read_image_sizes(cache, widths, heights, &err), "%s", err.message);
    for (int64_t i = 0; i < rows; i++) {
        ck_assert_int_eq(widths[i], i + 1);
        ck_assert_int_eq(heights[i], 2 * i + 3);
    }
    free(widths);
    free(heights);
}

static void check_samples(PfCache *cache)
{
    const char *const *paths;
    const PfCacheReject *rejects;
    PfError err = {0};
    ck_assert_msg(!pf_cache_paths(cache, &paths, &err), "%s", err.message);
    for (int64_t i = 0; i < pf_cache_row_count(cache); i++) {
        Row row;
        make_row(i, &row);
        ck_assert_str_eq(paths[i], row.path);
        ck_assert_int_eq(pf_cache_splits(cache)[i], row.sample.split);
    }
    ck_assert_int_eq(pf_cache_rejected_count(cache), 1);
    ck_assert_msg(!pf_cache_rejects(cache, &rejects, &err), "%s", err.message);
    ck_assert_str_eq(rejects[0].path, "bad/\xe2\x98\x83.jpg");
    ck_assert_str_eq(rejects[0].reason, "it is no image");
    ck_assert_int_eq(rejects[0].digest[1], 8);
    ck_assert_int_eq(rejects[0].stamp.mtime_ns, -6);
    ck_assert_int_eq(rejects[0].stamp.ctime_ns, 7);
    ck_assert_str_eq(pf_cache_identity(cache), "{\"backbone\": \"caf\xc3\xa9\"}");
    ck_assert_str_eq(pf_cache_provenance(cache), "{\"threads\": 7}");
}

static const PfCacheTap TAPS[] = {
    {.name = "avgpool", .shape = {1, {512}}, .dtype = PF_DTYPE_F16},
    {.name = "logits", .shape = {1, {10}}, .dtype = PF_DTYPE_F32},
    {.name = "layer3.1.conv2", .shape = {3, {256, 14, 14}}, .dtype = PF_DTYPE_F16},
    {.name = "input", .shape = {3, {3, 8, 9}}, .dtype = PF_DTYPE_U8},
};
static const PfCompression COMPRESSIONS[] = {PF_COMPRESS_NONE, PF_COMPRESS_GZIP, PF_COMPRESS_ZSTD};

START_TEST(rows_come_back_around_chunk_boundaries)
{
    /* A chunk of avgpool is 512 rows. */
    static const int64_t counts[] = {0, 1, 2, 511, 512, 513, 1024, 1500};
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            PfCacheWriterStats stats;
            write_cache(TAPS, 1, COMPRESSIONS[c], 2, counts[i], 100, &stats);
            ck_assert_int_eq(stats.rows, counts[i]);
            ck_assert_int_eq(stats.rejected, 1);
            ck_assert_int_eq(stats.raw_bytes, counts[i] * 1024);
            PfCache *cache = open_cache();
            ck_assert_int_eq(pf_cache_row_count(cache), counts[i]);
            check_features(cache, 0, 0, counts[i], 2);
            check_targets(cache);
            check_image_sizes(cache);
            check_samples(cache);
            pf_cache_close(&cache);
        }
}
END_TEST

/* A cache of one row with one target of these numbers. */
static void write_target(const PfCacheTarget *target, const float *values)
{
    static const float feature = 1;
    const PfCacheTap tap = {.name = "x", .shape = {1, {1}}, .dtype = PF_DTYPE_F32};
    const void *features = &feature;
    PfCacheSample sample = {.path = "a.jpg", .values = values};
    PfCacheWriterConfig config = config_of(&tap, 1, PF_COMPRESS_NONE, 1);
    PfCacheWriter *writer;
    PfError err;
    config.targets = target;
    config.target_count = 1;
    ck_assert(!pf_cache_writer_open(path, &config, &writer, &err));
    ck_assert(!pf_cache_writer_append(writer, 1, &sample, &features, &err));
    ck_assert(!pf_cache_writer_finish(&writer, NULL, &err));
}

static void check_target_refused(const PfCacheTarget *target, const float *values,
                                 const char *message)
{
    float out[4];
    PfCache *cache = NULL;
    PfError err = {0};
    write_target(target, values);
    if (!pf_cache_open(path, &cache, &err)) ck_assert(pf_cache_read_values(cache, 0, out, &err));
    pf_cache_close(&cache);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s", err.message);
}

START_TEST(targets_that_make_no_sense_are_refused)
{
    static const float values[] = {1, INFINITY, 2};
    PfCacheTarget target = {.name = "t", .kind = PF_TARGET_KEYPOINTS, .width = 3};
    check_target_refused(&target, values, "x and y in turn");
    target.width = 2;
    check_target_refused(&target, values, "row 0 of /targets/t has the number inf");
    target.classes = LABELS;
    target.class_count = 2;
    check_target_refused(&target, values, "has 2 names for 1 points");
    target.kind = PF_TARGET_MULTILABEL;
    check_target_refused(&target, values + 1, "expected 0 to 1");
    target.width = 3;
    check_target_refused(&target, values, "has 2 names for 3 labels");
}
END_TEST

START_TEST(labels_without_names_are_numbered)
{
    static const float values[] = {1, NAN};
    PfCacheTarget target = {.name = "t", .kind = PF_TARGET_MULTILABEL, .width = 2};
    write_target(&target, values);
    PfCache *cache = open_cache();
    ck_assert_int_eq(pf_cache_target(cache, 0)->class_count, 2);
    ck_assert_str_eq(pf_cache_target(cache, 0)->classes[1], "1");
    pf_cache_close(&cache);
}
END_TEST

START_TEST(image_sizes_that_are_not_known_are_an_error_for_who_asks)
{
    int32_t width, height;
    PfCacheTarget target = {.name = "t", .kind = PF_TARGET_REGRESSION, .width = 1};
    PfError err;
    write_target(&target, &(float){1});
    PfCache *cache = open_cache();
    ck_assert(pf_cache_read_image_sizes(cache, &width, &height, &err));
    ck_assert_msg(strstr(err.message, "how large the image of row 0 was") != NULL, "%s",
                  err.message);
    pf_cache_close(&cache);
}
END_TEST

START_TEST(every_dtype_and_shape_comes_back)
{
    for (size_t c = 0; c < 3; c++) {
        write_cache(TAPS, 4, COMPRESSIONS[c], 3, 47, 10, NULL);
        PfCache *cache = open_cache();
        ck_assert_int_eq(pf_cache_tap_count(cache), 4);
        for (int t = 0; t < 4; t++) {
            const PfCacheTap *tap = pf_cache_tap(cache, t);
            ck_assert_str_eq(tap->name, TAPS[t].name); /* in the order they were given */
            ck_assert_int_eq(tap->dtype, TAPS[t].dtype);
            ck_assert(pf_shape_equal(&tap->shape, &TAPS[t].shape));
            for (int64_t first = 0; first < 47; first += 6)
                check_features(cache, t, first, 47 - first < 13 ? 47 - first : 13, 2);
        }
        pf_cache_close(&cache);
    }
}
END_TEST

/* ---- threads ---- */

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

START_TEST(the_file_depends_neither_on_threads_nor_on_the_time)
{
    static const int threads[] = {1, 2, 7};
    size_t first_size = 0, size;
    char *first = NULL;
    for (int i = 0; i < 3; i++) {
        write_cache(TAPS, 2, PF_COMPRESS_ZSTD, threads[i], 1100, 64, NULL);
        char *bytes = file_bytes(path, &size);
        if (!first) {
            first = bytes;
            first_size = size;
            usleep(1100000); /* HDF5 counts seconds */
            continue;
        }
        ck_assert_uint_eq(size, first_size);
        ck_assert(!memcmp(bytes, first, size));
        free(bytes);
    }
    free(first);
    PfCache *cache = open_cache();
    for (int i = 0; i < 3; i++) check_features(cache, 1, 17, 1000, threads[i]);
    pf_cache_close(&cache);
}
END_TEST

static void *write_and_read(void *name)
{
    PfCacheWriterConfig config = config_of(TAPS, 2, PF_COMPRESS_ZSTD, 2);
    PfCacheWriter *writer;
    PfCache *cache;
    PfError err;
    float *out = malloc(40 * 512 * sizeof *out);
    int failed = pf_cache_writer_open(name, &config, &writer, &err);
    for (int i = 0; i < 10 && !failed; i++) failed = append(writer, TAPS, 2, i * 4, 4, &err);
    if (!failed) failed = pf_cache_writer_finish(&writer, NULL, &err);
    if (!failed) failed = pf_cache_open(name, &cache, &err);
    if (!failed) {
        failed = pf_cache_read_f32(cache, 0, 0, 40, out, 2, &err) || out[777] != element(0, 777);
        pf_cache_close(&cache);
    }
    free(out);
    return failed ? "failed" : NULL;
}

START_TEST(two_caches_may_be_used_by_two_threads)
{
    pthread_t threads[2];
    char names[2][sizeof path + 8];
    for (int i = 0; i < 2; i++) {
        snprintf(names[i], sizeof names[i], "%s.%d", path, i);
        ck_assert(!pthread_create(&threads[i], NULL, write_and_read, names[i]));
    }
    for (int i = 0; i < 2; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
        unlink(names[i]);
    }
}
END_TEST

/* ---- what goes wrong in writing ---- */

START_TEST(giving_up_leaves_the_old_file_alone)
{
    PfCacheWriterConfig config = config_of(TAPS, 2, PF_COMPRESS_ZSTD, 2);
    PfCacheWriter *writer;
    PfError err;
    size_t size, size_after;
    write_cache(TAPS, 1, PF_COMPRESS_ZSTD, 1, 10, 10, NULL);
    char *before = file_bytes(path, &size);
    ck_assert(!pf_cache_writer_open(path, &config, &writer, &err));
    ck_assert(!append(writer, TAPS, 2, 0, 700, &err));
    pf_cache_writer_abandon(&writer);
    ck_assert_ptr_null(writer);
    char *after = file_bytes(path, &size_after);
    ck_assert_uint_eq(size, size_after);
    ck_assert(!memcmp(before, after, size));
    free(before);
    free(after);
    unlink(path);
    ck_assert(!pf_cache_writer_open(path, &config, &writer, &err));
    pf_cache_writer_abandon(&writer);
    pf_cache_writer_abandon(&writer);
    ck_assert(access(path, F_OK));
}
END_TEST

/* A limit, unlike a disk, stays full when the file is cut, and then HDF5 drops
 * what it could not write without freeing it. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

/* Writes until the first error; the file may grow to `limit` bytes. */
static int write_with_limit(rlim_t limit, PfError *err)
{
    PfCacheWriterConfig config = config_of(TAPS, 2, PF_COMPRESS_ZSTD, 2);
    struct rlimit old, new;
    PfCacheWriter *writer;
    getrlimit(RLIMIT_FSIZE, &old);
    new = (struct rlimit){.rlim_cur = limit, .rlim_max = old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &new);
    int failed = pf_cache_writer_open(path, &config, &writer, err), append_failed = 0;
    if (!failed) {
        for (int i = 0; i < 12 && !failed; i++) failed = append(writer, TAPS, 2, i * 50, 50, err);
        append_failed = failed;
        failed = pf_cache_writer_finish(&writer, NULL, err);
    }
    setrlimit(RLIMIT_FSIZE, &old);
    if (append_failed) ck_assert(failed);
    return failed;
}

START_TEST(a_full_disk_is_an_error_and_leaves_nothing)
{
    PfError err;
    struct stat status;
    int failures = 0;
    signal(SIGXFSZ, SIG_IGN); /* then a write past the limit fails with EFBIG */
    ck_assert(!write_with_limit(RLIM_INFINITY, &err));
    ck_assert(!stat(path, &status));
    unlink(path);
    for (rlim_t limit = 0; limit < (rlim_t)status.st_size; limit += limit < 4096 ? 300 : 8000) {
        ck_assert(write_with_limit(limit, &err));
        ck_assert_msg(strstr(err.message, path) && strstr(err.message, "File too large"), "%s",
                      err.message);
        ck_assert(access(path, F_OK));
        failures++;
    }
    ck_assert_int_gt(failures, 30);
    ck_assert(write_with_limit((rlim_t)status.st_size - 1, &err));
    ck_assert(!write_with_limit((rlim_t)status.st_size, &err));
}
END_TEST

static void check_refused(const PfCacheWriterConfig *config, const char *name, const char *words)
{
    PfCacheWriter *writer = NULL;
    PfError err = {0};
    ck_assert_int_eq(pf_cache_writer_open(name, config, &writer, &err), -1);
    ck_assert_msg(strstr(err.message, words), "%s", err.message);
    ck_assert_ptr_null(writer);
}

START_TEST(what_cannot_be_written_is_refused_at_once)
{
    char name[sizeof path + 32];
    PfCacheWriterConfig config = config_of(TAPS, 1, PF_COMPRESS_ZSTD, 1);
    snprintf(name, sizeof name, "%s/none/cache.h5", folder);
    check_refused(&config, name, "cannot write");
    check_refused(&config, folder, "it is a directory");
    PfCacheTap slash = {.name = "layer3/conv", .shape = {1, {4}}, .dtype = PF_DTYPE_F16};
    config.taps = &slash;
    check_refused(&config, path, "'layer3/conv' cannot be stored");
    PfCacheTap empty = {.name = "layer3", .shape = {2, {4, 0}}, .dtype = PF_DTYPE_F16};
    config.taps = &empty;
    check_refused(&config, path, "rows of 0 bytes");
    PfCacheTap twice[] = {TAPS[0], TAPS[0]};
    config.taps = twice;
    config.tap_count = 2;
    check_refused(&config, path, "cannot write");
}
END_TEST

/* ---- what goes wrong in reading ---- */

static void check_not_opened(const char *name, const char *words)
{
    PfCache *cache = NULL;
    PfError err = {0};
    ck_assert_int_eq(pf_cache_open(name, &cache, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_FAILED);
    ck_assert_msg(strstr(err.message, name) && strstr(err.message, words), "%s", err.message);
    ck_assert_ptr_null(cache);
}

static void put_bytes(const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

START_TEST(what_is_no_cache_is_said_to_be_none)
{
    check_not_opened(path, "No such file");
    check_not_opened(folder, "is a folder, not a file");
    put_bytes("", 0);
    check_not_opened(path, "it is empty");
    put_bytes("\xff\xd8\xff\xe0\0\x10JFIF\0\1", 12);
    check_not_opened(path, "it begins with '......JFIF..'");
    put_bytes("path,label\n1.jpg,cat\n", 21);
    check_not_opened(path, "it begins with 'path,label.1.jpg'");
}
END_TEST

START_TEST(a_file_cut_anywhere_is_not_opened)
{
    size_t size;
    write_cache(TAPS, 1, PF_COMPRESS_ZSTD, 1, 600, 100, NULL);
    char *bytes = file_bytes(path, &size);
    for (size_t cut = 1; cut < size; cut += 1 + size / 50) {
        put_bytes(bytes, size - cut);
        PfCache *cache = NULL;
        PfError err = {0};
        if (!pf_cache_open(path, &cache, &err)) ck_abort_msg("opened with %zu bytes less", cut);
        ck_assert_ptr_null(cache);
    }
    free(bytes);
}
END_TEST

START_TEST(a_flipped_byte_among_the_features_is_found)
{
    size_t size;
    char filters[64];
    int64_t stored;
    static float out[700 * 512];
    write_cache(TAPS, 1, COMPRESSIONS[_i], 1, 700, 100, NULL);
    PfCache *cache = open_cache();
    PfError err = {0};
    ck_assert(!pf_cache_tap_storage(cache, 0, &stored, filters, sizeof filters, &err));
    pf_cache_close(&cache);
    char *bytes = file_bytes(path, &size);
    /* The chunks are one after the other, behind a block of HDF5's metadata. */
    for (size_t at = 49152; at < (size_t)stored; at += (size_t)stored / 16) {
        bytes[at] ^= 0x10;
        put_bytes(bytes, size);
        bytes[at] ^= 0x10;
        cache = open_cache();
        ck_assert_int_eq(pf_cache_read_f32(cache, 0, 0, 700, out, 2, &err), -1);
        ck_assert_msg(
            strstr(err.message, path) && strstr(err.message, "/features/avgpool") &&
                strstr(err.message, "checksum does not match") &&
                (strstr(err.message, "rows 0 to 511") || strstr(err.message, "rows 512 to 699")),
            "%s", err.message);
        pf_cache_close(&cache);
    }
    free(bytes);
}
END_TEST

/* ---- all rows, block by block ---- */

typedef struct Visits {
    pthread_mutex_t lock;
    int64_t rows[1500], blocks, bad_first, bad_count, stop_after;
    PfError error;
} Visits;

static int visit(void *context, const PfCacheBlock *block)
{
    Visits *visits = context;
    float value;
    pthread_mutex_lock(&visits->lock);
    visits->blocks++;
    for (int64_t i = 0; block->rows && i < block->count; i++) {
        int64_t row = block->first + i;
        pf_f32_from_f16_array(&value, (const uint16_t *)block->rows + i * 512, 1);
        ck_assert(value == element(0, row * 512));
        visits->rows[row]++;
    }
    if (!block->rows) {
        visits->bad_first = block->first;
        visits->bad_count += block->count;
        visits->error = *block->error;
    }
    int stop = visits->stop_after && visits->blocks >= visits->stop_after;
    pthread_mutex_unlock(&visits->lock);
    return stop;
}

START_TEST(every_row_is_visited_once)
{
    static Visits visits;
    write_cache(TAPS, 1, PF_COMPRESS_ZSTD, 2, 1500, 100, NULL);
    PfCache *cache = open_cache();
    for (int threads = 0; threads < 8; threads++) {
        visits = (Visits){.lock = PTHREAD_MUTEX_INITIALIZER};
        pf_cache_visit(cache, 0, threads, visit, &visits);
        ck_assert_int_eq(visits.blocks, 3); /* of 512 rows */
        for (int row = 0; row < 1500; row++) ck_assert_int_eq(visits.rows[row], 1);
    }
    visits = (Visits){.lock = PTHREAD_MUTEX_INITIALIZER, .stop_after = 1};
    pf_cache_visit(cache, 0, 1, visit, &visits);
    ck_assert_int_eq(visits.blocks, 1);
    pf_cache_close(&cache);
}
END_TEST

START_TEST(a_damaged_block_does_not_keep_from_the_others)
{
    static Visits visits;
    size_t size;
    write_cache(TAPS, 1, PF_COMPRESS_ZSTD, 2, 1500, 100, NULL);
    char *bytes = file_bytes(path, &size);
    bytes[49152] ^= 1; /* in the first chunk */
    put_bytes(bytes, size);
    free(bytes);
    PfCache *cache = open_cache();
    visits = (Visits){.lock = PTHREAD_MUTEX_INITIALIZER};
    pf_cache_visit(cache, 0, 2, visit, &visits);
    ck_assert_int_eq(visits.blocks, 3);
    ck_assert_int_eq(visits.bad_first, 0);
    ck_assert_int_eq(visits.bad_count, 512);
    ck_assert_ptr_nonnull(strstr(visits.error.message, "rows 0 to 511 of /features/avgpool"));
    for (int row = 0; row < 1500; row++) ck_assert_int_eq(visits.rows[row], row >= 512);
    pf_cache_close(&cache);
}
END_TEST

START_TEST(taps_are_found_by_name)
{
    PfError err = {0};
    int index;
    char filters[64];
    int64_t stored;
    write_cache(TAPS, 4, PF_COMPRESS_ZSTD, 1, 3, 3, NULL);
    PfCache *cache = open_cache();
    ck_assert_str_eq(pf_cache_path(cache), path);
    ck_assert(!pf_cache_find_tap(cache, "logits", &index, &err));
    ck_assert_int_eq(index, 1);
    ck_assert(pf_cache_find_tap(cache, "layer4", &index, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "avgpool, logits, layer3.1.conv2, input"));
    ck_assert(!pf_cache_tap_storage(cache, 0, &stored, filters, sizeof filters, &err));
    ck_assert_str_eq(filters, "shuffle, zstd, fletcher32");
    ck_assert_int_gt(stored, 100);
    ck_assert_int_lt(stored, 3 * 1024);
    ck_assert(!pf_cache_tap_storage(cache, 2, &stored, filters, sizeof filters, &err));
    ck_assert_str_eq(filters, "zstd, fletcher32");
    pf_cache_close(&cache);
    pf_cache_close(&cache);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("feature_cache");
    TCase *rows = tcase_create("rows");
    tcase_set_timeout(rows, 120);
    tcase_add_checked_fixture(rows, make_folder, remove_folder);
    tcase_add_test(rows, rows_come_back_around_chunk_boundaries);
    tcase_add_test(rows, targets_that_make_no_sense_are_refused);
    tcase_add_test(rows, labels_without_names_are_numbered);
    tcase_add_test(rows, image_sizes_that_are_not_known_are_an_error_for_who_asks);
    tcase_add_test(rows, every_dtype_and_shape_comes_back);
    tcase_add_test(rows, the_file_depends_neither_on_threads_nor_on_the_time);
    tcase_add_test(rows, two_caches_may_be_used_by_two_threads);
    tcase_add_test(rows, every_row_is_visited_once);
    tcase_add_test(rows, taps_are_found_by_name);
    suite_add_tcase(suite, rows);
    TCase *failures = tcase_create("failures");
    tcase_set_timeout(failures, 120);
    tcase_add_checked_fixture(failures, make_folder, remove_folder);
    tcase_add_test(failures, giving_up_leaves_the_old_file_alone);
    tcase_add_test(failures, a_full_disk_is_an_error_and_leaves_nothing);
    tcase_add_test(failures, what_cannot_be_written_is_refused_at_once);
    tcase_add_test(failures, what_is_no_cache_is_said_to_be_none);
    tcase_add_test(failures, a_file_cut_anywhere_is_not_opened);
    tcase_add_test(failures, a_damaged_block_does_not_keep_from_the_others);
    tcase_add_loop_test(failures, a_flipped_byte_among_the_features_is_found, 0, 3);
    suite_add_tcase(suite, failures);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
