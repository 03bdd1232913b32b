#include "predict/export/export.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/size_text.h"
#include "common/file/atomic_file.h"
#include "common/file/output.h"
#include "common/file/path.h"
#include "predict/model/class_map.h"
#include "predict/model/own_classifier.h"

typedef struct Format {
    const char *ending, *name;
    PfContent content;
    int (*write)(const PfExportSource *source, const char *path, PfError *err);
} Format;

static const Format formats[] = {
    {".safetensors", "state dict", PF_CONTENT_STATE_DICT, pf_export_state_dict},
    {".onnx", "ONNX", PF_CONTENT_ONNX, pf_export_onnx},
    {".pt", "TorchScript", PF_CONTENT_TORCHSCRIPT, pf_export_torchscript},
};

static int choose_format(const char *path, const Format **format, PfError *err)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        *format = &formats[i];
        if (pf_output_has_suffix(path, formats[i].ending)) return 0;
    }
    return pf_fail(err, PF_EXIT_USAGE,
                   "-o: expected a file that ends in .safetensors (state dict), .onnx or .pt "
                   "(TorchScript), found '%s'",
                   path);
}

/* ---- what an exported model says of itself ---- */

static cJSON *class_list(const PfScorerTarget *target)
{
    return cJSON_CreateStringArray((const char *const *)target->classes, target->outputs);
}

static cJSON *target_list(const PfScorer *scorer)
{
    cJSON *list = cJSON_CreateArray();
    for (int t = 0; t < scorer->target_count; t++) {
        const PfScorerTarget *target = &scorer->targets[t];
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "name", target->name);
        cJSON_AddStringToObject(json, "kind", pf_target_kind_name(target->kind));
        if (target->classes) cJSON_AddItemToObject(json, "classes", class_list(target));
        cJSON_AddItemToArray(list, json);
    }
    return list;
}

/* item: given up. Names stay as they are, all else becomes JSON. */
static void add_entry(PfExportMetadata *metadata, cJSON *object, const char *key, cJSON *item)
{
    const char *name = cJSON_GetStringValue(item);
    metadata->keys[metadata->count] = key;
    metadata->values[metadata->count++] = name ? pf_strdup(name, NULL) : pf_json_text(item);
    cJSON_AddItemToObject(object, key, item);
}

static void free_metadata(PfExportMetadata *metadata)
{
    for (size_t i = 0; i < metadata->count; i++) free(metadata->values[i]);
    free(metadata->json);
    *metadata = (PfExportMetadata){0};
}

static int new_metadata(const PfScorer *scorer, const PfBackbonePlan *plan, PfExportMetadata *out,
                        PfError *err)
{
    *out = (PfExportMetadata){0};
    pf_json_begin();
    cJSON *object = cJSON_CreateObject();
    add_entry(out, object, "backbone", cJSON_CreateString(plan->name));
    add_entry(out, object, "tap", cJSON_CreateString(scorer->tap));
    add_entry(out, object, "preprocess", pf_preprocess_json_new(&plan->preprocess));
    add_entry(out, object, "targets", target_list(scorer));
    if (scorer->target_count == 1 && scorer->targets[0].classes)
        add_entry(out, object, "classes", class_list(&scorer->targets[0]));
    out->json = pf_json_finish(object, "the metadata", err);
    int failed = !out->json;
    for (size_t i = 0; i < out->count && !failed; i++)
        if (!out->values[i])
            failed = pf_fail(err, PF_EXIT_FAILED, "out of memory for the metadata");
    if (failed) free_metadata(out);
    return failed ? -1 : 0;
}

/* ---- what it is made of ---- */

const PfTensorView *pf_export_find_tensor(const PfBackbonePlan *plan, const char *name)
{
    for (size_t i = 0; i < plan->tensor_count; i++)
        if (!strcmp(plan->tensors[i].name, name)) return &plan->tensors[i].view;
    return NULL;
}

/* The tap of a network whose graph is known; its features must be the head's. */
static int find_tap(PfExportSource *source, PfError *err)
{
    const PfBackbonePlan *plan = source->plan;
    PfShape *shapes;
    source->tap = -1;
    if (!strcmp(source->scorer->tap, "input"))
        return pf_fail(err, PF_EXIT_USAGE,
                       "the head of model '%s' takes the pixels themselves: there is no network to "
                       "export",
                       pf_model_path(source->model));
    if (!plan->arch) return 0;
    if (pf_arch_find_tap(plan->arch, source->scorer->tap, &source->tap, err)) return -1;
    shapes = pf_calloc((size_t)plan->arch->node_count, sizeof *shapes, err);
    if (!shapes) return -1;
    int failed =
        pf_arch_infer_shapes(plan->arch, plan->preprocess.crop, plan->preprocess.crop, shapes, err);
    int64_t features = pf_shape_count(&shapes[source->tap]);
    free(shapes);
    if (failed || features == source->scorer->features) return failed;
    return pf_fail(err, PF_EXIT_IDENTITY,
                   "model '%s' takes %lld features; tap '%s' of the network gives %lld",
                   pf_model_path(source->model), (long long)source->scorer->features,
                   source->scorer->tap, (long long)features);
}

static int open_source(const PfModelNetworkOptions *options, PfExportSource *source, PfError *err)
{
    if (pf_own_classifier_or_model(options, &source->model, err) ||
        pf_scorer_new(source->model, &source->scorer, err) ||
        pf_class_map_apply(source->scorer, options->class_map, err) ||
        pf_model_network_plan(source->model, options, source->scorer->tap, &source->plan, err) ||
        find_tap(source, err))
        return -1;
    return new_metadata(source->scorer, source->plan, &source->metadata, err);
}

static void close_source(PfExportSource *source)
{
    free_metadata(&source->metadata);
    pf_backbone_plan_free(&source->plan);
    pf_scorer_free(&source->scorer);
    pf_model_close(&source->model);
}

/* ---- where it goes ---- */

/* What the export is made of is not to be overwritten by it. */
static int check_path(const PfExportSource *source, const Format *format, const char *path,
                      PfError *err)
{
    const char *sources[] = {pf_model_path(source->model), pf_backbone_plan_source(source->plan)};
    for (int i = 0; i < 2; i++)
        if (sources[i] && pf_path_same(path, sources[i]))
            return pf_fail(err, PF_EXIT_USAGE,
                           "-o '%s' would overwrite what it is made from: choose another "
                           "name",
                           path);
    PfOutput output = {"-o", path, format->content};
    return pf_output_check_content(&output, err) || pf_atomic_file_check(path, err) ? -1 : 0;
}

static void print_done(const PfExportSource *source, const Format *format, const char *path)
{
    char size[PF_SIZE_TEXT];
    struct stat status;
    if (source->plan->precision != PF_FP32)
        pf_say("the model's features were computed in %s; what is exported computes in fp32",
               pf_precision_name(source->plan->precision));
    pf_say("%s: %s of %s with the head of %s, %s", path, format->name, source->plan->name,
           pf_model_path(source->model),
           pf_size_text(stat(path, &status) ? 0 : status.st_size, size));
}

int pf_export_run(const PfModelNetworkOptions *options, const char *path, PfError *err)
{
    PfExportSource source = {0};
    const Format *format;
    if (choose_format(path, &format, err)) return -1;
    int failed = open_source(options, &source, err) || check_path(&source, format, path, err) ||
                 format->write(&source, path, err);
    if (!failed) print_done(&source, format, path);
    close_source(&source);
    return failed ? -1 : 0;
}
