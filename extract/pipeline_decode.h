/* From files to pixels, one image after the other. */
#ifndef PF_PIPELINE_DECODE_H
#define PF_PIPELINE_DECODE_H

/* A decode thread of the PfPipeline: samples are handed out in order under its lock. Ends when
 * there are none any more, or the run is over. */
void *pf_pipeline_decode(void *pipeline);

#endif
