/* The inside of a cache that is open, for the cache's own files. */
#ifndef PF_FEATURE_CACHE_READER_H
#define PF_FEATURE_CACHE_READER_H

#include <stdint.h>

#include "feature_cache_child.h"
#include "feature_cache_file.h"
#include "feature_cache_rows.h"
#include "feature_cache_targets.h"
#include "feature_cache_texts.h"
#include "feature_cache_virtual_sources.h"
#include "permafrost/feature_cache.h"

/* Rows [first, first + count) of a tap in its stored dtype, kept from read to read. */
typedef struct PfRowWindow {
    int tap;
    int64_t first, count; /* count 0: none yet */
    unsigned char *rows;
    size_t capacity_bytes;
} PfRowWindow;

struct PfCache {
    PfCacheFile file;
    PfCacheChild *child; /* which has the file open; NULL: this process has */
    PfCacheSources sources;
    PfCacheRows *taps;
    int tap_count;
    PfCacheTargetRows *targets;
    int target_count;
    char *identity, *provenance;
    uint8_t *splits;
    int has_paths;
    int64_t rejected_count;
    PfCacheTexts paths, rejected_paths, reasons;
    PfCacheReject *rejects; /* NULL: not read yet */
    PfRowsWorkers workers;
    PfRowWindow window;
};

/* Both lent until pf_cache_close. */
const PfCacheRows *pf_cache_tap_rows(const PfCache *cache, int tap);
PfRowWindow *pf_cache_row_window(PfCache *cache);

/* A cache of that path, nothing of it open yet. */
PfCache *pf_cache_new(const char *path, PfError *err);
/* Opens the file in this process. Under pf_h5_lock; on failure too, close the cache. */
int pf_cache_open_contents(PfCache *cache, PfError *err);
/* The dataset of strings "group/name". Takes pf_h5_lock itself. */
int pf_cache_load_texts(const PfCache *cache, const char *name, PfCacheTexts *texts, PfError *err);
/* One number, or row of row_bytes, of `type` for each of `count` rows, or zeros where the file has
 * no dataset "group/member". Under pf_h5_lock. */
int pf_cache_load_column(const PfCache *cache, const char *group, const char *member, hid_t type,
                         int64_t count, void *out, size_t row_bytes, PfError *err);

#endif
