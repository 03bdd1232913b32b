/* extract --info: a cache in words. */
#ifndef PF_CACHE_INFO_H
#define PF_CACHE_INFO_H

#include <stdio.h>

#include "permafrost/feature_cache.h"

/* Prints what is in the cache, and the line that opens it from Python, to stream. */
int pf_cache_info_print(PfCache *cache, FILE *stream, PfError *err);

/* 1234567 -> "1.2 MB": into text, which is returned. */
#define PF_SIZE_TEXT 24
const char *pf_size_text(int64_t bytes, char text[PF_SIZE_TEXT]);

#endif
