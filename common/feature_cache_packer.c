#include "feature_cache_packer.h"

#include <pthread.h>
#include <stdlib.h>

#include "clock.h"
#include "memory.h"
#include "queue.h"

struct PfCachePacker {
    PfPackJob *jobs;
    int job_count;
    PfPackJob *free_jobs;       /* the caller's */
    PfPackJob *oldest, *newest; /* submitted and not yet finished; the caller's */
    PfQueue *work;              /* never full: it has room for every job */
    pthread_mutex_t lock;       /* of encoded and seconds */
    pthread_cond_t one_encoded;
    double seconds;
    int thread_count;
    pthread_t threads[];
};

static void encode(PfChunkCodec *codec, PfPackJob *job)
{
    job->failed = pf_chunk_encode(codec, job->format, job->raw, job->stored, &job->stored_bytes,
                                  &job->error) != 0;
}

static void *run_thread(void *argument)
{
    PfCachePacker *packer = argument;
    PfChunkCodec *codec = NULL;
    PfPackJob *job;
    PfError err;
    int failed = pf_chunk_codec_new(&codec, &err);
    while ((job = pf_queue_pop(packer->work))) {
        double start = pf_seconds();
        if (failed) {
            job->failed = 1;
            job->error = err;
        } else {
            encode(codec, job);
        }
        pthread_mutex_lock(&packer->lock);
        job->encoded = 1;
        packer->seconds += pf_seconds() - start;
        pthread_cond_signal(&packer->one_encoded);
        pthread_mutex_unlock(&packer->lock);
    }
    pf_chunk_codec_free(&codec);
    return NULL;
}

static int make_jobs(PfCachePacker *packer, size_t raw_capacity, size_t stored_capacity,
                     int job_count, PfError *err)
{
    packer->jobs = pf_calloc((size_t)job_count, sizeof *packer->jobs, err);
    if (!packer->jobs) return -1;
    packer->job_count = job_count;
    for (int i = job_count - 1; i >= 0; i--) {
        PfPackJob *job = &packer->jobs[i];
        job->raw = pf_alloc_aligned(raw_capacity, 1, err);
        job->stored = pf_alloc_aligned(stored_capacity, 1, err);
        if (!job->raw || !job->stored) return -1;
        pf_cache_packer_recycle(packer, job);
    }
    return 0;
}

static int start_threads(PfCachePacker *packer, int thread_count, PfError *err)
{
    while (packer->thread_count < thread_count) {
        if (pthread_create(&packer->threads[packer->thread_count], NULL, run_thread, packer)) break;
        packer->thread_count++;
    }
    /* Fewer threads are slower, none is the end. */
    if (packer->thread_count) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "cannot start a thread to compress features");
}

int pf_cache_packer_new(size_t raw_capacity, size_t stored_capacity, int job_count,
                        int thread_count, PfCachePacker **out, PfError *err)
{
    PfCachePacker *packer =
        pf_calloc(1, sizeof *packer + (size_t)thread_count * sizeof packer->threads[0], err);
    if (!packer) return -1;
    pthread_mutex_init(&packer->lock, NULL);
    pthread_cond_init(&packer->one_encoded, NULL);
    if (make_jobs(packer, raw_capacity, stored_capacity, job_count, err) ||
        pf_queue_new((size_t)job_count, &packer->work, err) ||
        start_threads(packer, thread_count, err)) {
        pf_cache_packer_free(&packer);
        return -1;
    }
    *out = packer;
    return 0;
}

void pf_cache_packer_free(PfCachePacker **pointer)
{
    PfCachePacker *packer = *pointer;
    if (!packer) return;
    if (packer->work) pf_queue_abort(packer->work);
    for (int i = 0; i < packer->thread_count; i++) pthread_join(packer->threads[i], NULL);
    pf_queue_free(&packer->work);
    for (int i = 0; i < packer->job_count; i++) {
        free(packer->jobs[i].raw);
        free(packer->jobs[i].stored);
    }
    free(packer->jobs);
    pthread_cond_destroy(&packer->one_encoded);
    pthread_mutex_destroy(&packer->lock);
    free(packer);
    *pointer = NULL;
}

PfPackJob *pf_cache_packer_take(PfCachePacker *packer)
{
    PfPackJob *job = packer->free_jobs;
    if (!job) return NULL;
    packer->free_jobs = job->next;
    job->next = NULL;
    job->encoded = job->failed = 0;
    return job;
}

static void note_order(PfCachePacker *packer, PfPackJob *job)
{
    if (packer->newest)
        packer->newest->next = job;
    else
        packer->oldest = job;
    packer->newest = job;
}

void pf_cache_packer_submit(PfCachePacker *packer, PfPackJob *job)
{
    note_order(packer, job);
    pf_queue_push(packer->work, job);
}

void pf_cache_packer_submit_encoded(PfCachePacker *packer, PfPackJob *job)
{
    job->encoded = 1;
    note_order(packer, job);
}

PfPackJob *pf_cache_packer_finished(PfCachePacker *packer, int wait)
{
    PfPackJob *job = packer->oldest;
    if (!job) return NULL;
    pthread_mutex_lock(&packer->lock);
    while (wait && !job->encoded) pthread_cond_wait(&packer->one_encoded, &packer->lock);
    int encoded = job->encoded;
    pthread_mutex_unlock(&packer->lock);
    if (!encoded) return NULL;
    packer->oldest = job->next;
    if (!packer->oldest) packer->newest = NULL;
    job->next = NULL;
    return job;
}

void pf_cache_packer_recycle(PfCachePacker *packer, PfPackJob *job)
{
    job->next = packer->free_jobs;
    packer->free_jobs = job;
}

double pf_cache_packer_seconds(PfCachePacker *packer)
{
    pthread_mutex_lock(&packer->lock);
    double seconds = packer->seconds;
    pthread_mutex_unlock(&packer->lock);
    return seconds;
}
