/* The caches that --merge joins: that they fit together, and in which order. */
#ifndef PF_MERGE_INPUTS_H
#define PF_MERGE_INPUTS_H

#include <stdint.h>

#include "dataset.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

typedef struct PfMergeInput {
    PfCache *cache;
    int64_t first_row, first_reject;    /* of the merged cache: where its own begin */
    const char *const *paths;           /* (N) lent by the cache; NULL: it has none */
    uint8_t (*digests)[PF_DIGEST_SIZE]; /* (N) */
    PfFileStamp *stamps;                /* (N) */
    int32_t *widths, *heights;          /* (N) of the images */
    uint64_t *groups;                   /* (N) */
    const PfCacheReject *rejects;
    PfShard shard;        /* {0, 0}: not of a part of a dataset */
    int64_t dataset_rows; /* of all shards together */
    int given;            /* its place on the command line */
    int place;            /* the same, of shards that belong together that of the first */
} PfMergeInput;

/* In the order in which they are merged. */
typedef struct PfMergeInputs {
    PfMergeInput *items;
    int count;
    int64_t row_count, reject_count;
} PfMergeInputs;

/* Opens the caches and reads what they know of their samples. Another identity, or other taps,
 * are PF_EXIT_IDENTITY. Shards are put in the order of their numbers, the others stay where they
 * are. On failure too, free it. */
int pf_merge_inputs_open(const char *const *paths, int count, PfMergeInputs *inputs, PfError *err);
void pf_merge_inputs_free(PfMergeInputs *inputs);

/* That no shard is missing or there twice. */
int pf_merge_check_shards(const PfMergeInputs *inputs, PfError *err);
/* Another identity, its taps apart, is PF_EXIT_IDENTITY. */
int pf_merge_check_identity(const PfCache *first, const PfCache *other, PfError *err);

/* Which input row `row` of the merged cache comes from; guess: where to look first. */
int pf_merge_inputs_find_row(const PfMergeInputs *inputs, int64_t row, int guess);
int pf_merge_inputs_find_reject(const PfMergeInputs *inputs, int64_t index);

#endif
