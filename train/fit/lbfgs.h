/* L-BFGS with a line search for the strong Wolfe conditions (Nocedal and Wright,
 * Numerical Optimization, 2nd ed., algorithms 7.4, 7.5, 3.5 and 3.6): minimises a
 * smooth function from its values and gradients alone. */
#ifndef PF_TRAIN_FIT_LBFGS_H
#define PF_TRAIN_FIT_LBFGS_H

#include <stdbool.h>
#include <stdint.h>

#include "permafrost/error.h"

/* Value and gradient (n) at x (n); -1 ends the search. */
typedef int PfObjective(void *context, const double *x, double *value, double *gradient,
                        PfError *err);

typedef struct PfLbfgsConfig {
    int memory; /* pairs kept, as a rule 10 */
    int max_iterations;
    double gradient_tolerance; /* done where no element of the gradient is larger */
    double value_tolerance;    /* or where slope and curvature promise less than this share of the
                                  value: told by gradients, as values are known less well */
    /* a (n) becomes a first guess of the inverse Hessian, symmetric and positive, times a. NULL:
     * the identity. */
    void (*apply_inverse)(void *context, double *a);
    void *inverse_context;
} PfLbfgsConfig;

typedef struct PfLbfgsResult {
    double value, gradient_norm; /* the largest element's size */
    int iterations, evaluations;
    bool converged; /* false: max_iterations were not enough, or the start is no number */
} PfLbfgsResult;

/* x: (n) start, then the minimum found. */
int pf_lbfgs(int64_t n, double *x, PfObjective *objective, void *context,
             const PfLbfgsConfig *config, PfLbfgsResult *result, PfError *err);

#endif
