/* What a network's forward pass takes. */
#ifndef PF_NETWORK_COST_H
#define PF_NETWORK_COST_H

#include "permafrost/arch.h"

/* Multiply-adds of one image (side x side) up to the taps, as `extract --summary` counts them; what
 * several taps share counts once. */
int pf_network_multiply_adds(const PfArch *arch, int side, const char *const *taps, int tap_count,
                             int64_t *out, PfError *err);

#endif
