/* The network whose features a model was trained on: found again and checked, and run on the rows
 * of a cache. */
#ifndef PF_PREDICT_MODEL_NETWORK_H
#define PF_PREDICT_MODEL_NETWORK_H

#include "common/model/model_file.h"
#include "extract/backbone/plan.h"
#include "permafrost/feature_cache.h"
#include "permafrost/suffix.h"

/* What a command line says of it. */
typedef struct PfModelNetworkOptions {
    const char *model;     /* path of the model, or a network that is its own */
    const char *what;      /* is at that path, for messages; NULL: "model" */
    const char *backbone;  /* TorchScript file; NULL: where the model says, if trusted */
    const char *weights;   /* as extract's; NULL: where the model says, then the hub cache */
    const char *class_map; /* names of its classes, or NULL */
    const char *device;    /* see device_list.h */
    int emulate;           /* bf16, on a processor that does not have it */
} PfModelNetworkOptions;

/* Resolves the backbone and weights that the model names: as --backbone and
 * --weights say, else where extract found them, else in torch's hub cache. Their
 * SHA-256 must be the model's (PF_EXIT_IDENTITY); pixels are prepared and
 * features computed as for training, and given as f32. Of a fine-tuned model the plan's tensors are
 * those of the weights with the model's own in their places; the model must then stay open. Nothing
 * is run. */
int pf_model_network_plan(const PfModel *model, const PfModelNetworkOptions *options,
                          const char *tap, PfBackbonePlan **out, PfError *err);

/* Of a fine-tuned model: the tap that its own tensors begin behind, and the node that was named.
 * NULL of others. Lent by the model. */
const char *pf_model_network_finetuned_cut(const PfModel *model);
const char *pf_model_network_finetuned_node(const PfModel *model);

/* ---- on the rows of a cache ---- */

/* The cache's features must be of the model's network, pixels and tap: PF_EXIT_IDENTITY where it
 * says that they are not. name: the model's, for messages; tap: what its head takes. */
int pf_model_network_check_cache(const PfModel *model, const char *name, const char *tap,
                                 const PfCache *cache, PfError *err);

/* Rows of a cache as a model's features: read as they are, or, of a fine-tuned model, made by its
 * suffix from the rows of the cut. */

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
int pf_cached_features_open(const PfModel *model, const PfModelNetworkOptions *options,
                            const char *tap, int64_t features, PfCache *cache,
                            PfCachedFeatures *out, PfError *err);
void pf_cached_features_close(PfCachedFeatures *cached);

/* out: (count, features); count <= block_rows. */
int pf_cached_features_read(PfCachedFeatures *cached, int64_t first, int64_t count, float *out,
                            PfError *err);

#endif
