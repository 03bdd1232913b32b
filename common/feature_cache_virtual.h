/* Virtual caches, as they are written: their features lie in other caches, the sources, one
 * after the other. HDF5 shows them through virtual datasets; the group /sources says
 * which files they must be. */
#ifndef PF_FEATURE_CACHE_VIRTUAL_H
#define PF_FEATURE_CACHE_VIRTUAL_H

#include <hdf5.h>

#include "permafrost/feature_cache.h"

/* Both under pf_h5_lock; negative on failure, and HDF5 knows why. */

/* The dataset of a tap: its rows are those of the sources. */
hid_t pf_cache_virtual_create(hid_t group, const PfCacheTap *tap, const PfCacheSource *sources,
                              int count);
/* The group /sources. */
int pf_cache_virtual_write_sources(hid_t file, const PfCacheSource *sources, int count);

#endif
