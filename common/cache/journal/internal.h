/* The inside of a journal, for its own files: its records, the index of what is in it, and the rows
 * of a segment read back. */
#ifndef PF_COMMON_CACHE_JOURNAL_INTERNAL_H
#define PF_COMMON_CACHE_JOURNAL_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/cache/codec/tap_layout.h"
#include "common/cache/journal/journal.h"
#include "common/file/record_file.h"

/* ---- records ----
 *
 * The bytes of a journal's records: what the writing and the reading of one agree on.
 *
 *     IDENTITY                            once, at the beginning
 *     RUNTIME                             before a segment: who computes its rows
 *     SEGMENT                             the taps of the rows that follow
 *     CHUNK and TAIL                      rows of a tap, encoded
 *     CHECKPOINT                          the images of the rows since the last one
 *
 * Everything since the last checkpoint counts only with the next one: there, every
 * tap of the segment has exactly as many rows as there are images. */

#define PF_JOURNAL_VERSION 2

typedef enum PfJournalRecordType {
    PF_JOURNAL_IDENTITY = 1, /* uint32 PF_JOURNAL_VERSION, then the JSON */
    PF_JOURNAL_SEGMENT,
    PF_JOURNAL_CHUNK,      /* PfJournalChunkHead, then chunk_rows rows as one encoded chunk */
    PF_JOURNAL_TAIL,       /* PfJournalChunkHead, then some rows alone, until their chunk comes */
    PF_JOURNAL_CHECKPOINT, /* images one after the other; rows and rejects as they came */
    PF_JOURNAL_RUNTIME,    /* a text; older versions wrote none */
} PfJournalRecordType;

typedef struct PfJournalChunkHead {
    uint32_t tap, rows;
    uint64_t first_row; /* of the segment */
} PfJournalChunkHead;

/* Bytes that grow. */
typedef struct PfJournalBytes {
    unsigned char *data;
    size_t size, capacity;
} PfJournalBytes;

/* Each appends to bytes. */
int pf_journal_records_put_segment(PfJournalBytes *bytes, const PfTapLayout *layouts, int count,
                                   PfError *err);
int pf_journal_records_put_image(PfJournalBytes *bytes, const PfJournalImage *image, PfError *err);

/* What a segment's payload says: *layouts malloc'ed. 1 where it makes no sense. */
int pf_journal_records_get_segment(const void *payload, size_t size, PfTapLayout **layouts,
                                   int *count, PfError *err);

/* A text that lies among other bytes, without a terminator. */
typedef struct PfJournalText {
    const char *bytes;
    size_t size;
} PfJournalText;

/* The next image at *next, which is moved on: 1, or 0 at the end, or -1 where the bytes make no
 * sense. image->path and reason stay NULL; reason->bytes is NULL for a row. */
int pf_journal_records_get_image(const unsigned char **next, const unsigned char *end,
                                 PfJournalImage *image, PfJournalText *path, PfJournalText *reason);

/* ---- the index ----
 *
 * What is in a journal, fed record by record: when an old one is read, and again when
 * a record has been appended, so that both agree. */

/* Images in blocks, so that what is lent stays where it is. */
typedef struct PfJournalImages {
    PfJournalImage **blocks;
    size_t block_capacity;
    int64_t count;
} PfJournalImages;

const PfJournalImage *pf_journal_index_image_at(const PfJournalImages *images, int64_t index);

/* A CHUNK or a TAIL in the file. */
typedef struct PfJournalChunk {
    PfJournalChunkHead head;
    bool is_tail;
    size_t size; /* of the payload, with the head */
    int64_t position;
} PfJournalChunk;

typedef struct PfJournalChunks {
    PfJournalChunk *items;
    size_t count, capacity;
} PfJournalChunks;

typedef struct PfJournalTap {
    PfJournalChunks chunks; /* chunk i begins with row i * chunk_rows */
    PfJournalChunks tails;  /* rows after the last chunk */
    int64_t rows;           /* in chunks and tails, with those after the last checkpoint */
    unsigned char *raw;     /* the chunk that was decoded last, or NULL; the source's, with raw_* */
    int64_t raw_first, raw_rows;
} PfJournalTap;

typedef struct PfJournalSegment {
    int tap_count;
    PfTapLayout *layouts; /* (tap_count) */
    PfJournalTap *taps;   /* (tap_count) */
    PfJournalImages rows;
    const char *runtime;      /* NULL: not noted */
    const PfRecordFile *file; /* lent, for the source; with what follows, its own */
    PfChunkCodec *codec;      /* NULL before the first read */
    unsigned char *payload;
    size_t payload_capacity;
} PfJournalSegment;

typedef struct PfJournalIndex {
    const char *path; /* lent, for messages */
    char *identity;   /* NULL before the first record */
    PfJournalSegment **segments;
    size_t segment_capacity;
    int segment_count;    /* with one that waits for its checkpoint */
    int pending_segments; /* such ones */
    PfJournalImages rejects;
    const char *runtime; /* of the segment that comes next, or NULL */
    PfArena texts;
    PfJournalChunks pending_chunks; /* of the last segment, since the last checkpoint */
} PfJournalIndex;

/* A PfRecordVisitor; context: the index. */
int pf_journal_index_add(void *index, const PfRecord *record, PfError *err);
/* The same for a chunk of which only the head is at hand. */
int pf_journal_index_add_chunk(PfJournalIndex *index, const PfJournalChunk *chunk, PfError *err);
/* Forgets what waits for a checkpoint that did not come. */
void pf_journal_index_roll_back(PfJournalIndex *index);
/* Frees what is in it. */
void pf_journal_index_clear(PfJournalIndex *index);

/* ---- a segment's rows, read back ---- */

/* The segment must outlive it. */
PfRowSource pf_journal_source_of_segment(PfJournalSegment *segment, const char *path);

/* Rows [first, first + count) of a tap in its dtype; those of the last chunk are kept. */
int pf_journal_source_read_rows(PfJournalSegment *segment, int tap, int64_t first, int64_t count,
                                void *out, PfError *err);

#endif
