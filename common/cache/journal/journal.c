#include "common/cache/journal/journal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/cache/codec/chunker.h"
#include "common/cache/journal/internal.h"
#include "common/file/atomic_file.h"

/* Bytes of a tap's features in this run, before and after encoding. */
typedef struct TapBytes {
    int64_t raw, stored;           /* in chunks */
    int64_t tail_raw, tail_stored; /* in tails that no chunk has replaced */
} TapBytes;

struct PfJournal {
    PfRecordFile *file;
    char *path;
    PfJournalIndex index;
    char *runtime; /* of segments that begin, or NULL */
    int64_t dropped_bytes;
    double sync_seconds, last_sync;
    int64_t sync_bytes, last_sync_size;
    int threads;
    PfChunker *chunker;    /* of the last segment while it is appended to, else NULL */
    TapBytes *tap_bytes;   /* of the same */
    PfJournalBytes images; /* since the last checkpoint */
    PfJournalStats stats;  /* but for raw_bytes and stored_bytes of the last segment */
    bool failed;           /* then error says why, and nothing more is appended */
    PfError error;
};

/* Older versions put the journal of a cache that a link leads to beside the link. */
static bool is_regular_file(const char *path)
{
    struct stat status;
    return !lstat(path, &status) && S_ISREG(status.st_mode);
}

char *pf_journal_path(const char *output, PfError *err)
{
    char *target = pf_atomic_file_target(output, err);
    char *beside = target ? pf_asprintf(err, "%s.journal", output) : NULL;
    char *path = beside && !is_regular_file(beside) ? pf_asprintf(err, "%s.journal", target) : NULL;
    free(target);
    if (!path) return beside;
    free(beside);
    return path;
}

/* ---- opening and closing ---- */

static int write_record(PfJournal *journal, PfJournalRecordType type, const void *head,
                        size_t head_size, const void *body, size_t body_size, int64_t *position,
                        PfError *err)
{
    double start = pf_clock_seconds();
    int failed = pf_record_file_append(journal->file, (uint32_t)type, head, head_size, body,
                                       body_size, position, err);
    journal->stats.write_seconds += pf_clock_seconds() - start;
    return failed;
}

static int write_identity(PfJournal *journal, const char *identity, PfError *err)
{
    uint32_t version = PF_JOURNAL_VERSION;
    if (!(journal->index.identity = pf_strdup(identity, err))) return -1;
    return write_record(journal, PF_JOURNAL_IDENTITY, &version, sizeof version, identity,
                        strlen(identity), NULL, err);
}

static int open_file(PfJournal *journal, const PfJournalConfig *config, PfError *err)
{
    if (!(journal->path = pf_journal_path(config->output, err))) return -1;
    journal->index.path = journal->path;
    if (pf_record_file_open(journal->path, pf_journal_index_add, &journal->index, &journal->file,
                            &journal->dropped_bytes, err))
        return -1;
    pf_journal_index_roll_back(&journal->index);
    journal->last_sync = pf_clock_seconds();
    journal->last_sync_size = pf_record_file_size(journal->file);
    if (journal->index.identity || !write_identity(journal, config->identity, err)) return 0;
    pf_record_file_remove(&journal->file, NULL);
    return -1;
}

int pf_journal_open(const PfJournalConfig *config, PfJournal **out, const char **identity,
                    PfError *err)
{
    PfJournal *journal = pf_calloc(1, sizeof *journal, err);
    if (!journal) return -1;
    journal->sync_seconds = config->sync_seconds;
    journal->sync_bytes = config->sync_bytes;
    journal->threads = config->threads;
    if (open_file(journal, config, err)) {
        pf_journal_close(&journal);
        return -1;
    }
    *identity = journal->index.identity;
    *out = journal;
    return 0;
}

int pf_journal_lock(const char *output, PfJournalLock *out, PfError *err)
{
    *out = (PfJournalLock){.fd = -1};
    if (!(out->path = pf_journal_path(output, err))) return -1;
    if ((out->fd = pf_record_file_open_locked(out->path, err)) >= 0) return 0;
    free(out->path);
    out->path = NULL;
    return -1;
}

void pf_journal_unlock(PfJournalLock *lock)
{
    struct stat status;
    if (!lock->path) return;
    if (!fstat(lock->fd, &status) && !status.st_size) unlink(lock->path);
    close(lock->fd);
    free(lock->path);
    lock->path = NULL;
}

bool pf_journal_is_locked(const char *output)
{
    char *path = pf_journal_path(output, NULL);
    bool is_locked = path && pf_record_file_is_locked(path);
    free(path);
    return is_locked;
}

int pf_journal_peek(const char *output, PfJournal **out, const char **identity, PfError *err)
{
    int exists = 0;
    PfJournal *journal = *out = pf_calloc(1, sizeof *journal, err);
    *identity = NULL;
    if (!journal) return -1;
    journal->path = pf_journal_path(output, err);
    journal->index.path = journal->path;
    int failed = !journal->path || pf_record_file_scan(journal->path, pf_journal_index_add,
                                                       &journal->index, &exists, err);
    pf_journal_index_roll_back(&journal->index);
    *identity = journal->index.identity;
    if (failed || !*identity) {
        *identity = NULL;
        pf_journal_close(out);
    }
    return failed ? -1 : 0;
}

/* Ends the scan: the identity is the first record. */
static int visit_first(void *context, const PfRecord *record, PfError *err)
{
    pf_journal_index_add(context, record, err);
    return -1;
}

void pf_journal_begun_with(const char *output, char **identity)
{
    int exists;
    PfError ignored;
    PfJournalIndex index = {0};
    char *path = pf_journal_path(output, &ignored);
    index.path = path;
    if (path) pf_record_file_scan(path, visit_first, &index, &exists, &ignored);
    *identity = index.identity;
    index.identity = NULL;
    pf_journal_index_clear(&index);
    free(path);
}

/* The end of appending, whether or not it went well. */
static void stop_segment(PfJournal *journal)
{
    PfJournalStats stats;
    pf_journal_stats(journal, &stats);
    journal->stats = stats;
    pf_chunker_free(&journal->chunker);
    free(journal->tap_bytes);
    journal->tap_bytes = NULL;
}

void pf_journal_close(PfJournal **pointer)
{
    PfJournal *journal = *pointer;
    if (!journal) return;
    pf_chunker_free(&journal->chunker);
    free(journal->tap_bytes);
    pf_journal_index_clear(&journal->index);
    pf_record_file_close(&journal->file);
    free(journal->images.data);
    free(journal->runtime);
    free(journal->path);
    free(journal);
    *pointer = NULL;
}

int pf_journal_remove(PfJournal **journal, PfError *err)
{
    int failed = pf_record_file_remove(&(*journal)->file, err);
    pf_journal_close(journal);
    return failed;
}

int64_t pf_journal_dropped_bytes(const PfJournal *journal)
{
    return journal->dropped_bytes;
}

/* ---- what is in it ---- */

int pf_journal_segment_count(const PfJournal *journal)
{
    return journal->index.segment_count;
}

int pf_journal_segment_tap_count(const PfJournal *journal, int segment)
{
    return journal->index.segments[segment]->tap_count;
}

const PfCacheTap *pf_journal_segment_tap(const PfJournal *journal, int segment, int tap)
{
    return &journal->index.segments[segment]->layouts[tap].tap;
}

const char *pf_journal_segment_runtime(const PfJournal *journal, int segment)
{
    return journal->index.segments[segment]->runtime;
}

int64_t pf_journal_row_count(const PfJournal *journal, int segment)
{
    return journal->index.segments[segment]->rows.count;
}

const PfJournalImage *pf_journal_row(const PfJournal *journal, int segment, int64_t row)
{
    return pf_journal_index_image_at(&journal->index.segments[segment]->rows, row);
}

int64_t pf_journal_reject_count(const PfJournal *journal)
{
    return journal->index.rejects.count;
}

const PfJournalImage *pf_journal_reject_at(const PfJournal *journal, int64_t index)
{
    return pf_journal_index_image_at(&journal->index.rejects, index);
}

PfRowSource pf_journal_source(PfJournal *journal, int segment)
{
    PfJournalSegment *rows = journal->index.segments[segment];
    rows->file = journal->file;
    return pf_journal_source_of_segment(rows, journal->path);
}

/* ---- beginning a segment ---- */

int pf_journal_set_runtime(PfJournal *journal, const char *runtime, PfError *err)
{
    free(journal->runtime);
    journal->runtime = NULL;
    if (!*runtime) return 0;
    if (!(journal->runtime = pf_asprintf(err, "%.*s", PF_JOURNAL_RUNTIME_MAX, runtime))) return -1;
    for (char *c = journal->runtime; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?';
    return 0;
}

static bool is_segment_of(const PfJournalSegment *segment, const char *runtime,
                          const PfTapLayout *layouts, int count)
{
    if (segment->tap_count != count || !segment->runtime != !runtime ||
        (runtime && strcmp(segment->runtime, runtime)))
        return false;
    for (int t = 0; t < count; t++)
        if (strcmp(segment->layouts[t].tap.name, layouts[t].tap.name) ||
            !pf_tap_layout_equal(&segment->layouts[t], &layouts[t]))
            return false;
    return true;
}

static int write_runtime(PfJournal *journal, PfError *err)
{
    PfRecord record = {.type = PF_JOURNAL_RUNTIME};
    if (!journal->runtime) return 0;
    record.payload = (const unsigned char *)journal->runtime;
    record.size = strlen(journal->runtime);
    if (write_record(journal, PF_JOURNAL_RUNTIME, record.payload, record.size, NULL, 0,
                     &record.position, err))
        return -1;
    return pf_journal_index_add(&journal->index, &record, err) < 0 ? -1 : 0;
}

static int write_segment(PfJournal *journal, const PfTapLayout *layouts, int count, PfError *err)
{
    PfJournalBytes bytes = {0};
    PfRecord record = {.type = PF_JOURNAL_SEGMENT};
    int failed = pf_journal_records_put_segment(&bytes, layouts, count, err) ||
                 write_runtime(journal, err) ||
                 write_record(journal, PF_JOURNAL_SEGMENT, bytes.data, bytes.size, NULL, 0,
                              &record.position, err);
    record.payload = bytes.data;
    record.size = bytes.size;
    if (!failed) failed = pf_journal_index_add(&journal->index, &record, err) < 0;
    free(bytes.data);
    return failed ? -1 : 0;
}

/* The segment of these taps to go on with: the last one or a new one. */
static int find_segment(PfJournal *journal, const PfCacheTap *taps, int count,
                        PfCompression compression, int level, PfError *err)
{
    PfJournalIndex *index = &journal->index;
    PfTapLayout *layouts = pf_calloc((size_t)count, sizeof *layouts, err);
    int failed = !layouts;
    for (int t = 0; t < count && !failed; t++)
        failed = pf_tap_layout_plan(&taps[t], compression, level, &layouts[t], err);
    bool goes_on =
        !failed && index->segment_count &&
        is_segment_of(index->segments[index->segment_count - 1], journal->runtime, layouts, count);
    if (!failed && !goes_on) failed = write_segment(journal, layouts, count, err);
    free(layouts);
    return failed ? -1 : 0;
}

/* Rows after the last whole chunk go back into an open one. */
static int resume_tap(PfJournal *journal, PfJournalSegment *segment, int t, PfError *err)
{
    const PfTapLayout *layout = &segment->layouts[t];
    int64_t rows = segment->rows.count, open_rows = rows % layout->chunk_rows;
    void *features = pf_alloc_aligned((size_t)open_rows, layout->row_bytes, err);
    if (!features) return -1;
    int failed =
        pf_journal_source_read_rows(segment, t, rows - open_rows, open_rows, features, err) ||
        pf_chunker_resume(journal->chunker, t, rows, features, err);
    free(features);
    return failed ? -1 : 0;
}

static int write_chunk(void *context, const PfEncodedChunk *chunk, PfError *err)
{
    PfJournal *journal = context;
    PfJournalChunk stored = {
        .head = {(uint32_t)chunk->tap, (uint32_t)chunk->rows, (uint64_t)chunk->first_row},
        .is_tail = chunk->is_tail,
        .size = sizeof stored.head + chunk->stored_bytes,
    };
    if (write_record(journal, chunk->is_tail ? PF_JOURNAL_TAIL : PF_JOURNAL_CHUNK, &stored.head,
                     sizeof stored.head, chunk->stored, chunk->stored_bytes, &stored.position, err))
        return -1;
    const PfJournalSegment *segment = journal->index.segments[journal->index.segment_count - 1];
    int64_t raw_bytes = chunk->rows * (int64_t)segment->layouts[chunk->tap].row_bytes;
    TapBytes *bytes = &journal->tap_bytes[chunk->tap];
    if (!chunk->is_tail) bytes->tail_raw = bytes->tail_stored = 0;
    *(chunk->is_tail ? &bytes->tail_raw : &bytes->raw) += raw_bytes;
    *(chunk->is_tail ? &bytes->tail_stored : &bytes->stored) += (int64_t)chunk->stored_bytes;
    return pf_journal_index_add_chunk(&journal->index, &stored, err);
}

static int start_segment(PfJournal *journal, PfError *err)
{
    PfJournalSegment *segment = journal->index.segments[journal->index.segment_count - 1];
    segment->file = journal->file;
    journal->tap_bytes = pf_calloc((size_t)segment->tap_count, sizeof *journal->tap_bytes, err);
    if (!journal->tap_bytes ||
        pf_chunker_new(segment->layouts, segment->tap_count, journal->threads, write_chunk, journal,
                       &journal->chunker, err))
        return -1;
    for (int t = 0; t < segment->tap_count; t++)
        if (resume_tap(journal, segment, t, err)) return -1;
    return 0;
}

/* Keeps the first failure, which every later call then returns. */
static int note_failure(PfJournal *journal, PfError *err)
{
    journal->failed = true;
    if (err) *err = journal->error;
    return -1;
}

int pf_journal_begin(PfJournal *journal, const PfCacheTap *taps, int tap_count,
                     PfCompression compression, int level, int *segment, PfError *err)
{
    assert(!journal->chunker && tap_count > 0);
    if (journal->failed ||
        find_segment(journal, taps, tap_count, compression, level, &journal->error) ||
        start_segment(journal, &journal->error))
        return note_failure(journal, err);
    *segment = journal->index.segment_count - 1;
    return 0;
}

/* ---- appending ---- */

/* Writes the images that wait as one record. Only with it does anything count that was appended
 * since the last one. */
static int checkpoint(PfJournal *journal, PfError *err)
{
    PfRecord record = {.type = PF_JOURNAL_CHECKPOINT};
    if (journal->chunker && pf_chunker_flush_tails(journal->chunker, err)) return -1;
    if (!journal->images.size && !journal->index.pending_segments)
        return pf_record_file_sync(journal->file, err);
    record.payload = journal->images.data;
    record.size = journal->images.size;
    if (write_record(journal, PF_JOURNAL_CHECKPOINT, record.payload, record.size, NULL, 0,
                     &record.position, err) ||
        pf_record_file_sync(journal->file, err))
        return -1;
    journal->images.size = 0;
    return pf_journal_index_add(&journal->index, &record, err);
}

static int sync_journal(PfJournal *journal, PfError *err)
{
    double start = pf_clock_seconds(), writing = journal->stats.write_seconds;
    if (checkpoint(journal, err)) return -1;
    journal->last_sync = pf_clock_seconds();
    journal->last_sync_size = pf_record_file_size(journal->file);
    journal->stats.sync_seconds +=
        journal->last_sync - start - (journal->stats.write_seconds - writing);
    return 0;
}

static int sync_if_due(PfJournal *journal, PfError *err)
{
    int64_t bytes = pf_record_file_size(journal->file) - journal->last_sync_size +
                    (int64_t)journal->images.size;
    if (bytes < journal->sync_bytes &&
        pf_clock_seconds() - journal->last_sync < journal->sync_seconds)
        return 0;
    return sync_journal(journal, err);
}

static int append(PfJournal *journal, int n, const PfJournalImage *images,
                  const void *const *features, PfError *err)
{
    const PfJournalIndex *index = &journal->index;
    for (int i = 0; i < n; i++)
        if (pf_journal_records_put_image(&journal->images, &images[i], err)) return -1;
    for (int t = 0; t < index->segments[index->segment_count - 1]->tap_count; t++)
        if (pf_chunker_append(journal->chunker, t, n, features[t], err)) return -1;
    return sync_if_due(journal, err);
}

int pf_journal_append(PfJournal *journal, int n, const PfJournalImage *images,
                      const void *const *features, PfError *err)
{
    assert(journal->chunker || journal->failed);
    if (journal->failed || append(journal, n, images, features, &journal->error))
        return note_failure(journal, err);
    return 0;
}

int pf_journal_reject(PfJournal *journal, const PfJournalImage *image, PfError *err)
{
    assert(image->reason);
    if (journal->failed || pf_journal_records_put_image(&journal->images, image, &journal->error) ||
        sync_if_due(journal, &journal->error))
        return note_failure(journal, err);
    return 0;
}

int pf_journal_sync(PfJournal *journal, PfError *err)
{
    if (journal->failed || sync_journal(journal, &journal->error))
        return note_failure(journal, err);
    return 0;
}

int pf_journal_end(PfJournal *journal, PfError *err)
{
    int failed = pf_journal_sync(journal, err);
    stop_segment(journal);
    return failed;
}

/* ---- numbers ---- */

void pf_journal_tap_stats(const PfJournal *journal, int tap, int64_t *raw_bytes,
                          int64_t *stored_bytes)
{
    const TapBytes *bytes = &journal->tap_bytes[tap];
    *raw_bytes = bytes->raw + bytes->tail_raw;
    *stored_bytes = bytes->stored + bytes->tail_stored;
}

void pf_journal_stats(PfJournal *journal, PfJournalStats *stats)
{
    const PfJournalIndex *index = &journal->index;
    *stats = journal->stats;
    stats->file_bytes = pf_record_file_size(journal->file);
    if (!journal->chunker) return;
    stats->compress_seconds += pf_chunker_seconds(journal->chunker);
    for (int t = 0; t < index->segments[index->segment_count - 1]->tap_count; t++) {
        int64_t raw_bytes, stored_bytes;
        pf_journal_tap_stats(journal, t, &raw_bytes, &stored_bytes);
        stats->raw_bytes += raw_bytes;
        stats->stored_bytes += stored_bytes;
    }
}
