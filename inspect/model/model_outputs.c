#include "inspect/model/model_outputs.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/model/preprocess_json.h"
#include "predict/evaluate/truth.h"
#include "predict/model/class_map.h"
#include "predict/model/own_classifier.h"
#include "predict/model/scorer.h"

#define BLOCK_BYTES ((int64_t)32 << 20)

#define UNKNOWN (-1) /* to the model */
#define OTHERS (-2)  /* the highest of those classes of the model that the cache does not have */

/* What the model has of a target of the page. */
typedef struct Match {
    const PfScorerTarget *source; /* NULL: nothing */
    bool has_others;              /* the page's last class stands for OTHERS */
} Match;

/* A model's outputs on the rows of a page. */
typedef struct Scoring {
    PfCachePage *page;
    const uint8_t *broken; /* (rows) or NULL */
    const volatile sig_atomic_t *interrupted;
    PfModel *model;
    PfScorer *scorer;
    PfPreprocess preprocess; /* crop 0: the model does not say */
    PfCacheTarget *targets;  /* of the cache */
    Match *matches;          /* (targets of the page) */
    int *sources;            /* (outputs of the page's targets, one after the other) the scorer's
                                column, UNKNOWN or OTHERS */
    uint8_t *is_shown;       /* (scorer->outputs) the page has a column of its own for it */
    float *row;              /* (scorer->outputs) */
} Scoring;

/* Classes and labels may differ, numbers and points are of one place each. */
static bool fits(const PfScorerTarget *own, const PfCacheTarget *target)
{
    const bool has_names = target->kind == PF_TARGET_CLASS || target->kind == PF_TARGET_MULTILABEL;
    return own->kind == target->kind && (has_names || own->outputs == target->width);
}

/* The model's target that tells the cache's target number `index`, as for --evaluate; NULL: it has
 * none. targets: all of the cache's. */
static const PfScorerTarget *find_target(const PfScorer *scorer, const PfCacheTarget *targets,
                                         int count, int index)
{
    for (int t = 0; t < scorer->target_count; t++)
        if (pf_truth_source(scorer, t, targets, count) == &targets[index])
            return fits(&scorer->targets[t], &targets[index]) ? &scorer->targets[t] : NULL;
    return NULL;
}

/* The model's output that is number `column` of the cache's target, or UNKNOWN. Classes and labels
 * are known by their names, numbers by their place. */
static int find_column(const PfScorerTarget *source, const PfCacheTarget *target, int column)
{
    bool has_names = target->kind == PF_TARGET_CLASS || target->kind == PF_TARGET_MULTILABEL;
    for (int s = 0; source && s < source->outputs; s++)
        if (has_names ? !strcmp(target->classes[column], source->classes[s]) : s == column)
            return source->first + s;
    return UNKNOWN;
}

static int width_of(const PfCacheTarget *target)
{
    return target->kind == PF_TARGET_CLASS ? target->class_count : target->width;
}

int pf_model_outputs_check(const PfScorer *scorer, const char *model, const PfCache *cache,
                           PfError *err)
{
    const int count = pf_cache_target_count(cache);
    PfCacheTarget *targets = pf_truth_list_targets(cache, err);
    bool is_any = false;
    if (!targets) return -1;
    for (int t = 0; t < count && !is_any; t++) {
        const PfScorerTarget *source = find_target(scorer, targets, count, t);
        for (int c = 0; source && c < width_of(&targets[t]) && !is_any; c++)
            is_any = find_column(source, &targets[t], c) >= 0;
    }
    free(targets);
    if (is_any) return 0;
    return pf_fail(err, PF_EXIT_IDENTITY,
                   "model '%s' predicts none of the targets of '%s', and a page of a cache shows "
                   "what is predicted beside what is true",
                   model, pf_cache_path(cache));
}

/* The page's targets are the cache's, one by one; one gets one more class where the model has
 * classes that the cache lacks. */
static int match_target(Scoring *scoring, int index, PfError *err)
{
    PfPageTarget *target = &scoring->page->data.targets[index];
    const PfCacheTarget *own = &scoring->targets[index];
    Match *match = &scoring->matches[index];
    int shown = 0;
    match->source = find_target(scoring->scorer, scoring->targets,
                                pf_cache_target_count(scoring->page->cache), index);
    if (!match->source || target->kind != PF_TARGET_CLASS) return 0;
    for (int c = 0; c < target->width; c++) shown += find_column(match->source, own, c) >= 0;
    match->has_others = shown < match->source->outputs;
    return match->has_others
               ? pf_cache_page_add_class(scoring->page, target, "(another class)", err)
               : 0;
}

/* Rows of classes that the model does not know are told of, as they are judged by nothing. */
static void say_unjudged(PfPageData *data, const PfPageTarget *target)
{
    int64_t rows = 0;
    for (int64_t i = 0; target->labels && i < data->rows; i++)
        rows += target->labels[i] >= 0 && target->unknown[target->labels[i]];
    if (rows)
        pf_page_add_fact(
            data, "not judged",
            "%lld of the images: '%s' is of a class there that the model does not know",
            (long long)rows, target->name);
}

/* sources: (target->width) */
static int match_columns(Scoring *scoring, int index, int *sources, PfError *err)
{
    PfPageData *data = &scoring->page->data;
    PfPageTarget *target = &data->targets[index];
    const PfCacheTarget *own = &scoring->targets[index];
    const Match *match = &scoring->matches[index];
    const int width = target->width - match->has_others;
    int known = 0;
    for (int c = 0; c < target->width; c++) {
        sources[c] = c == width ? OTHERS : find_column(match->source, own, c);
        if (sources[c] < 0) continue;
        scoring->is_shown[sources[c]] = 1;
        known++;
    }
    if (!match->source) return 0;
    if (!pf_cache_page_outputs(scoring->page, target, err)) return -1;
    if (!target->names || known == width) return 0;
    uint8_t *unknown = pf_cache_page_unknown(scoring->page, target, err);
    for (int c = 0; c < width && unknown; c++) unknown[c] = sources[c] == UNKNOWN;
    if (unknown && target->kind == PF_TARGET_CLASS) say_unjudged(data, target);
    return unknown ? 0 : -1;
}

static int find_columns(Scoring *scoring, PfError *err)
{
    const PfPageData *data = &scoring->page->data;
    int total = 0;
    if (pf_model_outputs_check(scoring->scorer, pf_model_path(scoring->model), scoring->page->cache,
                               err))
        return -1;
    scoring->targets = pf_truth_list_targets(scoring->page->cache, err);
    scoring->matches = pf_calloc((size_t)data->target_count + 1, sizeof *scoring->matches, err);
    scoring->is_shown = pf_calloc((size_t)scoring->scorer->outputs + 1, 1, err);
    if (!scoring->targets || !scoring->matches || !scoring->is_shown) return -1;
    for (int t = 0; t < data->target_count; t++) {
        if (match_target(scoring, t, err)) return -1;
        total += data->targets[t].width;
    }
    scoring->sources = pf_calloc((size_t)total + 1, sizeof *scoring->sources, err);
    if (!scoring->sources) return -1;
    int *next = scoring->sources;
    for (int t = 0; t < data->target_count; t++) {
        if (match_columns(scoring, t, next, err)) return -1;
        next += data->targets[t].width;
    }
    return 0;
}

/* What a column of the page shows that the model has none of its own for. */
static float value_beside(const Scoring *scoring, const PfScorerTarget *source, int column,
                          const float *outputs)
{
    float highest = 0;
    if (isnan(outputs[source->first])) return NAN; /* nothing was predicted */
    for (int s = source->first; column == OTHERS && s < source->first + source->outputs; s++)
        if (!scoring->is_shown[s]) highest = fmaxf(highest, outputs[s]);
    return highest;
}

static void take_row(const Scoring *scoring, int64_t row, const float *outputs)
{
    const PfPageData *data = &scoring->page->data;
    const PfPreprocess *preprocess = &scoring->preprocess;
    int next = 0;
    if (scoring->broken && scoring->broken[row] == 1) return;
    if (preprocess->crop > 0 && data->widths[row] > 0 && data->heights[row] > 0) {
        PfCropFrame frame =
            pf_crop_geometry_frame(preprocess->resize, preprocess->crop, preprocess->squash,
                                   data->widths[row], data->heights[row]);
        pf_scorer_to_image(scoring->scorer, &frame, outputs, scoring->row);
        outputs = scoring->row;
    }
    for (int t = 0; t < data->target_count; t++) {
        const PfPageTarget *target = &data->targets[t];
        union { /* the page's own array */
            const float *read;
            float *write;
        } to = {target->outputs};
        for (int c = 0; c < target->width; c++, next++) {
            int source = scoring->sources[next];
            if (target->outputs)
                to.write[row * target->width + c] =
                    source >= 0
                        ? outputs[source]
                        : value_beside(scoring, scoring->matches[t].source, source, outputs);
        }
    }
}

static int score_rows(Scoring *scoring, PfCachedFeatures *cached, PfError *err)
{
    const PfScorer *scorer = scoring->scorer;
    int64_t fit = BLOCK_BYTES / ((scorer->outputs + scorer->features) * (int64_t)sizeof(float)) + 1;
    int64_t block = pf_min(cached->block_rows, fit), rows = scoring->page->data.rows;
    float *features = pf_alloc_aligned((size_t)(block * scorer->features), sizeof *features, err);
    int failed = !features;
    for (int64_t first = 0; first < rows && !failed; first += block) {
        int64_t count = pf_min(block, rows - first);
        const float *outputs;
        if (scoring->interrupted && *scoring->interrupted)
            failed = pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted");
        failed = failed || pf_cached_features_read(cached, first, count, features, err) ||
                 pf_scorer_score(scoring->scorer, count, features, PF_DTYPE_F32, &outputs, err);
        for (int64_t i = 0; i < count && !failed; i++)
            take_row(scoring, first + i, outputs + i * scorer->outputs);
    }
    free(features);
    return failed ? -1 : 0;
}

static int run_model(Scoring *scoring, const PfModelNetworkOptions *options, PfError *err)
{
    PfCachedFeatures cached = {0};
    PfCache *cache = scoring->page->cache;
    const cJSON *metadata = pf_model_metadata(scoring->model);
    if (pf_scorer_new(scoring->model, &scoring->scorer, err) ||
        pf_class_map_apply(scoring->scorer, options->class_map, err))
        return -1;
    if (pf_preprocess_json_read(cJSON_GetObjectItemCaseSensitive(metadata, "preprocess"),
                                &scoring->preprocess, NULL))
        scoring->preprocess = (PfPreprocess){0};
    scoring->row = pf_calloc((size_t)scoring->scorer->outputs, sizeof *scoring->row, err);
    if (!scoring->row || find_columns(scoring, err) ||
        pf_model_network_check_cache(scoring->model, options->model, scoring->scorer->tap, cache,
                                     err))
        return -1;
    int failed = pf_cached_features_open(scoring->model, options, scoring->scorer->tap,
                                         scoring->scorer->features, cache, &cached, err) ||
                 score_rows(scoring, &cached, err);
    pf_cached_features_close(&cached);
    return failed ? -1 : 0;
}

int pf_model_outputs_fill(PfCachePage *page, const PfModelNetworkOptions *options,
                          const uint8_t *broken, PfError *err)
{
    Scoring scoring = {.page = page, .broken = broken, .interrupted = page->data.interrupted};
    const char *path = options->model, *slash = strrchr(path, '/');
    if (pf_own_classifier_or_model(options, &scoring.model, err)) return -1;
    if (!page->data.is_anonymous)
        pf_page_add_fact(&page->data, "model", "%s", slash ? slash + 1 : path);
    int failed = run_model(&scoring, options, err);
    free(scoring.targets);
    free(scoring.matches);
    free(scoring.sources);
    free(scoring.is_shown);
    free(scoring.row);
    pf_scorer_free(&scoring.scorer);
    pf_model_close(&scoring.model);
    return failed;
}

int pf_model_outputs_check_model(const PfModelNetworkOptions *options, const PfCache *cache,
                                 PfError *err)
{
    PfModel *model;
    PfScorer *scorer = NULL;
    if (pf_own_classifier_or_model(options, &model, err)) return -1;
    int failed = pf_scorer_new(model, &scorer, err) ||
                 pf_class_map_apply(scorer, options->class_map, err) ||
                 pf_model_outputs_check(scorer, options->model, cache, err);
    pf_scorer_free(&scorer);
    pf_model_close(&model);
    return failed ? -1 : 0;
}
