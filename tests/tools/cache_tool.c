/* cache_tool write FILE none|gzip|zstd ROWS   makes a cache whose numbers a formula tells
 * cache_tool info FILE                        prints what is in one
 * cache_tool read FILE TAP OUT                writes a tap's rows to OUT as raw float32
 * cache_tool values FILE OUT                  writes all targets to OUT as raw float32
 * cache_tool seal FILE                        puts a seal to a file of HDF5, whatever is in it */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cache/internal.h"
#include "permafrost/feature_cache.h"

static const char *const CLASSES[] = {"ants", "bees", "S\xc3\xa4gewespen"};
static const PfCacheTarget TARGETS[] = {
    {.name = "class", .kind = PF_TARGET_CLASS, .width = 1, .classes = CLASSES, .class_count = 3},
    {.name = "box", .kind = PF_TARGET_REGRESSION, .width = 4},
};
static const PfCacheTap TAPS[] = {
    {.name = "avgpool", .shape = {1, {512}}, .dtype = PF_DTYPE_F16},
    {.name = "layer3", .shape = {3, {6, 5, 4}}, .dtype = PF_DTYPE_F16},
    {.name = "logits", .shape = {1, {10}}, .dtype = PF_DTYPE_F32},
    {.name = "input", .shape = {3, {3, 8, 8}}, .dtype = PF_DTYPE_U8},
};
enum { TAP_COUNT = 4 };

static int complain(const PfError *err)
{
    fprintf(stderr, "%s\n", err->message);
    return 1;
}

/* Element i of a tap; as a byte for u8. */
static float element(int tap, int64_t i)
{
    return TAPS[tap].dtype == PF_DTYPE_U8 ? (float)(i % 251)
                                          : (float)((i * 7919 + tap) % 509) * 0.5f - 60;
}

static void *row_of_tap(int tap, int64_t row)
{
    int64_t size = pf_shape_count(&TAPS[tap].shape);
    unsigned char *values = calloc((size_t)size, 4);
    if (!values) exit(1);
    for (int64_t i = 0; i < size; i++) {
        float value = element(tap, row * size + i);
        uint16_t half = pf_f16_from_f32(value);
        if (TAPS[tap].dtype == PF_DTYPE_F32) memcpy(values + 4 * i, &value, 4);
        if (TAPS[tap].dtype == PF_DTYPE_F16) memcpy(values + 2 * i, &half, 2);
        if (TAPS[tap].dtype == PF_DTYPE_U8) values[i] = (unsigned char)value;
    }
    return values;
}

static int append_row(PfCacheWriter *writer, int64_t row, PfError *err)
{
    char path[64];
    int32_t index = (int32_t)(row % 4) - 1;
    float box[4] = {(float)row, 0.5f, -1, (float)row / 8};
    void *features[TAP_COUNT];
    snprintf(path, sizeof path, "train/\xc3\xa4/%lld%s.jpg", (long long)row, row % 5 ? "" : "\xff");
    PfCacheSample sample = {.path = path,
                            .split = (PfSplit)(row % 3),
                            .stamp = {(uint64_t)row * 1000000007u, row * -1000, row * 7},
                            .class_indices = &index,
                            .values = box,
                            .width = (int32_t)row + 1,
                            .height = 480};
    for (int i = 0; i < PF_DIGEST_SIZE; i++) sample.digest[i] = (uint8_t)(row + i);
    for (int t = 0; t < TAP_COUNT; t++) features[t] = row_of_tap(t, row);
    int failed = pf_cache_writer_append(writer, 1, &sample, (const void *const *)features, err);
    for (int t = 0; t < TAP_COUNT; t++) free(features[t]);
    return failed;
}

static int write_cache(const char *path, const char *compression, int64_t rows)
{
    PfCacheWriterConfig config = {
        .taps = TAPS,
        .tap_count = TAP_COUNT,
        .targets = TARGETS,
        .target_count = 2,
        .identity = "{\"backbone\": \"caf\xc3\xa9\"}",
        .provenance = "{\"threads\": 2}",
        .compression = !strcmp(compression, "zstd")   ? PF_COMPRESS_ZSTD
                       : !strcmp(compression, "gzip") ? PF_COMPRESS_GZIP
                                                      : PF_COMPRESS_NONE,
        .threads = 2,
    };
    PfCacheWriter *writer;
    PfError err;
    if (pf_cache_writer_open(path, &config, &writer, &err)) return complain(&err);
    for (int64_t row = 0; row < rows; row++)
        if (append_row(writer, row, &err)) break; /* finish says it again */
    PfCacheReject reject = {.path = "bad/\xe2\x98\x83.jpg", .reason = "it is no image"};
    pf_cache_writer_reject(writer, &reject, NULL);
    return pf_cache_writer_finish(&writer, NULL, &err) ? complain(&err) : 0;
}

static void print_taps(PfCache *cache)
{
    for (int t = 0; t < pf_cache_tap_count(cache); t++) {
        const PfCacheTap *tap = pf_cache_tap(cache, t);
        char shape[PF_SHAPE_TEXT_SIZE], filters[100];
        int64_t stored;
        pf_cache_tap_storage(cache, t, &stored, filters, sizeof filters, NULL);
        printf("tap %s %s %s: %s\n", tap->name, pf_dtype_name(tap->dtype),
               pf_shape_text(&tap->shape, shape), filters);
    }
}

static void print_targets(PfCache *cache)
{
    for (int t = 0; t < pf_cache_target_count(cache); t++) {
        const PfCacheTarget *target = pf_cache_target(cache, t);
        printf("target %s %s %d:", target->name, pf_target_kind_name(target->kind), target->width);
        for (int c = 0; c < target->class_count; c++) printf(" %s", target->classes[c]);
        printf("\n");
    }
}

static int print_info(PfCache *cache, PfError *err)
{
    const PfCacheReject *rejects;
    printf("rows %lld\n", (long long)pf_cache_row_count(cache));
    print_taps(cache);
    print_targets(cache);
    printf("identity %s\nprovenance %s\n", pf_cache_identity(cache), pf_cache_provenance(cache));
    printf("splits %s\n", pf_cache_splits(cache) ? "yes" : "no");
    if (pf_cache_rejects(cache, &rejects, err)) return -1;
    for (int64_t i = 0; i < pf_cache_rejected_count(cache); i++)
        printf("rejected %s: %s\n", rejects[i].path, rejects[i].reason);
    return 0;
}

static int write_floats(const char *path, const float *values, size_t count, PfError *err)
{
    FILE *file = fopen(path, "wb");
    int failed = !file || fwrite(values, sizeof *values, count, file) != count;
    if (file && fclose(file)) failed = 1;
    return failed ? pf_fail_errno(err, "cannot write '%s'", path) : 0;
}

static int read_tap(PfCache *cache, const char *name, const char *out, PfError *err)
{
    int tap;
    if (pf_cache_find_tap(cache, name, &tap, err)) return -1;
    int64_t rows = pf_cache_row_count(cache);
    size_t count = (size_t)(rows * pf_shape_count(&pf_cache_tap(cache, tap)->shape));
    float *values = malloc(count * sizeof *values + 1);
    if (!values) exit(1);
    int failed = pf_cache_read_f32(cache, tap, 0, rows, values, 2, err) ||
                 write_floats(out, values, count, err);
    free(values);
    return failed;
}

/* Classes as floats, then the numbers, target after target. */
static int read_targets(PfCache *cache, const char *out, PfError *err)
{
    size_t rows = (size_t)pf_cache_row_count(cache), used = 0, total = 0;
    for (int t = 0; t < pf_cache_target_count(cache); t++)
        total += rows * (size_t)pf_cache_target(cache, t)->width;
    float *values = calloc(total + 1, sizeof *values);
    int32_t *indices = calloc(rows + 1, sizeof *indices);
    if (!values || !indices) exit(1);
    int failed = 0;
    for (int t = 0; t < pf_cache_target_count(cache) && !failed; t++) {
        const PfCacheTarget *target = pf_cache_target(cache, t);
        if (target->kind != PF_TARGET_CLASS) {
            failed = pf_cache_read_values(cache, t, values + used, err);
        } else {
            failed = pf_cache_read_classes(cache, t, indices, err);
            for (size_t i = 0; i < rows; i++) values[used + i] = (float)indices[i];
        }
        used += rows * (size_t)target->width;
    }
    if (!failed) failed = write_floats(out, values, total, err);
    free(indices);
    free(values);
    return failed;
}

int main(int argc, char **argv)
{
    PfCache *cache;
    PfError err = {0};
    if (argc == 5 && !strcmp(argv[1], "write"))
        return write_cache(argv[2], argv[3], strtoll(argv[4], NULL, 10));
    if (argc < 3) return 2;
    if (!strcmp(argv[1], "seal"))
        return pf_cache_seal_write(argv[2], argv[2], NULL, 0, &err) ? complain(&err) : 0;
    if (pf_cache_open(argv[2], &cache, &err)) return complain(&err);
    int failed = -1;
    if (argc == 3 && !strcmp(argv[1], "info")) failed = print_info(cache, &err);
    if (argc == 5 && !strcmp(argv[1], "read")) failed = read_tap(cache, argv[3], argv[4], &err);
    if (argc == 4 && !strcmp(argv[1], "values")) failed = read_targets(cache, argv[3], &err);
    pf_cache_close(&cache);
    return failed ? complain(&err) : 0;
}
