#include "pipeline.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "digest.h"
#include "memory.h"
#include "preprocess.h"

#define MAX_WORKERS 256
#define REASON_SIZE 240

/* What became of one sample. Written by its decode thread until the batch is
 * complete, then read by the forward and sink threads. */
typedef struct Slot {
    PfPipelineRow row;
    int bad;
    char reason[REASON_SIZE];
} Slot;

/* A batch of the ring. Everything but the buffers' contents is under the lock. */
typedef struct Batch {
    int64_t number;      /* which batch of the dataset it holds now */
    int count;           /* samples in it */
    int pending;         /* samples not decoded yet */
    int forwarded;       /* features are there */
    uint8_t *pixels;     /* (batch, crop, crop, 3) */
    Slot *slots;         /* (batch) */
    PfPipelineRow *rows; /* (batch) the good ones, in order; after the forward pass */
    int row_count;
    void **features; /* per tap (batch, shape) */
} Batch;

typedef struct Pipeline {
    const PfPipelineConfig *config;
    const PfTapInfo *taps;
    int tap_count;
    int64_t total, batch_count;
    int depth;
    Batch *ring;

    pthread_mutex_t lock;
    pthread_cond_t freed;    /* a batch of the ring can be decoded into */
    pthread_cond_t advanced; /* a batch was decoded or forwarded, or the run is over */
    int64_t next_sample;
    int stopping;
    PfError error; /* the first one */
    double read_seconds, decode_seconds, forward_seconds, forward_wait_seconds;
} Pipeline;

/* What one decode thread keeps from image to image. */
typedef struct Decoder {
    PfSampleBytes bytes;
    PfImage image;
    PfResizeScratch scratch;
} Decoder;

static size_t crop_bytes(const PfPipelineConfig *config)
{
    return (size_t)config->preprocess->crop * (size_t)config->preprocess->crop * 3;
}

static size_t row_bytes(const PfPipelineConfig *config, const PfTapInfo *tap)
{
    return (size_t)pf_shape_count(&tap->shape) * pf_dtype_size(config->output_dtype);
}

static int ring_depth(const PfPipelineConfig *config)
{
    return config->depth > 0 ? config->depth : PF_PIPELINE_DEPTH;
}

size_t pf_pipeline_memory(const PfPipelineConfig *config)
{
    const PfTapInfo *taps;
    int tap_count = config->plugin->taps(config->backbone, &taps);
    size_t sample = crop_bytes(config) + sizeof(Slot) + sizeof(PfPipelineRow);
    for (int t = 0; t < tap_count; t++) sample += row_bytes(config, &taps[t]);
    return sample * (size_t)config->batch * (size_t)ring_depth(config);
}

/* The first error wins; everybody who waits is woken. Caller holds the lock. */
static void stop_locked(Pipeline *pipeline, const PfError *error)
{
    if (!pipeline->stopping && error) pipeline->error = *error;
    pipeline->stopping = 1;
    pthread_cond_broadcast(&pipeline->freed);
    pthread_cond_broadcast(&pipeline->advanced);
}

static void stop(Pipeline *pipeline, const PfError *error)
{
    pthread_mutex_lock(&pipeline->lock);
    stop_locked(pipeline, error);
    pthread_mutex_unlock(&pipeline->lock);
}

/* Gives a batch of the ring its next number. Caller holds the lock, or is alone. */
static void assign(Pipeline *pipeline, Batch *batch, int64_t number)
{
    int64_t first = number * pipeline->config->batch, left = pipeline->total - first;
    batch->number = number;
    batch->count = left < 0                         ? 0
                   : left < pipeline->config->batch ? (int)left
                                                    : pipeline->config->batch;
    batch->pending = batch->count;
    batch->forwarded = 0;
}

/* ---- decode threads ---- */

/* Pixels of a sample's bytes into `out`. CIFAR's come decoded. */
static int decode_bytes(const PfPipelineConfig *config, Decoder *decoder, uint8_t *out,
                        PfError *err)
{
    PfSampleBytes *bytes = &decoder->bytes;
    PfImage raw = {.width = bytes->width, .height = bytes->height, .pixels = bytes->data};
    int decoded = bytes->width > 0;
    if (!decoded && pf_image_decode(bytes->data, bytes->size_bytes, &decoder->image, err))
        return -1;
    return pf_preprocess_image(decoded ? &raw : &decoder->image, config->preprocess, out,
                               &decoder->scratch, err);
}

/* Fills a sample's slot and pixels. A file that cannot be used is marked in the
 * slot; -1 is kept for failures that are not the file's. */
static int decode_sample(const PfPipelineConfig *config, Decoder *decoder, int64_t sample,
                         Slot *slot, uint8_t *out, double *read_seconds, PfError *err)
{
    PfSampleBytes *bytes = &decoder->bytes;
    double started = pf_seconds();
    slot->bad = 0;
    slot->row.sample = sample;
    int unreadable = pf_dataset_read(config->dataset, sample, bytes, err);
    *read_seconds += pf_seconds() - started;
    if (!unreadable) {
        slot->row.size_bytes = bytes->size_bytes;
        slot->row.mtime_ns = bytes->mtime_ns;
        pf_xxh128(bytes->data, bytes->size_bytes, slot->row.digest);
        if (!decode_bytes(config, decoder, out, err)) return 0;
        if (err->exit_code != PF_EXIT_BAD_IMAGES) return -1;
    }
    slot->bad = 1;
    snprintf(slot->reason, sizeof slot->reason, "%.*s", REASON_SIZE - 1, err->message);
    return 0;
}

/* Waits for a free place for the next sample; -1 when there is none any more. */
static int64_t take_sample(Pipeline *pipeline, Batch **batch)
{
    int64_t sample = -1;
    pthread_mutex_lock(&pipeline->lock);
    while (!pipeline->stopping && pipeline->next_sample < pipeline->total) {
        int64_t number = pipeline->next_sample / pipeline->config->batch;
        *batch = &pipeline->ring[number % pipeline->depth];
        if ((*batch)->number == number) {
            sample = pipeline->next_sample++;
            break;
        }
        pthread_cond_wait(&pipeline->freed, &pipeline->lock);
    }
    pthread_mutex_unlock(&pipeline->lock);
    return sample;
}

static void sample_done(Pipeline *pipeline, Batch *batch, double seconds, double read_seconds)
{
    pthread_mutex_lock(&pipeline->lock);
    pipeline->decode_seconds += seconds - read_seconds;
    pipeline->read_seconds += read_seconds;
    if (--batch->pending == 0) pthread_cond_broadcast(&pipeline->advanced);
    pthread_mutex_unlock(&pipeline->lock);
}

static void *decode_thread(void *argument)
{
    Pipeline *pipeline = argument;
    const PfPipelineConfig *config = pipeline->config;
    Decoder decoder = {0};
    PfError error = {0};
    Batch *batch;
    for (int64_t sample; (sample = take_sample(pipeline, &batch)) >= 0;) {
        size_t place = (size_t)(sample % config->batch);
        double started = pf_seconds(), read_seconds = 0;
        if (decode_sample(config, &decoder, sample, &batch->slots[place],
                          batch->pixels + place * crop_bytes(config), &read_seconds, &error)) {
            stop(pipeline, &error);
            break;
        }
        sample_done(pipeline, batch, pf_seconds() - started, read_seconds);
    }
    pf_sample_bytes_free(&decoder.bytes);
    pf_image_free(&decoder.image);
    pf_resize_scratch_free(&decoder.scratch);
    return NULL;
}

/* ---- forward thread ---- */

/* Moves the good images' pixels together and lists their rows. */
static void drop_bad_images(const PfPipelineConfig *config, Batch *batch)
{
    size_t size = crop_bytes(config);
    batch->row_count = 0;
    for (int i = 0; i < batch->count; i++) {
        if (batch->slots[i].bad) continue;
        int row = batch->row_count++;
        batch->rows[row] = batch->slots[i].row;
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
static int check_finite(const Pipeline *pipeline, const Batch *batch, PfError *err)
{
    const PfPipelineConfig *config = pipeline->config;
    for (int t = 0; t < pipeline->tap_count; t++) {
        int64_t per_row = pf_shape_count(&pipeline->taps[t].shape);
        int64_t at =
            find_non_finite(batch->features[t], config->output_dtype, per_row * batch->row_count);
        if (at < 0) continue;
        const PfPipelineRow *row = &batch->rows[at / per_row];
        const char *hint = config->output_dtype == PF_DTYPE_F16
                               ? "f16 holds numbers up to 65504: try --store f32"
                               : "the weights may be damaged, or belong to another network";
        return pf_fail(err, PF_EXIT_FAILED, "tap '%s' of image '%s' is not a finite number; %s",
                       pipeline->taps[t].name,
                       pf_dataset_samples(config->dataset)[row->sample].path, hint);
    }
    return 0;
}

/* Waits until batch `number` is decoded; NULL when the run is over. */
static Batch *wait_decoded(Pipeline *pipeline, int64_t number)
{
    Batch *batch = &pipeline->ring[number % pipeline->depth];
    double started = pf_seconds();
    pthread_mutex_lock(&pipeline->lock);
    while (!pipeline->stopping && (batch->number != number || batch->pending))
        pthread_cond_wait(&pipeline->advanced, &pipeline->lock);
    int stopping = pipeline->stopping;
    pipeline->forward_wait_seconds += pf_seconds() - started;
    pthread_mutex_unlock(&pipeline->lock);
    return stopping ? NULL : batch;
}

static int forward_batch(Pipeline *pipeline, Batch *batch, PfError *err)
{
    const PfPipelineConfig *config = pipeline->config;
    drop_bad_images(config, batch);
    if (!batch->row_count) return 0;
    if (config->plugin->forward(config->backbone, batch->pixels, batch->row_count, batch->features,
                                err))
        return -1;
    return check_finite(pipeline, batch, err);
}

static void *forward_thread(void *argument)
{
    Pipeline *pipeline = argument;
    PfError error = {0};
    for (int64_t number = 0; number < pipeline->batch_count; number++) {
        Batch *batch = wait_decoded(pipeline, number);
        if (!batch) return NULL;
        double started = pf_seconds();
        if (forward_batch(pipeline, batch, &error)) {
            stop(pipeline, &error);
            return NULL;
        }
        pthread_mutex_lock(&pipeline->lock);
        pipeline->forward_seconds += pf_seconds() - started;
        batch->forwarded = 1;
        pthread_cond_broadcast(&pipeline->advanced);
        pthread_mutex_unlock(&pipeline->lock);
    }
    return NULL;
}

/* ---- the caller's thread ---- */

static int is_interrupted(const PfPipelineConfig *config)
{
    return config->interrupted && *config->interrupted;
}

/* Waits on `advanced` for at most a tenth of a second. Caller holds the lock. */
static void wait_briefly(Pipeline *pipeline)
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
static Batch *wait_forwarded(Pipeline *pipeline, int64_t number)
{
    Batch *batch = &pipeline->ring[number % pipeline->depth];
    pthread_mutex_lock(&pipeline->lock);
    while (!pipeline->stopping) {
        if (is_interrupted(pipeline->config)) {
            PfError error = {0};
            pf_fail(&error, PF_EXIT_INTERRUPTED, "interrupted");
            stop_locked(pipeline, &error);
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

static void recycle(Pipeline *pipeline, Batch *batch)
{
    pthread_mutex_lock(&pipeline->lock);
    assign(pipeline, batch, batch->number + pipeline->depth);
    pthread_cond_broadcast(&pipeline->freed);
    pthread_mutex_unlock(&pipeline->lock);
}

static int too_many_rejected(const Pipeline *pipeline, const PfPipelineStats *stats, PfError *err)
{
    if (stats->rejected <= pipeline->config->max_rejected) return 0;
    return pf_fail(err, PF_EXIT_BAD_IMAGES,
                   "%lld of the first %lld images cannot be used, and --max-bad allows %lld of "
                   "%lld. Nothing was written. Repair or remove them, or allow more.",
                   (long long)stats->rejected, (long long)(stats->images + stats->rejected),
                   (long long)pipeline->config->max_rejected, (long long)pipeline->total);
}

/* Hands a finished batch to the sink. */
static int drain_batch(Pipeline *pipeline, const Batch *batch, const PfPipelineSink *sink,
                       PfPipelineStats *stats, PfError *err)
{
    for (int i = 0; i < batch->count; i++) {
        if (!batch->slots[i].bad) continue;
        stats->rejected++;
        if (sink->rejected(sink->context, batch->slots[i].row.sample, batch->slots[i].reason, err))
            return -1;
    }
    stats->images += batch->row_count;
    if (batch->row_count && sink->rows(sink->context, batch->row_count, batch->rows,
                                       (const void *const *)batch->features, err))
        return -1;
    return too_many_rejected(pipeline, stats, err);
}

static void drain(Pipeline *pipeline, const PfPipelineSink *sink, PfPipelineStats *stats)
{
    PfError error = {0};
    for (int64_t number = 0; number < pipeline->batch_count; number++) {
        Batch *batch = wait_forwarded(pipeline, number);
        if (!batch) return;
        double started = pf_seconds();
        int failed = drain_batch(pipeline, batch, sink, stats, &error);
        stats->sink_seconds += pf_seconds() - started;
        if (failed) {
            stop(pipeline, &error);
            return;
        }
        recycle(pipeline, batch);
        if (sink->progress) sink->progress(sink->context, stats->images + stats->rejected);
    }
}

/* ---- setting up ---- */

static int allocate_batch(const Pipeline *pipeline, Batch *batch, PfError *err)
{
    const PfPipelineConfig *config = pipeline->config;
    size_t size = (size_t)config->batch;
    batch->pixels = pf_alloc_aligned(size, crop_bytes(config), err);
    batch->slots = pf_calloc(size, sizeof *batch->slots, err);
    batch->rows = pf_calloc(size, sizeof *batch->rows, err);
    batch->features = pf_calloc((size_t)pipeline->tap_count, sizeof *batch->features, err);
    if (!batch->pixels || !batch->slots || !batch->rows || !batch->features) return -1;
    for (int t = 0; t < pipeline->tap_count; t++) {
        batch->features[t] = pf_alloc_aligned(size, row_bytes(config, &pipeline->taps[t]), err);
        if (!batch->features[t]) return -1;
    }
    return 0;
}

static void free_ring(Pipeline *pipeline)
{
    for (int i = 0; pipeline->ring && i < pipeline->depth; i++) {
        Batch *batch = &pipeline->ring[i];
        for (int t = 0; batch->features && t < pipeline->tap_count; t++) free(batch->features[t]);
        free(batch->features);
        free(batch->rows);
        free(batch->slots);
        free(batch->pixels);
    }
    free(pipeline->ring);
    pipeline->ring = NULL;
}

static int allocate_ring(Pipeline *pipeline, PfError *err)
{
    pipeline->ring = pf_calloc((size_t)pipeline->depth, sizeof *pipeline->ring, err);
    if (!pipeline->ring) return -1;
    for (int i = 0; i < pipeline->depth; i++) {
        if (allocate_batch(pipeline, &pipeline->ring[i], err)) return -1;
        assign(pipeline, &pipeline->ring[i], i);
    }
    return 0;
}

/* Starts the threads, drains on this one, joins. */
static void run_threads(Pipeline *pipeline, const PfPipelineSink *sink, PfPipelineStats *stats)
{
    pthread_t workers[MAX_WORKERS], forward;
    PfError error = {0};
    int started = 0, wanted = pipeline->config->workers;
    if (wanted > MAX_WORKERS) wanted = MAX_WORKERS;
    while (started < wanted && !pthread_create(&workers[started], NULL, decode_thread, pipeline))
        started++;
    int forwarding = !pthread_create(&forward, NULL, forward_thread, pipeline);
    if (started && forwarding) {
        drain(pipeline, sink, stats);
    } else {
        pf_fail(&error, PF_EXIT_FAILED, "cannot start threads: the system's limit is reached");
        stop(pipeline, &error);
    }
    if (forwarding) pthread_join(forward, NULL);
    for (int i = 0; i < started; i++) pthread_join(workers[i], NULL);
}

int pf_pipeline_run(const PfPipelineConfig *config, const PfPipelineSink *sink,
                    PfPipelineStats *stats, PfError *err)
{
    Pipeline pipeline = {
        .config = config, .depth = ring_depth(config), .total = pf_dataset_count(config->dataset)};
    double started = pf_seconds();
    *stats = (PfPipelineStats){0};
    pipeline.tap_count = config->plugin->taps(config->backbone, &pipeline.taps);
    pipeline.batch_count = (pipeline.total + config->batch - 1) / config->batch;
    if (allocate_ring(&pipeline, err)) {
        free_ring(&pipeline);
        return -1;
    }
    pthread_mutex_init(&pipeline.lock, NULL);
    pthread_cond_init(&pipeline.freed, NULL);
    pthread_cond_init(&pipeline.advanced, NULL);
    run_threads(&pipeline, sink, stats);
    pthread_cond_destroy(&pipeline.advanced);
    pthread_cond_destroy(&pipeline.freed);
    pthread_mutex_destroy(&pipeline.lock);
    free_ring(&pipeline);
    stats->read_seconds = pipeline.read_seconds;
    stats->decode_seconds = pipeline.decode_seconds;
    stats->forward_seconds = pipeline.forward_seconds;
    stats->forward_wait_seconds = pipeline.forward_wait_seconds;
    stats->seconds = pf_seconds() - started;
    if (!pipeline.error.exit_code) return 0;
    if (err) *err = pipeline.error;
    return -1;
}
