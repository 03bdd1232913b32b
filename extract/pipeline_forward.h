/* From pixels to features: a thread for each device. */
#ifndef PF_PIPELINE_FORWARD_H
#define PF_PIPELINE_FORWARD_H

#include "pipeline_state.h"

/* A device and what is under way on it. */
typedef struct PfForwardLane {
    PfPipeline *pipeline;
    PfBackbone *backbone;
    PfBatch *under_way[PF_BACKBONE_DEPTH_MAX]; /* (count) the oldest first */
    int count;
} PfForwardLane;

/* The forward thread of a PfForwardLane, the only caller of its backbone: sends it decoded batches
 * in order, as many at a time as it takes. When the run is over what is under way is still
 * collected; after a failure nothing is. */
void *pf_pipeline_forward(void *lane);

#endif
