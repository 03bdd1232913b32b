/* The feature cache: what is written is what is read, whatever the dtype, the
 * shape, the compression and the number of threads; what is not a cache is said
 * to be none. */
#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "permafrost/feature_cache.h"
#include "random.h"

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
static const PfCacheTarget TARGETS[] = {
    {.name = "class", .kind = PF_TARGET_CLASS, .width = 1, .classes = CLASSES, .class_count = 3},
    {.name = "age", .kind = PF_TARGET_REGRESSION, .width = 2},
};

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
    float values[2];
    PfCacheSample sample;
} Row;

static void make_row(int64_t i, Row *row)
{
    snprintf(row->path, sizeof row->path, "train/\xc3\xa4/%lld%s.jpg", (long long)i,
             i % 5 ? "" : "\xff\xfe");
    row->index = (int32_t)(i % 4) - 1;
    row->values[0] = (float)i / 2;
    row->values[1] = i % 3 ? 1 : NAN;
    row->sample = (PfCacheSample){
        .path = row->path,
        .split = (PfSplit)(i % 3),
        .size_bytes = (uint64_t)i + ((uint64_t)1 << 40),
        .mtime_ns = -i,
        .class_indices = &row->index,
        .values = row->values,
    };
    memset(row->sample.digest, (int)i, sizeof row->sample.digest);
}

static PfCacheWriterConfig config_of(const PfCacheTap *taps, int tap_count, PfCompression compression,
                                     int threads)
{
    return (PfCacheWriterConfig){
        .taps = taps,
        .tap_count = tap_count,
        .targets = TARGETS,
        .target_count = 2,
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
    ck_assert(!pf_cache_writer_reject(writer, "bad/\xe2\x98\x83.jpg", "it is no image", &err));
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

static void check_targets(PfCache *cache)
{
    int64_t rows = pf_cache_row_count(cache);
    int32_t *indices = malloc((size_t)(rows + 1) * sizeof *indices);
    float *values = malloc((size_t)(rows + 1) * 2 * sizeof *values);
    PfError err = {0};
    ck_assert_int_eq(pf_cache_target_count(cache), 2);
    const PfCacheTarget *class = pf_cache_target(cache, 0), *age = pf_cache_target(cache, 1);
    ck_assert_str_eq(class->name, "class");
    ck_assert_int_eq(class->kind, PF_TARGET_CLASS);
    ck_assert_int_eq(class->class_count, 3);
    for (int c = 0; c < 3; c++) ck_assert_str_eq(class->classes[c], CLASSES[c]);
    ck_assert_str_eq(age->name, "age");
    ck_assert_int_eq(age->kind, PF_TARGET_REGRESSION);
    ck_assert_int_eq(age->width, 2);
    ck_assert(!pf_cache_read_classes(cache, 0, indices, &err));
    ck_assert(!pf_cache_read_values(cache, 1, values, &err));
    for (int64_t i = 0; i < rows; i++) {
        Row row;
        make_row(i, &row);
        ck_assert_int_eq(indices[i], row.index);
        ck_assert(values[2 * i] == row.values[0]);
        ck_assert(values[2 * i + 1] == row.values[1] ||
                  (isnan(values[2 * i + 1]) && isnan(row.values[1])));
    }
    free(indices);
    free(values);
}

static void check_samples(PfCache *cache)
{
    const char *const *paths, *const *rejected, *const *reasons;
    PfError err = {0};
    ck_assert_msg(!pf_cache_paths(cache, &paths, &err), "%s", err.message);
    for (int64_t i = 0; i < pf_cache_row_count(cache); i++) {
        Row row;
        make_row(i, &row);
        ck_assert_str_eq(paths[i], row.path);
        ck_assert_int_eq(pf_cache_splits(cache)[i], row.sample.split);
    }
    ck_assert_int_eq(pf_cache_rejected_count(cache), 1);
    ck_assert_msg(!pf_cache_rejected(cache, &rejected, &reasons, &err), "%s", err.message);
    ck_assert_str_eq(rejected[0], "bad/\xe2\x98\x83.jpg");
    ck_assert_str_eq(reasons[0], "it is no image");
    ck_assert_str_eq(pf_cache_identity(cache), "{\"backbone\": \"caf\xc3\xa9\"}");
    ck_assert_str_eq(pf_cache_provenance(cache), "{\"threads\": 7}");
}

static const PfCacheTap TAPS[] = {
    {.name = "avgpool", .shape = {1, {512}}, .dtype = PF_DTYPE_F16},
    {.name = "layer3.1.conv2", .shape = {3, {256, 14, 14}}, .dtype = PF_DTYPE_F16},
    {.name = "logits", .shape = {1, {10}}, .dtype = PF_DTYPE_F32},
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
            check_samples(cache);
            pf_cache_close(&cache);
        }
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

int main(void)
{
    Suite *suite = suite_create("feature_cache");
    TCase *rows = tcase_create("rows");
    tcase_set_timeout(rows, 120);
    tcase_add_checked_fixture(rows, make_folder, remove_folder);
    tcase_add_test(rows, rows_come_back_around_chunk_boundaries);
    tcase_add_test(rows, every_dtype_and_shape_comes_back);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
