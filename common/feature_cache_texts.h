/* A list of strings in memory, as a dataset of a cache has them. */
#ifndef PF_FEATURE_CACHE_TEXTS_H
#define PF_FEATURE_CACHE_TEXTS_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "permafrost/error.h"

typedef struct PfCacheTexts {
    const char **items; /* lent until pf_cache_texts_free */
    int64_t count;
    PfArena arena;     /* where the characters are */
    size_t used, most; /* characters, and how many there may be */
} PfCacheTexts;

/* Fills empty texts with "0", "1", ... */
int pf_cache_texts_number(PfCacheTexts *texts, int64_t count, PfError *err);
/* Fills empty texts with `count` strings that follow each other in size bytes, each with its
 * terminator. -1 where they are not that many, or memory is short. */
int pf_cache_texts_copy(PfCacheTexts *texts, int64_t count, const char *bytes, size_t size);
/* Leaves texts empty. */
void pf_cache_texts_free(PfCacheTexts *texts);

#endif
