/* HDF5's locks on the files that are read. HDF5 locks each file that it opens (flock), shared for
 * reading and alone for writing, unless the environment says HDF5_USE_FILE_LOCKING=FALSE. */
#ifndef PF_FEATURE_CACHE_LOCK_H
#define PF_FEATURE_CACHE_LOCK_H

#include <hdf5.h>

#include "permafrost/error.h"

/* Fails where another program has the file locked for writing, and says which, as far as this
 * machine knows, and what to do. A file that cannot be opened passes: others say what is wrong. */
int pf_cache_lock_check(const char *path, PfError *err);

/* The same before H5Fopen for reading. Where the file system has no locks, the properties
 * `access` are told to do without: a cache is replaced as a whole by a renamed file, so that
 * readers need none. An environment that asks for locks all the same (TRUE, BEST_EFFORT) goes
 * before properties, and is named in err. */
int pf_cache_lock_prepare(const char *path, hid_t access, PfError *err);

/* What to say of a file that H5Fopen has refused: where its superblock tells of a writer that has
 * it open or ended without closing it, err says that, and the result is 1; else 0. */
int pf_cache_lock_explain(const char *path, PfError *err);

#endif
