/* The targets of several caches as those of one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "extract/merge/internal.h"

/* ---- which targets there are ---- */

/* The input's target of that name, or -1. */
static int find_target(const PfCache *cache, const char *name)
{
    for (int t = 0; t < pf_cache_target_count(cache); t++)
        if (!strcmp(pf_cache_target(cache, t)->name, name)) return t;
    return -1;
}

static const PfCacheTarget *find_merged(const PfMergeTargets *targets, const char *name)
{
    for (int t = 0; t < targets->count; t++)
        if (!strcmp(targets->items[t].name, name)) return &targets->items[t];
    return NULL;
}

/* What one input's labels say of another's images nobody knows. */
static int check_same_names(const PfCacheTarget *known, const PfCacheTarget *target,
                            const PfCache *cache, PfError *err)
{
    bool same = known->class_count == target->class_count;
    for (int i = 0; i < known->class_count && same; i++)
        same = !strcmp(known->classes[i], target->classes[i]);
    if (same) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "target '%s' of '%s' has other %s than in what is merged before it; they must "
                   "be the same ones in the same order",
                   target->name, pf_cache_path(cache),
                   target->kind == PF_TARGET_KEYPOINTS ? "points" : "labels");
}

static int check_same_kind(const PfCacheTarget *known, const PfCacheTarget *target,
                           const PfCache *cache, PfError *err)
{
    if (known->kind != target->kind || known->width != target->width)
        return pf_fail(err, PF_EXIT_FAILED,
                       "target '%s' of '%s' is of kind %s, %d numbers a row; in what is merged "
                       "before it of kind %s, %d numbers",
                       target->name, pf_cache_path(cache), pf_target_kind_name(target->kind),
                       target->width, pf_target_kind_name(known->kind), known->width);
    return target->kind == PF_TARGET_CLASS ? 0 : check_same_names(known, target, cache, err);
}

static int add_targets(PfMergeTargets *targets, size_t *capacity, const PfCache *cache,
                       PfError *err)
{
    for (int t = 0; t < pf_cache_target_count(cache); t++) {
        const PfCacheTarget *target = pf_cache_target(cache, t);
        const PfCacheTarget *known = find_merged(targets, target->name);
        if (known && check_same_kind(known, target, cache, err)) return -1;
        if (known) continue;
        if (pf_grow(&targets->items, capacity, (size_t)targets->count + 1, sizeof *targets->items,
                    err))
            return -1;
        PfCacheTarget *merged = &targets->items[targets->count++];
        *merged = *target;
        if (target->kind != PF_TARGET_CLASS) {
            targets->values_per_row += target->width;
            continue;
        }
        merged->classes = NULL; /* until they are united */
        merged->class_count = 0;
        targets->class_targets++;
    }
    return 0;
}

/* ---- classes ---- */

typedef struct ClassName {
    const char *name;
    int64_t order; /* of appearance */
    int32_t index; /* in the united list */
} ClassName;

/* The classes of one target in all inputs. */
typedef struct ClassUnion {
    ClassName *names; /* sorted by name */
    size_t count, capacity;
    bool all_sorted; /* every input's list is */
} ClassUnion;

static int compare_names(const void *a, const void *b)
{
    const ClassName *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order ? order : left->order < right->order ? -1 : 1;
}

static int compare_only_names(const void *a, const void *b)
{
    return strcmp(((const ClassName *)a)->name, ((const ClassName *)b)->name);
}

static int compare_appearance(const void *a, const void *b)
{
    const ClassName *left = a, *right = b;
    return left->order < right->order ? -1 : left->order > right->order;
}

static int add_classes(ClassUnion *all, const PfCacheTarget *target, PfError *err)
{
    size_t more = (size_t)target->class_count;
    /* One more: where there are no classes at all, sorting still needs an array. */
    if (pf_grow(&all->names, &all->capacity, all->count + more + 1, sizeof *all->names, err))
        return -1;
    for (size_t c = 0; c < more; c++) {
        if (c && strcmp(target->classes[c - 1], target->classes[c]) >= 0) all->all_sorted = false;
        all->names[all->count] = (ClassName){target->classes[c], (int64_t)all->count, 0};
        all->count++;
    }
    return 0;
}

static void drop_duplicates(ClassUnion *all)
{
    size_t kept = 0;
    qsort(all->names, all->count, sizeof *all->names, compare_names);
    for (size_t i = 0; i < all->count; i++)
        if (!kept || strcmp(all->names[kept - 1].name, all->names[i].name))
            all->names[kept++] = all->names[i];
    all->count = kept;
}

/* The united list, malloc'ed; every name gets its index in it. */
static const char **list_classes(ClassUnion *all, PfError *err)
{
    const char **list = pf_calloc(all->count, sizeof *list, err);
    if (!list) return NULL;
    if (!all->all_sorted) qsort(all->names, all->count, sizeof *all->names, compare_appearance);
    for (size_t i = 0; i < all->count; i++) {
        all->names[i].index = (int32_t)i;
        list[i] = all->names[i].name;
    }
    qsort(all->names, all->count, sizeof *all->names, compare_only_names);
    return list;
}

static const char **unite_classes(const PfMergeInputs *inputs, const char *target, ClassUnion *all,
                                  PfError *err)
{
    all->all_sorted = true;
    for (int i = 0; i < inputs->count; i++) {
        const PfCache *cache = inputs->items[i].cache;
        int t = find_target(cache, target);
        if (t >= 0 && add_classes(all, pf_cache_target(cache, t), err)) return NULL;
    }
    drop_duplicates(all);
    return list_classes(all, err);
}

/* ---- numbers ---- */

static int32_t *new_class_map(const ClassUnion *all, const PfCacheTarget *target, PfError *err)
{
    int32_t *map = pf_calloc((size_t)target->class_count, sizeof *map, err);
    for (int c = 0; map && c < target->class_count; c++) {
        ClassName wanted = {.name = target->classes[c]};
        map[c] = ((const ClassName *)bsearch(&wanted, all->names, all->count, sizeof wanted,
                                             compare_only_names))
                     ->index;
    }
    return map;
}

/* out: the column's element of the input's first row. */
static int copy_classes(const PfMergeInput *input, int t, const ClassUnion *all, int32_t *out,
                        int stride, PfError *err)
{
    int64_t rows = pf_cache_row_count(input->cache);
    int32_t *map = new_class_map(all, pf_cache_target(input->cache, t), err);
    int32_t *classes = pf_calloc((size_t)rows, sizeof *classes, err);
    int failed = !map || !classes || pf_cache_read_classes(input->cache, t, classes, err);
    for (int64_t i = 0; i < rows && !failed; i++)
        out[i * stride] = classes[i] < 0 ? -1 : map[classes[i]];
    free(classes);
    free(map);
    return failed ? -1 : 0;
}

static int copy_values(const PfMergeInput *input, int t, float *out, int stride, PfError *err)
{
    size_t rows = (size_t)pf_cache_row_count(input->cache);
    size_t width = (size_t)pf_cache_target(input->cache, t)->width;
    float *values = pf_calloc(rows * width, sizeof *values, err);
    int failed = !values || pf_cache_read_values(input->cache, t, values, err);
    for (size_t i = 0; i < rows && !failed; i++)
        memcpy(out + i * (size_t)stride, values + i * width, width * sizeof *values);
    free(values);
    return failed ? -1 : 0;
}

static int find_or_warn(const PfCache *cache, const char *name)
{
    int t = find_target(cache, name);
    if (t < 0)
        pf_warn("'%s' has no target '%s': its rows are unlabelled", pf_cache_path(cache), name);
    return t;
}

static int fill_classes(const PfMergeInputs *inputs, PfMergeTargets *targets, int target,
                        int column, PfError *err)
{
    PfCacheTarget *merged = &targets->items[target];
    ClassUnion all = {0};
    merged->classes = targets->class_lists[target] = unite_classes(inputs, merged->name, &all, err);
    merged->class_count = (int)all.count;
    int failed = !merged->classes, stride = targets->class_targets;
    for (int i = 0; i < inputs->count && !failed; i++) {
        const PfMergeInput *input = &inputs->items[i];
        int t = find_or_warn(input->cache, merged->name);
        if (t >= 0)
            failed = copy_classes(
                input, t, &all, targets->indices + input->first_row * stride + column, stride, err);
    }
    free(all.names);
    return failed ? -1 : 0;
}

static int fill_values(const PfMergeInputs *inputs, PfMergeTargets *targets, int target, int column,
                       PfError *err)
{
    int stride = targets->values_per_row;
    for (int i = 0; i < inputs->count; i++) {
        const PfMergeInput *input = &inputs->items[i];
        int t = find_or_warn(input->cache, targets->items[target].name);
        if (t >= 0 && copy_values(input, t, targets->values + input->first_row * stride + column,
                                  stride, err))
            return -1;
    }
    return 0;
}

static int fill_targets(const PfMergeInputs *inputs, PfMergeTargets *targets, PfError *err)
{
    int class_column = 0, value_column = 0;
    for (int t = 0; t < targets->count; t++) {
        if (targets->items[t].kind == PF_TARGET_CLASS) {
            if (fill_classes(inputs, targets, t, class_column++, err)) return -1;
        } else {
            if (fill_values(inputs, targets, t, value_column, err)) return -1;
            value_column += targets->items[t].width;
        }
    }
    return 0;
}

static int allocate_numbers(PfMergeTargets *targets, int64_t rows, PfError *err)
{
    size_t indices = (size_t)rows * (size_t)targets->class_targets;
    size_t values = (size_t)rows * (size_t)targets->values_per_row;
    targets->class_lists = pf_calloc((size_t)targets->count, sizeof *targets->class_lists, err);
    targets->indices = pf_calloc(indices, sizeof *targets->indices, err);
    targets->values = pf_calloc(values, sizeof *targets->values, err);
    if (!targets->class_lists || !targets->indices || !targets->values) return -1;
    for (size_t i = 0; i < indices; i++) targets->indices[i] = -1;
    for (size_t i = 0; i < values; i++) targets->values[i] = NAN;
    return 0;
}

int pf_merge_targets_new(const PfMergeInputs *inputs, PfMergeTargets *targets, PfError *err)
{
    size_t capacity = 0;
    *targets = (PfMergeTargets){0};
    for (int i = 0; i < inputs->count; i++)
        if (add_targets(targets, &capacity, inputs->items[i].cache, err)) return -1;
    if (allocate_numbers(targets, inputs->row_count, err)) return -1;
    return fill_targets(inputs, targets, err);
}

void pf_merge_targets_free(PfMergeTargets *targets)
{
    for (int t = 0; t < targets->count && targets->class_lists; t++) free(targets->class_lists[t]);
    free(targets->class_lists);
    free(targets->items);
    free(targets->indices);
    free(targets->values);
    *targets = (PfMergeTargets){0};
}
