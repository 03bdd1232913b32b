/* Threads that encode chunks, and hand them back in the order they came.
 *
 * A fixed set of jobs circulates between one caller and the threads:
 *
 *     take -> the caller fills raw -> submit -> a thread encodes -> finished -> recycle
 *
 * so memory is bounded by the number of jobs, and order never depends on timing. */
#ifndef PF_FEATURE_CACHE_PACKER_H
#define PF_FEATURE_CACHE_PACKER_H

#include <stddef.h>
#include <stdint.h>

#include "feature_cache_chunk.h"
#include "permafrost/error.h"

typedef struct PfPackJob {
    int tap; /* the caller's, with first_row and rows */
    int64_t first_row, rows;
    const PfChunkFormat *format; /* the caller's; how to encode raw */
    unsigned char *raw;          /* filled by the caller between take and submit */
    unsigned char *stored;       /* filled by a thread */
    size_t stored_bytes;
    bool failed; /* then the error says why */
    PfError error;
    bool encoded; /* under the pool's lock */
    struct PfPackJob *next;
} PfPackJob;

typedef struct PfCachePacker PfCachePacker;

/* job_count jobs whose raw and stored buffers have room for the given sizes. */
int pf_cache_packer_new(size_t raw_capacity, size_t stored_capacity, int job_count,
                        int thread_count, PfCachePacker **out, PfError *err);
/* Drops what is under way, joins the threads and frees all jobs. */
void pf_cache_packer_free(PfCachePacker **pool);

/* A job that nobody uses. NULL where there is none: then finished returns one, if it waits. */
PfPackJob *pf_cache_packer_take(PfCachePacker *pool);
/* Hands the job to the threads. */
void pf_cache_packer_submit(PfCachePacker *pool, PfPackJob *job);
/* A job whose stored bytes the caller has filled takes its place in the order. */
void pf_cache_packer_submit_encoded(PfCachePacker *pool, PfPackJob *job);
/* The oldest of the submitted jobs. Where that is still being encoded, waits
 * for it or returns NULL, as asked; NULL too where none is under way. */
PfPackJob *pf_cache_packer_finished(PfCachePacker *pool, bool wait);
/* Makes a taken or finished job free again. */
void pf_cache_packer_recycle(PfCachePacker *pool, PfPackJob *job);

/* Seconds spent in encoding, summed over the threads. */
double pf_cache_packer_seconds(PfCachePacker *pool);

#endif
