#include "common/thread/queue.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/memory.h"

struct PfQueue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    size_t capacity, head, length; /* ring of `capacity` slots */
    bool closed, aborted;
    void *slots[];
};

int pf_queue_new(size_t capacity, PfQueue **out, PfError *err)
{
    PfQueue *queue = pf_calloc(1, sizeof *queue + capacity * sizeof queue->slots[0], err);
    if (!queue) return -1;
    queue->capacity = capacity;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->not_empty, NULL);
    pthread_cond_init(&queue->not_full, NULL);
    *out = queue;
    return 0;
}

void pf_queue_free(PfQueue **queue)
{
    if (!*queue) return;
    pthread_cond_destroy(&(*queue)->not_full);
    pthread_cond_destroy(&(*queue)->not_empty);
    pthread_mutex_destroy(&(*queue)->lock);
    free(*queue);
    *queue = NULL;
}

int pf_queue_push(PfQueue *queue, void *item)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->length == queue->capacity && !queue->closed)
        pthread_cond_wait(&queue->not_full, &queue->lock);
    bool closed = queue->closed;
    if (!closed) {
        queue->slots[(queue->head + queue->length++) % queue->capacity] = item;
        pthread_cond_signal(&queue->not_empty);
    }
    pthread_mutex_unlock(&queue->lock);
    return closed ? -1 : 0;
}

void *pf_queue_pop(PfQueue *queue)
{
    pthread_mutex_lock(&queue->lock);
    while (!queue->length && !queue->closed) pthread_cond_wait(&queue->not_empty, &queue->lock);
    void *item = NULL;
    if (queue->length && !queue->aborted) {
        item = queue->slots[queue->head];
        queue->head = (queue->head + 1) % queue->capacity;
        queue->length--;
        pthread_cond_signal(&queue->not_full);
    }
    pthread_mutex_unlock(&queue->lock);
    return item;
}

static void close_queue(PfQueue *queue, bool aborted)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    if (aborted) queue->aborted = true;
    pthread_cond_broadcast(&queue->not_empty);
    pthread_cond_broadcast(&queue->not_full);
    pthread_mutex_unlock(&queue->lock);
}

void pf_queue_close(PfQueue *queue)
{
    close_queue(queue, false);
}

void pf_queue_abort(PfQueue *queue)
{
    close_queue(queue, true);
}

size_t pf_queue_length(PfQueue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t length = queue->length;
    pthread_mutex_unlock(&queue->lock);
    return length;
}
