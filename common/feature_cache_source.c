#include "feature_cache_source.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "feature_cache_reader.h"
#include "feature_cache_rows.h"
#include "memory.h"

static int find_tap(void *context, const char *name)
{
    const PfCache *cache = context;
    for (int t = 0; t < pf_cache_tap_count(cache); t++)
        if (!strcmp(pf_cache_tap(cache, t)->name, name)) return t;
    return -1;
}

/* What the row is in: the cache's own rows, or those of a file it refers to. */
static PfCacheRowsPart find_part(PfCache *cache, int tap, int64_t row)
{
    return pf_cache_rows_part(pf_cache_tap_rows(cache, tap), pf_cache_path(cache), row);
}

/* ---- decoded ---- */

static int has_row(const PfRowWindow *window, int tap, int64_t row)
{
    return window->tap == tap && row >= window->first && row < window->first + window->count;
}

/* Moves the window to the chunk that the row is in. */
static int move_window(PfCache *cache, PfRowWindow *window, int tap, int64_t row, PfError *err)
{
    PfCacheRowsPart part = find_part(cache, tap, row);
    const PfCacheRows *rows = part.rows;
    int64_t count = pf_cache_rows_block_rows(rows), first = row - (row - part.first_row) % count;
    size_t bytes = (size_t)count * pf_cache_rows_row_bytes(rows);
    window->count = 0;
    if (bytes > window->capacity_bytes) {
        free(window->rows);
        window->rows = pf_alloc_aligned(bytes, 1, err);
        window->capacity_bytes = window->rows ? bytes : 0;
        if (!window->rows) return -1;
    }
    int64_t end = part.first_row + rows->row_count;
    if (count > end - first) count = end - first;
    if (pf_cache_read(cache, tap, first, count, window->rows, 1, err)) return -1;
    window->tap = tap;
    window->first = first;
    window->count = count;
    return 0;
}

/* Whole chunks go where they are wanted, in parallel; 0 where there is none at first. */
static int64_t whole_chunks(const PfCacheRowsPart *part, int64_t first, int64_t count)
{
    const PfCacheRows *rows = part->rows;
    int64_t skipped = first - part->first_row, rest = rows->row_count - skipped;
    if (!rows->is_direct || skipped % rows->chunk_rows) return 0;
    return count >= rest ? rest : count - count % rows->chunk_rows;
}

static int read_rows(void *context, int tap, int64_t first, int64_t count, void *out, PfError *err)
{
    PfCache *cache = context;
    PfRowWindow *window = pf_cache_row_window(cache);
    const PfCacheRows *rows = pf_cache_tap_rows(cache, tap);
    size_t row_bytes = pf_cache_rows_row_bytes(rows);
    assert(first >= 0 && count >= 0 && first + count <= rows->row_count);
    for (int64_t n; count > 0; first += n, count -= n) {
        PfCacheRowsPart part = find_part(cache, tap, first);
        n = whole_chunks(&part, first, count);
        if (n) {
            if (pf_cache_read(cache, tap, first, n, out, 0, err)) return -1;
        } else {
            if (!has_row(window, tap, first) && move_window(cache, window, tap, first, err))
                return -1;
            n = window->first + window->count - first;
            if (n > count) n = count;
            memcpy(out, window->rows + (size_t)(first - window->first) * row_bytes,
                   (size_t)n * row_bytes);
        }
        out = (unsigned char *)out + (size_t)n * row_bytes;
    }
    return 0;
}

/* ---- as they are stored ---- */

/* Whether rows [first, first + count) are one chunk, and as a layout has it. */
static int is_chunk(const PfCacheRows *rows, int64_t first, int64_t count,
                    const PfTapLayout *layout)
{
    return rows->is_direct && rows->chunk_rows == layout->chunk_rows &&
           pf_chunk_format_equal(&rows->format, &layout->format) &&
           rows->tap.dtype == layout->tap.dtype &&
           pf_shape_equal(&rows->tap.shape, &layout->tap.shape) && first % rows->chunk_rows == 0 &&
           first + count <= rows->row_count &&
           (count == rows->chunk_rows ||
            (count < rows->chunk_rows && first + count == rows->row_count));
}

static int read_stored(void *context, int tap, int64_t first, int64_t count,
                       const PfTapLayout *layout, void *stored, size_t *stored_bytes, PfError *err)
{
    PfCache *cache = context;
    PfCacheRowsPart part = find_part(cache, tap, first);
    PfChunkFormat format;
    *stored_bytes = 0;
    first -= part.first_row;
    if (!is_chunk(part.rows, first, count, layout)) return 0;
    if (pf_cache_rows_read_stored(part.rows, part.path, first, stored,
                                  pf_chunk_bound(&layout->format), stored_bytes, &format, err))
        return -1;
    /* HDF5 may have left a filter out of this one. */
    if (!pf_chunk_format_equal(&format, &layout->format)) *stored_bytes = 0;
    return 0;
}

PfRowSource pf_row_source_of_cache(PfCache *cache)
{
    return (PfRowSource){
        .context = cache,
        .path = pf_cache_path(cache),
        .find_tap = find_tap,
        .read_rows = read_rows,
        .read_stored = read_stored,
    };
}
