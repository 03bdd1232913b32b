/* Finished batches to the sink, on the caller's thread. */
#ifndef PF_PIPELINE_DRAIN_H
#define PF_PIPELINE_DRAIN_H

#include "pipeline_state.h"

/* Drains batches in order until the run is over, and ends it where there is a signal or the sink
 * fails. Returns how many were drained; -1 where the sink failed. stats is added to. */
int64_t pf_pipeline_drain(PfPipeline *pipeline, const PfPipelineSink *sink, PfPipelineStats *stats);

/* What had been computed when the run was ended is not lost: batches from `number` on, as far as
 * they are there. No other thread runs now. */
void pf_pipeline_drain_rest(PfPipeline *pipeline, int64_t number, const PfPipelineSink *sink,
                            PfPipelineStats *stats);

#endif
