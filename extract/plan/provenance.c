#include "extract/plan/provenance.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/cache/split.h"
#include "common/file/path.h"
#include "extract/plan/runtime_rows.h"

#define WEIGHTS_STAMP_KEY "weights_stamp"

static void add_path(cJSON *object, const char *key, const char *path)
{
    char absolute[PATH_MAX];
    cJSON_AddStringToObject(object, key, realpath(path, absolute) ? absolute : path);
}

static void add_copy(cJSON *object, const char *key, const cJSON *from)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, key);
    if (item) cJSON_AddItemToObject(object, key, cJSON_Duplicate(item, 1));
}

static int add_weights_path(cJSON *object, const PfWeights *weights, PfError *err)
{
    char *path = pf_weights_noted_source(weights, err);
    if (path) cJSON_AddStringToObject(object, "weights_path", path);
    free(path);
    return path ? 0 : -1;
}

static int add_onnx_path(cJSON *object, const PfBackbonePlan *plan, PfError *err)
{
    char *path = pf_path_absolute(pf_backbone_plan_source(plan), err);
    if (path) cJSON_AddStringToObject(object, "backbone_path", path);
    free(path);
    return path ? 0 : -1;
}

/* What --merge puts them in order by, and misses one by. */
static int add_shard(cJSON *object, PfShard shard, const PfDataset *dataset, PfError *err)
{
    char listing[PF_SHA256_TEXT_SIZE];
    if (!shard.count) return 0;
    if (pf_dataset_listing_digest(dataset, listing, err)) return -1;
    const double pair[] = {(double)shard.number, (double)shard.count};
    cJSON_AddItemToObject(object, "shard", cJSON_CreateDoubleArray(pair, 2));
    if (pf_dataset_whole_count(dataset) >= 0)
        cJSON_AddNumberToObject(object, "dataset_rows", (double)pf_dataset_whole_count(dataset));
    cJSON_AddStringToObject(object, PF_LISTING_KEY, listing);
    return 0;
}

static void add_scheduler(cJSON *object, const PfProvenance *provenance)
{
    if (!provenance->scheduler) return;
    cJSON *scheduler = cJSON_AddObjectToObject(object, "scheduler");
    cJSON_AddStringToObject(scheduler, "variable", provenance->scheduler);
    cJSON_AddNumberToObject(scheduler, "base", (double)provenance->scheduler_base);
}

/* Caches of before do not say how the dataset was listed. */
static bool is_same_listing(const cJSON *object, const cJSON *wanted)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, PF_LISTING_KEY);
    const cJSON *expected = cJSON_GetObjectItemCaseSensitive(wanted, PF_LISTING_KEY);
    return !found || (expected && cJSON_Compare(found, expected, 1));
}

bool pf_provenance_is_of_shard(const char *json, PfShard shard, const PfDataset *dataset)
{
    cJSON *object = pf_json_read(json), *wanted = cJSON_CreateObject();
    bool same = !add_shard(wanted, shard, dataset, NULL) && is_same_listing(object, wanted);
    for (int i = 0; i < 2; i++) {
        const char *key = i ? "dataset_rows" : "shard";
        const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, key);
        const cJSON *expected = cJSON_GetObjectItemCaseSensitive(wanted, key);
        same &= found || expected ? cJSON_Compare(found, expected, 1) : 1;
    }
    cJSON_Delete(object);
    cJSON_Delete(wanted);
    return same;
}

/* By what rules rows were listed and split, so that a cache goes on as it began. */
#define SPLIT_NAMES_KEY "split_names"

static void add_rules(cJSON *object, const PfListingRules *rules)
{
    if (!rules->by_path)
        cJSON_AddStringToObject(object, PF_SPLIT_BY_KEY, rules->has_groups ? "group" : "content");
    if (!rules->exact_names) cJSON_AddStringToObject(object, SPLIT_NAMES_KEY, "usual");
}

PfListingRules pf_provenance_rules(const char *json)
{
    cJSON *object = pf_json_read(json);
    PfListingRules rules = {.by_path = pf_split_is_by_path(json),
                            .exact_names = !cJSON_HasObjectItem(object, SPLIT_NAMES_KEY)};
    cJSON_Delete(object);
    return rules;
}

/* Caches of the first versions have no list of options. What goes on by their reading says so. */
#define READ_AS_KEY "read_as"
#define READ_AS_FIRST "first"
#define OPTIONS_KEY "options" /* extract/like.h */

static void add_reading(cJSON *object, const PfDataset *dataset)
{
    if (pf_dataset_is_as_before(dataset))
        cJSON_AddStringToObject(object, READ_AS_KEY, READ_AS_FIRST);
}

const PfCache *pf_provenance_begun_before(const PfCache *cache)
{
    if (!cache) return NULL;
    cJSON *object = pf_json_read(pf_cache_provenance(cache));
    const char *reading = pf_json_member_text(object, READ_AS_KEY);
    const bool may =
        (reading && !strcmp(reading, READ_AS_FIRST)) || !cJSON_HasObjectItem(object, OPTIONS_KEY);
    cJSON_Delete(object);
    return may ? cache : NULL;
}

void pf_provenance_know_classes(const PfCache *cache, PfDatasetOptions *options)
{
    if (pf_cache_target_count(cache) != 1) return;
    const PfCacheTarget *target = pf_cache_target(cache, 0);
    if (target->kind != PF_TARGET_CLASS) return;
    options->known_classes = target->classes;
    options->known_class_count = target->class_count;
}

/* As text: JSON's numbers have 53 bits. */
static void add_stamp(cJSON *object, const PfFileStamp *stamp)
{
    char text[96];
    snprintf(text, sizeof text, "%" PRIu64 " %" PRId64 " %" PRId64, stamp->size_bytes,
             stamp->mtime_ns, stamp->ctime_ns);
    if (stamp->mtime_ns) cJSON_AddStringToObject(object, WEIGHTS_STAMP_KEY, text);
}

static int read_known_weights(const cJSON *provenance, const cJSON *identity,
                              PfFileStampSha256 *known)
{
    const cJSON *backbone = cJSON_GetObjectItemCaseSensitive(identity, "backbone");
    const char *stamp = pf_json_member_text(provenance, WEIGHTS_STAMP_KEY);
    const char *sha256 = pf_json_member_text(backbone, "weights_sha256");
    if (!sha256) sha256 = pf_json_member_text(backbone, "torchscript_sha256");
    if (!sha256) sha256 = pf_json_member_text(backbone, "onnx_sha256");
    if (!sha256 || strlen(sha256) != PF_SHA256_TEXT_SIZE - 1) return -1;
    strcpy(known->sha256, sha256);
    if (!stamp) return 0;
    int count = sscanf(stamp, "%" SCNu64 " %" SCNd64 " %" SCNd64, &known->stamp.size_bytes,
                       &known->stamp.mtime_ns, &known->stamp.ctime_ns);
    return count == 3 ? 0 : -1;
}

void pf_provenance_known_weights(const char *provenance, const char *identity,
                                 PfFileStampSha256 *known)
{
    cJSON *from = pf_json_read(provenance), *of = pf_json_read(identity);
    *known = (PfFileStampSha256){0};
    if (read_known_weights(from, of, known)) *known = (PfFileStampSha256){0};
    cJSON_Delete(from);
    cJSON_Delete(of);
}

void pf_provenance_add_origin(cJSON *object, const char *command)
{
    char now[32];
    time_t seconds = time(NULL);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);
    cJSON_AddStringToObject(object, "permafrost", PF_VERSION);
    cJSON_AddStringToObject(object, "created", now);
    cJSON_AddStringToObject(object, "command", command);
}

static bool holds(const cJSON *list, const char *text)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list)
    {
        if (cJSON_IsString(entry) && !strcmp(entry->valuestring, text)) return true;
    }
    return false;
}

/* Where the network's numbers come from. A plan without weights that has their SHA-256 has it from
 * the cache of before, which says the rest. */
static int add_source(cJSON *object, const PfBackbonePlan *plan, const cJSON *previous,
                      PfError *err)
{
    if (plan->onnx) {
        if (add_onnx_path(object, plan, err)) return -1;
    } else if (plan->script) {
        add_path(object, "backbone_path", pf_backbone_plan_source(plan));
    } else if (plan->weights) {
        if (add_weights_path(object, plan->weights, err)) return -1;
    } else if (*plan->sha256) {
        add_copy(object, "weights_path", previous);
        add_copy(object, WEIGHTS_STAMP_KEY, previous);
    }
    add_stamp(object, &plan->stamp);
    return 0;
}

/* The last runtime, and in the list those that rows kept from before came from. */
static void add_runtimes(cJSON *object, const char *runtime, const cJSON *previous)
{
    const char *last = pf_json_member_text(previous, "runtime");
    cJSON *earlier =
        cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(previous, "earlier_runtimes"), 1);
    if (!earlier) earlier = cJSON_CreateArray();
    if (!runtime) runtime = last;
    if (runtime && last && strcmp(runtime, last) && !holds(earlier, last))
        cJSON_AddItemToArray(earlier, cJSON_CreateString(last));
    if (runtime) cJSON_AddStringToObject(object, "runtime", runtime);
    if (cJSON_GetArraySize(earlier))
        cJSON_AddItemToObject(object, "earlier_runtimes", earlier);
    else
        cJSON_Delete(earlier);
}

static int add_runtime_rows(cJSON *object, const PfProvenance *provenance, PfError *err)
{
    cJSON *rows = pf_runtime_rows_of_scan(provenance->scan, provenance->known, provenance->previous,
                                          provenance->taps, err);
    if (!rows) return -1;
    if (rows->child)
        cJSON_AddItemToObject(object, PF_RUNTIME_ROWS_KEY, rows);
    else
        cJSON_Delete(rows);
    return 0;
}

/* The name of the rows stays, so that models and checkpoints know them. */
static void add_content(cJSON *object, const PfCache *cache)
{
    uint8_t content[PF_DIGEST_SIZE];
    char text[PF_DIGEST_TEXT_SIZE];
    if (pf_cache_content(cache, content))
        cJSON_AddStringToObject(object, PF_CACHE_CONTENT_KEY, pf_digest_text(content, text));
}

char *pf_provenance_json(const PfProvenance *provenance, PfError *err)
{
    const PfBackbonePlan *plan = provenance->plan;
    pf_json_begin();
    const PfCache *cache = provenance->previous;
    cJSON *previous = cache ? pf_json_read(pf_cache_provenance(cache)) : NULL;
    cJSON *object = cJSON_CreateObject();
    pf_provenance_add_origin(object, provenance->command);
    add_path(object, "dataset", pf_dataset_root(provenance->dataset));
    const char *version = pf_dataset_fetched_version(provenance->dataset);
    if (*version) cJSON_AddStringToObject(object, PF_FETCHED_KEY, version);
    if (provenance->add_options) provenance->add_options(provenance->context, object);
    int failed = add_shard(object, provenance->shard, provenance->dataset, err);
    add_scheduler(object, provenance);
    add_rules(object, &provenance->rules);
    add_reading(object, provenance->dataset);
    failed |= add_source(object, plan, previous, err);
    add_runtimes(object, provenance->runtime, previous);
    failed |= add_runtime_rows(object, provenance, err);
    if (provenance->batch) cJSON_AddNumberToObject(object, "batch", provenance->batch);
    if (provenance->is_same) add_content(object, cache);
    cJSON_Delete(previous);
    char *json = pf_json_finish(object, "provenance", err);
    if (!failed) return json;
    free(json);
    return NULL;
}
