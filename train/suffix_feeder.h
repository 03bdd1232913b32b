/* A feeder of features that a suffix makes of another feeder's rows. Passes that are
 * shuffled are for learning: the suffix then remembers what its backward needs. */
#ifndef PF_SUFFIX_FEEDER_H
#define PF_SUFFIX_FEEDER_H

#include "permafrost/suffix.h"
#include "row_feeder.h"

/* Where the time of a fine-tuning goes. */
typedef struct PfSuffixSeconds {
    double read; /* waiting for rows */
    double forward, backward, step;
    double evaluate; /* forward alone: validation, metrics */
} PfSuffixSeconds;

/* rows: lent; its batches hold rows of the cut, flattened. seconds: added to, lent. */
int pf_suffix_feeder(const PfSuffixPlugin *plugin, PfSuffix *suffix, PfRowFeeder *rows,
                     PfSuffixSeconds *seconds, PfRowFeeder *out, PfError *err);

#endif
