/* What is exported, and the ways of writing it down. */
#ifndef PF_EXPORT_SOURCE_H
#define PF_EXPORT_SOURCE_H

#include "backbone_plan.h"
#include "export_metadata.h"
#include "model_file.h"
#include "scorer.h"

typedef struct PfExportSource {
    PfModel *model;
    PfScorer *scorer;
    PfBackbonePlan *plan; /* tensors: of the weights, with the model's own in their places */
    int tap;              /* the node that the head takes; of TorchScript files -1 */
    PfExportMetadata metadata;
} PfExportSource;

/* The tensor of that name among those that run, or NULL. */
const PfTensorView *pf_export_find_tensor(const PfBackbonePlan *plan, const char *name);

/* The network's whole state dict, the head in place of its last Linear. */
int pf_export_state_dict(const PfExportSource *source, const char *path, PfError *err);

/* Input "image" (n, 3, h, w); an output (n, outputs) for each target, of its name. */
int pf_export_onnx(const PfExportSource *source, const char *path, PfError *err);

/* One module; needs the plugin that runs networks. */
int pf_export_torchscript(const PfExportSource *source, const char *path, PfError *err);

#endif
