/* A loop over independent tasks on several threads.
 *
 * Tasks are handed out in order under one counter. What a task computes must
 * depend on its index alone, so that results never depend on the number of
 * threads. */
#ifndef PF_COMMON_THREAD_PARALLEL_H
#define PF_COMMON_THREAD_PARALLEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Processors that this process may use, at least 1: see processors.h. */
int pf_parallel_processor_count(void);

/* Calls task(context, i) for every i in [0, count) on up to `threads` threads
 * (0 = all processors), the caller's among them; returns when all are done. If
 * a thread cannot be started the others do its share. */
void pf_parallel_for(int64_t count, int threads, void (*task)(void *context, int64_t index),
                     void *context);

#ifdef __cplusplus
}
#endif

#endif
