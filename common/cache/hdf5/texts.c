#include "common/cache/hdf5/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define NUMBER_SIZE 24

/* size bytes that live as long as the texts, or NULL. HDF5 calls it for every
 * string that it reads. */
static void *allocate(size_t size, void *argument)
{
    PfHdf5Texts *texts = argument;
    /* Many elements may refer to one string of the file. */
    if (size > texts->most || texts->used > texts->most - size) return NULL;
    texts->used += size;
    return pf_arena_allocate(&texts->arena, size, 1, NULL);
}

static void release(void *bytes, void *argument)
{
    (void)bytes;
    (void)argument;
}

static int read_variable(PfHdf5Texts *texts, hid_t dataset, hid_t type)
{
    hsize_t file_bytes = 0;
    hid_t file = H5Iget_file_id(dataset);
    H5Fget_filesize(file, &file_bytes);
    H5Fclose(file);
    texts->most = (size_t)file_bytes + (size_t)texts->count;
    hid_t transfer = H5Pcreate(H5P_DATASET_XFER);
    H5Pset_vlen_mem_manager(transfer, allocate, texts, release, NULL);
    herr_t status = pf_hdf5_read(dataset, type, H5S_ALL, H5S_ALL, transfer, texts->items);
    H5Pclose(transfer);
    for (int64_t i = 0; i < texts->count; i++)
        if (!texts->items[i]) texts->items[i] = ""; /* never written */
    return status < 0 ? -1 : 0;
}

/* As many bytes for each string, and a terminator. */
static int read_fixed(PfHdf5Texts *texts, hid_t dataset, hid_t type)
{
    size_t size = H5Tget_size(type) + 1;
    hid_t terminated = H5Tcopy(type);
    H5Tset_size(terminated, size);
    H5Tset_strpad(terminated, H5T_STR_NULLTERM);
    texts->most = SIZE_MAX; /* as the shape says, which was checked */
    char *bytes = allocate((size_t)texts->count * size, texts);
    herr_t status =
        bytes ? pf_hdf5_read(dataset, terminated, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) : -1;
    H5Tclose(terminated);
    if (status < 0) return -1;
    for (int64_t i = 0; i < texts->count; i++) texts->items[i] = bytes + (size_t)i * size;
    return 0;
}

static int read_texts(PfHdf5Texts *texts, hid_t dataset, hid_t type, const char *what, PfError *err)
{
    hid_t space = H5Dget_space(dataset);
    hssize_t count = H5Sget_simple_extent_npoints(space);
    int rank = H5Sget_simple_extent_ndims(space);
    H5Sclose(space);
    if (rank != 1 || count < 0 || H5Tget_class(type) != H5T_STRING)
        return pf_fail(err, PF_EXIT_FAILED, "%s is not a list of strings", what);
    texts->items = pf_calloc((size_t)count, sizeof *texts->items, err);
    if (!texts->items) return -1;
    texts->count = count;
    if (!count) return 0;
    int failed = H5Tis_variable_str(type) > 0 ? read_variable(texts, dataset, type)
                                              : read_fixed(texts, dataset, type);
    if (failed || pf_hdf5_has_failed()) return pf_hdf5_fail(err, "cannot read %s", what);
    return 0;
}

int pf_hdf5_texts_read(PfHdf5Texts *texts, hid_t dataset, const char *what, PfError *err)
{
    hid_t type = H5Dget_type(dataset);
    if (type < 0) return pf_hdf5_fail(err, "cannot read %s", what);
    int failed = read_texts(texts, dataset, type, what, err);
    H5Tclose(type);
    if (failed) pf_hdf5_texts_free(texts);
    return failed;
}

int pf_hdf5_texts_number(PfHdf5Texts *texts, int64_t count, PfError *err)
{
    texts->items = pf_calloc((size_t)count, sizeof *texts->items, err);
    if (!texts->items) return -1;
    texts->most = SIZE_MAX;
    for (int64_t i = 0; i < count; i++) {
        char *text = allocate(NUMBER_SIZE, texts);
        if (!text) {
            pf_hdf5_texts_free(texts);
            return pf_fail(err, PF_EXIT_FAILED, "out of memory: no room for class names");
        }
        snprintf(text, NUMBER_SIZE, "%lld", (long long)i);
        texts->items[i] = text;
    }
    texts->count = count;
    return 0;
}

int pf_hdf5_texts_copy(PfHdf5Texts *texts, int64_t count, const char *bytes, size_t size)
{
    if (count < 0 || (size_t)count > size || (size && bytes[size - 1])) return -1;
    texts->most = size;
    char *copy = allocate(size, texts);
    texts->items = pf_calloc((size_t)count, sizeof *texts->items, NULL);
    if (!texts->items || !copy) return -1;
    if (size) memcpy(copy, bytes, size);
    for (int64_t i = 0; i < count; i++) {
        if (!size) return -1;
        size_t length = strlen(copy) + 1;
        texts->items[i] = copy;
        copy += length;
        size -= length;
    }
    texts->count = count;
    return size ? -1 : 0;
}

void pf_hdf5_texts_free(PfHdf5Texts *texts)
{
    pf_arena_free(&texts->arena);
    free(texts->items);
    *texts = (PfHdf5Texts){0};
}
