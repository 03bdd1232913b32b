/* The HDF5 file of a feature cache, as it is written: chunks of features as they come, what is said
 * of the rows at the end. Nothing of HDF5 itself shows here. */
#ifndef PF_COMMON_CACHE_HDF5_WRITER_H
#define PF_COMMON_CACHE_HDF5_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "common/cache/codec/tap_layout.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* A part of the file that holds chunks of features. */
typedef struct PfHdf5Extent {
    uint64_t offset, size;
} PfHdf5Extent;

typedef struct PfHdf5Writer PfHdf5Writer;

/* Creates the file `path`, which messages call `name`: path, name and layouts (one per tap) are
 * lent until the writer is freed, config for this call. */
int pf_hdf5_writer_new(const char *path, const char *name, const PfCacheWriterConfig *config,
                       const PfTapLayout *layouts, PfHdf5Writer **out, PfError *err);

/* Rows [first_row, first_row + rows) of a tap, encoded in its layout, after those it has. The last
 * chunk may be partly filled: the dataset ends where its rows do. */
int pf_hdf5_writer_append_chunk(PfHdf5Writer *writer, int tap, int64_t first_row, int64_t rows,
                                const void *stored, size_t stored_bytes, PfError *err);
/* What a row has besides its features, and an image that could not be used; both are kept in
 * memory until the file is finished. */
int pf_hdf5_writer_append_sample(PfHdf5Writer *writer, const PfCacheSample *sample, PfError *err);
int pf_hdf5_writer_reject(PfHdf5Writer *writer, const PfCacheReject *reject, PfError *err);

/* Completes and closes the file. *extents: the parts of it that the chunks fill, as few and as
 * large as can be, in the order of offsets; malloc'ed, NULL where there are none. */
int pf_hdf5_writer_finish(PfHdf5Writer *writer, PfHdf5Extent **extents, int64_t *count,
                          PfError *err);
/* Where the file is still open, what is in it is lost. */
void pf_hdf5_writer_free(PfHdf5Writer **writer);

#endif
