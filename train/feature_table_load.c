#include "feature_table.h"

#include <string.h>

static int choose_tap(const PfCache *cache, const char *name, int *tap, PfError *err)
{
    if (name) {
        int failed = pf_cache_find_tap(cache, name, tap, err);
        if (failed && err) err->exit_code = PF_EXIT_USAGE; /* the name is from the command line */
        return failed;
    }
    int count = pf_cache_tap_count(cache);
    *tap = count == 1 ? 0 : -1;
    for (int i = 0; i < count && count > 1; i++)
        if (pf_cache_tap(cache, i)->shape.rank == 1) *tap = i;
    if (*tap >= 0) return 0;
    if (!count) return pf_fail(err, PF_EXIT_FAILED, "'%s' holds no features", pf_cache_path(cache));
    return pf_fail(err, PF_EXIT_USAGE,
                   "'%s' holds %d taps, all of them maps: choose one with --tap, for example "
                   "--tap %s",
                   pf_cache_path(cache), count, pf_cache_tap(cache, count - 1)->name);
}

/* The index of the one target that fits name, which may be NULL. */
static int choose_target(const PfCache *cache, const char *name, int *target, PfError *err)
{
    const char *path = pf_cache_path(cache);
    char names[512] = "";
    int found = 0, count = pf_cache_target_count(cache);
    for (int i = 0; i < count; i++) {
        const PfCacheTarget *candidate = pf_cache_target(cache, i);
        if (strlen(names) + strlen(candidate->name) + 3 < sizeof names)
            strcat(strcat(names, *names ? ", " : ""), candidate->name);
        if (name ? strcmp(candidate->name, name) : candidate->kind != PF_TARGET_CLASS) continue;
        *target = i;
        found++;
    }
    if (!count)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' holds no labels, only features: there is nothing to train on. Hint: "
                       "extract takes classes from the names of the folders that hold the images.",
                       path);
    if (!found && name)
        return pf_fail(err, PF_EXIT_USAGE, "'%s' has no target '%s'; it has: %s", path, name,
                       names);
    if (!found)
        return pf_fail(err, PF_EXIT_FAILED, "'%s' has no target of classes; it has: %s", path,
                       names);
    if (found > 1)
        return pf_fail(err, PF_EXIT_USAGE, "'%s' has several targets: choose one with --target: %s",
                       path, names);
    if (pf_cache_target(cache, *target)->kind != PF_TARGET_CLASS)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': target '%s' holds numbers; a linear classifier needs classes", path,
                       name);
    return 0;
}

int pf_feature_table_choose(const PfCache *cache, const PfFeatureTableConfig *config, int *tap,
                            int *target, PfError *err)
{
    if (choose_tap(cache, config->tap, tap, err)) return -1;
    return choose_target(cache, config->target, target, err);
}

static int has_split(const PfCache *cache, PfSplit split)
{
    const uint8_t *splits = pf_cache_splits(cache);
    return splits && memchr(splits, split, (size_t)pf_cache_row_count(cache));
}

static int load_labels(PfFeatureTable *table, PfCache *cache, int target, double val, PfError *err)
{
    const char *name = pf_cache_path(cache);
    int has_val = has_split(cache, PF_SPLIT_VAL);
    if (has_val && val >= 0)
        return pf_fail(err, PF_EXIT_USAGE,
                       "'%s' has a val part of its own; --val is for caches without one", name);
    if (val < 0) val = PF_DEFAULT_VAL;
    if (pf_cache_splits(cache)) memcpy(table->splits, pf_cache_splits(cache), (size_t)table->rows);
    if (pf_cache_read_classes(cache, target, table->classes, err)) return -1;
    if (!has_val && val > 0 && pf_cache_paths(cache, &table->paths, err)) {
        if (!err) return -1;
        PfError cause = *err;
        return pf_fail(err, PF_EXIT_FAILED,
                       "%.1500s. Rows to validate on are chosen by it; --val 0 trains without.",
                       cause.message);
    }
    return pf_feature_table_index(table, name, val, err);
}

static int check_finite(const PfFeatureTable *table, PfCache *cache, int tap, int threads,
                        PfError *err)
{
    int64_t row = pf_feature_table_find_not_finite(table, threads);
    if (row < 0) return 0;
    const char *const *paths;
    const char *path = pf_cache_paths(cache, &paths, NULL) ? "" : paths[row];
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': the features of row %lld%s%s%s at tap '%s' hold NaN or infinity. Hint: "
                   "half precision ends at 65504; extract with --store f32, or check the weights.",
                   pf_cache_path(cache), (long long)row, *path ? " (" : "", path, *path ? ")" : "",
                   pf_cache_tap(cache, tap)->name);
}

int pf_feature_table_load(PfCache *cache, int tap, int target, const PfFeatureTableConfig *config,
                          PfFeatureTable **out, PfError *err)
{
    const PfCacheTarget *labels = pf_cache_target(cache, target);
    PfFeatureTable *table;
    if (pf_feature_table_new(pf_cache_row_count(cache),
                             pf_shape_count(&pf_cache_tap(cache, tap)->shape), labels->class_count,
                             &table, err))
        return -1;
    table->class_names = labels->classes;
    if (load_labels(table, cache, target, config->val, err) ||
        pf_cache_read_f32(cache, tap, 0, table->rows, table->x, config->threads, err) ||
        check_finite(table, cache, tap, config->threads, err)) {
        pf_feature_table_free(&table);
        return -1;
    }
    *out = table;
    return 0;
}
