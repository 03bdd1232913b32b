#include "common/cache/hdf5/internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    CHECKSUM_BYTES = 4, /* Fletcher-32, behind the chunk */
    WINDOW_BYTES = 1 << 16,
    MOST_DEFLATED = 1032, /* bytes that deflate packs into one */
};
/* A chunk that unpacks to less is let through whatever its shape says. */
#define HARMLESS_BYTES ((hsize_t)32 << 20)

typedef struct Storage {
    hid_t dataset, properties, space;
    hsize_t element_bytes; /* in the file */
    const char *wrong;     /* what is wrong where it is not the number of bytes; static words */
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
static bool has_room(hsize_t bytes, hsize_t count, hsize_t element)
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
        H5Z_filter_t filter = pf_hdf5_filter_at(storage->properties, i, NULL);
        if (skipped >> i & 1 || filter == H5Z_FILTER_SHUFFLE) continue;
        if (filter != H5Z_FILTER_FLETCHER32) return UINT64_MAX;
        if (stored_bytes < CHECKSUM_BYTES) return 0;
        stored_bytes -= CHECKSUM_BYTES;
    }
    return stored_bytes;
}

/* Whether another filter that compresses, or gzip once more, comes after HDF5's gzip: unpacking,
 * each of the two can make a thousand bytes of one. *is_gzip: whether gzip is among the filters. */
static bool is_packed_twice(const Storage *storage, bool *is_gzip)
{
    int count = H5Pget_nfilters(storage->properties);
    *is_gzip = false;
    for (int i = 0; i < count; i++) {
        H5Z_filter_t filter = pf_hdf5_filter_at(storage->properties, i, NULL);
        if (*is_gzip && filter != H5Z_FILTER_FLETCHER32 && filter != H5Z_FILTER_SHUFFLE)
            return true;
        if (filter == H5Z_FILTER_DEFLATE) *is_gzip = true;
    }
    return false;
}

/* Whether a zlib stream unpacks to so many bytes at most. One that is damaged passes, since HDF5
 * finds that. */
static bool unpacks_within(const void *packed, size_t size, hsize_t most)
{
    static unsigned char window[WINDOW_BYTES]; /* under the lock */
    z_stream stream = {.next_in = (z_const Bytef *)(uintptr_t)packed, .avail_in = (uInt)size};
    int status = inflateInit(&stream);
    while (status == Z_OK && stream.total_out <= most) {
        stream.next_out = window;
        stream.avail_out = WINDOW_BYTES;
        status = inflate(&stream, Z_NO_FLUSH);
    }
    hsize_t total = stream.total_out;
    inflateEnd(&stream);
    return total <= most;
}

static int unshuffle(unsigned char *bytes, size_t size, size_t element)
{
    if (!element || size < element) return 0;
    unsigned char *copy = malloc(size);
    if (!copy) return -1;
    memcpy(copy, bytes, size);
    pf_chunk_unshuffle(bytes, copy, size, element);
    free(copy);
    return 0;
}

/* Undoes what a chunk went through after gzip, which keeps its size but for a checksum. */
static int undo_until_gzip(const Storage *storage, unsigned skipped, unsigned char *packed,
                           size_t *size)
{
    for (int i = H5Pget_nfilters(storage->properties) - 1; i >= 0; i--) {
        unsigned values[PF_HDF5_FILTER_VALUES] = {0};
        H5Z_filter_t filter = pf_hdf5_filter_at(storage->properties, i, values);
        if (filter == H5Z_FILTER_DEFLATE) return 0;
        if (skipped >> i & 1) continue;
        if (filter == H5Z_FILTER_FLETCHER32)
            *size -= *size < CHECKSUM_BYTES ? *size : CHECKSUM_BYTES;
        else if (unshuffle(packed, *size, values[0]))
            return -1;
    }
    return 0;
}

/* HDF5's own gzip filter, which cannot be replaced, unpacks to the stream's end. */
static bool is_gzip_bounded(Storage *storage, const hsize_t *offset, unsigned skipped, hsize_t size,
                            hsize_t chunk)
{
    hsize_t most = chunk + chunk / 8 + HARMLESS_BYTES;
    bool is_gzip;
    if (is_packed_twice(storage, &is_gzip)) {
        storage->wrong = "it is compressed twice";
        return false;
    }
    if (!is_gzip || size <= most / MOST_DEFLATED || size > UINT32_MAX) return true;
    unsigned ignored;
    size_t left = (size_t)size;
    void *packed = malloc(left);
    bool is_bounded =
        packed && pf_hdf5_read_chunk(storage->dataset, offset, &ignored, packed, left) >= 0 &&
        !undo_until_gzip(storage, skipped, packed, &left) && unpacks_within(packed, left, most);
    free(packed);
    if (!is_bounded) storage->wrong = "a chunk of it unpacks to more than its shape says";
    return is_bounded;
}

static bool is_chunk_whole(Storage *storage, const hsize_t *offset, hsize_t elements)
{
    unsigned skipped = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    if (H5Dget_chunk_info_by_coord(storage->dataset, offset, &skipped, &address, &size) < 0)
        return false;
    if (address == HADDR_UNDEF) return true; /* never written: the fill value */
    return has_room(plain_bytes(storage, skipped, size), elements, storage->element_bytes) &&
           is_gzip_bounded(storage, offset, skipped, size, elements * storage->element_bytes);
}

/* Moves on to the next chunk between first and last. */
static bool next_chunk(int rank, const hsize_t *chunk, const hsize_t *first, const hsize_t *last,
                       hsize_t *offset)
{
    for (int i = rank - 1; i >= 0; i--) {
        if (last[i] - offset[i] >= chunk[i]) {
            offset[i] += chunk[i];
            return true;
        }
        offset[i] = first[i];
    }
    return false;
}

static bool are_chunks_whole(Storage *storage)
{
    hsize_t chunk[H5S_MAX_RANK], first[H5S_MAX_RANK], last[H5S_MAX_RANK], offset[H5S_MAX_RANK];
    int rank = H5Pget_chunk(storage->properties, H5S_MAX_RANK, chunk);
    if (!H5Sget_select_npoints(storage->space)) return true;
    if (rank < 1 || H5Sget_select_bounds(storage->space, first, last) < 0) return false;
    hsize_t elements = 1;
    for (int i = 0; i < rank; i++) {
        if (!chunk[i] || __builtin_mul_overflow(elements, chunk[i], &elements)) return false;
        offset[i] = first[i] -= first[i] % chunk[i];
    }
    do
        if (!is_chunk_whole(storage, offset, elements)) return false;
    while (next_chunk(rank, chunk, first, last, offset));
    return true;
}

/* ---- any layout ---- */

static bool is_whole(Storage *storage)
{
    hssize_t count = H5Sget_simple_extent_npoints(storage->space);
    switch (H5Pget_layout(storage->properties)) {
    case H5D_COMPACT:
        return count >= 0 && has_room(H5Dget_storage_size(storage->dataset), (hsize_t)count,
                                      storage->element_bytes);
    case H5D_CHUNKED: return are_chunks_whole(storage);
    default:
        return true; /* HDF5 itself checks contiguous ones, outside.c the parts of virtual ones */
    }
}

const char *pf_hdf5_storage_fault(hid_t dataset, hid_t selection)
{
    static const char too_few[] = "it has fewer bytes than its shape says";
    Storage storage = {.dataset = dataset, .properties = H5Dget_create_plist(dataset)};
    if (storage.properties < 0) return too_few;
    storage.space = selection == H5S_ALL ? H5Dget_space(dataset) : selection;
    storage.element_bytes = element_bytes(dataset);
    bool whole = storage.space >= 0 && is_whole(&storage);
    if (selection == H5S_ALL && storage.space >= 0) H5Sclose(storage.space);
    H5Pclose(storage.properties);
    return whole ? NULL : storage.wrong ? storage.wrong : too_few;
}

/* ---- sizes ---- */

static int64_t bytes_of(hid_t dataset, hsize_t elements, hsize_t least_each)
{
    hsize_t bytes, each = element_bytes(dataset);
    if (__builtin_mul_overflow(elements, each < least_each ? least_each : each, &bytes) ||
        bytes > INT64_MAX)
        return INT64_MAX;
    return (int64_t)bytes;
}

int64_t pf_hdf5_storage_claimed_bytes(hid_t dataset)
{
    hsize_t dims[H5S_MAX_RANK], elements = 1;
    hid_t space = H5Dget_space(dataset);
    if (space < 0) return INT64_MAX;
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    bool overflows = rank < 0;
    H5Sclose(space);
    for (int i = 0; i < rank && !overflows; i++)
        overflows = __builtin_mul_overflow(elements, dims[i], &elements);
    return overflows ? INT64_MAX : bytes_of(dataset, elements, sizeof(float));
}

int64_t pf_hdf5_storage_chunk_bytes(hid_t dataset)
{
    hsize_t chunk[H5S_MAX_RANK], elements = 1;
    hid_t properties = H5Dget_create_plist(dataset);
    if (properties < 0) return INT64_MAX;
    bool is_chunked = H5Pget_layout(properties) == H5D_CHUNKED;
    int rank = is_chunked ? H5Pget_chunk(properties, H5S_MAX_RANK, chunk) : 0;
    bool overflows = rank < 0;
    H5Pclose(properties);
    for (int i = 0; i < rank && !overflows; i++)
        overflows = __builtin_mul_overflow(elements, chunk[i], &elements);
    if (!is_chunked) return 0;
    return overflows ? INT64_MAX : bytes_of(dataset, elements, 1);
}

/* What cannot be compressed becomes a little larger by that, and has its checksum. */
size_t pf_hdf5_storage_unpacked_most(hid_t dataset)
{
    int64_t chunk = pf_hdf5_storage_chunk_bytes(dataset);
    if (!chunk || chunk > UINT32_MAX)
        return UINT32_MAX; /* a virtual one has no chunks of its own */
    return (size_t)(chunk + chunk / 8 + 4096);
}
