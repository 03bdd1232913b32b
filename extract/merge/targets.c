/* The targets of several caches as those of one. */
#include <math.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "extract/merge/internal.h"

/* ---- as each input has them ---- */

/* Those of an input, found again by their hash. */
typedef struct PfMergeKnownTargets {
    uint64_t hash;
    PfMergeOwnTargets *own; /* in the arena */
} KnownTargets;

static uint64_t mixed(uint64_t hash, uint64_t more)
{
    return (hash ^ more) * 0x9e3779b97f4a7c15u + (hash >> 29);
}

static uint64_t hash_targets(const PfCache *cache)
{
    uint64_t hash = 0;
    for (int t = 0; t < pf_cache_target_count(cache); t++) {
        const PfCacheTarget *target = pf_cache_target(cache, t);
        hash = mixed(hash, pf_digest_xxh64_text(target->name));
        hash = mixed(hash, (uint64_t)target->class_count);
        for (int c = 0; c < target->class_count; c++)
            hash = mixed(hash, pf_digest_xxh64_text(target->classes[c]));
    }
    return hash;
}

static bool have_same_names(const PfCacheTarget *a, const PfCacheTarget *b)
{
    if (a->class_count != b->class_count) return false;
    for (int i = 0; i < a->class_count; i++)
        if (strcmp(a->classes[i], b->classes[i]) != 0) return false;
    return true;
}

static bool are_targets_of(const PfMergeOwnTargets *own, const PfCache *cache)
{
    if (own->count != pf_cache_target_count(cache)) return false;
    for (int t = 0; t < own->count; t++) {
        const PfCacheTarget *known = &own->items[t], *target = pf_cache_target(cache, t);
        if (strcmp(known->name, target->name) != 0 || known->kind != target->kind ||
            known->width != target->width || !have_same_names(known, target))
            return false;
    }
    return true;
}

static int copy_target(PfArena *arena, const PfCacheTarget *target, PfCacheTarget *copy,
                       PfError *err)
{
    *copy = *target;
    if (!target->class_count) return 0;
    const size_t count = (size_t)target->class_count;
    const char **names = pf_arena_allocate(arena, count * sizeof *names, alignof(char *), err);
    if (!names) return -1;
    for (size_t i = 0; i < count; i++) {
        const char *name = target->classes[i];
        names[i] = pf_arena_text(arena, name, strlen(name), err);
        if (!names[i]) return -1;
    }
    copy->classes = names;
    return 0;
}

/* NULL where memory is short. */
static PfMergeOwnTargets *copy_targets(PfArena *arena, const PfCache *cache, PfError *err)
{
    const size_t count = (size_t)pf_cache_target_count(cache);
    PfMergeOwnTargets *own = pf_arena_allocate(arena, sizeof *own, alignof(PfMergeOwnTargets), err);
    if (!own) return NULL;
    *own = (PfMergeOwnTargets){
        .items = pf_arena_allocate(arena, count * sizeof *own->items, alignof(PfCacheTarget), err),
        .maps = pf_arena_allocate(arena, count * sizeof *own->maps, alignof(int32_t *), err)};
    if (!own->items || !own->maps) return NULL;
    for (size_t t = 0; t < count; t++) {
        own->maps[t] = NULL;
        if (copy_target(arena, pf_cache_target(cache, (int)t), &own->items[t], err)) return NULL;
    }
    own->count = (int)count;
    return own;
}

int pf_merge_targets_note(PfMergeTargets *targets, PfMergeInput *input, PfError *err)
{
    const uint64_t hash = hash_targets(input->cache);
    for (size_t i = targets->known_count; i-- > 0;) {
        const KnownTargets *known = &targets->known[i];
        if (known->hash != hash || !are_targets_of(known->own, input->cache)) continue;
        input->targets = known->own;
        return 0;
    }
    PfMergeOwnTargets *own = copy_targets(&targets->texts, input->cache, err);
    if (!own || pf_grow(&targets->known, &targets->known_capacity, targets->known_count + 1,
                        sizeof *targets->known, err))
        return -1;
    targets->known[targets->known_count++] = (KnownTargets){hash, own};
    input->targets = own;
    return 0;
}

/* ---- which targets there are ---- */

/* The input's target of that name, or -1. */
static int find_target(const PfMergeOwnTargets *own, const char *name)
{
    for (int t = 0; t < own->count; t++)
        if (!strcmp(own->items[t].name, name)) return t;
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
                            const char *path, PfError *err)
{
    if (have_same_names(known, target)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "target '%s' of '%s' has other %s than in what is merged before it; they must "
                   "be the same ones in the same order",
                   target->name, path, target->kind == PF_TARGET_KEYPOINTS ? "points" : "labels");
}

static int check_same_kind(const PfCacheTarget *known, const PfCacheTarget *target,
                           const char *path, PfError *err)
{
    if (known->kind != target->kind || known->width != target->width)
        return pf_fail(err, PF_EXIT_FAILED,
                       "target '%s' of '%s' is of kind %s, %d numbers a row; in what is merged "
                       "before it of kind %s, %d numbers",
                       target->name, path, pf_target_kind_name(target->kind), target->width,
                       pf_target_kind_name(known->kind), known->width);
    return target->kind == PF_TARGET_CLASS ? 0 : check_same_names(known, target, path, err);
}

static int add_targets(PfMergeTargets *targets, size_t *capacity, const PfMergeInput *input,
                       PfError *err)
{
    for (int t = 0; t < input->targets->count; t++) {
        const PfCacheTarget *target = &input->targets->items[t];
        const PfCacheTarget *known = find_merged(targets, target->name);
        if (known && check_same_kind(known, target, input->path, err)) return -1;
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
typedef struct PfClassUnion {
    ClassName *names; /* sorted by name, once it is finished */
    size_t count, capacity;
    bool any_unsorted; /* the list of an input is not sorted */
    const char **list; /* the united one */
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

static bool has_last(const ClassUnion *all, const PfCacheTarget *target)
{
    if (all->count < (size_t)target->class_count) return false;
    const ClassName *last = all->names + all->count - target->class_count;
    for (int c = 0; c < target->class_count; c++)
        if (strcmp(last[c].name, target->classes[c]) != 0) return false;
    return true;
}

/* Shards have one list, which is put in once. */
static int add_classes(ClassUnion *all, const PfCacheTarget *target, PfError *err)
{
    const size_t more = (size_t)target->class_count;
    for (size_t c = 1; c < more; c++)
        if (strcmp(target->classes[c - 1], target->classes[c]) >= 0) all->any_unsorted = true;
    if (all->names && has_last(all, target)) return 0;
    /* One more: where there are no classes at all, sorting still needs an array. */
    if (pf_grow(&all->names, &all->capacity, all->count + more + 1, sizeof *all->names, err))
        return -1;
    for (size_t c = 0; c < more; c++) {
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
    if (all->any_unsorted) qsort(all->names, all->count, sizeof *all->names, compare_appearance);
    for (size_t i = 0; i < all->count; i++) {
        all->names[i].index = (int32_t)i;
        list[i] = all->names[i].name;
    }
    qsort(all->names, all->count, sizeof *all->names, compare_only_names);
    return list;
}

/* ---- the targets of all inputs ---- */

/* Every target has its union, of which those of numbers stay empty. */
static int grow_unions(PfMergeTargets *targets, size_t *capacity, PfError *err)
{
    const size_t before = *capacity;
    if (pf_grow(&targets->classes, capacity, (size_t)targets->count + 1, sizeof *targets->classes,
                err))
        return -1;
    memset(targets->classes + before, 0, (*capacity - before) * sizeof *targets->classes);
    return 0;
}

static int add_input(PfMergeTargets *targets, size_t *capacity, size_t *union_capacity,
                     const PfMergeInput *input, PfError *err)
{
    if (add_targets(targets, capacity, input, err) || grow_unions(targets, union_capacity, err))
        return -1;
    for (int t = 0; t < targets->count; t++) {
        const int own = find_target(input->targets, targets->items[t].name);
        if (own >= 0 && targets->items[t].kind == PF_TARGET_CLASS &&
            add_classes(&targets->classes[t], &input->targets->items[own], err))
            return -1;
    }
    return 0;
}

static void warn_of_missing(const PfMergeTargets *targets, const PfMergeInput *input)
{
    for (int t = 0; t < targets->count; t++)
        if (find_target(input->targets, targets->items[t].name) < 0)
            pf_warn("'%s' has no target '%s': its rows are unlabelled", input->path,
                    targets->items[t].name);
}

static int finish_unions(PfMergeTargets *targets, PfError *err)
{
    for (int t = 0; t < targets->count; t++) {
        ClassUnion *all = &targets->classes[t];
        if (targets->items[t].kind != PF_TARGET_CLASS) continue;
        drop_duplicates(all);
        if (!(all->list = list_classes(all, err))) return -1;
        targets->items[t].classes = all->list;
        targets->items[t].class_count = (int)all->count;
    }
    return 0;
}

/* Where each class of an input's target lies in the united list. */
static int32_t *new_class_map(PfArena *arena, const ClassUnion *all, const PfCacheTarget *target,
                              PfError *err)
{
    int32_t *map =
        pf_arena_allocate(arena, (size_t)target->class_count * sizeof *map, alignof(int32_t), err);
    for (int c = 0; map && c < target->class_count; c++) {
        ClassName wanted = {.name = target->classes[c]};
        map[c] = ((const ClassName *)bsearch(&wanted, all->names, all->count, sizeof wanted,
                                             compare_only_names))
                     ->index;
    }
    return map;
}

static int map_classes(PfMergeTargets *targets, PfMergeOwnTargets *own, PfError *err)
{
    for (int t = 0; t < targets->count; t++) {
        const int index = find_target(own, targets->items[t].name);
        if (index < 0 || targets->items[t].kind != PF_TARGET_CLASS) continue;
        own->maps[index] =
            new_class_map(&targets->texts, &targets->classes[t], &own->items[index], err);
        if (!own->maps[index]) return -1;
    }
    return 0;
}

int pf_merge_targets_unite(PfMergeTargets *targets, const PfMergeInputs *inputs, PfError *err)
{
    size_t capacity = 0, union_capacity = 0;
    bool differs = false;
    for (int i = 0; i < inputs->count; i++) {
        const PfMergeInput *input = &inputs->items[i];
        const int known = targets->count;
        if (i && input->targets == inputs->items[i - 1].targets) continue;
        if (add_input(targets, &capacity, &union_capacity, input, err)) return -1;
        differs |= targets->count != input->targets->count || (i && known != targets->count);
    }
    for (int i = 0; i < inputs->count && differs; i++) warn_of_missing(targets, &inputs->items[i]);
    if (finish_unions(targets, err)) return -1;
    for (size_t i = 0; i < targets->known_count; i++)
        if (map_classes(targets, targets->known[i].own, err)) return -1;
    return 0;
}

void pf_merge_targets_free(PfMergeTargets *targets)
{
    for (int t = 0; t < targets->count && targets->classes; t++) {
        free(targets->classes[t].names);
        free(targets->classes[t].list);
    }
    free(targets->classes);
    free(targets->items);
    free(targets->known);
    pf_arena_free(&targets->texts);
    *targets = (PfMergeTargets){0};
}

/* ---- numbers of one input ---- */

/* out: the column's element of the first row. */
static int read_classes(PfMergeInput *input, int t, int32_t *out, int stride, PfError *err)
{
    const int64_t rows = input->row_count;
    const int32_t *map = input->targets->maps[t];
    int32_t *classes = pf_calloc((size_t)rows, sizeof *classes, err);
    int failed = !classes || pf_cache_read_classes(input->cache, t, classes, err);
    for (int64_t i = 0; i < rows && !failed; i++)
        out[i * stride] = classes[i] < 0 ? -1 : map[classes[i]];
    free(classes);
    return failed ? -1 : 0;
}

static int read_values(PfMergeInput *input, int t, float *out, int stride, PfError *err)
{
    const size_t rows = (size_t)input->row_count;
    const size_t width = (size_t)pf_cache_target(input->cache, t)->width;
    float *values = pf_calloc(rows * width, sizeof *values, err);
    int failed = !values || pf_cache_read_values(input->cache, t, values, err);
    for (size_t i = 0; i < rows && !failed; i++)
        memcpy(out + i * (size_t)stride, values + i * width, width * sizeof *values);
    free(values);
    return failed ? -1 : 0;
}

static int allocate_numbers(const PfMergeTargets *targets, PfMergeInput *input, PfError *err)
{
    const size_t rows = (size_t)input->row_count;
    const size_t indices = rows * (size_t)targets->class_targets;
    const size_t values = rows * (size_t)targets->values_per_row;
    input->indices = pf_calloc(indices, sizeof *input->indices, err);
    input->values = pf_calloc(values, sizeof *input->values, err);
    input->groups = pf_calloc(rows, sizeof *input->groups, err);
    if (!input->indices || !input->values || !input->groups) return -1;
    for (size_t i = 0; i < indices; i++) input->indices[i] = -1;
    for (size_t i = 0; i < values; i++) input->values[i] = NAN;
    return 0;
}

static int read_targets(const PfMergeTargets *targets, PfMergeInput *input, PfError *err)
{
    int class_column = 0, value_column = 0, failed = 0;
    for (int t = 0; t < targets->count && !failed; t++) {
        const PfCacheTarget *target = &targets->items[t];
        const int own = find_target(input->targets, target->name);
        if (target->kind == PF_TARGET_CLASS) {
            if (own >= 0)
                failed = read_classes(input, own, input->indices + class_column,
                                      targets->class_targets, err);
            class_column++;
        } else {
            if (own >= 0)
                failed = read_values(input, own, input->values + value_column,
                                     targets->values_per_row, err);
            value_column += target->width;
        }
    }
    return failed;
}

int pf_merge_targets_read_samples(const PfMergeTargets *targets, PfMergeInput *input, PfError *err)
{
    if (input->has_samples) return 0;
    if (!are_targets_of(input->targets, input->cache))
        return pf_fail(err, PF_EXIT_FAILED, "'%s' was written again while it was being merged",
                       input->path);
    if ((!input->files.digests && pf_image_files_read(input->cache, &input->files, err)) ||
        allocate_numbers(targets, input, err) ||
        pf_cache_read_groups(input->cache, input->groups, err) || read_targets(targets, input, err))
        return -1;
    input->has_samples = true;
    return 0;
}
