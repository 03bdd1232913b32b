/* extract --info --json: a cache for programs. docs/schema/cache-info.json describes it. */
#ifndef PF_EXTRACT_CACHE_INFO_JSON_H
#define PF_EXTRACT_CACHE_INFO_JSON_H

#include "extract/options.h"
#include "permafrost/feature_cache.h"

/* Writes to options->json, or with "-" to stdout, what pf_cache_info_print says. */
int pf_cache_info_write_json(PfCache *cache, const PfExtractOptions *options, PfError *err);

#endif
