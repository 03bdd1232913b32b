/* The optimiser of a group: one step for all heads, each at its own rate. */
#ifndef PF_GROUP_OPTIMIZER_H
#define PF_GROUP_OPTIMIZER_H

#include "group.h"

typedef struct PfGroupOptimizer PfGroupOptimizer;

/* The network's shape and the settings of config->settings[h], which are copied. */
int pf_group_optimizer_new(const PfHeadNetwork *network, const PfGroupConfig *config,
                           PfGroupOptimizer **out, PfError *err);
void pf_group_optimizer_free(PfGroupOptimizer **optimizer);

/* Clips where asked, then steps from the pass's gradients. rates: (heads). */
void pf_group_optimizer_step(PfGroupOptimizer *optimizer, PfHeadNetwork *network, PfHeadPass *pass,
                             const double *rates);

#endif
