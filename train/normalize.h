/* Features brought to one scale before a head is trained on them. */
#ifndef PF_NORMALIZE_H
#define PF_NORMALIZE_H

#include "feature_table.h"

typedef enum PfNormalize {
    PF_NORMALIZE_DEFAULT = -1, /* not said; pf_experiment_finish decides */
    PF_NORMALIZE_NONE,
    PF_NORMALIZE_STANDARDIZE, /* each feature to mean 0, variance 1 */
    PF_NORMALIZE_L2,          /* each row to length 1; rows of zeros stay */
} PfNormalize;

/* Rewrites the table's x. standardize: measured on the table's train rows; mean and
 * scale, (features) each, receive what was used: x' = (x - mean) * scale; both stay as they are
 * otherwise. A feature that hardly varies (variance below a millionth of the average feature's) is
 * scaled as if its variance were that, so that noise is not blown up. */
int pf_normalize(PfFeatureTable *table, PfNormalize kind, int threads, float *mean, float *scale,
                 PfError *err);

#endif
