/* What earlier runs have left: the rows of a finished cache and those of a journal,
 * and the images that were refused, found by path and by the digest of their bytes.
 *
 * Does not change once it is in use: any number of threads may ask. About forty bytes an
 * image, beside what a cache lends. */
#ifndef PF_KNOWN_ROWS_H
#define PF_KNOWN_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "feature_cache_compose.h"
#include "feature_cache_journal.h"
#include "permafrost/feature_cache.h"

/* Taps are numbered by bits of a 64-bit word. */
#define PF_KNOWN_TAPS_MAX 64

typedef struct PfKnownRows PfKnownRows;

/* Either of cache and journal may be NULL; both must outlive it, and so must taps.
 * No segment of the journal is being appended to. Rows count for a tap where they have its
 * shape and type; a tap of rank -1 has no shape yet, and takes that of the first source
 * that has it. */
int pf_known_rows_new(PfCache *cache, PfJournal *journal, PfCacheTap *taps, int tap_count,
                      PfKnownRows **out, PfError *err);
/* From now on refused images whose reason begins with `reason` count as unknown, so that they are
 * tried again. */
void pf_known_rows_retry(PfKnownRows *known, const char *reason);
void pf_known_rows_free(PfKnownRows **known);

/* The image that was last seen at that path with that stamp, a row or a refused one.
 * False where there is none. */
bool pf_known_rows_by_stamp(const PfKnownRows *known, const char *path, const PfFileStamp *stamp,
                            PfJournalImage *image);
/* A row, or else a refused image, of these bytes. False where there is none. */
bool pf_known_rows_by_digest(const PfKnownRows *known, const uint8_t digest[PF_DIGEST_SIZE],
                             PfJournalImage *image);
/* Whether any image has that many bytes: others need no digest to be told apart. */
bool pf_known_rows_has_size(const PfKnownRows *known, uint64_t size_bytes);
/* The refused image that could not even be read, at that path. False where there
 * is none. */
bool pf_known_rows_unreadable(const PfKnownRows *known, const char *path, PfJournalImage *image);

/* How large the decoded image of these bytes is; zeros where nobody knows. */
void pf_known_rows_image_size(const PfKnownRows *known, const uint8_t digest[PF_DIGEST_SIZE],
                              int32_t *width, int32_t *height);

/* Bit t: no source has a row of tap t for these bytes. */
uint64_t pf_known_rows_missing(const PfKnownRows *known, const uint8_t digest[PF_DIGEST_SIZE]);
/* Where a tap's row for these bytes is: the one behind `before` if that is one, so
 * that runs of rows stay together. Its source is -1 where there is none. */
PfRowPlace pf_known_rows_place(const PfKnownRows *known, int tap,
                               const uint8_t digest[PF_DIGEST_SIZE], PfRowPlace before);
/* Sources that places number; lent. The cache, where there is one, is the first. */
const PfRowSource *pf_known_rows_sources(const PfKnownRows *known, int *count);
/* Whether the journal has a row of these bytes. */
bool pf_known_rows_in_journal(const PfKnownRows *known, const uint8_t digest[PF_DIGEST_SIZE]);

#endif
