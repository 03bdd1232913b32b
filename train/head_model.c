#include "head_model.h"

#include <stdio.h>
#include <string.h>

#include "model_file.h"
#include "report.h"

static int starts_with(const char *text, const char *prefix)
{
    return !strncmp(text, prefix, strlen(prefix));
}

/* A ResNet's fc takes the pooled features. A VGG ends in classifier.0 to .6:
 * after its last but one layer the head is the .6, on what comes before the
 * classifier it is all of it, as in `model.classifier = Linear(25088, 2)`. */
static const char *module_name(const cJSON *backbone, const PfCacheTap *tap)
{
    const char *arch = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(backbone, "name"));
    if (!arch) return "head";
    if (starts_with(arch, "resnet") && tap->shape.rank == 1) return "fc";
    if (!starts_with(arch, "vgg")) return "head";
    if (starts_with(tap->name, "classifier")) return "classifier.6";
    return starts_with(tap->name, "avgpool") || starts_with(tap->name, "features") ||
                   starts_with(tap->name, "flatten")
               ? "classifier"
               : "head";
}

void pf_head_model_names(const cJSON *backbone, const PfCacheTap *tap,
                         char weight[PF_HEAD_NAME_SIZE], char bias[PF_HEAD_NAME_SIZE])
{
    const char *module = module_name(backbone, tap);
    snprintf(weight, PF_HEAD_NAME_SIZE, "%s.weight", module);
    snprintf(bias, PF_HEAD_NAME_SIZE, "%s.bias", module);
}

static cJSON *target_json(const PfTrainRun *run, const char *weight, const char *bias)
{
    cJSON *target = cJSON_CreateObject();
    cJSON_AddStringToObject(target, "name", run->target->name);
    cJSON_AddStringToObject(target, "kind", "class");
    cJSON_AddItemToObject(target, "classes",
                          cJSON_CreateStringArray(run->target->classes, run->target->class_count));
    cJSON_AddStringToObject(target, "weight", weight);
    cJSON_AddStringToObject(target, "bias", bias);
    return target;
}

static void add_copy(cJSON *object, const char *key, const cJSON *identity)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(identity, key);
    cJSON_AddItemToObject(object, key, item ? cJSON_Duplicate(item, 1) : cJSON_CreateNull());
}

/* Where extract found the network: predict looks there first. */
static void add_sources(cJSON *json, const PfCache *cache)
{
    static const char *const keys[] = {"backbone_path", "weights_path"};
    cJSON *provenance = cJSON_Parse(pf_cache_provenance(cache));
    cJSON *sources = cJSON_AddObjectToObject(json, "sources");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const cJSON *path = cJSON_GetObjectItemCaseSensitive(provenance, keys[i]);
        if (path) cJSON_AddItemToObject(sources, keys[i], cJSON_Duplicate(path, 1));
    }
    cJSON_Delete(provenance);
}

static cJSON *metadata_json(const PfTrainRun *run, const cJSON *identity, const char *weight,
                            const char *bias)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "version", PF_MODEL_VERSION);
    add_copy(json, "backbone", identity);
    cJSON_AddStringToObject(json, "tap", run->tap->name);
    cJSON *shape = cJSON_AddArrayToObject(json, "tap_shape");
    for (int i = 0; i < run->tap->shape.rank; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)run->tap->shape.dims[i]));
    add_copy(json, "preprocess", identity);
    add_copy(json, "precision", identity);
    add_sources(json, run->cache);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(json, "targets"), target_json(run, weight, bias));
    cJSON *metrics = cJSON_AddObjectToObject(json, "metrics");
    for (int split = 0; split < PF_SPLIT_COUNT; split++)
        if (run->metrics[split].count)
            cJSON_AddItemToObject(metrics, pf_split_names[split],
                                  pf_report_metrics(&run->metrics[split]));
    cJSON_AddItemToObject(json, "config", pf_report_config(run));
    return json;
}

int pf_head_model_write(const char *path, const PfTrainRun *run, const PfHead *head,
                        int *knows_backbone, PfError *err)
{
    char weight[PF_HEAD_NAME_SIZE], bias[PF_HEAD_NAME_SIZE];
    cJSON *identity = cJSON_Parse(pf_cache_identity(run->cache));
    const cJSON *backbone = cJSON_GetObjectItemCaseSensitive(identity, "backbone");
    pf_head_model_names(backbone, run->tap, weight, bias);
    const PfNamedTensor tensors[] = {
        {weight, {PF_DTYPE_F32, {2, {head->outputs, head->features}}, head->weight}},
        {bias, {PF_DTYPE_F32, {1, {head->outputs}}, head->bias}},
    };
    cJSON *metadata = metadata_json(run, identity, weight, bias);
    int failed = !metadata ? pf_fail(err, PF_EXIT_FAILED, "out of memory")
                           : pf_model_write(path, tensors, 2, metadata, err);
    *knows_backbone = cJSON_IsObject(backbone);
    cJSON_Delete(metadata);
    cJSON_Delete(identity);
    return failed;
}
