/* What is in a journal, fed record by record: when an old one is read, and again when
 * a record has been appended, so that both agree. */
#ifndef PF_FEATURE_CACHE_JOURNAL_INDEX_H
#define PF_FEATURE_CACHE_JOURNAL_INDEX_H

#include "arena.h"
#include "feature_cache_journal.h"
#include "feature_cache_journal_records.h"
#include "record_file.h"

/* Images in blocks, so that what is lent stays where it is. */
typedef struct PfJournalImages {
    PfJournalImage **blocks;
    size_t block_capacity;
    int64_t count;
} PfJournalImages;

const PfJournalImage *pf_journal_images_at(const PfJournalImages *images, int64_t index);

/* A CHUNK or a TAIL in the file. */
typedef struct PfJournalChunk {
    PfJournalChunkHead head;
    int is_tail;
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

#endif
