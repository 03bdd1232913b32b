#include "pipeline.h"

#include "clock.h"
#include "pipeline_decode.h"
#include "pipeline_drain.h"
#include "pipeline_forward.h"
#include "pipeline_ring.h"

#define MAX_WORKERS 256

/* The threads of a run. */
typedef struct Threads {
    pthread_t decoding[MAX_WORKERS], forwarding[PF_DEVICES_MAX];
    PfForwardLane lanes[PF_DEVICES_MAX];
    int decoding_count, forwarding_count;
} Threads;

/* As many decode threads as there can be, and one for each device; -1 where that fails. */
static int start_threads(PfPipeline *pipeline, Threads *threads, PfError *err)
{
    const PfPipelineConfig *config = pipeline->config;
    int wanted = config->workers < MAX_WORKERS ? config->workers : MAX_WORKERS;
    int *decoding = &threads->decoding_count, *forwarding = &threads->forwarding_count;
    while (*decoding < wanted &&
           !pthread_create(&threads->decoding[*decoding], NULL, pf_pipeline_decode, pipeline))
        ++*decoding;
    for (; *forwarding < config->backbone_count; ++*forwarding) {
        PfForwardLane *lane = &threads->lanes[*forwarding];
        *lane = (PfForwardLane){.pipeline = pipeline, .backbone = config->backbones[*forwarding]};
        if (pthread_create(&threads->forwarding[*forwarding], NULL, pf_pipeline_forward, lane))
            break;
    }
    if (*decoding && *forwarding == config->backbone_count) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "cannot start threads: the system's limit is reached");
}

/* Starts the threads, drains on this one, joins. */
static void run_threads(PfPipeline *pipeline, const PfPipelineSink *sink, PfPipelineStats *stats)
{
    Threads threads = {.decoding_count = 0};
    PfError error = {0};
    int64_t drained = -1;
    if (start_threads(pipeline, &threads, &error))
        pf_ring_stop(pipeline, &error);
    else
        drained = pf_pipeline_drain(pipeline, sink, stats);
    for (int i = 0; i < threads.forwarding_count; i++) pthread_join(threads.forwarding[i], NULL);
    for (int i = 0; i < threads.decoding_count; i++) pthread_join(threads.decoding[i], NULL);
    if (drained >= 0) pf_pipeline_drain_rest(pipeline, drained, sink, stats);
}

/* What the threads have counted; they are gone. */
static void take_stats(const PfPipeline *pipeline, PfPipelineStats *stats)
{
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

int pf_pipeline_run(const PfPipelineConfig *config, const PfPipelineSink *sink,
                    PfPipelineStats *stats, PfError *err)
{
    PfPipeline pipeline = {.config = config,
                           .depth = pf_pipeline_depth(config),
                           .total = config->samples ? config->sample_count
                                                    : pf_dataset_count(config->dataset)};
    PfSampleReaderConfig reading = pf_pipeline_reading(config);
    double started = pf_seconds();
    *stats = (PfPipelineStats){0};
    pipeline.tap_count = config->plugin->taps(config->backbones[0], &pipeline.taps);
    pipeline.batch_count = (pipeline.total + config->batch - 1) / config->batch;
    if (pf_ring_allocate(&pipeline, err) ||
        (config->once && pf_contents_new(pipeline.total, &pipeline.contents, err)) ||
        pf_sample_reader_open(&reading, &pipeline.reader, err)) {
        pf_contents_free(&pipeline.contents);
        pf_ring_free(&pipeline);
        return -1;
    }
    pthread_mutex_init(&pipeline.lock, NULL);
    pthread_cond_init(&pipeline.freed, NULL);
    pthread_cond_init(&pipeline.advanced, NULL);
    run_threads(&pipeline, sink, stats);
    pf_sample_reader_close(&pipeline.reader);
    pthread_cond_destroy(&pipeline.advanced);
    pthread_cond_destroy(&pipeline.freed);
    pthread_mutex_destroy(&pipeline.lock);
    pf_ring_free(&pipeline);
    pf_contents_free(&pipeline.contents);
    take_stats(&pipeline, stats);
    stats->seconds = pf_seconds() - started;
    if (!pipeline.error.exit_code) return 0;
    if (err) *err = pipeline.error;
    return -1;
}
