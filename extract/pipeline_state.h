/* Everything that a pipeline holds, for the files that it is made of. */
#ifndef PF_PIPELINE_STATE_H
#define PF_PIPELINE_STATE_H

#include <pthread.h>

#include "pipeline.h"
#include "pipeline_contents.h"
#include "sample_reader.h"

#define PF_SLOT_REASON_SIZE 240

typedef enum PfSlotState { PF_SLOT_GOOD, PF_SLOT_BAD, PF_SLOT_REPEATED } PfSlotState;

/* What became of one sample. Written by its decode thread until the batch is
 * complete, then by the forward thread, then read by the sink's. */
typedef struct PfSlot {
    PfPipelineRow row;
    PfSlotState state;
    char reason[PF_SLOT_REASON_SIZE]; /* of a bad one */
} PfSlot;

/* What was decoded before there was a ring. Everything but the buffers' contents is under the
 * lock. */
typedef struct PfHeadStart {
    int64_t limit;   /* places before it may be decoded; none is begun from the run on */
    int64_t taken;   /* places before it were taken by a decode thread */
    int busy, most;  /* threads that decode now, and at most */
    int64_t left;    /* decoded ones that have not moved into the ring yet */
    PfSlot *slots;   /* (as the limit was) */
    uint8_t *pixels; /* (as the limit was, views, crop, crop, 3) */
    double seconds;  /* of decode threads, summed */
} PfHeadStart;

/* A batch of the ring. Everything but the buffers' contents is under the lock. */
typedef struct PfBatch {
    int64_t number;      /* which batch of the run it holds now */
    int count;           /* samples in it */
    int pending;         /* samples not decoded yet */
    int forwarded;       /* features are there */
    uint8_t *pixels;     /* (batch, views, crop, crop, 3) */
    PfSlot *slots;       /* (batch) */
    PfPipelineRow *rows; /* (batch) the good ones, in order; after they were sent to a device */
    int row_count;
    void **features; /* per tap (batch, views, shape) */
} PfBatch;

struct PfPipeline {
    PfPipelineConfig config;
    PfPipelineNetwork network;
    const PfTapInfo *taps;
    int tap_count;
    int64_t total, batch_count;
    int depth;
    PfBatch *ring;
    PfContents *contents; /* NULL unless config->once */
    PfSampleReader *reader;
    pthread_t *decoding; /* (decoding_count) */
    int decoding_count;

    pthread_mutex_t lock;
    pthread_cond_t freed;    /* there may be room to decode into */
    pthread_cond_t advanced; /* a batch was decoded or forwarded, or the run is over */
    PfHeadStart head_start;
    double run_started;   /* by pf_seconds(); 0: there is no ring yet */
    int64_t next_place;   /* of the ring; places count the samples of the run */
    int64_t next_forward; /* batches before it were taken by a forward thread */
    int stopping;
    PfError error; /* the first one */
    double read_seconds, decode_seconds, decode_wait_seconds;
    double forward_seconds, forward_wait_seconds;
    int64_t forward_takes, decoded_waiting, sink_takes, computed_waiting; /* see PfPipelineStats */
};

#endif
