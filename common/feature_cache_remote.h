/* A cache without a seal, read by a child process: it opens the file and says what is in
 * it, and this process asks it for the rest. The functions that read a cache call these where
 * the cache has a child; in the child the same functions read the file. */
#ifndef PF_FEATURE_CACHE_REMOTE_H
#define PF_FEATURE_CACHE_REMOTE_H

#include "feature_cache_reader.h"
#include "permafrost/error.h"

/* Starts the child. Under pf_h5_lock. */
int pf_cache_remote_start(PfCache *cache, PfError *err);
/* As pf_cache_open_contents. Not under pf_h5_lock. */
int pf_cache_remote_open(PfCache *cache, PfError *err);

int pf_cache_remote_texts(const PfCache *cache, const char *name, PfCacheTexts *texts,
                          PfError *err);
int pf_cache_remote_column(const PfCache *cache, const char *group, const char *member, hid_t type,
                           int64_t count, void *out, size_t row_bytes, PfError *err);
/* out: (N, width) */
int pf_cache_remote_values(const PfCache *cache, int target, float *out, PfError *err);
/* out: (count, shape) of the tap's dtype */
int pf_cache_remote_rows(const PfCacheRows *rows, int64_t first, int64_t count, void *out,
                         PfError *err);
/* As pf_cache_rows_read_raw. */
const char *pf_cache_remote_chunk(const PfCacheRows *rows, int64_t first, void *stored,
                                  size_t capacity, size_t *stored_bytes, PfChunkFormat *format);

#endif
