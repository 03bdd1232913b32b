/* From files to pixels: decode threads, in the run and before it. */
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "extract/image/perceptual_hash.h"
#include "extract/image/statistics.h"
#include "extract/image/view.h"
#include "extract/pipeline/internal.h"

/* ---- prefetching: its memory ---- */

static size_t bytes_each(const PfPipelineConfig *config)
{
    return pf_ring_sample_bytes(config) + sizeof(PfSlot);
}

static int64_t limit_of(const PfPipelineConfig *config)
{
    int64_t fitting = (int64_t)(PF_PREFETCH_BYTES / bytes_each(config));
    int64_t total = pf_ring_total(config);
    return pf_min(total, config->prefetch > 0 ? config->prefetch : fitting);
}

size_t pf_prefetch_memory(const PfPipelineConfig *config)
{
    return (size_t)limit_of(config) * bytes_each(config);
}

/* What no image is decoded into is never touched, and takes no memory. */
int pf_prefetch_allocate(PfPipeline *pipeline, PfError *err)
{
    const PfPipelineConfig *config = &pipeline->config;
    PfPrefetch *prefetch = &pipeline->prefetch;
    prefetch->limit = limit_of(config);
    prefetch->most = config->workers > 1 ? config->workers - 1 : 1;
    size_t count = (size_t)prefetch->limit;
    prefetch->slots = pf_calloc(count + 1, sizeof *prefetch->slots, err);
    prefetch->pixels = pf_alloc_aligned(count, pf_ring_sample_bytes(config), err);
    return prefetch->slots && prefetch->pixels ? 0 : -1;
}

void pf_prefetch_free(PfPipeline *pipeline)
{
    PfPrefetch *prefetch = &pipeline->prefetch;
    free(prefetch->slots);
    free(prefetch->pixels);
    prefetch->slots = NULL;
    prefetch->pixels = NULL;
}

void pf_prefetch_end(PfPipeline *pipeline)
{
    PfPrefetch *prefetch = &pipeline->prefetch;
    prefetch->limit = prefetch->taken;
    while (prefetch->busy && !pipeline->stopping)
        pthread_cond_wait(&pipeline->advanced, &pipeline->lock);
    if (!prefetch->busy && !prefetch->left) pf_prefetch_free(pipeline);
}

/* ---- one image ---- */

/* What one decode thread keeps from image to image. */
typedef struct Decoder {
    PfSampleBytes bytes;
    PfImage image;
    PfResizeScratch scratch;
} Decoder;

/* All views of an image, one after the other, into `out`. */
static int render_views(const PfPipelineConfig *config, const PfImage *image,
                        const PfPipelineRow *row, uint8_t *out, PfResizeScratch *scratch,
                        PfError *err)
{
    for (int v = 0; v < pf_ring_views(config); v++, out += pf_ring_crop_bytes(config)) {
        PfView view = pf_view_draw(config->view_seed, row->file.digest, v, image->width,
                                   image->height, config->preprocess->squash);
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
    bool decoded = bytes->width > 0;
    if (!decoded && pf_preprocess_decode(bytes->data, bytes->size_bytes, config->preprocess,
                                         &decoder->image, err))
        return -1;
    const PfImage *image = decoded ? &raw : &decoder->image;
    row->file.width = image->width;
    row->file.height = image->height;
    row->is_truncated = image->is_truncated;
    row->is_transparent = image->is_transparent;
    row->is_rotated = image->orientation > 1;
    if (pf_preprocess_check_shape(image, config->preprocess, err) ||
        pf_image_measure(image, row->file.statistics, err) ||
        pf_image_hash(image, &row->file.perceptual_hash, err))
        return -1;
    row->file.has_statistics = true;
    return render_views(config, image, row, out, &decoder->scratch, err);
}

static int64_t sample_at(const PfPipelineConfig *config, int64_t place)
{
    return config->samples ? config->samples[place] : place;
}

/* Whatever went wrong was not the image's fault: says at which it was noticed. */
static int fail_sample(const PfImageFile *file, PfError *err)
{
    PfError cause = *err;
    return pf_fail(err, (PfExit)cause.exit_code, "image '%s': %" PF_SENTENCE, file->path,
                   cause.message);
}

/* What a decode thread has to do next. */
typedef struct Place {
    int64_t number;
    PfBatch *batch; /* of the ring; NULL: it is prefetched */
    PfSlot *slot;
    uint8_t *pixels;
} Place;

/* Fills the slot and the pixels of a place. A file that cannot be used is marked in
 * the slot; -1 is kept for failures that are not the file's. */
static int decode_sample(const PfPipeline *pipeline, Decoder *decoder, const Place *place,
                         double *read_seconds, PfError *err)
{
    const PfPipelineConfig *config = &pipeline->config;
    PfSampleBytes *bytes = &decoder->bytes;
    PfSlot *slot = place->slot;
    double started = pf_clock_seconds();
    slot->state = PF_SLOT_GOOD;
    int64_t sample = sample_at(config, place->number);
    slot->row = (PfPipelineRow){.sample = sample,
                                .file.path = pf_dataset_samples(config->dataset)[sample].path};
    int unreadable = pf_sample_reader_take(pipeline->reader, place->number, bytes, err);
    *read_seconds += pf_clock_seconds() - started;
    if (!unreadable) {
        slot->row.file.stamp = bytes->stamp;
        pf_digest_xxh128(bytes->data, bytes->size_bytes, slot->row.file.digest);
        if (pipeline->contents &&
            !pf_contents_claim(pipeline->contents, place->number, slot->row.file.digest)) {
            slot->state = PF_SLOT_REPEATED;
            return 0;
        }
        if (!decode_bytes(config, decoder, &slot->row, place->pixels, err)) return 0;
    }
    if (err->exit_code == PF_EXIT_INTERRUPTED) return -1;
    if (err->exit_code != PF_EXIT_BAD_IMAGES) return fail_sample(&slot->row.file, err);
    slot->state = PF_SLOT_BAD;
    pf_format(slot->reason, sizeof slot->reason, "%" PF_SENTENCE, err->message);
    return 0;
}

/* ---- one after the other ---- */

/* The next place of the ring, where there is room for it. Caller holds the lock. */
static bool take_from_ring(PfPipeline *pipeline, Place *place)
{
    const int64_t size = pipeline->network.batch, number = pipeline->next_place / size;
    PfBatch *batch = pf_ring_at(pipeline, number);
    if (batch->number != number) return false;
    size_t i = (size_t)(pipeline->next_place % size);
    *place = (Place){.number = pipeline->next_place++,
                     .batch = batch,
                     .slot = &batch->slots[i],
                     .pixels = batch->pixels + i * pf_ring_sample_bytes(&pipeline->config)};
    return true;
}

/* The next place that is prefetched, where another thread may decode now. Caller holds the lock. */
static bool take_prefetched(PfPipeline *pipeline, Place *place)
{
    PfPrefetch *prefetch = &pipeline->prefetch;
    if (prefetch->taken >= prefetch->limit || prefetch->busy >= prefetch->most) return false;
    size_t i = (size_t)prefetch->taken;
    *place = (Place){.number = prefetch->taken++,
                     .slot = &prefetch->slots[i],
                     .pixels = prefetch->pixels + i * pf_ring_sample_bytes(&pipeline->config)};
    prefetch->busy++;
    return true;
}

/* Waits until there is room for the next place, and takes it; false when there is none any more. */
static bool take_place(PfPipeline *pipeline, Place *place)
{
    bool taken = false;
    double started = pf_clock_seconds();
    pthread_mutex_lock(&pipeline->lock);
    while (!pipeline->stopping && pipeline->next_place < pipeline->total) {
        taken = pipeline->run_started > 0 ? take_from_ring(pipeline, place)
                                          : take_prefetched(pipeline, place);
        if (taken) break;
        pthread_cond_wait(&pipeline->freed, &pipeline->lock);
    }
    if (started < pipeline->run_started) started = pipeline->run_started;
    if (pipeline->run_started > 0)
        pipeline->stats.decode_wait_seconds += pf_clock_seconds() - started;
    pthread_mutex_unlock(&pipeline->lock);
    return taken;
}

/* Nobody has to be woken for the next place that is prefetched: the caller takes it. */
static void place_done(PfPipeline *pipeline, const Place *place, double seconds,
                       double read_seconds)
{
    PfPrefetch *prefetch = &pipeline->prefetch;
    pthread_mutex_lock(&pipeline->lock);
    if (!place->batch) {
        prefetch->busy--;
        prefetch->left++;
        prefetch->seconds += seconds;
        pthread_cond_broadcast(&pipeline->advanced);
    } else {
        pipeline->stats.decode_seconds += seconds - read_seconds;
        pipeline->stats.read_seconds += read_seconds;
        if (--place->batch->pending == 0) pthread_cond_broadcast(&pipeline->advanced);
    }
    pthread_mutex_unlock(&pipeline->lock);
}

/* Copies into the ring what was prefetched. The last image frees the memory of them all. */
static void move_prefetched(PfPipeline *pipeline, const Place *place)
{
    PfPrefetch *prefetch = &pipeline->prefetch;
    size_t size = pf_ring_sample_bytes(&pipeline->config);
    *place->slot = prefetch->slots[place->number];
    memcpy(place->pixels, prefetch->pixels + (size_t)place->number * size, size);
    pthread_mutex_lock(&pipeline->lock);
    if (--prefetch->left == 0) pf_prefetch_free(pipeline);
    pthread_mutex_unlock(&pipeline->lock);
}

/* Decodes the image, unless it was prefetched. */
static int fill_place(PfPipeline *pipeline, Decoder *decoder, const Place *place,
                      double *read_seconds, PfError *err)
{
    if (!place->batch || place->number >= pipeline->prefetch.taken)
        return decode_sample(pipeline, decoder, place, read_seconds, err);
    move_prefetched(pipeline, place);
    return 0;
}

void *pf_pipeline_decode(void *argument)
{
    PfPipeline *pipeline = argument;
    Decoder decoder = {.image.limits = {pipeline->config.max_pixels, pipeline->config.interrupted}};
    PfError error = {0};
    for (Place place = {0}; take_place(pipeline, &place);) {
        double started = pf_clock_seconds(), read_seconds = 0;
        if (fill_place(pipeline, &decoder, &place, &read_seconds, &error)) {
            pf_ring_stop(pipeline, &error);
            break;
        }
        place_done(pipeline, &place, pf_clock_seconds() - started, read_seconds);
    }
    pf_sample_bytes_free(&decoder.bytes);
    pf_image_free(&decoder.image);
    pf_resize_scratch_free(&decoder.scratch);
    return NULL;
}
