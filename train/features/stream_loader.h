/* The batch loader of any table: of one in memory, or of one that is streamed from its cache. */
#ifndef PF_TRAIN_FEATURES_STREAM_LOADER_H
#define PF_TRAIN_FEATURES_STREAM_LOADER_H

#include "train/features/batch_loader.h"

/* Rows of the table, which must outlive the loader, wherever they are. Of a table that is streamed,
 * rows in order are dealt out as from memory, to the last bit; a shuffled pass takes runs of rows
 * in random order, as many at a time as a window holds, and shuffles the rows of each window, while
 * a thread reads the next window. pool may be NULL. */
int pf_batch_loader_new(const PfFeatureTable *table, PfThreadPool *pool, PfBatchLoader *out,
                        PfError *err);

#endif
