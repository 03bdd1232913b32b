/* The batches that circulate between the threads of a pipeline. */
#include <stdlib.h>

#include "common/base/memory.h"
#include "extract/backbone/session.h"
#include "extract/image/pixel_tap.h"
#include "extract/pipeline/internal.h"

/* ---- sizes ---- */

int64_t pf_ring_total(const PfPipelineConfig *config)
{
    return config->samples ? config->sample_count : pf_dataset_count(config->dataset);
}

int pf_ring_views(const PfPipelineConfig *config)
{
    return config->views > 1 ? config->views : 1;
}

size_t pf_ring_crop_bytes(const PfPipelineConfig *config)
{
    return (size_t)config->preprocess->crop * (size_t)config->preprocess->crop * 3;
}

size_t pf_ring_sample_bytes(const PfPipelineConfig *config)
{
    return (size_t)pf_ring_views(config) * pf_ring_crop_bytes(config);
}

int64_t pf_ring_row_values(const PfPipelineConfig *config, const PfTapInfo *tap)
{
    return pf_ring_views(config) * pf_shape_count(&tap->shape);
}

size_t pf_ring_row_bytes(const PfPipelineConfig *config, const PfPipelineNetwork *network,
                         const PfTapInfo *tap)
{
    PfDtype dtype = pf_pixel_tap_dtype(tap->name, network->output_dtype);
    return (size_t)pf_ring_row_values(config, tap) * pf_dtype_size(dtype);
}

/* ---- going round ---- */

PfBatch *pf_ring_at(const PfPipeline *pipeline, int64_t number)
{
    return &pipeline->ring[number % pipeline->depth];
}

/* Gives a batch of the ring its next number. Caller holds the lock, or is alone. */
static void assign(PfPipeline *pipeline, PfBatch *batch, int64_t number)
{
    const int most = pipeline->network.batch;
    const int64_t left = pipeline->total - number * most;
    batch->number = number;
    batch->count = left < 0 ? 0 : left < most ? (int)left : most;
    batch->pending = batch->count;
    batch->forwarded = false;
}

void pf_ring_recycle(PfPipeline *pipeline, PfBatch *batch)
{
    pthread_mutex_lock(&pipeline->lock);
    assign(pipeline, batch, batch->number + pipeline->depth);
    pthread_cond_broadcast(&pipeline->freed);
    pthread_mutex_unlock(&pipeline->lock);
}

void pf_ring_stop_locked(PfPipeline *pipeline, const PfError *error)
{
    if (!pipeline->stopping && error) pipeline->error = *error;
    pipeline->stopping = true;
    pthread_cond_broadcast(&pipeline->freed);
    pthread_cond_broadcast(&pipeline->advanced);
}

void pf_ring_stop(PfPipeline *pipeline, const PfError *error)
{
    pthread_mutex_lock(&pipeline->lock);
    pf_ring_stop_locked(pipeline, error);
    pthread_mutex_unlock(&pipeline->lock);
}

int pf_ring_count_decoded(const PfPipeline *pipeline)
{
    int count = 0;
    for (int i = 0; i < pipeline->depth; i++) {
        const PfBatch *batch = &pipeline->ring[i];
        count += batch->count && !batch->pending && batch->number >= pipeline->next_forward;
    }
    return count;
}

int pf_ring_count_computed(const PfPipeline *pipeline)
{
    int count = 0;
    for (int i = 0; i < pipeline->depth; i++) count += pipeline->ring[i].forwarded;
    return count;
}

/* ---- memory ---- */

/* What devices copy from and to. Any of them may use what the first one gave. */
static void *allocate_lent(const PfPipelineNetwork *network, size_t count, size_t size,
                           PfError *err)
{
    return pf_backbone_allocate(network->plugin, network->backbones[0], count * size, err);
}

static void release_lent(const PfPipelineNetwork *network, void *memory)
{
    pf_backbone_release(network->plugin, network->backbones[0], memory);
}

static int allocate_batch(const PfPipeline *pipeline, PfBatch *batch, PfError *err)
{
    const PfPipelineConfig *config = &pipeline->config;
    const PfPipelineNetwork *network = &pipeline->network;
    size_t size = (size_t)network->batch;
    batch->pixels = allocate_lent(network, size, pf_ring_sample_bytes(config), err);
    batch->slots = pf_calloc(size, sizeof *batch->slots, err);
    batch->rows = pf_calloc(size, sizeof *batch->rows, err);
    batch->features = pf_calloc((size_t)pipeline->tap_count, sizeof *batch->features, err);
    if (!batch->pixels || !batch->slots || !batch->rows || !batch->features) return -1;
    for (int t = 0; t < pipeline->tap_count; t++) {
        batch->features[t] = allocate_lent(
            network, size, pf_ring_row_bytes(config, network, &pipeline->taps[t]), err);
        if (!batch->features[t]) return -1;
    }
    return 0;
}

static void free_batch(const PfPipeline *pipeline, PfBatch *batch)
{
    for (int t = 0; batch->features && t < pipeline->tap_count; t++)
        release_lent(&pipeline->network, batch->features[t]);
    free(batch->features);
    free(batch->rows);
    free(batch->slots);
    release_lent(&pipeline->network, batch->pixels);
}

int pf_ring_allocate(PfPipeline *pipeline, PfError *err)
{
    pipeline->ring = pf_calloc((size_t)pipeline->depth, sizeof *pipeline->ring, err);
    if (!pipeline->ring) return -1;
    for (int i = 0; i < pipeline->depth; i++) {
        if (allocate_batch(pipeline, &pipeline->ring[i], err)) return -1;
        assign(pipeline, &pipeline->ring[i], i);
    }
    return 0;
}

void pf_ring_free(PfPipeline *pipeline)
{
    for (int i = 0; pipeline->ring && i < pipeline->depth; i++)
        free_batch(pipeline, &pipeline->ring[i]);
    free(pipeline->ring);
    pipeline->ring = NULL;
}
