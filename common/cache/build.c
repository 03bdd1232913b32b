#include "common/cache/build.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/cache/internal.h"

/* Rows that are gathered before they are handed on: so many that rows in any order make a
 * source decode each of its chunks a few times only. */
#define BATCH_BYTES ((size_t)64 * 1024 * 1024)

/* Sources that are new since rows were fetched last, before those that wait are fetched: a source
 * of many, as the inputs of a merge, is still open when its rows are read. */
#define MOST_NEW_SOURCES 8

/* A row to be fetched: from where, and to which row of the batch. */
typedef struct Wanted {
    PfRowPlace from;
    int64_t to;
} Wanted;

/* A tap that is being written. */
typedef struct Gathering {
    const PfCacheBuildPlan *plan;
    PfCacheWriter *writer;
    PfCacheBuildStats *stats;
    int tap;
    const PfTapLayout *layout;
    int *source_taps;      /* (sources): the tap's index in each, -1 where it has none */
    int64_t batch_rows;    /* whole chunks */
    int64_t pending;       /* rows of the batch, those of the chunk that is being asked for apart */
    int64_t fetched;       /* rows of the batch that are in it */
    int newest_source;     /* the highest number so far */
    int new_sources;       /* that came up since rows were fetched last */
    Wanted *wanted;        /* (batch_rows) */
    unsigned char *batch;  /* (batch_rows, row) */
    unsigned char *stored; /* a chunk that is moved */
    int64_t done;          /* rows x taps */
} Gathering;

static int check_interrupt(const PfCacheBuildPlan *plan, PfError *err)
{
    if (!plan->interrupted || !*plan->interrupted) return 0;
    return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted");
}

/* ---- rows that are decoded ---- */

static int compare_places(const void *a, const void *b)
{
    const Wanted *x = a, *y = b;
    if (x->from.source != y->from.source) return x->from.source < y->from.source ? -1 : 1;
    if (x->from.row != y->from.row) return x->from.row < y->from.row ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

/* Length of the run at the head of `rest` rows that follow each other on both sides. */
static int64_t run_length(const Wanted *wanted, int64_t rest)
{
    int64_t n = 1;
    while (n < rest && wanted[n].from.source == wanted->from.source &&
           wanted[n].from.row == wanted->from.row + n && wanted[n].to == wanted->to + n)
        n++;
    return n;
}

static int fetch_run(const Gathering *gathering, const Wanted *wanted, int64_t count, PfError *err)
{
    const PfRowSource *source = &gathering->plan->sources[wanted->from.source];
    return source->read_rows(
        source->context, gathering->source_taps[wanted->from.source], wanted->from.row, count,
        gathering->batch + (size_t)wanted->to * gathering->layout->row_bytes, err);
}

/* The rows of the batch before `end` that are not in it, in the order of the sources, so that each
 * chunk is decoded once. */
static int fetch_until(Gathering *gathering, int64_t end, PfError *err)
{
    int64_t n, count = end - gathering->fetched;
    Wanted *wanted = gathering->wanted + gathering->fetched;
    qsort(wanted, (size_t)count, sizeof *wanted, compare_places);
    for (int64_t i = 0; i < count; i += n) {
        n = run_length(&wanted[i], count - i);
        if (check_interrupt(gathering->plan, err) || fetch_run(gathering, &wanted[i], n, err))
            return -1;
    }
    gathering->fetched = end;
    gathering->new_sources = 0;
    return 0;
}

static int64_t chunk_count(const Gathering *gathering, int64_t rows)
{
    return (rows + gathering->layout->chunk_rows - 1) / gathering->layout->chunk_rows;
}

static int flush_pending(Gathering *gathering, PfError *err)
{
    if (!gathering->pending) return 0;
    if (fetch_until(gathering, gathering->pending, err) ||
        pf_cache_writer_append_tap(gathering->writer, gathering->tap, gathering->pending,
                                   gathering->batch, err))
        return -1;
    gathering->stats->chunks_encoded += chunk_count(gathering, gathering->pending);
    gathering->done += gathering->pending;
    gathering->pending = gathering->fetched = 0;
    return 0;
}

/* ---- chunks that are moved ---- */

/* The chunk of `count` wanted rows into gathering->stored, if a source has just that. */
static int read_stored(const Gathering *gathering, const Wanted *wanted, int64_t count,
                       size_t *stored_bytes, PfError *err)
{
    const PfRowSource *source = &gathering->plan->sources[wanted->from.source];
    *stored_bytes = 0;
    if (run_length(wanted, count) < count) return 0;
    return source->read_stored(source->context, gathering->source_taps[wanted->from.source],
                               wanted->from.row, count, gathering->layout, gathering->stored,
                               stored_bytes, err);
}

static int move_chunk(Gathering *gathering, int64_t count, size_t stored_bytes, PfError *err)
{
    if (flush_pending(gathering, err) ||
        pf_cache_writer_append_chunk(gathering->writer, gathering->tap, count, gathering->stored,
                                     stored_bytes, err))
        return -1;
    gathering->stats->chunks_moved++;
    gathering->done += count;
    return 0;
}

/* ---- a tap ---- */

static int append_sample(const PfCacheBuildPlan *plan, PfCacheWriter *writer, int64_t row,
                         PfError *err)
{
    PfCacheSample sample;
    return plan->sample(plan->context, row, &sample, err) ||
                   pf_cache_writer_append_samples(writer, 1, &sample, err)
               ? -1
               : 0;
}

/* With the first tap come the samples. */
static int find_places(Gathering *gathering, int64_t row, int64_t count, PfError *err)
{
    const PfCacheBuildPlan *plan = gathering->plan;
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = gathering->pending + i;
        if (!gathering->tap && append_sample(plan, gathering->writer, row + i, err)) return -1;
        PfRowPlace from = plan->place(plan->context, gathering->tap, row + i);
        assert(from.source >= 0 && from.source < plan->source_count);
        if (gathering->source_taps[from.source] < 0)
            return pf_fail(err, PF_EXIT_FAILED, "'%s' has no features of tap '%s'",
                           plan->sources[from.source].path, gathering->layout->tap.name);
        if (from.source > gathering->newest_source) {
            gathering->newest_source = from.source;
            if (gathering->new_sources++ == MOST_NEW_SOURCES && fetch_until(gathering, at, err))
                return -1;
        }
        gathering->wanted[at] = (Wanted){from, at};
    }
    return 0;
}

/* The next `count` rows behind those of the batch as they are stored, unless some are fetched. */
static int read_chunk(const Gathering *gathering, int64_t count, size_t *stored_bytes, PfError *err)
{
    *stored_bytes = 0;
    if (gathering->fetched > gathering->pending) return 0;
    return read_stored(gathering, gathering->wanted + gathering->pending, count, stored_bytes, err);
}

/* Rows [row, row + count), a chunk of the file. */
static int build_chunk(Gathering *gathering, int64_t row, int64_t count, PfError *err)
{
    size_t stored_bytes;
    if (find_places(gathering, row, count, err) || read_chunk(gathering, count, &stored_bytes, err))
        return -1;
    if (stored_bytes) return move_chunk(gathering, count, stored_bytes, err);
    gathering->pending += count;
    return gathering->pending == gathering->batch_rows ? flush_pending(gathering, err) : 0;
}

static int build_rows(Gathering *gathering, PfError *err)
{
    const PfCacheBuildPlan *plan = gathering->plan;
    int64_t chunk_rows = gathering->layout->chunk_rows;
    for (int64_t row = 0; row < plan->row_count; row += chunk_rows) {
        if (check_interrupt(plan, err) ||
            build_chunk(gathering, row, pf_min(plan->row_count - row, chunk_rows), err))
            return -1;
        if (plan->progress)
            plan->progress(plan->context, gathering->done, plan->row_count * plan->tap_count);
    }
    if (flush_pending(gathering, err)) return -1;
    pf_cache_writer_finish_tap(gathering->writer, gathering->tap);
    return 0;
}

static int start_tap(Gathering *gathering, int tap, PfError *err)
{
    const PfCacheBuildPlan *plan = gathering->plan;
    const PfTapLayout *layout = pf_cache_writer_layout(gathering->writer, tap);
    gathering->tap = tap;
    gathering->layout = layout;
    gathering->newest_source = -1;
    gathering->new_sources = 0;
    int64_t chunks = pf_min((int64_t)(BATCH_BYTES / layout->format.raw_bytes),
                            chunk_count(gathering, plan->row_count));
    gathering->batch_rows = pf_max(chunks, 1) * layout->chunk_rows;
    for (int s = 0; s < plan->source_count; s++)
        gathering->source_taps[s] =
            plan->sources[s].find_tap(plan->sources[s].context, layout->tap.name);
    gathering->wanted = pf_calloc((size_t)gathering->batch_rows, sizeof(Wanted), err);
    gathering->batch = pf_alloc_aligned((size_t)gathering->batch_rows, layout->row_bytes, err);
    gathering->stored = pf_alloc_aligned(pf_chunk_bound(&layout->format), 1, err);
    return gathering->wanted && gathering->batch && gathering->stored ? 0 : -1;
}

static int build_tap(Gathering *gathering, int tap, PfError *err)
{
    int failed = start_tap(gathering, tap, err) || build_rows(gathering, err);
    free(gathering->wanted);
    free(gathering->batch);
    free(gathering->stored);
    return failed ? -1 : 0;
}

/* ---- the file ---- */

/* Of a virtual cache, which has no rows of its own. */
static int append_samples(const PfCacheBuildPlan *plan, PfCacheWriter *writer, PfError *err)
{
    for (int64_t row = 0; row < plan->row_count; row++)
        if (check_interrupt(plan, err) || append_sample(plan, writer, row, err)) return -1;
    return 0;
}

static int append_rejects(const PfCacheBuildPlan *plan, PfCacheWriter *writer, PfError *err)
{
    for (int64_t i = 0; i < plan->reject_count; i++) {
        PfCacheReject reject;
        if (check_interrupt(plan, err) || plan->reject(plan->context, i, &reject, err) ||
            pf_cache_writer_reject(writer, &reject, err))
            return -1;
    }
    return 0;
}

static int append_features(const PfCacheBuildPlan *plan, PfCacheWriter *writer,
                           PfCacheBuildStats *stats, PfError *err)
{
    Gathering gathering = {.plan = plan, .writer = writer, .stats = stats};
    gathering.source_taps =
        pf_calloc((size_t)plan->source_count, sizeof *gathering.source_taps, err);
    int failed = !gathering.source_taps;
    for (int t = 0; t < plan->tap_count && !failed; t++) failed = build_tap(&gathering, t, err);
    free(gathering.source_taps);
    return failed ? -1 : 0;
}

int pf_cache_build(const char *path, const PfCacheBuildPlan *plan, PfCacheBuildStats *stats,
                   PfError *err)
{
    PfCacheWriterConfig config = {.taps = plan->taps,
                                  .tap_count = plan->tap_count,
                                  .targets = plan->targets,
                                  .target_count = plan->target_count,
                                  .identity = plan->identity,
                                  .provenance = plan->provenance,
                                  .compression = plan->compression,
                                  .level = plan->level,
                                  .threads = plan->threads,
                                  .sources = plan->virtual_sources,
                                  .source_count = plan->virtual_source_count};
    PfCacheBuildStats total = {0};
    PfCacheWriter *writer;
    double start = pf_clock_seconds();
    if (pf_cache_writer_open(path, &config, &writer, err)) return -1;
    if ((plan->virtual_source_count ? append_samples(plan, writer, err)
                                    : append_features(plan, writer, &total, err)) ||
        append_rejects(plan, writer, err)) {
        pf_cache_writer_abandon(&writer);
        return -1;
    }
    if (pf_cache_writer_finish(&writer, &total.written, err)) return -1;
    total.seconds = pf_clock_seconds() - start;
    if (stats) *stats = total;
    return 0;
}

/* ---- a cache as a source of rows ---- */

static int find_tap_of_cache(void *context, const char *name)
{
    const PfCache *cache = context;
    for (int t = 0; t < pf_cache_tap_count(cache); t++)
        if (!strcmp(pf_cache_tap(cache, t)->name, name)) return t;
    return -1;
}

static bool has_row(const PfRowWindow *window, int tap, int64_t row)
{
    return window->tap == tap && row >= window->first && row < window->first + window->count;
}

/* Moves the window to the chunk that the row is in. */
static int move_window(PfCache *cache, PfRowWindow *window, int tap, int64_t row, PfError *err)
{
    const PfCacheRows *rows = pf_cache_reader_rows(cache, tap);
    PfCacheRowsPart part;
    window->count = 0;
    if (pf_cache_rows_hold(rows, row, &part, err)) return -1;
    int64_t count = pf_cache_rows_block_rows(part.rows);
    int64_t first = row - (row - part.first_row) % count;
    size_t bytes = (size_t)count * pf_cache_rows_row_bytes(rows);
    pf_cache_rows_release(rows, &part);
    if (bytes > window->capacity_bytes) {
        free(window->rows);
        window->rows = pf_alloc_aligned(bytes, 1, err);
        window->capacity_bytes = window->rows ? bytes : 0;
        if (!window->rows) return -1;
    }
    count = pf_min(count, part.end_row - first);
    if (pf_cache_read(cache, tap, first, count, window->rows, 1, err)) return -1;
    window->tap = tap;
    window->first = first;
    window->count = count;
    return 0;
}

/* How many of the rows [first, first + count) are whole chunks, which are decoded in parallel to
 * where they are wanted; 0 where no chunk begins with `first`. */
static int64_t whole_chunks(const PfCacheRowsPart *part, int64_t first, int64_t count)
{
    const PfHdf5Tap *stored = part->rows->stored;
    int64_t rest = part->end_row - first;
    if (!stored->is_direct || (first - part->first_row) % stored->chunk_rows) return 0;
    return count >= rest ? rest : count - count % stored->chunk_rows;
}

static int read_rows_of_cache(void *context, int tap, int64_t first, int64_t count, void *out,
                              PfError *err)
{
    PfCache *cache = context;
    PfRowWindow *window = &cache->window;
    const PfCacheRows *rows = pf_cache_reader_rows(cache, tap);
    size_t row_bytes = pf_cache_rows_row_bytes(rows);
    assert(first >= 0 && count >= 0 && first + count <= rows->stored->row_count);
    for (int64_t n; count > 0; first += n, count -= n) {
        PfCacheRowsPart part;
        if (pf_cache_rows_hold(rows, first, &part, err)) return -1;
        n = whole_chunks(&part, first, count);
        pf_cache_rows_release(rows, &part);
        if (n) {
            if (pf_cache_read(cache, tap, first, n, out, 0, err)) return -1;
        } else {
            if (!has_row(window, tap, first) && move_window(cache, window, tap, first, err))
                return -1;
            n = pf_min(window->first + window->count - first, count);
            memcpy(out, window->rows + (size_t)(first - window->first) * row_bytes,
                   (size_t)n * row_bytes);
        }
        out = (unsigned char *)out + (size_t)n * row_bytes;
    }
    return 0;
}

/* Whether rows [first, first + count) are one chunk, stored as the layout says. */
static bool is_chunk(const PfCacheRows *rows, int64_t first, int64_t count,
                     const PfTapLayout *layout)
{
    return rows->stored->is_direct && rows->stored->chunk_rows == layout->chunk_rows &&
           pf_chunk_format_equal(&rows->stored->format, &layout->format) &&
           rows->stored->info.dtype == layout->tap.dtype &&
           pf_shape_equal(&rows->stored->info.shape, &layout->tap.shape) &&
           first % rows->stored->chunk_rows == 0 && first + count <= rows->stored->row_count &&
           (count == rows->stored->chunk_rows ||
            (count < rows->stored->chunk_rows && first + count == rows->stored->row_count));
}

static int read_stored_of_cache(void *context, int tap, int64_t first, int64_t count,
                                const PfTapLayout *layout, void *stored, size_t *stored_bytes,
                                PfError *err)
{
    const PfCacheRows *rows = pf_cache_reader_rows(context, tap);
    PfCacheRowsPart part;
    PfChunkFormat format;
    int failed = 0;
    *stored_bytes = 0;
    if (pf_cache_rows_hold(rows, first, &part, err)) return -1;
    first -= part.first_row;
    if (is_chunk(part.rows, first, count, layout)) {
        failed = pf_cache_rows_read_stored(
            part.rows, first, stored, pf_chunk_bound(&layout->format), stored_bytes, &format, err);
        /* HDF5 may have left a filter out of this one. */
        if (!failed && !pf_chunk_format_equal(&format, &layout->format)) *stored_bytes = 0;
    }
    pf_cache_rows_release(rows, &part);
    return failed;
}

PfRowSource pf_cache_build_source(PfCache *cache)
{
    return (PfRowSource){
        .context = cache,
        .path = pf_cache_path(cache),
        .find_tap = find_tap_of_cache,
        .read_rows = read_rows_of_cache,
        .read_stored = read_stored_of_cache,
    };
}
