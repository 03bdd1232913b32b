/* What --merge is made of, for its own files: its inputs (inputs.c), their targets as those of one
 * cache (targets.c), and the files that a virtual cache refers to (virtual.c). */
#ifndef PF_EXTRACT_MERGE_INTERNAL_H
#define PF_EXTRACT_MERGE_INTERNAL_H

#include <stdint.h>

#include "common/cache/image_file.h"
#include "extract/dataset/dataset.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* ---- the caches that are joined: that they fit together, and in which order ---- */

typedef struct PfMergeInput {
    PfCache *cache;
    int64_t first_row, first_reject; /* of the merged cache: where its own begin */
    PfImageFiles files;              /* of its rows */
    uint64_t *groups;                /* (N) */
    const PfCacheReject *rejects;
    PfShard shard;                     /* {0, 0}: not of a part of a dataset */
    int64_t dataset_rows;              /* of all shards together */
    char listing[PF_SHA256_TEXT_SIZE]; /* pf_dataset_listing_digest; "": not noted */
    int given;                         /* its place on the command line */
    int place; /* the same, of shards that belong together that of the first */
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
/* Another identity, its taps apart, is PF_EXIT_IDENTITY. Of pixels alone one may lack the weights
 * that the other names. */
int pf_merge_check_identity(const PfCache *first, const PfCache *other, PfError *err);

/* Which input row `row` of the merged cache comes from; guess: where to look first. */
int pf_merge_inputs_find_row(const PfMergeInputs *inputs, int64_t row, int guess);
int pf_merge_inputs_find_reject(const PfMergeInputs *inputs, int64_t index);

/* Rows whose image, the same path and content, an input before theirs has too. Rows without path or
 * digest are not counted. */
int pf_merge_count_duplicates(const PfMergeInputs *inputs, int64_t *count, PfError *err);

/* ---- the targets of several caches as those of one ---- */

/* The same name and kind are one target, and classes of one name one class. */
typedef struct PfMergeTargets {
    PfCacheTarget *items;
    int count;
    const char ***class_lists;         /* (count) the items' lists; NULL for numbers */
    int class_targets, values_per_row; /* columns of the two below */
    int32_t *indices;                  /* (rows, class_targets); -1 where there is no label */
    float *values;                     /* (rows, values_per_row); NaN where there is none */
} PfMergeTargets;

/* Targets come in the order in which the inputs first have them, and classes sorted by
 * bytes where every input's are, else likewise. Warns of inputs without a target that others
 * have. The inputs must outlive it; on failure too, free it. */
int pf_merge_targets_new(const PfMergeInputs *inputs, PfMergeTargets *targets, PfError *err);
void pf_merge_targets_free(PfMergeTargets *targets);

/* ---- the files that --merge --virtual refers to ---- */

typedef struct PfMergeSources {
    PfCacheSource *items;
    char **paths; /* the items' */
    int count;
} PfMergeSources;

/* The inputs as seen from the folder of the output; in place of a virtual one what that refers
 * to. Refuses files whose change would go unnoticed. On failure too, free it. */
int pf_merge_sources_new(const PfMergeInputs *inputs, const char *output, PfMergeSources *sources,
                         PfError *err);
/* The folder that holds those which do not lie in the output's, malloc'ed; NULL where all do. */
char *pf_merge_sources_outside(const PfMergeSources *sources, const char *output);
void pf_merge_sources_free(PfMergeSources *sources);

/* Refuses an output that an input, by itself or by being virtual, takes its rows from. */
int pf_merge_check_output(const PfMergeInputs *inputs, const char *output, PfError *err);

#endif
