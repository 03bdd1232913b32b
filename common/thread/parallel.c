#include "common/thread/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "common/base/integers.h"

#define MAX_THREADS 256

typedef struct Loop {
    _Atomic int64_t next;
    int64_t count;
    void (*task)(void *context, int64_t index);
    void *context;
} Loop;

int pf_parallel_processor_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
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
    pthread_t helpers[MAX_THREADS];
    int64_t wanted = threads > 0 ? threads : pf_parallel_processor_count();
    wanted = pf_min(wanted, pf_min(count, MAX_THREADS));
    int started = 0;
    while (started + 1 < wanted && !pthread_create(&helpers[started], NULL, run_loop, &loop))
        started++;
    run_loop(&loop);
    for (int i = 0; i < started; i++) pthread_join(helpers[i], NULL);
}
