/* Rows that have been computed before and can be read again: those of a finished cache, or of a
 * part of a journal. */
#ifndef PF_COMMON_CACHE_CODEC_ROW_SOURCE_H
#define PF_COMMON_CACHE_CODEC_ROW_SOURCE_H

#include <stdint.h>

#include "common/cache/codec/tap_layout.h"
#include "permafrost/error.h"

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

#endif
