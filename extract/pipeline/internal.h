/* What a pipeline is made of, for its own files: the ring of batches (ring.c), the first image
 * of each content (contents.c), decode threads (decode.c) and forward threads (forward.c).
 * pipeline.c, which starts and joins them, stands above all of these. */
#ifndef PF_EXTRACT_PIPELINE_INTERNAL_H
#define PF_EXTRACT_PIPELINE_INTERNAL_H

#include <pthread.h>

#include "extract/dataset/sample_reader.h"
#include "extract/pipeline/pipeline.h"

/* ---- the first image of each content: contents.c ---- */

/* Which image of a run is the first with its content, whatever the order in which threads come to
 * read them: images of equal bytes are computed once. Places are 0, 1, 2, ... in the order of the
 * run. Any thread may call. */
typedef struct PfContents PfContents;

int pf_contents_new(int64_t places, PfContents **out, PfError *err);
void pf_contents_free(PfContents **contents);

/* The image at that place has this digest. True where no earlier place is known to have it; that
 * may still turn out otherwise, while earlier ones are being read. */
bool pf_contents_claim(PfContents *contents, int64_t place, const uint8_t digest[PF_DIGEST_SIZE]);
/* The first place that has claimed this digest; final for a place once all before it have claimed.
 */
int64_t pf_contents_first(PfContents *contents, const uint8_t digest[PF_DIGEST_SIZE]);

/* The image at `place` cannot be used; called in the order of places. */
int pf_contents_reject(PfContents *contents, int64_t place, const char *reason, PfError *err);
/* Why the image at that place cannot be used, lent; NULL where it can. */
const char *pf_contents_reason(PfContents *contents, int64_t place);

/* ---- what circulates ---- */

#define PF_SLOT_REASON_SIZE 240

typedef enum PfSlotState { PF_SLOT_GOOD, PF_SLOT_BAD, PF_SLOT_REPEATED } PfSlotState;

/* What became of one sample. Written by its decode thread until the batch is complete, then by the
 * forward thread, then read by the sink's. */
typedef struct PfSlot {
    PfPipelineRow row;
    PfSlotState state;
    char reason[PF_SLOT_REASON_SIZE]; /* of a bad one */
} PfSlot;

/* Images that are decoded while the network is still being loaded, when neither the batch nor the
 * memory that devices copy from is known: they move into the ring's batches afterwards. Everything
 * but the buffers' contents is under the lock. */
typedef struct PfPrefetch {
    int64_t limit;   /* places before it may be decoded; none is begun from the run on */
    int64_t taken;   /* places before it were taken by a decode thread */
    int busy, most;  /* threads that decode now, and at most */
    int64_t left;    /* decoded ones that have not moved into the ring yet */
    PfSlot *slots;   /* (as the limit was) */
    uint8_t *pixels; /* (as the limit was, views, crop, crop, 3) */
    double seconds;  /* of decode threads, summed */
} PfPrefetch;

/* A batch of the ring. Everything but the buffers' contents is under the lock. */
typedef struct PfBatch {
    int64_t number;      /* which batch of the run it holds now */
    int count;           /* samples in it */
    int pending;         /* samples not decoded yet */
    bool forwarded;      /* features are there */
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
    PfPrefetch prefetch;
    double run_started;   /* by pf_clock_seconds(); 0: there is no ring yet */
    int64_t next_place;   /* of the ring; places count the samples of the run */
    int64_t next_forward; /* batches before it were taken by a forward thread */
    bool stopping;
    PfError error;         /* the first one */
    PfPipelineStats stats; /* from the run on; what the sink's thread counts needs no lock */
};

/* ---- the ring: ring.c ---- */

int64_t pf_ring_total(const PfPipelineConfig *config);     /* samples */
int pf_ring_views(const PfPipelineConfig *config);         /* of an image, at least 1 */
size_t pf_ring_crop_bytes(const PfPipelineConfig *config); /* pixels of a view */
size_t pf_ring_sample_bytes(const PfPipelineConfig *config);
/* Values of a row of a tap, all views, and the bytes that they take. */
int64_t pf_ring_row_values(const PfPipelineConfig *config, const PfTapInfo *tap);
size_t pf_ring_row_bytes(const PfPipelineConfig *config, const PfPipelineNetwork *network,
                         const PfTapInfo *tap);

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

/* ---- from files to pixels: decode.c ---- */

/* A decode thread of the PfPipeline: samples are handed out in order under its lock. Ends when
 * there are none any more, or the run is over. */
void *pf_pipeline_decode(void *pipeline);

size_t pf_prefetch_memory(const PfPipelineConfig *config); /* bytes */
int pf_prefetch_allocate(PfPipeline *pipeline, PfError *err);
void pf_prefetch_free(PfPipeline *pipeline);
/* No other image is begun before the run, and those that were begun are waited for. The caller
 * holds the lock. */
void pf_prefetch_end(PfPipeline *pipeline);

/* ---- from pixels to features: forward.c ---- */

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
