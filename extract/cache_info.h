/* extract --info: a cache in words. */
#ifndef PF_EXTRACT_CACHE_INFO_H
#define PF_EXTRACT_CACHE_INFO_H

#include <stdio.h>

#include "permafrost/feature_cache.h"

/* Prints what is in the cache, and the line that opens it from Python, to stream. */
int pf_cache_info_print(PfCache *cache, FILE *stream, PfError *err);

#endif
