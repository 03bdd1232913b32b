/* The cache's images nearest to one that is not in it: the image goes through the network that the
 * cache names. */
#ifndef PF_INSPECT_NEAR_H
#define PF_INSPECT_NEAR_H

#include "inspect/findings/findings.h"
#include "inspect/options.h"
#include "inspect/rows/rows.h"

int pf_near_find(const PfInspectOptions *options, const PfRows *rows, PfNearImages *out,
                 PfError *err);

#endif
