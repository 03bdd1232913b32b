#include "common/thread/thread_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/thread/parallel.h"
#include "common/thread/processors.h"

/* Looks at a variable before a thread goes to sleep: some tens of microseconds,
 * about what waking it up would cost. */
#define SPINS 1000

struct PfThreadPool {
    pthread_t *threads;
    int started; /* threads beside the caller's */
    pthread_mutex_t lock;
    pthread_cond_t work;     /* a loop was opened, or the end */
    pthread_cond_t finished; /* busy became 0 */
    /* A loop is open from pf_thread_pool_for's begin to its last task handed out.
     * Only then do threads join it: its end waits for those, and for no thread
     * that has not woken up yet. */
    bool open, quit;        /* lock */
    _Atomic uint64_t loops; /* opened so far; written under lock */
    atomic_int busy;        /* threads in the loop; written under lock */
    /* The loop: constant while any thread is in it. */
    int64_t count;
    void (*task)(void *context, int64_t index);
    void *context;
    _Atomic int64_t next;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void run_tasks(PfThreadPool *pool)
{
    for (;;) {
        int64_t index = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (index >= pool->count) return;
        pool->task(pool->context, index);
    }
}

/* Returns with the lock held. */
static void wait_for_loop(PfThreadPool *pool, uint64_t seen)
{
    for (int i = 0; i < SPINS && atomic_load(&pool->loops) == seen; i++) relax();
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->loops) == seen && !pool->quit)
        pthread_cond_wait(&pool->work, &pool->lock);
}

static void *run_thread(void *argument)
{
    PfThreadPool *pool = argument;
    uint64_t seen = 0;
    for (;;) {
        wait_for_loop(pool, seen);
        bool joins = pool->open, quit = pool->quit;
        seen = atomic_load(&pool->loops);
        if (joins) atomic_fetch_add(&pool->busy, 1);
        pthread_mutex_unlock(&pool->lock);
        if (quit) return NULL;
        if (!joins) continue;
        run_tasks(pool);
        pthread_mutex_lock(&pool->lock);
        if (atomic_fetch_sub(&pool->busy, 1) == 1) pthread_cond_signal(&pool->finished);
        pthread_mutex_unlock(&pool->lock);
    }
}

int pf_thread_pool_new(int threads, PfThreadPool **out, PfError *err)
{
    int wanted = threads > 0 ? threads : pf_parallel_processor_count();
    if (wanted > PF_THREADS_MAX) wanted = PF_THREADS_MAX;
    PfThreadPool *pool = pf_calloc(1, sizeof *pool, err);
    if (!pool) return -1;
    pool->threads = pf_calloc((size_t)wanted, sizeof *pool->threads, err);
    if (!pool->threads) {
        free(pool);
        return -1;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->finished, NULL);
    while (pool->started + 1 < wanted &&
           !pthread_create(&pool->threads[pool->started], NULL, run_thread, pool))
        pool->started++;
    *out = pool;
    return 0;
}

void pf_thread_pool_free(PfThreadPool **out)
{
    PfThreadPool *pool = *out;
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->quit = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->started; i++) pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool);
    *out = NULL;
}

int pf_thread_pool_size(const PfThreadPool *pool)
{
    return pool ? pool->started + 1 : 1;
}

static void open_loop(PfThreadPool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->open = true;
    atomic_store(&pool->next, 0);
    atomic_fetch_add(&pool->loops, 1);
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_broadcast(&pool->work);
}

static void close_loop(PfThreadPool *pool)
{
    for (int i = 0; i < SPINS && atomic_load(&pool->busy); i++) relax();
    pthread_mutex_lock(&pool->lock);
    pool->open = false;
    while (atomic_load(&pool->busy)) pthread_cond_wait(&pool->finished, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void pf_thread_pool_for(PfThreadPool *pool, int64_t count,
                        void (*task)(void *context, int64_t index), void *context)
{
    if (!pool || !pool->started || count < 2) {
        for (int64_t i = 0; i < count; i++) task(context, i);
        return;
    }
    pool->count = count;
    pool->task = task;
    pool->context = context;
    open_loop(pool);
    run_tasks(pool);
    close_loop(pool);
}
