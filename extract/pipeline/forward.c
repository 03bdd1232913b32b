/* From pixels to features: a thread for each device. */
#include <string.h>

#include "common/base/clock.h"
#include "extract/image/pixel_tap.h"
#include "extract/pipeline/internal.h"

/* Two images of equal bytes may both have been decoded, where the later one was
 * read first. Now that all before it have been read, the first is settled. */
static bool is_repeated(PfPipeline *pipeline, const PfBatch *batch, int i)
{
    if (!pipeline->contents) return false;
    int64_t place = batch->number * pipeline->network.batch + i;
    return pf_contents_first(pipeline->contents, batch->slots[i].row.file.digest) != place;
}

/* Moves the good images' pixels together and lists their rows. */
static void keep_good_images(PfPipeline *pipeline, PfBatch *batch)
{
    size_t size = pf_ring_sample_bytes(&pipeline->config);
    batch->row_count = 0;
    for (int i = 0; i < batch->count; i++) {
        PfSlot *slot = &batch->slots[i];
        if (slot->state == PF_SLOT_GOOD && is_repeated(pipeline, batch, i))
            slot->state = PF_SLOT_REPEATED;
        if (slot->state != PF_SLOT_GOOD) continue;
        int row = batch->row_count++;
        batch->rows[row] = slot->row;
        if (row != i)
            memcpy(batch->pixels + (size_t)row * size, batch->pixels + (size_t)i * size, size);
    }
}

/* Index of the first infinity or NaN, or -1. */
static int64_t find_non_finite(const void *values, PfDtype dtype, int64_t count)
{
    if (dtype == PF_DTYPE_F16) {
        const uint16_t *bits = values;
        for (int64_t i = 0; i < count; i++)
            if ((bits[i] & 0x7c00) == 0x7c00) return i;
    } else {
        const uint32_t *bits = values;
        for (int64_t i = 0; i < count; i++)
            if ((bits[i] & 0x7f800000) == 0x7f800000) return i;
    }
    return -1;
}

/* Features that are no numbers would poison every head trained on them. */
static int check_finite(const PfPipeline *pipeline, const PfBatch *batch, PfError *err)
{
    const PfPipelineConfig *config = &pipeline->config;
    const PfDtype dtype = pipeline->network.output_dtype;
    for (int t = 0; t < pipeline->tap_count; t++) {
        int64_t per_row = pf_ring_row_values(config, &pipeline->taps[t]);
        if (pf_pixel_tap_is(pipeline->taps[t].name)) continue;
        int64_t at = find_non_finite(batch->features[t], dtype, per_row * batch->row_count);
        if (at < 0) continue;
        const PfPipelineRow *row = &batch->rows[at / per_row];
        const char *hint = dtype == PF_DTYPE_F16
                               ? "f16 holds numbers up to 65504: try --store f32"
                               : "the weights may be damaged, or belong to another network";
        return pf_fail(err, PF_EXIT_FAILED, "tap '%s' of image '%s' is not a finite number; %s",
                       pipeline->taps[t].name, row->file.path, hint);
    }
    return 0;
}

/* Takes the next batch of the run once it is decoded. NULL when the run is over, or at once when
 * something is under way that may be waited for instead. Batches are taken in order whichever
 * device is first, so that all before this one have been read. */
static PfBatch *take_decoded(PfPipeline *pipeline, bool may_wait)
{
    PfBatch *taken = NULL;
    double started = pf_clock_seconds();
    pthread_mutex_lock(&pipeline->lock);
    int ready = pf_ring_count_decoded(pipeline);
    while (!pipeline->stopping && pipeline->next_forward < pipeline->batch_count) {
        PfBatch *next = pf_ring_at(pipeline, pipeline->next_forward);
        if (next->number == pipeline->next_forward && !next->pending) {
            taken = next;
            pipeline->next_forward++;
            pipeline->stats.forward_takes++;
            pipeline->stats.decoded_waiting += ready;
            break;
        }
        if (!may_wait) break;
        pthread_cond_wait(&pipeline->advanced, &pipeline->lock);
    }
    pipeline->stats.forward_wait_seconds += pf_clock_seconds() - started;
    pthread_mutex_unlock(&pipeline->lock);
    return taken;
}

static void batch_done(PfPipeline *pipeline, PfBatch *batch)
{
    pthread_mutex_lock(&pipeline->lock);
    batch->forwarded = true;
    pthread_cond_broadcast(&pipeline->advanced);
    pthread_mutex_unlock(&pipeline->lock);
}

static int submit(PfForwardLane *lane, PfBatch *batch, PfError *err)
{
    const PfPipeline *pipeline = lane->pipeline;
    keep_good_images(lane->pipeline, batch);
    if (!batch->row_count) {
        batch_done(lane->pipeline, batch);
        return 0;
    }
    lane->under_way[lane->count++] = batch;
    int failed = pipeline->network.plugin->submit(
        lane->backbone, batch->pixels, batch->row_count * pf_ring_views(&pipeline->config),
        batch->features, err);
    if (failed) lane->count = 0;
    return failed;
}

static int collect(PfForwardLane *lane, PfError *err)
{
    PfBatch *oldest = lane->under_way[0];
    int failed = lane->pipeline->network.plugin->collect(lane->backbone, err);
    lane->count = failed ? 0 : lane->count - 1;
    memmove(lane->under_way, lane->under_way + 1, (size_t)lane->count * sizeof *lane->under_way);
    if (failed || check_finite(lane->pipeline, oldest, err)) return -1;
    batch_done(lane->pipeline, oldest);
    return 0;
}

/* The device lets go of the ring, which is about to be freed. */
static void abandon(PfForwardLane *lane)
{
    PfError ignored;
    while (lane->count-- > 0)
        if (lane->pipeline->network.plugin->collect(lane->backbone, &ignored)) return;
}

/* Sends the next batch to the device, or waits for the oldest that is there. 1 when nothing is
 * left to do. */
static int step(PfForwardLane *lane, PfError *err)
{
    PfPipeline *pipeline = lane->pipeline;
    PfBatch *batch = NULL;
    if (lane->count < pipeline->network.plugin->depth(lane->backbone))
        batch = take_decoded(pipeline, !lane->count);
    if (!batch && !lane->count) return 1;
    double started = pf_clock_seconds();
    int failed = batch ? submit(lane, batch, err) : collect(lane, err);
    pthread_mutex_lock(&pipeline->lock);
    pipeline->stats.forward_seconds += pf_clock_seconds() - started;
    pthread_mutex_unlock(&pipeline->lock);
    return failed;
}

void *pf_pipeline_forward(void *argument)
{
    PfForwardLane *lane = argument;
    PfError error = {0};
    int ended;
    while (!(ended = step(lane, &error))) continue;
    if (ended < 0) {
        pf_ring_stop(lane->pipeline, &error);
        abandon(lane);
    }
    return NULL;
}
