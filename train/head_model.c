#include "head_model.h"

#include <string.h>

#include "head_tensors.h"
#include "model_file.h"
#include "result_json.h"

static int starts_with(const char *text, const char *prefix)
{
    return !strncmp(text, prefix, strlen(prefix));
}

/* A ResNet's fc takes the pooled features. A VGG ends in classifier.0 to .6:
 * after its last but one layer the head is the .6, on what comes before the
 * classifier it is all of it, as in `model.classifier = Linear(25088, 2)`. */
const char *pf_head_module_name(const cJSON *backbone, const PfCacheTap *tap)
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

static cJSON *metadata_json(const PfTrainRun *run, const cJSON *identity,
                            const PfHeadTensors *tensors)
{
    const PfCacheTap *tap = pf_train_run_tap(run);
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "version", PF_MODEL_VERSION);
    add_copy(json, "backbone", identity);
    cJSON_AddStringToObject(json, "tap", tap->name);
    cJSON *shape = cJSON_AddArrayToObject(json, "tap_shape");
    for (int i = 0; i < tap->shape.rank; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tap->shape.dims[i]));
    add_copy(json, "preprocess", identity);
    add_copy(json, "precision", identity);
    add_sources(json, run->cache);
    cJSON_AddItemToObject(json, "layers", cJSON_Duplicate(tensors->layers, 1));
    cJSON_AddItemToObject(json, "targets", cJSON_Duplicate(tensors->targets, 1));
    cJSON *metrics = cJSON_AddObjectToObject(json, "metrics");
    for (int split = 0; split < PF_SPLIT_COUNT; split++)
        if (run->metrics[split])
            cJSON_AddItemToObject(metrics, pf_split_names[split],
                                  pf_result_split(run, (PfSplit)split, 0));
    cJSON_AddItemToObject(json, "config", pf_result_config(run));
    return json;
}

int pf_head_model_write(const char *path, const PfTrainRun *run, int *knows_backbone, PfError *err)
{
    const PfSweep *sweep = run->sweep;
    int standardized = sweep->experiment.normalize == PF_NORMALIZE_STANDARDIZE;
    cJSON *identity = cJSON_Parse(pf_cache_identity(run->cache));
    const cJSON *backbone = cJSON_GetObjectItemCaseSensitive(identity, "backbone");
    PfHeadTensors tensors;
    int failed =
        pf_head_tensors_new(sweep->result.network, sweep->table->tasks, sweep->table->task_count,
                            pf_head_module_name(backbone, pf_train_run_tap(run)),
                            standardized ? sweep->mean : NULL, sweep->scale, &tensors, err);
    if (!failed) {
        cJSON *metadata = metadata_json(run, identity, &tensors);
        failed = pf_model_write(path, tensors.items, tensors.count, metadata, err);
        cJSON_Delete(metadata);
        pf_head_tensors_free(&tensors);
    }
    *knows_backbone = cJSON_IsObject(backbone);
    cJSON_Delete(identity);
    return failed;
}
