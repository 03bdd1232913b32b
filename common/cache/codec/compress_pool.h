/* Threads that encode chunks, and hand them back in the order they came.
 *
 * A fixed set of jobs circulates between one caller and the threads:
 *
 *     take -> the caller fills raw -> submit -> a thread encodes -> finished -> recycle
 *
 * so memory is bounded by the number of jobs, and order never depends on timing. */
#ifndef PF_COMMON_CACHE_CODEC_COMPRESS_POOL_H
#define PF_COMMON_CACHE_CODEC_COMPRESS_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "common/cache/codec/chunk.h"
#include "permafrost/error.h"

typedef struct PfCompressJob {
    int tap; /* the caller's, with first_row and rows */
    int64_t first_row, rows;
    const PfChunkFormat *format; /* the caller's; how to encode raw */
    unsigned char *raw;          /* filled by the caller between take and submit */
    unsigned char *stored;       /* filled by a thread */
    size_t stored_bytes;
    bool failed; /* then the error says why */
    PfError error;
    bool encoded; /* under the pool's lock */
    struct PfCompressJob *next;
} PfCompressJob;

typedef struct PfCompressPool PfCompressPool;

/* job_count jobs whose raw and stored buffers have room for the given sizes. */
int pf_compress_pool_new(size_t raw_capacity, size_t stored_capacity, int job_count,
                         int thread_count, PfCompressPool **out, PfError *err);
/* Drops what is under way, joins the threads and frees all jobs. */
void pf_compress_pool_free(PfCompressPool **pool);

/* A job that nobody uses. NULL where there is none: then finished returns one, if it waits. */
PfCompressJob *pf_compress_pool_take(PfCompressPool *pool);
/* Hands the job to the threads. */
void pf_compress_pool_submit(PfCompressPool *pool, PfCompressJob *job);
/* A job whose stored bytes the caller has filled takes its place in the order. */
void pf_compress_pool_submit_encoded(PfCompressPool *pool, PfCompressJob *job);
/* The oldest of the submitted jobs. Where that is still being encoded, waits
 * for it or returns NULL, as asked; NULL too where none is under way. */
PfCompressJob *pf_compress_pool_finished(PfCompressPool *pool, bool wait);
/* Makes a taken or finished job free again. */
void pf_compress_pool_recycle(PfCompressPool *pool, PfCompressJob *job);

/* Seconds spent in encoding, summed over the threads. */
double pf_compress_pool_seconds(PfCompressPool *pool);

#endif
