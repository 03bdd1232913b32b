#include "extract/dataset/sample_reader.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/integers.h"
#include "common/base/memory.h"

#define HELD_BYTES ((int64_t)64 << 20)
#define HELD_PER_READER 4
#define FREE (-1)

/* A file that is being read, or waits to be taken. */
typedef struct Held {
    int64_t place; /* FREE, or what is in it */
    bool is_read;
    int failed;
    PfError error;       /* why */
    PfSampleBytes bytes; /* its reader's until is_read */
    pthread_cond_t read; /* it is there for the one that wants it */
} Held;

struct PfSampleReader {
    PfSampleReaderConfig config;
    pthread_t *threads;
    int thread_count;
    Held *held; /* (held_count) place p goes to p % held_count */
    int held_count;
    pthread_mutex_t lock; /* of all below, and of the states above */
    pthread_cond_t freed; /* there is a buffer for the next place, or it is over */
    int64_t next;         /* place that is read next */
    bool stopping;
};

int pf_sample_reader_held(const PfSampleReaderConfig *config)
{
    int64_t held = (int64_t)config->readers * HELD_PER_READER;
    if (!pf_dataset_has_files(config->dataset)) return 0;
    held = pf_min(held, config->count);
    if (held > 1 && config->largest_file > 0 && held > HELD_BYTES / config->largest_file)
        held = HELD_BYTES / config->largest_file;
    return (int)(config->readers > 0 && held < 1 ? 1 : held);
}

static int64_t sample_at(const PfSampleReader *reader, int64_t place)
{
    return reader->config.samples ? reader->config.samples[place] : place;
}

/* ---- the reading threads ---- */

static Held *next_free(PfSampleReader *reader)
{
    Held *next = &reader->held[reader->next % reader->held_count];
    return reader->next < reader->config.count && next->place == FREE ? next : NULL;
}

/* Waits until there is a free buffer for the next place, and claims it; NULL when all places have
 * been claimed. Then wakes one other thread if there is work for it too. Waking all of them would
 * be in vain for all but one. */
static Held *claim(PfSampleReader *reader)
{
    Held *held = NULL;
    pthread_mutex_lock(&reader->lock);
    while (!reader->stopping && reader->next < reader->config.count && !(held = next_free(reader)))
        pthread_cond_wait(&reader->freed, &reader->lock);
    if (held) {
        held->place = reader->next++;
        held->is_read = false;
    }
    if (next_free(reader) || reader->next >= reader->config.count)
        pthread_cond_signal(&reader->freed);
    pthread_mutex_unlock(&reader->lock);
    return held;
}

static void *reading_thread(void *argument)
{
    PfSampleReader *reader = argument;
    for (Held *held; (held = claim(reader)) != NULL;) {
        held->error = (PfError){0};
        held->failed = pf_dataset_read(reader->config.dataset, sample_at(reader, held->place),
                                       &held->bytes, &held->error);
        pthread_mutex_lock(&reader->lock);
        held->is_read = true;
        pthread_cond_broadcast(&held->read); /* another may wait for what will be there next */
        pthread_mutex_unlock(&reader->lock);
    }
    return NULL;
}

/* ---- taking ---- */

static void exchange(PfSampleBytes *a, PfSampleBytes *b)
{
    PfSampleBytes kept = *a;
    *a = *b;
    *b = kept;
}

int pf_sample_reader_take(PfSampleReader *reader, int64_t place, PfSampleBytes *bytes, PfError *err)
{
    if (!reader->thread_count)
        return pf_dataset_read(reader->config.dataset, sample_at(reader, place), bytes, err);
    Held *held = &reader->held[place % reader->held_count];
    pthread_mutex_lock(&reader->lock);
    while (held->place != place || !held->is_read) pthread_cond_wait(&held->read, &reader->lock);
    exchange(&held->bytes, bytes);
    int failed = held->failed;
    if (failed && err) *err = held->error;
    held->place = FREE;
    if (next_free(reader) == held) pthread_cond_signal(&reader->freed);
    pthread_mutex_unlock(&reader->lock);
    return failed;
}

/* ---- beginning and end ---- */

static void start_threads(PfSampleReader *reader)
{
    int wanted = (int)pf_min(reader->config.readers, reader->held_count);
    while (reader->thread_count < wanted &&
           !pthread_create(&reader->threads[reader->thread_count], NULL, reading_thread, reader))
        reader->thread_count++;
}

int pf_sample_reader_open(const PfSampleReaderConfig *config, PfSampleReader **out, PfError *err)
{
    PfSampleReader *reader = pf_calloc(1, sizeof *reader, err);
    if (!reader) return -1;
    reader->config = *config;
    reader->held_count = pf_sample_reader_held(config);
    pthread_mutex_init(&reader->lock, NULL);
    pthread_cond_init(&reader->freed, NULL);
    *out = reader;
    if (!reader->held_count) return 0;
    if (!(reader->threads = pf_calloc((size_t)reader->held_count, sizeof *reader->threads, err)) ||
        !(reader->held = pf_calloc((size_t)reader->held_count, sizeof *reader->held, err))) {
        pf_sample_reader_close(out);
        return -1;
    }
    for (int i = 0; i < reader->held_count; i++) {
        reader->held[i].place = FREE;
        pthread_cond_init(&reader->held[i].read, NULL);
    }
    start_threads(reader);
    return 0;
}

void pf_sample_reader_close(PfSampleReader **reader)
{
    PfSampleReader *it = *reader;
    if (!it) return;
    pthread_mutex_lock(&it->lock);
    it->stopping = true;
    pthread_cond_broadcast(&it->freed);
    pthread_mutex_unlock(&it->lock);
    for (int i = 0; i < it->thread_count; i++) pthread_join(it->threads[i], NULL);
    for (int i = 0; it->held && i < it->held_count; i++) {
        pthread_cond_destroy(&it->held[i].read);
        pf_sample_bytes_free(&it->held[i].bytes);
    }
    pthread_cond_destroy(&it->freed);
    pthread_mutex_destroy(&it->lock);
    free(it->threads);
    free(it->held);
    free(it);
    *reader = NULL;
}
