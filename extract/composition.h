/* The finished cache: the rows that a survey found, in the dataset's order. Whether it is there
 * already, and writing it. */
#ifndef PF_COMPOSITION_H
#define PF_COMPOSITION_H

#include "survey.h"

typedef enum PfCacheMatch {
    PF_CACHE_DIFFERS,
    PF_CACHE_STAMPS_DIFFER, /* and nothing else does: files were touched, copied or moved back */
    PF_CACHE_EQUAL,
} PfCacheMatch;

/* Whether the cache is what composing would make of the survey: rows and rejects in the dataset's
 * order, with its paths, splits, labels and classes; all taps, compressed as asked, or wherever a
 * virtual cache has them. The cache is the first source of `known`. */
int pf_cache_match(PfCache *cache, const PfKnownRows *known, const PfSurvey *survey,
                   const PfCacheTap *taps, PfCompression compression, int level,
                   PfCacheMatch *match, PfError *err);

typedef struct PfComposition {
    const PfSurvey *survey; /* nothing is missing any more */
    const PfKnownRows *known;
    const PfCacheTap *taps;
    int tap_count;
    const char *identity, *provenance; /* JSON */
    PfCompression compression;
    int level, threads;
    const volatile sig_atomic_t *interrupted; /* may be NULL */
} PfComposition;

/* Writes `output`, of which the old one stays until the new one is whole. */
int pf_composition_write(const PfComposition *composition, const char *output,
                         PfComposeStats *stats, PfError *err);

#endif
