#include "common/cache/codec/compress_pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/thread/queue.h"

struct PfCompressPool {
    PfCompressJob *jobs;
    int job_count;
    PfCompressJob *free_jobs;       /* the caller's */
    PfCompressJob *oldest, *newest; /* submitted and not yet finished; the caller's */
    PfQueue *work;                  /* never full: it has room for every job */
    pthread_mutex_t lock;           /* of encoded and seconds */
    pthread_cond_t one_encoded;
    double seconds;
    int thread_count;
    pthread_t threads[];
};

static void encode(PfChunkCodec *codec, PfCompressJob *job)
{
    job->failed = pf_chunk_encode(codec, job->format, job->raw, job->stored, &job->stored_bytes,
                                  &job->error) != 0;
}

static void *run_thread(void *argument)
{
    PfCompressPool *pool = argument;
    PfChunkCodec *codec = NULL;
    PfCompressJob *job;
    PfError err;
    int failed = pf_chunk_codec_new(&codec, &err);
    while ((job = pf_queue_pop(pool->work))) {
        double start = pf_clock_seconds();
        if (failed) {
            job->failed = true;
            job->error = err;
        } else {
            encode(codec, job);
        }
        pthread_mutex_lock(&pool->lock);
        job->encoded = true;
        pool->seconds += pf_clock_seconds() - start;
        pthread_cond_signal(&pool->one_encoded);
        pthread_mutex_unlock(&pool->lock);
    }
    pf_chunk_codec_free(&codec);
    return NULL;
}

static int make_jobs(PfCompressPool *pool, size_t raw_capacity, size_t stored_capacity,
                     int job_count, PfError *err)
{
    pool->jobs = pf_calloc((size_t)job_count, sizeof *pool->jobs, err);
    if (!pool->jobs) return -1;
    pool->job_count = job_count;
    for (int i = job_count - 1; i >= 0; i--) {
        PfCompressJob *job = &pool->jobs[i];
        job->raw = pf_alloc_aligned(raw_capacity, 1, err);
        job->stored = pf_alloc_aligned(stored_capacity, 1, err);
        if (!job->raw || !job->stored) return -1;
        pf_compress_pool_recycle(pool, job);
    }
    return 0;
}

static int start_threads(PfCompressPool *pool, int thread_count, PfError *err)
{
    while (pool->thread_count < thread_count) {
        if (pthread_create(&pool->threads[pool->thread_count], NULL, run_thread, pool)) break;
        pool->thread_count++;
    }
    /* Fewer threads than asked for only take longer; without any, nothing is ever encoded. */
    if (pool->thread_count) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "cannot start a thread to compress features");
}

int pf_compress_pool_new(size_t raw_capacity, size_t stored_capacity, int job_count,
                         int thread_count, PfCompressPool **out, PfError *err)
{
    PfCompressPool *pool =
        pf_calloc(1, sizeof *pool + (size_t)thread_count * sizeof pool->threads[0], err);
    if (!pool) return -1;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->one_encoded, NULL);
    if (make_jobs(pool, raw_capacity, stored_capacity, job_count, err) ||
        pf_queue_new((size_t)job_count, &pool->work, err) ||
        start_threads(pool, thread_count, err)) {
        pf_compress_pool_free(&pool);
        return -1;
    }
    *out = pool;
    return 0;
}

void pf_compress_pool_free(PfCompressPool **pointer)
{
    PfCompressPool *pool = *pointer;
    if (!pool) return;
    if (pool->work) pf_queue_abort(pool->work);
    for (int i = 0; i < pool->thread_count; i++) pthread_join(pool->threads[i], NULL);
    pf_queue_free(&pool->work);
    for (int i = 0; i < pool->job_count; i++) {
        free(pool->jobs[i].raw);
        free(pool->jobs[i].stored);
    }
    free(pool->jobs);
    pthread_cond_destroy(&pool->one_encoded);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
    *pointer = NULL;
}

PfCompressJob *pf_compress_pool_take(PfCompressPool *pool)
{
    PfCompressJob *job = pool->free_jobs;
    if (!job) return NULL;
    pool->free_jobs = job->next;
    job->next = NULL;
    job->encoded = job->failed = false;
    return job;
}

static void note_order(PfCompressPool *pool, PfCompressJob *job)
{
    if (pool->newest)
        pool->newest->next = job;
    else
        pool->oldest = job;
    pool->newest = job;
}

void pf_compress_pool_submit(PfCompressPool *pool, PfCompressJob *job)
{
    note_order(pool, job);
    pf_queue_push(pool->work, job);
}

void pf_compress_pool_submit_encoded(PfCompressPool *pool, PfCompressJob *job)
{
    job->encoded = true;
    note_order(pool, job);
}

PfCompressJob *pf_compress_pool_finished(PfCompressPool *pool, bool wait)
{
    PfCompressJob *job = pool->oldest;
    if (!job) return NULL;
    pthread_mutex_lock(&pool->lock);
    while (wait && !job->encoded) pthread_cond_wait(&pool->one_encoded, &pool->lock);
    bool encoded = job->encoded;
    pthread_mutex_unlock(&pool->lock);
    if (!encoded) return NULL;
    pool->oldest = job->next;
    if (!pool->oldest) pool->newest = NULL;
    job->next = NULL;
    return job;
}

void pf_compress_pool_recycle(PfCompressPool *pool, PfCompressJob *job)
{
    job->next = pool->free_jobs;
    pool->free_jobs = job;
}

double pf_compress_pool_seconds(PfCompressPool *pool)
{
    pthread_mutex_lock(&pool->lock);
    double seconds = pool->seconds;
    pthread_mutex_unlock(&pool->lock);
    return seconds;
}
