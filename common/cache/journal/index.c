#include "common/cache/journal/internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define BLOCK_IMAGES 1024
/* A chunk of several rows is unpacked as a whole, even where only a tail of it is there. Ours have
 * half a megabyte. */
#define MOST_SHARED_BYTES ((size_t)64 << 20)

/* Checksums are right, so it is no damage. */
static int fail_foreign(const PfJournalIndex *index, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' was written by another version of this program; finish that work with "
                   "the other version, or delete the file",
                   index->path);
}

/* ---- images ---- */

const PfJournalImage *pf_journal_index_image_at(const PfJournalImages *images, int64_t index)
{
    return &images->blocks[index / BLOCK_IMAGES][index % BLOCK_IMAGES];
}

static int add_image(PfJournalImages *images, const PfJournalImage *image, PfError *err)
{
    size_t block = (size_t)(images->count / BLOCK_IMAGES),
           i = (size_t)(images->count % BLOCK_IMAGES);
    if (!i) {
        if (pf_grow(&images->blocks, &images->block_capacity, block + 1, sizeof *images->blocks,
                    err) ||
            !(images->blocks[block] = pf_calloc(BLOCK_IMAGES, sizeof **images->blocks, err)))
            return -1;
    }
    images->blocks[block][i] = *image;
    images->count++;
    return 0;
}

static void free_images(PfJournalImages *images)
{
    for (int64_t first = 0; first < images->count; first += BLOCK_IMAGES)
        free(images->blocks[first / BLOCK_IMAGES]);
    free(images->blocks);
}

/* ---- segments ---- */

static void free_segment(PfJournalSegment *segment)
{
    for (int t = 0; t < segment->tap_count && segment->taps; t++) {
        free(segment->taps[t].chunks.items);
        free(segment->taps[t].tails.items);
        free(segment->taps[t].raw);
    }
    free_images(&segment->rows);
    pf_chunk_codec_free(&segment->codec);
    free(segment->payload);
    free(segment->taps);
    free(segment->layouts);
    free(segment);
}

static int add_segment(PfJournalIndex *index, const PfRecord *record, PfError *err)
{
    size_t count = (size_t)index->segment_count;
    if (index->pending_chunks.count) return fail_foreign(index, err);
    if (pf_grow(&index->segments, &index->segment_capacity, count + 1, sizeof *index->segments,
                err))
        return -1;
    PfJournalSegment *segment = pf_calloc(1, sizeof *segment, err);
    if (!segment) return -1;
    int status = pf_journal_records_get_segment(record->payload, record->size, &segment->layouts,
                                                &segment->tap_count, err);
    if (status > 0) fail_foreign(index, err);
    if (!status) segment->taps = pf_calloc((size_t)segment->tap_count, sizeof *segment->taps, err);
    if (!segment->taps) {
        free_segment(segment);
        return -1;
    }
    segment->runtime = index->runtime;
    index->runtime = NULL;
    index->segments[index->segment_count++] = segment;
    index->pending_segments++;
    return 0;
}

static bool is_printable(const unsigned char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] < ' ' || text[i] > '~') return false;
    return true;
}

static int set_runtime(PfJournalIndex *index, const PfRecord *record, PfError *err)
{
    if (!record->size || record->size > PF_JOURNAL_RUNTIME_MAX ||
        !is_printable(record->payload, record->size))
        return fail_foreign(index, err);
    index->runtime = pf_arena_text(&index->texts, (const char *)record->payload, record->size, err);
    return index->runtime ? 0 : -1;
}

static PfJournalSegment *last_segment(const PfJournalIndex *index)
{
    return index->segment_count ? index->segments[index->segment_count - 1] : NULL;
}

/* ---- chunks ---- */

static int add_chunk(PfJournalChunks *chunks, const PfJournalChunk *chunk, PfError *err)
{
    if (pf_grow(&chunks->items, &chunks->capacity, chunks->count + 1, sizeof *chunks->items, err))
        return -1;
    chunks->items[chunks->count++] = *chunk;
    return 0;
}

/* Whether it lies where the rows of the tap so far say: a tail goes on within a
 * chunk, and a chunk replaces the tails of its rows. */
static bool fits(const PfTapLayout *layout, const PfJournalTap *tap, const PfJournalChunk *chunk)
{
    int64_t rows = chunk->head.rows, open_rows = tap->rows % layout->chunk_rows;
    uint64_t expected = (uint64_t)(chunk->is_tail ? tap->rows : tap->rows - open_rows);
    if (chunk->head.first_row != expected || chunk->size <= sizeof chunk->head ||
        chunk->size - sizeof chunk->head > pf_chunk_bound(&layout->format))
        return false;
    if (layout->chunk_rows > 1 && layout->format.raw_bytes > MOST_SHARED_BYTES) return false;
    if (!chunk->is_tail) return rows == layout->chunk_rows;
    return rows > 0 && open_rows + rows < layout->chunk_rows;
}

int pf_journal_index_add_chunk(PfJournalIndex *index, const PfJournalChunk *chunk, PfError *err)
{
    PfJournalSegment *segment = last_segment(index);
    if (!segment || chunk->head.tap >= (uint32_t)segment->tap_count)
        return fail_foreign(index, err);
    PfJournalTap *tap = &segment->taps[chunk->head.tap];
    const PfTapLayout *layout = &segment->layouts[chunk->head.tap];
    if (!fits(layout, tap, chunk)) return fail_foreign(index, err);
    PfChunkFormat format = pf_tap_layout_format_of_rows(layout, chunk->head.rows);
    size_t stored_bytes = chunk->size - sizeof chunk->head;
    if (!pf_chunk_is_plausible(&format, stored_bytes))
        return pf_fail(
            err, PF_EXIT_FAILED,
            "'%s': %zu bytes of tap '%s' would unpack to %zu, which no compressor does: it "
            "is no work of this program; delete it",
            index->path, stored_bytes, layout->tap.name, format.raw_bytes);
    if (add_chunk(&index->pending_chunks, chunk, err)) return -1;
    tap->rows = (int64_t)chunk->head.first_row + chunk->head.rows;
    return 0;
}

static int add_chunk_record(PfJournalIndex *index, const PfRecord *record, PfError *err)
{
    PfJournalChunk chunk = {
        .is_tail = record->type == PF_JOURNAL_TAIL,
        .size = record->size,
        .position = record->position,
    };
    if (record->size < sizeof chunk.head) return fail_foreign(index, err);
    memcpy(&chunk.head, record->payload, sizeof chunk.head);
    return pf_journal_index_add_chunk(index, &chunk, err);
}

/* ---- checkpoints ---- */

static int commit_chunks(PfJournalIndex *index, PfError *err)
{
    for (size_t i = 0; i < index->pending_chunks.count; i++) {
        const PfJournalChunk *chunk = &index->pending_chunks.items[i];
        PfJournalTap *tap = &last_segment(index)->taps[chunk->head.tap];
        if (add_chunk(chunk->is_tail ? &tap->tails : &tap->chunks, chunk, err)) return -1;
        if (!chunk->is_tail) tap->tails.count = 0;
        tap->raw_rows = 0;
    }
    index->pending_chunks.count = 0;
    return 0;
}

static int commit_image(PfJournalIndex *index, PfJournalImage *image, const PfJournalText *path,
                        const PfJournalText *reason, PfError *err)
{
    PfJournalSegment *segment = last_segment(index);
    image->file.path = pf_arena_text(&index->texts, path->bytes, path->size, err);
    if (!image->file.path) return -1;
    if (!reason->bytes)
        return segment ? add_image(&segment->rows, image, err) : fail_foreign(index, err);
    image->reason = pf_arena_text(&index->texts, reason->bytes, reason->size, err);
    return image->reason ? add_image(&index->rejects, image, err) : -1;
}

static int commit_images(PfJournalIndex *index, const PfRecord *record, PfError *err)
{
    if (!record->size) return 0; /* and no payload, which nothing may be added to */
    const unsigned char *next = record->payload, *end = next + record->size;
    PfJournalImage image;
    PfJournalText path, reason;
    int status;
    while ((status = pf_journal_records_get_image(&next, end, &image, &path, &reason)) > 0)
        if (commit_image(index, &image, &path, &reason, err)) return -1;
    return status < 0 ? fail_foreign(index, err) : 0;
}

static int checkpoint(PfJournalIndex *index, const PfRecord *record, PfError *err)
{
    if (commit_chunks(index, err) || commit_images(index, record, err)) return -1;
    PfJournalSegment *segment = last_segment(index);
    for (int t = 0; segment && t < segment->tap_count; t++)
        if (segment->taps[t].rows != segment->rows.count) return fail_foreign(index, err);
    index->pending_segments = 0;
    return 0;
}

/* ---- records ---- */

static int set_identity(PfJournalIndex *index, const PfRecord *record, PfError *err)
{
    uint32_t version = 0;
    if (record->size >= sizeof version) memcpy(&version, record->payload, sizeof version);
    if (index->identity || version != PF_JOURNAL_VERSION) return fail_foreign(index, err);
    size_t length = record->size - sizeof version;
    if (!(index->identity = pf_calloc(length + 1, 1, err))) return -1;
    memcpy(index->identity, record->payload + sizeof version, length);
    return 0;
}

int pf_journal_index_add(void *context, const PfRecord *record, PfError *err)
{
    PfJournalIndex *index = context;
    if (!index->identity && record->type != PF_JOURNAL_IDENTITY) return fail_foreign(index, err);
    switch (record->type) {
    case PF_JOURNAL_IDENTITY: return set_identity(index, record, err);
    case PF_JOURNAL_CHECKPOINT: return checkpoint(index, record, err);
    case PF_JOURNAL_RUNTIME: return set_runtime(index, record, err) ? -1 : 1;
    case PF_JOURNAL_SEGMENT: return add_segment(index, record, err) ? -1 : 1;
    case PF_JOURNAL_CHUNK:
    case PF_JOURNAL_TAIL: return add_chunk_record(index, record, err) ? -1 : 1;
    default: return fail_foreign(index, err);
    }
}

void pf_journal_index_roll_back(PfJournalIndex *index)
{
    index->pending_chunks.count = 0;
    index->runtime = NULL;
    for (; index->pending_segments; index->pending_segments--)
        free_segment(index->segments[--index->segment_count]);
    PfJournalSegment *segment = last_segment(index);
    for (int t = 0; segment && t < segment->tap_count; t++)
        segment->taps[t].rows = segment->rows.count;
}

void pf_journal_index_clear(PfJournalIndex *index)
{
    for (int s = 0; s < index->segment_count; s++) free_segment(index->segments[s]);
    free(index->segments);
    free_images(&index->rejects);
    free(index->pending_chunks.items);
    pf_arena_free(&index->texts);
    free(index->identity);
    *index = (PfJournalIndex){0};
}
