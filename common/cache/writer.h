/* A cache written tap after tap: what pf_cache_writer_append does in one step, in
 * its parts. When the writer is finished, every tap must have as many rows as there are samples. */
#ifndef PF_COMMON_CACHE_WRITER_H
#define PF_COMMON_CACHE_WRITER_H

#include <stdint.h>

#include "common/cache/codec/tap_layout.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* How the rows of a tap will lie. Lent until the writer is finished. */
const PfTapLayout *pf_cache_writer_layout(const PfCacheWriter *writer, int tap);

/* n rows of a tap after those it has: (n, shape) row-major of the tap's dtype, copied. */
int pf_cache_writer_append_tap(PfCacheWriter *writer, int tap, int64_t n, const void *features,
                               PfError *err);
/* A chunk of `rows` rows that is encoded in the tap's layout already, copied. Only where the
 * tap's rows so far end with a chunk; `rows` is chunk_rows, or less for the tap's last chunk. */
int pf_cache_writer_append_chunk(PfCacheWriter *writer, int tap, int64_t rows, const void *stored,
                                 size_t stored_bytes, PfError *err);
/* The tap is complete: its last chunk comes before those of other taps in the file, whether it
 * was appended as rows or encoded. */
void pf_cache_writer_finish_tap(PfCacheWriter *writer, int tap);
int pf_cache_writer_append_samples(PfCacheWriter *writer, int64_t n, const PfCacheSample *samples,
                                   PfError *err);

#endif
