/* The optimiser of a suffix: what group_optimizer.h does to a head, done to the tensors
 * of a network, with the same kernels. */
#ifndef PF_SUFFIX_OPTIMIZER_H
#define PF_SUFFIX_OPTIMIZER_H

#include "group.h"
#include "permafrost/suffix.h"

typedef struct PfSuffixOptimizerConfig {
    PfOptimizerKind kind; /* not L-BFGS */
    int nesterov;
    double learning_rate, weight_decay, momentum; /* weight_decay: of tensors that decay */
    PfThreadPool *pool;                           /* NULL: the calling thread alone */
} PfSuffixOptimizerConfig;

typedef struct PfSuffixOptimizer PfSuffixOptimizer;

/* Of the tensors that have gradients. tensors: lent until free. */
int pf_suffix_optimizer_new(const PfSuffixTensor *tensors, size_t count,
                            const PfSuffixOptimizerConfig *config, PfSuffixOptimizer **out,
                            PfError *err);
void pf_suffix_optimizer_free(PfSuffixOptimizer **optimizer);

/* Forgets every step taken. */
void pf_suffix_optimizer_reset(PfSuffixOptimizer *optimizer);

/* Of all gradients together, the same for any number of threads. */
double pf_suffix_optimizer_squared_length(const PfSuffixOptimizer *optimizer);

/* Gradients are multiplied by clip first; the rate is the configuration's times progress. */
void pf_suffix_optimizer_step(PfSuffixOptimizer *optimizer, double clip, double progress);

/* For checkpoints: running means and squares (NULL with SGD) of tensor i, of as many numbers as
 * it has, or NULL of a buffer; and the steps taken. */
float *pf_suffix_optimizer_mean(PfSuffixOptimizer *optimizer, size_t i);
float *pf_suffix_optimizer_square(PfSuffixOptimizer *optimizer, size_t i);
int64_t *pf_suffix_optimizer_steps(PfSuffixOptimizer *optimizer);

#endif
