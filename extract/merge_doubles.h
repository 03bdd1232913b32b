/* Images that more than one of the merged caches has. */
#ifndef PF_MERGE_DOUBLES_H
#define PF_MERGE_DOUBLES_H

#include "merge_inputs.h"
#include "permafrost/error.h"

/* Rows whose image, the same path and content, an input before theirs has too. Rows without path or
 * digest are not counted. */
int pf_merge_count_doubles(const PfMergeInputs *inputs, int64_t *count, PfError *err);

#endif
