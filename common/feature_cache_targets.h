/* A target of a cache that is read: its kind, its classes, its numbers. */
#ifndef PF_FEATURE_CACHE_TARGETS_H
#define PF_FEATURE_CACHE_TARGETS_H

#include <hdf5.h>
#include <stdint.h>

#include "feature_cache_file.h"
#include "feature_cache_texts.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

typedef struct PfCacheTargetRows {
    PfCacheTarget info; /* its class names are those of classes */
    hid_t dataset;
    PfCacheTexts classes;
    int32_t *indices; /* (N) of a class target, checked; NULL for the others */
} PfCacheTargetRows;

/* Opens the member `name` of the group /targets. On failure too, the target is
 * to be freed. Under pf_h5_lock. */
int pf_cache_target_rows_open(const PfCacheFile *file, const char *name, PfCacheTargetRows *target,
                              PfError *err);
void pf_cache_target_rows_free(PfCacheTargetRows *target);

/* out: (N, width) of a target that is no class. Under pf_h5_lock. */
int pf_cache_target_rows_read(const PfCacheFile *file, const PfCacheTargetRows *target, float *out,
                              PfError *err);

#endif
