/* The network whose features a model was trained on, found again and checked. */
#ifndef PF_MODEL_NETWORK_H
#define PF_MODEL_NETWORK_H

#include "backbone_plan.h"
#include "model_file.h"
#include "predict_options.h"

/* Resolves the backbone and weights that the model names: as --backbone and
 * --weights say, else where extract found them, else in torch's hub cache. Their
 * SHA-256 must be the model's (PF_EXIT_IDENTITY); pixels are prepared and
 * features computed as for training, and given as f32. Nothing is run. */
int pf_model_network_plan(const PfModel *model, const PfPredictOptions *options, const char *tap,
                          PfBackbonePlan **out, PfError *err);

#endif
