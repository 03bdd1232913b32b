/* The network whose last part is fine-tuned: found by what the cache says of itself,
 * checked, and cut in two at a tap that the cache has. */
#ifndef PF_TRAIN_FINETUNE_FINETUNE_NETWORK_H
#define PF_TRAIN_FINETUNE_FINETUNE_NETWORK_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "common/backbone/loader.h"
#include "common/backbone/script_file.h"
#include "common/onnx/network.h"
#include "common/ranks/rank_group.h"
#include "common/weights/weights.h"
#include "permafrost/feature_cache.h"
#include "permafrost/suffix.h"

typedef struct PfFinetuneOptions {
    const char *node; /* what learns: "layer4", "layer4.1", "features.24", "all"; of a TorchScript
                         file the tap that its forward_from_... takes, or "all"; NULL: nothing */
    const char *weights;  /* as extract's --weights; NULL: where extract found them, or the hub. A
                             cache of pixels that names none takes any */
    const char *backbone; /* FILE.pt or FILE.onnx; NULL: where extract found it, if it is trusted */
    const char *output;   /* the tap that the head takes; NULL: the network's default */
    const char *init;     /* model file that head and suffix begin as; NULL: none */
    const char *device;   /* "auto", "cpu", "cuda:0" */
    int train_batch_norm, bf16;
    int threads;        /* 0 = all processors */
    int local_rank;     /* of several processes of this host: which GPU "auto" takes */
    PfRankGroup *ranks; /* that train together, lent until close; NULL: this process alone */
} PfFinetuneOptions;

typedef struct PfFinetuneNetwork {
    PfArch *arch;         /* NULL of TorchScript */
    PfWeights *weights;   /* NULL of the user's files */
    PfScriptFile *script; /* NULL of others than TorchScript files */
    PfOnnx *onnx;         /* NULL of others than ONNX files; lends arch */
    cJSON *backbone;      /* of the cache's identity, and where that lacks weights, theirs */
    bool chose_weights;   /* it lacks them */
    char *output;         /* tap that the head takes */
    int cut_tap;          /* of the cache */
    const PfBackbonePlugin *plugin; /* static */
    PfSuffix *suffix;
} PfFinetuneNetwork;

/* A cache that lacks the cut's tap is refused with the name of that tap and how to add it,
 * other weights than the cache's are refused (PF_EXIT_IDENTITY). Free with
 * pf_finetune_network_close. */
int pf_finetune_network_open(const PfCache *cache, const PfFinetuneOptions *options,
                             PfFinetuneNetwork *out, PfError *err);
void pf_finetune_network_close(PfFinetuneNetwork *network);

#endif
