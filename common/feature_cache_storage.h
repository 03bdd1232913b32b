/* Whether a dataset has the bytes that its shape promises. HDF5 1.10 does not look, and reads
 * behind what it has loaded. */
#ifndef PF_FEATURE_CACHE_STORAGE_H
#define PF_FEATURE_CACHE_STORAGE_H

#include <hdf5.h>

/* What is selected of it (H5S_ALL: everything), as far as can be told without decompressing.
 * Under pf_h5_lock. */
int pf_cache_storage_is_whole(hid_t dataset, hid_t selection);

#endif
