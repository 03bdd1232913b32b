#include "extract/cache_info_json.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/process.h"
#include "common/base/result_stamp.h"
#include "common/cache/split.h"
#include "common/file/atomic_file.h"
#include "common/file/output.h"

static void add_splits(cJSON *json, const PfCache *cache)
{
    int64_t counts[PF_SPLIT_COUNT] = {0};
    const uint8_t *splits = pf_cache_splits(cache);
    for (int64_t i = 0; splits && i < pf_cache_row_count(cache); i++)
        if (splits[i] < PF_SPLIT_COUNT) counts[splits[i]]++;
    cJSON *object = splits ? cJSON_AddObjectToObject(json, "splits") : NULL;
    for (int split = 0; object && split < PF_SPLIT_COUNT; split++)
        cJSON_AddNumberToObject(object, pf_split_names[split], (double)counts[split]);
}

static int add_taps(cJSON *json, PfCache *cache, PfError *err)
{
    cJSON *taps = cJSON_AddArrayToObject(json, "taps");
    for (int i = 0; i < pf_cache_tap_count(cache); i++) {
        const PfCacheTap *tap = pf_cache_tap(cache, i);
        char filters[64];
        int64_t stored;
        if (pf_cache_tap_storage(cache, i, &stored, filters, sizeof filters, err)) return -1;
        int64_t raw = pf_cache_row_count(cache) * pf_shape_count(&tap->shape) *
                      (int64_t)pf_dtype_size(tap->dtype);
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "name", tap->name);
        cJSON *shape = cJSON_AddArrayToObject(object, "shape");
        for (int d = 0; d < tap->shape.rank; d++)
            cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tap->shape.dims[d]));
        cJSON_AddStringToObject(object, "dtype", pf_dtype_name(tap->dtype));
        cJSON_AddNumberToObject(object, "raw_bytes", (double)raw);
        cJSON_AddNumberToObject(object, "stored_bytes", (double)stored);
        cJSON_AddStringToObject(object, "filters", filters);
        cJSON_AddItemToArray(taps, object);
    }
    return 0;
}

static void add_counted(cJSON *target, const char *const *names, const int64_t *counts, int count)
{
    cJSON *classes = cJSON_AddArrayToObject(target, "classes");
    for (int i = 0; i < count; i++) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "name", names[i]);
        cJSON_AddNumberToObject(object, "rows", (double)counts[i]);
        cJSON_AddItemToArray(classes, object);
    }
}

/* Rows without a label, and rows of each class. */
static int add_classes(cJSON *json, PfCache *cache, int index, PfError *err)
{
    const PfCacheTarget *target = pf_cache_target(cache, index);
    int64_t rows = pf_cache_row_count(cache), missing = 0;
    int32_t *classes = pf_calloc((size_t)rows + 1, sizeof *classes, err);
    int64_t *counts = pf_calloc((size_t)target->class_count + 1, sizeof *counts, err);
    int failed = !classes || !counts || pf_cache_read_classes(cache, index, classes, err);
    for (int64_t i = 0; i < rows && !failed; i++)
        if (classes[i] < 0)
            missing++;
        else
            counts[classes[i]]++;
    if (!failed) {
        cJSON_AddNumberToObject(json, "missing", (double)missing);
        add_counted(json, (const char *const *)target->classes, counts, target->class_count);
    }
    free(classes);
    free(counts);
    return failed ? -1 : 0;
}

/* Of numbers and points: rows in which all are missing; of labels also how many rows have each. */
static int add_numbers(cJSON *json, PfCache *cache, int index, PfError *err)
{
    const PfCacheTarget *target = pf_cache_target(cache, index);
    int64_t rows = pf_cache_row_count(cache), missing = 0;
    size_t width = (size_t)target->width;
    float *values = pf_calloc((size_t)rows * width + 1, sizeof *values, err);
    int64_t *counts = pf_calloc(width + 1, sizeof *counts, err);
    int failed = !values || !counts || pf_cache_read_values(cache, index, values, err);
    for (int64_t row = 0; row < rows && !failed; row++) {
        bool is_known = false;
        for (size_t i = 0; i < width; i++) {
            float value = values[(size_t)row * width + i];
            is_known |= !isnan(value);
            counts[i] += value >= 0.5f;
        }
        missing += !is_known;
    }
    if (!failed) {
        cJSON_AddNumberToObject(json, "missing", (double)missing);
        cJSON_AddNumberToObject(json, "width", target->width);
        if (target->kind == PF_TARGET_MULTILABEL)
            add_counted(json, (const char *const *)target->classes, counts, target->width);
    }
    free(counts);
    free(values);
    return failed ? -1 : 0;
}

static int add_targets(cJSON *json, PfCache *cache, PfError *err)
{
    cJSON *targets = cJSON_AddArrayToObject(json, "targets");
    for (int i = 0; i < pf_cache_target_count(cache); i++) {
        const PfCacheTarget *target = pf_cache_target(cache, i);
        cJSON *object = cJSON_CreateObject();
        cJSON_AddItemToArray(targets, object);
        cJSON_AddStringToObject(object, "name", target->name);
        cJSON_AddStringToObject(object, "kind", pf_target_kind_name(target->kind));
        if (target->kind == PF_TARGET_CLASS ? add_classes(object, cache, i, err)
                                            : add_numbers(object, cache, i, err))
            return -1;
    }
    return 0;
}

static int add_rejected(cJSON *json, PfCache *cache, PfError *err)
{
    const PfCacheReject *rejects;
    int64_t count = pf_cache_rejected_count(cache);
    cJSON *list = cJSON_AddArrayToObject(json, "rejected");
    if (!count) return 0;
    if (pf_cache_rejects(cache, &rejects, err)) return -1;
    for (int64_t i = 0; i < count; i++) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "path", rejects[i].path);
        cJSON_AddStringToObject(object, "reason", rejects[i].reason);
        cJSON_AddItemToArray(list, object);
    }
    return 0;
}

static void add_sources(cJSON *json, const PfCache *cache)
{
    int count;
    const PfCacheSource *sources = pf_cache_sources(cache, &count);
    cJSON *list = count ? cJSON_AddArrayToObject(json, "sources") : NULL;
    for (int i = 0; i < count; i++) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "path", sources[i].path);
        cJSON_AddNumberToObject(object, "rows", (double)sources[i].row_count);
        cJSON_AddItemToArray(list, object);
    }
}

static void add_object(cJSON *json, const char *key, const char *text)
{
    cJSON *object = pf_json_read(text);
    cJSON_AddItemToObject(json, key, object ? object : cJSON_CreateObject());
}

static char *info_text(PfCache *cache, const PfExtractOptions *options, PfError *err)
{
    struct stat status = {0};
    stat(pf_cache_path(cache), &status);
    pf_json_begin();
    cJSON *json = cJSON_CreateObject();
    pf_result_stamp_add(json, options->argc, options->argv, NULL);
    cJSON_AddStringToObject(json, "cache", pf_cache_path(cache));
    cJSON_AddNumberToObject(json, "file_bytes", (double)status.st_size);
    cJSON_AddNumberToObject(json, "rows", (double)pf_cache_row_count(cache));
    add_splits(json, cache);
    add_sources(json, cache);
    int failed = add_taps(json, cache, err) || add_targets(json, cache, err) ||
                 add_rejected(json, cache, err);
    add_object(json, "identity", pf_cache_identity(cache));
    add_object(json, "provenance", pf_cache_provenance(cache));
    char *text = pf_json_finish(json, "information", failed ? NULL : err);
    if (!failed) return text;
    free(text);
    return NULL;
}

int pf_cache_info_write_json(PfCache *cache, const PfExtractOptions *options, PfError *err)
{
    const PfOutput output = {"--json", options->json, PF_CONTENT_JSON};
    const char *input = options->operand, *what = "the cache itself";
    if (pf_output_check_all(&output, 1, &input, &what, 1, err)) return -1;
    char *json = info_text(cache, options, err);
    char *text = json ? pf_asprintf(err, "%s\n", json) : NULL;
    int failed = !text || (strcmp(options->json, "-")
                               ? pf_atomic_file_write(options->json, text, strlen(text), err)
                               : pf_process_write_output(text, err));
    free(text);
    free(json);
    return failed ? -1 : 0;
}
