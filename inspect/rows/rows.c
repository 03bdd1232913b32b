#include "inspect/rows/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/views.h"
#include "common/thread/parallel.h"
#include "train/features/feature_table.h"
#include "train/kernels/vector_math.h"

/* Bytes of rows that are looked at in one go. */
#define BLOCK_BYTES ((int64_t)16 << 20)
/* A part of a loop over rows. */
#define SLICE_ROWS 64

const char *pf_rows_name(const PfRows *rows, int64_t row, char name[PF_ROW_NAME_SIZE])
{
    if (rows->files.paths) return rows->files.paths[row];
    return pf_image_file_row_name(rows->cache, row, name);
}

int pf_rows_check_interrupt(const PfRows *rows, PfError *err)
{
    if (!rows->interrupted || !*rows->interrupted) return 0;
    return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted; nothing was written");
}

/* ---- blocks ---- */

/* Of several views the first. stored: room for all of them, where there are several. */
static int read_centre(const PfRows *rows, int64_t first, int64_t count, float *out, PfError *err)
{
    int64_t row_values = rows->features * rows->views;
    if (rows->views == 1)
        return pf_cache_read_f32(rows->cache, rows->tap, first, count, out, rows->threads, err);
    float *stored = pf_alloc_aligned((size_t)(count * row_values), sizeof *stored, err);
    if (!stored) return -1;
    int failed =
        pf_cache_read_f32(rows->cache, rows->tap, first, count, stored, rows->threads, err);
    for (int64_t i = 0; i < count && !failed; i++)
        memcpy(out + i * rows->features, stored + i * row_values,
               (size_t)rows->features * sizeof *out);
    free(stored);
    return failed ? -1 : 0;
}

int pf_rows_block(const PfRows *rows, int64_t first, int64_t count, float *out, PfError *err)
{
    size_t row_bytes = (size_t)rows->features * sizeof *out;
    if (rows->x) {
        memcpy(out, rows->x + first * rows->features, (size_t)count * row_bytes);
        return 0;
    }
    if (read_centre(rows, first, count, out, err)) return -1;
    for (int64_t i = 0; i < count; i++)
        if (rows->broken[first + i]) memset(out + i * rows->features, 0, row_bytes);
    return 0;
}

typedef struct Scaling {
    float *x;
    int64_t count, features;
} Scaling;

static void scale_slice(void *context, int64_t slice)
{
    const Scaling *scaling = context;
    int64_t end = pf_min(scaling->count, (slice + 1) * SLICE_ROWS);
    for (int64_t i = slice * SLICE_ROWS; i < end; i++) {
        float *x = scaling->x + i * scaling->features;
        double squares = pf_sum_of_squares(x, scaling->features);
        float scale = squares > 0 ? (float)(1 / sqrt(squares)) : 0;
        for (int64_t j = 0; j < scaling->features; j++) x[j] *= scale;
    }
}

int pf_rows_unit_block(const PfRows *rows, int64_t first, int64_t count, float *out, PfError *err)
{
    Scaling scaling = {out, count, rows->features};
    if (pf_rows_block(rows, first, count, out, err)) return -1;
    pf_parallel_for((count + SLICE_ROWS - 1) / SLICE_ROWS, rows->threads, scale_slice, &scaling);
    return 0;
}

/* ---- reading ---- */

static void look_at_row(PfRows *rows, int64_t row, float *x, double *sums)
{
    if (pf_feature_table_any_not_finite(x, rows->features)) {
        rows->broken[row] = 1;
        rows->broken_count++;
        memset(x, 0, (size_t)rows->features * sizeof *x);
    } else if (!(pf_sum_of_squares(x, rows->features) > 0)) {
        rows->broken[row] = 2;
        rows->zero_count++;
    }
    if (rows->broken[row] == 1) return;
    for (int64_t j = 0; j < rows->features; j++) {
        sums[j] += (double)x[j];
        sums[rows->features + j] += (double)x[j] * (double)x[j];
    }
}

static int look_at_rows(PfRows *rows, double *sums, PfError *err)
{
    int64_t row_bytes = rows->features * rows->views * (int64_t)sizeof(float);
    int64_t block = pf_max(1, pf_min(rows->count, BLOCK_BYTES / row_bytes));
    float *own = NULL;
    if (!rows->x) {
        own = pf_alloc_aligned((size_t)(block * rows->features), sizeof *own, err);
        if (!own) return -1;
    }
    int failed = 0;
    for (int64_t first = 0; first < rows->count && !failed; first += block) {
        int64_t count = pf_min(block, rows->count - first);
        float *x = rows->x ? rows->x + first * rows->features : own;
        failed = pf_rows_check_interrupt(rows, err) || read_centre(rows, first, count, x, err);
        for (int64_t i = 0; i < count && !failed; i++)
            look_at_row(rows, first + i, x + i * rows->features, sums);
    }
    free(own);
    return failed ? -1 : 0;
}

static int measure(PfRows *rows, PfError *err)
{
    int64_t features = rows->features, sound = 0;
    double *sums = pf_calloc((size_t)(2 * features), sizeof *sums, err);
    rows->broken = pf_calloc((size_t)rows->count, 1, err);
    rows->mean = pf_calloc((size_t)features, sizeof *rows->mean, err);
    rows->spread = pf_calloc((size_t)features, sizeof *rows->spread, err);
    int failed =
        !sums || !rows->broken || !rows->mean || !rows->spread || look_at_rows(rows, sums, err);
    if (!failed) sound = pf_max(1, rows->count - rows->broken_count);
    for (int64_t j = 0; j < features && !failed; j++) {
        rows->mean[j] = sums[j] / (double)sound;
        double variance = sums[features + j] / (double)sound - rows->mean[j] * rows->mean[j];
        rows->spread[j] = variance > 0 ? sqrt(variance) : 0;
    }
    free(sums);
    return failed ? -1 : 0;
}

/* Refuses a name that is no target's, or two targets: with the names that --target takes. */
static int fail_target(const PfCache *cache, const char *name, PfError *err)
{
    char names[512];
    int used = 0;
    for (int t = 0; t < pf_cache_target_count(cache) && used < (int)sizeof names; t++)
        if (pf_cache_target(cache, t)->kind == PF_TARGET_CLASS)
            used += pf_format(names + used, sizeof names - (size_t)used, "%s%s", used ? ", " : "",
                              pf_cache_target(cache, t)->name);
    if (!name)
        return pf_fail(err, PF_EXIT_USAGE,
                       "'%s' has several targets of classes: choose one with --target, of: "
                       "%" PF_SENTENCE,
                       pf_cache_path(cache), names);
    return pf_fail(err, PF_EXIT_USAGE, "'%s' has no target '%s'; of classes it has: %" PF_SENTENCE,
                   pf_cache_path(cache), name, used ? names : "none");
}

/* The target of classes of that name, or the only one; -1: there is none. */
static int find_target(const PfCache *cache, const char *name, int *out, PfError *err)
{
    int found = 0;
    *out = -1;
    for (int t = 0; t < pf_cache_target_count(cache); t++) {
        const PfCacheTarget *target = pf_cache_target(cache, t);
        if (name ? strcmp(target->name, name) != 0 : target->kind != PF_TARGET_CLASS) continue;
        if (target->kind != PF_TARGET_CLASS)
            return pf_fail(err, PF_EXIT_USAGE, "target '%s' of '%s' is of kind %s, not of classes",
                           name, pf_cache_path(cache), pf_target_kind_name(target->kind));
        if (!found++) *out = t;
    }
    if (found > 1 || (name && !found)) return fail_target(cache, name, err);
    return 0;
}

static int read_labels(PfRows *rows, const char *name, PfError *err)
{
    int target, any = 0;
    if (find_target(rows->cache, name, &target, err)) return -1;
    if (target < 0) return 0;
    rows->target = pf_cache_target(rows->cache, target)->name;
    rows->classes = pf_cache_target(rows->cache, target)->classes;
    rows->class_count = pf_cache_target(rows->cache, target)->class_count;
    rows->labels = pf_calloc((size_t)rows->count, sizeof *rows->labels, err);
    if (!rows->labels || pf_cache_read_classes(rows->cache, target, rows->labels, err)) return -1;
    for (int64_t i = 0; i < rows->count; i++) any |= rows->labels[i] >= 0;
    if (any) return 0;
    free(rows->labels);
    rows->labels = NULL;
    return 0;
}

static int read_splits(PfRows *rows, PfError *err)
{
    const uint8_t *splits = pf_cache_splits(rows->cache);
    rows->splits = pf_calloc((size_t)rows->count, 1, err);
    if (!rows->splits) return -1;
    if (splits) memcpy(rows->splits, splits, (size_t)rows->count);
    for (int64_t i = 1; i < rows->count; i++)
        rows->has_splits |= rows->splits[i] != rows->splits[0];
    return 0;
}

/* Features may take half of the memory, and what is found with them the rest. */
static int take_memory(PfRows *rows, int64_t memory_bytes, PfError *err)
{
    if (!memory_bytes) memory_bytes = (int64_t)(pf_memory_physical_bytes() / 2);
    int64_t table_bytes = rows->count * rows->features * (int64_t)sizeof(float);
    rows->memory_bytes = memory_bytes;
    if (table_bytes > memory_bytes / 2) return 0;
    rows->x = pf_alloc_large((size_t)(rows->count * rows->features), sizeof *rows->x, err);
    rows->memory_bytes -= table_bytes;
    return rows->x ? 0 : -1;
}

static int find_alike(PfRows *rows, PfError *err)
{
    uint64_t *groups = pf_calloc((size_t)rows->count, sizeof *groups, err);
    rows->alike = pf_calloc((size_t)rows->count, sizeof *rows->alike, err);
    int failed =
        !groups || !rows->alike || pf_cache_read_groups(rows->cache, groups, err) ||
        pf_equal_images_find_together((const uint8_t(*)[PF_DIGEST_SIZE])rows->files.digests, groups,
                                      rows->count, rows->alike, err);
    free(groups);
    return failed ? -1 : 0;
}

int pf_rows_read(PfCache *cache, const PfRowsConfig *config, PfRows *out, PfError *err)
{
    *out = (PfRows){.cache = cache,
                    .count = pf_cache_row_count(cache),
                    .threads = config->threads,
                    .interrupted = config->interrupted};
    if (!out->count) return pf_fail(err, PF_EXIT_FAILED, "'%s' has no rows", pf_cache_path(cache));
    if (out->count > INT32_MAX)
        return pf_fail(err, PF_EXIT_FAILED, "'%s' has %lld rows, more than inspect can take",
                       pf_cache_path(cache), (long long)out->count);
    if (pf_feature_table_choose_tap(cache, config->tap, &out->tap, err) ||
        pf_cache_views_count(cache, &out->views, err))
        return -1;
    out->features = pf_shape_count(&pf_cache_tap(cache, out->tap)->shape) / out->views;
    if (take_memory(out, config->memory_bytes, err) || read_labels(out, config->target, err) ||
        read_splits(out, err) || pf_image_files_read(cache, &out->files, err) ||
        find_alike(out, err))
        return -1;
    return measure(out, err);
}

void pf_rows_free(PfRows *rows)
{
    free(rows->x);
    free(rows->broken);
    free(rows->mean);
    free(rows->spread);
    free(rows->labels);
    free(rows->splits);
    free(rows->alike);
    pf_image_files_free(&rows->files);
    *rows = (PfRows){0};
}
