#include "feature_table.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory.h"
#include "parallel.h"
#include "split.h"

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

static int any_task_has(const PfFeatureTable *table, int64_t row)
{
    for (int t = 0; t < table->task_count; t++)
        if (pf_task_has(&table->tasks[t], row)) return 1;
    return 0;
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

/* Moves the fraction val of the train rows to val, class by class. */
static int choose_val(PfFeatureTable *table, double val, PfError *err)
{
    int64_t count = table->split_counts[PF_SPLIT_TRAIN];
    const int32_t *rows = table->split_rows[PF_SPLIT_TRAIN];
    const PfTask *by = pf_feature_table_class_task(table);
    const char **paths = pf_calloc((size_t)count, sizeof *paths, err);
    uint64_t *keys = pf_calloc((size_t)count, sizeof *keys, err);
    int32_t *classes = pf_calloc((size_t)count, sizeof *classes, err);
    uint8_t *splits = pf_calloc((size_t)count, 1, err);
    int failed = !paths || !keys || !classes || !splits;
    for (int64_t i = 0; i < count && !failed; i++) {
        if (table->keys)
            keys[i] = table->keys[rows[i]];
        else
            paths[i] = table->paths[rows[i]];
        classes[i] = by ? by->labels[rows[i]] : 0;
    }
    if (!failed)
        failed = table->keys ? pf_split_by_key(keys, classes, count, val, 0, 1, splits, err)
                             : pf_split_by_hash(paths, classes, count, val, 0, splits, err);
    for (int64_t i = 0; i < count && !failed; i++) table->splits[rows[i]] = splits[i];
    free(splits);
    free(classes);
    free(keys);
    free(paths);
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
            if (split == PF_SPLIT_TRAIN)
                ++*trained;
            else
                table->untrained_classes++;
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
int pf_any_not_finite(const float *values, int64_t count)
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
        if (!pf_any_not_finite(table->x + i * values, values)) continue;
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
