#include "predict/info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/base/process.h"
#include "common/base/size_text.h"
#include "common/cache/split.h"
#include "common/file/atomic_file.h"
#include "common/model/model_file.h"
#include "common/model/model_record.h"

/* Classes that are named. */
#define MOST_CLASSES 10

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static int64_t count_numbers(const PfModel *model, size_t *tensors)
{
    int64_t numbers = 0;
    const PfNamedTensor *list = pf_model_tensors(model, tensors);
    for (size_t i = 0; i < *tensors; i++) numbers += pf_shape_count(&list[i].view.shape);
    return numbers;
}

static int64_t file_bytes(const PfModel *model)
{
    struct stat status;
    return stat(pf_model_path(model), &status) ? 0 : (int64_t)status.st_size;
}

/* ---- JSON ---- */

static int print_json(const PfModel *model, const char *path, PfError *err)
{
    size_t tensors;
    int64_t numbers = count_numbers(model, &tensors);
    cJSON *json = cJSON_CreateObject();
    cJSON *file = cJSON_AddObjectToObject(json, "file");
    cJSON_AddStringToObject(file, "path", pf_model_path(model));
    cJSON_AddNumberToObject(file, "bytes", (double)file_bytes(model));
    cJSON_AddNumberToObject(file, "tensors", (double)tensors);
    cJSON_AddNumberToObject(file, "numbers", (double)numbers);
    const cJSON *item;
    cJSON_ArrayForEach(item, pf_model_metadata(model))
    {
        cJSON_AddItemToObject(json, item->string, cJSON_Duplicate(item, 1));
    }
    char *printed = pf_json_indented_text(json);
    char *text = printed ? pf_asprintf(err, "%s\n", printed) : NULL;
    int failed = -1;
    if (!text)
        pf_fail(err, PF_EXIT_FAILED, "out of memory");
    else if (!strcmp(path, "-"))
        failed = pf_process_write_output(text, err);
    else
        failed = pf_atomic_file_write(path, text, strlen(text), err);
    free(text);
    cJSON_free(printed);
    cJSON_Delete(json);
    return failed;
}

/* ---- for people ---- */

static void print_text(const char *title, const cJSON *object, const char *key)
{
    const char *text = pf_json_member_text(object, key);
    if (text) pf_print(stdout, "%-14s %s\n", title, text);
}

/* An object or another value on one line, as JSON. */
static void print_value(const char *title, const cJSON *value)
{
    char *text = value && !cJSON_IsNull(value) ? pf_json_text(value) : NULL;
    if (text) pf_print(stdout, "%-14s %" PF_SENTENCE "\n", title, text);
    cJSON_free(text);
}

static void print_network(const cJSON *metadata)
{
    const cJSON *backbone = member(metadata, "backbone"), *sources = member(metadata, "sources");
    print_text("network", backbone, "name");
    print_text("", backbone, "torchscript");
    print_text("", backbone, "onnx");
    print_text("  weights", sources, "weights_path");
    print_text("  file", sources, "backbone_path");
    print_text("  sha256", backbone, "weights_sha256");
    if (!cJSON_IsObject(backbone)) puts("network        not known: for caches alone");
    print_text("tap", metadata, "tap");
    print_value("  shape", member(metadata, "tap_shape"));
    print_value("images", member(metadata, "preprocess"));
    print_text("precision", metadata, "precision");
    const cJSON *finetune = member(metadata, "finetune");
    if (!finetune) return;
    const char *node = pf_json_member_text(finetune, "node");
    pf_print(stdout, "%-14s %s, %d tensors of the network\n", "fine-tuned", node ? node : "",
             cJSON_GetArraySize(member(finetune, "tensors")));
}

static void print_target(const PfModel *model, const cJSON *target)
{
    const cJSON *classes = member(target, "classes"), *class;
    const char *name = pf_json_member_text(target, "name"),
               *kind = pf_json_member_text(target, "kind");
    const PfTensorView *weight = pf_model_tensor(model, pf_json_member_text(target, "weight"));
    int told = 0;
    pf_print(stdout, "%-14s '%s', %s, %lld outputs\n", "target", name ? name : "target",
             kind ? kind : "unknown", (long long)weight->shape.dims[0]);
    if (!cJSON_GetArraySize(classes)) return;
    pf_print(stdout, "%-14s ", "  classes");
    cJSON_ArrayForEach(class, classes)
    {
        if (told == MOST_CLASSES) break;
        pf_print(stdout, "%s%s", told++ ? ", " : "", class->valuestring);
    }
    int more = cJSON_GetArraySize(classes) - told;
    if (more) pf_print(stdout, ", ... and %d more", more);
    pf_print(stdout, "\n");
}

/* A metric with its name and interval. */
#define METRIC_COLUMNS 56

static void print_number(const cJSON *number, const cJSON *intervals)
{
    const cJSON *ends = member(intervals, number->string);
    const cJSON *low = cJSON_GetArrayItem(ends, 0), *high = cJSON_GetArrayItem(ends, 1);
    if (pf_log_columns(STDOUT_FILENO) < METRIC_COLUMNS) /* the number below its name */
        pf_print(stdout, "  %s\n    %.4f", number->string, number->valuedouble);
    else
        pf_print(stdout, "  %-22s %10.4f", number->string, number->valuedouble);
    if (cJSON_IsNumber(low) && cJSON_IsNumber(high))
        pf_print(stdout, "  [%.3f, %.3f]", low->valuedouble, high->valuedouble);
    pf_print(stdout, "\n");
}

static void print_metrics(const char *split, const char *target, const cJSON *metrics)
{
    const cJSON *number, *rows = member(metrics, "rows");
    pf_print(stdout, "%s%s%s%s: %.0f rows\n", split, target ? " of '" : "", target ? target : "",
             target ? "'" : "", cJSON_IsNumber(rows) ? rows->valuedouble : 0);
    const cJSON *intervals = member(metrics, "intervals");
    cJSON_ArrayForEach(number, metrics) /* those that have one; the others are in the JSON */
    {
        if (cJSON_IsNumber(number) && member(intervals, number->string))
            print_number(number, intervals);
    }
}

/* Of several targets a split holds an object for each. */
static void print_split(const cJSON *split)
{
    const cJSON *target;
    if (!cJSON_IsObject(split) || !split->string) return;
    if (member(split, "rows")) {
        print_metrics(split->string, NULL, split);
        return;
    }
    cJSON_ArrayForEach(target, split)
    {
        if (cJSON_IsObject(target)) print_metrics(split->string, target->string, target);
    }
}

static void print_record(const cJSON *metadata)
{
    const cJSON *made = member(metadata, PF_MODEL_RECORD_KEY), *cache = member(made, "cache");
    const cJSON *rows = member(cache, "rows");
    print_text("made", made, "date");
    if (!made) puts("made           by a version that noted neither date nor command");
    print_text("  by", made, "command");
    print_text("  permafrost", made, "permafrost");
    print_text("cache", cache ? cache : member(metadata, "config"), cache ? "path" : "cache");
    if (cJSON_IsNumber(rows)) pf_print(stdout, "%-14s %.0f\n", "  rows", rows->valuedouble);
    print_text("  seal", cache, "seal");
    print_text("  made", cache, "date");
    print_text("  by", cache, "command");
    print_text("  permafrost", cache, "permafrost");
    print_text("  ran on", cache, "runtime");
}

static void print_model(const PfModel *model)
{
    size_t tensors;
    char size[PF_SIZE_TEXT];
    const cJSON *metadata = pf_model_metadata(model), *config = member(metadata, "config"), *item;
    int64_t numbers = count_numbers(model, &tensors);
    pf_print(stdout, "%s: a model of %s, %zu tensors, %lld numbers\n", pf_model_path(model),
             pf_size_text(file_bytes(model), size), tensors, (long long)numbers);
    print_network(metadata);
    print_text("head", config, "head");
    print_text("normalize", config, "normalize");
    cJSON_ArrayForEach(item, member(metadata, "targets"))
    {
        print_target(model, item);
    }
    cJSON_ArrayForEach(item, member(metadata, "metrics"))
    {
        print_split(item);
    }
    print_record(metadata);
    print_text("digest", metadata, "digest");
}

int pf_info_print(const char *path, const char *json, PfError *err)
{
    PfModel *model;
    if (pf_model_open(path, &model, err)) return -1;
    int failed = 0;
    if (json)
        failed = print_json(model, json, err);
    else
        print_model(model);
    pf_model_close(&model);
    return failed;
}

/* To open it is to compare it with its digest. */
int pf_info_verify(const char *path, PfError *err)
{
    PfModel *model;
    size_t tensors;
    if (pf_model_open(path, &model, err)) return -1;
    int64_t numbers = count_numbers(model, &tensors);
    pf_print(stdout, "%s: whole: %zu tensors of %lld numbers, all finite; %s\n", path, tensors,
             (long long)numbers,
             pf_model_has_digest(model)
                 ? "they and the metadata have the digest that was noted"
                 : "no digest was noted when it was written, so that numbers which "
                   "have changed would not be seen");
    pf_model_close(&model);
    return 0;
}
