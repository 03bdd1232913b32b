/* Rows of a cache, computed again from the images of a dataset: whether the network that the cache
 * names gives what is in it. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/script_file.h"
#include "common/base/integers.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/views.h"
#include "common/onnx/network.h"
#include "common/thread/parallel.h"
#include "extract/backbone/session.h"
#include "extract/image/pixel_tap.h"
#include "extract/pipeline/pipeline.h"
#include "extract/plan/identity.h"
#include "extract/verify/internal.h"
#include "extract/verify/tolerance.h"

#define MOST_BATCH 32
#define MOST_SEED 9007199254740992.0 /* 2^53 */

/* A sample of the dataset that has a row. */
typedef struct Pair {
    int64_t sample, row;
} Pair;

typedef struct Recomputation {
    const PfVerifiedImages *images;
    PfFindings *findings;
    PfBackbonePlan *plan;
    PfBackboneSession session;
    Pair *pairs; /* (count) by sample */
    int64_t count;
    int64_t *samples;         /* (count) those of the pairs */
    float *stored, *computed; /* of one row */
    PfRecomputedRows *outcome;
} Recomputation;

/* ---- which rows ---- */

typedef struct Known {
    const char *path;
    int64_t row;
} Known;

static int compare_known(const void *a, const void *b)
{
    return strcmp(((const Known *)a)->path, ((const Known *)b)->path);
}

static int compare_pairs(const void *a, const void *b)
{
    const int64_t x = ((const Pair *)a)->sample, y = ((const Pair *)b)->sample;
    return (x > y) - (x < y);
}

/* All samples that have a row. */
static int list_pairs(Recomputation *run, PfError *err)
{
    const PfVerifiedImages *images = run->images;
    const int64_t rows = pf_cache_row_count(images->cache);
    const int64_t samples = pf_dataset_count(images->dataset);
    Known *known = pf_calloc((size_t)rows + 1, sizeof *known, err);
    run->pairs = pf_calloc((size_t)samples + 1, sizeof *run->pairs, err);
    int failed = !known || !run->pairs;
    for (int64_t i = 0; i < rows && !failed; i++) known[i] = (Known){images->paths[i], i};
    if (!failed) qsort(known, (size_t)rows, sizeof *known, compare_known);
    for (int64_t s = 0; s < samples && !failed; s++) {
        const Known key = {.path = pf_dataset_samples(images->dataset)[s].path};
        const Known *found = bsearch(&key, known, (size_t)rows, sizeof key, compare_known);
        if (found) run->pairs[run->count++] = (Pair){s, found->row};
    }
    free(known);
    return failed ? -1 : 0;
}

/* So many of them, evenly spread; most 0: all. */
static int choose_pairs(Recomputation *run, int64_t most, PfError *err)
{
    const int64_t count = most ? pf_min(most, run->count) : run->count;
    for (int64_t i = 0; i < count; i++) run->pairs[i] = run->pairs[i * run->count / count];
    run->count = count;
    qsort(run->pairs, (size_t)count, sizeof *run->pairs, compare_pairs);
    run->samples = pf_calloc((size_t)count + 1, sizeof *run->samples, err);
    for (int64_t i = 0; i < count && run->samples; i++) run->samples[i] = run->pairs[i].sample;
    return run->samples ? 0 : -1;
}

/* ---- by which network ---- */

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* "layer3,avgpool": all taps of the cache; malloc'ed. */
static char *list_taps(const PfCache *cache, PfError *err)
{
    char *text = pf_strdup("", err);
    for (int t = 0; t < pf_cache_tap_count(cache) && text; t++) {
        char *longer = pf_asprintf(err, "%s%s%s", text, t ? "," : "", pf_cache_tap(cache, t)->name);
        free(text);
        text = longer;
    }
    return text;
}

/* A TorchScript file runs only where somebody trusts it, as it is the cache that names it. */
static int open_file(const cJSON *backbone, const cJSON *provenance, const char *by,
                     PfBackboneOptions *options, PfError *err)
{
    const char *path = pf_json_member_text(provenance, "backbone_path");
    if (pf_json_member_text(backbone, "name")) return 0;
    if (!path)
        return pf_fail(err, PF_EXIT_FAILED, "%s does not say where its network's file was", by);
    return pf_json_member_text(backbone, "onnx_sha256")
               ? pf_onnx_open(path, NULL, &options->onnx, err)
               : pf_script_file_open_trusted(path, by, &options->script, err);
}

static PfPrecision precision_of(const cJSON *identity)
{
    const char *name = pf_json_member_text(identity, "precision");
    PfPrecision precision;
    return name && !pf_precision_named(name, &precision) ? precision : PF_FP32;
}

static int make_plan(Recomputation *run, const cJSON *identity, const cJSON *provenance,
                     PfBackboneOptions *options, const char *by, PfError *err)
{
    const cJSON *backbone = member(identity, "backbone");
    const char *name = pf_json_member_text(backbone, "name");
    PfPreprocess preprocess;
    PfNotedWeights noted = {.by = by,
                            .source = pf_json_member_text(provenance, "weights_path"),
                            .sha256 = pf_json_member_text(backbone, "weights_sha256"),
                            .no_others = 1};
    if (!pf_identity_preprocess(pf_cache_identity(run->images->cache), &preprocess))
        return pf_fail(err, PF_EXIT_FAILED, "%s does not say how its images were prepared", by);
    if (name) options->backbone = name;
    options->precision = precision_of(identity);
    options->emulate = options->precision == PF_BF16;
    options->crop = preprocess.crop;
    options->store = PF_DTYPE_F32;
    options->noted = &noted;
    if (!options->weights && name) options->weights = pf_weights_still_there(noted.source);
    if (open_file(backbone, provenance, by, options, err) ||
        pf_backbone_plan_new(options, &run->plan, err))
        return -1;
    run->plan->preprocess = preprocess;
    const char *sha256 = pf_json_member_text(backbone, pf_backbone_plan_sha256_key(run->plan));
    if (pf_backbone_plan_lacks_weights(run->plan) || (sha256 && !strcmp(sha256, run->plan->sha256)))
        return 0;
    return pf_fail(err, PF_EXIT_IDENTITY,
                   "%s was made with the SHA-256 %.12s..., and that of '%s' is %.12s...", by,
                   sha256 ? sha256 : "unknown", pf_backbone_plan_source(run->plan),
                   run->plan->sha256);
}

static int open_network(Recomputation *run, const char *weights, const char *device, PfError *err)
{
    PfCache *cache = run->images->cache;
    cJSON *identity = pf_json_read(pf_cache_identity(cache));
    cJSON *provenance = pf_json_read(pf_cache_provenance(cache));
    PfBackboneOptions options = pf_backbone_options_default();
    const cJSON *views = member(identity, "views"), *seed = member(identity, "view_seed");
    char *taps = list_taps(cache, err),
         *by = taps ? pf_asprintf(err, "'%s'", pf_cache_path(cache)) : NULL;
    options.taps = taps;
    options.weights = weights;
    options.device = device;
    if (pf_json_is_whole(views, 1, PF_VIEWS_MAX)) options.views = (int)views->valuedouble;
    if (pf_json_is_whole(seed, 0, MOST_SEED)) options.view_seed = (int64_t)seed->valuedouble;
    int failed = !by || make_plan(run, identity, provenance, &options, by, err);
    if (!failed) {
        run->session.plan = run->plan;
        run->session.wanted_batch = (int)pf_min(run->count, MOST_BATCH);
        run->session.images = run->count * pf_max(1, run->plan->views);
        failed = pf_backbone_session_open(&run->session, (const char *const *)run->plan->taps,
                                          run->plan->tap_count, err);
    }
    free(by);
    free(taps);
    cJSON_Delete(identity);
    cJSON_Delete(provenance);
    return failed ? -1 : 0;
}

/* ---- row by row ---- */

static void compare_tap(Recomputation *run, int t, const Pair *pair, const void *features,
                        const char *path)
{
    PfCache *cache = run->images->cache;
    const PfCacheTap *tap = pf_cache_tap(cache, t);
    const int64_t count = pf_shape_count(&tap->shape);
    const PfTolerance tolerance = pf_tolerance_of(pf_cache_identity(cache), tap->dtype);
    if (pf_cache_read_f32(cache, t, pair->row, 1, run->stored, 1, NULL)) return; /* was told */
    for (int64_t i = 0; i < count && tap->dtype == PF_DTYPE_U8; i++)
        run->computed[i] = ((const uint8_t *)features)[i];
    if (tap->dtype != PF_DTYPE_U8)
        memcpy(run->computed, features, (size_t)count * sizeof *run->computed);
    if (pf_tolerance_agrees(tolerance, run->stored, run->computed, count)) return;
    pf_findings_add(run->findings,
                    "row %lld of /features/%s (%s) differs from what the network gives: by %.2g of "
                    "its largest number, where %.2g is allowed",
                    (long long)pair->row, tap->name, path,
                    pf_tolerance_difference(run->stored, run->computed, count),
                    tolerance.of_largest + tolerance.of_value);
}

static int sink_rows(void *context, int count, const PfPipelineRow *rows,
                     const void *const *features, PfError *err)
{
    Recomputation *run = context;
    const PfVerifiedImages *images = run->images;
    (void)err;
    for (int i = 0; i < count; i++) {
        const Pair key = {.sample = rows[i].sample};
        const Pair *pair = bsearch(&key, run->pairs, (size_t)run->count, sizeof key, compare_pairs);
        if (!pair || memcmp(rows[i].file.digest, images->digests[pair->row], PF_DIGEST_SIZE) != 0)
            continue; /* another image by now, which has been told */
        run->outcome->rows++;
        for (int t = 0; t < pf_cache_tap_count(images->cache); t++) {
            const PfCacheTap *tap = pf_cache_tap(images->cache, t);
            const size_t row = (size_t)pf_shape_count(&tap->shape) *
                               (tap->dtype == PF_DTYPE_U8 ? 1 : sizeof(float));
            compare_tap(run, t, pair, (const char *)features[t] + (size_t)i * row,
                        rows[i].file.path);
        }
    }
    return 0;
}

/* Such as one that an option had let through when the cache was made. */
static int sink_rejected(void *context, const PfPipelineRow *row, const char *reason, PfError *err)
{
    Recomputation *run = context;
    (void)err;
    run->outcome->rejected++;
    pf_warn("%s: its row is not computed again: %" PF_SENTENCE, row->file.path, reason);
    return 0;
}

/* That what comes out is as large as what is stored. */
static int check_shapes(Recomputation *run, PfError *err)
{
    int64_t largest = 1;
    for (int t = 0; t < pf_cache_tap_count(run->images->cache); t++) {
        const PfCacheTap *tap = pf_cache_tap(run->images->cache, t);
        const int64_t count = pf_shape_count(&tap->shape);
        const int64_t given =
            pf_shape_count(&run->session.taps[t].shape) * pf_max(1, run->plan->views);
        const bool is_pixels = pf_pixel_tap_is(tap->name);
        if (count != given || is_pixels != (tap->dtype == PF_DTYPE_U8))
            return pf_fail(err, PF_EXIT_FAILED,
                           "tap '%s' has %lld numbers, and the network gives "
                           "%lld",
                           tap->name, (long long)count, (long long)given);
        largest = pf_max(largest, count);
    }
    run->stored = pf_calloc((size_t)largest, sizeof *run->stored, err);
    run->computed = pf_calloc((size_t)largest, sizeof *run->computed, err);
    return run->stored && run->computed ? 0 : -1;
}

static int compute(Recomputation *run, PfPipeline **pipeline, PfError *err)
{
    const PfVerifiedImages *images = run->images;
    const PfBackboneSession *session = &run->session;
    const PfPipelineConfig config = {
        .dataset = images->dataset,
        .samples = run->samples,
        .sample_count = run->count,
        .preprocess = &run->plan->preprocess,
        .views = run->plan->views,
        .view_seed = (uint64_t)run->plan->view_seed,
        .workers = images->threads ? images->threads : pf_parallel_processor_count(),
        .interrupted = images->interrupted,
    };
    const PfPipelineNetwork network = {.plugin = session->plugin,
                                       .backbones = session->backbones,
                                       .backbone_count = session->backbone_count,
                                       .output_dtype = PF_DTYPE_F32,
                                       .batch = session->batch};
    const PfPipelineSink sink = {.context = run, .rows = sink_rows, .rejected = sink_rejected};
    PfPipelineStats stats = {0};
    pf_findings_begin(run->findings);
    const int failed = pf_pipeline_open(&config, pipeline, err) ||
                       pf_pipeline_run(*pipeline, &network, &sink, &stats, err);
    pf_findings_end(run->findings);
    return failed ? -1 : 0;
}

int pf_verify_recompute(const PfVerifiedImages *images, const char *weights, const char *device,
                        int64_t most, PfFindings *findings, PfRecomputedRows *outcome, PfError *err)
{
    Recomputation run = {.images = images, .findings = findings, .outcome = outcome};
    PfPipeline *pipeline = NULL;
    PfError why = {0};
    *outcome = (PfRecomputedRows){0};
    int failed = list_pairs(&run, err) || choose_pairs(&run, most, err);
    if (!failed && run.count) {
        if (open_network(&run, weights, device, &why) || check_shapes(&run, &why)) {
            if (most)
                pf_warn("no row is computed again: %" PF_SENTENCE, why.message);
            else
                failed = pf_fail(err, why.exit_code, "%" PF_SENTENCE, why.message);
        } else {
            outcome->tolerance = pf_tolerance_of(pf_cache_identity(images->cache), PF_DTYPE_F32);
            failed = compute(&run, &pipeline, err);
        }
    }
    pf_pipeline_close(&pipeline);
    pf_backbone_session_close(&run.session);
    pf_backbone_plan_free(&run.plan);
    free(run.pairs);
    free(run.samples);
    free(run.stored);
    free(run.computed);
    return failed ? -1 : 0;
}
