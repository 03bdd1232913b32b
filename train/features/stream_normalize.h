/* What normalize.h does, for features that are streamed: they are measured in one pass over the
 * cache, and rows are normalised on their way from there. */
#ifndef PF_TRAIN_FEATURES_STREAM_NORMALIZE_H
#define PF_TRAIN_FEATURES_STREAM_NORMALIZE_H

#include "common/thread/thread_pool.h"
#include "train/features/normalize.h"

/* As pf_normalize, with the same numbers; and checks that all features are finite, as
 * pf_feature_table_load does where they are in memory. mean and scale are lent to the table. pool
 * may be NULL. */
int pf_stream_normalize(PfFeatureTable *table, PfNormalize kind, PfThreadPool *pool, float *mean,
                        float *scale, PfError *err);

#endif
