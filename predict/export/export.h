/* predict -o: a model as a file that other programs run. */
#ifndef PF_PREDICT_EXPORT_EXPORT_H
#define PF_PREDICT_EXPORT_EXPORT_H

#include "common/model/model_file.h"
#include "extract/backbone/plan.h"
#include "predict/model/network.h"
#include "predict/model/scorer.h"

/* Writes options->model to path, whose ending says as what: .safetensors, .onnx or .pt. A model
 * that cannot be told that way is a usage error that says why, and what can. */
int pf_export_run(const PfModelNetworkOptions *options, const char *path, PfError *err);

/* ---- for this folder's files: what is exported, and the ways of writing it down ---- */

#define PF_EXPORT_METADATA_MOST 8

/* What an exported model says of itself. "backbone" and "tap" are names; "preprocess" and "targets"
 * ([{"name", "kind", "classes"}]) are JSON, and so is "classes", of models with one target that has
 * some. */
typedef struct PfExportMetadata {
    size_t count;
    const char *keys[PF_EXPORT_METADATA_MOST]; /* static */
    char *values[PF_EXPORT_METADATA_MOST];     /* owned */
    char *json;                                /* all of it as one object; owned */
} PfExportMetadata;

typedef struct PfExportSource {
    PfModel *model;
    PfScorer *scorer;
    PfBackbonePlan *plan; /* tensors: of the weights, with the model's own in their places */
    int tap;              /* the node that the head takes; of TorchScript files -1 */
    PfExportMetadata metadata;
} PfExportSource;

/* The tensor of that name among those that run, or NULL. */
const PfTensorView *pf_export_find_tensor(const PfBackbonePlan *plan, const char *name);

/* A model's head as plain float32 tensors. Names without dots before the last, so that they can be
 * modules' in TorchScript:
 *
 *   hidden0.weight (width, features), hidden0.bias (width)   batch norm is folded in
 *   norm0.weight, norm0.bias (width)                         layer norm, where there is one
 *   ...
 *   target0.weight (outputs, width), target0.bias (outputs)  for every target */
typedef struct PfExportHead {
    const PfScorer *scorer; /* lent */
    PfNamedTensor *tensors; /* (count) names and data owned */
    size_t count, capacity;
} PfExportHead;

int pf_export_head_new(const PfScorer *scorer, PfExportHead *out, PfError *err);
void pf_export_head_free(PfExportHead *head);

/* The network's whole state dict, the head in place of its last Linear. */
int pf_export_state_dict(const PfExportSource *source, const char *path, PfError *err);

/* Input "image" (n, 3, h, w); an output (n, outputs) for each target, of its name. */
int pf_export_onnx(const PfExportSource *source, const char *path, PfError *err);

/* One module; needs the plugin that runs networks. */
int pf_export_torchscript(const PfExportSource *source, const char *path, PfError *err);

#endif
