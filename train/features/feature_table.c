#include "train/features/feature_table.h"

#include <cjson/cJSON.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/printable.h"
#include "common/cache/split.h"
#include "common/cache/views.h"
#include "common/thread/parallel.h"
#include "train/features/feature_memory.h"
#include "train/features/target_kind.h"

#define HUGE_PAGE ((size_t)2 << 20)

/* Rows are read in random order from an array of many megabytes: with huge pages
 * that misses the TLB less often, and there are fewer pages to fault in. */
static float *allocate_features(size_t count, PfError *err)
{
    size_t size = count * sizeof(float);
    if (size < HUGE_PAGE) return pf_alloc_aligned(count, sizeof(float), err);
    size = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void *block = aligned_alloc(HUGE_PAGE, size);
    if (!block) {
        pf_fail(err, PF_EXIT_FAILED, "out of memory: the features need %zu MB", size >> 20);
        return NULL;
    }
    madvise(block, size, MADV_HUGEPAGE); /* a wish; without it all is as before */
    return block;
}

/* Without features. */
static int new_table(int64_t rows, int views, int64_t features, int task_count,
                     PfFeatureTable **out, PfError *err)
{
    if (rows > INT32_MAX || features * views > INT32_MAX)
        return pf_fail(err, PF_EXIT_FAILED, "%lld rows of %lld features are more than train takes",
                       (long long)rows, (long long)features);
    PfFeatureTable *table = pf_calloc(1, sizeof *table, err);
    if (!table) return -1;
    table->rows = rows;
    table->features = features;
    table->views = table->drawn_views = views;
    table->task_count = task_count;
    table->splits = pf_calloc((size_t)rows, 1, err);
    table->tasks = pf_calloc((size_t)task_count, sizeof *table->tasks, err);
    if (!table->splits || !table->tasks) {
        pf_feature_table_free(&table);
        return -1;
    }
    *out = table;
    return 0;
}

int pf_feature_table_new(int64_t rows, int views, int64_t features, int task_count,
                         PfFeatureTable **out, PfError *err)
{
    PfFeatureTable *table = NULL;
    if (new_table(rows, views, features, task_count, &table, err)) return -1;
    table->x = allocate_features((size_t)rows * (size_t)views * (size_t)features, err);
    if (!table->x) {
        pf_feature_table_free(&table);
        return -1;
    }
    *out = table;
    return 0;
}

int pf_feature_table_new_streamed(const PfFeatureStream *stream, int task_count,
                                  PfFeatureTable **out, PfError *err)
{
    const PfCacheTap *tap = pf_cache_tap(stream->cache, stream->tap);
    PfFeatureTable *table = NULL;
    int views = stream->views > 1 ? stream->views : 1;
    if (new_table(pf_cache_row_count(stream->cache), views, pf_shape_count(&tap->shape) / views,
                  task_count, &table, err))
        return -1;
    table->stream = pf_calloc(1, sizeof *table->stream, err);
    if (!table->stream) {
        pf_feature_table_free(&table);
        return -1;
    }
    *table->stream = *stream;
    *out = table;
    return 0;
}

static void forget_index(PfFeatureTable *table)
{
    for (int split = 0; split < PF_SPLIT_COUNT; split++) {
        free(table->split_rows[split]);
        table->split_rows[split] = NULL;
        table->split_counts[split] = 0;
    }
    table->unlabelled = 0;
    table->untrained_classes = 0;
    table->untrained_name = NULL;
}

void pf_feature_table_free(PfFeatureTable **table)
{
    if (!*table) return;
    forget_index(*table);
    for (int t = 0; (*table)->tasks && t < (*table)->task_count; t++)
        pf_task_free(&(*table)->tasks[t]);
    free((*table)->tasks);
    free((*table)->x);
    free((*table)->stream);
    free((*table)->splits);
    free((*table)->keys);
    free((*table)->alike);
    free(*table);
    *table = NULL;
}

/* ---- row lists ---- */

static bool any_task_has(const PfFeatureTable *table, int64_t row)
{
    for (int t = 0; t < table->task_count; t++)
        if (pf_task_has(&table->tasks[t], row)) return true;
    return false;
}

static int list_rows(PfFeatureTable *table, PfError *err)
{
    forget_index(table);
    for (int split = 0; split < PF_SPLIT_COUNT; split++) {
        table->split_rows[split] = pf_calloc((size_t)table->rows, sizeof(int32_t), err);
        if (!table->split_rows[split]) return -1;
    }
    for (int64_t i = 0; i < table->rows; i++) {
        int split = table->splits[i];
        if (any_task_has(table, i))
            table->split_rows[split][table->split_counts[split]++] = (int32_t)i;
        else
            table->unlabelled++;
    }
    return 0;
}

const PfTask *pf_feature_table_class_task(const PfFeatureTable *table)
{
    for (int t = 0; t < table->task_count; t++)
        if (pf_task_class_count(&table->tasks[t])) return &table->tasks[t];
    return NULL;
}

static uint64_t key_of(const PfFeatureTable *table, int64_t row)
{
    return table->keys ? table->keys[row] : pf_digest_xxh64_text(table->paths[row]);
}

/* Where rows were held out by the keys already, train's are drawn by others. */
static int choose_val_keys(PfFeatureTable *table, PfError *err)
{
    uint64_t *keys = pf_calloc((size_t)table->rows, sizeof *keys, err);
    bool is_drawn = false;
    if (!keys) return -1;
    for (int64_t i = 0; i < table->rows; i++) keys[i] = key_of(table, i);
    int failed = pf_split_is_drawn(keys, table->splits, table->rows, &is_drawn, err);
    table->val_keys = is_drawn ? PF_VAL_KEYS_SECOND : PF_VAL_KEYS_FIRST;
    free(keys);
    return failed;
}

/* Moves the fraction val of the train rows to val, class by class. */
static int choose_val(PfFeatureTable *table, double val, PfError *err)
{
    int64_t count = table->split_counts[PF_SPLIT_TRAIN];
    const int32_t *rows = table->split_rows[PF_SPLIT_TRAIN];
    const PfTask *by = pf_feature_table_class_task(table);
    if (table->val_keys == PF_VAL_KEYS_FIND && choose_val_keys(table, err)) return -1;
    uint64_t *keys = pf_calloc((size_t)count, sizeof *keys, err);
    int32_t *classes = pf_calloc((size_t)count, sizeof *classes, err);
    uint8_t *splits = pf_calloc((size_t)count, 1, err);
    int failed = !keys || !classes || !splits;
    for (int64_t i = 0; i < count && !failed; i++) {
        keys[i] = key_of(table, rows[i]);
        if (table->val_keys == PF_VAL_KEYS_SECOND) keys[i] = pf_split_second_key(keys[i]);
        classes[i] = by ? by->labels[rows[i]] : 0;
    }
    if (!failed)
        failed = table->keys ? pf_split_by_key(keys, classes, count, val, 0, 1, splits, err)
                             : pf_split_by_path_hash(keys, classes, count, val, 0, splits, err);
    for (int64_t i = 0; i < count && !failed; i++) table->splits[rows[i]] = splits[i];
    free(splits);
    free(classes);
    free(keys);
    table->val = val;
    return failed ? -1 : list_rows(table, err);
}

/* *trained: classes of the task that train rows have; adds to untrained_classes. */
static int count_classes(PfFeatureTable *table, const PfTask *task, int *trained, PfError *err)
{
    unsigned char *seen = pf_calloc((size_t)task->outputs, 1, err);
    if (!seen) return -1;
    *trained = 0;
    for (int split = 0; split < PF_SPLIT_COUNT; split++) {
        for (int64_t i = 0; i < table->split_counts[split]; i++) {
            int32_t label = task->labels[table->split_rows[split][i]];
            if (label < 0 || seen[label]) continue;
            seen[label] = 1;
            if (split == PF_SPLIT_TRAIN) {
                ++*trained;
            } else if (split == PF_SPLIT_TEST || !table->joins_val) {
                table->untrained_classes++;
                if (task->classes && !table->untrained_name)
                    table->untrained_name = task->classes[label];
            }
        }
    }
    free(seen);
    return 0;
}

static int fail_one_class(const PfFeatureTable *table, const PfTask *task, const char *name,
                          PfError *err)
{
    int32_t label = -1;
    for (int64_t i = 0; i < table->split_counts[PF_SPLIT_TRAIN] && label < 0; i++)
        label = task->labels[table->split_rows[PF_SPLIT_TRAIN][i]];
    if (label < 0)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': no train row has a label of target '%s'", name,
                       task->name);
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': all train rows are of one class of target '%s'%s%s%s; a classifier needs "
                   "two",
                   name, task->name, task->classes ? " ('" : "",
                   task->classes ? task->classes[label] : "", task->classes ? "')" : "");
}

static int check_tasks(PfFeatureTable *table, const char *name, PfError *err)
{
    const int32_t *rows = table->split_rows[PF_SPLIT_TRAIN];
    for (int t = 0; t < table->task_count; t++) {
        const PfTask *task = &table->tasks[t];
        int trained = 2;
        if (pf_task_class_count(task) && count_classes(table, task, &trained, err)) return -1;
        if (trained < 2) return fail_one_class(table, task, name, err);
        if (!(pf_task_weight(task, rows, table->split_counts[PF_SPLIT_TRAIN]) > 0))
            return pf_fail(err, PF_EXIT_FAILED, "'%s': no train row has a value of target '%s'",
                           name, task->name);
    }
    return 0;
}

int pf_feature_table_index(PfFeatureTable *table, const char *name, double val, PfError *err)
{
    if (list_rows(table, err)) return -1;
    if (table->unlabelled == table->rows)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': none of its %lld rows has a label, so there is nothing to train on. "
                       "Hint: extract takes classes from the names of the folders that hold the "
                       "images.",
                       name, (long long)table->rows);
    if (!table->split_counts[PF_SPLIT_TRAIN])
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': no labelled row is in the train part (%lld in val, %lld in test)",
                       name, (long long)table->split_counts[PF_SPLIT_VAL],
                       (long long)table->split_counts[PF_SPLIT_TEST]);
    if (!table->split_counts[PF_SPLIT_VAL] && val > 0 && (table->keys || table->paths) &&
        choose_val(table, val, err))
        return -1;
    return check_tasks(table, name, err);
}

int pf_feature_table_reassign(PfFeatureTable *table, const char *name, const int32_t *rows,
                              const uint8_t *in_val, int64_t count, PfError *err)
{
    for (int64_t i = 0; i < count; i++)
        table->splits[rows[i]] = in_val[i] ? PF_SPLIT_VAL : PF_SPLIT_TRAIN;
    return list_rows(table, err) || check_tasks(table, name, err) ? -1 : 0;
}

/* ---- finite or not ---- */

#define BLOCKS 64

/* All exponent bits set; on the bits, since that is a loop compilers turn into vectors. */
int pf_feature_table_any_not_finite(const float *values, int64_t count)
{
    uint32_t found = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        found |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return found != 0;
}

typedef struct FiniteCheck {
    const PfFeatureTable *table;
    _Atomic int64_t first_bad; /* lowest found so far */
} FiniteCheck;

static void check_block(void *context, int64_t block)
{
    FiniteCheck *check = context;
    const PfFeatureTable *table = check->table;
    int64_t end = table->rows * (block + 1) / BLOCKS;
    for (int64_t i = table->rows * block / BLOCKS; i < end; i++) {
        int64_t values = table->views * table->features;
        if (!pf_feature_table_any_not_finite(table->x + i * values, values)) continue;
        int64_t lowest = check->first_bad;
        while (i < lowest && !atomic_compare_exchange_weak(&check->first_bad, &lowest, i)) {
        }
        return;
    }
}

int64_t pf_feature_table_find_not_finite(const PfFeatureTable *table, int threads)
{
    FiniteCheck check = {.table = table, .first_bad = INT64_MAX};
    pf_parallel_for(BLOCKS, threads, check_block, &check);
    return check.first_bad == INT64_MAX ? -1 : check.first_bad;
}

/* ---- from a cache ---- */

int pf_feature_table_choose_tap(const PfCache *cache, const char *name, int *tap, PfError *err)
{
    if (name) {
        int failed = pf_cache_find_tap(cache, name, tap, err);
        if (failed && err) err->exit_code = PF_EXIT_USAGE; /* the name is from the command line */
        return failed;
    }
    int count = pf_cache_tap_count(cache), views;
    if (pf_cache_views_count(cache, &views, err)) return -1;
    *tap = count == 1 ? 0 : -1;
    for (int i = 0; i < count && count > 1; i++)
        if (pf_cache_views_shape(&pf_cache_tap(cache, i)->shape, views).rank == 1) *tap = i;
    if (*tap >= 0) return 0;
    if (!count) return pf_fail(err, PF_EXIT_FAILED, "'%s' holds no features", pf_cache_path(cache));
    return pf_fail(err, PF_EXIT_USAGE,
                   "'%s' holds %d taps, all of them maps: choose one with --tap, for example "
                   "--tap %s",
                   pf_cache_path(cache), count, pf_cache_tap(cache, count - 1)->name);
}

/* ---- targets ---- */

static void list_targets(const PfCache *cache, char *names, size_t size)
{
    *names = '\0';
    for (int i = 0; i < pf_cache_target_count(cache); i++) {
        size_t used = strlen(names);
        snprintf(names + used, size - used, "%s%s", i ? ", " : "", pf_cache_target(cache, i)->name);
    }
}

/* Without a name: the only target, or the only one of classes. */
static int choose_default_target(const PfCache *cache, int *target, PfError *err)
{
    char names[512];
    int count = pf_cache_target_count(cache), classes = 0;
    if (!count)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' holds no labels, only features: there is nothing to train on. Hint: "
                       "extract takes classes from the names of the folders that hold the images.",
                       pf_cache_path(cache));
    for (int i = 0; i < count; i++)
        if (pf_target_traits(pf_cache_target(cache, i)->kind)->has_classes && !classes++)
            *target = i;
    if (count == 1) *target = 0;
    if (count == 1 || classes == 1) return 0;
    list_targets(cache, names, sizeof names);
    return pf_fail(err, PF_EXIT_USAGE,
                   "'%s' has several targets: choose with --target one, or some separated by "
                   "commas, of: %s",
                   pf_cache_path(cache), names);
}

static int find_target(const PfCache *cache, const char *name, int *target, PfError *err)
{
    char names[512];
    for (int i = 0; i < pf_cache_target_count(cache); i++)
        if (!strcmp(pf_cache_target(cache, i)->name, name)) {
            *target = i;
            return 0;
        }
    list_targets(cache, names, sizeof names);
    return pf_fail(err, PF_EXIT_USAGE, "'%s' has no target '%s'; it has: %s", pf_cache_path(cache),
                   name, *names ? names : "none");
}

static bool has_target(const PfCache *cache, const char *name)
{
    for (int i = 0; i < pf_cache_target_count(cache); i++)
        if (!strcmp(pf_cache_target(cache, i)->name, name)) return true;
    return false;
}

/* targets: (count) */
static int find_targets(const PfCache *cache, const char *const *names, int count, int *targets,
                        PfError *err)
{
    for (int i = 0; i < count; i++) {
        if (find_target(cache, names[i], &targets[i], err)) return -1;
        for (int j = 0; j < i; j++)
            if (targets[j] == targets[i])
                return pf_fail(err, PF_EXIT_USAGE, "--target names '%s' twice", names[i]);
    }
    return 0;
}

/* *targets: malloc'ed indices; NULL after a failure. */
static int choose_named_targets(const PfCache *cache, const char *const *names, int count,
                                int **targets, PfError *err)
{
    *targets = pf_calloc((size_t)count + 1, sizeof **targets, err);
    if (*targets && !find_targets(cache, names, count, *targets, err)) return 0;
    free(*targets);
    *targets = NULL;
    return -1;
}

/* The same of a list with commas. A target may have commas in its own name: then the list is one
 * that the cache has. */
static int choose_listed_targets(const PfCache *cache, const char *list, int **targets, int *count,
                                 PfError *err)
{
    char **names = NULL;
    *count = 1;
    if (has_target(cache, list)) return choose_named_targets(cache, &list, 1, targets, err);
    if (pf_options_split_list(list, &names, count, err)) return -1;
    int failed = choose_named_targets(cache, (const char *const *)names, *count, targets, err);
    int name_count = *count;
    pf_options_free_list(&names, &name_count);
    return failed;
}

static int choose_targets(const PfCache *cache, const PfFeatureTableConfig *config, int **targets,
                          int *count, PfError *err)
{
    *count = config->target_names ? config->target_count : 1;
    if (config->target_names)
        return choose_named_targets(cache, config->target_names, *count, targets, err);
    if (config->targets) return choose_listed_targets(cache, config->targets, targets, count, err);
    *targets = pf_calloc(1, sizeof **targets, err);
    if (*targets && !choose_default_target(cache, *targets, err)) return 0;
    free(*targets);
    return -1;
}

int pf_feature_table_check_targets(const PfCache *cache, const char *targets, PfError *err)
{
    const PfFeatureTableConfig config = {.targets = targets};
    int *indices, count;
    if (choose_targets(cache, &config, &indices, &count, err)) return -1;
    free(indices);
    return 0;
}

static int read_task(PfCache *cache, int index, PfTask *task, PfError *err)
{
    const PfCacheTarget *target = pf_cache_target(cache, index);
    const PfTargetTraits *traits = pf_target_traits(target->kind);
    if (pf_task_init(task, target->name, target->kind, traits->outputs(target),
                     pf_cache_row_count(cache), err))
        return -1;
    /* Points have a name for two numbers, which nothing here asks for. */
    task->classes = target->kind == PF_TARGET_KEYPOINTS ? NULL : target->classes;
    PfTargetRows rows = {.rows = task->rows,
                         .outputs = task->outputs,
                         .labels = task->labels,
                         .values = task->values};
    int failed = traits->read(cache, index, &rows, err);
    task->frames = rows.frames;
    return failed;
}

static bool has_split(const PfCache *cache, PfSplit split)
{
    const uint8_t *splits = pf_cache_splits(cache);
    return splits && memchr(splits, split, (size_t)pf_cache_row_count(cache));
}

/* What the cache knows of each row's image. */
typedef struct Images {
    uint8_t (*digests)[PF_DIGEST_SIZE]; /* (rows) */
    uint64_t *groups;                   /* (rows) */
} Images;

static int read_images(Images *images, PfCache *cache, PfError *err)
{
    size_t rows = (size_t)pf_cache_row_count(cache);
    images->digests = pf_calloc(rows, sizeof *images->digests, err);
    images->groups = pf_calloc(rows, sizeof *images->groups, err);
    if (!images->digests || !images->groups || pf_cache_read_digests(cache, images->digests, err) ||
        pf_cache_read_groups(cache, images->groups, err))
        return -1;
    return 0;
}

static int find_alike(PfFeatureTable *table, const Images *images, PfError *err)
{
    table->alike = pf_calloc((size_t)table->rows, sizeof *table->alike, err);
    if (!table->alike) return -1;
    return pf_equal_images_find_together((const uint8_t(*)[PF_DIGEST_SIZE])images->digests,
                                         images->groups, table->rows, table->alike, err);
}

/* Of a cache that was made when rows were chosen by their paths the same ones are chosen again. A
 * row of which neither digest nor path is known is chosen by its number. */
static int make_keys(PfFeatureTable *table, const PfCache *cache, const Images *images,
                     PfError *err)
{
    for (int64_t i = 0; i < table->rows; i++) table->has_groups |= images->groups[i] != 0;
    const bool is_by_path =
        pf_cache_has_paths(cache) && pf_split_is_by_path(pf_cache_provenance(cache));
    if (!table->has_groups && is_by_path) return 0;
    table->keys = pf_calloc((size_t)table->rows, sizeof *table->keys, err);
    table->by_number = true;
    for (int64_t i = 0; table->keys && i < table->rows; i++) {
        table->keys[i] = pf_split_key(images->digests[i], images->groups[i]);
        if (table->keys[i])
            table->by_number = false;
        else
            table->keys[i] = (uint64_t)(i + 1) * 0x9e3779b97f4a7c15u;
    }
    return table->keys ? 0 : -1;
}

/* Among the rows of the lists. */
static int count_equal(PfFeatureTable *table, const Images *images, PfError *err)
{
    enum { NO_PART = PF_SPLIT_COUNT };
    const PfTask *task = pf_feature_table_class_task(table);
    uint8_t *splits = pf_calloc((size_t)table->rows, 1, err);
    if (!splits) return -1;
    memset(splits, NO_PART, (size_t)table->rows);
    for (int split = 0; split < PF_SPLIT_COUNT; split++)
        for (int64_t i = 0; i < table->split_counts[split]; i++)
            splits[table->split_rows[split][i]] = split == PF_SPLIT_VAL && table->joins_val
                                                      ? (uint8_t)PF_SPLIT_TRAIN
                                                      : (uint8_t)split;
    int failed = pf_equal_images_count((const uint8_t(*)[PF_DIGEST_SIZE])images->digests, splits,
                                       task ? task->labels : NULL, table->rows, &table->equal, err);
    free(splits);
    return failed;
}

static int index_splits(PfFeatureTable *table, PfCache *cache, double val, PfError *err)
{
    const char *name = pf_cache_path(cache);
    int has_val = has_split(cache, PF_SPLIT_VAL);
    if (has_val && val >= 0)
        return pf_fail(err, PF_EXIT_USAGE,
                       "'%s' has a val part of its own; --val is for caches without one", name);
    if (val < 0) val = PF_DEFAULT_VAL;
    if (pf_cache_splits(cache)) memcpy(table->splits, pf_cache_splits(cache), (size_t)table->rows);
    if (!has_val && val > 0 && !table->keys && pf_cache_paths(cache, &table->paths, err)) return -1;
    return pf_feature_table_index(table, name, val, err);
}

static int load_splits(PfFeatureTable *table, PfCache *cache, const PfFeatureTableConfig *config,
                       PfError *err)
{
    Images images = {0};
    table->val_keys = config->val_keys;
    table->joins_val = config->joins_val;
    int failed = read_images(&images, cache, err) || find_alike(table, &images, err) ||
                 make_keys(table, cache, &images, err) ||
                 index_splits(table, cache, config->val, err) || count_equal(table, &images, err);
    free(images.digests);
    free(images.groups);
    return failed ? -1 : 0;
}

int pf_feature_table_fail_not_finite(PfCache *cache, int tap, int64_t row, PfError *err)
{
    const char *const *paths;
    const char *path = pf_cache_paths(cache, &paths, NULL) ? "" : paths[row];
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': the features of row %lld%s%s%s at tap '%s' hold NaN or infinity. Hint: "
                   "half precision ends at 65504; extract with --store f32, or check the weights.",
                   pf_cache_path(cache), (long long)row, *path ? " (" : "", path, *path ? ")" : "",
                   pf_cache_tap(cache, tap)->name);
}

static int check_finite(const PfFeatureTable *table, PfCache *cache, int tap, int threads,
                        PfError *err)
{
    int64_t row = pf_feature_table_find_not_finite(table, threads);
    return row < 0 ? 0 : pf_feature_table_fail_not_finite(cache, tap, row, err);
}

static int load_tasks(PfFeatureTable *table, PfCache *cache, const int *targets, PfError *err)
{
    for (int t = 0; t < table->task_count; t++)
        if (read_task(cache, targets[t], &table->tasks[t], err)) return -1;
    return 0;
}

static int table_of_tap(PfCache *cache, int tap, int task_count, const PfFeatureTableConfig *config,
                        PfFeatureTable **out, PfError *err)
{
    PfFeatureMemory memory;
    int views;
    if (pf_cache_views_count(cache, &views, err) ||
        pf_feature_memory_plan(cache, tap, config->memory_bytes, config->batch_rows, &memory, err))
        return -1;
    PfFeatureStream stream = {.cache = cache,
                              .tap = tap,
                              .views = views,
                              .window_rows = memory.window_rows,
                              .threads = config->threads,
                              .interrupted = config->interrupted,
                              .part = config->part,
                              .parts = config->parts,
                              .seconds = config->stream_seconds};
    if (memory.is_streamed) return pf_feature_table_new_streamed(&stream, task_count, out, err);
    if (pf_feature_table_new(pf_cache_row_count(cache), views,
                             pf_shape_count(&pf_cache_tap(cache, tap)->shape) / views, task_count,
                             out, err))
        return -1;
    (*out)->limit_bytes = memory.limit_bytes;
    return 0;
}

/* Which of the views are learned from. Points lie elsewhere in every view but the centre. */
static int choose_views(PfFeatureTable *table, const PfCache *cache, int wanted, PfError *err)
{
    const char *name = pf_cache_path(cache);
    if (wanted > table->views)
        return pf_fail(err, PF_EXIT_USAGE, "--views %d: '%s' holds %d of each image", wanted, name,
                       table->views);
    if (wanted) table->drawn_views = wanted;
    for (int t = 0; t < table->task_count && table->drawn_views > 1; t++)
        if (pf_target_traits(table->tasks[t].kind)->is_of_one_view)
            return pf_fail(err, PF_EXIT_USAGE,
                           "'%s' holds %d views of each image, and the points of target '%s' are "
                           "known in the first only. Hint: --views 1 trains on that.",
                           name, table->views, table->tasks[t].name);
    return 0;
}

static int read_features(PfFeatureTable *table, PfCache *cache, int tap, int threads, PfError *err)
{
    if (table->stream) return 0;
    if (pf_cache_read_f32(cache, tap, 0, table->rows, table->x, threads, err)) return -1;
    return check_finite(table, cache, tap, threads, err);
}

int pf_feature_table_load(PfCache *cache, int tap, const PfFeatureTableConfig *config,
                          PfFeatureTable **out, PfError *err)
{
    PfFeatureTable *table = NULL;
    int *targets, count;
    if (choose_targets(cache, config, &targets, &count, err)) return -1;
    int failed = table_of_tap(cache, tap, count, config, &table, err) ||
                 load_tasks(table, cache, targets, err) ||
                 choose_views(table, cache, config->views, err) ||
                 load_splits(table, cache, config, err) ||
                 read_features(table, cache, tap, config->threads, err);
    free(targets);
    if (failed) {
        pf_feature_table_free(&table);
        return -1;
    }
    *out = table;
    return 0;
}

int pf_feature_table_load_rows(PfCache *cache, const PfFeatureTableConfig *config,
                               PfFeatureTable **out, PfError *err)
{
    PfFeatureTable *table = NULL;
    PfFeatureStream nowhere = {.cache = cache};
    int *targets, count;
    if (choose_targets(cache, config, &targets, &count, err)) return -1;
    int failed = pf_feature_table_new_streamed(&nowhere, count, &table, err) ||
                 load_tasks(table, cache, targets, err) || load_splits(table, cache, config, err);
    free(targets);
    if (failed) {
        pf_feature_table_free(&table);
        return -1;
    }
    *out = table;
    return 0;
}
