/* What leads out of a cache's file: links, external storage, the parts of virtual datasets.
 * A file from a stranger must not make us read what its sender may not. */
#ifndef PF_FEATURE_CACHE_OUTSIDE_H
#define PF_FEATURE_CACHE_OUTSIDE_H

#include <hdf5.h>

#include "feature_cache_file.h"
#include "permafrost/error.h"

/* Links into other files, which pf_h5_lock has made HDF5 unable to follow, are refused by name.
 * Links within the file, and what is not there, pass. Under pf_h5_lock. */
int pf_cache_outside_check_link(const PfCacheFile *file, const char *name, PfError *err);

/* That a dataset's numbers are not in another file by HDF5's external storage. Any other object
 * passes. Under pf_h5_lock; name is for messages. */
int pf_cache_outside_check_storage(const PfCacheFile *file, const char *name, hid_t object,
                                   PfError *err);

/* Where the file that the virtual cache `file` calls `name` lies: *path is malloc'ed, and NULL
 * where nothing is there. An error where that is, links resolved, neither in the folder of
 * the cache nor in the one of pf_cache_allow_sources, or no regular file. */
int pf_cache_outside_find_source(const PfCacheFile *file, const char *name, char **path,
                                 PfError *err);

#endif
