/* The network whose features a model was trained on, found again and checked. */
#ifndef PF_MODEL_NETWORK_H
#define PF_MODEL_NETWORK_H

#include "backbone_plan.h"
#include "model_file.h"
#include "predict_options.h"

/* Resolves the backbone and weights that the model names: as --backbone and
 * --weights say, else where extract found them, else in torch's hub cache. Their
 * SHA-256 must be the model's (PF_EXIT_IDENTITY); pixels are prepared and
 * features computed as for training, and given as f32. Of a fine-tuned model the plan's tensors are
 * those of the weights with the model's own in their places; the model must then stay open. Nothing
 * is run. */
int pf_model_network_plan(const PfModel *model, const PfPredictOptions *options, const char *tap,
                          PfBackbonePlan **out, PfError *err);

/* Of a fine-tuned model: the tap that its own tensors begin behind, and the node that was named.
 * NULL of others. Lent by the model. */
const char *pf_model_finetuned_cut(const PfModel *model);
const char *pf_model_finetuned_node(const PfModel *model);

#endif
