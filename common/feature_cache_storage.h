/* Whether a dataset has the bytes that its shape promises, no fewer and not many more. HDF5 1.10
 * does not look: it reads behind what it has loaded, and unpacks whatever comes. */
#ifndef PF_FEATURE_CACHE_STORAGE_H
#define PF_FEATURE_CACHE_STORAGE_H

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

/* What is selected of it (H5S_ALL: everything), as far as can be told without decompressing.
 * Under pf_h5_lock. */
int pf_cache_storage_is_whole(hid_t dataset, hid_t selection);
/* NULL where it is, and else what is wrong, in static words. */
const char *pf_cache_storage_fault(hid_t dataset, hid_t selection);

/* What all its elements take, written or not, each four bytes or more; and what those of a chunk
 * take (0 where there are no chunks): INT64_MAX where it is no number. A string of variable length
 * counts as its reference. */
int64_t pf_cache_storage_claimed_bytes(hid_t dataset);
int64_t pf_cache_storage_chunk_bytes(hid_t dataset);
/* More than any stage of its filters makes of a chunk, if the chunk is what it says. */
size_t pf_cache_storage_unpacked_most(hid_t dataset);

#endif
