/* How many rows of each tap were computed by whom: "runtime_rows" in a cache's provenance,
 *
 *     {"layer3": [{"rows": 298, "runtimes": ["libtorch 1.13.0, cpu"]},
 *                 {"rows": 100, "runtimes": ["C engine, avx2, 2 threads"]}]}
 *
 * Several runtimes in one entry: each of its rows is of one of them, and nobody knows of which;
 * none: that was not noted. Tap `input` is left out, as no network computes it. */
#ifndef PF_EXTRACT_PLAN_RUNTIME_ROWS_H
#define PF_EXTRACT_PLAN_RUNTIME_ROWS_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "extract/plan/dataset_scan.h"

#define PF_RUNTIME_ROWS_KEY "runtime_rows"

/* The rows of the cache that is made of a scan. cache: the one whose rows are used again, or NULL.
 * Where all of them are, its entries are taken over. Where some are not, or some stand for several
 * images, nobody knows which of its runtimes they are of. Rows of a cache that does not count them
 * are of any of the runtimes that it names. */
cJSON *pf_runtime_rows_of_scan(const PfDatasetScan *scan, const PfRowIndex *known,
                               const PfCache *cache, const PfCacheTap *taps, PfError *err);

/* All rows of a cache. */
cJSON *pf_runtime_rows_of_cache(const PfCache *cache);

/* Adds the entries of `from`, of the same taps. */
void pf_runtime_rows_add(cJSON *to, const cJSON *from);

/* A line for each tap: "runtime     layer3: 298 rows by libtorch 1.13.0, cpu". */
void pf_runtime_rows_print(const cJSON *rows, FILE *stream);

#endif
