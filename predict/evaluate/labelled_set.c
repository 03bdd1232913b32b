#include "predict/evaluate/labelled_set.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/printable.h"
#include "common/file/path.h"
#include "common/model/model_record.h"
#include "train/features/feature_table.h"

/* ---- the cache that a model was trained on ---- */

/* What the model noted of its cache, or NULL. */
static const cJSON *noted_cache(const PfModel *model)
{
    const cJSON *metadata = pf_model_metadata(model);
    return cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(metadata, PF_MODEL_RECORD_KEY), "cache");
}

/* ---- datasets ---- */

/* The model's target of that name, where the data's is of another kind and both have a column. */
static const PfScorerTarget *of_another_kind(const PfScorer *scorer, const PfCacheTarget *target)
{
    for (int t = 0; t < scorer->target_count; t++) {
        const PfScorerTarget *own = &scorer->targets[t];
        bool has_column = own->outputs == 1 || own->classes;
        if (!strcmp(own->name, target->name) && own->kind != target->kind && has_column) return own;
    }
    return NULL;
}

/* Every target with its kind, "age:regression", as --target would say it. *count: how many there
 * are; 0 where the kinds are the model's already. Free with pf_options_free_list. */
static int list_kinds(const PfScorer *scorer, const PfDataset *dataset, char ***list, int *count,
                      PfError *err)
{
    int targets, others = 0;
    const PfCacheTarget *target = pf_dataset_targets(dataset, &targets);
    *list = NULL;
    *count = 0;
    for (int i = 0; i < targets; i++) others += of_another_kind(scorer, &target[i]) != NULL;
    if (!others) return 0;
    *list = pf_calloc((size_t)targets, sizeof **list, err);
    for (; *list && *count < targets; ++*count) {
        const PfScorerTarget *own = of_another_kind(scorer, &target[*count]);
        PfTargetKind kind = own ? own->kind : target[*count].kind;
        (*list)[*count] = pf_asprintf(err, "%s:%s", target[*count].name, pf_target_kind_name(kind));
        if (!(*list)[*count]) return -1;
    }
    return *list ? 0 : -1;
}

int pf_labelled_set_open_dataset(const PfScorer *scorer, const char *operand,
                                 const PfDatasetOptions *options, PfDataset **out, PfError *err)
{
    char **kinds;
    int count;
    if (pf_dataset_open(operand, options, out, err)) return -1;
    if (options->target_count) return 0;
    int failed = list_kinds(scorer, *out, &kinds, &count, err);
    if (!failed && count) {
        PfDatasetOptions with_kinds = *options;
        with_kinds.targets = (const char *const *)kinds;
        with_kinds.target_count = count;
        pf_dataset_close(out);
        failed = pf_dataset_open(operand, &with_kinds, out, err);
    }
    pf_options_free_list(&kinds, &count);
    return failed ? -1 : 0;
}

int pf_labelled_set_of_dataset(const PfScorer *scorer, const PfModel *model, const char *operand,
                               const PfDataset *dataset, PfLabelledSet *out, PfError *err)
{
    int count;
    const PfCacheTarget *targets = pf_dataset_targets(dataset, &count);
    const char *root = pf_dataset_root(dataset);
    const char *own = pf_json_member_text(noted_cache(model), "dataset");
    *out = (PfLabelledSet){.dataset = dataset};
    out->names_splits = pf_dataset_split_count(dataset, PF_SPLIT_VAL) +
                            pf_dataset_split_count(dataset, PF_SPLIT_TEST) >
                        0;
    if (!out->names_splits && own && pf_path_same(own, root))
        pf_warn(
            "the model was trained on images of '%s': as far as these are the same, the numbers "
            "are too hopeful. Hint: evaluate its cache, of which it is known which rows were "
            "not trained on",
            root);
    return pf_truth_new(scorer, targets, count, operand, &out->truth, err);
}

typedef enum CacheMatch {
    CACHE_OTHER,
    CACHE_OWN,      /* by its seal */
    CACHE_IN_PLACE, /* by its path: the model or the cache has no seal */
    CACHE_CHANGED   /* at the same path, with another seal */
} CacheMatch;

/* Models of before note the path alone, as it was given. */
static CacheMatch match_cache(const PfModel *model, const PfCache *cache)
{
    char text[PF_DIGEST_TEXT_SIZE];
    uint8_t content[PF_DIGEST_SIZE];
    const cJSON *metadata = pf_model_metadata(model);
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(metadata, "config");
    const cJSON *noted = noted_cache(model);
    const char *seal = pf_json_member_text(noted, "seal");
    const char *path = pf_json_member_text(noted, "path");
    const uint8_t *own = pf_cache_seal(cache);
    if (!path) path = pf_json_member_text(config, "cache");
    if (seal && pf_cache_content(cache, content) &&
        (!strcmp(seal, pf_digest_text(content, text)) || !strcmp(seal, pf_digest_text(own, text))))
        return CACHE_OWN;
    if (!path || !pf_path_same(path, pf_cache_path(cache))) return CACHE_OTHER;
    return seal && own ? CACHE_CHANGED : CACHE_IN_PLACE;
}

/* The cache's targets that the model's are, as far as it has them: (*count) names that the cache
 * lends; the array is to be freed. NULL where memory is short. */
static const char **shared_targets(const PfScorer *scorer, const PfCache *cache, int *count,
                                   PfError *err)
{
    PfCacheTarget *targets = pf_truth_list_targets(cache, err);
    const char **names = pf_calloc((size_t)scorer->target_count + 1, sizeof *names, err);
    *count = 0;
    for (int t = 0; targets && names && t < scorer->target_count; t++) {
        const PfCacheTarget *source =
            pf_truth_source(scorer, t, targets, pf_cache_target_count(cache));
        if (source) names[(*count)++] = pf_cache_target(cache, (int)(source - targets))->name;
    }
    if (!targets) {
        free(names);
        names = NULL;
    }
    free(targets);
    return names;
}

static bool has_val(const PfCache *cache)
{
    const uint8_t *splits = pf_cache_splits(cache);
    return splits && memchr(splits, PF_SPLIT_VAL, (size_t)pf_cache_row_count(cache));
}

static PfValKeys noted_val_keys(const cJSON *config)
{
    const char *name = pf_json_member_text(config, "val_keys");
    bool is_second = name && !strcmp(name, pf_split_val_keys_names[PF_VAL_KEYS_SECOND]);
    return is_second ? PF_VAL_KEYS_SECOND : PF_VAL_KEYS_FIRST;
}

/* As train had them; what it drew follows from the cache, the share and the keys alone. */
static int draw_splits(const PfScorer *scorer, const PfModel *model, PfCache *cache,
                       bool has_changed, uint8_t *splits, PfError *err)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(pf_model_metadata(model), "config");
    const cJSON *share = cJSON_GetObjectItemCaseSensitive(config, "val_fraction");
    bool known = cJSON_IsNumber(share) && share->valuedouble >= 0 && share->valuedouble < 1;
    PfFeatureTable *table;
    PfFeatureTableConfig choice = {.val_keys =
                                       has_changed ? PF_VAL_KEYS_FIND : noted_val_keys(config)};
    choice.val = has_val(cache) ? -1 : known ? share->valuedouble : 0;
    const char **names = shared_targets(scorer, cache, &choice.target_count, err);
    choice.target_names = names;
    if (!names) return -1;
    int failed =
        choice.target_count
            ? pf_feature_table_load_rows(cache, &choice, &table, err)
            : pf_fail(err, PF_EXIT_IDENTITY, "it has none of the targets that the model predicts");
    free(names);
    if (failed) return -1;
    memcpy(splits, table->splits, (size_t)table->rows);
    /* After --folds the head was trained on every row that is not test. */
    for (int64_t i = 0; i < table->rows && cJSON_HasObjectItem(config, "folds"); i++)
        if (splits[i] == PF_SPLIT_VAL) splits[i] = PF_SPLIT_TRAIN;
    pf_feature_table_free(&table);
    return 0;
}

int pf_labelled_set_cache_splits(const PfScorer *scorer, const PfModel *model, PfCache *cache,
                                 uint8_t **splits, bool *is_own, PfError *err)
{
    int64_t rows = pf_cache_row_count(cache);
    CacheMatch match = match_cache(model, cache);
    const uint8_t *stored = pf_cache_splits(cache);
    *is_own = match != CACHE_OTHER;
    *splits = pf_calloc((size_t)rows + 1, 1, err);
    if (!*splits) return -1;
    if (stored) memcpy(*splits, stored, (size_t)rows);
    if (match == CACHE_OTHER) return 0;
    PfError why = {0};
    if (!draw_splits(scorer, model, cache, match == CACHE_CHANGED, *splits, &why)) {
        if (match == CACHE_CHANGED)
            pf_warn("'%s' has changed since the model was trained on it: its val rows are those "
                    "that train would take today",
                    pf_cache_path(cache));
        return 0;
    }
    if (match == CACHE_OWN) return pf_fail(err, why.exit_code, "%" PF_SENTENCE, why.message);
    *is_own = false;
    pf_warn("'%s' has changed since the model was trained on it, and which of its rows the model "
            "has seen cannot be told: %" PF_SENTENCE,
            pf_cache_path(cache), why.message);
    return 0;
}

static int find_splits(const PfScorer *scorer, const PfModel *model, PfCache *cache,
                       PfLabelledSet *set, PfError *err)
{
    if (pf_labelled_set_cache_splits(scorer, model, cache, &set->splits, &set->names_splits, err))
        return -1;
    for (int64_t i = 0; i < pf_cache_row_count(cache) && !set->names_splits; i++)
        set->names_splits = set->splits[i] != PF_SPLIT_TRAIN;
    return 0;
}

int pf_labelled_set_of_cache(const PfScorer *scorer, const PfModel *model, PfCache *cache,
                             PfLabelledSet *out, PfError *err)
{
    int count = pf_cache_target_count(cache), failed;
    PfCacheTarget *targets = pf_truth_list_targets(cache, err);
    *out = (PfLabelledSet){0};
    if (!targets) return -1;
    out->targets = targets;
    failed = pf_truth_new(scorer, targets, count, pf_cache_path(cache), &out->truth, err) ||
             pf_truth_table_read(cache, &out->table, err) ||
             find_splits(scorer, model, cache, out, err);
    return failed ? -1 : 0;
}

void pf_labelled_set_free(PfLabelledSet *set)
{
    pf_truth_free(&set->truth);
    pf_truth_table_free(&set->table);
    free(set->targets);
    free(set->splits);
    *set = (PfLabelledSet){0};
}

/* ---- rows ---- */

PfTruthRow pf_labelled_set_row(const PfLabelledSet *set, int64_t row)
{
    if (!set->dataset) return pf_truth_table_row(&set->table, row);
    return (PfTruthRow){.class_indices = pf_dataset_class_indices(set->dataset, row),
                        .values = pf_dataset_values(set->dataset, row)};
}

int pf_labelled_set_part(const PfLabelledSet *set, int64_t row)
{
    if (!set->names_splits) return PF_EVALUATOR_ALL;
    return set->dataset ? (int)pf_dataset_samples(set->dataset)[row].split : (int)set->splits[row];
}

void pf_labelled_set_parts(const PfLabelledSet *set, int64_t rows, bool parts[PF_EVALUATOR_PARTS])
{
    memset(parts, 0, PF_EVALUATOR_PARTS * sizeof *parts);
    for (int64_t row = 0; row < rows; row++) parts[pf_labelled_set_part(set, row)] = true;
}
