/* A first guess of the inverse Hessian of a convex head's objective: what L-BFGS begins with.
 *
 * The Hessian of a linear head is near (second moments of the features, with a 1 for the bias) x
 * (curvature of the loss) + weight decay. Features of a network are far from round (none
 * below 0, means that dwarf deviations, a few directions with most of the variance), so that steps
 * which know these moments need tens of iterations where others need hundreds. */
#ifndef PF_TRAIN_FIT_CURVATURE_H
#define PF_TRAIN_FIT_CURVATURE_H

#include "train/fit/head_batch.h"

typedef struct PfCurvature PfCurvature;

/* data: lent until free. decays: (tasks). Of many features only the diagonal is used; where rows
 * are at most half as many as features, the same guess is inverted in the rows (Woodbury). The same
 * for any number of threads. */
int pf_curvature_new(const PfTrainingData *data, const double *decays, PfThreadPool *pool,
                     PfCurvature **out, PfError *err);
void pf_curvature_free(PfCurvature **curvature);

/* a: (features + 1, outputs of all tasks), weights by feature, then biases; in place. */
void pf_curvature_apply_inverse(void *curvature, double *a);

#endif
