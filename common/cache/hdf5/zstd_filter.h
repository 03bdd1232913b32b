/* The zstd filter under its registered number, for HDF5's pipeline.
 *
 * Built twice: into the programs, which register it, and as a plugin that any
 * HDF5 program finds through HDF5_PLUGIN_PATH. Parameters: cd_values[0] = level. */
#ifndef PF_COMMON_CACHE_HDF5_ZSTD_FILTER_H
#define PF_COMMON_CACHE_HDF5_ZSTD_FILTER_H

#include <hdf5.h>

#define PF_HDF5_FILTER_ZSTD 32015

extern const H5Z_class2_t pf_hdf5_zstd_filter;

/* What a chunk may unpack to, in bytes; what would be more fails. Whoever reads sets it, under
 * HDF5's lock. */
extern size_t pf_hdf5_zstd_filter_limit;

#endif
