/* What --merge is made of, for its own files: its inputs (inputs.c), the parts of datasets among
 * them (shards.c), their targets as those of one cache (targets.c), images that several have
 * (duplicates.c), and the files that a virtual cache refers to (virtual.c).
 *
 * Each input is opened once to see what it is, and once more for its samples and the rows of the
 * first tap; once for each further tap, and once for its rejects where it has some. What is kept of
 * one that is closed does not grow with its rows. */
#ifndef PF_EXTRACT_MERGE_INTERNAL_H
#define PF_EXTRACT_MERGE_INTERNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/cache/image_file.h"
#include "extract/dataset/dataset.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* ---- the caches that are joined: that they fit together, and in which order ---- */

/* Targets as one input has them, or several alike. */
typedef struct PfMergeOwnTargets {
    PfCacheTarget *items; /* (count) */
    int32_t **maps; /* (count, classes) of targets of classes: their indices in the merged list */
    int count;
} PfMergeOwnTargets;

typedef struct PfMergeInput {
    const char *path; /* as it was given; lent */
    int64_t row_count, reject_count;
    int64_t first_row, first_reject;   /* of the merged cache: where its own begin */
    PfShard shard;                     /* {0, 0}: not of a part of a dataset */
    int64_t dataset_rows;              /* of all shards together */
    char listing[PF_SHA256_TEXT_SIZE]; /* pf_dataset_listing_digest; "": not noted */
    bool by_listing; /* of several datasets with as many shards and rows, told apart by listings */
    int given;       /* its place on the command line */
    int place;       /* the same, of shards that belong together of the first */
    bool is_sealed;
    uint8_t seal[PF_DIGEST_SIZE];     /* where it is sealed */
    PfCacheSource *sources;           /* (source_count) of a virtual one, with paths as they are
                                         found from here, or absolute */
    char **source_paths;              /* theirs */
    int source_count;                 /* 0: it is none */
    const PfMergeOwnTargets *targets; /* lent by the merged ones */
    /* While it is open: */
    PfCache *cache;
    int64_t used;       /* when it was asked for last */
    bool has_samples;   /* all of the following are read */
    PfImageFiles files; /* of its rows */
    uint64_t *groups;   /* (row_count) */
    int32_t *indices;   /* (row_count, class targets) of the merged targets; -1: no label */
    float *values;      /* (row_count, values a row) of the merged targets; NaN: none */
} PfMergeInput;

#define PF_MERGE_MOST_OPEN 16

/* In the order in which they are merged. A few are open at a time. */
typedef struct PfMergeInputs {
    PfMergeInput *items;
    int count;
    int64_t row_count, reject_count;
    PfMergeInput *open[PF_MERGE_MOST_OPEN];
    int open_count;
    int64_t clock;
} PfMergeInputs;

/* Notes what is to be known of an input, which is open for the first time. */
typedef int PfMergeLook(void *context, PfMergeInput *input, PfError *err);

/* Opens the caches one after the other, in the order in which they are given, checks them against
 * the first, and calls `look` for each. Another identity, or other taps, are PF_EXIT_IDENTITY.
 * Shards are then put in the order of their numbers, the others stay where they are. interrupted:
 * PF_EXIT_INTERRUPTED once it is set. On failure too, free it. */
int pf_merge_inputs_open(const char *const *paths, int count, PfMergeLook *look, void *context,
                         const volatile sig_atomic_t *interrupted, PfMergeInputs *inputs,
                         PfError *err);
void pf_merge_inputs_free(PfMergeInputs *inputs);

/* The input, open, until some others have been asked for: the one that was asked for longest ago
 * makes room. NULL and err where it cannot be opened any more, or is not what it was. */
PfMergeInput *pf_merge_inputs_get(PfMergeInputs *inputs, int index, PfError *err);

/* Another identity, its taps apart, is PF_EXIT_IDENTITY. Of pixels alone one may lack the weights
 * that the other names. */
int pf_merge_check_identity(const PfCache *first, const PfCache *other, PfError *err);

/* Which input row `row` of the merged cache comes from; guess: where to look first. */
int pf_merge_inputs_find_row(const PfMergeInputs *inputs, int64_t row, int guess);
int pf_merge_inputs_find_reject(const PfMergeInputs *inputs, int64_t index, int guess);

/* ---- parts of one dataset among them ---- */

/* What its provenance says of that. The input is open. */
int pf_merge_shards_read(PfMergeInput *input, PfError *err);
/* Puts those that belong together where the first of them is, in the order of their numbers. */
void pf_merge_shards_sort(PfMergeInputs *inputs);
/* That no shard is missing or there twice, and that all were cut out of one listing. */
int pf_merge_shards_check(const PfMergeInputs *inputs, PfError *err);
/* Whether all inputs are shards of one listing, each there once: they have no image in common that
 * the listing has not twice. */
bool pf_merge_shards_are_one_dataset(const PfMergeInputs *inputs);

/* ---- images that several of them have ---- */

/* Rows by path and content. */
typedef struct PfMergeDuplicates {
    struct PfMergeImage *images; /* (count); NULL: none are looked for */
    size_t count, capacity;
} PfMergeDuplicates;

/* Where there is more than one input, and they are not one dataset. *too_many: there are too many
 * rows for this machine's memory, and none will be found. Free it. */
int pf_merge_duplicates_new(const PfMergeInputs *inputs, PfMergeDuplicates *duplicates,
                            bool *too_many, PfError *err);
/* Notes a row. One without path (NULL) or digest is not counted. */
void pf_merge_duplicates_note(PfMergeDuplicates *duplicates, const char *path,
                              const uint8_t *digest, int input);
/* Rows whose image, the same path and content, an input before theirs has too. */
int64_t pf_merge_duplicates_count(PfMergeDuplicates *duplicates);
void pf_merge_duplicates_free(PfMergeDuplicates *duplicates);

/* ---- the targets of several caches as those of one ---- */

/* The same name and kind are one target, and classes of one name one class. */
typedef struct PfMergeTargets {
    PfCacheTarget *items;
    int count;
    struct PfClassUnion *classes;      /* (count) names of a target of classes; of others empty */
    int class_targets, values_per_row; /* how many numbers a row has */
    struct PfMergeKnownTargets *known; /* (known_count) those of all inputs, what is alike once */
    size_t known_count, known_capacity;
    PfArena texts; /* names, and what is known */
} PfMergeTargets;

/* Notes those of an open input, in *targets that begin as zeros. On failure too, free them. */
int pf_merge_targets_note(PfMergeTargets *targets, PfMergeInput *input, PfError *err);
/* Of inputs whose own are all noted: targets come in the order in which the inputs first have them,
 * and classes sorted by bytes where every input's are, else likewise. Warns of inputs without a
 * target that others have. */
int pf_merge_targets_unite(PfMergeTargets *targets, const PfMergeInputs *inputs, PfError *err);
void pf_merge_targets_free(PfMergeTargets *targets);

/* Reads what an open input knows of its samples, unless that is there: files, groups, and its
 * targets as the merged ones, which must be those that were noted. */
int pf_merge_targets_read_samples(const PfMergeTargets *targets, PfMergeInput *input, PfError *err);

/* ---- the files that --merge --virtual refers to ---- */

typedef struct PfMergeSources {
    PfCacheSource *items;
    char **paths; /* the items' */
    int count;
    size_t capacity, path_capacity;
} PfMergeSources;

/* Notes in a virtual input, which is open, what it refers to. */
int pf_merge_sources_note(PfMergeInput *input, PfError *err);

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
