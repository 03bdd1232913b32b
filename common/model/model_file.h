/* The model file that train writes and predict reads: one .safetensors.
 *
 * Tensors: the head under the architecture's own names ("fc.weight",
 * "fc.bias"), so that Python's load_state_dict(..., strict=False) takes it; beside tensors of the
 * network with those names "permafrost_head.weight" and so on.
 * Metadata (string to string, as the format wants): "format" = "pt" and
 * "permafrost" = JSON:
 *   {"version", "backbone": {"name"|"torchscript", "weights_sha256", ...}, "tap",
 *    "tap_shape": [..], "preprocess": {...}, "precision", "sources": {"weights_path"|
 *    "backbone_path"}, "targets": [{"name", "kind",
 *    "classes": [...], "weight": "fc.weight", "bias": "fc.bias"}],
 *    "layers": [{"weight", "bias", "norm": "none"|"batch"|"layer", "scale", "shift",
 *    "mean", "variance", "activation": "relu"|"gelu"}], (hidden ones; missing: none)
 *    "finetune": {"node", "cut", "tensors": [names of tensors that take the network's place]},
 *    "novelty": {"quantiles"} (train/head/novelty.h, with tensors novelty.*; may be missing),
 *    "metrics": {...}, "config": {...}, "made": {...} (model_record.h),
 *    "run": {"permafrost", "cache", "options", "files"} (train/sweep/finished_run.h; may be
 * missing), "digest": SHA-256 in hex of all tensors and of the other metadata} "backbone" and
 * "preprocess" are the cache identity's own objects. */
#ifndef PF_COMMON_MODEL_MODEL_FILE_H
#define PF_COMMON_MODEL_MODEL_FILE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/weights/safetensors.h"
#include "permafrost/error.h"
#include "permafrost/tensor.h"

#define PF_MODEL_METADATA_KEY "permafrost"
#define PF_MODEL_VERSION 1
/* Of a file with tensors of the network, which programs that know no "finetune" must refuse. */
#define PF_MODEL_VERSION_FINETUNED 2

/* Writes tensors (row-major, any dtype) and metadata, to which their digest is added; whole file or
 * none. */
int pf_model_write(const char *path, const PfNamedTensor *tensors, size_t tensor_count,
                   const cJSON *metadata, PfError *err);

typedef struct PfModel PfModel;

/* Reads and checks a model file: metadata present and of a version we know, a tap and its
 * shape, classes that are names (regressions have none), every tensor that a target names
 * there and shaped (classes, features), no more numbers named than there are, all of them
 * finite, and tensors and metadata those that were written, as far as a digest was noted. */
int pf_model_open(const char *path, PfModel **out, PfError *err);
/* The same of what is in memory: tensors are copied, metadata is taken over, on failure too. name:
 * in the place of the path, for messages. */
int pf_model_new(const char *name, const PfNamedTensor *tensors, size_t tensor_count,
                 cJSON *metadata, PfModel **out, PfError *err);
void pf_model_close(PfModel **model);

/* False of models of before, of which nothing is known beyond what opening checks. */
bool pf_model_has_digest(const PfModel *model);

/* Lent until pf_model_close. */
const PfNamedTensor *pf_model_tensors(const PfModel *model, size_t *count);
const char *pf_model_path(const PfModel *model);
const cJSON *pf_model_metadata(const PfModel *model);
const PfTensorView *pf_model_tensor(const PfModel *model, const char *name);

#endif
