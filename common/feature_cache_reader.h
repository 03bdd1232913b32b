/* The inside of a cache that is open, for the cache's own files. */
#ifndef PF_FEATURE_CACHE_READER_H
#define PF_FEATURE_CACHE_READER_H

#include <stdint.h>

#include "feature_cache_rows.h"
#include "permafrost/feature_cache.h"

/* Rows [first, first + count) of a tap in its stored dtype, kept from read to read. */
typedef struct PfRowWindow {
    int tap;
    int64_t first, count; /* count 0: none yet */
    unsigned char *rows;
    size_t capacity_bytes;
} PfRowWindow;

/* Both lent until pf_cache_close. */
const PfCacheRows *pf_cache_tap_rows(const PfCache *cache, int tap);
PfRowWindow *pf_cache_row_window(PfCache *cache);

#endif
