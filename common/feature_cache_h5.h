/* HDF5 as the cache files use it: one caller at a time, errors as PfError, the
 * few types and attributes of the format. */
#ifndef PF_FEATURE_CACHE_H5_H
#define PF_FEATURE_CACHE_H5_H

#include <hdf5.h>

#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* HDF5 is not thread-safe: every call of it is made between these two, and no
 * work besides. The first lock sets the library up, without links into other files. */
void pf_h5_lock(void);
void pf_h5_unlock(void);

/* As pf_fail, with ": <what HDF5 said of its first failure since the lock was
 * taken>" appended. */
int pf_h5_fail(PfError *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether any call has failed since the lock was taken. Asked before what looks absent is
 * taken to be absent. */
int pf_h5_has_failed(void);

/* HDF5 crashes where its own small allocations fail. Fails where memory is so short that
 * it might; without the lock, before something long is begun. */
int pf_h5_check_memory(PfError *err);

/* The type of features of a dtype (F16, F32, U8), in the file and in memory.
 * Lent for ever. */
hid_t pf_h5_type(PfDtype dtype);
/* Variable-length UTF-8 strings. Lent for ever. */
hid_t pf_h5_text_type(void);

/* A group that remembers the order in which its members were made. */
hid_t pf_h5_create_group(hid_t file, const char *name);

/* Names of the members of a group in the order in which they were made where it
 * remembers that, else by name: *names is malloc'ed. `what` names file and group
 * in errors. */
int pf_h5_members(hid_t group, const char *what, char (**names)[PF_CACHE_NAME_SIZE], int *count,
                  PfError *err);

/* As H5Dread, which trusts what a file says of a dataset more than it should. */
herr_t pf_h5_read(hid_t dataset, hid_t memory_type, hid_t memory_space, hid_t file_space,
                  hid_t transfer, void *out);

/* -1 on failure, and HDF5 knows why. */
int pf_h5_write_text_attribute(hid_t object, const char *name, const char *text);
int pf_h5_write_int_attribute(hid_t object, const char *name, int value);

/* A scalar string attribute of any kind, malloc'ed; NULL where there is none
 * or it is not one. */
char *pf_h5_read_text_attribute(hid_t object, const char *name);
/* -1 where there is no such number. */
int pf_h5_read_int_attribute(hid_t object, const char *name, int *value);

#endif
