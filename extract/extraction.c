#include "extraction.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "atomic_file.h"
#include "cache_freshness.h"
#include "cache_info.h"
#include "clock.h"
#include "dataset.h"
#include "log.h"
#include "memory.h"
#include "parallel.h"
#include "pipeline.h"
#include "progress.h"

#define TARGET_NAME "class"

/* Everything a run holds, in the order in which it is acquired. */
typedef struct Extraction {
    const PfExtractOptions *options;
    const char *command;
    PfDataset *dataset;
    PfBackbonePlan *plan;
    const PfBackbonePlugin *plugin;
    PfBackbone *backbone;
    const PfTapInfo *taps;
    int tap_count;
    char *identity, *provenance; /* JSON */
    PfCacheWriter *writer;
    PfCacheSample *samples; /* (batch) what append() is told */
    int32_t *classes;       /* (batch) */
    PfProgress progress;
    PfPipelineConfig pipeline;
    PfPipelineStats stats;
    PfCacheWriterStats written;
    double started, load_seconds;
} Extraction;

/* ---- saying what will be done ---- */

static void print_warnings(const PfDataset *dataset)
{
    int count;
    const char *const *warnings = pf_dataset_warnings(dataset, &count);
    for (int i = 0; i < count; i++) pf_warn("%s", warnings[i]);
    if (pf_dataset_ignored_count(dataset))
        pf_detail("%lld other files passed over: their names end in none of %s",
                  (long long)pf_dataset_ignored_count(dataset), pf_dataset_extensions());
}

static void say_dataset(const Extraction *run)
{
    static const char *const names[] = {"train", "val", "test"};
    char splits[96] = "";
    int class_count;
    pf_dataset_classes(run->dataset, &class_count);
    for (int i = 0; i < PF_SPLIT_COUNT; i++) {
        int64_t count = pf_dataset_split_count(run->dataset, (PfSplit)i);
        size_t used = strlen(splits);
        if (count)
            snprintf(splits + used, sizeof splits - used, "%s%lld %s", used ? ", " : "",
                     (long long)count, names[i]);
    }
    pf_say("%s: %s, %lld images (%s)%s", run->options->operand, pf_dataset_kind(run->dataset),
           (long long)pf_dataset_count(run->dataset), splits, class_count ? "" : ", no labels");
    if (class_count) pf_detail("%d classes", class_count);
}

static void say_network(const PfBackbonePlan *plan)
{
    char text[96];
    pf_say("%s (%s, sha256 %.8s), %s; %s", plan->name,
           plan->weights ? pf_weights_source(plan->weights) : "TorchScript", plan->sha256,
           pf_precision_name(plan->precision),
           pf_preprocess_text(&plan->preprocess, text, sizeof text));
}

static void say_taps(const Extraction *run)
{
    char size[PF_SIZE_TEXT], shape[PF_SHAPE_TEXT_SIZE];
    const PfBackbonePlan *plan = run->plan;
    for (int t = 0; t < run->tap_count; t++) {
        int64_t row = pf_shape_count(&run->taps[t].shape) * (int64_t)pf_dtype_size(plan->store);
        pf_say("tap %s %s %s: up to %s before compression", run->taps[t].name,
               pf_shape_text(&run->taps[t].shape, shape), pf_dtype_name(plan->store),
               pf_size_text(row * pf_dataset_count(run->dataset), size));
    }
    pf_detail("%s", run->plugin->describe(run->backbone));
    pf_detail("batch %d, %d decoding threads, %s of buffers", run->pipeline.batch,
              run->pipeline.workers,
              pf_size_text((int64_t)pf_pipeline_memory(&run->pipeline), size));
}

/* ---- the sink ---- */

static int sink_rows(void *context, int count, const PfPipelineRow *rows,
                     const void *const *features, PfError *err)
{
    Extraction *run = context;
    const PfSample *samples = pf_dataset_samples(run->dataset);
    for (int i = 0; i < count; i++) {
        const PfSample *sample = &samples[rows[i].sample];
        run->classes[i] = sample->class_index;
        run->samples[i] = (PfCacheSample){
            .path = sample->path,
            .split = sample->split,
            .size_bytes = rows[i].size_bytes,
            .mtime_ns = rows[i].mtime_ns,
            .class_indices = &run->classes[i],
        };
        memcpy(run->samples[i].digest, rows[i].digest, sizeof rows[i].digest);
    }
    return pf_cache_writer_append(run->writer, count, run->samples, features, err);
}

static int sink_rejected(void *context, int64_t sample, const char *reason, PfError *err)
{
    Extraction *run = context;
    const char *path = pf_dataset_samples(run->dataset)[sample].path;
    pf_progress_end(&run->progress);
    pf_warn("%s: %s", path, reason);
    return pf_cache_writer_reject(run->writer, path, reason, err);
}

static void sink_progress(void *context, int64_t done)
{
    Extraction *run = context;
    pf_progress_update(&run->progress, done, NULL);
}

/* ---- provenance ---- */

static void add_path(cJSON *object, const char *key, const char *path)
{
    char absolute[PATH_MAX];
    cJSON_AddStringToObject(object, key, realpath(path, absolute) ? absolute : path);
}

static char *provenance_json(const Extraction *run)
{
    char now[32];
    time_t seconds = time(NULL);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "permafrost", PF_VERSION);
    cJSON_AddStringToObject(object, "created", now);
    cJSON_AddStringToObject(object, "command", run->command);
    add_path(object, "dataset", pf_dataset_root(run->dataset));
    if (run->plan->torchscript_path)
        add_path(object, "backbone_path", run->plan->torchscript_path);
    else
        add_path(object, "weights_path", pf_weights_source(run->plan->weights));
    cJSON_AddStringToObject(object, "runtime", run->plugin->describe(run->backbone));
    cJSON_AddNumberToObject(object, "batch", run->pipeline.batch);
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return text;
}

/* ---- the steps of a run ---- */

static int open_dataset(Extraction *run, PfError *err)
{
    PfDatasetOptions options = {.val_fraction = run->options->val_fraction,
                                .test_fraction = run->options->test_fraction};
    if (pf_dataset_open(run->options->operand, &options, &run->dataset, err)) return -1;
    print_warnings(run->dataset);
    say_dataset(run);
    return 0;
}

static int open_network(Extraction *run, PfError *err)
{
    const PfExtractOptions *options = run->options;
    double started = pf_seconds();
    say_network(run->plan);
    if (pf_backbone_plan_open(run->plan, options->batch, 0, &run->plugin, &run->backbone, err))
        return -1;
    run->load_seconds = pf_seconds() - started;
    run->tap_count = run->plugin->taps(run->backbone, &run->taps);
    run->pipeline = (PfPipelineConfig){
        .dataset = run->dataset,
        .preprocess = &run->plan->preprocess,
        .plugin = run->plugin,
        .backbone = run->backbone,
        .output_dtype = run->plan->store,
        .batch = options->batch,
        .workers = options->workers ? options->workers : pf_processor_count(),
        .max_rejected = pf_bad_limit(&options->max_bad, pf_dataset_count(run->dataset)),
    };
    say_taps(run);
    return 0;
}

/* What the cache is told of the taps, malloc'ed. */
static PfCacheTap *describe_taps(const Extraction *run, PfError *err)
{
    PfCacheTap *taps = pf_calloc((size_t)run->tap_count, sizeof *taps, err);
    for (int t = 0; taps && t < run->tap_count; t++) {
        snprintf(taps[t].name, sizeof taps[t].name, "%s", run->taps[t].name);
        taps[t].shape = run->taps[t].shape;
        taps[t].dtype = run->plan->store;
    }
    return taps;
}

static char *identity_json(const Extraction *run)
{
    cJSON *identity = pf_backbone_plan_identity(run->plan, run->taps, run->tap_count);
    char *text = cJSON_PrintUnformatted(identity);
    cJSON_Delete(identity);
    return text;
}

static int open_writer(Extraction *run, PfError *err)
{
    PfCacheTarget target = {.name = TARGET_NAME, .kind = PF_TARGET_CLASS, .width = 1};
    target.classes = pf_dataset_classes(run->dataset, &target.class_count);
    PfCacheTap *taps = describe_taps(run, err);
    run->samples = pf_calloc((size_t)run->pipeline.batch, sizeof *run->samples, err);
    run->classes = pf_calloc((size_t)run->pipeline.batch, sizeof *run->classes, err);
    run->identity = identity_json(run);
    run->provenance = provenance_json(run);
    PfCacheWriterConfig config = {
        .taps = taps,
        .tap_count = run->tap_count,
        .targets = &target,
        .target_count = target.class_count > 0,
        .identity = run->identity,
        .provenance = run->provenance,
        .compression = run->options->compression,
        .level = run->options->level,
        .threads = pf_processor_count(),
    };
    int failed = !taps || !run->samples || !run->classes ||
                 pf_cache_writer_open(run->options->output, &config, &run->writer, err);
    free(taps);
    return failed ? -1 : 0;
}

static int run_pipeline(Extraction *run, const volatile sig_atomic_t *interrupted, PfError *err)
{
    PfPipelineSink sink = {
        .context = run, .rows = sink_rows, .rejected = sink_rejected, .progress = sink_progress};
    run->pipeline.interrupted = interrupted;
    pf_progress_start(&run->progress, "images", pf_dataset_count(run->dataset));
    int failed = pf_pipeline_run(&run->pipeline, &sink, &run->stats, err);
    pf_progress_end(&run->progress);
    if (failed && err->exit_code == PF_EXIT_INTERRUPTED)
        return pf_fail(err, PF_EXIT_INTERRUPTED,
                       "interrupted after %lld of %lld images; nothing was written to '%s'",
                       (long long)(run->stats.images + run->stats.rejected),
                       (long long)pf_dataset_count(run->dataset), run->options->output);
    if (failed) return -1;
    if (!run->stats.images)
        return pf_fail(err, PF_EXIT_BAD_IMAGES,
                       "none of the %lld images can be used: nothing to write",
                       (long long)run->stats.rejected);
    return pf_cache_writer_finish(&run->writer, &run->written, err);
}

/* ---- summing up ---- */

static void say_summary(const Extraction *run)
{
    const PfPipelineStats *stats = &run->stats;
    char size[PF_SIZE_TEXT], peak[PF_SIZE_TEXT], total[PF_DURATION_SIZE], rejected[64] = "";
    if (stats->rejected)
        snprintf(rejected, sizeof rejected, ", %lld rejected", (long long)stats->rejected);
    pf_say("time: load %.2f s; decode %.2f s (%d threads), forward %.2f s, compress %.2f s, write "
           "%.2f s; forward waited %.2f s for images",
           run->load_seconds, stats->read_seconds + stats->decode_seconds, run->pipeline.workers,
           stats->forward_seconds, run->written.compress_seconds, run->written.write_seconds,
           stats->forward_wait_seconds);
    pf_say("%s: %lld rows%s, %s (%.2f of raw), %s, %.1f images/s, peak memory %s",
           run->options->output, (long long)run->written.rows, rejected,
           pf_size_text(run->written.file_bytes, size),
           run->written.raw_bytes
               ? (double)run->written.stored_bytes / (double)run->written.raw_bytes
               : 0,
           pf_duration_text(pf_seconds() - run->started, total),
           (double)(stats->images + stats->rejected) / stats->seconds,
           pf_size_text((int64_t)pf_peak_memory_bytes(), peak));
}

static void release(Extraction *run)
{
    pf_cache_writer_abandon(&run->writer);
    free(run->samples);
    free(run->classes);
    cJSON_free(run->identity);
    cJSON_free(run->provenance);
    if (run->backbone) run->plugin->close(&run->backbone);
    pf_backbone_plan_free(&run->plan);
    pf_dataset_close(&run->dataset);
}

static int compute(Extraction *run, const volatile sig_atomic_t *interrupted, PfError *err)
{
    if (pf_atomic_file_check(run->options->output, err) || open_network(run, err) ||
        open_writer(run, err) || run_pipeline(run, interrupted, err))
        return -1;
    say_summary(run);
    return 0;
}

static int look_and_compute(Extraction *run, const volatile sig_atomic_t *interrupted, PfError *err)
{
    if (open_dataset(run, err) || pf_backbone_plan_new(&run->options->backbone, &run->plan, err))
        return -1;
    PfFreshness freshness = PF_CACHE_ABSENT;
    if (!run->options->force &&
        pf_cache_freshness(run->options->output, run->plan, run->dataset, &freshness, err))
        return -1;
    if (freshness == PF_CACHE_FRESH) {
        char elapsed[PF_DURATION_SIZE];
        pf_say("%s: up to date, nothing computed (%s)", run->options->output,
               pf_duration_text(pf_seconds() - run->started, elapsed));
        return 0;
    }
    return compute(run, interrupted, err);
}

int pf_extraction_run(const PfExtractOptions *options, const char *command,
                      const volatile sig_atomic_t *interrupted, PfError *err)
{
    Extraction run = {.options = options, .command = command, .started = pf_seconds()};
    int failed = look_and_compute(&run, interrupted, err);
    release(&run);
    return failed;
}
