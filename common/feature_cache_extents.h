/* Where the chunks of features lie in a file that is being written. */
#ifndef PF_FEATURE_CACHE_EXTENTS_H
#define PF_FEATURE_CACHE_EXTENTS_H

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

#include "feature_cache_seal.h"
#include "permafrost/error.h"

struct WrittenChunk;

/* Zero it to begin. */
typedef struct PfCacheExtents {
    struct WrittenChunk *chunks; /* in the order of writing */
    size_t count, capacity;
    uint64_t total_bytes; /* of all chunks */
} PfCacheExtents;

/* To be called for every chunk that was written, in that order. */
int pf_cache_extents_note(PfCacheExtents *extents, hid_t dataset, int64_t first_row,
                          size_t stored_bytes, PfError *err);
/* The parts of the file that the chunks fill, as few and as large as can be, in the
 * order of offsets; *out is malloc'ed. While the datasets are open; under pf_h5_lock. -1 on
 * failure, and HDF5 knows why. */
int pf_cache_extents_find(const PfCacheExtents *extents, PfSealExtent **out, int64_t *count);
void pf_cache_extents_free(PfCacheExtents *extents);

#endif
