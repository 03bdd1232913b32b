/* Images that are decoded while the network is still being loaded, when neither the batch nor the
 * memory that devices copy from is known: they move into the ring's batches afterwards. */
#ifndef PF_PIPELINE_HEAD_START_H
#define PF_PIPELINE_HEAD_START_H

#include "pipeline_state.h"

size_t pf_head_start_memory(const PfPipelineConfig *config); /* bytes */

int pf_head_start_allocate(PfPipeline *pipeline, PfError *err);
void pf_head_start_free(PfPipeline *pipeline);

/* Whether the caller, a decode thread, may decode place `taken` now. Caller holds the lock, as in
 * the next three. */
int pf_head_start_has_room(const PfPipeline *pipeline);

/* Where that goes; `taken` and `busy` count it. */
PfSlot *pf_head_start_take(PfPipeline *pipeline, int64_t *place, uint8_t **pixels);

/* It is there. Nobody has to be woken for the next one: the caller takes it. */
void pf_head_start_done(PfPipeline *pipeline, double seconds);

/* No other is begun, and those that were are waited for. */
void pf_head_start_end(PfPipeline *pipeline);

/* Whether a place of the ring has been decoded before. */
int pf_head_start_has(const PfPipeline *pipeline, int64_t place);

/* Copies it there. The last one frees the memory. Any thread, without the lock. */
void pf_head_start_move(PfPipeline *pipeline, int64_t place, PfSlot *slot, uint8_t *pixels);

#endif
