#include "inspect/models.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/split.h"
#include "inspect/findings/comparison.h"
#include "inspect/findings/probe.h"
#include "predict/evaluate/labelled_set.h"
#include "predict/model/network.h"
#include "predict/model/own_classifier.h"
#include "predict/model/scorer.h"

/* Outputs that are made at a time. */
#define BLOCK_BYTES ((int64_t)32 << 20)

/* Takes the probabilities of rows [first, first + count): (count, classes + 1), of which the last
 * is the highest one of a class that the cache does not have. */
typedef void Take(void *context, int64_t first, int64_t count, const float *probabilities);

typedef struct Judge {
    const PfRows *rows;
    PfModel *model;
    PfScorer *scorer;
    const PfScorerTarget *target;
    int32_t *classes; /* (target->outputs) the cache's class of each of the model's; -1: none */
    uint8_t *known;   /* (classes of the cache) whether the model has it */
    Take *take;
    void *context;
} Judge;

/* The model's target of classes: that of the cache's name, or the only one. */
static int find_target(Judge *judge, const char *path, PfError *err)
{
    int found = 0;
    for (int t = 0; t < judge->scorer->target_count; t++) {
        const PfScorerTarget *target = &judge->scorer->targets[t];
        if (target->kind != PF_TARGET_CLASS) continue;
        if (!strcmp(target->name, judge->rows->target)) {
            judge->target = target;
            return 0;
        }
        if (!found++) judge->target = target;
    }
    if (found == 1) return 0;
    return pf_fail(err, PF_EXIT_IDENTITY, "model '%s' predicts no classes of '%s'", path,
                   judge->rows->target);
}

static int map_classes(Judge *judge, const char *path, PfError *err)
{
    const PfRows *rows = judge->rows;
    int known = 0;
    judge->classes = pf_calloc((size_t)judge->target->outputs, sizeof *judge->classes, err);
    judge->known = pf_calloc((size_t)rows->class_count + 1, 1, err);
    if (!judge->classes || !judge->known) return -1;
    for (int m = 0; m < judge->target->outputs; m++) {
        judge->classes[m] = -1;
        for (int32_t c = 0; c < rows->class_count && judge->classes[m] < 0; c++)
            if (!strcmp(judge->target->classes[m], rows->classes[c])) judge->classes[m] = c;
        if (judge->classes[m] < 0) continue;
        judge->known[judge->classes[m]] = 1;
        known++;
    }
    if (known) return 0;
    return pf_fail(err, PF_EXIT_IDENTITY, "model '%s' knows none of the classes of '%s'", path,
                   pf_cache_path(rows->cache));
}

/* Names those classes of the cache that the model does not have. */
static void say_unknown(const Judge *judge, const char *path)
{
    const PfRows *rows = judge->rows;
    char names[256] = "";
    int told = 0, unknown = 0;
    for (int c = 0; c < rows->class_count; c++) {
        size_t used = strlen(names);
        if (judge->known[c] || unknown++ >= 5) continue;
        told++;
        snprintf(names + used, sizeof names - used, "%s'%.32s'", *names ? ", " : "",
                 rows->classes[c]);
    }
    if (unknown)
        pf_warn("target '%s': %d of %d classes of the cache are not known to the model '%s', and "
                "their images count for nothing with it: %s%s",
                rows->target, unknown, rows->class_count, path, names,
                unknown > told ? ", ..." : "");
}

/* outputs: (count, scorer->outputs). probabilities: (count, classes + 1), as of Take. */
static void by_cache_classes(const Judge *judge, int64_t first, int64_t count, const float *outputs,
                             float *probabilities)
{
    const PfRows *rows = judge->rows;
    const int classes = rows->class_count;
    for (int64_t i = 0; i < count; i++) {
        const bool is_broken = rows->broken[first + i] == 1;
        const float *from = outputs + i * judge->scorer->outputs + judge->target->first;
        float *to = probabilities + i * (classes + 1);
        for (int c = 0; c <= classes; c++) to[c] = is_broken ? NAN : 0;
        for (int m = 0; m < judge->target->outputs && !is_broken; m++)
            if (judge->classes[m] >= 0)
                to[judge->classes[m]] = from[m];
            else
                to[classes] = fmaxf(to[classes], from[m]);
    }
}

static int score_rows(Judge *judge, PfCachedFeatures *cached, PfError *err)
{
    const PfScorer *scorer = judge->scorer;
    const PfRows *rows = judge->rows;
    int64_t columns = (int64_t)rows->class_count + 1;
    int64_t values = scorer->outputs + scorer->features + columns;
    int64_t fit = BLOCK_BYTES / (values * (int64_t)sizeof(float)) + 1;
    int64_t block = pf_min(cached->block_rows, fit);
    float *features = pf_alloc_aligned((size_t)(block * scorer->features), sizeof *features, err);
    float *probabilities = pf_alloc_aligned((size_t)(block * columns), sizeof *probabilities, err);
    int failed = !features || !probabilities;
    for (int64_t first = 0; first < rows->count && !failed; first += block) {
        int64_t count = pf_min(block, rows->count - first);
        const float *outputs;
        failed = pf_rows_check_interrupt(rows, err) ||
                 pf_cached_features_read(cached, first, count, features, err) ||
                 pf_scorer_score(judge->scorer, count, features, PF_DTYPE_F32, &outputs, err);
        if (failed) break;
        by_cache_classes(judge, first, count, outputs, probabilities);
        judge->take(judge->context, first, count, probabilities);
    }
    free(features);
    free(probabilities);
    return failed ? -1 : 0;
}

static int run_model(Judge *judge, const char *path, PfError *err)
{
    PfModelNetworkOptions options = {.model = path, .device = "auto"};
    PfCachedFeatures cached = {0};
    PfCache *cache = judge->rows->cache;
    if (pf_scorer_new(judge->model, &judge->scorer, err) || find_target(judge, path, err) ||
        map_classes(judge, path, err) ||
        pf_model_network_check_cache(judge->model, path, judge->scorer->tap, cache, err))
        return -1;
    int failed = pf_cached_features_open(judge->model, &options, judge->scorer->tap,
                                         judge->scorer->features, cache, &cached, err) ||
                 score_rows(judge, &cached, err);
    pf_cached_features_close(&cached);
    return failed ? -1 : 0;
}

static void judge_free(Judge *judge)
{
    pf_scorer_free(&judge->scorer);
    pf_model_close(&judge->model);
    free(judge->classes);
    free(judge->known);
    *judge = (Judge){0};
}

/* All rows by one model, in blocks, first to last. judge: starts from what is asked of it; free it
 * with judge_free, on failure too. */
static int visit(Judge *judge, const char *path, PfError *err)
{
    const PfRows *rows = judge->rows;
    if (!rows->labels)
        return pf_fail(err, PF_EXIT_USAGE, "--model: '%s' has no labels that a model could judge",
                       pf_cache_path(rows->cache));
    return pf_model_open(path, &judge->model, err) || run_model(judge, path, err) ? -1 : 0;
}

/* ---- all probabilities of one ---- */

static void keep(void *context, int64_t first, int64_t count, const float *probabilities)
{
    PfModelAnswers *answers = context;
    const int64_t classes = answers->classes;
    for (int64_t i = 0; i < count; i++) {
        const float *from = probabilities + i * (classes + 1);
        memcpy(answers->probabilities + (first + i) * classes, from,
               (size_t)classes * sizeof *from);
        answers->others[first + i] = from[classes];
    }
}

int pf_models_predict(const char *path, const PfRows *rows, bool names_unknown, PfModelAnswers *out,
                      PfError *err)
{
    Judge judge = {.rows = rows, .take = keep, .context = out};
    *out = (PfModelAnswers){.classes = rows->class_count};
    out->probabilities =
        pf_alloc_aligned((size_t)(rows->count * rows->class_count), sizeof(float), err);
    out->others = pf_alloc_aligned((size_t)rows->count, sizeof(float), err);
    int failed = !out->probabilities || !out->others || visit(&judge, path, err);
    if (!failed && names_unknown) say_unknown(&judge, path);
    out->known = judge.known;
    judge.known = NULL;
    judge_free(&judge);
    return failed ? -1 : 0;
}

void pf_model_answers_free(PfModelAnswers *answers)
{
    free(answers->probabilities);
    free(answers->others);
    free(answers->known);
    *answers = (PfModelAnswers){0};
}

/* ---- side by side ---- */

typedef struct Choice {
    const PfRows *rows;
    const uint8_t *splits; /* (rows) */
    const uint8_t *known;  /* (classes) */
    int split;             /* PF_SPLIT_COUNT: all */
} Choice;

static bool is_asked(const void *context, int64_t row)
{
    const Choice *choice = context;
    return pf_probe_is_labelled(choice->rows, row) && choice->known[choice->rows->labels[row]] &&
           (choice->split == PF_SPLIT_COUNT || choice->splits[row] == choice->split);
}

/* Which splits a model knows, and, out of known[], which classes. Names those that it does not
 * know. splits: as of pf_labelled_set_cache_splits. */
static int look_at_model(const char *path, const PfRows *rows, uint8_t *known, uint8_t **splits,
                         bool *is_own, PfError *err)
{
    Judge judge = {.rows = rows};
    int failed =
        pf_model_open(path, &judge.model, err) || pf_scorer_new(judge.model, &judge.scorer, err) ||
        find_target(&judge, path, err) || map_classes(&judge, path, err) ||
        pf_labelled_set_cache_splits(judge.scorer, judge.model, rows->cache, splits, is_own, err);
    if (!failed) say_unknown(&judge, path);
    for (int c = 0; c < rows->class_count && !failed; c++) known[c] &= judge.known[c];
    judge_free(&judge);
    return failed ? -1 : 0;
}

/* Takes the val rows out of agreed[] where those of splits[] are others. */
static void agree(const PfRows *rows, const uint8_t *splits, uint8_t *agreed)
{
    bool is_same = true;
    for (int64_t i = 0; i < rows->count && is_same; i++)
        is_same = (splits[i] == PF_SPLIT_VAL) == (agreed[i] == PF_SPLIT_VAL);
    for (int64_t i = 0; i < rows->count && !is_same; i++)
        if (agreed[i] == PF_SPLIT_VAL) agreed[i] = PF_SPLIT_TRAIN;
}

/* Splits as the models that were trained on this cache know them, which may have drawn val rows
 * themselves; where they do not agree on these, or one has learned from them, there are none. Other
 * models have no say. agreed: (rows). known: (classes) those that every model knows. */
static int find_splits(const char *const *paths, int count, const PfRows *rows, uint8_t *agreed,
                       uint8_t *known, PfError *err)
{
    bool has_own = false, is_own = false;
    memcpy(agreed, rows->splits, (size_t)rows->count);
    memset(known, 1, (size_t)rows->class_count);
    for (int m = 0; m < count; m++) {
        uint8_t *splits = NULL;
        int failed = look_at_model(paths[m], rows, known, &splits, &is_own, err);
        if (!failed && is_own && has_own) agree(rows, splits, agreed);
        if (!failed && is_own && !has_own) memcpy(agreed, splits, (size_t)rows->count);
        has_own = has_own || is_own;
        free(splits);
        if (failed) return -1;
    }
    return 0;
}

int pf_models_find_splits(const char *path, const PfRows *rows, uint8_t **splits, PfError *err)
{
    const PfModelNetworkOptions options = {.model = path, .device = "auto"};
    PfModel *model;
    PfScorer *scorer = NULL;
    bool is_own = false;
    *splits = NULL;
    if (pf_own_classifier_or_model(&options, &model, err)) return -1;
    int failed = pf_scorer_new(model, &scorer, err) ||
                 pf_labelled_set_cache_splits(scorer, model, rows->cache, splits, &is_own, err);
    pf_scorer_free(&scorer);
    pf_model_close(&model);
    if (!failed && is_own) return 0;
    free(*splits);
    *splits = NULL;
    return failed ? -1 : 0;
}

static int choose_rows(const PfRows *rows, const uint8_t *splits, const uint8_t *known,
                       int32_t **list, PfModelComparison *out, PfError *err)
{
    static const int order[] = {PF_SPLIT_TEST, PF_SPLIT_VAL, PF_SPLIT_COUNT};
    for (int i = 0; i < 3; i++) {
        Choice choice = {rows, splits, known, order[i]};
        if (pf_probe_choose(rows, is_asked, &choice, list, &out->rows, err)) return -1;
        out->may_be_learned = order[i] == PF_SPLIT_COUNT;
        out->split = out->may_be_learned ? "labelled" : pf_split_names[order[i]];
        if (out->rows || order[i] == PF_SPLIT_COUNT) return 0;
        free(*list);
    }
    return 0;
}

static int find_rows(const char *const *paths, int count, const PfRows *rows, int32_t **list,
                     PfModelComparison *out, PfError *err)
{
    uint8_t *splits = pf_calloc((size_t)rows->count + 1, 1, err);
    uint8_t *known = pf_calloc((size_t)rows->class_count + 1, 1, err);
    int failed = !splits || !known || find_splits(paths, count, rows, splits, known, err) ||
                 choose_rows(rows, splits, known, list, out, err);
    free(splits);
    free(known);
    return failed ? -1 : 0;
}

static void add_to_score(void *context, int64_t first, int64_t count, const float *probabilities)
{
    pf_comparison_score_add(context, first, count, probabilities);
}

static int compare_one(const char *path, const PfRows *rows, const int32_t *list, int64_t count,
                       PfComparedModel *out, PfError *err)
{
    PfComparisonScore score;
    Judge judge = {.rows = rows, .take = add_to_score, .context = &score};
    out->path = path;
    int failed = pf_comparison_score_start(&score, rows->class_count + 1, rows->labels, rows->count,
                                           list, count, out, err) ||
                 visit(&judge, path, err);
    pf_comparison_score_end(&score);
    judge_free(&judge);
    return failed ? -1 : 0;
}

int pf_models_compare(const char *const *paths, int count, const PfRows *rows,
                      PfModelComparison *out, PfError *err)
{
    int32_t *list = NULL;
    if (rows->labels && find_rows(paths, count, rows, &list, out, err)) return -1;
    if (!out->rows) {
        pf_format(out->status.reason, sizeof out->status.reason, "%s",
                  rows->labels ? "no image has a label of a class that all models know"
                               : "the cache has no labels");
        free(list);
        return 0;
    }
    out->models = pf_calloc((size_t)count, sizeof *out->models, err);
    int failed = !out->models;
    for (int m = 0; m < count && !failed; m++) {
        out->model_count++;
        failed = compare_one(paths[m], rows, list, out->rows, &out->models[m], err);
    }
    if (!failed) failed = pf_comparison_pairs(rows->labels, list, out->rows, out, err);
    out->status.done = !failed;
    free(list);
    return failed ? -1 : 0;
}
