#include "inspect/near.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/views.h"
#include "common/model/model_file.h"
#include "extract/backbone/session.h"
#include "extract/dataset/dataset.h"
#include "extract/image/pixel_tap.h"
#include "extract/pipeline/pipeline.h"
#include "inspect/neighbours/neighbours.h"

#define WEIGHT "none.weight"
#define BIAS "none.bias"

typedef struct Query {
    const PfInspectOptions *options;
    const PfRows *rows;
    PfModel *model;
    PfDataset *dataset;
    PfBackbonePlan *plan;
    PfBackboneSession session;
    PfPipeline *pipeline;
    float *features; /* (rows->features) */
    bool is_there;
} Query;

/* ---- the network, as a model file would name it ---- */

static void add_sources(const PfCache *cache, cJSON *metadata)
{
    static const char *const keys[] = {"backbone_path", "weights_path"};
    cJSON *provenance = pf_json_read(pf_cache_provenance(cache));
    cJSON *sources = cJSON_AddObjectToObject(metadata, "sources");
    for (int i = 0; i < 2; i++) {
        const cJSON *path = cJSON_GetObjectItemCaseSensitive(provenance, keys[i]);
        if (path) cJSON_AddItemToObject(sources, keys[i], cJSON_Duplicate(path, 1));
    }
    cJSON_Delete(provenance);
}

/* Everything that is read of a model but its head, in whose place one of zeros stands. */
static cJSON *make_metadata(const PfRows *rows, PfError *err)
{
    const PfCacheTap *tap = pf_cache_tap(rows->cache, rows->tap);
    PfShape shape = pf_cache_views_shape(&tap->shape, rows->views);
    pf_json_begin();
    cJSON *metadata = pf_json_read(pf_cache_identity(rows->cache));
    if (!metadata) metadata = cJSON_CreateObject();
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "version");
    cJSON_AddNumberToObject(metadata, "version", PF_MODEL_VERSION);
    cJSON_AddStringToObject(metadata, "tap", tap->name);
    cJSON *dims = cJSON_AddArrayToObject(metadata, "tap_shape");
    for (int i = 0; i < shape.rank; i++)
        cJSON_AddItemToArray(dims, cJSON_CreateNumber((double)shape.dims[i]));
    add_sources(rows->cache, metadata);
    cJSON *target = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(metadata, "targets"), target);
    cJSON_AddStringToObject(target, "name", "none");
    cJSON_AddStringToObject(target, "kind", pf_target_kind_name(PF_TARGET_REGRESSION));
    cJSON_AddStringToObject(target, "weight", WEIGHT);
    cJSON_AddStringToObject(target, "bias", BIAS);
    char *text = pf_json_finish(metadata, "the network's description", err);
    metadata = text ? pf_json_read(text) : NULL;
    free(text);
    return metadata;
}

static int check_identity(const PfCache *cache, PfError *err)
{
    cJSON *identity = pf_json_read(pf_cache_identity(cache));
    bool is_known = cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(identity, "backbone"));
    cJSON_Delete(identity);
    if (is_known) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' does not say which network its features come from: no other image can be "
                   "compared with them",
                   pf_cache_path(cache));
}

static int make_model(Query *query, PfError *err)
{
    const PfRows *rows = query->rows;
    float *zeros = pf_calloc((size_t)rows->features, sizeof *zeros, err);
    cJSON *metadata = zeros ? make_metadata(rows, err) : NULL;
    const PfNamedTensor tensors[] = {
        {WEIGHT, {PF_DTYPE_F32, {2, {1, rows->features}}, zeros}},
        {BIAS, {PF_DTYPE_F32, {1, {1}}, zeros}},
    };
    int failed = !metadata ||
                 pf_model_new(pf_cache_path(rows->cache), tensors, 2, metadata, &query->model, err);
    free(zeros);
    return failed ? -1 : 0;
}

/* ---- the image ---- */

static int sink_rows(void *context, int count, const PfPipelineRow *rows,
                     const void *const *features, PfError *err)
{
    Query *query = context;
    const char *tap = pf_cache_tap(query->rows->cache, query->rows->tap)->name;
    PfDtype dtype = pf_pixel_tap_dtype(tap, query->plan->store);
    (void)rows, (void)err;
    if (!count) return 0;
    pf_f32_from_dtype_array(query->features, features[0], dtype, (size_t)query->rows->features);
    query->is_there = true;
    return 0;
}

static int sink_rejected(void *context, const PfPipelineRow *row, const char *reason, PfError *err)
{
    (void)context;
    return pf_fail(err, PF_EXIT_BAD_IMAGES, "%s: %" PF_SENTENCE, row->file.path, reason);
}

static int open_all(Query *query, PfError *err)
{
    const PfInspectOptions *options = query->options;
    const char *tap = pf_cache_tap(query->rows->cache, query->rows->tap)->name;
    PfModelNetworkOptions network = options->network;
    network.model = pf_cache_path(query->rows->cache);
    network.what = "cache";
    if (check_identity(query->rows->cache, err) || make_model(query, err) ||
        pf_dataset_open_paths(&options->near, 1, &query->dataset, err) ||
        pf_model_network_plan(query->model, &network, tap, &query->plan, err))
        return -1;
    PfPipelineConfig config = {.dataset = query->dataset,
                               .preprocess = &query->plan->preprocess,
                               .workers = 1,
                               .interrupted = options->rows.interrupted};
    query->session.plan = query->plan;
    query->session.wanted_batch = 1;
    query->session.images = 1;
    return pf_pipeline_open(&config, &query->pipeline, err) ||
                   pf_backbone_session_open(&query->session, (const char *const *)query->plan->taps,
                                            query->plan->tap_count, err)
               ? -1
               : 0;
}

static int run_network(Query *query, PfError *err)
{
    const PfBackboneSession *session = &query->session;
    int64_t features = pf_shape_count(&session->taps[0].shape);
    PfPipelineNetwork network = {.plugin = session->plugin,
                                 .backbones = session->backbones,
                                 .backbone_count = session->backbone_count,
                                 .output_dtype = PF_DTYPE_F32,
                                 .batch = session->batch};
    PfPipelineSink sink = {.context = query, .rows = sink_rows, .rejected = sink_rejected};
    PfPipelineStats stats = {0};
    if (features != query->rows->features)
        return pf_fail(err, PF_EXIT_IDENTITY,
                       "'%s' has %lld features; tap '%s' of its network gives %lld",
                       pf_cache_path(query->rows->cache), (long long)query->rows->features,
                       session->taps[0].name, (long long)features);
    if (pf_pipeline_run(query->pipeline, &network, &sink, &stats, err)) return -1;
    if (query->is_there) return 0;
    return pf_fail(err, PF_EXIT_BAD_IMAGES, "'%s' could not be used", query->options->near);
}

static void close_all(Query *query)
{
    pf_pipeline_close(&query->pipeline);
    pf_backbone_session_close(&query->session);
    pf_backbone_plan_free(&query->plan);
    pf_dataset_close(&query->dataset);
    pf_model_close(&query->model);
    free(query->features);
}

/* ---- its neighbours ---- */

static int list_nearest(const Query *query, PfNearImages *out, PfError *err)
{
    int k = (int)pf_min(query->options->near_count, query->rows->count);
    int32_t *index = pf_calloc((size_t)k, sizeof *index, err);
    float *similarity = pf_calloc((size_t)k, sizeof *similarity, err);
    out->images = pf_calloc((size_t)k, sizeof *out->images, err);
    int failed = !index || !similarity || !out->images ||
                 pf_neighbours_of(query->rows, query->features, k, index, similarity, err);
    for (int i = 0; i < k && !failed && index[i] >= 0; i++)
        out->images[out->count++] = (PfNearImage){index[i], similarity[i]};
    free(index);
    free(similarity);
    out->status.done = !failed;
    return failed ? -1 : 0;
}

int pf_near_find(const PfInspectOptions *options, const PfRows *rows, PfNearImages *out,
                 PfError *err)
{
    Query query = {.options = options, .rows = rows};
    out->image = options->near;
    query.features = pf_calloc((size_t)rows->features, sizeof *query.features, err);
    int failed = !query.features || open_all(&query, err) || run_network(&query, err) ||
                 list_nearest(&query, out, err);
    close_all(&query);
    return failed ? -1 : 0;
}
