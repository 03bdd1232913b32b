/* predict --export: a model as a file that other programs run. */
#ifndef PF_PREDICT_EXPORT_EXPORT_H
#define PF_PREDICT_EXPORT_EXPORT_H

#include "predict/model/network.h"

/* Writes options->model to path, whose ending says as what: .safetensors, .onnx or .pt. A model
 * that cannot be told that way is a usage error that says why, and what can. */
int pf_model_export_run(const PfModelNetworkOptions *options, const char *path, PfError *err);

#endif
