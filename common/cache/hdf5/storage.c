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
    unsigned char *packed; /* a chunk as it is in the file */
    size_t capacity;
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

/* HDF5's own gzip filter, which cannot be replaced, unpacks to the stream's end. What is in
 * storage->packed is lost. */
static bool is_gzip_bounded(Storage *storage, unsigned skipped, hsize_t size, hsize_t chunk)
{
    hsize_t most = chunk + chunk / 8 + HARMLESS_BYTES;
    bool is_gzip;
    if (is_packed_twice(storage, &is_gzip)) {
        storage->wrong = "it is compressed twice";
        return false;
    }
    if (!is_gzip || size <= most / MOST_DEFLATED || size > UINT32_MAX) return true;
    size_t left = (size_t)size;
    bool is_bounded = !undo_until_gzip(storage, skipped, storage->packed, &left) &&
                      unpacks_within(storage->packed, left, most);
    if (!is_bounded) storage->wrong = "a chunk of it unpacks to more than its shape says";
    return is_bounded;
}

/* A chunk of a dataset with filters into storage->packed. */
static bool read_packed(Storage *storage, const hsize_t *offset, hsize_t size, unsigned *skipped)
{
    if (size > storage->capacity) {
        free(storage->packed);
        storage->packed = malloc((size_t)size);
        storage->capacity = storage->packed ? (size_t)size : 0;
    }
    bool is_read = storage->packed && pf_hdf5_read_chunk(storage->dataset, offset, skipped,
                                                         storage->packed, (size_t)size) >= 0;
    if (!is_read) storage->wrong = "a chunk of it cannot be read";
    return is_read;
}

/* HDF5 walks through all chunks for its answer. */
static bool find_by_walking(const Storage *storage, const hsize_t *offset, bool *is_written,
                            hsize_t *size)
{
    unsigned skipped = 0;
    haddr_t address = HADDR_UNDEF;
    if (H5Dget_chunk_info_by_coord(storage->dataset, offset, &skipped, &address, size) < 0)
        return false;
    *is_written = address != HADDR_UNDEF;
    return true;
}

/* The size of a chunk with filters, which HDF5 looks up; 0 also where it is not there. */
static hsize_t look_up(const Storage *storage, const hsize_t *offset)
{
    hsize_t size = 0;
    herr_t status;
    H5E_BEGIN_TRY
    {
        status = H5Dget_chunk_storage_size(storage->dataset, offset, &size);
    }
    H5E_END_TRY
    return status < 0 ? 0 : size;
}

/* The mask of filters that were left out comes with the chunk. */
static bool is_filtered_whole(Storage *storage, const hsize_t *offset, hsize_t elements)
{
    unsigned skipped = 0;
    bool is_written = true;
    hsize_t size = look_up(storage, offset);
    if (!size && !find_by_walking(storage, offset, &is_written, &size)) return false;
    if (!is_written) return true; /* the fill value */
    return read_packed(storage, offset, size, &skipped) &&
           has_room(plain_bytes(storage, skipped, size), elements, storage->element_bytes) &&
           is_gzip_bounded(storage, skipped, size, elements * storage->element_bytes);
}

/* Of one without filters HDF5 looks up the nominal size alone. */
static bool is_plain_whole(const Storage *storage, const hsize_t *offset, hsize_t elements)
{
    hsize_t size = 0;
    bool is_written;
    return find_by_walking(storage, offset, &is_written, &size) &&
           (!is_written || has_room(size, elements, storage->element_bytes));
}

/* Whether HDF5 reads what is selected of chunks straight from where they begin in the file, and
 * never a chunk as a whole, whose size it would take from the file: where there are no filters, and
 * its cache of chunks has no room for one (see pf_hdf5_storage_open_plain). */
static bool is_read_in_place(const Storage *storage)
{
    size_t slots, cache_bytes = SIZE_MAX;
    double preemption;
    if (H5Pget_nfilters(storage->properties)) return false;
    hid_t access = H5Dget_access_plist(storage->dataset);
    if (access < 0) return false;
    bool is_known = H5Pget_chunk_cache(access, &slots, &cache_bytes, &preemption) >= 0;
    H5Pclose(access);
    return is_known && !cache_bytes;
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
    if (is_read_in_place(storage)) return true;
    const bool has_filters = H5Pget_nfilters(storage->properties) > 0;
    for (int i = 0; i < rank; i++) {
        if (!chunk[i] || __builtin_mul_overflow(elements, chunk[i], &elements)) return false;
        offset[i] = first[i] -= first[i] % chunk[i];
    }
    do
        if (!(has_filters ? is_filtered_whole(storage, offset, elements)
                          : is_plain_whole(storage, offset, elements)))
            return false;
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
    free(storage.packed);
    return whole ? NULL : storage.wrong ? storage.wrong : too_few;
}

/* ---- chunks without filters ---- */

static bool has_plain_chunks(hid_t dataset)
{
    hid_t properties = H5Dget_create_plist(dataset);
    bool is_plain = properties >= 0 && H5Pget_layout(properties) == H5D_CHUNKED &&
                    H5Pget_nfilters(properties) == 0;
    if (properties >= 0) H5Pclose(properties);
    return is_plain;
}

hid_t pf_hdf5_storage_open_plain(hid_t file, const char *name, hid_t object)
{
    if (H5Iget_type(object) != H5I_DATASET || !has_plain_chunks(object)) return object;
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    H5Pset_chunk_cache(access, 0, 0, 0);
    H5Oclose(object); /* one that is open already keeps its cache */
    object = H5Dopen2(file, name, access);
    H5Pclose(access);
    return object;
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
