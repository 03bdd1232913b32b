/* What is wrong with the features themselves: broken rows, rows of zeros, columns that never
 * change. */
#ifndef PF_INSPECT_FINDINGS_FEATURES_H
#define PF_INSPECT_FINDINGS_FEATURES_H

#include "inspect/findings/findings.h"
#include "inspect/rows/rows.h"

int pf_features_check(const PfRows *rows, PfFeatureFindings *out, PfError *err);

#endif
