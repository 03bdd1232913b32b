/* What a run of extract says of itself: before, in the end, and as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/base/process.h"
#include "common/base/result_stamp.h"
#include "common/base/size_text.h"
#include "common/file/atomic_file.h"
#include "common/simd/processor.h"
#include "common/thread/parallel.h"
#include "common/thread/processors.h"
#include "extract/extraction.h"
#include "extract/pipeline/conv_peak.h"

/* ---- what will be done ---- */

static void print_resuming(const PfExtraction *run)
{
    int64_t count = 0;
    for (int64_t i = 0; i < run->scan->count; i++) {
        const PfScannedSample *sample = &run->scan->samples[i];
        count += sample->state == PF_SAMPLE_KNOWN &&
                 pf_row_index_in_journal(run->known, sample->file.digest);
    }
    if (count)
        pf_say("resuming: %lld of %lld images are in %s", (long long)count,
               (long long)run->scan->count, run->journal_path);
}

/* Rejects that only this run has found; those of earlier runs were named then. */
static void name_rejects(const PfExtraction *run)
{
    for (int64_t i = 0; i < run->scan->count; i++) {
        const PfScannedSample *sample = &run->scan->samples[i];
        if (sample->state != PF_SAMPLE_REJECTED) continue;
        if (sample->was_rejected)
            pf_detail("%s: still %" PF_SENTENCE_LINE, sample->file.path, sample->reason);
        else
            pf_warn("%s: %" PF_SENTENCE_LINE, sample->file.path, sample->reason);
    }
}

static void print_rotated(const PfExtraction *run, int64_t rotated, int64_t of, const char *which)
{
    const char *what = run->backbone->preprocess.exif ? "applied"
                       : run->cache
                           ? "ignored, as in the rows that are there (--exif apply --force "
                             "makes all of them anew)"
                           : "ignored (--exif apply turns them)";
    pf_say("%lld of %lld image%s%s carr%s an EXIF rotation: %s", (long long)rotated, (long long)of,
           of == 1 ? "" : "s", which, rotated == 1 ? "ies" : "y", what);
}

void pf_extraction_print_rotations(const PfExtraction *run)
{
    const PfRotations *found = &run->rotations;
    for (size_t i = 0; i < sizeof found->lacking / sizeof *found->lacking; i++)
        if (found->lacking[i].count)
            pf_warn("%lld of %lld images looked at cannot be decoded here: %" PF_SENTENCE,
                    (long long)found->lacking[i].count, (long long)found->looked_at,
                    found->lacking[i].reason);
    if (found->rotated)
        print_rotated(run, found->rotated, found->looked_at,
                      found->looked_at < found->to_compute   ? " looked at"
                      : found->to_compute < run->scan->count ? " to compute"
                                                             : "");
}

/* Marks the cache's rows that images of the dataset are, by a tap that the cache has. */
static void mark_rows(const PfExtraction *run, int tap, uint8_t *marks)
{
    const PfRowPlace nowhere = {-1, 0};
    for (int64_t i = 0; i < run->scan->count; i++) {
        const PfScannedSample *sample = &run->scan->samples[i];
        if (sample->state != PF_SAMPLE_KNOWN) continue;
        PfRowPlace place = pf_row_index_place(run->known, tap, sample->file.digest, nowhere);
        if (!place.source) marks[place.row] = 1;
    }
}

/* Rows of the cache that no image of the dataset is: another dataset was named, or images are gone.
 * Equal images are one row here. */
static int64_t count_leaving(const PfExtraction *run, const uint8_t (*digests)[PF_DIGEST_SIZE],
                             int tap, uint8_t *marks)
{
    const PfRowPlace nowhere = {-1, 0};
    int64_t count = 0;
    mark_rows(run, tap, marks);
    for (int64_t row = 0; row < pf_cache_row_count(run->cache); row++) {
        PfRowPlace place = pf_row_index_place(run->known, tap, digests[row], nowhere);
        count += !place.source && !marks[place.row];
    }
    return count;
}

static void print_leaving(const PfExtraction *run)
{
    PfError ignored;
    int tap = 0;
    if (!run->cache) return;
    while (tap < run->wanted.count &&
           pf_cache_find_tap(run->cache, run->wanted.taps[tap].name, &(int){0}, &ignored))
        tap++;
    if (tap == run->wanted.count) return;
    size_t rows = (size_t)pf_cache_row_count(run->cache);
    uint8_t *marks = pf_calloc(rows, 1, &ignored);
    uint8_t(*digests)[PF_DIGEST_SIZE] = pf_calloc(rows, sizeof *digests, &ignored);
    if (marks && digests && !pf_cache_read_digests(run->cache, digests, &ignored)) {
        const int64_t count =
            count_leaving(run, (const uint8_t(*)[PF_DIGEST_SIZE])digests, tap, marks);
        if (count)
            pf_warn("%lld of %zu rows of '%s' are of images that are not in '%s', and leave it",
                    (long long)count, rows, run->options->output, run->options->operand);
    }
    free(marks);
    free(digests);
}

void pf_extraction_print_task(const PfExtraction *run)
{
    pf_work_plan_print_network(run->backbone);
    pf_processors_say();
    if (run->journal || run->peeked) print_resuming(run);
    pf_work_plan_print_counts(&run->found, &run->wanted);
    print_leaving(run);
    name_rejects(run);
}

/* ---- the sum ---- */

/* Below this many seconds of computing a run is not made longer to measure the machine. */
#define WORTH_MEASURING 5

static PfRunTimes run_times(PfExtraction *run)
{
    const PfCacheWriterStats *written = &run->built.written;
    const PfBackboneSession *session = &run->session;
    PfJournalStats journal;
    pf_journal_stats(run->journal, &journal);
    return (PfRunTimes){
        .weights_seconds = run->backbone->weights_seconds,
        .load_seconds = session->load_seconds,
        .cache_seconds = run->built.seconds,
        .pipeline = run->stats,
        .compress_seconds = journal.compress_seconds + written->compress_seconds,
        .disk_seconds = journal.write_seconds + journal.sync_seconds + written->write_seconds,
        .workers = pf_extraction_worker_count(run),
        .processors = pf_parallel_processor_count(),
        .devices = session->backbone_count,
        .precision = run->backbone->precision,
        .is_gpu = strstr(session->runtime, "cuda") != NULL,
        .processor_has_amx = pf_processor_has_amx(),
        .fast_decode = run->backbone->preprocess.fast_decode,
        .compression = run->options->compression,
        .level = run->options->level,
    };
}

static void measure_rate(const PfExtraction *run, PfExtractionSummary *summary)
{
    double seconds = run->stats.forward_seconds;
    if (!run->multiply_adds || seconds <= 0) return;
    summary->gflops = 2e-9 * run->multiply_adds / seconds;
}

void pf_extraction_measure_peak(PfExtraction *run, PfExtractionSummary *summary)
{
    bool is_long = run->stats.forward_seconds >= WORTH_MEASURING;
    if (summary->gflops <= 0 || !pf_log_is_terminal() ||
        (!is_long && pf_log_verbosity() != PF_VERBOSE))
        return;
    pf_backbone_session_close(&run->session);
    if (pf_conv_peak_measure(run->backbone, run->session.batch, run->interrupted,
                             &summary->peak_gflops, NULL))
        summary->peak_gflops = 0;
    summary->seconds = pf_clock_seconds() - run->started;
}

void pf_extraction_sum_up(PfExtraction *run, PfExtractionSummary *summary)
{
    const PfPipelineStats *stats = &run->stats;
    const PfCacheWriterStats *written = &run->built.written;
    PfScanCounts counts = pf_dataset_scan_count(run->scan);
    *summary = (PfExtractionSummary){.rows = counts.reused,
                                     .rejected = counts.rejected,
                                     .computed = stats->images,
                                     .file_bytes = pf_extraction_stat_cache(run).st_size,
                                     .raw_bytes = written->raw_bytes,
                                     .stored_bytes = written->stored_bytes,
                                     .peak_memory_bytes = (int64_t)pf_memory_peak_bytes()};
    if (stats->images) {
        summary->images_per_second = pf_pipeline_rate(stats, pf_extraction_worker_count(run));
        summary->times = run_times(run);
        summary->bottleneck = pf_bottleneck_find(&summary->times);
        measure_rate(run, summary);
    }
    summary->seconds = pf_clock_seconds() - run->started;
}

/* ---- what was done ---- */

/* " (184 of 236 GFLOP/s)": what the network reached, of what convolutions alone reach here. ""
 * where its work is not known. */
static const char *rate_text(const PfExtractionSummary *summary, char *text, size_t size)
{
    text[0] = '\0';
    if (summary->peak_gflops > 0)
        snprintf(text, size, " (%.0f of %.0f GFLOP/s)", summary->gflops, summary->peak_gflops);
    else if (summary->gflops > 0)
        snprintf(text, size, " (%.0f GFLOP/s)", summary->gflops);
    return text;
}

/* " (445 images decoded meanwhile)": while the network was loaded. "" where there was none. */
static const char *prefetch_text(const PfPipelineStats *stats, char *text, size_t size)
{
    text[0] = '\0';
    if (stats->prefetch)
        snprintf(text, size, " (%lld image%s decoded meanwhile)", (long long)stats->prefetch,
                 stats->prefetch == 1 ? "" : "s");
    return text;
}

/* Where the time went, and why. */
static void print_times(const PfExtractionSummary *summary)
{
    const PfRunTimes *times = &summary->times;
    const PfRunShares shares = pf_bottleneck_shares(times);
    char text[PF_BOTTLENECK_TEXT], rate[64], meanwhile[64];
    pf_say("time: load %.2f s%s, images %.2f s, cache %.2f s; read %.0f %%, decode %.0f %% (%d "
           "thread%s), network %.0f %%%s, write %.0f %%",
           times->load_seconds, prefetch_text(&times->pipeline, meanwhile, sizeof meanwhile),
           times->pipeline.seconds, times->cache_seconds, 100 * shares.read, 100 * shares.decode,
           times->workers, times->workers == 1 ? "" : "s", 100 * shares.network,
           rate_text(summary, rate, sizeof rate), 100 * shares.journal);
    pf_say("%s", pf_bottleneck_text(summary->bottleneck, times, text));
}

/* Known only once images are decoded: many have an alpha channel that is opaque throughout. */
static void print_transparent(const PfExtraction *run)
{
    const PfPreprocess *preprocess = &run->backbone->preprocess;
    const uint8_t *over = preprocess->background;
    long long count = run->stats.transparent, of = run->stats.images;
    if (!count) return;
    if (preprocess->has_background)
        pf_say("%lld of %lld images are partly transparent: laid over %d,%d,%d", count, of, over[0],
               over[1], over[2]);
    else
        pf_say("%lld of %lld images are partly transparent; their transparency is dropped, as "
               "torchvision does: --background 255,255,255 lays them over white",
               count, of);
}

void pf_extraction_print_summary(const PfExtraction *run, const PfExtractionSummary *summary)
{
    char size[PF_SIZE_TEXT], peak[PF_SIZE_TEXT], total[PF_DURATION_SIZE];
    char rejected[48] = "", rate[48] = "";
    double raw_bytes = (double)summary->raw_bytes;
    if (summary->rejected)
        snprintf(rejected, sizeof rejected, ", %lld rejected", (long long)summary->rejected);
    if (summary->computed)
        snprintf(rate, sizeof rate, ", %.1f images/s", summary->images_per_second);
    if (summary->computed) print_times(summary);
    /* What the first lines could not know. */
    if (run->stats.rotated > run->rotations.rotated ||
        (run->rotations.rotated && run->rotations.looked_at < run->rotations.to_compute))
        print_rotated(run, run->stats.rotated, run->stats.images, "");
    if (run->stats.truncated)
        pf_say("%lld of %lld images are files that end early, taken as far as they go",
               (long long)run->stats.truncated, (long long)run->stats.images);
    print_transparent(run);
    pf_detail("%lld chunks moved as they were, %lld made anew", (long long)run->built.chunks_moved,
              (long long)run->built.chunks_encoded);
    pf_say("%s: %lld rows%s, %lld computed, %s (%.2f of raw), %s%s, peak memory %s",
           run->options->output, (long long)summary->rows, rejected, (long long)summary->computed,
           pf_size_text(summary->file_bytes, size),
           raw_bytes > 0 ? (double)summary->stored_bytes / raw_bytes : 0,
           pf_clock_duration_text(summary->seconds, total), rate,
           pf_size_text(summary->peak_memory_bytes, peak));
}

void pf_extraction_print_sides(const PfExtraction *run)
{
    const PfDrawing *drawing = pf_dataset_drawing(run->dataset);
    int64_t counts[PF_SPLIT_COUNT] = {0};
    if (!drawing) return;
    for (int64_t i = 0; i < run->scan->count; i++)
        if (run->scan->samples[i].state == PF_SAMPLE_KNOWN) counts[run->scan->samples[i].split]++;
    pf_say("sides: %lld train, %lld val, %lld test", (long long)counts[PF_SPLIT_TRAIN],
           (long long)counts[PF_SPLIT_VAL], (long long)counts[PF_SPLIT_TEST]);
}

int pf_extraction_find_equal(PfExtraction *run, PfError *err)
{
    char text[PF_EQUAL_IMAGES_TEXT];
    if (pf_dataset_scan_count_equal(run->scan, &run->equal, err)) return -1;
    if (*pf_equal_images_text(&run->equal, text)) pf_warn("%s", text);
    return 0;
}

void pf_extraction_fail_interrupted(const PfExtraction *run, int64_t computed, PfError *err)
{
    PfExit code = (PfExit)(128 + *run->interrupted);
    if (!run->dataset) {
        pf_fail(err, code, "interrupted while the dataset was being read");
        return;
    }
    pf_fail(err, code, "interrupted after %lld of %lld images; the same command goes on from there",
            (long long)(run->found.reused + run->found.rejected + computed),
            (long long)pf_dataset_count(run->dataset));
}

/* ---- the same for programs ---- */

static void add_seconds(cJSON *json, const PfExtractionSummary *summary)
{
    const PfRunTimes *times = &summary->times;
    const PfPipelineStats *pipeline = &times->pipeline;
    cJSON *seconds = cJSON_AddObjectToObject(json, "seconds");
    cJSON_AddNumberToObject(seconds, "total", summary->seconds);
    if (!summary->computed) return;
    cJSON_AddNumberToObject(seconds, "weights", times->weights_seconds);
    cJSON_AddNumberToObject(seconds, "load", times->load_seconds);
    cJSON_AddNumberToObject(seconds, "head_start", pipeline->prefetch_seconds);
    cJSON_AddNumberToObject(seconds, "images", pipeline->seconds);
    cJSON_AddNumberToObject(seconds, "cache", times->cache_seconds);
    cJSON_AddNumberToObject(seconds, "read", pipeline->read_seconds);
    cJSON_AddNumberToObject(seconds, "decode", pipeline->decode_seconds);
    cJSON_AddNumberToObject(seconds, "decode_wait", pipeline->decode_wait_seconds);
    cJSON_AddNumberToObject(seconds, "network", pipeline->forward_seconds);
    cJSON_AddNumberToObject(seconds, "network_wait", pipeline->forward_wait_seconds);
    cJSON_AddNumberToObject(seconds, "write", pipeline->sink_seconds);
    cJSON_AddNumberToObject(seconds, "compress", times->compress_seconds);
    cJSON_AddNumberToObject(seconds, "disk", times->disk_seconds);
}

static void add_mean(cJSON *json, const char *key, int64_t waiting, int64_t takes)
{
    if (takes) cJSON_AddNumberToObject(json, key, (double)waiting / (double)takes);
}

static void add_queues(cJSON *json, const PfPipelineStats *pipeline)
{
    cJSON *queues = cJSON_AddObjectToObject(json, "queues");
    cJSON_AddNumberToObject(queues, "batches", pipeline->depth);
    add_mean(queues, "before_network", pipeline->decoded_waiting, pipeline->forward_takes);
    add_mean(queues, "before_write", pipeline->computed_waiting, pipeline->sink_takes);
}

/* What is known of a run that has computed something. */
static void add_speed(cJSON *json, const PfExtractionSummary *summary)
{
    char text[PF_BOTTLENECK_TEXT];
    cJSON_AddNumberToObject(json, "images_per_second", summary->images_per_second);
    cJSON_AddNumberToObject(json, "rotated", (double)summary->times.pipeline.rotated);
    if (summary->times.pipeline.truncated)
        cJSON_AddNumberToObject(json, "truncated", (double)summary->times.pipeline.truncated);
    if (summary->times.pipeline.transparent)
        cJSON_AddNumberToObject(json, "transparent", (double)summary->times.pipeline.transparent);
    cJSON_AddNumberToObject(json, "head_start", (double)summary->times.pipeline.prefetch);
    cJSON_AddNumberToObject(json, "workers", summary->times.workers);
    add_queues(json, &summary->times.pipeline);
    if (summary->gflops > 0) cJSON_AddNumberToObject(json, "gflops", summary->gflops);
    if (summary->peak_gflops > 0)
        cJSON_AddNumberToObject(json, "bare_convolution_gflops", summary->peak_gflops);
    cJSON_AddStringToObject(json, "bound_by", pf_bottleneck_name(summary->bottleneck));
    cJSON_AddStringToObject(json, "verdict",
                            pf_bottleneck_text(summary->bottleneck, &summary->times, text));
}

static char *summary_text(const PfExtraction *run, const PfExtractionSummary *summary, PfError *err)
{
    pf_json_begin();
    cJSON *json = cJSON_CreateObject();
    pf_result_stamp_add(json, run->options->argc, run->options->argv,
                        summary->computed ? run->session.runtime : NULL);
    cJSON_AddStringToObject(json, "cache", run->options->output);
    cJSON_AddNumberToObject(json, "rows", (double)summary->rows);
    cJSON_AddNumberToObject(json, "rejected", (double)summary->rejected);
    cJSON_AddNumberToObject(json, "computed", (double)summary->computed);
    cJSON_AddNumberToObject(json, "file_bytes", (double)summary->file_bytes);
    if (summary->raw_bytes) {
        cJSON_AddNumberToObject(json, "raw_bytes", (double)summary->raw_bytes);
        cJSON_AddNumberToObject(json, "stored_bytes", (double)summary->stored_bytes);
    }
    cJSON_AddNumberToObject(json, "peak_memory_bytes", (double)summary->peak_memory_bytes);
    pf_equal_images_add(json, &run->equal);
    add_seconds(json, summary);
    if (summary->computed) add_speed(json, summary);
    return pf_json_finish(json, "summary", err);
}

static int write_text(const char *path, const char *text, PfError *err)
{
    if (strcmp(path, "-")) return pf_atomic_file_write(path, text, strlen(text), err);
    return pf_process_write_output(text, err);
}

int pf_extraction_write_json(const PfExtraction *run, const PfExtractionSummary *summary,
                             PfError *err)
{
    char *json = summary_text(run, summary, err);
    char *text = json ? pf_asprintf(err, "%s\n", json) : NULL;
    int failed = !text || write_text(run->options->json, text, err);
    free(text);
    free(json);
    return failed ? -1 : 0;
}
