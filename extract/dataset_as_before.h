/* A dataset for a cache that may have been begun by a version that read tables otherwise. */
#ifndef PF_DATASET_AS_BEFORE_H
#define PF_DATASET_AS_BEFORE_H

#include "dataset.h"

/* pf_dataset_open, for the cache that is already where the dataset's is to go (NULL: none). Of a
 * manifest whose targets or splits are not the cache's as it is read today, but are as the first
 * versions read it, that reading goes on, with a warning: a cache is never changed by an upgrade.
 * Options that say how the table is written settle it instead. */
int pf_dataset_open_for(const char *operand, const PfDatasetOptions *options, const PfCache *cache,
                        PfDataset **out, PfError *err);

#endif
