/* One run of predict: a model over images or over the rows of a cache. */
#ifndef PF_PREDICTION_H
#define PF_PREDICTION_H

#include <signal.h>

#include "predict_options.h"

/* Writes the predictions to stdout. Images that cannot be used are named on
 * stderr and make it fail with PF_EXIT_BAD_IMAGES at the end. */
int pf_prediction_run(const PfPredictOptions *options, const volatile sig_atomic_t *interrupted,
                      PfError *err);

#endif
