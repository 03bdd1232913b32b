#include "extract/cache_info.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/base/size_text.h"
#include "extract/plan/runtime_rows.h"

#define MAX_LISTED 20

static void print_splits(const PfCache *cache, FILE *stream)
{
    int64_t counts[PF_SPLIT_COUNT] = {0};
    const uint8_t *splits = pf_cache_splits(cache);
    if (!splits) return;
    for (int64_t i = 0; i < pf_cache_row_count(cache); i++)
        if (splits[i] < PF_SPLIT_COUNT) counts[splits[i]]++;
    pf_print(stream, " (%lld train, %lld val, %lld test)", (long long)counts[PF_SPLIT_TRAIN],
             (long long)counts[PF_SPLIT_VAL], (long long)counts[PF_SPLIT_TEST]);
}

static void print_sources(const PfCache *cache, FILE *stream)
{
    int count;
    const PfCacheSource *sources = pf_cache_sources(cache, &count);
    for (int i = 0; i < count && i < MAX_LISTED; i++)
        pf_print(stream, "%s%lld rows in %s\n", i ? "            " : "virtual     ",
                 (long long)sources[i].row_count, sources[i].path);
    if (count > MAX_LISTED) pf_print(stream, "            ... and %d more\n", count - MAX_LISTED);
}

static int print_taps(PfCache *cache, FILE *stream, PfError *err)
{
    for (int i = 0; i < pf_cache_tap_count(cache); i++) {
        const PfCacheTap *tap = pf_cache_tap(cache, i);
        char shape[PF_SHAPE_TEXT_SIZE], raw_text[PF_SIZE_TEXT], stored_text[PF_SIZE_TEXT],
            filters[64];
        int64_t stored;
        if (pf_cache_tap_storage(cache, i, &stored, filters, sizeof filters, err)) return -1;
        int64_t raw = pf_cache_row_count(cache) * pf_shape_count(&tap->shape) *
                      (int64_t)pf_dtype_size(tap->dtype);
        pf_print(stream, "tap         %s %s %s: %s, %s stored (%s)\n", tap->name,
                 pf_shape_text(&tap->shape, shape), pf_dtype_name(tap->dtype),
                 pf_size_text(raw, raw_text), pf_size_text(stored, stored_text),
                 *filters ? filters : "no filters");
    }
    return 0;
}

static int print_classes(PfCache *cache, int index, FILE *stream, PfError *err)
{
    const PfCacheTarget *target = pf_cache_target(cache, index);
    int64_t rows = pf_cache_row_count(cache), unlabelled = 0;
    int32_t *classes = pf_calloc((size_t)rows, sizeof *classes, err);
    int64_t *counts = pf_calloc((size_t)target->class_count + 1, sizeof *counts, err);
    int failed = !classes || !counts || pf_cache_read_classes(cache, index, classes, err);
    for (int64_t i = 0; i < rows && !failed; i++)
        if (classes[i] < 0)
            unlabelled++;
        else
            counts[classes[i]]++;
    if (!failed) {
        pf_print(stream, "target      %s: %d classes", target->name, target->class_count);
        if (unlabelled) pf_print(stream, ", %lld rows unlabelled", (long long)unlabelled);
        fputc('\n', stream);
        for (int i = 0; i < target->class_count && i < MAX_LISTED; i++)
            pf_print(stream, "            %d %s: %lld\n", i, target->classes[i],
                     (long long)counts[i]);
        if (target->class_count > MAX_LISTED)
            pf_print(stream, "            ... and %d more\n", target->class_count - MAX_LISTED);
    }
    free(classes);
    free(counts);
    return failed ? -1 : 0;
}

/* values: (rows, width). */
static int64_t count_missing_rows(const float *values, int64_t rows, int width)
{
    int64_t missing = 0;
    for (int64_t row = 0; row < rows; row++) {
        bool known = false;
        for (int i = 0; i < width; i++) known += !isnan(values[row * width + i]);
        missing += !known;
    }
    return missing;
}

static void print_labels(const PfCacheTarget *target, const float *values, int64_t rows,
                         FILE *stream)
{
    for (int i = 0; i < target->width && i < MAX_LISTED; i++) {
        int64_t count = 0;
        for (int64_t row = 0; row < rows; row++) count += values[row * target->width + i] >= 0.5f;
        pf_print(stream, "            %d %s: %lld\n", i, target->classes[i], (long long)count);
    }
    if (target->width > MAX_LISTED)
        pf_print(stream, "            ... and %d more\n", target->width - MAX_LISTED);
}

static int print_numbers(PfCache *cache, int index, FILE *stream, PfError *err)
{
    const PfCacheTarget *target = pf_cache_target(cache, index);
    bool is_points = target->kind == PF_TARGET_KEYPOINTS;
    int64_t rows = pf_cache_row_count(cache);
    float *values = pf_calloc((size_t)rows * (size_t)target->width, sizeof *values, err);
    if (!values || pf_cache_read_values(cache, index, values, err)) {
        free(values);
        return -1;
    }
    pf_print(stream, "target      %s: %d %s", target->name,
             is_points ? target->width / 2 : target->width,
             is_points                              ? "keypoints"
             : target->kind == PF_TARGET_MULTILABEL ? "labels"
             : target->width == 1                   ? "number"
                                                    : "numbers");
    int64_t missing = count_missing_rows(values, rows, target->width);
    if (missing) pf_print(stream, ", missing in %lld rows", (long long)missing);
    fputc('\n', stream);
    if (target->kind == PF_TARGET_MULTILABEL) print_labels(target, values, rows, stream);
    free(values);
    return 0;
}

static int print_targets(PfCache *cache, FILE *stream, PfError *err)
{
    for (int i = 0; i < pf_cache_target_count(cache); i++) {
        const PfCacheTarget *target = pf_cache_target(cache, i);
        if (target->kind == PF_TARGET_CLASS && print_classes(cache, i, stream, err)) return -1;
        if (target->kind != PF_TARGET_CLASS && print_numbers(cache, i, stream, err)) return -1;
    }
    if (!pf_cache_target_count(cache)) fputs("target      none: images without labels\n", stream);
    return 0;
}

static int print_rejected(PfCache *cache, FILE *stream, PfError *err)
{
    int64_t count = pf_cache_rejected_count(cache);
    const PfCacheReject *rejects;
    pf_print(stream, "rejected    %lld\n", (long long)count);
    if (!count) return 0;
    if (pf_cache_rejects(cache, &rejects, err)) return -1;
    for (int64_t i = 0; i < count && i < MAX_LISTED; i++)
        pf_print(stream, "            %s: %" PF_SENTENCE_LINE "\n", rejects[i].path,
                 rejects[i].reason);
    if (count > MAX_LISTED)
        pf_print(stream, "            ... and %lld more\n", (long long)(count - MAX_LISTED));
    return 0;
}

static void print_json(const char *title, const char *json, FILE *stream)
{
    cJSON *object = pf_json_read(json), *entry;
    cJSON_ArrayForEach(entry, object)
    {
        if (!strcmp(entry->string, PF_RUNTIME_ROWS_KEY)) continue; /* has lines of its own */
        char *value = pf_json_text(entry);
        pf_print(stream, "%-11s %s: ", title, entry->string);
        if (cJSON_IsString(entry))
            pf_print(stream, "%s\n", entry->valuestring);
        else
            pf_print(stream, "%" PF_SENTENCE "\n", value ? value : "?");
        free(value);
    }
    cJSON_Delete(object);
}

static void print_runtimes(const PfCache *cache, FILE *stream)
{
    cJSON *rows = pf_runtime_rows_of_cache(cache);
    pf_runtime_rows_print(rows, stream);
    cJSON_Delete(rows);
}

static void print_python(const PfCache *cache, FILE *stream)
{
    const char *tap = pf_cache_tap_count(cache) ? pf_cache_tap(cache, 0)->name : "TAP";
    pf_print(stream, "\nfrom Python: import h5py; x = h5py.File(%s%s%s)['features/%s'][:]\n", "'",
             pf_cache_path(cache), "'", tap);
    fputs("(zstd chunks need HDF5_PLUGIN_PATH to name the folder of libh5zstd.so before Python\n"
          "starts, pip's hdf5plugin imported first, or permafrost.open of docs/python.md)\n",
          stream);
}

int pf_cache_info_print(PfCache *cache, FILE *stream, PfError *err)
{
    struct stat status = {0};
    char size[PF_SIZE_TEXT];
    stat(pf_cache_path(cache), &status);
    pf_print(stream, "%s: feature cache, %s\n", pf_cache_path(cache),
             pf_size_text((int64_t)status.st_size, size));
    pf_print(stream, "rows        %lld", (long long)pf_cache_row_count(cache));
    print_splits(cache, stream);
    fputc('\n', stream);
    print_sources(cache, stream);
    if (print_taps(cache, stream, err) || print_targets(cache, stream, err) ||
        print_rejected(cache, stream, err))
        return -1;
    print_json("identity", pf_cache_identity(cache), stream);
    print_json("provenance", pf_cache_provenance(cache), stream);
    print_runtimes(cache, stream);
    print_python(cache, stream);
    return 0;
}
