/* What a cache says of its rows besides the features: targets, samples,
 * rejected images. Kept in memory as columns while rows come in, written as
 * datasets at the end. */
#ifndef PF_FEATURE_CACHE_SAMPLES_H
#define PF_FEATURE_CACHE_SAMPLES_H

#include <hdf5.h>
#include <stdint.h>

#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

typedef struct PfCacheSamples PfCacheSamples;

/* targets and their class names are copied. */
int pf_cache_samples_new(const PfCacheTarget *targets, int target_count, PfCacheSamples **out,
                         PfError *err);
void pf_cache_samples_free(PfCacheSamples **samples);

int pf_cache_samples_append(PfCacheSamples *samples, const PfCacheSample *sample, PfError *err);
int pf_cache_samples_reject(PfCacheSamples *samples, const PfCacheReject *reject, PfError *err);
int64_t pf_cache_samples_rejected_count(const PfCacheSamples *samples);

/* Writes the groups /targets, /classes, /samples and /rejected. Under
 * pf_h5_lock; -1 on failure, and HDF5 knows why. */
int pf_cache_samples_write(const PfCacheSamples *samples, hid_t file);

#endif
