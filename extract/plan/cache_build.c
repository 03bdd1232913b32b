#include "extract/plan/cache_build.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/cache/codec/tap_layout.h"
#include "common/file/file_stamp.h"

/* ---- whether it is there already ---- */

/* A cache's columns, side by side with the scan. */
typedef struct Comparison {
    PfCache *cache;
    const PfRowIndex *known;
    const PfDatasetScan *scan;
    const char *const *paths;
    const PfCacheReject *rejects;
    PfFileStamp *stamps;
    int32_t **classes; /* (targets) of class targets (rows) */
    float **values;    /* (targets) of the others (rows, width) */
    const uint8_t *splits;
    uint64_t *groups;
    int64_t row, reject; /* the next ones */
    bool stale;          /* stamps that differ */
} Comparison;

static bool same_target(const PfCacheTarget *a, const PfCacheTarget *b)
{
    if (strcmp(a->name, b->name) || a->kind != b->kind || a->width != b->width ||
        a->class_count != b->class_count)
        return false;
    for (int i = 0; i < a->class_count; i++)
        if (strcmp(a->classes[i], b->classes[i])) return false;
    return true;
}

static bool same_targets(const PfCache *cache, const PfDataset *dataset)
{
    int count;
    const PfCacheTarget *targets = pf_dataset_targets(dataset, &count);
    if (count != pf_cache_target_count(cache)) return false;
    for (int t = 0; t < count; t++)
        if (!same_target(&targets[t], pf_cache_target(cache, t))) return false;
    return true;
}

static bool is_virtual(const PfCache *cache)
{
    int sources;
    pf_cache_sources(cache, &sources);
    return sources > 0;
}

/* Whether the tap's first chunk is the one that would be written: the others were
 * written with it. */
static int same_layout(const PfRowSource *source, const PfTapLayout *layout, int64_t rows,
                       bool *same, PfError *err)
{
    size_t stored_bytes = 0;
    void *stored = pf_alloc_aligned(pf_chunk_bound(&layout->format), 1, err);
    int tap = source->find_tap(source->context, layout->tap.name);
    int64_t count = pf_min(rows, layout->chunk_rows);
    int failed =
        !stored || tap < 0 ||
        source->read_stored(source->context, tap, 0, count, layout, stored, &stored_bytes, err);
    free(stored);
    *same = stored_bytes > 0;
    return failed ? -1 : 0;
}

static int same_storage(const Comparison *at, const PfCacheTap *taps, PfCompression compression,
                        int level, bool *same, PfError *err)
{
    int sources;
    const PfRowSource *source = pf_row_index_sources(at->known, &sources);
    *same = pf_cache_tap_count(at->cache) == at->scan->tap_count;
    for (int t = 0; t < at->scan->tap_count && *same && !is_virtual(at->cache); t++) {
        PfTapLayout layout;
        if (pf_tap_layout_plan(&taps[t], compression, level, &layout, err) ||
            same_layout(source, &layout, pf_cache_row_count(at->cache), same, err))
            return -1;
    }
    return 0;
}

/* A stamp that is not to be relied on is no better than the one that is there. */
static void compare_stamps(Comparison *at, const PfFileStamp *stored, const PfFileStamp *found)
{
    at->stale |= found->mtime_ns && !pf_file_stamp_equal(stored, found);
}

/* Of all targets; NaNs are equal. */
static bool same_numbers(const Comparison *at, int64_t row, int64_t index)
{
    const int32_t *indices = pf_dataset_class_indices(at->scan->dataset, index);
    const float *values = pf_dataset_values(at->scan->dataset, index);
    for (int t = 0; t < pf_cache_target_count(at->cache); t++) {
        int width = pf_cache_target(at->cache, t)->width;
        if (at->classes[t]) {
            if (at->classes[t][row] != *indices++) return false;
        } else {
            if (memcmp(at->values[t] + row * width, values, (size_t)width * sizeof *values))
                return false;
            values += width;
        }
    }
    return true;
}

static bool same_row(Comparison *at, int64_t index, const PfScannedSample *scanned)
{
    int64_t row = at->row++;
    if (row >= pf_cache_row_count(at->cache)) return false;
    PfRowPlace place =
        pf_row_index_place(at->known, 0, scanned->file.digest, (PfRowPlace){0, row - 1});
    if (place.source != 0 || place.row != row || strcmp(at->paths[row], scanned->file.path) ||
        (at->splits ? at->splits[row] : PF_SPLIT_TRAIN) != scanned->split ||
        at->groups[row] != pf_dataset_group(at->scan->dataset, index) ||
        !same_numbers(at, row, index))
        return false;
    compare_stamps(at, &at->stamps[row], &scanned->file.stamp);
    return true;
}

static bool same_reject(Comparison *at, const PfScannedSample *scanned)
{
    int64_t index = at->reject++;
    if (index >= pf_cache_rejected_count(at->cache)) return false;
    const PfCacheReject *reject = &at->rejects[index];
    if (strcmp(reject->path, scanned->file.path) || strcmp(reject->reason, scanned->reason) ||
        memcmp(reject->digest, scanned->file.digest, PF_DIGEST_SIZE))
        return false;
    compare_stamps(at, &reject->stamp, &scanned->file.stamp);
    return true;
}

static bool same_sample(Comparison *at, int64_t index)
{
    const PfScannedSample *scanned = &at->scan->samples[index];
    if (scanned->missing) return false;
    return scanned->state == PF_SAMPLE_KNOWN ? same_row(at, index, scanned)
                                             : same_reject(at, scanned);
}

static bool same_samples(Comparison *at)
{
    for (int64_t i = 0; i < at->scan->count; i++)
        if (!same_sample(at, i)) return false;
    return at->row == pf_cache_row_count(at->cache) &&
           at->reject == pf_cache_rejected_count(at->cache);
}

static int read_target(Comparison *at, int t, size_t rows, PfError *err)
{
    const PfCacheTarget *target = pf_cache_target(at->cache, t);
    if (target->kind == PF_TARGET_CLASS) {
        at->classes[t] = pf_calloc(rows, sizeof **at->classes, err);
        return at->classes[t] ? pf_cache_read_classes(at->cache, t, at->classes[t], err) : -1;
    }
    at->values[t] = pf_calloc(rows * (size_t)target->width, sizeof **at->values, err);
    return at->values[t] ? pf_cache_read_values(at->cache, t, at->values[t], err) : -1;
}

static int read_targets(Comparison *at, size_t rows, PfError *err)
{
    int count = pf_cache_target_count(at->cache);
    at->classes = pf_calloc((size_t)count, sizeof *at->classes, err);
    at->values = pf_calloc((size_t)count, sizeof *at->values, err);
    if (!at->classes || !at->values) return -1;
    for (int t = 0; t < count; t++)
        if (read_target(at, t, rows, err)) return -1;
    return 0;
}

static int read_columns(Comparison *at, PfError *err)
{
    size_t rows = (size_t)pf_cache_row_count(at->cache);
    at->splits = pf_cache_splits(at->cache);
    at->stamps = pf_calloc(rows, sizeof *at->stamps, err);
    at->groups = pf_calloc(rows, sizeof *at->groups, err);
    if (!at->stamps || !at->groups || pf_cache_paths(at->cache, &at->paths, err) ||
        pf_cache_read_groups(at->cache, at->groups, err) ||
        pf_cache_rejects(at->cache, &at->rejects, err) ||
        pf_cache_read_stamps(at->cache, at->stamps, err))
        return -1;
    return read_targets(at, rows, err);
}

static void free_columns(Comparison *at)
{
    for (int t = 0; t < pf_cache_target_count(at->cache); t++) {
        if (at->classes) free(at->classes[t]);
        if (at->values) free(at->values[t]);
    }
    free(at->classes);
    free(at->values);
    free(at->stamps);
    free(at->groups);
}

int pf_plan_cache_match(PfCache *cache, const PfRowIndex *known, const PfDatasetScan *scan,
                        const PfCacheTap *taps, PfCompression compression, int level,
                        PfPlanCacheMatch *match, PfError *err)
{
    Comparison at = {.cache = cache, .known = known, .scan = scan};
    bool same = false;
    *match = PF_PLAN_CACHE_DIFFERS;
    if (!same_targets(cache, scan->dataset)) return 0;
    int failed = read_columns(&at, err);
    if (!failed && same_samples(&at))
        failed = same_storage(&at, taps, compression, level, &same, err);
    /* Nobody wants a copy of all that a virtual one refers to for the sake of dates. */
    if (same)
        *match = at.stale && !is_virtual(cache) ? PF_PLAN_CACHE_STAMPS_DIFFER : PF_PLAN_CACHE_EQUAL;
    free_columns(&at);
    return failed;
}

/* ---- writing it ---- */

typedef struct Writing {
    const PfPlanCacheBuild *of;
    uint32_t *rows, *rejects; /* samples with and without features, in dataset order */
    int64_t row_count, reject_count;
    PfRowPlace before; /* of the row asked for last */
    PfProgress progress;
} Writing;

static PfRowPlace place(void *context, int tap, int64_t row)
{
    Writing *writing = context;
    const PfScannedSample *sample = &writing->of->scan->samples[writing->rows[row]];
    writing->before =
        pf_row_index_place(writing->of->known, tap, sample->file.digest, writing->before);
    return writing->before;
}

static int sample_at(void *context, int64_t row, PfCacheSample *sample, PfError *err)
{
    (void)err;
    Writing *writing = context;
    uint32_t index = writing->rows[row];
    const PfScannedSample *scanned = &writing->of->scan->samples[index];
    const PfDataset *dataset = writing->of->scan->dataset;
    PfImageFile file = scanned->file;
    pf_row_index_decoded(writing->of->known, file.digest, &file);
    PfCacheSample out = pf_image_file_to_sample(&file);
    out.split = (PfSplit)scanned->split;
    out.group = pf_dataset_group(dataset, index);
    out.class_indices = pf_dataset_class_indices(dataset, index);
    out.values = pf_dataset_values(dataset, index);
    *sample = out;
    return 0;
}

static int reject_at(void *context, int64_t index, PfCacheReject *reject, PfError *err)
{
    (void)err;
    const Writing *writing = context;
    const PfDatasetScan *scan = writing->of->scan;
    const PfScannedSample *scanned = &scan->samples[writing->rejects[index]];
    *reject = pf_image_file_to_reject(&scanned->file, scanned->reason);
    return 0;
}

static void show_progress(void *context, int64_t done, int64_t total)
{
    Writing *writing = context;
    writing->progress.total = total;
    pf_progress_update(&writing->progress, done, NULL);
}

static int list_rows(Writing *writing, PfError *err)
{
    const PfDatasetScan *scan = writing->of->scan;
    writing->rows = pf_calloc((size_t)scan->count, sizeof *writing->rows, err);
    writing->rejects = pf_calloc((size_t)scan->count, sizeof *writing->rejects, err);
    if (!writing->rows || !writing->rejects) return -1;
    for (int64_t i = 0; i < scan->count; i++)
        if (scan->samples[i].state == PF_SAMPLE_REJECTED)
            writing->rejects[writing->reject_count++] = (uint32_t)i;
        else
            writing->rows[writing->row_count++] = (uint32_t)i;
    return 0;
}

static int write_rows(Writing *writing, const char *output, PfCacheBuildStats *stats, PfError *err)
{
    const PfPlanCacheBuild *of = writing->of;
    int target_count;
    const PfCacheTarget *targets = pf_dataset_targets(of->scan->dataset, &target_count);
    PfCacheBuildPlan plan = {.taps = of->taps,
                             .tap_count = of->tap_count,
                             .targets = targets,
                             .target_count = target_count,
                             .identity = of->identity,
                             .provenance = of->provenance,
                             .compression = of->compression,
                             .level = of->level,
                             .threads = of->threads,
                             .row_count = writing->row_count,
                             .reject_count = writing->reject_count,
                             .context = writing,
                             .place = place,
                             .sample = sample_at,
                             .reject = reject_at,
                             .progress = show_progress,
                             .interrupted = of->interrupted};
    plan.sources = pf_row_index_sources(of->known, &plan.source_count);
    pf_progress_start(&writing->progress, "rows gathered", writing->row_count);
    int failed = pf_cache_build(output, &plan, stats, err);
    pf_progress_end(&writing->progress);
    return failed;
}

int pf_plan_cache_build(const PfPlanCacheBuild *build, const char *output, PfCacheBuildStats *stats,
                        PfError *err)
{
    Writing writing = {.of = build, .before = {-1, 0}};
    int failed = list_rows(&writing, err) || write_rows(&writing, output, stats, err);
    free(writing.rows);
    free(writing.rejects);
    return failed ? -1 : 0;
}
