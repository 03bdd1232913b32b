/* Whether a cache is already what composing would make of the dataset. */
#ifndef PF_CACHE_MATCH_H
#define PF_CACHE_MATCH_H

#include "survey.h"

typedef enum PfCacheMatch {
    PF_CACHE_DIFFERS,
    PF_CACHE_STAMPS_DIFFER, /* in nothing else: files were touched, copied or moved back */
    PF_CACHE_EQUAL,
} PfCacheMatch;

/* Rows and rejects in the dataset's order, with its paths, splits, labels and classes;
 * all taps, compressed as asked, or wherever a virtual cache has them. known's first source is the
 * cache. */
int pf_cache_match(PfCache *cache, const PfKnownRows *known, const PfSurvey *survey,
                   const PfCacheTap *taps, PfCompression compression, int level,
                   PfCacheMatch *match, PfError *err);

#endif
