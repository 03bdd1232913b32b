/* An HDF5 file opened as a feature cache: that it is one, and its parts by name. */
#ifndef PF_FEATURE_CACHE_FILE_H
#define PF_FEATURE_CACHE_FILE_H

#include <hdf5.h>
#include <stdint.h>

#include "feature_cache_seal.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* What the datasets of a file are checked against. */
typedef struct PfCacheFile {
    char *path;
    PfSealState seal; /* as pf_cache_seal_check found it, with its digest */
    uint8_t digest[PF_DIGEST_SIZE];
    hid_t id;           /* negative: not open */
    int64_t size_bytes; /* of the file */
    int has_sources;    /* features are not read from here: a virtual cache of ours */
    int64_t row_count;
    const char *row_source; /* the tap that told row_count, for messages */
} PfCacheFile;

/* Without a call of HDF5: that the file `path` is as long as its first bytes say, where they
 * are those of an HDF5 file. */
int pf_cache_file_check_length(const char *path, PfError *err);

/* Every function below is called under pf_h5_lock. */

/* Opens file->path and checks the root attributes format, format_version and, by
 * file->seal, sealed. Where that fails the message says what the file is instead. */
int pf_cache_file_open(PfCacheFile *file, PfError *err);

/* The JSON of a root attribute, malloc'ed; "{}" where there is none. */
char *pf_cache_file_read_json(const PfCacheFile *file, const char *name, PfError *err);

/* The group or dataset "name" or "group/name", all of it there where it is virtual, and nothing
 * of it outside of what feature_cache_outside allows. One that is not there is no error: *object
 * is negative then. */
int pf_cache_file_find(const PfCacheFile *file, const char *name, hid_t *object, PfError *err);

/* First dimension of a dataset; *width: the product of the others. -1 where
 * object is no dataset or has no dimensions. */
int64_t pf_cache_file_length(hid_t object, int64_t *width);

/* Whether the dataset has file->row_count rows, of *width numbers each. */
int pf_cache_file_check_rows(const PfCacheFile *file, const char *name, hid_t dataset,
                             int64_t *width, PfError *err);

#endif
