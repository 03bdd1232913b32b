/* What a cache says of how it came about, and does not decide its numbers. */
#ifndef PF_EXTRACT_PLAN_PROVENANCE_H
#define PF_EXTRACT_PLAN_PROVENANCE_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "extract/backbone/plan.h"
#include "extract/dataset/dataset.h"
#include "extract/plan/dataset_scan.h"

#define PF_FETCHED_KEY "fetched" /* pf_dataset_fetched_version */

/* By which rules rows were listed and split. A cache that does not name a rule was made when there
 * was only the oldest one. */
typedef struct PfListingRules {
    bool by_path;     /* sides, and what train validates on, by hashes of paths, not of contents */
    bool has_groups;  /* by groups, where images have one */
    bool exact_names; /* PfDatasetOptions.exact_split_names */
} PfListingRules;

typedef struct PfProvenance {
    const char *command;
    /* Adds to the provenance what --like goes by; NULL: nothing. */
    void (*add_options)(const void *context, cJSON *provenance);
    const void *context;
    const PfDataset *dataset;
    const PfBackbonePlan *plan;
    const char *runtime; /* what ran the network; NULL where it did not run */
    int batch;           /* images per forward pass */
    PfShard shard;
    const char *scheduler;    /* the variable that numbered the shard; NULL: it was typed */
    long long scheduler_base; /* the first number that there is */
    PfListingRules rules;
    const PfCache *previous; /* the cache whose rows are used again, or NULL */
    bool is_same; /* previous has these very rows: only what is known of their files is renewed */
    const PfDatasetScan *scan;
    const PfRowIndex *known;
    const PfCacheTap *taps; /* the scan's */
} PfProvenance;

/* As JSON, malloc'ed. Where rows were computed by several runtimes, "earlier_runtimes"
 * lists those before the last, and "runtime_rows" counts (runtime_rows.h). */
char *pf_provenance_json(const PfProvenance *provenance, PfError *err);

/* The rules of a cache with that provenance. */
PfListingRules pf_provenance_rules(const char *json);

/* The cache (NULL: none), where it was begun by the first versions, or may have been, so that its
 * manifest goes on as they read it (pf_dataset_open_for); else NULL. */
const PfCache *pf_provenance_begun_before(const PfCache *cache);

/* Which version made the file, when, and by which command line. */
void pf_provenance_add_origin(cJSON *object, const char *command);

/* Tells a listing which classes the cache has: folders of their names stay classes. Lent by it. */
void pf_provenance_know_classes(const PfCache *cache, PfDatasetOptions *options);

/* Which file the network of that cache was read from, and what it hashed to: known->stamp.mtime_ns
 * is 0 where it does not tell. */
void pf_provenance_known_weights(const char *provenance, const char *identity,
                                 PfFileStampSha256 *known);

/* Whether that JSON tells of this shard of this dataset as it is listed now: --merge goes by it. */
bool pf_provenance_is_of_shard(const char *json, PfShard shard, const PfDataset *dataset);

#endif
