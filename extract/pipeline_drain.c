#include "pipeline_drain.h"

#include <time.h>

#include "clock.h"
#include "pipeline_ring.h"

static int is_interrupted(const PfPipelineConfig *config)
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
    pipeline->sink_takes++;
    pipeline->computed_waiting += pf_ring_count_computed(pipeline);
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
    int stopping = pipeline->stopping;
    pthread_mutex_unlock(&pipeline->lock);
    return stopping ? NULL : batch;
}

/* A bad image, or one with the bytes of a bad one. */
static int drain_bad(PfPipeline *pipeline, const PfBatch *batch, int i, const char *reason,
                     const PfPipelineSink *sink, PfPipelineStats *stats, PfError *err)
{
    const PfSlot *slot = &batch->slots[i];
    int64_t place = batch->number * pipeline->network.batch + i;
    stats->rejected++;
    if (pipeline->contents && slot->state == PF_SLOT_BAD &&
        pf_contents_reject(pipeline->contents, place, reason, err))
        return -1;
    return sink->rejected(sink->context, &slot->row, reason, err);
}

static int drain_repeated(PfPipeline *pipeline, const PfBatch *batch, int i,
                          const PfPipelineSink *sink, PfPipelineStats *stats, PfError *err)
{
    const PfPipelineRow *row = &batch->slots[i].row;
    int64_t first = pf_contents_first(pipeline->contents, row->file.digest);
    const char *reason = pf_contents_reason(pipeline->contents, first);
    if (reason) return drain_bad(pipeline, batch, i, reason, sink, stats, err);
    stats->repeated++;
    return sink->repeated(sink->context, row, err);
}

/* Hands a finished batch to the sink. */
static int drain_batch(PfPipeline *pipeline, const PfBatch *batch, const PfPipelineSink *sink,
                       PfPipelineStats *stats, PfError *err)
{
    int failed = 0;
    if (batch->row_count)
        failed = sink->rows(sink->context, batch->row_count, batch->rows,
                            (const void *const *)batch->features, err);
    if (!failed) stats->images += batch->row_count;
    for (int i = 0; i < batch->row_count && !failed; i++) {
        stats->rotated += batch->rows[i].is_rotated;
        stats->truncated += batch->rows[i].is_truncated;
    }
    for (int i = 0; i < batch->count && !failed; i++) {
        const PfSlot *slot = &batch->slots[i];
        if (slot->state == PF_SLOT_BAD)
            failed = drain_bad(pipeline, batch, i, slot->reason, sink, stats, err);
        if (slot->state == PF_SLOT_REPEATED)
            failed = drain_repeated(pipeline, batch, i, sink, stats, err);
    }
    return failed;
}

int64_t pf_pipeline_drain(PfPipeline *pipeline, const PfPipelineSink *sink, PfPipelineStats *stats)
{
    PfError error = {0};
    for (int64_t number = 0; number < pipeline->batch_count; number++) {
        PfBatch *batch = wait_forwarded(pipeline, number);
        if (!batch) return number;
        double started = pf_seconds();
        int failed = drain_batch(pipeline, batch, sink, stats, &error);
        stats->sink_seconds += pf_seconds() - started;
        if (failed) {
            pf_ring_stop(pipeline, &error);
            return -1;
        }
        pf_ring_recycle(pipeline, batch);
        if (sink->progress)
            sink->progress(sink->context, stats->images + stats->rejected + stats->repeated);
    }
    return pipeline->batch_count;
}

void pf_pipeline_drain_rest(PfPipeline *pipeline, int64_t number, const PfPipelineSink *sink,
                            PfPipelineStats *stats)
{
    PfError error = {0};
    for (; number < pipeline->batch_count; number++) {
        const PfBatch *batch = pf_ring_at(pipeline, number);
        if (batch->number != number || !batch->forwarded) return;
        if (drain_batch(pipeline, batch, sink, stats, &error)) return;
    }
}
