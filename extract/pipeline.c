#include "pipeline.h"

#include <stdlib.h>

#include "clock.h"
#include "memory.h"
#include "pipeline_decode.h"
#include "pipeline_drain.h"
#include "pipeline_forward.h"
#include "pipeline_head_start.h"
#include "pipeline_ring.h"

#define MAX_WORKERS 256

static int fail_threads(PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED, "cannot start threads: the system's limit is reached");
}

/* ---- opening: reading and decoding ---- */

/* As many decode threads as there can be; -1 where that is none. */
static int start_decoding(PfPipeline *pipeline, PfError *err)
{
    const int workers = pipeline->config.workers;
    const int wanted = workers < MAX_WORKERS ? workers : MAX_WORKERS;
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
    PfSampleReaderConfig reading = pf_pipeline_reading(&pipeline->config);
    pipeline->total = pf_pipeline_total(&pipeline->config);
    return pf_head_start_allocate(pipeline, err) ||
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
    pf_head_start_free(closing);
    pf_contents_free(&closing->contents);
    pthread_cond_destroy(&closing->advanced);
    pthread_cond_destroy(&closing->freed);
    pthread_mutex_destroy(&closing->lock);
    free(closing->decoding);
    free(closing);
    *pipeline = NULL;
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

/* From now on decode threads fill the ring. */
static void let_run(PfPipeline *pipeline)
{
    pthread_mutex_lock(&pipeline->lock);
    pf_head_start_end(pipeline);
    pipeline->run_started = pf_seconds();
    pthread_cond_broadcast(&pipeline->freed);
    pthread_mutex_unlock(&pipeline->lock);
}

/* Starts the rest of the threads, drains on this one, joins all. */
static void run_threads(PfPipeline *pipeline, const PfPipelineSink *sink, PfPipelineStats *stats)
{
    Forwarding forwarding = {.count = 0};
    PfError error = {0};
    int64_t drained = -1;
    let_run(pipeline);
    if (start_forwarding(pipeline, &forwarding, &error))
        pf_ring_stop(pipeline, &error);
    else
        drained = pf_pipeline_drain(pipeline, sink, stats);
    for (int i = 0; i < forwarding.count; i++) pthread_join(forwarding.threads[i], NULL);
    join_decoding(pipeline);
    if (drained >= 0) pf_pipeline_drain_rest(pipeline, drained, sink, stats);
}

/* What the threads have counted; they are gone. */
static void take_stats(const PfPipeline *pipeline, PfPipelineStats *stats)
{
    stats->head_start = pipeline->head_start.taken;
    stats->head_start_seconds = pipeline->head_start.seconds;
    stats->read_seconds = pipeline->read_seconds;
    stats->decode_seconds = pipeline->decode_seconds;
    stats->decode_wait_seconds = pipeline->decode_wait_seconds;
    stats->forward_seconds = pipeline->forward_seconds;
    stats->forward_wait_seconds = pipeline->forward_wait_seconds;
    stats->depth = pipeline->depth;
    stats->forward_takes = pipeline->forward_takes;
    stats->decoded_waiting = pipeline->decoded_waiting;
    stats->sink_takes = pipeline->sink_takes;
    stats->computed_waiting = pipeline->computed_waiting;
}

int pf_pipeline_run(PfPipeline *pipeline, const PfPipelineNetwork *network,
                    const PfPipelineSink *sink, PfPipelineStats *stats, PfError *err)
{
    double started = pf_seconds();
    *stats = (PfPipelineStats){0};
    pipeline->network = *network;
    pipeline->depth = pf_pipeline_depth(network);
    pipeline->tap_count = network->plugin->taps(network->backbones[0], &pipeline->taps);
    pipeline->batch_count = (pipeline->total + network->batch - 1) / network->batch;
    if (pf_ring_allocate(pipeline, err)) {
        pf_ring_free(pipeline);
        return -1;
    }
    run_threads(pipeline, sink, stats);
    pf_ring_free(pipeline);
    take_stats(pipeline, stats);
    stats->seconds = pf_seconds() - started;
    if (!pipeline->error.exit_code) return 0;
    if (err) *err = pipeline->error;
    return -1;
}

double pf_pipeline_rate(const PfPipelineStats *stats, int workers)
{
    double seconds = stats->seconds + stats->head_start_seconds / (workers > 0 ? workers : 1);
    return seconds > 0 ? (double)(stats->images + stats->rejected) / seconds : 0;
}
