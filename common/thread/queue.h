/* A bounded queue of pointers between threads, which can be closed.
 *
 * Closing is how both the end of the work and a failure travel: every blocked
 * push or pop then returns, and nobody hangs. */
#ifndef PF_COMMON_THREAD_QUEUE_H
#define PF_COMMON_THREAD_QUEUE_H

#include <stddef.h>

#include "permafrost/error.h"

typedef struct PfQueue PfQueue;

/* Room for `capacity` items. */
int pf_queue_new(size_t capacity, PfQueue **out, PfError *err);
/* Only when no thread uses it any more. Items left inside are not freed. */
void pf_queue_free(PfQueue **queue);

/* Blocks while full. 0, or -1 where the queue is closed (the item stays the caller's). */
int pf_queue_push(PfQueue *queue, void *item);
/* Blocks while empty. NULL once the queue is closed and drained. */
void *pf_queue_pop(PfQueue *queue);
/* No more pushes; what is inside can still be popped. */
void pf_queue_close(PfQueue *queue);
/* No more pushes and nothing more to pop: for giving up. */
void pf_queue_abort(PfQueue *queue);
/* Items inside at this moment. */
size_t pf_queue_length(PfQueue *queue);

#endif
