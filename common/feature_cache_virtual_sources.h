/* The caches that a virtual cache takes its features from, as it is read: that all are
 * there, and are the ones that were merged. */
#ifndef PF_FEATURE_CACHE_VIRTUAL_SOURCES_H
#define PF_FEATURE_CACHE_VIRTUAL_SOURCES_H

#include "feature_cache_file.h"
#include "feature_cache_texts.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

typedef struct PfCacheSources {
    PfCacheSource *items; /* paths are those of texts */
    PfCache **caches;     /* NULL until they are opened */
    int count;            /* 0: the features are in the file itself */
    PfCacheTexts paths;
} PfCacheSources;

/* Reads /sources, where the file has it. Under pf_h5_lock; on failure too, free it. */
int pf_cache_sources_read(const PfCacheFile *file, PfCacheSources *sources, PfError *err);
/* Opens and checks the caches. Not under pf_h5_lock. */
int pf_cache_sources_open(const PfCacheFile *file, PfCacheSources *sources, PfError *err);
/* As pf_cache_open, but where that cache is virtual, its own sources stay closed: files that
 * name each other in a circle end here. */
int pf_cache_open_alone(const char *path, PfCache **out, PfError *err);
/* Closes them. Not under pf_h5_lock. */
void pf_cache_sources_free(PfCacheSources *sources);

#endif
