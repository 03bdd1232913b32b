/* Virtual datasets that another program made. */
#ifndef PF_FEATURE_CACHE_MAPPING_H
#define PF_FEATURE_CACHE_MAPPING_H

#include <hdf5.h>

#include "feature_cache_file.h"
#include "permafrost/error.h"

/* That everything a virtual dataset shows is there, since HDF5 makes up what it does not
 * find, and is not virtual itself, since HDF5 1.10 follows circles until the stack ends. Any
 * other object passes. Under pf_h5_lock; name is for messages. */
int pf_cache_mapping_check(const PfCacheFile *file, const char *name, hid_t object, PfError *err);

/* The size of the files that a virtual dataset lies in, each once where its parts follow one
 * another; 0 of any other dataset. */
int64_t pf_cache_mapping_bytes(const PfCacheFile *file, hid_t dataset);

#endif
