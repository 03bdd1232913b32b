#include "feature_cache_storage.h"

#include <stdint.h>

enum { CHECKSUM_BYTES = 4 }; /* Fletcher-32, behind the chunk */

typedef struct Storage {
    hid_t dataset, properties, space;
    hsize_t element_bytes; /* in the file */
} Storage;

/* A string of variable length is its length, an address and an index. */
static hsize_t text_bytes(hid_t dataset)
{
    size_t address_bytes = 0, length_bytes = 0;
    hid_t file = H5Iget_file_id(dataset), properties = H5Fget_create_plist(file);
    H5Pget_sizes(properties, &address_bytes, &length_bytes);
    H5Pclose(properties);
    H5Fclose(file);
    return 4 + address_bytes + 4;
}

static hsize_t element_bytes(hid_t dataset)
{
    hid_t type = H5Dget_type(dataset);
    hsize_t bytes = H5Tis_variable_str(type) > 0 ? text_bytes(dataset) : H5Tget_size(type);
    H5Tclose(type);
    return bytes;
}

/* HDF5 allocates count * element_bytes; both come from the file. */
static int has_room(hsize_t bytes, hsize_t count, hsize_t element)
{
    return element && count <= bytes / element;
}

/* ---- chunks ---- */

/* The bytes of a chunk that went through no filter but those which keep its size; UINT64_MAX
 * where another was among them. */
static hsize_t plain_bytes(const Storage *storage, unsigned skipped, hsize_t stored_bytes)
{
    int count = H5Pget_nfilters(storage->properties);
    for (int i = 0; i < count; i++) {
        unsigned flags;
        size_t no_values = 0;
        H5Z_filter_t filter = H5Pget_filter2(storage->properties, (unsigned)i, &flags, &no_values,
                                             NULL, 0, NULL, NULL);
        if (skipped >> i & 1 || filter == H5Z_FILTER_SHUFFLE) continue;
        if (filter != H5Z_FILTER_FLETCHER32) return UINT64_MAX;
        if (stored_bytes < CHECKSUM_BYTES) return 0;
        stored_bytes -= CHECKSUM_BYTES;
    }
    return stored_bytes;
}

static int is_chunk_whole(const Storage *storage, const hsize_t *offset, hsize_t elements)
{
    unsigned skipped = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    if (H5Dget_chunk_info_by_coord(storage->dataset, offset, &skipped, &address, &size) < 0)
        return 0;
    return address == HADDR_UNDEF || /* never written: the fill value */
           has_room(plain_bytes(storage, skipped, size), elements, storage->element_bytes);
}

/* Moves on to the next chunk between first and last. */
static int next_chunk(int rank, const hsize_t *chunk, const hsize_t *first, const hsize_t *last,
                      hsize_t *offset)
{
    for (int i = rank - 1; i >= 0; i--) {
        if (last[i] - offset[i] >= chunk[i]) {
            offset[i] += chunk[i];
            return 1;
        }
        offset[i] = first[i];
    }
    return 0;
}

static int are_chunks_whole(const Storage *storage)
{
    hsize_t chunk[H5S_MAX_RANK], first[H5S_MAX_RANK], last[H5S_MAX_RANK], offset[H5S_MAX_RANK];
    int rank = H5Pget_chunk(storage->properties, H5S_MAX_RANK, chunk);
    if (!H5Sget_select_npoints(storage->space)) return 1;
    if (rank < 1 || H5Sget_select_bounds(storage->space, first, last) < 0) return 0;
    hsize_t elements = 1;
    for (int i = 0; i < rank; i++) {
        if (!chunk[i] || __builtin_mul_overflow(elements, chunk[i], &elements)) return 0;
        offset[i] = first[i] -= first[i] % chunk[i];
    }
    do
        if (!is_chunk_whole(storage, offset, elements)) return 0;
    while (next_chunk(rank, chunk, first, last, offset));
    return 1;
}

/* ---- any layout ---- */

static int is_whole(const Storage *storage)
{
    hssize_t count = H5Sget_simple_extent_npoints(storage->space);
    switch (H5Pget_layout(storage->properties)) {
    case H5D_COMPACT:
        return count >= 0 && has_room(H5Dget_storage_size(storage->dataset), (hsize_t)count,
                                      storage->element_bytes);
    case H5D_CHUNKED: return are_chunks_whole(storage);
    default: return 1; /* contiguous ones HDF5 checks; what virtual ones show is checked there */
    }
}

int pf_cache_storage_is_whole(hid_t dataset, hid_t selection)
{
    Storage storage = {.dataset = dataset, .properties = H5Dget_create_plist(dataset)};
    if (storage.properties < 0) return 0;
    storage.space = selection == H5S_ALL ? H5Dget_space(dataset) : selection;
    storage.element_bytes = element_bytes(dataset);
    int whole = storage.space >= 0 && is_whole(&storage);
    if (selection == H5S_ALL && storage.space >= 0) H5Sclose(storage.space);
    H5Pclose(storage.properties);
    return whole;
}
