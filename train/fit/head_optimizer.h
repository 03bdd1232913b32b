/* The optimiser of a head batch: one step for all heads, each at its own rate. */
#ifndef PF_TRAIN_FIT_HEAD_OPTIMIZER_H
#define PF_TRAIN_FIT_HEAD_OPTIMIZER_H

#include "train/fit/head_batch.h"

typedef struct PfHeadOptimizer PfHeadOptimizer;

/* The network's shape and the settings of config->settings[h], which are copied. */
int pf_head_optimizer_new(const PfHeadNetwork *network, const PfHeadBatchConfig *config,
                          PfHeadOptimizer **out, PfError *err);
void pf_head_optimizer_free(PfHeadOptimizer **optimizer);

/* Shortens one head's gradients to its setting's clip_norm, taken together with other gradients of
 * that squared length, as torch.nn.utils.clip_grad_norm_ does. Returns the factor for those others:
 * 1 where nothing was to do. */
double pf_head_optimizer_clip(const PfHeadOptimizer *optimizer, const PfHeadNetwork *network,
                              PfHeadPass *pass, int head, double other_squares);

/* Steps from the pass's gradients. rates: (heads). */
void pf_head_optimizer_step(PfHeadOptimizer *optimizer, PfHeadNetwork *network, PfHeadPass *pass,
                            const double *rates);

/* Registers the running means and squares and the count of steps. network: as in new. */
int pf_head_optimizer_checkpoint(PfHeadOptimizer *optimizer, const PfHeadNetwork *network,
                                 PfCheckpoint *checkpoint, PfError *err);

#endif
