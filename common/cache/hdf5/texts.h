/* A list of strings in memory, as a dataset of a cache has them. */
#ifndef PF_COMMON_CACHE_HDF5_TEXTS_H
#define PF_COMMON_CACHE_HDF5_TEXTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "permafrost/error.h"

typedef struct PfHdf5Texts {
    const char **items; /* lent until pf_hdf5_texts_free */
    int64_t count;
    PfArena arena;     /* where the characters are */
    size_t used, most; /* characters, and how many there may be */
} PfHdf5Texts;

/* Fills empty texts with "0", "1", ... */
int pf_hdf5_texts_number(PfHdf5Texts *texts, int64_t count, PfError *err);
/* Fills empty texts with `count` strings that follow each other in size bytes, each with its
 * terminator. -1 where they are not that many, or memory is short. */
int pf_hdf5_texts_copy(PfHdf5Texts *texts, int64_t count, const char *bytes, size_t size);
/* Leaves texts empty. */
void pf_hdf5_texts_free(PfHdf5Texts *texts);

#endif
