/* The batches that circulate between the threads of a pipeline. */
#ifndef PF_PIPELINE_RING_H
#define PF_PIPELINE_RING_H

#include "pipeline_state.h"

int pf_ring_views(const PfPipelineConfig *config);         /* of an image, at least 1 */
size_t pf_ring_crop_bytes(const PfPipelineConfig *config); /* pixels of a view */
size_t pf_ring_sample_bytes(const PfPipelineConfig *config);
/* Values of a row of a tap, all views. */
int64_t pf_ring_row_values(const PfPipelineConfig *config, const PfTapInfo *tap);

int64_t pf_pipeline_total(const PfPipelineConfig *config); /* samples */

/* What is read ahead. */
PfSampleReaderConfig pf_pipeline_reading(const PfPipelineConfig *config);

/* Batches of the ring, their buffers as the first device wants them, numbered from 0. */
int pf_ring_allocate(PfPipeline *pipeline, PfError *err);
void pf_ring_free(PfPipeline *pipeline);

/* The place in the ring of a batch of the run. */
PfBatch *pf_ring_at(const PfPipeline *pipeline, int64_t number);

/* A drained batch becomes the one that has no place yet. */
void pf_ring_recycle(PfPipeline *pipeline, PfBatch *batch);

/* Ends the run: everybody who waits is woken, and of several errors the first one stays.
 * error NULL: there is none. ..._locked: the caller holds the lock. */
void pf_ring_stop(PfPipeline *pipeline, const PfError *error);
void pf_ring_stop_locked(PfPipeline *pipeline, const PfError *error);

/* How many batches lie ready: decoded and not yet taken, computed and not yet drained.
 * The caller holds the lock. */
int pf_ring_count_decoded(const PfPipeline *pipeline);
int pf_ring_count_computed(const PfPipeline *pipeline);

#endif
