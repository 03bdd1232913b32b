/* Features brought to one scale before a head is trained on them. */
#ifndef PF_TRAIN_FEATURES_NORMALIZE_H
#define PF_TRAIN_FEATURES_NORMALIZE_H

#include "train/features/feature_table.h"

typedef enum PfNormalize {
    PF_NORMALIZE_DEFAULT = -1, /* not said; pf_experiment_finish decides */
    PF_NORMALIZE_NONE,
    PF_NORMALIZE_STANDARDIZE, /* each feature to mean 0, variance 1 */
    PF_NORMALIZE_L2,          /* each row to length 1; rows of zeros stay */
} PfNormalize;

/* As they are called on the command line and in files; by the enum, but for the default. */
#define PF_NORMALIZE_COUNT 3
extern const char *const pf_normalize_names[PF_NORMALIZE_COUNT];

/* Rewrites the table's x, all views of it, which is in memory. PF_NORMALIZE_STANDARDIZE measures
 * the first view of the table's train rows; mean and scale, (features) each, receive what was used:
 * x' = (x - mean) * scale. Of other kinds both stay as they are. A feature that hardly varies
 * (variance below a millionth of the median feature's) is scaled as if its variance were that, so
 * that noise is not blown up; one that is the same in all train rows has the scale 0. */
int pf_normalize(PfFeatureTable *table, PfNormalize kind, int threads, float *mean, float *scale,
                 PfError *err);

/* The same of one row of d features. */
void pf_normalize_standardize_row(float *x, int64_t d, const float *mean, const float *scale);
void pf_normalize_l2_row(float *x, int64_t d);

/* What standardising is measured by: sums of values and of their squares over so many rows, in
 * fixed blocks of rows, so that they come out the same whoever adds them up. */
typedef struct PfMoments {
    int64_t rows, features;
    double *sums; /* owned */
} PfMoments;

int pf_moments_new(int64_t rows, int64_t features, PfMoments *out, PfError *err);
/* Features [first, end) of row number `index`, x being the whole row. Of one block the rows must
 * come in ascending order. */
void pf_moments_add(PfMoments *moments, int64_t index, const float *x, int64_t first, int64_t end);
/* mean and scale: (features). Frees the moments. */
void pf_moments_finish(PfMoments *moments, float *mean, float *scale);

#endif
