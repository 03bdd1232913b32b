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
#include "pipeline_contents.h"
#include "pixel_tap.h"
#include "sample_reader.h"
#include "view.h"

#define MAX_WORKERS 256
#define REASON_SIZE 240

typedef enum SlotState { SLOT_GOOD, SLOT_BAD, SLOT_REPEATED } SlotState;

/* What became of one sample. Written by its decode thread until the batch is
 * complete, then by the forward thread, then read by the sink's. */
typedef struct Slot {
    PfPipelineRow row;
    SlotState state;
    char reason[REASON_SIZE]; /* of a bad one */
} Slot;

/* A batch of the ring. Everything but the buffers' contents is under the lock. */
typedef struct Batch {
    int64_t number;      /* which batch of the run it holds now */
    int count;           /* samples in it */
    int pending;         /* samples not decoded yet */
    int forwarded;       /* features are there */
    uint8_t *pixels;     /* (batch, views, crop, crop, 3) */
    Slot *slots;         /* (batch) */
    PfPipelineRow *rows; /* (batch) the good ones, in order; after the forward pass */
    int row_count;
    void **features; /* per tap (batch, views, shape) */
} Batch;

typedef struct Pipeline {
    const PfPipelineConfig *config;
    const PfTapInfo *taps;
    int tap_count;
    int64_t total, batch_count;
    int depth;
    Batch *ring;
    PfContents *contents; /* NULL unless config->once */
    PfSampleReader *reader;

    pthread_mutex_t lock;
    pthread_cond_t freed;    /* a batch of the ring can be decoded into */
    pthread_cond_t advanced; /* a batch was decoded or forwarded, or the run is over */
    int64_t next_place;      /* places count the samples of the run */
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

static int view_count(const PfPipelineConfig *config)
{
    return config->views > 1 ? config->views : 1;
}

static size_t crop_bytes(const PfPipelineConfig *config)
{
    return (size_t)config->preprocess->crop * (size_t)config->preprocess->crop * 3;
}

/* Of all views of an image. */
static size_t sample_bytes(const PfPipelineConfig *config)
{
    return (size_t)view_count(config) * crop_bytes(config);
}

/* Values of a row of a tap. */
static int64_t row_values(const PfPipelineConfig *config, const PfTapInfo *tap)
{
    return view_count(config) * pf_shape_count(&tap->shape);
}

static size_t row_bytes(const PfPipelineConfig *config, const PfTapInfo *tap)
{
    PfDtype dtype = pf_pixel_tap_dtype(tap->name, config->output_dtype);
    return (size_t)row_values(config, tap) * pf_dtype_size(dtype);
}

static int ring_depth(const PfPipelineConfig *config)
{
    return config->depth > 0 ? config->depth : PF_PIPELINE_DEPTH;
}

static PfSampleReaderConfig reader_config(const PfPipelineConfig *config)
{
    return (PfSampleReaderConfig){
        .dataset = config->dataset,
        .samples = config->samples,
        .count = config->samples ? config->sample_count : pf_dataset_count(config->dataset),
        .readers = config->readers,
        .largest_file = config->largest_file,
    };
}

/* Of the files that are read ahead or being decoded. */
static size_t file_bytes(const PfPipelineConfig *config)
{
    PfSampleReaderConfig reader = reader_config(config);
    return (size_t)(pf_sample_reader_held(&reader) + config->workers) *
           (size_t)config->largest_file;
}

size_t pf_pipeline_memory(const PfPipelineConfig *config)
{
    const PfTapInfo *taps;
    int tap_count = config->plugin->taps(config->backbone, &taps);
    size_t sample = sample_bytes(config) + sizeof(Slot) + sizeof(PfPipelineRow);
    for (int t = 0; t < tap_count; t++) sample += row_bytes(config, &taps[t]);
    return sample * (size_t)config->batch * (size_t)ring_depth(config) + file_bytes(config);
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

/* All views of an image, one after the other, into `out`. */
static int render_views(const PfPipelineConfig *config, const PfImage *image,
                        const PfPipelineRow *row, uint8_t *out, PfResizeScratch *scratch,
                        PfError *err)
{
    for (int v = 0; v < view_count(config); v++, out += crop_bytes(config)) {
        PfView view = pf_view_draw(config->view_seed, row->digest, v, image->width, image->height,
                                   config->preprocess->squash);
        if (pf_view_render(image, config->preprocess, &view, out, scratch, err)) return -1;
    }
    return 0;
}

/* Pixels of a sample's bytes into `out`. CIFAR's come decoded. */
static int decode_bytes(const PfPipelineConfig *config, Decoder *decoder, PfPipelineRow *row,
                        uint8_t *out, PfError *err)
{
    PfSampleBytes *bytes = &decoder->bytes;
    PfImage raw = {.width = bytes->width, .height = bytes->height, .pixels = bytes->data};
    int decoded = bytes->width > 0;
    if (!decoded &&
        pf_image_decode_reduced(bytes->data, bytes->size_bytes,
                                pf_preprocess_least_side(config->preprocess), &decoder->image, err))
        return -1;
    const PfImage *image = decoded ? &raw : &decoder->image;
    row->width = image->width;
    row->height = image->height;
    return render_views(config, image, row, out, &decoder->scratch, err);
}

static int64_t sample_at(const PfPipelineConfig *config, int64_t place)
{
    return config->samples ? config->samples[place] : place;
}

/* Whatever went wrong was not the image's fault: says at which it was noticed. */
static int fail_sample(const PfPipelineConfig *config, int64_t sample, PfError *err)
{
    PfError cause = *err;
    return pf_fail(err, (PfExit)cause.exit_code, "image '%s': %.1500s",
                   pf_dataset_samples(config->dataset)[sample].path, cause.message);
}

/* Fills the slot and the pixels of a place. A file that cannot be used is marked in
 * the slot; -1 is kept for failures that are not the file's. */
static int decode_sample(const Pipeline *pipeline, Decoder *decoder, int64_t place, Slot *slot,
                         uint8_t *out, double *read_seconds, PfError *err)
{
    const PfPipelineConfig *config = pipeline->config;
    PfSampleBytes *bytes = &decoder->bytes;
    double started = pf_seconds();
    slot->state = SLOT_GOOD;
    slot->row = (PfPipelineRow){.sample = sample_at(config, place)};
    int unreadable = pf_sample_reader_take(pipeline->reader, place, bytes, err);
    *read_seconds += pf_seconds() - started;
    if (!unreadable) {
        slot->row.stamp = bytes->stamp;
        pf_xxh128(bytes->data, bytes->size_bytes, slot->row.digest);
        if (pipeline->contents && !pf_contents_claim(pipeline->contents, place, slot->row.digest)) {
            slot->state = SLOT_REPEATED;
            return 0;
        }
        if (!decode_bytes(config, decoder, &slot->row, out, err)) return 0;
    }
    if (err->exit_code != PF_EXIT_BAD_IMAGES) return fail_sample(config, slot->row.sample, err);
    slot->state = SLOT_BAD;
    snprintf(slot->reason, sizeof slot->reason, "%.*s", REASON_SIZE - 1, err->message);
    return 0;
}

/* Waits until there is room for the next place, and takes it; -1 when there is none any more. */
static int64_t take_place(Pipeline *pipeline, Batch **batch)
{
    int64_t place = -1;
    pthread_mutex_lock(&pipeline->lock);
    while (!pipeline->stopping && pipeline->next_place < pipeline->total) {
        int64_t number = pipeline->next_place / pipeline->config->batch;
        *batch = &pipeline->ring[number % pipeline->depth];
        if ((*batch)->number == number) {
            place = pipeline->next_place++;
            break;
        }
        pthread_cond_wait(&pipeline->freed, &pipeline->lock);
    }
    pthread_mutex_unlock(&pipeline->lock);
    return place;
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
    for (int64_t place; (place = take_place(pipeline, &batch)) >= 0;) {
        size_t i = (size_t)(place % config->batch);
        double started = pf_seconds(), read_seconds = 0;
        if (decode_sample(pipeline, &decoder, place, &batch->slots[i],
                          batch->pixels + i * sample_bytes(config), &read_seconds, &error)) {
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

/* Two images of equal bytes may both have been decoded, where the later one was
 * read first. Now that all before it have been read, the first is settled. */
static int is_repeated(Pipeline *pipeline, const Batch *batch, int i)
{
    if (!pipeline->contents) return 0;
    int64_t place = batch->number * pipeline->config->batch + i;
    return pf_contents_first(pipeline->contents, batch->slots[i].row.digest) != place;
}

/* Moves the good images' pixels together and lists their rows. */
static void keep_good_images(Pipeline *pipeline, Batch *batch)
{
    size_t size = sample_bytes(pipeline->config);
    batch->row_count = 0;
    for (int i = 0; i < batch->count; i++) {
        Slot *slot = &batch->slots[i];
        if (slot->state == SLOT_GOOD && is_repeated(pipeline, batch, i))
            slot->state = SLOT_REPEATED;
        if (slot->state != SLOT_GOOD) continue;
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
static int check_finite(const Pipeline *pipeline, const Batch *batch, PfError *err)
{
    const PfPipelineConfig *config = pipeline->config;
    for (int t = 0; t < pipeline->tap_count; t++) {
        int64_t per_row = row_values(config, &pipeline->taps[t]);
        if (pf_is_pixel_tap(pipeline->taps[t].name)) continue;
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
    keep_good_images(pipeline, batch);
    if (!batch->row_count) return 0;
    if (config->plugin->forward(config->backbone, batch->pixels,
                                batch->row_count * view_count(config), batch->features, err))
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

/* A bad image, or one with the bytes of a bad one. */
static int drain_bad(Pipeline *pipeline, const Batch *batch, int i, const char *reason,
                     const PfPipelineSink *sink, PfPipelineStats *stats, PfError *err)
{
    const Slot *slot = &batch->slots[i];
    int64_t place = batch->number * pipeline->config->batch + i;
    stats->rejected++;
    if (pipeline->contents && slot->state == SLOT_BAD &&
        pf_contents_reject(pipeline->contents, place, reason, err))
        return -1;
    return sink->rejected(sink->context, &slot->row, reason, err);
}

static int drain_repeated(Pipeline *pipeline, const Batch *batch, int i, const PfPipelineSink *sink,
                          PfPipelineStats *stats, PfError *err)
{
    const PfPipelineRow *row = &batch->slots[i].row;
    int64_t first = pf_contents_first(pipeline->contents, row->digest);
    const char *reason = pf_contents_reason(pipeline->contents, first);
    if (reason) return drain_bad(pipeline, batch, i, reason, sink, stats, err);
    stats->repeated++;
    return sink->repeated(sink->context, row, err);
}

/* Hands a finished batch to the sink. */
static int drain_batch(Pipeline *pipeline, const Batch *batch, const PfPipelineSink *sink,
                       PfPipelineStats *stats, PfError *err)
{
    int failed = 0;
    if (batch->row_count)
        failed = sink->rows(sink->context, batch->row_count, batch->rows,
                            (const void *const *)batch->features, err);
    if (!failed) stats->images += batch->row_count;
    for (int i = 0; i < batch->count && !failed; i++) {
        const Slot *slot = &batch->slots[i];
        if (slot->state == SLOT_BAD)
            failed = drain_bad(pipeline, batch, i, slot->reason, sink, stats, err);
        if (slot->state == SLOT_REPEATED)
            failed = drain_repeated(pipeline, batch, i, sink, stats, err);
    }
    return failed;
}

/* Drains batches in order until the run is over; returns how many. -1 where the sink failed. */
static int64_t drain(Pipeline *pipeline, const PfPipelineSink *sink, PfPipelineStats *stats)
{
    PfError error = {0};
    for (int64_t number = 0; number < pipeline->batch_count; number++) {
        Batch *batch = wait_forwarded(pipeline, number);
        if (!batch) return number;
        double started = pf_seconds();
        int failed = drain_batch(pipeline, batch, sink, stats, &error);
        stats->sink_seconds += pf_seconds() - started;
        if (failed) {
            stop(pipeline, &error);
            return -1;
        }
        recycle(pipeline, batch);
        if (sink->progress)
            sink->progress(sink->context, stats->images + stats->rejected + stats->repeated);
    }
    return pipeline->batch_count;
}

/* What had been computed when the run was ended is not lost. No other thread runs now. */
static void drain_rest(Pipeline *pipeline, int64_t number, const PfPipelineSink *sink,
                       PfPipelineStats *stats)
{
    PfError error = {0};
    for (; number < pipeline->batch_count; number++) {
        const Batch *batch = &pipeline->ring[number % pipeline->depth];
        if (batch->number != number || !batch->forwarded) return;
        if (drain_batch(pipeline, batch, sink, stats, &error)) return;
    }
}

/* ---- setting up ---- */

static int allocate_batch(const Pipeline *pipeline, Batch *batch, PfError *err)
{
    const PfPipelineConfig *config = pipeline->config;
    size_t size = (size_t)config->batch;
    batch->pixels = pf_alloc_aligned(size, sample_bytes(config), err);
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
    int64_t drained = -1;
    int started = 0, wanted = pipeline->config->workers;
    if (wanted > MAX_WORKERS) wanted = MAX_WORKERS;
    while (started < wanted && !pthread_create(&workers[started], NULL, decode_thread, pipeline))
        started++;
    int forwarding = !pthread_create(&forward, NULL, forward_thread, pipeline);
    if (started && forwarding) {
        drained = drain(pipeline, sink, stats);
    } else {
        pf_fail(&error, PF_EXIT_FAILED, "cannot start threads: the system's limit is reached");
        stop(pipeline, &error);
    }
    if (forwarding) pthread_join(forward, NULL);
    for (int i = 0; i < started; i++) pthread_join(workers[i], NULL);
    if (drained >= 0) drain_rest(pipeline, drained, sink, stats);
}

int pf_pipeline_run(const PfPipelineConfig *config, const PfPipelineSink *sink,
                    PfPipelineStats *stats, PfError *err)
{
    Pipeline pipeline = {.config = config,
                         .depth = ring_depth(config),
                         .total = config->samples ? config->sample_count
                                                  : pf_dataset_count(config->dataset)};
    PfSampleReaderConfig reading = reader_config(config);
    double started = pf_seconds();
    *stats = (PfPipelineStats){0};
    pipeline.tap_count = config->plugin->taps(config->backbone, &pipeline.taps);
    pipeline.batch_count = (pipeline.total + config->batch - 1) / config->batch;
    if (allocate_ring(&pipeline, err) ||
        (config->once && pf_contents_new(pipeline.total, &pipeline.contents, err)) ||
        pf_sample_reader_open(&reading, &pipeline.reader, err)) {
        pf_contents_free(&pipeline.contents);
        free_ring(&pipeline);
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
    free_ring(&pipeline);
    pf_contents_free(&pipeline.contents);
    stats->read_seconds = pipeline.read_seconds;
    stats->decode_seconds = pipeline.decode_seconds;
    stats->forward_seconds = pipeline.forward_seconds;
    stats->forward_wait_seconds = pipeline.forward_wait_seconds;
    stats->seconds = pf_seconds() - started;
    if (!pipeline.error.exit_code) return 0;
    if (err) *err = pipeline.error;
    return -1;
}
