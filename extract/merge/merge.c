#include "extract/merge/merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/base/size_text.h"
#include "common/cache/build.h"
#include "common/cache/split.h"
#include "common/file/atomic_file.h"
#include "common/file/path.h"
#include "common/thread/parallel.h"
#include "extract/merge/internal.h"
#include "extract/plan/provenance.h"
#include "extract/plan/runtime_rows.h"
#include "extract/plan/work_plan.h"

/* Says in the provenance that the file can be made again from others. */
#define MERGED_KEY "merged"

typedef struct Merge {
    const PfMergeOptions *options;
    const char *command;
    PfMergeInputs inputs;
    PfMergeTargets targets;
    PfCacheTap *taps;
    PfRowSource *sources;           /* one an input */
    PfMergeSources virtual_sources; /* --virtual */
    char *provenance;               /* JSON */
    int input;                      /* that the last row came from */
    char path[PF_ROW_NAME_SIZE];    /* of a row whose input names none */
    PfProgress progress;
} Merge;

/* ---- what is at the output already ---- */

static cJSON *read_provenance(const PfCache *cache, PfError *err)
{
    return pf_json_parse_or_empty(pf_cache_provenance(cache), pf_cache_path(cache), "provenance",
                                  err);
}

static int check_merged_before(const char *path, const PfCache *cache, PfError *err)
{
    cJSON *provenance = read_provenance(cache, err);
    if (!provenance) return -1;
    bool is_merged = cJSON_HasObjectItem(provenance, MERGED_KEY);
    cJSON_Delete(provenance);
    if (is_merged) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is there already, and was extracted, not merged: its rows might be lost.\n"
                   "Hint: the output comes first, extract --merge OUT IN...; --force replaces it",
                   path);
}

/* What a merge has made, and can make again, may be replaced; what was extracted may not. */
static int check_output(const Merge *run, PfError *err)
{
    const char *path = run->options->output;
    PfCache *cache;
    if (pf_merge_check_output(&run->inputs, path, err) || pf_atomic_file_check(path, err))
        return -1;
    if (run->options->force || access(path, F_OK)) return 0;
    if (pf_cache_open(path, &cache, err)) return -1;
    int failed = check_merged_before(path, cache, err) ||
                 pf_merge_check_identity(run->inputs.items[0].cache, cache, err);
    pf_cache_close(&cache);
    return failed;
}

/* ---- provenance ---- */

static void add_inputs(cJSON *object, const Merge *run)
{
    cJSON *list = cJSON_AddArrayToObject(object, MERGED_KEY);
    for (int i = 0; i < run->inputs.count; i++) {
        const PfCache *cache = run->inputs.items[i].cache;
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "path", pf_cache_path(cache));
        cJSON_AddNumberToObject(entry, "rows", (double)pf_cache_row_count(cache));
        cJSON_AddItemToArray(list, entry);
    }
}

static void add_runtime_rows(cJSON *object, const Merge *run)
{
    cJSON *rows = cJSON_AddObjectToObject(object, PF_RUNTIME_ROWS_KEY);
    for (int i = 0; i < run->inputs.count; i++) {
        cJSON *of_input = pf_runtime_rows_of_cache(run->inputs.items[i].cache);
        pf_runtime_rows_add(rows, of_input);
        cJSON_Delete(of_input);
    }
}

/* Leaves what is said of all inputs: where the weights and the dataset are, for example. */
static int keep_common(cJSON *object, const PfCache *cache, PfError *err)
{
    cJSON *other = read_provenance(cache, err), *entry = object->child;
    if (!other) return -1;
    while (entry) {
        cJSON *next = entry->next;
        const cJSON *same = cJSON_GetObjectItemCaseSensitive(other, entry->string);
        if (!cJSON_Compare(entry, same, 1)) cJSON_Delete(cJSON_DetachItemViaPointer(object, entry));
        entry = next;
    }
    cJSON_Delete(other);
    return 0;
}

/* What all inputs say, without what each says of itself. NULL on failure. */
static cJSON *common_provenance(const Merge *run, PfError *err)
{
    static const char *const own[] = {
        "permafrost",   "created",      "command",           "shard",    "scheduler",
        "dataset_rows", PF_LISTING_KEY, PF_RUNTIME_ROWS_KEY, MERGED_KEY,
    };
    cJSON *object = read_provenance(run->inputs.items[0].cache, err);
    for (int i = 1; i < run->inputs.count && object; i++)
        if (keep_common(object, run->inputs.items[i].cache, err)) {
            cJSON_Delete(object);
            return NULL;
        }
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        cJSON_DeleteItemFromObjectCaseSensitive(object, own[i]);
    return object;
}

/* Where no input was split by paths, but some by contents and others by groups, the whole counts as
 * split by groups. */
static void settle_split_by(cJSON *object, const Merge *run)
{
    if (cJSON_HasObjectItem(object, PF_SPLIT_BY_KEY)) return;
    for (int i = 0; i < run->inputs.count; i++)
        if (pf_split_is_by_path(pf_cache_provenance(run->inputs.items[i].cache))) return;
    cJSON_AddStringToObject(object, PF_SPLIT_BY_KEY, "group");
}

static char *provenance_json(const Merge *run, PfError *err)
{
    pf_json_begin();
    cJSON *object = common_provenance(run, err);
    if (!object) return NULL;
    settle_split_by(object, run);
    pf_provenance_add_origin(object, run->command);
    add_inputs(object, run);
    add_runtime_rows(object, run);
    return pf_json_finish(object, "provenance", err);
}

/* ---- what building the cache asks for ---- */

static PfRowPlace place_of_row(void *context, int tap, int64_t row)
{
    Merge *run = context;
    (void)tap;
    run->input = pf_merge_inputs_find_row(&run->inputs, row, run->input);
    return (PfRowPlace){run->input, row - run->inputs.items[run->input].first_row};
}

static PfCacheSample sample_of_row(void *context, int64_t row)
{
    Merge *run = context;
    PfRowPlace place = place_of_row(run, 0, row);
    const PfMergeInput *input = &run->inputs.items[place.source];
    const uint8_t *splits = pf_cache_splits(input->cache);
    const PfImageFile file = pf_image_files_at(&input->files, place.row);
    PfCacheSample sample = pf_image_file_to_sample(&file);
    if (!sample.path) sample.path = pf_image_file_row_name(input->cache, place.row, run->path);
    sample.split = splits ? (PfSplit)splits[place.row] : PF_SPLIT_TRAIN;
    sample.class_indices = run->targets.indices + row * run->targets.class_targets;
    sample.values = run->targets.values + row * run->targets.values_per_row;
    sample.group = input->groups[place.row];
    return sample;
}

static PfCacheReject reject_at(void *context, int64_t index)
{
    const PfMergeInputs *inputs = &((Merge *)context)->inputs;
    const PfMergeInput *input = &inputs->items[pf_merge_inputs_find_reject(inputs, index)];
    return input->rejects[index - input->first_reject];
}

static void show_progress(void *context, int64_t done, int64_t total)
{
    Merge *run = context;
    (void)total;
    pf_progress_update(&run->progress, done, NULL);
}

/* ---- before it begins ---- */

static int warn_of_duplicates(const Merge *run, PfError *err)
{
    int64_t count;
    if (pf_merge_count_duplicates(&run->inputs, &count, err)) return -1;
    if (count)
        pf_warn("%lld rows are of images that another input has too, by path and content",
                (long long)count);
    return 0;
}

/* Chunks that are encoded again become about as large as they were. */
static int check_disk(const Merge *run, PfError *err)
{
    char filters[64], needed_size[PF_SIZE_TEXT], free_size[PF_SIZE_TEXT];
    int64_t needed = 0, stored, available = pf_work_plan_disk_free(run->options->output);
    for (int i = 0; i < run->inputs.count && !run->options->is_virtual; i++) {
        PfCache *cache = run->inputs.items[i].cache;
        for (int t = 0; t < pf_cache_tap_count(cache); t++) {
            if (pf_cache_tap_storage(cache, t, &stored, filters, sizeof filters, err)) return -1;
            needed += stored;
        }
    }
    if (available < 0 || needed <= available) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': the disk has %s free; the features alone are about %s. Make room, write "
                   "to another disk, or let them stay where they are with --virtual.",
                   run->options->output, pf_size_text(available, free_size),
                   pf_size_text(needed, needed_size));
}

static int open_and_check(Merge *run, PfError *err)
{
    const PfMergeOptions *options = run->options;
    if (pf_merge_inputs_open(options->inputs, options->input_count, &run->inputs, err) ||
        check_output(run, err) || (!options->force && pf_merge_check_shards(&run->inputs, err)) ||
        check_disk(run, err))
        return -1;
    return warn_of_duplicates(run, err);
}

/* ---- the steps ---- */

/* Their paths are relative to the folder of the file, not of a link to it. */
static int find_virtual_sources(Merge *run, PfError *err)
{
    char *target = pf_atomic_file_target(run->options->output, err);
    int failed = !target || pf_merge_sources_new(&run->inputs, target, &run->virtual_sources, err);
    free(target);
    return failed ? -1 : 0;
}

static int prepare(Merge *run, PfError *err)
{
    PfCache *first = run->inputs.items[0].cache;
    int tap_count = pf_cache_tap_count(first);
    run->taps = pf_calloc((size_t)tap_count, sizeof *run->taps, err);
    run->sources = pf_calloc((size_t)run->inputs.count, sizeof *run->sources, err);
    if (!run->taps || !run->sources || !(run->provenance = provenance_json(run, err))) return -1;
    for (int t = 0; t < tap_count; t++) run->taps[t] = *pf_cache_tap(first, t);
    for (int i = 0; i < run->inputs.count; i++)
        run->sources[i] = pf_cache_build_source(run->inputs.items[i].cache);
    if (run->options->is_virtual && find_virtual_sources(run, err)) return -1;
    return pf_merge_targets_new(&run->inputs, &run->targets, err);
}

static PfCacheBuildPlan plan_of(Merge *run, const volatile sig_atomic_t *interrupted)
{
    const PfMergeOptions *options = run->options;
    PfCache *first = run->inputs.items[0].cache;
    return (PfCacheBuildPlan){
        .taps = run->taps,
        .tap_count = pf_cache_tap_count(first),
        .targets = run->targets.items,
        .target_count = run->targets.count,
        .identity = pf_cache_identity(first),
        .provenance = run->provenance,
        .compression =
            options->has_compression ? options->compression : pf_cache_tap_compression(first, 0),
        .level = options->level,
        .threads = pf_parallel_processor_count(),
        .sources = run->sources,
        .source_count = run->inputs.count,
        .virtual_sources = run->virtual_sources.items,
        .virtual_source_count = run->virtual_sources.count,
        .row_count = run->inputs.row_count,
        .reject_count = run->inputs.reject_count,
        .context = run,
        .place = place_of_row,
        .sample = sample_of_row,
        .reject = reject_at,
        .progress = show_progress,
        .interrupted = interrupted,
    };
}

static void print_summary(const Merge *run, const PfCacheBuildStats *stats)
{
    char size[PF_SIZE_TEXT], seconds[PF_DURATION_SIZE], rejected[64] = "", features[96];
    if (stats->written.rejected)
        snprintf(rejected, sizeof rejected, ", %lld rejected", (long long)stats->written.rejected);
    if (run->options->is_virtual)
        snprintf(features, sizeof features, "virtual, features stay where they are");
    else
        snprintf(features, sizeof features, "%lld chunks moved, %lld encoded again",
                 (long long)stats->chunks_moved, (long long)stats->chunks_encoded);
    pf_say("%s: %lld rows of %d cache%s%s, %s; %s, %s", run->options->output,
           (long long)stats->written.rows, run->inputs.count, run->inputs.count > 1 ? "s" : "",
           rejected, pf_size_text(stats->written.file_bytes, size), features,
           pf_clock_duration_text(stats->seconds, seconds));
}

static void warn_of_sources_outside(const Merge *run)
{
    char *folder = pf_merge_sources_outside(&run->virtual_sources, run->options->output);
    char *word = folder ? pf_path_shell_word(folder, "DIR", NULL) : NULL;
    if (word)
        pf_warn("'%s' refers to files outside its folder, which are read with --sources-from "
                "%" PF_SENTENCE " only",
                run->options->output, word);
    free(word);
    free(folder);
}

static int merge(Merge *run, const volatile sig_atomic_t *interrupted, PfError *err)
{
    const PfMergeOptions *options = run->options;
    PfCacheBuildStats stats;
    if (open_and_check(run, err) || prepare(run, err)) return -1;
    PfCacheBuildPlan plan = plan_of(run, interrupted);
    pf_progress_start(&run->progress, "rows", plan.row_count * plan.tap_count);
    int failed = pf_cache_build(options->output, &plan, &stats, err);
    pf_progress_end(&run->progress);
    if (failed && err->exit_code == PF_EXIT_INTERRUPTED)
        return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted; nothing was written to '%s'",
                       options->output);
    if (failed) return -1;
    print_summary(run, &stats);
    warn_of_sources_outside(run);
    return 0;
}

int pf_merge_run(const PfMergeOptions *options, const char *command,
                 const volatile sig_atomic_t *interrupted, PfError *err)
{
    Merge run = {.options = options, .command = command};
    int failed = merge(&run, interrupted, err);
    pf_merge_targets_free(&run.targets);
    pf_merge_sources_free(&run.virtual_sources);
    pf_merge_inputs_free(&run.inputs);
    cJSON_free(run.provenance);
    free(run.sources);
    free(run.taps);
    return failed;
}
