/* The trailer behind a cache's HDF5 data: a digest over every byte that HDF5's own
 * checksums leave open, that is all but the chunks of features. docs/cache-format.md
 * has its bytes. */
#ifndef PF_COMMON_CACHE_SEAL_H
#define PF_COMMON_CACHE_SEAL_H

#include <stdint.h>

#include "common/cache/hdf5/writer.h"
#include "permafrost/error.h"

typedef enum PfCacheSealState {
    PF_SEAL_ABSENT, /* no trailer: another program's file, or one whose end is gone */
    PF_SEAL_INTACT,
} PfCacheSealState;

/* Appends the trailer to the closed HDF5 file `path`, which messages call `name`.
 * extents: in the order of offsets, not overlapping. */
int pf_cache_seal_write(const char *path, const char *name, const PfHdf5Extent *extents,
                        int64_t count, PfError *err);
/* Reads the trailer and everything it covers. A digest that does not match is an
 * error: "damaged". digest (16 bytes, may be NULL): names this very file. */
int pf_cache_seal_check(const char *path, PfCacheSealState *state, uint8_t *digest, PfError *err);

#endif
