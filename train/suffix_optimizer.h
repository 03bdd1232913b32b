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

/* Of all gradients together, the same for any number of threads. */
double pf_suffix_optimizer_squared_length(const PfSuffixOptimizer *optimizer);

/* Gradients are multiplied by clip first; the rate is the configuration's times progress. */
void pf_suffix_optimizer_step(PfSuffixOptimizer *optimizer, double clip, double progress);

/* Registers the running means and squares and the count of steps. */
int pf_suffix_optimizer_checkpoint(PfSuffixOptimizer *optimizer, PfCheckpoint *checkpoint,
                                   PfError *err);

#endif
