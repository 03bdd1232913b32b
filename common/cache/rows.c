#include "common/cache/internal.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/thread/parallel.h"

/* What H5Dread is given at a time where its rows are converted afterwards. */
#define BLOCK_BYTES ((size_t)4 * 1024 * 1024)
/* As much as a chunk of ours, where chunks do not say how many rows go together. */
#define NO_CHUNK_BYTES ((size_t)512 * 1024)
/* Runs shorter than this are joined: a read has a price of its own. */
#define RUN_BYTES ((size_t)64 << 10)

size_t pf_cache_rows_row_bytes(const PfCacheRows *rows)
{
    return pf_hdf5_tap_row_bytes(rows->stored);
}

/* Rows of the same tap in a source, which has it: that was checked when it was opened. */
static const PfCacheRows *rows_in(const PfCache *source, const PfCacheRows *rows)
{
    int index = 0;
    pf_cache_find_tap(source, rows->stored->info.name, &index, NULL);
    return &source->rows[index];
}

int pf_cache_rows_hold(const PfCacheRows *rows, int64_t row, PfCacheRowsPart *part, PfError *err)
{
    PfCacheSources *sources = rows->cache->sources;
    if (!sources) {
        *part = (PfCacheRowsPart){0, rows->stored->row_count, rows, -1};
        return 0;
    }
    const int index = pf_cache_sources_find(sources, row);
    const PfCache *source = pf_cache_sources_hold(sources, index, err);
    if (!source) return -1;
    *part = (PfCacheRowsPart){.rows = rows_in(source, rows), .source = index};
    pf_cache_sources_range(sources, index, &part->first_row, &part->end_row);
    return 0;
}

void pf_cache_rows_release(const PfCacheRows *rows, const PfCacheRowsPart *part)
{
    if (part->source >= 0) pf_cache_sources_release(rows->cache->sources, part->source);
}

int64_t pf_cache_rows_block_rows(const PfCacheRows *rows)
{
    size_t row_bytes = pf_cache_rows_row_bytes(rows);
    if (rows->stored->is_direct) return rows->stored->chunk_rows;
    return pf_max((int64_t)(NO_CHUNK_BYTES / row_bytes), 1);
}

/* ---- one chunk ---- */

static int fail_chunk(const PfCacheRows *rows, int64_t first, const char *wrong, PfError *err)
{
    const PfHdf5Tap *stored = rows->stored;
    int64_t last = pf_min(first + stored->chunk_rows, stored->row_count) - 1;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': rows %lld to %lld of /features/%s cannot be read: %s.\n"
                   "The file is damaged; make it again (extract --force)",
                   pf_cache_path(rows->cache), (long long)first, (long long)last, stored->info.name,
                   wrong);
}

/* As pf_hdf5_tap_read_chunk. */
static const char *read_raw(const PfCacheRows *rows, int64_t first, void *stored, size_t capacity,
                            size_t *stored_bytes, PfChunkFormat *format)
{
    if (rows->cache->child)
        return pf_cache_remote_chunk(rows->cache, rows->tap, first, stored, capacity, stored_bytes,
                                     format);
    return pf_hdf5_tap_read_chunk(rows->stored, first, stored, capacity, stored_bytes, format);
}

int pf_cache_rows_read_stored(const PfCacheRows *rows, int64_t first, void *stored, size_t capacity,
                              size_t *stored_bytes, PfChunkFormat *format, PfError *err)
{
    const char *wrong = read_raw(rows, first, stored, capacity, stored_bytes, format);
    if (!wrong) wrong = pf_chunk_check(format, stored, *stored_bytes);
    return wrong ? fail_chunk(rows, first, wrong, err) : 0;
}

/* ---- chunks, in parallel ---- */

typedef struct Reading {
    const PfCacheRows *rows;
    PfCacheRowsWorkers *workers;
    int64_t first, count;
    bool as_f32;
    unsigned char *out;
    size_t out_row_bytes;
    int64_t end_chunk;
    _Atomic int64_t next_chunk;
    _Atomic bool failed;
    pthread_mutex_t lock; /* of err */
    PfError *err;
} Reading;

/* The first failure is the one that is reported. */
static void fail_reading(Reading *reading, const PfError *err)
{
    pthread_mutex_lock(&reading->lock);
    if (!atomic_exchange(&reading->failed, true) && reading->err) *reading->err = *err;
    pthread_mutex_unlock(&reading->lock);
}

/* Makes sure that *buffer has room for size bytes; what is in it may be lost. */
static int make_room(unsigned char **buffer, size_t *capacity, size_t size, PfError *err)
{
    if (size <= *capacity) return 0;
    free(*buffer);
    *buffer = pf_alloc_aligned(size, 1, err);
    *capacity = *buffer ? size : 0;
    return *buffer ? 0 : -1;
}

static int prepare_worker(PfCacheRowsWorker *worker, const PfChunkFormat *format, PfError *err)
{
    if (!worker->codec && pf_chunk_codec_new(&worker->codec, err)) return -1;
    if (make_room(&worker->stored, &worker->stored_capacity, pf_chunk_bound(format), err))
        return -1;
    return make_room(&worker->raw, &worker->raw_capacity, format->raw_bytes, err);
}

static int read_chunk(const Reading *reading, int64_t chunk, PfCacheRowsWorker *worker,
                      PfError *err)
{
    const PfCacheRows *rows = reading->rows;
    int64_t start = chunk * rows->stored->chunk_rows, end = start + rows->stored->chunk_rows;
    size_t stored_bytes;
    PfChunkFormat format;
    double began = pf_clock_seconds();
    const char *wrong =
        read_raw(rows, start, worker->stored, worker->stored_capacity, &stored_bytes, &format);
    double got = pf_clock_seconds();
    worker->read_seconds += got - began;
    if (wrong) return fail_chunk(rows, start, wrong, err);

    int64_t from = pf_max(start, reading->first);
    int64_t to = pf_min(end, reading->first + reading->count);
    unsigned char *out = reading->out + (size_t)(from - reading->first) * reading->out_row_bytes;
    bool converts = reading->as_f32 && rows->stored->info.dtype != PF_DTYPE_F32;
    bool in_place = !converts && from == start && to == end;

    wrong = pf_chunk_decode(worker->codec, &format, worker->stored, stored_bytes,
                            in_place ? out : worker->raw);
    worker->unpack_seconds += pf_clock_seconds() - got;
    if (wrong) return fail_chunk(rows, start, wrong, err);
    const unsigned char *raw = worker->raw + (size_t)(from - start) * pf_cache_rows_row_bytes(rows);
    size_t row_count = (size_t)(to - from);
    if (converts)
        pf_f32_from_dtype_array((float *)(void *)out, raw, rows->stored->info.dtype,
                                row_count * rows->stored->row_elements);
    else if (!in_place)
        memcpy(out, raw, row_count * pf_cache_rows_row_bytes(rows));
    return 0;
}

static void read_chunks(void *context, int64_t index)
{
    Reading *reading = context;
    PfCacheRowsWorker *worker = &reading->workers->items[index];
    PfError err;
    int failed = prepare_worker(worker, &reading->rows->stored->format, &err);
    while (!failed && !atomic_load(&reading->failed)) {
        int64_t chunk = atomic_fetch_add(&reading->next_chunk, 1);
        if (chunk >= reading->end_chunk) break;
        failed = read_chunk(reading, chunk, worker, &err);
    }
    if (failed) fail_reading(reading, &err);
}

static int grow_workers(PfCacheRowsWorkers *workers, int count, PfError *err)
{
    size_t capacity = (size_t)workers->count;
    if (count <= workers->count) return 0;
    if (pf_grow(&workers->items, &capacity, (size_t)count, sizeof *workers->items, err)) return -1;
    memset(&workers->items[workers->count], 0,
           (capacity - (size_t)workers->count) * sizeof *workers->items);
    workers->count = (int)capacity;
    return 0;
}

void pf_cache_rows_free_workers(PfCacheRowsWorkers *workers)
{
    for (int i = 0; i < workers->count; i++) {
        pf_chunk_codec_free(&workers->items[i].codec);
        free(workers->items[i].stored);
        free(workers->items[i].raw);
    }
    free(workers->items);
    *workers = (PfCacheRowsWorkers){0};
}

static int read_direct(Reading *reading, int threads)
{
    int64_t chunk_rows = reading->rows->stored->chunk_rows;
    int64_t first_chunk = reading->first / chunk_rows;
    reading->end_chunk = (reading->first + reading->count - 1) / chunk_rows + 1;
    atomic_init(&reading->next_chunk, first_chunk);
    int64_t wanted = pf_min(threads > 0 ? threads : pf_parallel_processor_count(),
                            reading->end_chunk - first_chunk);
    if (grow_workers(reading->workers, (int)wanted, reading->err)) return -1;
    pthread_mutex_init(&reading->lock, NULL);
    pf_parallel_for(wanted, (int)wanted, read_chunks, reading);
    pthread_mutex_destroy(&reading->lock);
    return atomic_load(&reading->failed) ? -1 : 0;
}

/* ---- through HDF5 ---- */

/* As pf_hdf5_tap_read_rows; a child process is asked for parts, since it has seconds for each. */
static int read_block(const PfCacheRows *rows, int64_t first, int64_t count, void *out,
                      PfError *err)
{
    const PfCache *cache = rows->cache;
    if (!cache->child)
        return pf_hdf5_tap_read_rows(rows->stored, pf_cache_path(cache), first, count, out, err);
    while (count > 0) {
        /* Up to where whole requests end, so that no chunk is asked for twice. */
        int64_t most = rows->stored->request_rows;
        int64_t part = pf_min(most - first % most, count);
        if (pf_cache_remote_rows(cache, rows->tap, first, part, out, err)) return -1;
        out = (unsigned char *)out + (size_t)part * pf_cache_rows_row_bytes(rows);
        first += part;
        count -= part;
    }
    return 0;
}

static int read_converted(const Reading *reading)
{
    const PfCacheRows *rows = reading->rows;
    int64_t block_rows =
        pf_min((int64_t)(BLOCK_BYTES / pf_cache_rows_row_bytes(rows)) + 1, reading->count);
    void *block = pf_alloc_aligned((size_t)block_rows, pf_cache_rows_row_bytes(rows), reading->err);
    if (!block) return -1;
    int failed = 0;
    for (int64_t done = 0; done < reading->count && !failed; done += block_rows) {
        int64_t count = pf_min(reading->count - done, block_rows);
        failed = read_block(rows, reading->first + done, count, block, reading->err);
        if (!failed)
            pf_f32_from_dtype_array(
                (float *)(void *)(reading->out + (size_t)done * reading->out_row_bytes), block,
                rows->stored->info.dtype, (size_t)count * rows->stored->row_elements);
    }
    free(block);
    return failed;
}

/* Part after part, each by all threads. */
static int read_parts(const PfCacheRows *rows, PfCacheRowsWorkers *workers, int64_t first,
                      int64_t count, bool as_f32, void *out, int threads, PfError *err)
{
    size_t out_row_bytes =
        as_f32 ? rows->stored->row_elements * sizeof(float) : pf_cache_rows_row_bytes(rows);
    while (count > 0) {
        PfCacheRowsPart part;
        if (pf_cache_rows_hold(rows, first, &part, err)) return -1;
        int64_t there = pf_min(part.end_row - first, count);
        int failed = pf_cache_rows_read(part.rows, workers, first - part.first_row, there, as_f32,
                                        out, threads, err);
        pf_cache_rows_release(rows, &part);
        if (failed) return -1;
        out = (unsigned char *)out + (size_t)there * out_row_bytes;
        first += there;
        count -= there;
    }
    return 0;
}

int pf_cache_rows_read(const PfCacheRows *rows, PfCacheRowsWorkers *workers, int64_t first,
                       int64_t count, bool as_f32, void *out, int threads, PfError *err)
{
    Reading reading = {
        .rows = rows,
        .workers = workers,
        .first = first,
        .count = count,
        .as_f32 = as_f32,
        .out = out,
        .out_row_bytes =
            as_f32 ? rows->stored->row_elements * sizeof(float) : pf_cache_rows_row_bytes(rows),
        .err = err,
    };
    if (!count) return 0;
    if (rows->cache->sources)
        return read_parts(rows, workers, first, count, as_f32, out, threads, err);
    if (rows->stored->is_direct) return read_direct(&reading, threads);
    if (as_f32 && rows->stored->info.dtype != PF_DTYPE_F32) return read_converted(&reading);
    return read_block(rows, first, count, out, err);
}

/* ---- rows as callers ask for them ---- */

static int read_rows(PfCache *cache, int tap, int64_t first, int64_t count, bool as_f32, void *out,
                     int threads, PfError *err)
{
    assert(first >= 0 && count >= 0 && first + count <= pf_cache_row_count(cache));
    return pf_cache_rows_read(pf_cache_reader_rows(cache, tap), &cache->workers, first, count,
                              as_f32, out, threads, err);
}

int pf_cache_read_f32(PfCache *cache, int tap, int64_t first, int64_t count, float *out,
                      int threads, PfError *err)
{
    return read_rows(cache, tap, first, count, true, out, threads, err);
}

int pf_cache_read(PfCache *cache, int tap, int64_t first, int64_t count, void *out, int threads,
                  PfError *err)
{
    return read_rows(cache, tap, first, count, false, out, threads, err);
}

/* ---- visiting ---- */

/* Over blocks of a tap: some runs, or, block_rows at a time, all rows of a part, which is held. */
typedef struct Visit {
    const PfCacheRows *rows;
    PfCacheRowsPart part;
    int64_t block_rows; /* of a part; of runs the most */
    const PfCacheRun *runs;
    int64_t block_count;
    PfCacheBlockVisitor *visitor;
    void *context;
    _Atomic int64_t next_block;
    _Atomic bool stopped;
} Visit;

static PfCacheBlock find_block(const Visit *visit, int64_t index)
{
    if (visit->runs) {
        const PfCacheRun *run = &visit->runs[index];
        return (PfCacheBlock){.first = run->first, .count = run->count, .run = index};
    }
    const PfCacheRowsPart *part = &visit->part;
    const int64_t first = part->first_row + index * visit->block_rows;
    return (PfCacheBlock){.first = first,
                          .count = pf_min(part->end_row - first, visit->block_rows)};
}

static void clear_seconds(PfCacheRowsWorkers *workers)
{
    for (int i = 0; i < workers->count; i++)
        workers->items[i].read_seconds = workers->items[i].unpack_seconds = 0;
}

static void add_seconds(const PfCacheRowsWorkers *workers, PfCacheBlock *block)
{
    for (int i = 0; i < workers->count; i++) {
        block->read_seconds += workers->items[i].read_seconds;
        block->unpack_seconds += workers->items[i].unpack_seconds;
    }
}

static void visit_block(Visit *visit, int64_t index, PfCacheRowsWorkers *workers, void *buffer)
{
    PfError err = {0};
    PfCacheBlock block = find_block(visit, index);
    block.rows = buffer;
    clear_seconds(workers);
    if (!buffer)
        pf_fail(&err, PF_EXIT_FAILED, "out of memory");
    else if (pf_cache_rows_read(visit->rows, workers, block.first, block.count, false, buffer, 1,
                                &err))
        block.rows = NULL;
    if (!block.rows) block.error = &err;
    add_seconds(workers, &block);
    if (visit->visitor(visit->context, &block)) atomic_store(&visit->stopped, true);
}

static void visit_blocks(void *context, int64_t index)
{
    (void)index;
    Visit *visit = context;
    PfCacheRowsWorkers workers = {0};
    void *buffer =
        pf_alloc_aligned((size_t)visit->block_rows, pf_cache_rows_row_bytes(visit->rows), NULL);
    while (!atomic_load(&visit->stopped)) {
        int64_t block = atomic_fetch_add(&visit->next_block, 1);
        if (block >= visit->block_count) break;
        visit_block(visit, block, &workers, buffer);
    }
    pf_cache_rows_free_workers(&workers);
    free(buffer);
}

static void visit_in_parallel(Visit *visit, int threads)
{
    if (threads < 1) threads = pf_parallel_processor_count();
    if (threads > visit->block_count) threads = (int)visit->block_count;
    atomic_store(&visit->next_block, 0);
    pf_parallel_for(threads, threads, visit_blocks, visit);
}

/* Rows [first, end) that are one file's, all of them where the cache is not virtual. */
static void find_range(const PfCacheRows *rows, int64_t row, int64_t *first, int64_t *end)
{
    const PfCacheSources *sources = rows->cache->sources;
    *first = 0;
    *end = rows->stored->row_count;
    if (sources) pf_cache_sources_range(sources, pf_cache_sources_find(sources, row), first, end);
}

/* A file that cannot be opened is one block, with the error. */
static void visit_failure(Visit *visit, int64_t row, const PfError *err)
{
    PfCacheBlock block = {.error = err};
    int64_t end;
    find_range(visit->rows, row, &block.first, &end);
    block.count = end - block.first;
    if (visit->visitor(visit->context, &block)) atomic_store(&visit->stopped, true);
}

static void visit_part(Visit *visit, int threads)
{
    const PfCacheRowsPart *part = &visit->part;
    visit->block_rows = pf_cache_rows_block_rows(part->rows);
    visit->block_count =
        (part->end_row - part->first_row + visit->block_rows - 1) / visit->block_rows;
    visit_in_parallel(visit, threads);
    pf_cache_rows_release(visit->rows, part);
}

void pf_cache_visit(PfCache *cache, int tap, int threads, PfCacheBlockVisitor *visitor,
                    void *context)
{
    int64_t row = 0, row_count = pf_cache_row_count(cache);
    Visit visit = {
        .rows = pf_cache_reader_rows(cache, tap), .visitor = visitor, .context = context};
    while (row < row_count && !atomic_load(&visit.stopped)) {
        PfError err = {0};
        int64_t first;
        if (pf_cache_rows_hold(visit.rows, row, &visit.part, &err))
            visit_failure(&visit, row, &err);
        else
            visit_part(&visit, threads);
        find_range(visit.rows, row, &first, &row);
    }
}

void pf_cache_visit_runs(PfCache *cache, int tap, const PfCacheRun *runs, int64_t count,
                         int threads, PfCacheBlockVisitor *visitor, void *context)
{
    Visit visit = {.rows = pf_cache_reader_rows(cache, tap),
                   .runs = runs,
                   .block_count = count,
                   .visitor = visitor,
                   .context = context};
    for (int64_t i = 0; i < count; i++)
        if (runs[i].count > visit.block_rows) visit.block_rows = runs[i].count;
    if (count) visit_in_parallel(&visit, threads);
}

/* Whole chunks. */
static int64_t run_rows(const PfCacheRows *rows)
{
    int64_t block_rows = pf_cache_rows_block_rows(rows);
    size_t block_bytes = (size_t)block_rows * pf_cache_rows_row_bytes(rows);
    return block_rows * (int64_t)((RUN_BYTES + block_bytes - 1) / block_bytes);
}

/* Of a virtual cache the first file tells for all of them: they were written alike. */
static int find_run_rows(const PfCacheRows *rows, int64_t *run, PfError *err)
{
    PfCacheRowsPart part;
    if (pf_cache_rows_hold(rows, 0, &part, err)) return -1;
    *run = run_rows(part.rows);
    pf_cache_rows_release(rows, &part);
    return 0;
}

int pf_cache_list_runs(const PfCache *cache, int tap, PfCacheRun **runs, int64_t *count,
                       PfError *err)
{
    const PfCacheRows *rows = pf_cache_reader_rows(cache, tap);
    int64_t row_count = pf_cache_row_count(cache), most = 0;
    size_t capacity = 0;
    *runs = NULL;
    *count = 0;
    if (row_count && find_run_rows(rows, &most, err)) return -1;
    for (int64_t row = 0; row < row_count;) {
        int64_t first, end;
        find_range(rows, row, &first, &end);
        const int64_t taken = pf_min(most, end - row);
        if (pf_grow(runs, &capacity, (size_t)*count + 1, sizeof **runs, err)) {
            free(*runs);
            *runs = NULL;
            return -1;
        }
        (*runs)[(*count)++] = (PfCacheRun){row, taken};
        row += taken;
    }
    return 0;
}
