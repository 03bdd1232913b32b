/* Rows of a cache as a model's features: read as they are, or, of a fine-tuned model, made by its
 * suffix from the rows of the cut. */
#ifndef PF_CACHED_FEATURES_H
#define PF_CACHED_FEATURES_H

#include "model_network.h"
#include "permafrost/feature_cache.h"
#include "permafrost/suffix.h"

typedef struct PfCachedFeatures {
    PfCache *cache;               /* lent */
    int tap;                      /* that is read */
    int views;                    /* of each image in the cache; the centre is used */
    int64_t features, block_rows; /* of a row; that fit to be read at a time */
    PfBackbonePlan *plan;         /* of a suffix; NULL: rows are features as they are */
    const PfBackbonePlugin *plugin;
    PfSuffix *suffix;
    float *stored; /* (block_rows, views, the tap); NULL of one view */
    float *rows;   /* (block_rows, the cut) */
} PfCachedFeatures;

/* tap: what the model's head takes; features: how many numbers that must be. The cache has been
 * found to be of the model's network. A cache without the tap that is needed is refused with its
 * name. */
int pf_cached_features_open(const PfModel *model, const PfPredictOptions *options, const char *tap,
                            int64_t features, PfCache *cache, PfCachedFeatures *out, PfError *err);
void pf_cached_features_close(PfCachedFeatures *cached);

/* out: (count, features); count <= block_rows. */
int pf_cached_features_read(PfCachedFeatures *cached, int64_t first, int64_t count, float *out,
                            PfError *err);

#endif
