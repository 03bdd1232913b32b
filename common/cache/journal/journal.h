/* Work that is not in a finished cache yet: rows, and images that were refused.
 *
 * Beside the output ("photos.h5.journal"), append-only, locked. One segment for
 * each set of taps that was computed together; rows of a segment are numbered
 * in the order of computing and known by the digest of their image's bytes. */
#ifndef PF_COMMON_CACHE_JOURNAL_JOURNAL_H
#define PF_COMMON_CACHE_JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cache/build.h"
#include "common/cache/image_file.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

typedef struct PfJournal PfJournal;

/* What is known of a row, or of a refused image. Lent until the journal closes. */
typedef struct PfJournalImage {
    PfImageFile file;   /* as it was when it was computed; it may have moved since */
    const char *reason; /* of a refused image; NULL for rows */
} PfJournalImage;

typedef struct PfJournalConfig {
    const char *output;   /* the cache that the journal belongs to */
    const char *identity; /* JSON without "taps" */
    double sync_seconds;  /* work is made safe at least so often... */
    int64_t sync_bytes;   /* ...and after so many bytes of the journal */
    int threads;          /* that compress */
} PfJournalConfig;

/* "<output>.journal", malloc'ed; where output is a link, beside the file that it leads to, so that
 * whoever names that file finds it. */
char *pf_journal_path(const char *output, PfError *err);

/* Opens or creates it, and takes its lock; "another extract is writing ..." where that
 * is held. *identity (lent): what an existing one was begun with; the caller compares. */
int pf_journal_open(const PfJournalConfig *config, PfJournal **out, const char **identity,
                    PfError *err);
/* What is in an existing journal, without the lock and without changing it, for --dry-run; absent:
 * *out is NULL. It says which images it has, and what it was begun with (*identity, lent); their
 * features are not read, and nothing is added. Close it. */
int pf_journal_peek(const char *output, PfJournal **out, const char **identity, PfError *err);
/* What an existing one was begun with, without the lock and without reading on. *identity is NULL
 * where there is none that can be read; else the caller's. */
void pf_journal_begun_with(const char *output, char **identity);
/* Closes; what was synced stays for the next run. */
void pf_journal_close(PfJournal **journal);
/* Deletes the file: its rows are in a finished cache, or not wanted (--force). */
int pf_journal_remove(PfJournal **journal, PfError *err);
/* For who writes the output but no journal: the lock alone, whether or not there is a journal,
 * which is neither read nor changed. */
typedef struct PfJournalLock {
    char *path; /* NULL: not taken */
    int fd;
} PfJournalLock;
int pf_journal_lock(const char *output, PfJournalLock *out, PfError *err);
/* A file that was there for its lock only goes. */
void pf_journal_unlock(PfJournalLock *lock);
/* Whether somebody is writing the output now. */
bool pf_journal_is_locked(const char *output);

/* Bytes behind the last sync that opening dropped: an end that is damaged, or was not finished. */
int64_t pf_journal_dropped_bytes(const PfJournal *journal);

/* ---- what is in it ---- */

int pf_journal_segment_count(const PfJournal *journal);
int pf_journal_segment_tap_count(const PfJournal *journal, int segment);
const PfCacheTap *pf_journal_segment_tap(const PfJournal *journal, int segment, int tap);
/* Who computed its rows; NULL where that was not noted. Lent. */
const char *pf_journal_segment_runtime(const PfJournal *journal, int segment);
/* Rows that can be read: those that were synced. */
int64_t pf_journal_row_count(const PfJournal *journal, int segment);
const PfJournalImage *pf_journal_row(const PfJournal *journal, int segment, int64_t row);
int64_t pf_journal_reject_count(const PfJournal *journal);
const PfJournalImage *pf_journal_reject_at(const PfJournal *journal, int64_t index);
/* Its rows as a source; not while the segment is being appended to. */
PfRowSource pf_journal_source(PfJournal *journal, int segment);

/* ---- adding to it ---- */

#define PF_JOURNAL_RUNTIME_MAX 1024

/* Who computes the rows of segments that begin from now on: "C engine, avx2, 2 threads". Copied,
 * and cut to PF_JOURNAL_RUNTIME_MAX characters, with ? for those that cannot be printed; "": not
 * noted. */
int pf_journal_set_runtime(PfJournal *journal, const char *runtime, PfError *err);
/* Goes on with the last segment where its taps, their layout and its runtime are these, else
 * begins one. *segment: its index. A failure of one of the functions from here to end is
 * final: the others then return it again, and what was synced is what remains. */
int pf_journal_begin(PfJournal *journal, const PfCacheTap *taps, int tap_count,
                     PfCompression compression, int level, int *segment, PfError *err);
/* n rows; features[t]: (n, taps[t].shape) of the tap's dtype. Copied. Syncs when it is time. */
int pf_journal_append(PfJournal *journal, int n, const PfJournalImage *images,
                      const void *const *features, PfError *err);
int pf_journal_reject(PfJournal *journal, const PfJournalImage *image, PfError *err);
/* Everything appended so far is safe afterwards. */
int pf_journal_sync(PfJournal *journal, PfError *err);
/* Sync, and the end of the segment: it can be read as a source now. */
int pf_journal_end(PfJournal *journal, PfError *err);

typedef struct PfJournalStats {
    int64_t raw_bytes, stored_bytes; /* of features appended in this run; tails not counted twice */
    int64_t file_bytes;
    double compress_seconds, write_seconds, sync_seconds;
} PfJournalStats;
void pf_journal_stats(PfJournal *journal, PfJournalStats *stats);
/* The same for one tap, between begin and end: what a plan extrapolates from. Rows count
 * once their chunk is full or they were synced. */
void pf_journal_tap_stats(const PfJournal *journal, int tap, int64_t *raw_bytes,
                          int64_t *stored_bytes);

#endif
