/* A finished cache from rows that lie elsewhere: the end of every extraction, and
 * --merge. Chunks that a source holds exactly as they are needed are moved as
 * they are; others are gathered row by row and encoded again. The result depends on
 * the rows alone, not on where they came from. */
#ifndef PF_COMMON_CACHE_BUILD_H
#define PF_COMMON_CACHE_BUILD_H

#include <signal.h>
#include <stdint.h>

#include "common/cache/codec/tap_layout.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* Rows that have been computed before and can be read again: those of a finished cache, or of a
 * part of a journal. */
typedef struct PfRowSource {
    void *context;
    const char *path; /* for messages */
    /* Index of the tap with that name, or -1. */
    int (*find_tap)(void *context, const char *name);
    /* (count, shape) of the tap's stored dtype into out. Rows that were asked for just before
     * are cheap: the last chunk is kept. */
    int (*read_rows)(void *context, int tap, int64_t first, int64_t count, void *out, PfError *err);
    /* Whether rows [first, first + rows) are stored as one chunk that layout would
     * make of them: then its bytes (stored has room for pf_chunk_bound), their checksum verified,
     * and *stored_bytes; else *stored_bytes is 0. -1 only where reading failed. */
    int (*read_stored)(void *context, int tap, int64_t first, int64_t rows,
                       const PfTapLayout *layout, void *stored, size_t *stored_bytes, PfError *err);
} PfRowSource;

typedef struct PfRowPlace {
    int source;
    int64_t row;
} PfRowPlace;

typedef struct PfCacheBuildPlan {
    const PfCacheTap *taps; /* in the order of the file */
    int tap_count;
    const PfCacheTarget *targets;
    int target_count;
    const char *identity, *provenance; /* JSON */
    PfCompression compression;
    int level, threads;
    const PfRowSource *sources; /* not asked for a virtual cache */
    int source_count;
    const PfCacheSource *virtual_sources; /* see PfCacheWriterConfig */
    int virtual_source_count;
    int64_t row_count, reject_count;
    void *context;
    /* Where row `row` of the file is for a tap, which that source has in the same shape and
     * dtype. Asked once for each row, tap after tap, in the order of rows. */
    PfRowPlace (*place)(void *context, int tap, int64_t row);
    /* What they point to is lent until the next call. In order: a row's sample just before its
     * place for the first tap, rejects behind everything else. */
    int (*sample)(void *context, int64_t row, PfCacheSample *out, PfError *err);
    int (*reject)(void *context, int64_t index, PfCacheReject *out, PfError *err);
    void (*progress)(void *context, int64_t done, int64_t total); /* rows x taps; may be NULL */
    const volatile sig_atomic_t *interrupted;                     /* may be NULL */
} PfCacheBuildPlan;

typedef struct PfCacheBuildStats {
    PfCacheWriterStats written;
    int64_t chunks_moved, chunks_encoded;
    double seconds;
} PfCacheBuildStats;

/* The rows of a cache, which must outlive the source. */
PfRowSource pf_cache_build_source(PfCache *cache);

/* Writes and seals path; what was there stays until the new file is whole, and for
 * good where this fails or is interrupted (PF_EXIT_INTERRUPTED). stats may be NULL. */
int pf_cache_build(const char *path, const PfCacheBuildPlan *plan, PfCacheBuildStats *stats,
                   PfError *err);

#endif
