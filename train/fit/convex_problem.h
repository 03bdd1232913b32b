/* The objective of a linear head as a function of its parameters, for the optimiser of
 * convex_head.h and for the search of weight decays:
 *
 *     sum over tasks of weight * mean loss  +  a task's decay / 2 * |its columns of W|^2
 *
 * over the train rows, biases free. A task's columns are its own, so the sum is as many problems as
 * there are tasks, solved side by side. */
#ifndef PF_TRAIN_FIT_CONVEX_PROBLEM_H
#define PF_TRAIN_FIT_CONVEX_PROBLEM_H

#include "train/fit/head_batch.h"
#include "train/fit/lbfgs.h"
#include "train/kernels/gemm.h"

/* The weight decay where nothing is said of it: scikit-learn's C = 1 of some thousand rows. */
#define PF_LBFGS_DECAY 1e-3

/* Rows that it asks a loader for at a time, at most. */
#define PF_CONVEX_BATCH_ROWS (16 * PF_GEMM_SUM_ROWS)

typedef struct PfConvexProblem PfConvexProblem;

typedef struct PfConvexProblemConfig {
    double label_smoothing;
    PfThreadPool *pool; /* NULL: the calling thread alone */
    /* After every evaluation; nonzero ends the optimiser with PF_EXIT_INTERRUPTED. May be NULL. */
    int (*on_step)(void *context);
    void *step_context;
} PfConvexProblemConfig;

/* data: lent. Features that are given are of data->features columns. */
int pf_convex_problem_new(const PfTrainingData *data, const PfConvexProblemConfig *config,
                          PfConvexProblem **out, PfError *err);
void pf_convex_problem_free(PfConvexProblem **problem);

/* (features + 1) * outputs of all tasks: weights by feature, then the biases. */
int64_t pf_convex_problem_size(const PfConvexProblem *problem);
/* decays: (tasks) lent as long as they are in use. */
void pf_convex_problem_set_decays(PfConvexProblem *problem, const double *decays);

/* A PfObjective; context is the problem. */
int pf_convex_problem_objective(void *context, const double *x, double *value, double *gradient,
                                PfError *err);

/* Losses of these parameters over rows, without decay or weight: sums[t] (tasks) is overwritten. */
int pf_convex_problem_sums(PfConvexProblem *problem, const double *x, const int32_t *rows,
                           int64_t count, PfTaskSum *sums, PfError *err);

#endif
