#include "pipeline_head_start.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "pipeline_ring.h"

/* ---- memory ---- */

static size_t bytes_each(const PfPipelineConfig *config)
{
    return pf_ring_sample_bytes(config) + sizeof(PfSlot);
}

static int64_t limit_of(const PfPipelineConfig *config)
{
    int64_t fitting = (int64_t)(PF_HEAD_START_BYTES / bytes_each(config));
    int64_t total = pf_pipeline_total(config);
    int64_t most = config->head_start > 0 ? config->head_start : fitting;
    return total < most ? total : most;
}

size_t pf_head_start_memory(const PfPipelineConfig *config)
{
    return (size_t)limit_of(config) * bytes_each(config);
}

/* What no image is decoded into is never touched, and takes no memory. */
int pf_head_start_allocate(PfPipeline *pipeline, PfError *err)
{
    const PfPipelineConfig *config = &pipeline->config;
    PfHeadStart *head = &pipeline->head_start;
    head->limit = limit_of(config);
    head->most = config->workers > 1 ? config->workers - 1 : 1;
    size_t count = (size_t)head->limit;
    head->slots = pf_calloc(count + 1, sizeof *head->slots, err);
    head->pixels = pf_alloc_aligned(count, pf_ring_sample_bytes(config), err);
    return head->slots && head->pixels ? 0 : -1;
}

void pf_head_start_free(PfPipeline *pipeline)
{
    PfHeadStart *head = &pipeline->head_start;
    free(head->slots);
    free(head->pixels);
    head->slots = NULL;
    head->pixels = NULL;
}

/* ---- before the run ---- */

int pf_head_start_has_room(const PfPipeline *pipeline)
{
    const PfHeadStart *head = &pipeline->head_start;
    return head->taken < head->limit && head->busy < head->most;
}

PfSlot *pf_head_start_take(PfPipeline *pipeline, int64_t *place, uint8_t **pixels)
{
    PfHeadStart *head = &pipeline->head_start;
    *place = head->taken++;
    *pixels = head->pixels + (size_t)*place * pf_ring_sample_bytes(&pipeline->config);
    head->busy++;
    return &head->slots[*place];
}

void pf_head_start_done(PfPipeline *pipeline, double seconds)
{
    PfHeadStart *head = &pipeline->head_start;
    head->busy--;
    head->left++;
    head->seconds += seconds;
    pthread_cond_broadcast(&pipeline->advanced);
}

void pf_head_start_end(PfPipeline *pipeline)
{
    PfHeadStart *head = &pipeline->head_start;
    head->limit = head->taken;
    while (head->busy && !pipeline->stopping)
        pthread_cond_wait(&pipeline->advanced, &pipeline->lock);
    if (!head->busy && !head->left) pf_head_start_free(pipeline);
}

/* ---- in the run ---- */

int pf_head_start_has(const PfPipeline *pipeline, int64_t place)
{
    return place < pipeline->head_start.taken;
}

void pf_head_start_move(PfPipeline *pipeline, int64_t place, PfSlot *slot, uint8_t *pixels)
{
    PfHeadStart *head = &pipeline->head_start;
    size_t size = pf_ring_sample_bytes(&pipeline->config);
    *slot = head->slots[place];
    memcpy(pixels, head->pixels + (size_t)place * size, size);
    pthread_mutex_lock(&pipeline->lock);
    if (--head->left == 0) pf_head_start_free(pipeline);
    pthread_mutex_unlock(&pipeline->lock);
}
