#include "common/cache/journal/internal.h"

#include <assert.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"

/* The stored rows of a chunk or a tail, lent until the next call. The record's
 * checksum covers them. */
static const unsigned char *load_stored(PfJournalSegment *segment, const PfJournalChunk *chunk,
                                        PfError *err)
{
    if (pf_grow(&segment->payload, &segment->payload_capacity, chunk->size, 1, err) ||
        pf_record_file_read(segment->file, chunk->position, segment->payload, chunk->size, err))
        return NULL;
    return segment->payload + sizeof chunk->head;
}

static int decode(PfJournalSegment *segment, const PfJournalChunk *chunk, void *raw, PfError *err)
{
    const PfTapLayout *layout = &segment->layouts[chunk->head.tap];
    int64_t rows = chunk->is_tail ? chunk->head.rows : layout->chunk_rows;
    PfChunkFormat format = pf_tap_layout_format_of_rows(layout, rows);
    if (!segment->codec && pf_chunk_codec_new(&segment->codec, err)) return -1;
    const unsigned char *stored = load_stored(segment, chunk, err);
    if (!stored) return -1;
    const char *wrong =
        pf_chunk_decode(segment->codec, &format, stored, chunk->size - sizeof chunk->head, raw);
    if (!wrong) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s': rows %lld to %lld of tap '%s' cannot be read: %s",
                   pf_record_file_path(segment->file), (long long)chunk->head.first_row,
                   (long long)chunk->head.first_row + rows - 1, layout->tap.name, wrong);
}

static int decode_tails(PfJournalSegment *segment, int t, unsigned char *raw, PfError *err)
{
    const PfTapLayout *layout = &segment->layouts[t];
    const PfJournalChunks *tails = &segment->taps[t].tails;
    for (size_t i = 0; i < tails->count; i++) {
        size_t row = tails->items[i].head.first_row % (uint64_t)layout->chunk_rows;
        if (decode(segment, &tails->items[i], raw + row * layout->row_bytes, err)) return -1;
    }
    return 0;
}

/* Decodes the chunk that `row` lies in, unless it is the one that is kept. */
static int load_chunk(PfJournalSegment *segment, int t, int64_t row, PfError *err)
{
    const PfTapLayout *layout = &segment->layouts[t];
    PfJournalTap *tap = &segment->taps[t];
    if (row >= tap->raw_first && row < tap->raw_first + tap->raw_rows) return 0;
    if (!tap->raw && !(tap->raw = pf_alloc_aligned(layout->format.raw_bytes, 1, err))) return -1;
    tap->raw_rows = 0;
    size_t index = (size_t)(row / layout->chunk_rows);
    bool is_whole = index < tap->chunks.count;
    if (is_whole ? decode(segment, &tap->chunks.items[index], tap->raw, err)
                 : decode_tails(segment, t, tap->raw, err))
        return -1;
    tap->raw_first = (int64_t)index * layout->chunk_rows;
    tap->raw_rows = is_whole ? layout->chunk_rows : segment->rows.count - tap->raw_first;
    return 0;
}

int pf_journal_source_read_rows(PfJournalSegment *segment, int t, int64_t first, int64_t count,
                                void *out, PfError *err)
{
    const PfTapLayout *layout = &segment->layouts[t];
    const PfJournalTap *tap = &segment->taps[t];
    unsigned char *next = out;
    assert(first >= 0 && count >= 0 && first + count <= segment->rows.count);
    while (count > 0) {
        if (load_chunk(segment, t, first, err)) return -1;
        int64_t taken = pf_min(count, tap->raw_first + tap->raw_rows - first);
        size_t bytes = (size_t)taken * layout->row_bytes;
        memcpy(next, tap->raw + (size_t)(first - tap->raw_first) * layout->row_bytes, bytes);
        next += bytes;
        first += taken;
        count -= taken;
    }
    return 0;
}

/* ---- as a source ---- */

static int find_tap(void *context, const char *name)
{
    const PfJournalSegment *segment = context;
    for (int t = 0; t < segment->tap_count; t++)
        if (!strcmp(segment->layouts[t].tap.name, name)) return t;
    return -1;
}

static int read_rows(void *context, int tap, int64_t first, int64_t count, void *out, PfError *err)
{
    return pf_journal_source_read_rows(context, tap, first, count, out, err);
}

/* Only whole chunks are stored as a finished cache would have them. */
static const PfJournalChunk *find_stored(const PfJournalSegment *segment, int t, int64_t first,
                                         int64_t rows, const PfTapLayout *wanted)
{
    const PfTapLayout *layout = &segment->layouts[t];
    const PfJournalChunks *chunks = &segment->taps[t].chunks;
    if (rows != layout->chunk_rows || first % rows || (size_t)(first / rows) >= chunks->count ||
        !pf_tap_layout_equal(layout, wanted))
        return NULL;
    return &chunks->items[first / rows];
}

static int read_stored(void *context, int t, int64_t first, int64_t rows, const PfTapLayout *layout,
                       void *stored, size_t *stored_bytes, PfError *err)
{
    PfJournalSegment *segment = context;
    *stored_bytes = 0;
    const PfJournalChunk *chunk = find_stored(segment, t, first, rows, layout);
    if (!chunk) return 0;
    const unsigned char *bytes = load_stored(segment, chunk, err);
    if (!bytes) return -1;
    *stored_bytes = chunk->size - sizeof chunk->head;
    memcpy(stored, bytes, *stored_bytes);
    return 0;
}

PfRowSource pf_journal_source_of_segment(PfJournalSegment *segment, const char *path)
{
    return (PfRowSource){
        .context = segment,
        .path = path,
        .find_tap = find_tap,
        .read_rows = read_rows,
        .read_stored = read_stored,
    };
}
