#include "extract/merge/merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/integers.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/printable.h"
#include "common/base/size_text.h"
#include "common/cache/build.h"
#include "common/cache/journal/journal.h"
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
#define MOST_KEYS 1000 /* of a provenance */
/* Readers refuse JSON of more than PF_JSON_MAX_VALUES, and there may be as many inputs. */
#define MOST_NAMED 1000

typedef struct Merge {
    const PfMergeOptions *options;
    const char *command;
    PfMergeInputs inputs;
    PfMergeTargets targets;
    PfCacheTap *taps; /* (tap_count) */
    int tap_count;
    char *identity; /* JSON */
    cJSON *common;  /* the provenance that all inputs have */
    cJSON *runtime_rows;
    bool any_by_path;     /* an input was split by paths */
    int64_t stored_bytes; /* of the chunks of all inputs */
    int64_t raw_bytes;    /* of what is in them */
    PfMergeDuplicates duplicates;
    PfCompression compression;
    PfRowSource *sources;           /* one an input */
    struct MergeSource *contexts;   /* theirs */
    PfMergeSources virtual_sources; /* --virtual */
    char *provenance;               /* JSON */
    int input;                      /* that the last row came from */
    int reject_input;               /* the same of rejects */
    char path[PF_ROW_NAME_SIZE];    /* of a row whose input names none */
    double started;                 /* pf_clock_seconds */
    PfJournalLock lock;             /* of the output: no extraction writes it meanwhile */
    PfProgress progress;
} Merge;

/* An input as a source of rows, which is opened when rows of it are wanted. */
typedef struct MergeSource {
    Merge *run;
    int input;
} MergeSource;

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
static int check_output(Merge *run, PfError *err)
{
    const char *path = run->options->output;
    PfCache *cache;
    struct stat status;
    bool is_file = stat(path, &status) || S_ISREG(status.st_mode);
    if (pf_merge_check_output(&run->inputs, path, err) || pf_atomic_file_check(path, err) ||
        (is_file && pf_journal_lock(path, &run->lock, err)))
        return -1;
    if (run->options->force || access(path, F_OK)) return 0;
    if (pf_cache_open(path, &cache, err)) return -1;
    const PfMergeInput *first = pf_merge_inputs_get(&run->inputs, 0, err);
    int failed = !first || check_merged_before(path, cache, err) ||
                 pf_merge_check_identity(first->cache, cache, err);
    pf_cache_close(&cache);
    return failed;
}

/* ---- provenance ---- */

/* The inputs by name; of many the first MOST_NAMED, and how many the others are. */
static void add_inputs(cJSON *object, const Merge *run)
{
    cJSON *list = cJSON_AddArrayToObject(object, MERGED_KEY);
    const int named = (int)pf_min(run->inputs.count, MOST_NAMED);
    int64_t rows_left = run->inputs.row_count;
    for (int i = 0; i < named; i++) {
        const PfMergeInput *input = &run->inputs.items[i];
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "path", input->path);
        cJSON_AddNumberToObject(entry, "rows", (double)input->row_count);
        cJSON_AddItemToArray(list, entry);
        rows_left -= input->row_count;
    }
    if (named == run->inputs.count) return;
    cJSON *others = cJSON_CreateObject();
    cJSON_AddNumberToObject(others, "others", run->inputs.count - named);
    cJSON_AddNumberToObject(others, "rows", (double)rows_left);
    cJSON_AddItemToArray(list, others);
}

static void add_runtime_rows(cJSON *rows, const PfCache *cache)
{
    cJSON *of_input = pf_runtime_rows_of_cache(cache);
    pf_runtime_rows_add(rows, of_input);
    cJSON_Delete(of_input);
}

/* The options that a cache was made with have no --shard here: what is merged is no shard. */
static cJSON *read_without_shard(const PfCache *cache, PfError *err)
{
    cJSON *provenance = read_provenance(cache, err);
    cJSON *words = cJSON_GetObjectItemCaseSensitive(provenance, "options");
    pf_options_words_drop(words, "shard");
    pf_options_words_drop(words, "shard-base");
    return provenance;
}

/* Leaves what is said of all inputs: where the weights and the dataset are, for example. */
static int keep_common(cJSON *object, const PfCache *cache, PfError *err)
{
    cJSON *other = read_without_shard(cache, err), *entry = object->child;
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

/* Without what each says of itself. */
static void drop_own(cJSON *object)
{
    static const char *const own[] = {
        "permafrost",   "created",      "command",           "shard",    "scheduler",
        "dataset_rows", PF_LISTING_KEY, PF_RUNTIME_ROWS_KEY, MERGED_KEY, PF_CACHE_CONTENT_KEY,
    };
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        cJSON_DeleteItemFromObjectCaseSensitive(object, own[i]);
}

/* What all inputs say, which runtimes made their rows, and whether any of them was split by
 * paths. */
static int note_provenance(Merge *run, const PfCache *cache, PfError *err)
{
    if (!run->common && !(run->common = read_without_shard(cache, err))) return -1;
    if (cJSON_GetArraySize(run->common) > MOST_KEYS)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': its provenance has %d entries, and what is merged has %d at most",
                       pf_cache_path(cache), cJSON_GetArraySize(run->common), MOST_KEYS);
    if (keep_common(run->common, cache, err)) return -1;
    run->any_by_path |= pf_split_is_by_path(pf_cache_provenance(cache));
    add_runtime_rows(run->runtime_rows, cache);
    return 0;
}

static char *provenance_json(Merge *run, PfError *err)
{
    cJSON *object = run->common;
    run->common = NULL;
    drop_own(object);
    /* Where no input was split by paths, but some by contents and others by groups, the whole
     * counts as split by groups. */
    if (!run->any_by_path && !cJSON_HasObjectItem(object, PF_SPLIT_BY_KEY))
        cJSON_AddStringToObject(object, PF_SPLIT_BY_KEY, "group");
    pf_provenance_add_origin(object, run->command);
    add_inputs(object, run);
    cJSON_AddItemToObject(object, PF_RUNTIME_ROWS_KEY, run->runtime_rows);
    run->runtime_rows = NULL;
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

static void warn_of_duplicates(Merge *run)
{
    const int64_t count = pf_merge_duplicates_count(&run->duplicates);
    pf_merge_duplicates_free(&run->duplicates);
    if (count)
        pf_warn("%lld rows are of images that another input has too, by path and content",
                (long long)count);
}

static int sample_of_row(void *context, int64_t row, PfCacheSample *out, PfError *err)
{
    Merge *run = context;
    const PfMergeTargets *targets = &run->targets;
    const PfRowPlace place = place_of_row(run, 0, row);
    PfMergeInput *input = pf_merge_inputs_get(&run->inputs, place.source, err);
    if (!input || pf_merge_targets_read_samples(targets, input, err)) return -1;
    const uint8_t *splits = pf_cache_splits(input->cache);
    const PfImageFile file = pf_image_files_at(&input->files, place.row);
    *out = pf_image_file_to_sample(&file);
    if (!out->path) out->path = pf_image_file_row_name(input->cache, place.row, run->path);
    out->split = splits ? (PfSplit)splits[place.row] : PF_SPLIT_TRAIN;
    out->class_indices = input->indices + place.row * targets->class_targets;
    out->values = input->values + place.row * targets->values_per_row;
    out->group = input->groups[place.row];
    pf_merge_duplicates_note(&run->duplicates, input->files.paths ? out->path : NULL, out->digest,
                             place.source);
    if (row + 1 == run->inputs.row_count) warn_of_duplicates(run);
    return 0;
}

static int reject_at(void *context, int64_t index, PfCacheReject *out, PfError *err)
{
    Merge *run = context;
    const PfCacheReject *rejects;
    run->reject_input = pf_merge_inputs_find_reject(&run->inputs, index, run->reject_input);
    PfMergeInput *input = pf_merge_inputs_get(&run->inputs, run->reject_input, err);
    if (!input || pf_cache_rejects(input->cache, &rejects, err)) return -1;
    *out = rejects[index - input->first_reject];
    return 0;
}

/* ---- inputs as sources of rows ---- */

/* Taps are numbered as the merged cache has them; every input has all of them. */
static int find_tap(void *context, const char *name)
{
    const Merge *run = ((const MergeSource *)context)->run;
    for (int t = 0; t < run->tap_count; t++)
        if (!strcmp(run->taps[t].name, name)) return t;
    return -1;
}

/* The input's own source, and the tap there. */
static int open_source(const MergeSource *source, int tap, PfRowSource *own, int *own_tap,
                       PfError *err)
{
    Merge *run = source->run;
    PfMergeInput *input = pf_merge_inputs_get(&run->inputs, source->input, err);
    if (!input || pf_cache_find_tap(input->cache, run->taps[tap].name, own_tap, err)) return -1;
    *own = pf_cache_build_source(input->cache);
    return 0;
}

static int read_rows(void *context, int tap, int64_t first, int64_t count, void *out, PfError *err)
{
    PfRowSource own;
    int own_tap;
    if (open_source(context, tap, &own, &own_tap, err)) return -1;
    return own.read_rows(own.context, own_tap, first, count, out, err);
}

static int read_stored(void *context, int tap, int64_t first, int64_t rows,
                       const PfTapLayout *layout, void *stored, size_t *stored_bytes, PfError *err)
{
    PfRowSource own;
    int own_tap;
    if (open_source(context, tap, &own, &own_tap, err)) return -1;
    return own.read_stored(own.context, own_tap, first, rows, layout, stored, stored_bytes, err);
}

static int make_sources(Merge *run, PfError *err)
{
    const int count = run->inputs.count;
    run->sources = pf_calloc((size_t)count, sizeof *run->sources, err);
    run->contexts = pf_calloc((size_t)count, sizeof *run->contexts, err);
    if (!run->sources || !run->contexts) return -1;
    for (int i = 0; i < count; i++) {
        run->contexts[i] = (MergeSource){run, i};
        run->sources[i] = (PfRowSource){.context = &run->contexts[i],
                                        .path = run->inputs.items[i].path,
                                        .find_tap = find_tap,
                                        .read_rows = read_rows,
                                        .read_stored = read_stored};
    }
    return 0;
}

static void show_progress(void *context, int64_t done, int64_t total)
{
    Merge *run = context;
    (void)total;
    pf_progress_update(&run->progress, done, NULL);
}

/* ---- before it begins ---- */

/* As the first input has it, unless an option says otherwise. */
static int choose_compression(Merge *run, PfError *err)
{
    const PfMergeInput *first = pf_merge_inputs_get(&run->inputs, 0, err);
    if (!first) return -1;
    run->compression = run->options->has_compression ? run->options->compression
                                                     : pf_cache_tap_compression(first->cache, 0);
    return 0;
}

/* Chunks that are compressed again become about as large as they were. */
static int check_disk(const Merge *run, PfError *err)
{
    char needed_size[PF_SIZE_TEXT], free_size[PF_SIZE_TEXT];
    const int64_t needed =
        run->compression == PF_COMPRESS_NONE ? run->raw_bytes : run->stored_bytes;
    const int64_t available = pf_work_plan_disk_free(run->options->output);
    if (available < 0 || needed <= available) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': the disk has %s free; the features alone are about %s. Make room, write "
                   "to another disk, or let them stay where they are with --virtual.",
                   run->options->output, pf_size_text(available, free_size),
                   pf_size_text(needed, needed_size));
}

static void add_raw_bytes(Merge *run, const PfCache *cache, int t)
{
    const PfCacheTap *tap = pf_cache_tap(cache, t);
    int64_t bytes = pf_shape_count(&tap->shape) * (int64_t)pf_dtype_size(tap->dtype);
    if (__builtin_mul_overflow(bytes, pf_cache_row_count(cache), &bytes) ||
        __builtin_add_overflow(run->raw_bytes, bytes, &run->raw_bytes))
        run->raw_bytes = INT64_MAX;
}

static int note_storage(Merge *run, PfCache *cache, PfError *err)
{
    char filters[64];
    int64_t stored;
    for (int t = 0; t < pf_cache_tap_count(cache) && !run->options->is_virtual; t++) {
        if (pf_cache_tap_storage(cache, t, &stored, filters, sizeof filters, err)) return -1;
        run->stored_bytes += stored;
        add_raw_bytes(run, cache, t);
    }
    return 0;
}

static int look_at_input(void *context, PfMergeInput *input, PfError *err)
{
    Merge *run = context;
    if (note_provenance(run, input->cache, err) || note_storage(run, input->cache, err) ||
        pf_merge_sources_note(input, err) || pf_merge_targets_note(&run->targets, input, err))
        return -1;
    pf_progress_update(&run->progress, input->given + 1, NULL);
    return 0;
}

static int look_at_inputs(Merge *run, const volatile sig_atomic_t *interrupted, PfError *err)
{
    const PfMergeOptions *options = run->options;
    pf_json_begin();
    run->runtime_rows = cJSON_CreateObject();
    pf_progress_start(&run->progress, "caches", options->input_count);
    int failed = pf_merge_inputs_open(options->inputs, options->input_count, look_at_input, run,
                                      interrupted, &run->inputs, err);
    pf_progress_end(&run->progress);
    return failed;
}

static int begin_duplicates(Merge *run, PfError *err)
{
    bool too_many;
    if (pf_merge_duplicates_new(&run->inputs, &run->duplicates, &too_many, err)) return -1;
    if (too_many)
        pf_warn("%lld rows are too many for this machine's memory to see which images several "
                "inputs have",
                (long long)run->inputs.row_count);
    return 0;
}

static int open_and_check(Merge *run, const volatile sig_atomic_t *interrupted, PfError *err)
{
    if (look_at_inputs(run, interrupted, err) || check_output(run, err) ||
        (!run->options->force && pf_merge_shards_check(&run->inputs, err)) ||
        choose_compression(run, err) || check_disk(run, err))
        return -1;
    return begin_duplicates(run, err);
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

/* What the merged cache has as the first input has it. */
static int copy_first(Merge *run, PfError *err)
{
    const PfMergeInput *first = pf_merge_inputs_get(&run->inputs, 0, err);
    if (!first) return -1;
    run->tap_count = pf_cache_tap_count(first->cache);
    run->taps = pf_calloc((size_t)run->tap_count, sizeof *run->taps, err);
    run->identity = pf_strdup(pf_cache_identity(first->cache), err);
    if (!run->taps || !run->identity) return -1;
    for (int t = 0; t < run->tap_count; t++) run->taps[t] = *pf_cache_tap(first->cache, t);
    return 0;
}

static int prepare(Merge *run, PfError *err)
{
    if (copy_first(run, err) || make_sources(run, err) ||
        !(run->provenance = provenance_json(run, err)) ||
        pf_json_check_size(run->provenance, strlen(run->provenance), run->options->output,
                           "provenance", err))
        return -1;
    if (run->options->is_virtual && find_virtual_sources(run, err)) return -1;
    return pf_merge_targets_unite(&run->targets, &run->inputs, err);
}

static PfCacheBuildPlan plan_of(Merge *run, const volatile sig_atomic_t *interrupted)
{
    const PfMergeOptions *options = run->options;
    return (PfCacheBuildPlan){
        .taps = run->taps,
        .tap_count = run->tap_count,
        .targets = run->targets.items,
        .target_count = run->targets.count,
        .identity = run->identity,
        .provenance = run->provenance,
        .compression = run->compression,
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
    char size[PF_SIZE_TEXT], rejected[64] = "", features[96];
    char total[PF_DURATION_SIZE], looking[PF_DURATION_SIZE], writing[PF_DURATION_SIZE];
    double seconds = pf_clock_seconds() - run->started;
    if (stats->written.rejected)
        snprintf(rejected, sizeof rejected, ", %lld rejected", (long long)stats->written.rejected);
    if (run->options->is_virtual)
        snprintf(features, sizeof features, "virtual, features stay where they are");
    else
        snprintf(features, sizeof features, "%lld chunks moved, %lld encoded again",
                 (long long)stats->chunks_moved, (long long)stats->chunks_encoded);
    pf_say("%s: %lld rows of %d cache%s%s, %s; %s; %s (caches compared %s, written %s)",
           run->options->output, (long long)stats->written.rows, run->inputs.count,
           run->inputs.count > 1 ? "s" : "", rejected,
           pf_size_text(stats->written.file_bytes, size), features,
           pf_clock_duration_text(seconds, total),
           pf_clock_duration_text(seconds - stats->seconds, looking),
           pf_clock_duration_text(stats->seconds, writing));
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
    int failed = open_and_check(run, interrupted, err) || prepare(run, err);
    if (!failed) {
        PfCacheBuildPlan plan = plan_of(run, interrupted);
        pf_progress_start(&run->progress, "rows", plan.row_count * plan.tap_count);
        failed = pf_cache_build(options->output, &plan, &stats, err);
        pf_progress_end(&run->progress);
    }
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
    Merge run = {.options = options, .command = command, .started = pf_clock_seconds()};
    int failed = merge(&run, interrupted, err);
    pf_journal_unlock(&run.lock);
    pf_merge_targets_free(&run.targets);
    pf_merge_duplicates_free(&run.duplicates);
    pf_merge_sources_free(&run.virtual_sources);
    pf_merge_inputs_free(&run.inputs);
    cJSON_free(run.provenance);
    cJSON_Delete(run.common);
    cJSON_Delete(run.runtime_rows);
    free(run.contexts);
    free(run.sources);
    free(run.identity);
    free(run.taps);
    return failed;
}
