/* A built-in network's own classifier as a model: what the network was trained to tell. */
#ifndef PF_PREDICT_MODEL_OWN_CLASSIFIER_H
#define PF_PREDICT_MODEL_OWN_CLASSIFIER_H

#include "predict/model/network.h"

/* Opens the model of options->model: the file that train wrote, or, where there is no such file and
 * it is the name of a built-in network or hf:ORG/NAME, that network's last Linear, which takes what
 * lies before it. Its classes are called "0", "1", ... A network without one is refused. */
int pf_own_classifier_or_model(const PfModelNetworkOptions *options, PfModel **out, PfError *err);

#endif
