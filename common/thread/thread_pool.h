/* Threads that stay between one parallel loop and the next: for loops so short
 * that starting threads for each (see parallel.h) would cost more than they bring.
 *
 * Between loops they watch for work for some microseconds, then sleep. Tasks are
 * handed out in order under one counter. What a task computes must depend on its
 * index alone, so that results never depend on the number of threads. */
#ifndef PF_COMMON_THREAD_THREAD_POOL_H
#define PF_COMMON_THREAD_THREAD_POOL_H

#include <stdint.h>

#include "permafrost/error.h"

typedef struct PfThreadPool PfThreadPool;

/* Loops will run on `threads` threads (0 = all processors), the caller's among
 * them; on fewer if some cannot be started. Fails only for lack of memory. */
int pf_thread_pool_new(int threads, PfThreadPool **out, PfError *err);
/* Not while a loop runs. */
void pf_thread_pool_free(PfThreadPool **pool);
/* Threads of a loop, the caller's included; 1 for NULL. */
int pf_thread_pool_size(const PfThreadPool *pool);

/* Calls task(context, i) for every i in [0, count); returns when all are done.
 * pool: NULL for the calling thread alone. One loop at a time: from one thread,
 * and not from inside a task. */
void pf_thread_pool_for(PfThreadPool *pool, int64_t count,
                        void (*task)(void *context, int64_t index), void *context);

#endif
