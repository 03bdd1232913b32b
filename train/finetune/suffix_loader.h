/* A loader of features that a suffix of a network makes of another loader's rows. */
#ifndef PF_TRAIN_FINETUNE_SUFFIX_LOADER_H
#define PF_TRAIN_FINETUNE_SUFFIX_LOADER_H

#include "common/ranks/rank_group.h"
#include "permafrost/suffix.h"
#include "train/features/batch_loader.h"

/* Where the time of a fine-tuning goes. */
typedef struct PfSuffixSeconds {
    double read; /* waiting for rows */
    double forward, backward, step;
    double evaluate; /* forward alone: validation, metrics */
} PfSuffixSeconds;

/* All lent for as long as the loader is used. */
typedef struct PfSuffixLoaderConfig {
    const PfSuffixPlugin *plugin;
    PfSuffix *suffix;
    PfBatchLoader *rows;      /* its batches hold rows of the cut, flattened */
    PfSuffixSeconds *seconds; /* added to */
    PfRankGroup *group;       /* each rank computes its part of every batch, of which all get the
                                 features; NULL: this process computes all of it */
    PfBatchPart *part;        /* set to what this rank computed of the last batch */
} PfSuffixLoaderConfig;

/* Passes that are shuffled are for learning: the suffix then remembers what its backward needs. */
int pf_suffix_loader_new(const PfSuffixLoaderConfig *config, PfBatchLoader *out, PfError *err);

#endif
