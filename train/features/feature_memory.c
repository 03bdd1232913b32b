#include "train/features/feature_memory.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "common/base/size_text.h"
#include "common/cache/views.h"

/* A window of fewer runs would hardly mix its rows. */
#define LEAST_RUNS 4
/* What a thread that decompresses holds: a run as stored, unpacked and handed over. */
#define RUNS_PER_READER 3
/* Beside each row of a window: its number, and its place in the order. */
#define ROW_EXTRA_BYTES (2 * (int64_t)sizeof(int32_t))

#define EVALUATION_ROWS 256
#define EVALUATION_ROWS_LEAST 16
#define EVALUATION_BYTES ((int64_t)16 << 20)

int64_t pf_feature_memory_evaluation_rows(int64_t row_values)
{
    int64_t rows = EVALUATION_BYTES / (row_values * (int64_t)sizeof(float));
    if (rows > EVALUATION_ROWS) return EVALUATION_ROWS;
    return rows < EVALUATION_ROWS_LEAST ? EVALUATION_ROWS_LEAST : rows;
}

static int64_t default_bytes; /* 0: nothing was said */

void pf_feature_memory_set_default(int64_t bytes)
{
    default_bytes = bytes;
}

static int longest_run(const PfCache *cache, int tap, int64_t *rows, PfError *err)
{
    PfCacheRun *runs;
    int64_t count;
    if (pf_cache_list_runs(cache, tap, &runs, &count, err)) return -1;
    *rows = 0;
    for (int64_t i = 0; i < count; i++)
        if (runs[i].count > *rows) *rows = runs[i].count;
    free(runs);
    return 0;
}

/* Files may claim any shape. */
static int64_t table_bytes(int64_t rows, int64_t row_values)
{
    int64_t bytes;
    if (__builtin_mul_overflow(rows, row_values * (int64_t)sizeof(float), &bytes)) return INT64_MAX;
    return bytes;
}

static int fail_too_small(const PfCache *cache, int tap, const PfFeatureMemory *memory,
                          int64_t least, PfError *err)
{
    char limit_text[PF_SIZE_TEXT], table_text[PF_SIZE_TEXT];
    if (least > memory->table_bytes) least = memory->table_bytes;
    return pf_fail(err, PF_EXIT_USAGE,
                   "%s of memory are too little for the features of tap '%s' of '%s', %s: the "
                   "least that works is --memory %lldK",
                   pf_size_text(memory->limit_bytes, limit_text), pf_cache_tap(cache, tap)->name,
                   pf_cache_path(cache), pf_size_text(memory->table_bytes, table_text),
                   (long long)(least + 999) / 1000);
}

int pf_feature_memory_plan(const PfCache *cache, int tap, int64_t limit_bytes, int64_t batch_rows,
                           PfFeatureMemory *out, PfError *err)
{
    const PfCacheTap *info = pf_cache_tap(cache, tap);
    int64_t rows = pf_cache_row_count(cache), row_values = pf_shape_count(&info->shape), run_rows;
    int views;
    if (pf_cache_views_count(cache, &views, err)) return -1;
    int64_t features = row_values / views;
    int64_t view_bytes = features * (int64_t)pf_dtype_size(info->dtype);
    *out =
        (PfFeatureMemory){.table_bytes = table_bytes(rows, row_values), .limit_bytes = limit_bytes};
    if (!limit_bytes)
        out->limit_bytes =
            default_bytes ? default_bytes : (int64_t)(pf_memory_physical_bytes() / 2);
    out->is_streamed = out->table_bytes > out->limit_bytes;
    if (!out->is_streamed) return 0;
    if (longest_run(cache, tap, &run_rows, err)) return -1;
    if (batch_rows < pf_feature_memory_evaluation_rows(features))
        batch_rows = pf_feature_memory_evaluation_rows(features);
    if (batch_rows > rows) batch_rows = rows;
    int64_t fixed = batch_rows * features * (int64_t)sizeof(float) +
                    PF_STREAM_READERS * RUNS_PER_READER * run_rows * views * view_bytes;
    int64_t runs = views > LEAST_RUNS ? views : LEAST_RUNS; /* all views pass through once */
    int64_t least = fixed + 2 * runs * run_rows * (view_bytes + ROW_EXTRA_BYTES);
    if (out->limit_bytes < least) return fail_too_small(cache, tap, out, least, err);
    out->window_rows = (out->limit_bytes - fixed) / 2 / (view_bytes + ROW_EXTRA_BYTES);
    return 0;
}
