/* The finished cache: the rows that a scan found, in the dataset's order. Whether it is there
 * already, and writing it. */
#ifndef PF_EXTRACT_PLAN_CACHE_BUILD_H
#define PF_EXTRACT_PLAN_CACHE_BUILD_H

#include "extract/plan/dataset_scan.h"

typedef enum PfPlanCacheMatch {
    PF_PLAN_CACHE_DIFFERS,
    PF_PLAN_CACHE_STAMPS_DIFFER, /* and nothing else does: files were touched, copied or moved back
                                  */
    PF_PLAN_CACHE_EQUAL,
} PfPlanCacheMatch;

/* Whether the cache is what would be built of the scan: rows and rejects in the dataset's
 * order, with its paths, splits, labels and classes; all taps, compressed as asked, or wherever a
 * virtual cache has them. The cache is the first source of `known`. */
int pf_plan_cache_match(PfCache *cache, const PfRowIndex *known, const PfDatasetScan *scan,
                        const PfCacheTap *taps, PfCompression compression, int level,
                        PfPlanCacheMatch *match, PfError *err);

typedef struct PfPlanCacheBuild {
    const PfDatasetScan *scan; /* nothing is missing any more */
    const PfRowIndex *known;
    const PfCacheTap *taps;
    int tap_count;
    const char *identity, *provenance; /* JSON */
    PfCompression compression;
    int level, threads;
    const volatile sig_atomic_t *interrupted; /* may be NULL */
} PfPlanCacheBuild;

/* Writes `output`, of which the old one stays until the new one is whole. */
int pf_plan_cache_build(const PfPlanCacheBuild *build, const char *output, PfCacheBuildStats *stats,
                        PfError *err);

#endif
