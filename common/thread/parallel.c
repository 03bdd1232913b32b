#include "common/thread/parallel.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/integers.h"
#include "common/thread/processors.h"

typedef struct Loop {
    _Atomic int64_t next;
    int64_t count;
    void (*task)(void *context, int64_t index);
    void *context;
} Loop;

int pf_parallel_processor_count(void)
{
    return pf_processors().count;
}

static void *run_loop(void *argument)
{
    Loop *loop = argument;
    for (;;) {
        int64_t index = atomic_fetch_add_explicit(&loop->next, 1, memory_order_relaxed);
        if (index >= loop->count) return NULL;
        loop->task(loop->context, index);
    }
}

void pf_parallel_for(int64_t count, int threads, void (*task)(void *context, int64_t index),
                     void *context)
{
    Loop loop = {.count = count, .task = task, .context = context};
    pthread_t helpers[PF_THREADS_MAX];
    int64_t wanted = threads > 0 ? threads : pf_parallel_processor_count();
    wanted = pf_min(wanted, pf_min(count, PF_THREADS_MAX));
    int started = 0;
    while (started + 1 < wanted && !pthread_create(&helpers[started], NULL, run_loop, &loop))
        started++;
    run_loop(&loop);
    for (int i = 0; i < started; i++) pthread_join(helpers[i], NULL);
}
