/* What --merge is made of, for its own files: its inputs (inputs.c), their targets as those of one
 * cache (targets.c), and the files that a virtual cache refers to (virtual.c). */
#ifndef PF_EXTRACT_MERGE_INTERNAL_H
#define PF_EXTRACT_MERGE_INTERNAL_H

#include <stdint.h>

#include "common/base/arena.h"
#include "common/cache/image_file.h"
#include "extract/dataset/dataset.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* ---- the caches that are joined: that they fit together, and in which order ---- */

typedef struct PfMergeInput {
    const char *path; /* as it was given; lent */
    int64_t row_count, reject_count;
    int64_t first_row, first_reject;   /* of the merged cache: where its own begin */
    PfShard shard;                     /* {0, 0}: not of a part of a dataset */
    int64_t dataset_rows;              /* of all shards together */
    char listing[PF_SHA256_TEXT_SIZE]; /* pf_dataset_listing_digest; "": not noted */
    int given;                         /* its place on the command line */
    int place;                         /* the same, of shards that belong together of the first */
    /* While it is open: */
    PfCache *cache;
    int64_t used;       /* when it was asked for last */
    bool has_samples;   /* all of the following are read */
    PfImageFiles files; /* of its rows */
    uint64_t *groups;   /* (row_count) */
    int32_t *indices;   /* (row_count, class targets) of the merged targets; -1: no label */
    float *values;      /* (row_count, values a row) of the merged targets; NaN: none */
} PfMergeInput;

/* In the order in which they are merged. A few are open at a time. */
typedef struct PfMergeInputs {
    PfMergeInput *items;
    int count;
    int64_t row_count, reject_count;
    int open_count;
    int64_t clock;
} PfMergeInputs;

/* Opens the caches one after the other and checks them against the first. Another identity, or
 * other taps, are PF_EXIT_IDENTITY. Shards are put in the order of their numbers, the others stay
 * where they are. On failure too, free it. */
int pf_merge_inputs_open(const char *const *paths, int count, PfMergeInputs *inputs, PfError *err);
void pf_merge_inputs_free(PfMergeInputs *inputs);

/* The input, open, until some others have been asked for: the one that was asked for longest ago
 * makes room. NULL and err where it cannot be opened any more, or is not what it was. */
PfMergeInput *pf_merge_inputs_get(PfMergeInputs *inputs, int index, PfError *err);

/* That no shard is missing or there twice. */
int pf_merge_check_shards(const PfMergeInputs *inputs, PfError *err);
/* Another identity, its taps apart, is PF_EXIT_IDENTITY. Of pixels alone one may lack the weights
 * that the other names. */
int pf_merge_check_identity(const PfCache *first, const PfCache *other, PfError *err);

/* Which input row `row` of the merged cache comes from; guess: where to look first. */
int pf_merge_inputs_find_row(const PfMergeInputs *inputs, int64_t row, int guess);
int pf_merge_inputs_find_reject(const PfMergeInputs *inputs, int64_t index, int guess);

/* Rows whose image, the same path and content, an input before theirs has too. Rows without path or
 * digest are not counted. -1 in *count: there are too many rows for this machine's memory. */
int pf_merge_count_duplicates(PfMergeInputs *inputs, int64_t *count, PfError *err);

/* ---- the targets of several caches as those of one ---- */

/* The same name and kind are one target, and classes of one name one class. */
typedef struct PfMergeTargets {
    PfCacheTarget *items;
    int count;
    struct PfClassUnion *classes;      /* (count) names of a target of classes; of others empty */
    int class_targets, values_per_row; /* how many numbers a row has */
    PfArena texts;                     /* names */
} PfMergeTargets;

/* Targets come in the order in which the inputs first have them, and classes sorted by bytes where
 * every input's are, else likewise. Warns of inputs without a target that others have. On failure
 * too, free it. */
int pf_merge_targets_new(PfMergeInputs *inputs, PfMergeTargets *targets, PfError *err);
void pf_merge_targets_free(PfMergeTargets *targets);

/* Reads what an open input knows of its samples, unless that is there: files, groups, and its
 * targets as the merged ones. */
int pf_merge_targets_read_samples(const PfMergeTargets *targets, PfMergeInput *input, PfError *err);

/* ---- the files that --merge --virtual refers to ---- */

typedef struct PfMergeSources {
    PfCacheSource *items;
    char **paths; /* the items' */
    int count;
    size_t capacity, path_capacity;
} PfMergeSources;

/* The inputs as seen from the folder of the output; in place of a virtual one what that refers
 * to. Refuses files whose change would go unnoticed. On failure too, free it. */
int pf_merge_sources_new(PfMergeInputs *inputs, const char *output, PfMergeSources *sources,
                         PfError *err);
/* The folder that holds those which do not lie in the output's, malloc'ed; NULL where all do. */
char *pf_merge_sources_outside(const PfMergeSources *sources, const char *output);
void pf_merge_sources_free(PfMergeSources *sources);

/* Refuses an output that an input, by itself or by being virtual, takes its rows from. */
int pf_merge_check_output(PfMergeInputs *inputs, const char *output, PfError *err);

#endif
