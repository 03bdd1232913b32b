/* The numbers in which a run of extract that has succeeded is summed up. */
#ifndef PF_EXTRACTION_SUMMARY_H
#define PF_EXTRACTION_SUMMARY_H

#include "bottleneck.h"
#include "extraction_state.h"

typedef struct PfExtractionSummary {
    int64_t rows, rejected; /* of the cache */
    int64_t computed;       /* of the rows, by this run */
    int64_t file_bytes;
    int64_t raw_bytes, stored_bytes; /* of the features that were written; 0: none were */
    double images_per_second;        /* of the pipeline; 0: nothing was computed, */
    PfRunTimes times;                /* and nothing */
    PfBottleneck bottleneck;         /* of this is known */
    double gflops, bare_gflops;      /* of the network, of a bare convolution; 0: not known */
    double seconds;                  /* from beginning to end */
    int64_t peak_memory_bytes;
} PfExtractionSummary;

/* Of a run whose cache is right, its journal still open if there was one. Where that is worth its
 * while (a long run, or -v) it closes the network and measures what the machine could have reached.
 */
void pf_extraction_sum_up(PfExtraction *run, PfExtractionSummary *summary);

#endif
