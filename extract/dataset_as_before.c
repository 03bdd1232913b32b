#include "dataset_as_before.h"

#include <string.h>

#include "dataset_format.h"

static int has_class(const PfCacheTarget *target, const char *name)
{
    for (int i = 0; i < target->class_count; i++)
        if (!strcmp(target->classes[i], name)) return 1;
    return 0;
}

/* Whether the dataset has the target, and the names in it. */
static int has_target(const PfDataset *dataset, const PfCacheTarget *wanted)
{
    int count;
    const PfCacheTarget *targets = pf_dataset_targets(dataset, &count), *found = NULL;
    for (int t = 0; t < count && !found; t++)
        if (!strcmp(targets[t].name, wanted->name)) found = &targets[t];
    if (!found || found->kind != wanted->kind ||
        (found->kind != PF_TARGET_CLASS && found->width != wanted->width))
        return 0;
    for (int i = 0; i < wanted->class_count; i++)
        if (!has_class(found, wanted->classes[i])) return 0;
    return 1;
}

static int has_splits(const PfDataset *dataset, const PfCache *cache)
{
    int64_t counts[PF_SPLIT_COUNT] = {0};
    const uint8_t *splits = pf_cache_splits(cache);
    const PfDrawing *drawing = pf_dataset_drawing(dataset); /* sides that are still to be drawn */
    const double drawn[PF_SPLIT_COUNT] = {
        [PF_SPLIT_VAL] = drawing ? drawing->val : 0, [PF_SPLIT_TEST] = drawing ? drawing->test : 0};
    for (int64_t i = 0; i < pf_cache_row_count(cache); i++)
        counts[splits ? splits[i] : PF_SPLIT_TRAIN]++;
    for (int i = 0; i < PF_SPLIT_COUNT; i++)
        if (!(drawn[i] > 0) && !counts[i] != !pf_dataset_split_count(dataset, (PfSplit)i)) return 0;
    return 1;
}

static int is_of(const PfDataset *dataset, const PfCache *cache, int with_splits)
{
    for (int t = 0; t < pf_cache_target_count(cache); t++)
        if (!has_target(dataset, pf_cache_target(cache, t))) return 0;
    return !with_splits || has_splits(dataset, cache);
}

static int warn(PfDataset *dataset, const char *operand, PfError *err)
{
    return pf_dataset_warn(
        dataset, err,
        "the cache was begun when '%s' was read otherwise than today, and goes "
        "on so. --force, another output or any of --split-column, --separator, "
        "--encoding, --decimal, --suffix, --no-header reads it as docs/datasets.md says",
        operand);
}

/* The reading of the first versions, where the cache is of that one; else *before stays NULL. */
static int try_before(const char *operand, const PfDatasetOptions *options, const PfCache *cache,
                      PfDataset **before, PfError *err)
{
    PfDatasetOptions as_before = *options;
    PfError ignored = {0};
    as_before.as_before = 1;
    if (pf_dataset_open(operand, &as_before, before, &ignored)) return 0;
    if (is_of(*before, cache, !options->splits_unknown)) return warn(*before, operand, err);
    pf_dataset_close(before);
    return 0;
}

int pf_dataset_open_for(const char *operand, const PfDatasetOptions *options, const PfCache *cache,
                        PfDataset **out, PfError *err)
{
    PfDataset *before = NULL;
    int failed = pf_dataset_open(operand, options, out, err);
    int is_manifest = pf_dataset_format_manifest.probe(operand);
    if (!cache || !is_manifest || pf_table_option_given(&options->table) ||
        (!failed && is_of(*out, cache, !options->splits_unknown)))
        return failed;
    if (try_before(operand, options, cache, &before, err)) {
        pf_dataset_close(&before);
        pf_dataset_close(out);
        return -1;
    }
    if (!before) return failed;
    pf_dataset_close(out);
    *out = before;
    return 0;
}
