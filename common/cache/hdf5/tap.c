#include "common/cache/hdf5/internal.h"

#include <stdio.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/cache/hdf5/zstd_filter.h"

/* What one request for rows may be. HDF5 takes some microseconds for a chunk. */
#define REQUEST_BYTES ((size_t)64 << 20)
#define REQUEST_CHUNKS 50000

/* ---- what a dataset is ---- */

/* F16, F32 and U8 are stored as they are; HDF5 converts all other numbers to F32. */
static int read_dtype(PfHdf5Tap *tap, hid_t type, bool *is_native)
{
    static const PfDtype native[] = {PF_DTYPE_F16, PF_DTYPE_F32, PF_DTYPE_U8};
    *is_native = true;
    for (size_t i = 0; i < sizeof native / sizeof native[0]; i++) {
        tap->info.dtype = native[i];
        if (H5Tequal(type, pf_hdf5_type(native[i])) > 0) return 0;
    }
    *is_native = false;
    tap->info.dtype = PF_DTYPE_F32;
    H5T_class_t kind = H5Tget_class(type);
    return kind == H5T_FLOAT || kind == H5T_INTEGER ? 0 : -1;
}

static int read_shape(PfHdf5Tap *tap, hid_t space)
{
    hsize_t dims[H5S_MAX_RANK];
    int rank = H5Sget_simple_extent_ndims(space);
    if (rank < 1 || rank > PF_MAX_RANK + 1) return -1;
    H5Sget_simple_extent_dims(space, dims, NULL);
    if (dims[0] > INT64_MAX) return -1;
    tap->row_count = (int64_t)dims[0];
    tap->row_elements = 1;
    tap->info.shape.rank = rank - 1;
    for (int i = 1; i < rank; i++) {
        tap->info.shape.dims[i - 1] = (int64_t)dims[i];
        if (!dims[i] || dims[i] > UINT32_MAX / tap->row_elements) return -1;
        tap->row_elements *= dims[i];
    }
    return 0;
}

/* Whether there are filters, among ours and in our order; notes which. Of a chunk that has none
 * HDF5 tells the nominal size, and H5Dread_chunk writes as many bytes as the file says. */
static bool plan_filters(PfHdf5Tap *tap, hid_t properties)
{
    int count = H5Pget_nfilters(properties), stage = 0, last_stage = 0;
    if (count < 1) return false;
    for (int i = 0; i < count; i++, last_stage = stage) {
        unsigned values[PF_HDF5_FILTER_VALUES] = {0};
        H5Z_filter_t filter = pf_hdf5_filter_at(properties, i, values);
        switch (filter) {
        case H5Z_FILTER_SHUFFLE:
            stage = 1;
            tap->shuffle_bit = 1u << i;
            tap->format.shuffle = 1;
            tap->format.element_bytes = values[0];
            if (!values[0]) return false;
            break;
        case H5Z_FILTER_DEFLATE:
        case PF_HDF5_FILTER_ZSTD:
            stage = 2;
            tap->compression_bit = 1u << i;
            tap->format.compression =
                filter == PF_HDF5_FILTER_ZSTD ? PF_COMPRESS_ZSTD : PF_COMPRESS_GZIP;
            tap->format.level = (int)pf_min(values[0], 100);
            break;
        case H5Z_FILTER_FLETCHER32:
            stage = 3;
            tap->fletcher32_bit = 1u << i;
            tap->format.fletcher32 = 1;
            break;
        default: return false;
        }
        if (stage <= last_stage) return false;
    }
    return true;
}

static bool plan_chunks(PfHdf5Tap *tap, hid_t properties)
{
    hsize_t chunk[PF_MAX_RANK + 1];
    int rank = tap->info.shape.rank + 1;
    if (H5Pget_layout(properties) != H5D_CHUNKED || H5Pget_chunk(properties, rank, chunk) != rank)
        return false;
    for (int i = 1; i < rank; i++)
        if ((int64_t)chunk[i] != tap->info.shape.dims[i - 1]) return false;
    size_t element_bytes = pf_dtype_size(tap->info.dtype);
    tap->chunk_rows = (int64_t)chunk[0];
    tap->format = (PfChunkFormat){
        .raw_bytes = (size_t)chunk[0] * tap->row_elements * element_bytes,
        .element_bytes = element_bytes,
    };
    return plan_filters(tap, properties);
}

/* Whole chunks where there are any. */
static void plan_requests(PfHdf5Tap *tap, hid_t properties)
{
    hsize_t chunk[PF_MAX_RANK + 1], chunks_beside = 1;
    int rank = tap->info.shape.rank + 1;
    tap->request_rows = pf_max((int64_t)(REQUEST_BYTES / pf_hdf5_tap_row_bytes(tap)), 1);
    if (H5Pget_layout(properties) != H5D_CHUNKED || H5Pget_chunk(properties, rank, chunk) != rank)
        return;
    for (int i = 1; i < rank; i++)
        chunks_beside *= ((hsize_t)tap->info.shape.dims[i - 1] + chunk[i] - 1) / chunk[i];
    int64_t most = tap->request_rows / (int64_t)chunk[0];
    most = pf_min(most, REQUEST_CHUNKS / (int64_t)chunks_beside);
    tap->request_rows = pf_max(most, 1) * (int64_t)chunk[0];
}

static int describe(PfHdf5Tap *tap, const char *path, PfError *err)
{
    bool is_native;
    hid_t type = H5Dget_type(tap->id), space = H5Dget_space(tap->id);
    hid_t properties = H5Dget_create_plist(tap->id);
    int failed = 0;
    if (type < 0 || space < 0 || properties < 0)
        failed = pf_hdf5_fail(err, "'%s': cannot read /features/%s", path, tap->info.name);
    else if (read_dtype(tap, type, &is_native))
        failed = pf_fail(err, PF_EXIT_FAILED, "'%s': /features/%s does not hold numbers", path,
                         tap->info.name);
    else if (read_shape(tap, space))
        failed = pf_fail(err, PF_EXIT_FAILED,
                         "'%s': /features/%s is not shaped (rows, ...) with 1 to %d dimensions "
                         "that are not empty",
                         path, tap->info.name, PF_MAX_RANK + 1);
    else {
        tap->is_direct = is_native && plan_chunks(tap, properties);
        plan_requests(tap, properties);
    }
    if (properties >= 0) H5Pclose(properties);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return failed;
}

int pf_hdf5_tap_open(hid_t object, const char *name, const char *path, PfHdf5Tap *tap, PfError *err)
{
    *tap = (PfHdf5Tap){.id = object};
    snprintf(tap->info.name, sizeof tap->info.name, "%s", name);
    if (object < 0 || H5Iget_type(object) != H5I_DATASET)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /features/%s is not a dataset", path, name);
    return describe(tap, path, err);
}

static const char *filter_name(H5Z_filter_t filter)
{
    switch (filter) {
    case H5Z_FILTER_SHUFFLE: return "shuffle";
    case H5Z_FILTER_DEFLATE: return "gzip";
    case H5Z_FILTER_FLETCHER32: return "fletcher32";
    case H5Z_FILTER_SZIP: return "szip";
    case PF_HDF5_FILTER_ZSTD: return "zstd";
    default: return NULL;
    }
}

/* "shuffle, zstd, fletcher32" or "none". */
static void list_filters(hid_t dataset, char *text, size_t size)
{
    hid_t properties = H5Dget_create_plist(dataset);
    int count = properties < 0 ? 0 : H5Pget_nfilters(properties);
    snprintf(text, size, "%s", count > 0 ? "" : "none");
    for (int i = 0; i < count; i++) {
        size_t used = strlen(text);
        H5Z_filter_t filter = pf_hdf5_filter_at(properties, i, NULL);
        const char *name = filter_name(filter), *comma = i ? ", " : "";
        if (name)
            snprintf(text + used, size - used, "%s%s", comma, name);
        else
            snprintf(text + used, size - used, "%sfilter %d", comma, (int)filter);
    }
    if (properties >= 0) H5Pclose(properties);
}

size_t pf_hdf5_tap_row_bytes(const PfHdf5Tap *tap)
{
    return tap->row_elements * pf_dtype_size(tap->info.dtype);
}

void pf_hdf5_tap_measure(PfHdf5Tap *tap)
{
    pf_hdf5_lock();
    tap->stored_bytes = (int64_t)H5Dget_storage_size(tap->id);
    list_filters(tap->id, tap->filters, sizeof tap->filters);
    pf_hdf5_unlock();
}

/* ---- its chunks ---- */

static PfChunkFormat format_of_chunk(const PfHdf5Tap *tap, unsigned skipped)
{
    PfChunkFormat format = tap->format;
    if (skipped & tap->shuffle_bit) format.shuffle = 0;
    if (skipped & tap->compression_bit) format.compression = PF_COMPRESS_NONE;
    if (skipped & tap->fletcher32_bit) format.fletcher32 = 0;
    return format;
}

const char *pf_hdf5_tap_read_chunk(const PfHdf5Tap *tap, int64_t first, void *stored,
                                   size_t capacity, size_t *stored_bytes, PfChunkFormat *format)
{
    hsize_t offset[PF_MAX_RANK + 1] = {(hsize_t)first}, size = 0;
    unsigned skipped = 0;
    const char *wrong = NULL;
    pf_hdf5_lock();
    if (H5Dget_chunk_storage_size(tap->id, offset, &size) < 0 || !size)
        wrong = "the chunk is not in the file";
    else if (size > capacity)
        wrong = "the chunk is larger than it can be";
    else if (pf_hdf5_read_chunk(tap->id, offset, &skipped, stored, capacity) < 0)
        wrong = "HDF5 cannot read the chunk";
    pf_hdf5_unlock();
    *stored_bytes = (size_t)size;
    *format = format_of_chunk(tap, skipped);
    return wrong;
}

/* ---- its rows, through HDF5 ---- */

/* ": filter 32000 (lzf) is not installed", which HDF5 says in words of its own in each version;
 * "" where all of them are there. */
static const char *missing_filter(const PfHdf5Tap *tap, char *text, size_t size)
{
    hid_t properties = H5Dget_create_plist(tap->id);
    int count = H5Pget_nfilters(properties);
    *text = '\0';
    for (int i = 0; i < count && !*text; i++) {
        char name[64] = "";
        unsigned flags, config;
        size_t no_values = 0;
        H5Z_filter_t filter = H5Pget_filter2(properties, (unsigned)i, &flags, &no_values, NULL,
                                             sizeof name, name, &config);
        if (H5Zfilter_avail(filter) > 0) continue;
        snprintf(text, size,
                 ": filter %d%s%s%s is not installed. Hint: HDF5_PLUGIN_PATH names the folder of "
                 "HDF5's filters. HDF5 says",
                 (int)filter, *name ? " (" : "", name, *name ? ")" : "");
    }
    H5Pclose(properties);
    return text;
}

int pf_hdf5_tap_read_rows(const PfHdf5Tap *tap, const char *path, int64_t first, int64_t count,
                          void *out, PfError *err)
{
    int rank = tap->info.shape.rank + 1;
    hsize_t start[PF_MAX_RANK + 1] = {(hsize_t)first}, size[PF_MAX_RANK + 1] = {(hsize_t)count};
    for (int i = 1; i < rank; i++) size[i] = (hsize_t)tap->info.shape.dims[i - 1];
    pf_hdf5_lock();
    hid_t in_file = H5Dget_space(tap->id), in_memory = H5Screate_simple(rank, size, NULL);
    H5Sselect_hyperslab(in_file, H5S_SELECT_SET, start, NULL, size, NULL);
    int failed = pf_hdf5_read(tap->id, pf_hdf5_type(tap->info.dtype), in_memory, in_file,
                              H5P_DEFAULT, out) < 0;
    if (failed) {
        char missing[256];
        pf_hdf5_fail(err, "'%s': rows %lld to %lld of /features/%s cannot be read%s", path,
                     (long long)first, (long long)(first + count - 1), tap->info.name,
                     missing_filter(tap, missing, sizeof missing));
    }
    H5Sclose(in_memory);
    H5Sclose(in_file);
    pf_hdf5_unlock();
    return failed ? -1 : 0;
}
