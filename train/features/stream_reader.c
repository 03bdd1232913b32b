#include "train/features/stream_reader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/memory.h"
#include "common/thread/parallel.h"
#include "train/features/feature_memory.h"

/* ---- what is read together ---- */

static int64_t count_distinct(const PfStreamPart *part)
{
    int64_t distinct = part->count > 0;
    for (int64_t i = 1; i < part->count; i++)
        distinct += part->rows[i * part->stride] != part->rows[(i - 1) * part->stride];
    return distinct;
}

static int add_part(PfStreamPlan *plan, PfStreamPart part, PfError *err)
{
    if (pf_grow(&plan->parts, &plan->part_capacity, (size_t)plan->part_count + 1,
                sizeof *plan->parts, err))
        return -1;
    part.distinct = count_distinct(&part);
    plan->parts[plan->part_count++] = part;
    return 0;
}

/* A part for every run that has rows. */
static int cut_runs(PfStreamPlan *plan, const PfCacheRun *runs, int64_t run_count,
                    const int32_t *rows, int64_t count, PfError *err)
{
    int64_t first = 0;
    plan->part_count = 0;
    for (int64_t r = 0; r < run_count; r++) {
        int64_t end = first;
        while (end < count && rows[end] < runs[r].first + runs[r].count) end++;
        PfStreamPart part = {
            .run = runs[r], .rows = rows + first, .count = end - first, .stride = 1};
        if (part.count && add_part(plan, part, err)) return -1;
        first = end;
    }
    return 0;
}

/* Where rows repeat, as in balanced draws, those of a rare class may all be in one run: it is cut
 * into pieces that come in different windows. All pieces together are at most as many as runs. */
static int spread_repetitions(PfStreamPlan *plan, int64_t count, PfError *err)
{
    int64_t run_count = plan->part_count, average = run_count ? count / run_count + 1 : 1;
    for (int64_t p = 0; p < run_count; p++) {
        PfStreamPart whole = plan->parts[p];
        int64_t pieces = whole.count >= 2 * whole.distinct ? whole.count / average : 1;
        for (int64_t i = 0; i < pieces && pieces > 1; i++) {
            PfStreamPart piece = {.run = whole.run,
                                  .rows = whole.rows + i,
                                  .count = (whole.count - i + pieces - 1) / pieces,
                                  .stride = pieces};
            if (i && add_part(plan, piece, err)) return -1;
            if (i) continue;
            piece.distinct = count_distinct(&piece);
            plan->parts[p] = piece;
        }
    }
    return 0;
}

static void shuffle_parts(PfStreamPlan *plan, PfRandom *random)
{
    for (int64_t i = plan->part_count; i > 1; i--) {
        int64_t other = (int64_t)pf_random_below(random, (uint64_t)i);
        PfStreamPart swapped = plan->parts[i - 1];
        plan->parts[i - 1] = plan->parts[other];
        plan->parts[other] = swapped;
    }
}

static int64_t distinct_rows(const PfStreamPlan *plan, int64_t *longest)
{
    int64_t sum = 0;
    *longest = 0;
    for (int64_t p = 0; p < plan->part_count; p++) {
        int64_t distinct = plan->parts[p].distinct;
        sum += distinct;
        if (distinct > *longest) *longest = distinct;
    }
    return sum;
}

static int end_window(PfStreamPlan *plan, int64_t end, PfError *err)
{
    if (pf_grow(&plan->ends, &plan->window_capacity, (size_t)plan->window_count + 1,
                sizeof *plan->ends, err))
        return -1;
    plan->ends[plan->window_count++] = end;
    return 0;
}

static int divide(PfStreamPlan *plan, int64_t window_rows, PfError *err)
{
    int64_t longest, total = distinct_rows(plan, &longest), done = 0, inside = 0;
    int64_t usable = window_rows > 2 * longest ? window_rows - longest : longest;
    int64_t windows = total <= window_rows ? 1 : (total + usable - 1) / usable;
    plan->window_count = 0;
    for (int64_t p = 0; p < plan->part_count; p++) {
        int64_t distinct = plan->parts[p].distinct;
        int is_full = inside + distinct > window_rows ||
                      done >= (double)total * (double)(plan->window_count + 1) / (double)windows;
        if (inside && is_full) {
            if (end_window(plan, p, err)) return -1;
            inside = 0;
        }
        inside += distinct;
        done += distinct;
    }
    return inside ? end_window(plan, plan->part_count, err) : 0;
}

int pf_stream_plan(PfStreamPlan *plan, const PfCacheRun *runs, int64_t run_count,
                   const int32_t *rows, int64_t count, int64_t window_rows, PfRandom *shuffle,
                   PfError *err)
{
    if (cut_runs(plan, runs, run_count, rows, count, err)) return -1;
    if (shuffle && spread_repetitions(plan, count, err)) return -1;
    if (shuffle) shuffle_parts(plan, shuffle);
    return divide(plan, window_rows, err);
}

void pf_stream_plan_free(PfStreamPlan *plan)
{
    free(plan->parts);
    free(plan->ends);
    *plan = (PfStreamPlan){0};
}

/* ---- reading ahead ---- */

/* Between two looks for an interruption: a tenth of a second. */
#define LOOK_NANOSECONDS 100000000

typedef enum State { IDLE, ASKED, READ, LEAVING } State;

struct PfStreamReader {
    const PfFeatureStream *stream;
    size_t view_bytes, row_bytes; /* of one view, and of all */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* state */
    State state;            /* lock */
    /* What is read: constant while ASKED. */
    const PfStreamPart *parts;
    int64_t count;
    unsigned char *out;
    PfViewDraw draw;
    PfCacheRun *runs; /* (count) of the parts */
    size_t run_capacity;
    int64_t *places; /* (count) of the parts' first rows in out */
    size_t place_capacity;
    atomic_int cancelled, failed;
    PfError error; /* of who set failed */
};

/* ---- on the reading threads ---- */

static void copy_rows(const PfStreamReader *reader, const PfStreamPart *part, const void *run,
                      unsigned char *out)
{
    size_t view_bytes = reader->view_bytes;
    for (int64_t i = 0; i < part->count; i++) {
        int32_t row = part->rows[i * part->stride];
        if (i && row == part->rows[(i - 1) * part->stride]) continue;
        const unsigned char *from = run;
        from += (size_t)(row - part->run.first) * reader->row_bytes;
        memcpy(out, from + (size_t)pf_view_draw_of(&reader->draw, row) * view_bytes, view_bytes);
        out += view_bytes;
    }
}

static void fail(PfStreamReader *reader, const PfError *error)
{
    pthread_mutex_lock(&reader->lock);
    if (!atomic_exchange(&reader->failed, 1)) reader->error = *error;
    pthread_mutex_unlock(&reader->lock);
}

static void add_seconds(PfStreamSeconds *seconds, const PfCacheBlock *block)
{
    if (!seconds) return;
    atomic_fetch_add(&seconds->read_nanoseconds, (int64_t)(1e9 * block->read_seconds));
    atomic_fetch_add(&seconds->unpack_nanoseconds, (int64_t)(1e9 * block->unpack_seconds));
}

static int take_block(void *context, const PfCacheBlock *block)
{
    PfStreamReader *reader = context;
    const PfStreamPart *part = &reader->parts[block->run];
    add_seconds(reader->stream->seconds, block);
    if (block->rows)
        copy_rows(reader, part, block->rows,
                  reader->out + (size_t)reader->places[block->run] * reader->view_bytes);
    else
        fail(reader, block->error);
    return atomic_load(&reader->cancelled) || atomic_load(&reader->failed);
}

static void read_parts(PfStreamReader *reader)
{
    const PfFeatureStream *stream = reader->stream;
    int threads = stream->threads > 0 ? stream->threads : pf_parallel_processor_count();
    if (threads > PF_STREAM_READERS) threads = PF_STREAM_READERS;
    pf_cache_visit_runs(stream->cache, stream->tap, reader->runs, reader->count, threads,
                        take_block, reader);
}

static void *run_thread(void *context)
{
    PfStreamReader *reader = context;
    pthread_mutex_lock(&reader->lock);
    for (;;) {
        while (reader->state == IDLE || reader->state == READ)
            pthread_cond_wait(&reader->changed, &reader->lock);
        if (reader->state == LEAVING) break;
        pthread_mutex_unlock(&reader->lock);
        read_parts(reader);
        pthread_mutex_lock(&reader->lock);
        reader->state = READ;
        pthread_cond_broadcast(&reader->changed);
    }
    pthread_mutex_unlock(&reader->lock);
    return NULL;
}

/* ---- on the caller's ---- */

static void set_state(PfStreamReader *reader, State state)
{
    pthread_mutex_lock(&reader->lock);
    reader->state = state;
    pthread_cond_broadcast(&reader->changed);
    pthread_mutex_unlock(&reader->lock);
}

int pf_stream_reader_new(const PfFeatureTable *table, PfStreamReader **out, PfError *err)
{
    const PfFeatureStream *stream = table->stream;
    const PfCacheTap *tap = pf_cache_tap(stream->cache, stream->tap);
    PfStreamReader *reader = pf_calloc(1, sizeof *reader, err);
    if (!reader) return -1;
    reader->stream = stream;
    reader->view_bytes = (size_t)table->features * pf_dtype_size(tap->dtype);
    reader->row_bytes = (size_t)table->views * reader->view_bytes;
    pthread_mutex_init(&reader->lock, NULL);
    pthread_cond_init(&reader->changed, NULL);
    /* Where there is no thread to be had, pf_stream_reader_wait reads. */
    reader->has_thread = !pthread_create(&reader->thread, NULL, run_thread, reader);
    *out = reader;
    return 0;
}

void pf_stream_reader_free(PfStreamReader **pointer)
{
    PfStreamReader *reader = *pointer;
    if (!reader) return;
    pf_stream_reader_cancel(reader);
    set_state(reader, LEAVING);
    if (reader->has_thread) pthread_join(reader->thread, NULL);
    pthread_cond_destroy(&reader->changed);
    pthread_mutex_destroy(&reader->lock);
    free(reader->runs);
    free(reader->places);
    free(reader);
    *pointer = NULL;
}

int pf_stream_reader_start(PfStreamReader *reader, const PfStreamPart *parts, int64_t count,
                           void *out, const PfViewDraw *draw, PfError *err)
{
    int64_t place = 0;
    if (pf_grow(&reader->runs, &reader->run_capacity, (size_t)count, sizeof *reader->runs, err) ||
        pf_grow(&reader->places, &reader->place_capacity, (size_t)count, sizeof *reader->places,
                err))
        return -1;
    for (int64_t i = 0; i < count; place += parts[i++].distinct) {
        reader->runs[i] = parts[i].run;
        reader->places[i] = place;
    }
    reader->parts = parts;
    reader->count = count;
    reader->out = out;
    reader->draw = *draw;
    atomic_store(&reader->cancelled, 0);
    atomic_store(&reader->failed, 0);
    set_state(reader, ASKED);
    return 0;
}

/* Only this thread looks at the flag that signals set. */
static bool is_interrupted(const PfStreamReader *reader)
{
    return reader->stream->interrupted && *reader->stream->interrupted;
}

/* Waits for what is being read, looking up now and then. Returns whether it was interrupted. */
static bool wait_for_reader(PfStreamReader *reader)
{
    pthread_mutex_lock(&reader->lock);
    while (reader->state == ASKED) {
        struct timespec until;
        if (is_interrupted(reader)) atomic_store(&reader->cancelled, 1);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_NANOSECONDS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&reader->changed, &reader->lock, &until);
    }
    pthread_mutex_unlock(&reader->lock);
    return is_interrupted(reader);
}

int pf_stream_reader_wait(PfStreamReader *reader, PfError *err)
{
    if (!reader->has_thread && reader->state == ASKED) {
        if (!atomic_load(&reader->cancelled)) read_parts(reader);
        reader->state = READ;
    }
    bool is_ended = wait_for_reader(reader);
    set_state(reader, IDLE);
    if (is_ended)
        return pf_fail(err, PF_EXIT_INTERRUPTED,
                       "interrupted while reading '%s'; nothing was written",
                       pf_cache_path(reader->stream->cache));
    if (!atomic_load(&reader->failed)) return 0;
    if (err) *err = reader->error;
    return -1;
}

void pf_stream_reader_cancel(PfStreamReader *reader)
{
    atomic_store(&reader->cancelled, 1);
    pf_stream_reader_wait(reader, NULL);
}
