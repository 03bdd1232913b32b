/* What earlier runs have left: the rows of a finished cache and those of a journal,
 * and the images that were refused, found by path and by the digest of their bytes.
 *
 * Does not change once it is in use: any number of threads may ask. About forty bytes an
 * image, beside what a cache lends. */
#ifndef PF_EXTRACT_PLAN_ROW_INDEX_H
#define PF_EXTRACT_PLAN_ROW_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cache/build.h"
#include "common/cache/journal/journal.h"
#include "permafrost/feature_cache.h"

/* Taps are numbered by bits of a 64-bit word. */
#define PF_KNOWN_TAPS_MAX 64

typedef struct PfRowIndex PfRowIndex;

/* Either of cache and journal may be NULL; both must outlive it, and so must taps.
 * No segment of the journal is being appended to. Rows count for a tap where they have its
 * shape and type; a tap of rank -1 has no shape yet, and takes that of the first source
 * that has it. */
int pf_row_index_new(PfCache *cache, PfJournal *journal, PfCacheTap *taps, int tap_count,
                     PfRowIndex **out, PfError *err);
/* Refused images that may be taken now (see image.h) count as unknown, so that they are tried
 * again; from now on also those that larger limits would let pass. */
void pf_row_index_expect_larger(PfRowIndex *known);
void pf_row_index_free(PfRowIndex **known);

/* The image that was last seen at that path with that stamp, a row or a refused one.
 * False where there is none. */
bool pf_row_index_by_stamp(const PfRowIndex *known, const char *path, const PfFileStamp *stamp,
                           PfJournalImage *image);
/* A row, or else a refused image, of these bytes. False where there is none. */
bool pf_row_index_by_digest(const PfRowIndex *known, const uint8_t digest[PF_DIGEST_SIZE],
                            PfJournalImage *image);
/* Whether any image has that many bytes: others need no digest to be told apart. */
bool pf_row_index_has_size(const PfRowIndex *known, uint64_t size_bytes);
/* The refused image that could not even be read, at that path. False where there
 * is none. */
bool pf_row_index_unreadable(const PfRowIndex *known, const char *path, PfJournalImage *image);

/* Whether an image of these bytes was refused at that path. */
bool pf_row_index_was_rejected(const PfRowIndex *known, const char *path,
                               const uint8_t digest[PF_DIGEST_SIZE]);

/* What is known of the decoded image of these bytes: its size, zeros where nobody knows, and
 * statistics. Fills these members of *out. */
void pf_row_index_decoded(const PfRowIndex *known, const uint8_t digest[PF_DIGEST_SIZE],
                          PfImageFile *out);

/* Bit t: no source has a row of tap t for these bytes. */
uint64_t pf_row_index_missing(const PfRowIndex *known, const uint8_t digest[PF_DIGEST_SIZE]);
/* Where a tap's row for these bytes is: the one behind `before` if that is one, so
 * that runs of rows stay together. Its source is -1 where there is none. */
PfRowPlace pf_row_index_place(const PfRowIndex *known, int tap,
                              const uint8_t digest[PF_DIGEST_SIZE], PfRowPlace before);
/* Sources that places number; lent. The cache, where there is one, is the first. */
const PfRowSource *pf_row_index_sources(const PfRowIndex *known, int *count);
/* Who computed the rows of a source that is a part of the journal; NULL where that was not noted,
 * and of the cache. Lent by the journal. */
const char *pf_row_index_runtime(const PfRowIndex *known, int source);
/* Whether the journal has a row of these bytes. */
bool pf_row_index_in_journal(const PfRowIndex *known, const uint8_t digest[PF_DIGEST_SIZE]);

#endif
