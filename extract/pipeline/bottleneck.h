/* What held a run of extract back, and which option would move it: from what its stages waited for.
 */
#ifndef PF_EXTRACT_PIPELINE_BOTTLENECK_H
#define PF_EXTRACT_PIPELINE_BOTTLENECK_H

#include "extract/pipeline/pipeline.h"

typedef enum PfBottleneck {
    PF_BOUND_BY_LOADING,  /* the network, before anything else */
    PF_BOUND_BY_READING,  /* the image files */
    PF_BOUND_BY_DECODING, /* resizing included */
    PF_BOUND_BY_NETWORK,
    PF_BOUND_BY_JOURNAL, /* compressing, writing and syncing, as images go through */
    PF_BOUND_BY_CACHE,   /* making the file, after everything else */
    PF_BOUND_BY_NONE,    /* the stages waited for each other: few batches */
} PfBottleneck;

/* Of a run that has computed something: how long, and with what. */
typedef struct PfRunTimes {
    double weights_seconds; /* the network's, found, mapped and hashed; before all else */
    double load_seconds, cache_seconds; /* before and after the pipeline; nothing else runs then */
    PfPipelineStats pipeline;           /* of all passes */
    double compress_seconds;            /* summed over as many threads as there are processors */
    double disk_seconds;                /* writing and syncing */
    int workers, processors;
    int devices; /* that the network ran on, each with a forward thread */
    PfPrecision precision;
    bool is_gpu;            /* the network ran on one */
    bool processor_has_amx; /* for bf16 */
    bool fast_decode;
    PfCompression compression;
    int level; /* 0 = the compressor's default here */
} PfRunTimes;

/* Of the pipeline's wall time, 0 to 1: how much each stage was at work. */
typedef struct PfRunShares {
    double read, decode; /* of the time of all decode threads */
    double network;      /* of all devices' */
    double journal;
} PfRunShares;

PfRunShares pf_bottleneck_shares(const PfRunTimes *times);

/* Loading or making the file where that is more than half of the run; else the stage that was
 * at work most, if that was at least half of the time. */
PfBottleneck pf_bottleneck_find(const PfRunTimes *times);

/* "network", "reading": for programs to read; static. */
const char *pf_bottleneck_name(PfBottleneck bottleneck);

/* "bound by the network: 2.9 of 4 batches waited for it, 0.1 behind it; --precision bf16 computes
 * faster here": into text, which is returned. */
#define PF_BOTTLENECK_TEXT 200
const char *pf_bottleneck_text(PfBottleneck bottleneck, const PfRunTimes *times,
                               char text[PF_BOTTLENECK_TEXT]);

#endif
