#include "train/features/row_choice.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

/* Streams in pf_random_seeded. */
#define FOLD_STREAM 0x666f6c64u
#define SUBSET_STREAM 0x66657773u

/* Rows sorted by class: those of class c are rows[starts[c] .. starts[c + 1]). Class 0 is for rows
 * that have none, or for all where the task is not of classes. */
typedef struct ByClass {
    int classes;
    int32_t *rows;
    int64_t *starts; /* (classes + 1) */
} ByClass;

static int class_of(const PfTask *task, int32_t row)
{
    return pf_task_class(task, row) + 1;
}

static void free_by_class(ByClass *sorted)
{
    free(sorted->rows);
    free(sorted->starts);
}

static int sort_by_class(const PfTask *task, const int32_t *rows, int64_t count, ByClass *sorted,
                         PfError *err)
{
    sorted->classes = pf_task_class_count(task) + 1;
    sorted->rows = pf_calloc((size_t)count, sizeof *sorted->rows, err);
    sorted->starts = pf_calloc((size_t)sorted->classes + 1, sizeof *sorted->starts, err);
    int64_t *next = pf_calloc((size_t)sorted->classes, sizeof *next, err);
    if (!sorted->rows || !sorted->starts || !next) {
        free_by_class(sorted);
        free(next);
        return -1;
    }
    for (int64_t i = 0; i < count; i++) sorted->starts[class_of(task, rows[i]) + 1]++;
    for (int c = 0; c < sorted->classes; c++) {
        sorted->starts[c + 1] += sorted->starts[c];
        next[c] = sorted->starts[c];
    }
    for (int64_t i = 0; i < count; i++) sorted->rows[next[class_of(task, rows[i])]++] = rows[i];
    free(next);
    return 0;
}

static void shuffle_classes(ByClass *sorted, uint64_t seed, uint64_t stream)
{
    PfRandom random = pf_random_seeded(seed, stream);
    for (int c = 0; c < sorted->classes; c++)
        pf_random_shuffle(&random, sorted->rows + sorted->starts[c],
                          (size_t)(sorted->starts[c + 1] - sorted->starts[c]));
}

static int compare_rows(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a, right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

/* rows: (count), none like another. */
static int deal_out(const PfTask *task, const int32_t *rows, int64_t count, int folds,
                    uint64_t seed, uint8_t *fold, PfError *err)
{
    ByClass sorted;
    if (sort_by_class(task, rows, count, &sorted, err)) return -1;
    shuffle_classes(&sorted, seed, FOLD_STREAM);
    for (int64_t i = 0; i < count; i++) {
        /* Dealt out in the order of classes, so that no fold gets all the remainders. */
        const int32_t *place =
            bsearch(&sorted.rows[i], rows, (size_t)count, sizeof *rows, compare_rows);
        fold[place - rows] = (uint8_t)(i % folds);
    }
    free_by_class(&sorted);
    return 0;
}

/* leaders: those of the rows that no row before them is like; number: (last row + 1) by the first
 * row that it is like, a leader's place among them, plus 1. Their count. */
static int64_t find_leaders(const int32_t *rows, const uint32_t *alike, int64_t count,
                            int32_t *leaders, int32_t *number)
{
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t first = alike ? alike[rows[i]] : (uint32_t)rows[i];
        if (number[first]) continue;
        leaders[n++] = rows[i];
        number[first] = (int32_t)n;
    }
    return n;
}

int pf_row_choice_fold(const PfTask *task, const int32_t *rows, const uint32_t *alike,
                       int64_t count, int folds, uint64_t seed, uint8_t *fold, PfError *err)
{
    size_t places = count ? (size_t)rows[count - 1] + 1 : 0;
    int32_t *leaders = pf_calloc((size_t)count, sizeof *leaders, err);
    int32_t *number = pf_calloc(places, sizeof *number, err);
    uint8_t *dealt = pf_calloc((size_t)count, 1, err);
    int failed = !leaders || !number || !dealt;
    if (!failed)
        failed = deal_out(task, leaders, find_leaders(rows, alike, count, leaders, number), folds,
                          seed, dealt, err);
    for (int64_t i = 0; i < count && !failed; i++)
        fold[i] = dealt[number[alike ? alike[rows[i]] : (uint32_t)rows[i]] - 1];
    free(leaders);
    free(number);
    free(dealt);
    return failed ? -1 : 0;
}

int pf_row_choice_per_class(const PfTask *task, const int32_t *rows, int64_t count, int per_class,
                            uint64_t seed, int32_t **out, int64_t *out_count, PfError *err)
{
    ByClass sorted;
    if (sort_by_class(task, rows, count, &sorted, err)) return -1;
    shuffle_classes(&sorted, seed, SUBSET_STREAM);
    int64_t kept = 0;
    for (int c = pf_task_class_count(task) > 0; c < sorted.classes; c++)
        for (int64_t i = sorted.starts[c];
             i < sorted.starts[c + 1] && i < sorted.starts[c] + per_class; i++)
            sorted.rows[kept++] = sorted.rows[i];
    qsort(sorted.rows, (size_t)kept, sizeof *sorted.rows, compare_rows);
    *out = sorted.rows;
    *out_count = kept;
    free(sorted.starts);
    return 0;
}

int pf_row_choice_count_few(const PfTask *task, const int32_t *rows, int64_t count, int64_t wanted,
                            int *few, int64_t *least, PfError *err)
{
    ByClass sorted;
    if (sort_by_class(task, rows, count, &sorted, err)) return -1;
    *few = 0;
    *least = wanted;
    for (int c = pf_task_class_count(task) > 0; c < sorted.classes; c++) {
        const int64_t size = sorted.starts[c + 1] - sorted.starts[c];
        *few += size < wanted;
        if (size < *least) *least = size;
    }
    free(sorted.starts);
    free(sorted.rows);
    return 0;
}

int pf_row_choice_draw_balanced(const PfTask *task, const int32_t *rows, int64_t count,
                                PfRandom *stream, int32_t *out, PfError *err)
{
    ByClass sorted;
    if (sort_by_class(task, rows, count, &sorted, err)) return -1;
    int c = 0;
    for (int64_t i = 0; i < count; i++) {
        do c = c + 1 < sorted.classes ? c + 1 : pf_task_class_count(task) > 0;
        while (sorted.starts[c + 1] == sorted.starts[c]);
        uint64_t size = (uint64_t)(sorted.starts[c + 1] - sorted.starts[c]);
        out[i] = sorted.rows[sorted.starts[c] + (int64_t)pf_random_below(stream, size)];
    }
    free_by_class(&sorted);
    qsort(out, (size_t)count, sizeof *out, compare_rows);
    return 0;
}
