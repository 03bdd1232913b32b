/* The bytes of a journal's records: what the writing and the reading of one agree on.
 *
 *     IDENTITY                            once, at the beginning
 *     SEGMENT                             the taps of the rows that follow
 *     CHUNK and TAIL                      rows of a tap, encoded
 *     CHECKPOINT                          the images of the rows since the last one
 *
 * Everything since the last checkpoint counts only with the next one: there, every
 * tap of the segment has exactly as many rows as there are images. */
#ifndef PF_FEATURE_CACHE_JOURNAL_RECORDS_H
#define PF_FEATURE_CACHE_JOURNAL_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#include "feature_cache_journal.h"
#include "feature_cache_layout.h"

#define PF_JOURNAL_VERSION 2

typedef enum PfJournalRecordType {
    PF_JOURNAL_IDENTITY = 1, /* uint32 PF_JOURNAL_VERSION, then the JSON */
    PF_JOURNAL_SEGMENT,
    PF_JOURNAL_CHUNK,      /* PfJournalChunkHead, then chunk_rows rows as one encoded chunk */
    PF_JOURNAL_TAIL,       /* PfJournalChunkHead, then some rows alone, until their chunk comes */
    PF_JOURNAL_CHECKPOINT, /* images one after the other; rows and rejects as they came */
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
int pf_journal_put_segment(PfJournalBytes *bytes, const PfTapLayout *layouts, int count,
                           PfError *err);
int pf_journal_put_image(PfJournalBytes *bytes, const PfJournalImage *image, PfError *err);

/* What a segment's payload says: *layouts malloc'ed. 1 where it makes no sense. */
int pf_journal_get_segment(const void *payload, size_t size, PfTapLayout **layouts, int *count,
                           PfError *err);

/* A text of another's bytes, without terminator. */
typedef struct PfJournalText {
    const char *bytes;
    size_t size;
} PfJournalText;

/* The next image at *next, which is moved on: 1, or 0 at the end, or -1 where the bytes make no
 * sense. image->path and reason stay NULL; reason->bytes is NULL for a row. */
int pf_journal_get_image(const unsigned char **next, const unsigned char *end,
                         PfJournalImage *image, PfJournalText *path, PfJournalText *reason);

#endif
