/* What a cache may claim, by the size of its file: HDF5 stores what was never written, or is all
 * the same, in a few bytes, and a file of 17 KB can say that it has a billion rows. */
#ifndef PF_FEATURE_CACHE_LIMITS_H
#define PF_FEATURE_CACHE_LIMITS_H

#include <hdf5.h>

#include "feature_cache_file.h"

/* What the numbers of a dataset may take in memory, as 32-bit ones, whatever the file's size, and
 * how many times the file's own size where that is more. Features are compressed to a half or a
 * third, pixels of line drawings to a fiftieth. */
#define PF_CACHE_FREE_BYTES ((int64_t)160 << 20)
#define PF_CACHE_MAX_EXPANSION 1024
/* The same of a chunk as it is stored, which is unpacked as a whole. */
#define PF_CACHE_FREE_CHUNK_BYTES ((int64_t)64 << 20)
#define PF_CACHE_MAX_CHUNK_EXPANSION 4
#define PF_CACHE_FREE_ROWS 1000000
/* The same of all that stays in memory while the file is open. */
#define PF_CACHE_MAX_SUM_EXPANSION 16

/* Checks the shape, the chunks and the number of rows of a dataset, of a virtual one by the sizes
 * of all files that it lies in. What is no dataset passes. Under pf_h5_lock. */
int pf_cache_limits_check(const PfCacheFile *file, const char *name, hid_t object, PfError *err);

/* Whether what is read of a file altogether, and stays in memory, is in proportion to it. what:
 * "the targets", for the message. */
int pf_cache_limits_check_sum(const PfCacheFile *file, const char *what, int64_t bytes,
                              PfError *err);

#endif
