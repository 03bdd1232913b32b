#include "extract/pipeline/pipeline.h"

#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/thread/processors.h"
#include "extract/backbone/device_list.h"
#include "extract/pipeline/internal.h"

/* ---- how large it is ---- */

int pf_pipeline_depth(const PfPipelineNetwork *network)
{
    int depth = 2;
    for (int d = 0; d < network->backbone_count; d++)
        depth += network->plugin->depth(network->backbones[d]) + 1;
    return network->depth > 0 ? network->depth : depth;
}

/* What is read ahead. */
static PfSampleReaderConfig reading_of(const PfPipelineConfig *config)
{
    return (PfSampleReaderConfig){
        .dataset = config->dataset,
        .samples = config->samples,
        .count = pf_ring_total(config),
        .readers = config->readers,
        .largest_file = config->largest_file,
    };
}

/* Of the files that are read ahead or being decoded. */
static size_t file_bytes(const PfPipelineConfig *config)
{
    PfSampleReaderConfig reading = reading_of(config);
    return (size_t)(pf_sample_reader_held(&reading) + config->workers) *
           (size_t)config->largest_file;
}

size_t pf_pipeline_memory(const PfPipelineConfig *config, const PfPipelineNetwork *network)
{
    const PfTapInfo *taps;
    int tap_count = network->plugin->taps(network->backbones[0], &taps);
    size_t sample = pf_ring_sample_bytes(config) + sizeof(PfSlot) + sizeof(PfPipelineRow);
    for (int t = 0; t < tap_count; t++) sample += pf_ring_row_bytes(config, network, &taps[t]);
    return sample * (size_t)network->batch * (size_t)pf_pipeline_depth(network) +
           pf_prefetch_memory(config) + file_bytes(config);
}

/* ---- opening: reading and decoding ---- */

static int fail_threads(PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED, "cannot start threads: the system's limit is reached");
}

/* As many decode threads as there can be; -1 where that is none. */
static int start_decoding(PfPipeline *pipeline, PfError *err)
{
    const int workers = pipeline->config.workers;
    const int wanted = workers < PF_THREADS_MAX ? workers : PF_THREADS_MAX;
    int *count = &pipeline->decoding_count;
    pipeline->decoding = pf_calloc((size_t)wanted, sizeof *pipeline->decoding, err);
    if (!pipeline->decoding) return -1;
    while (*count < wanted &&
           !pthread_create(&pipeline->decoding[*count], NULL, pf_pipeline_decode, pipeline))
        ++*count;
    return *count ? 0 : fail_threads(err);
}

static int open_all(PfPipeline *pipeline, PfError *err)
{
    PfSampleReaderConfig reading = reading_of(&pipeline->config);
    pipeline->total = pf_ring_total(&pipeline->config);
    return pf_prefetch_allocate(pipeline, err) ||
                   (pipeline->config.once &&
                    pf_contents_new(pipeline->total, &pipeline->contents, err)) ||
                   pf_sample_reader_open(&reading, &pipeline->reader, err) ||
                   start_decoding(pipeline, err)
               ? -1
               : 0;
}

int pf_pipeline_open(const PfPipelineConfig *config, PfPipeline **out, PfError *err)
{
    PfPipeline *pipeline = *out = pf_calloc(1, sizeof *pipeline, err);
    if (!pipeline) return -1;
    pipeline->config = *config;
    pthread_mutex_init(&pipeline->lock, NULL);
    pthread_cond_init(&pipeline->freed, NULL);
    pthread_cond_init(&pipeline->advanced, NULL);
    if (!open_all(pipeline, err)) return 0;
    pf_pipeline_close(out);
    return -1;
}

static void join_decoding(PfPipeline *pipeline)
{
    while (pipeline->decoding_count > 0)
        pthread_join(pipeline->decoding[--pipeline->decoding_count], NULL);
}

void pf_pipeline_close(PfPipeline **pipeline)
{
    PfPipeline *closing = *pipeline;
    if (!closing) return;
    pf_ring_stop(closing, NULL);
    join_decoding(closing);
    pf_sample_reader_close(&closing->reader);
    pf_prefetch_free(closing);
    pf_contents_free(&closing->contents);
    pthread_cond_destroy(&closing->advanced);
    pthread_cond_destroy(&closing->freed);
    pthread_mutex_destroy(&closing->lock);
    free(closing->decoding);
    free(closing);
    *pipeline = NULL;
}

/* ---- finished batches to the sink, on the caller's thread ---- */

static bool is_interrupted(const PfPipelineConfig *config)
{
    return config->interrupted && *config->interrupted;
}

/* Waits on `advanced` for at most a tenth of a second. Caller holds the lock. */
static void wait_briefly(PfPipeline *pipeline)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 100 * 1000 * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&pipeline->advanced, &pipeline->lock, &until);
}

/* Waits until batch `number` has its features; NULL when the run is over. Looks
 * for a signal before every batch and while waiting. */
static PfBatch *wait_forwarded(PfPipeline *pipeline, int64_t number)
{
    PfBatch *batch = pf_ring_at(pipeline, number);
    pthread_mutex_lock(&pipeline->lock);
    pipeline->stats.sink_takes++;
    pipeline->stats.computed_waiting += pf_ring_count_computed(pipeline);
    while (!pipeline->stopping) {
        if (is_interrupted(&pipeline->config)) {
            PfError error = {0};
            pf_fail(&error, PF_EXIT_INTERRUPTED, "interrupted");
            pf_ring_stop_locked(pipeline, &error);
        } else if (batch->number == number && batch->forwarded) {
            break;
        } else {
            wait_briefly(pipeline);
        }
    }
    bool stopping = pipeline->stopping;
    pthread_mutex_unlock(&pipeline->lock);
    return stopping ? NULL : batch;
}

/* A bad image, or one with the bytes of a bad one. */
static int drain_bad(PfPipeline *pipeline, const PfBatch *batch, int i, const char *reason,
                     const PfPipelineSink *sink, PfError *err)
{
    const PfSlot *slot = &batch->slots[i];
    int64_t place = batch->number * pipeline->network.batch + i;
    pipeline->stats.rejected++;
    if (pipeline->contents && slot->state == PF_SLOT_BAD &&
        pf_contents_reject(pipeline->contents, place, reason, err))
        return -1;
    return sink->rejected(sink->context, &slot->row, reason, err);
}

static int drain_repeated(PfPipeline *pipeline, const PfBatch *batch, int i,
                          const PfPipelineSink *sink, PfError *err)
{
    const PfPipelineRow *row = &batch->slots[i].row;
    int64_t first = pf_contents_first(pipeline->contents, row->file.digest);
    const char *reason = pf_contents_reason(pipeline->contents, first);
    if (reason) return drain_bad(pipeline, batch, i, reason, sink, err);
    pipeline->stats.repeated++;
    return sink->repeated(sink->context, row, err);
}

/* Hands a finished batch to the sink. */
static int drain_batch(PfPipeline *pipeline, const PfBatch *batch, const PfPipelineSink *sink,
                       PfError *err)
{
    int failed = 0;
    if (batch->row_count)
        failed = sink->rows(sink->context, batch->row_count, batch->rows,
                            (const void *const *)batch->features, err);
    if (!failed) pipeline->stats.images += batch->row_count;
    for (int i = 0; i < batch->row_count && !failed; i++) {
        pipeline->stats.rotated += batch->rows[i].is_rotated;
        pipeline->stats.transparent += batch->rows[i].is_transparent;
        pipeline->stats.truncated += batch->rows[i].is_truncated;
    }
    for (int i = 0; i < batch->count && !failed; i++) {
        const PfSlot *slot = &batch->slots[i];
        if (slot->state == PF_SLOT_BAD)
            failed = drain_bad(pipeline, batch, i, slot->reason, sink, err);
        if (slot->state == PF_SLOT_REPEATED) failed = drain_repeated(pipeline, batch, i, sink, err);
    }
    return failed;
}

/* Drains batches in order until the run is over, and ends it where there is a signal or the sink
 * fails. Returns how many were drained; -1 where the sink failed. */
static int64_t drain(PfPipeline *pipeline, const PfPipelineSink *sink)
{
    PfError error = {0};
    int64_t done = 0;
    for (int64_t number = 0; number < pipeline->batch_count; number++) {
        PfBatch *batch = wait_forwarded(pipeline, number);
        if (!batch) return number;
        double started = pf_clock_seconds();
        int failed = drain_batch(pipeline, batch, sink, &error);
        pipeline->stats.sink_seconds += pf_clock_seconds() - started;
        if (failed) {
            pf_ring_stop(pipeline, &error);
            return -1;
        }
        done += batch->count;
        pf_ring_recycle(pipeline, batch);
        if (sink->progress) sink->progress(sink->context, done);
    }
    return pipeline->batch_count;
}

/* ---- the end ---- */

/* When the run was ended, a batch that has its features stays as it is. */
static bool has_features(PfPipeline *pipeline, int64_t number)
{
    const PfBatch *batch = pf_ring_at(pipeline, number);
    pthread_mutex_lock(&pipeline->lock);
    bool has = number < pipeline->batch_count && batch->number == number && batch->forwarded;
    pthread_mutex_unlock(&pipeline->lock);
    return has;
}

/* What had been computed when the run was ended is not lost: batches from *number on, as far as
 * they are there. */
static void drain_rest(PfPipeline *pipeline, int64_t *number, const PfPipelineSink *sink)
{
    PfError error = {0};
    while (has_features(pipeline, *number)) {
        const PfBatch *batch = pf_ring_at(pipeline, *number);
        *number = drain_batch(pipeline, batch, sink, &error) ? pipeline->batch_count : *number + 1;
    }
}

/* The batches under way may take longer than a process is left after a signal: what is there is
 * brought to safety first. */
static void drain_before_waiting(PfPipeline *pipeline, int64_t *number, const PfPipelineSink *sink)
{
    if (!is_interrupted(&pipeline->config)) return;
    drain_rest(pipeline, number, sink);
    if (sink->interrupted) sink->interrupted(sink->context);
}

/* ---- the run ---- */

/* A thread for each device. */
typedef struct Forwarding {
    pthread_t threads[PF_DEVICES_MAX];
    PfForwardLane lanes[PF_DEVICES_MAX];
    int count;
} Forwarding;

static int start_forwarding(PfPipeline *pipeline, Forwarding *forwarding, PfError *err)
{
    const PfPipelineNetwork *network = &pipeline->network;
    int *count = &forwarding->count;
    for (; *count < network->backbone_count; ++*count) {
        PfForwardLane *lane = &forwarding->lanes[*count];
        *lane = (PfForwardLane){.pipeline = pipeline, .backbone = network->backbones[*count]};
        if (pthread_create(&forwarding->threads[*count], NULL, pf_pipeline_forward, lane))
            return fail_threads(err);
    }
    return 0;
}

/* From now on decode threads fill the ring, and everything is counted, on top of `stats`. */
static void let_run(PfPipeline *pipeline, const PfPipelineStats *stats)
{
    pthread_mutex_lock(&pipeline->lock);
    pf_prefetch_end(pipeline);
    pipeline->stats = *stats;
    pipeline->stats.depth = pipeline->depth;
    pipeline->stats.prefetch += pipeline->prefetch.taken;
    pipeline->stats.prefetch_seconds += pipeline->prefetch.seconds;
    pipeline->run_started = pf_clock_seconds();
    pthread_cond_broadcast(&pipeline->freed);
    pthread_mutex_unlock(&pipeline->lock);
}

/* Starts the rest of the threads, drains on this one, joins all. */
static void run_threads(PfPipeline *pipeline, const PfPipelineSink *sink)
{
    Forwarding forwarding = {.count = 0};
    PfError error = {0};
    int64_t drained = -1;
    if (start_forwarding(pipeline, &forwarding, &error))
        pf_ring_stop(pipeline, &error);
    else
        drained = drain(pipeline, sink);
    if (drained >= 0) drain_before_waiting(pipeline, &drained, sink);
    for (int i = 0; i < forwarding.count; i++) pthread_join(forwarding.threads[i], NULL);
    join_decoding(pipeline);
    if (drained >= 0) drain_rest(pipeline, &drained, sink);
}

int pf_pipeline_run(PfPipeline *pipeline, const PfPipelineNetwork *network,
                    const PfPipelineSink *sink, PfPipelineStats *stats, PfError *err)
{
    double started = pf_clock_seconds();
    pipeline->network = *network;
    pipeline->depth = pf_pipeline_depth(network);
    pipeline->tap_count = network->plugin->taps(network->backbones[0], &pipeline->taps);
    pipeline->batch_count = (pipeline->total + network->batch - 1) / network->batch;
    if (pf_ring_allocate(pipeline, err)) {
        pf_ring_free(pipeline);
        return -1;
    }
    let_run(pipeline, stats);
    run_threads(pipeline, sink);
    pf_ring_free(pipeline);
    pipeline->stats.seconds += pf_clock_seconds() - started;
    *stats = pipeline->stats; /* the threads are gone */
    if (!pipeline->error.exit_code) return 0;
    if (err) *err = pipeline->error;
    return -1;
}

double pf_pipeline_rate(const PfPipelineStats *stats, int workers)
{
    double seconds = stats->seconds + stats->prefetch_seconds / (workers > 0 ? workers : 1);
    return seconds > 0 ? (double)(stats->images + stats->rejected) / seconds : 0;
}
