#include "predict/export/source.h"

#include <stdlib.h>

#include "common/base/json.h"
#include "common/base/memory.h"

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
static void add(PfExportMetadata *metadata, cJSON *object, const char *key, cJSON *item)
{
    const char *name = cJSON_GetStringValue(item);
    metadata->keys[metadata->count] = key;
    metadata->values[metadata->count++] = name ? pf_strdup(name, NULL) : pf_json_text(item);
    cJSON_AddItemToObject(object, key, item);
}

int pf_export_metadata_new(const PfScorer *scorer, const PfBackbonePlan *plan,
                           PfExportMetadata *out, PfError *err)
{
    *out = (PfExportMetadata){0};
    pf_json_begin();
    cJSON *object = cJSON_CreateObject();
    add(out, object, "backbone", cJSON_CreateString(plan->name));
    add(out, object, "tap", cJSON_CreateString(scorer->tap));
    add(out, object, "preprocess", pf_preprocess_json_new(&plan->preprocess));
    add(out, object, "targets", target_list(scorer));
    if (scorer->target_count == 1 && scorer->targets[0].classes)
        add(out, object, "classes", class_list(&scorer->targets[0]));
    out->json = pf_json_finish(object, "the metadata", err);
    int failed = !out->json;
    for (size_t i = 0; i < out->count && !failed; i++)
        if (!out->values[i])
            failed = pf_fail(err, PF_EXIT_FAILED, "out of memory for the metadata");
    if (failed) pf_export_metadata_free(out);
    return failed ? -1 : 0;
}

void pf_export_metadata_free(PfExportMetadata *metadata)
{
    for (size_t i = 0; i < metadata->count; i++) free(metadata->values[i]);
    free(metadata->json);
    *metadata = (PfExportMetadata){0};
}
