#include "common/cache/codec/chunker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/cache/codec/compress_pool.h"

typedef struct Tap {
    const PfTapLayout *layout;
    int64_t rows;              /* appended so far */
    PfCompressJob *open;       /* the chunk being filled, or NULL */
    int64_t tail_rows;         /* of the open chunk's rows, those that the sink has had as tails */
    PfChunkFormat tail_format; /* of the tail that is under way */
} Tap;

struct PfChunker {
    PfCompressPool *pool;
    PfChunkSink *sink;
    void *context;
    int tap_count;
    Tap taps[];
};

/* ---- setting up ---- */

static int start_compress_pool(PfChunker *chunker, int threads, PfError *err)
{
    size_t raw = 0, stored = 0;
    for (int t = 0; t < chunker->tap_count; t++) {
        const PfChunkFormat *format = &chunker->taps[t].layout->format;
        raw = pf_max_size(raw, format->raw_bytes);
        stored = pf_max_size(stored, pf_chunk_bound(format));
    }
    /* One open chunk a tap, one a thread, and two on their way. */
    return pf_compress_pool_new(raw, stored, chunker->tap_count + threads + 2, threads,
                                &chunker->pool, err);
}

int pf_chunker_new(const PfTapLayout *layouts, int tap_count, int threads, PfChunkSink *sink,
                   void *context, PfChunker **out, PfError *err)
{
    PfChunker *chunker =
        pf_calloc(1, sizeof *chunker + (size_t)tap_count * sizeof chunker->taps[0], err);
    if (!chunker) return -1;
    chunker->sink = sink;
    chunker->context = context;
    chunker->tap_count = tap_count;
    for (int t = 0; t < tap_count; t++) chunker->taps[t].layout = &layouts[t];
    if (start_compress_pool(chunker, threads, err)) {
        pf_chunker_free(&chunker);
        return -1;
    }
    *out = chunker;
    return 0;
}

void pf_chunker_free(PfChunker **chunker)
{
    if (!*chunker) return;
    pf_compress_pool_free(&(*chunker)->pool);
    free(*chunker);
    *chunker = NULL;
}

/* ---- to the sink ---- */

static int call_sink(PfChunker *chunker, const PfCompressJob *job, PfError *err)
{
    PfEncodedChunk chunk = {
        .tap = job->tap,
        .first_row = job->first_row,
        .rows = job->rows,
        .is_tail = job->format == &chunker->taps[job->tap].tail_format,
        .stored = job->stored,
        .stored_bytes = job->stored_bytes,
    };
    return chunker->sink(chunker->context, &chunk, err);
}

/* Hands the oldest chunk that is under way to the sink. 1 where there is none (yet). */
static int deliver_oldest(PfChunker *chunker, bool wait, PfError *err)
{
    PfCompressJob *job = pf_compress_pool_finished(chunker->pool, wait);
    if (!job) return 1;
    if (job->failed && err) *err = job->error;
    int failed = job->failed || call_sink(chunker, job, err);
    pf_compress_pool_recycle(chunker->pool, job);
    return failed ? -1 : 0;
}

static int deliver_finished(PfChunker *chunker, bool wait, PfError *err)
{
    int status;
    while (!(status = deliver_oldest(chunker, wait, err))) continue;
    return status < 0 ? -1 : 0;
}

int pf_chunker_drain(PfChunker *chunker, PfError *err)
{
    return deliver_finished(chunker, true, err);
}

/* ---- filling chunks ---- */

static PfCompressJob *take_job(PfChunker *chunker, int tap, PfError *err)
{
    PfCompressJob *job;
    while (!(job = pf_compress_pool_take(chunker->pool)))
        if (deliver_oldest(chunker, true, err) < 0) return NULL;
    job->tap = tap;
    return job;
}

static int open_chunk(PfChunker *chunker, int t, int64_t first_row, PfError *err)
{
    Tap *tap = &chunker->taps[t];
    PfCompressJob *job = take_job(chunker, t, err);
    if (!job) return -1;
    job->first_row = first_row;
    job->rows = 0;
    job->format = &tap->layout->format;
    tap->open = job;
    tap->tail_rows = 0;
    return 0;
}

static void add_to_open_chunk(Tap *tap, int64_t n, const void *rows)
{
    size_t row_bytes = tap->layout->row_bytes;
    memcpy(tap->open->raw + (size_t)tap->open->rows * row_bytes, rows, (size_t)n * row_bytes);
    tap->open->rows += n;
    tap->rows += n;
}

static void submit_open_chunk(PfChunker *chunker, Tap *tap)
{
    size_t used = (size_t)tap->open->rows * tap->layout->row_bytes;
    memset(tap->open->raw + used, 0, tap->layout->format.raw_bytes - used);
    pf_compress_pool_submit(chunker->pool, tap->open);
    tap->open = NULL;
}

int pf_chunker_append(PfChunker *chunker, int t, int64_t n, const void *rows, PfError *err)
{
    Tap *tap = &chunker->taps[t];
    const unsigned char *next = rows;
    while (n > 0) {
        if (!tap->open && open_chunk(chunker, t, tap->rows, err)) return -1;
        int64_t count = pf_min(n, tap->layout->chunk_rows - tap->open->rows);
        add_to_open_chunk(tap, count, next);
        next += (size_t)count * tap->layout->row_bytes;
        n -= count;
        if (tap->open->rows == tap->layout->chunk_rows) submit_open_chunk(chunker, tap);
    }
    return deliver_finished(chunker, false, err);
}

int pf_chunker_append_encoded(PfChunker *chunker, int t, int64_t rows, const void *stored,
                              size_t stored_bytes, PfError *err)
{
    Tap *tap = &chunker->taps[t];
    assert(!tap->open && tap->rows % tap->layout->chunk_rows == 0);
    assert(rows <= tap->layout->chunk_rows && stored_bytes <= pf_chunk_bound(&tap->layout->format));
    PfCompressJob *job = take_job(chunker, t, err);
    if (!job) return -1;
    job->first_row = tap->rows;
    job->rows = rows;
    job->format = &tap->layout->format;
    memcpy(job->stored, stored, stored_bytes);
    job->stored_bytes = stored_bytes;
    tap->rows += rows;
    pf_compress_pool_submit_encoded(chunker->pool, job);
    return deliver_finished(chunker, false, err);
}

/* ---- tails ---- */

static int submit_tail(PfChunker *chunker, int t, PfError *err)
{
    Tap *tap = &chunker->taps[t];
    int64_t rows = tap->open ? tap->open->rows - tap->tail_rows : 0;
    if (!rows) return 0;
    PfCompressJob *job = take_job(chunker, t, err);
    if (!job) return -1;
    tap->tail_format = pf_tap_layout_format_of_rows(tap->layout, rows);
    job->first_row = tap->open->first_row + tap->tail_rows;
    job->rows = rows;
    job->format = &tap->tail_format;
    memcpy(job->raw, tap->open->raw + (size_t)tap->tail_rows * tap->layout->row_bytes,
           tap->tail_format.raw_bytes);
    pf_compress_pool_submit(chunker->pool, job);
    tap->tail_rows = tap->open->rows;
    return 0;
}

int pf_chunker_flush_tails(PfChunker *chunker, PfError *err)
{
    for (int t = 0; t < chunker->tap_count; t++)
        if (submit_tail(chunker, t, err)) return -1;
    /* Each tap has one tail_format: no tail may be under way when the next one is made. */
    return pf_chunker_drain(chunker, err);
}

int pf_chunker_resume(PfChunker *chunker, int t, int64_t row, const void *open_rows, PfError *err)
{
    Tap *tap = &chunker->taps[t];
    assert(!tap->open && !tap->rows);
    int64_t rows = row % tap->layout->chunk_rows;
    tap->rows = row - rows;
    if (!rows) return 0;
    if (open_chunk(chunker, t, tap->rows, err)) return -1;
    add_to_open_chunk(tap, rows, open_rows);
    tap->tail_rows = rows;
    return 0;
}

/* ---- the end ---- */

void pf_chunker_finish_tap(PfChunker *chunker, int t)
{
    if (chunker->taps[t].open) submit_open_chunk(chunker, &chunker->taps[t]);
}

int pf_chunker_finish(PfChunker *chunker, PfError *err)
{
    for (int t = 0; t < chunker->tap_count; t++) pf_chunker_finish_tap(chunker, t);
    return pf_chunker_drain(chunker, err);
}

int64_t pf_chunker_rows(const PfChunker *chunker, int tap)
{
    return chunker->taps[tap].rows;
}

double pf_chunker_seconds(PfChunker *chunker)
{
    return pf_compress_pool_seconds(chunker->pool);
}
