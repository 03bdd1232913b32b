#include "feature_cache_rows.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "feature_cache_h5.h"
#include "feature_cache_remote.h"
#include "h5_zstd_filter.h"
#include "memory.h"
#include "parallel.h"

/* What H5Dread is given at a time where its rows are converted afterwards. */
#define BLOCK_BYTES ((size_t)4 * 1024 * 1024)
/* As much as a chunk of ours, where chunks do not say how many rows go together. */
#define NO_CHUNK_BYTES ((size_t)512 * 1024)
#define MAX_FILTER_VALUES 8

/* ---- what a dataset is ---- */

/* F16, F32 and U8 are stored as they are; HDF5 converts all other numbers to F32. */
static int read_dtype(PfCacheRows *rows, hid_t type, int *is_native)
{
    static const PfDtype native[] = {PF_DTYPE_F16, PF_DTYPE_F32, PF_DTYPE_U8};
    *is_native = 1;
    for (size_t i = 0; i < sizeof native / sizeof native[0]; i++) {
        rows->tap.dtype = native[i];
        if (H5Tequal(type, pf_h5_type(native[i])) > 0) return 0;
    }
    *is_native = 0;
    rows->tap.dtype = PF_DTYPE_F32;
    H5T_class_t kind = H5Tget_class(type);
    return kind == H5T_FLOAT || kind == H5T_INTEGER ? 0 : -1;
}

static int read_shape(PfCacheRows *rows, hid_t space)
{
    hsize_t dims[H5S_MAX_RANK];
    int rank = H5Sget_simple_extent_ndims(space);
    if (rank < 1 || rank > PF_MAX_RANK + 1) return -1;
    H5Sget_simple_extent_dims(space, dims, NULL);
    if (dims[0] > INT64_MAX) return -1;
    rows->row_count = (int64_t)dims[0];
    rows->row_elements = 1;
    rows->tap.shape.rank = rank - 1;
    for (int i = 1; i < rank; i++) {
        rows->tap.shape.dims[i - 1] = (int64_t)dims[i];
        if (!dims[i] || dims[i] > UINT32_MAX / rows->row_elements) return -1;
        rows->row_elements *= dims[i];
    }
    return 0;
}

/* Whether the filters are among ours and in our order; notes which there are. */
static int plan_filters(PfCacheRows *rows, hid_t properties)
{
    int count = H5Pget_nfilters(properties), stage = 0, last_stage = 0;
    for (int i = 0; i < count; i++, last_stage = stage) {
        unsigned flags, values[MAX_FILTER_VALUES] = {0};
        size_t value_count = MAX_FILTER_VALUES;
        H5Z_filter_t filter =
            H5Pget_filter2(properties, (unsigned)i, &flags, &value_count, values, 0, NULL, NULL);
        switch (filter) {
        case H5Z_FILTER_SHUFFLE:
            stage = 1;
            rows->shuffle_bit = 1u << i;
            rows->format.shuffle = 1;
            rows->format.element_bytes = values[0];
            if (!values[0]) return 0;
            break;
        case H5Z_FILTER_DEFLATE:
        case PF_H5_FILTER_ZSTD:
            stage = 2;
            rows->compression_bit = 1u << i;
            rows->format.compression =
                filter == PF_H5_FILTER_ZSTD ? PF_COMPRESS_ZSTD : PF_COMPRESS_GZIP;
            break;
        case H5Z_FILTER_FLETCHER32:
            stage = 3;
            rows->fletcher32_bit = 1u << i;
            rows->format.fletcher32 = 1;
            break;
        default: return 0;
        }
        if (stage <= last_stage) return 0;
    }
    return 1;
}

static int plan_chunks(PfCacheRows *rows, hid_t properties)
{
    hsize_t chunk[PF_MAX_RANK + 1];
    int rank = rows->tap.shape.rank + 1;
    if (H5Pget_layout(properties) != H5D_CHUNKED || H5Pget_chunk(properties, rank, chunk) != rank)
        return 0;
    for (int i = 1; i < rank; i++)
        if ((int64_t)chunk[i] != rows->tap.shape.dims[i - 1]) return 0;
    size_t element_bytes = pf_dtype_size(rows->tap.dtype);
    rows->chunk_rows = (int64_t)chunk[0];
    rows->format = (PfChunkFormat){
        .raw_bytes = (size_t)chunk[0] * rows->row_elements * element_bytes,
        .element_bytes = element_bytes,
    };
    return plan_filters(rows, properties);
}

static int describe(PfCacheRows *rows, const char *path, PfError *err)
{
    int is_native;
    hid_t type = H5Dget_type(rows->dataset), space = H5Dget_space(rows->dataset);
    hid_t properties = H5Dget_create_plist(rows->dataset);
    int failed = 0;
    if (type < 0 || space < 0 || properties < 0)
        failed = pf_h5_fail(err, "'%s': cannot read /features/%s", path, rows->tap.name);
    else if (read_dtype(rows, type, &is_native))
        failed = pf_fail(err, PF_EXIT_FAILED, "'%s': /features/%s does not hold numbers", path,
                         rows->tap.name);
    else if (read_shape(rows, space))
        failed = pf_fail(err, PF_EXIT_FAILED,
                         "'%s': /features/%s is not shaped (rows, ...) with 1 to %d dimensions "
                         "that are not empty",
                         path, rows->tap.name, PF_MAX_RANK + 1);
    else
        rows->is_direct = is_native && plan_chunks(rows, properties);
    if (properties >= 0) H5Pclose(properties);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return failed;
}

int pf_cache_rows_open(hid_t object, const char *name, const char *path, PfCacheRows *rows,
                       PfError *err)
{
    *rows = (PfCacheRows){.dataset = object};
    snprintf(rows->tap.name, sizeof rows->tap.name, "%s", name);
    if (object < 0 || H5Iget_type(object) != H5I_DATASET)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /features/%s is not a dataset", path, name);
    return describe(rows, path, err);
}

static const char *filter_name(H5Z_filter_t filter)
{
    switch (filter) {
    case H5Z_FILTER_SHUFFLE: return "shuffle";
    case H5Z_FILTER_DEFLATE: return "gzip";
    case H5Z_FILTER_FLETCHER32: return "fletcher32";
    case H5Z_FILTER_SZIP: return "szip";
    case PF_H5_FILTER_ZSTD: return "zstd";
    default: return NULL;
    }
}

int64_t pf_cache_rows_stored_bytes(const PfCacheRows *rows)
{
    int64_t sum = 0;
    if (!rows->part_count && rows->child) return rows->stored_bytes;
    if (!rows->part_count) return (int64_t)H5Dget_storage_size(rows->dataset);
    for (int i = 0; i < rows->part_count; i++)
        sum += pf_cache_rows_stored_bytes(rows->parts[i].rows);
    return sum;
}

void pf_cache_rows_filters(const PfCacheRows *rows, char *text, size_t size)
{
    if (rows->part_count) rows = rows->parts[0].rows;
    if (rows->child) {
        snprintf(text, size, "%s", rows->filters);
        return;
    }
    hid_t properties = H5Dget_create_plist(rows->dataset);
    int count = properties < 0 ? 0 : H5Pget_nfilters(properties);
    snprintf(text, size, "%s", count > 0 ? "" : "none");
    for (int i = 0; i < count; i++) {
        unsigned flags;
        size_t no_values = 0, used = strlen(text);
        H5Z_filter_t filter =
            H5Pget_filter2(properties, (unsigned)i, &flags, &no_values, NULL, 0, NULL, NULL);
        const char *name = filter_name(filter), *comma = i ? ", " : "";
        if (name)
            snprintf(text + used, size - used, "%s%s", comma, name);
        else
            snprintf(text + used, size - used, "%sfilter %d", comma, (int)filter);
    }
    if (properties >= 0) H5Pclose(properties);
}

size_t pf_cache_rows_row_bytes(const PfCacheRows *rows)
{
    return rows->row_elements * pf_dtype_size(rows->tap.dtype);
}

PfCacheRowsPart pf_cache_rows_part(const PfCacheRows *rows, const char *path, int64_t row)
{
    int low = 0, high = rows->part_count;
    if (!rows->part_count) return (PfCacheRowsPart){0, rows, path};
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (rows->parts[middle].first_row <= row)
            low = middle;
        else
            high = middle;
    }
    return rows->parts[low];
}

int64_t pf_cache_rows_block_rows(const PfCacheRows *rows)
{
    size_t row_bytes = pf_cache_rows_row_bytes(rows);
    if (rows->is_direct) return rows->chunk_rows;
    return row_bytes < NO_CHUNK_BYTES ? (int64_t)(NO_CHUNK_BYTES / row_bytes) : 1;
}

/* ---- one chunk ---- */

static int fail_chunk(const PfCacheRows *rows, const char *path, int64_t first, const char *wrong,
                      PfError *err)
{
    int64_t last = first + rows->chunk_rows - 1;
    if (last >= rows->row_count) last = rows->row_count - 1;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': rows %lld to %lld of /features/%s cannot be read: %s.\n"
                   "The file is damaged; make it again (extract --force)",
                   path, (long long)first, (long long)last, rows->tap.name, wrong);
}

static PfChunkFormat format_of_chunk(const PfCacheRows *rows, unsigned skipped)
{
    PfChunkFormat format = rows->format;
    if (skipped & rows->shuffle_bit) format.shuffle = 0;
    if (skipped & rows->compression_bit) format.compression = PF_COMPRESS_NONE;
    if (skipped & rows->fletcher32_bit) format.fletcher32 = 0;
    return format;
}

/* HDF5 2 asks for the buffer's size as well. */
static herr_t read_raw(hid_t dataset, const hsize_t *offset, unsigned *skipped, void *stored,
                       size_t capacity)
{
#if H5_VERSION_GE(2, 0, 0)
    return H5Dread_chunk2(dataset, H5P_DEFAULT, offset, skipped, stored, &capacity);
#else
    (void)capacity;
    return H5Dread_chunk(dataset, H5P_DEFAULT, offset, skipped, stored);
#endif
}

const char *pf_cache_rows_read_raw(const PfCacheRows *rows, int64_t first, void *stored,
                                   size_t capacity, size_t *stored_bytes, PfChunkFormat *format)
{
    if (rows->child)
        return pf_cache_remote_chunk(rows, first, stored, capacity, stored_bytes, format);
    hsize_t offset[PF_MAX_RANK + 1] = {(hsize_t)first}, size = 0;
    unsigned skipped = 0;
    const char *wrong = NULL;
    pf_h5_lock();
    if (H5Dget_chunk_storage_size(rows->dataset, offset, &size) < 0 || !size)
        wrong = "the chunk is not in the file";
    else if (size > capacity)
        wrong = "the chunk is larger than it can be";
    else if (read_raw(rows->dataset, offset, &skipped, stored, capacity) < 0)
        wrong = "HDF5 cannot read the chunk";
    pf_h5_unlock();
    *stored_bytes = (size_t)size;
    *format = format_of_chunk(rows, skipped);
    return wrong;
}

int pf_cache_rows_read_stored(const PfCacheRows *rows, const char *path, int64_t first,
                              void *stored, size_t capacity, size_t *stored_bytes,
                              PfChunkFormat *format, PfError *err)
{
    const char *wrong = pf_cache_rows_read_raw(rows, first, stored, capacity, stored_bytes, format);
    if (!wrong) wrong = pf_chunk_check(format, stored, *stored_bytes);
    return wrong ? fail_chunk(rows, path, first, wrong, err) : 0;
}

/* ---- chunks, in parallel ---- */

typedef struct Reading {
    const PfCacheRows *rows;
    PfRowsWorkers *workers;
    const char *path;
    int64_t first, count;
    int as_f32;
    unsigned char *out;
    size_t out_row_bytes;
    int64_t end_chunk;
    _Atomic int64_t next_chunk;
    _Atomic int failed;
    pthread_mutex_t lock; /* of err */
    PfError *err;
} Reading;

/* The first failure is the one that is reported. */
static void fail_reading(Reading *reading, const PfError *err)
{
    pthread_mutex_lock(&reading->lock);
    if (!atomic_exchange(&reading->failed, 1) && reading->err) *reading->err = *err;
    pthread_mutex_unlock(&reading->lock);
}

/* Makes sure that *buffer has room for size bytes; what is in it may be lost. */
static int make_room(unsigned char **buffer, size_t *capacity, size_t size, PfError *err)
{
    if (size <= *capacity) return 0;
    free(*buffer);
    *buffer = pf_alloc_aligned(size, 1, err);
    *capacity = *buffer ? size : 0;
    return *buffer ? 0 : -1;
}

static int prepare_worker(PfRowsWorker *worker, const PfChunkFormat *format, PfError *err)
{
    if (!worker->codec && pf_chunk_codec_new(&worker->codec, err)) return -1;
    if (make_room(&worker->stored, &worker->stored_capacity, pf_chunk_bound(format), err))
        return -1;
    return make_room(&worker->raw, &worker->raw_capacity, format->raw_bytes, err);
}

static int read_chunk(const Reading *reading, int64_t chunk, PfRowsWorker *worker, PfError *err)
{
    const PfCacheRows *rows = reading->rows;
    int64_t start = chunk * rows->chunk_rows, end = start + rows->chunk_rows;
    size_t stored_bytes;
    PfChunkFormat format;
    double began = pf_seconds();
    const char *wrong = pf_cache_rows_read_raw(rows, start, worker->stored, worker->stored_capacity,
                                               &stored_bytes, &format);
    double got = pf_seconds();
    worker->read_seconds += got - began;
    if (wrong) return fail_chunk(rows, reading->path, start, wrong, err);

    int64_t from = start > reading->first ? start : reading->first;
    int64_t to = end < reading->first + reading->count ? end : reading->first + reading->count;
    unsigned char *out = reading->out + (size_t)(from - reading->first) * reading->out_row_bytes;
    int converts = reading->as_f32 && rows->tap.dtype != PF_DTYPE_F32;
    int in_place = !converts && from == start && to == end;

    wrong = pf_chunk_decode(worker->codec, &format, worker->stored, stored_bytes,
                            in_place ? out : worker->raw);
    worker->unpack_seconds += pf_seconds() - got;
    if (wrong) return fail_chunk(rows, reading->path, start, wrong, err);
    const unsigned char *raw = worker->raw + (size_t)(from - start) * pf_cache_rows_row_bytes(rows);
    size_t row_count = (size_t)(to - from);
    if (converts)
        pf_f32_from_dtype_array((float *)(void *)out, raw, rows->tap.dtype,
                                row_count * rows->row_elements);
    else if (!in_place)
        memcpy(out, raw, row_count * pf_cache_rows_row_bytes(rows));
    return 0;
}

static void read_chunks(void *context, int64_t index)
{
    Reading *reading = context;
    PfRowsWorker *worker = &reading->workers->items[index];
    PfError err;
    int failed = prepare_worker(worker, &reading->rows->format, &err);
    while (!failed && !atomic_load(&reading->failed)) {
        int64_t chunk = atomic_fetch_add(&reading->next_chunk, 1);
        if (chunk >= reading->end_chunk) break;
        failed = read_chunk(reading, chunk, worker, &err);
    }
    if (failed) fail_reading(reading, &err);
}

static int grow_workers(PfRowsWorkers *workers, int count, PfError *err)
{
    size_t capacity = (size_t)workers->count;
    if (count <= workers->count) return 0;
    if (pf_grow(&workers->items, &capacity, (size_t)count, sizeof *workers->items, err)) return -1;
    memset(&workers->items[workers->count], 0,
           (capacity - (size_t)workers->count) * sizeof *workers->items);
    workers->count = (int)capacity;
    return 0;
}

void pf_rows_workers_free(PfRowsWorkers *workers)
{
    for (int i = 0; i < workers->count; i++) {
        pf_chunk_codec_free(&workers->items[i].codec);
        free(workers->items[i].stored);
        free(workers->items[i].raw);
    }
    free(workers->items);
    *workers = (PfRowsWorkers){0};
}

static int read_direct(Reading *reading, int threads)
{
    int64_t chunk_rows = reading->rows->chunk_rows;
    int64_t first_chunk = reading->first / chunk_rows;
    reading->end_chunk = (reading->first + reading->count - 1) / chunk_rows + 1;
    atomic_init(&reading->next_chunk, first_chunk);
    int64_t wanted = threads > 0 ? threads : pf_processor_count();
    if (wanted > reading->end_chunk - first_chunk) wanted = reading->end_chunk - first_chunk;
    if (grow_workers(reading->workers, (int)wanted, reading->err)) return -1;
    pthread_mutex_init(&reading->lock, NULL);
    pf_parallel_for(wanted, (int)wanted, read_chunks, reading);
    pthread_mutex_destroy(&reading->lock);
    return atomic_load(&reading->failed) ? -1 : 0;
}

/* ---- through HDF5 ---- */

/* ": filter 32000 (lzf) is not installed", which HDF5 says in words of its own in each version;
 * "" where all of them are there. */
static const char *missing_filter(const PfCacheRows *rows, char *text, size_t size)
{
    hid_t properties = H5Dget_create_plist(rows->dataset);
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

int pf_cache_rows_read_block(const PfCacheRows *rows, const char *path, int64_t first,
                             int64_t count, void *out, PfError *err)
{
    if (rows->child) return pf_cache_remote_rows(rows, first, count, out, err);
    int rank = rows->tap.shape.rank + 1;
    hsize_t start[PF_MAX_RANK + 1] = {(hsize_t)first}, size[PF_MAX_RANK + 1] = {(hsize_t)count};
    for (int i = 1; i < rank; i++) size[i] = (hsize_t)rows->tap.shape.dims[i - 1];
    pf_h5_lock();
    hid_t in_file = H5Dget_space(rows->dataset), in_memory = H5Screate_simple(rank, size, NULL);
    H5Sselect_hyperslab(in_file, H5S_SELECT_SET, start, NULL, size, NULL);
    int failed = pf_h5_read(rows->dataset, pf_h5_type(rows->tap.dtype), in_memory, in_file,
                            H5P_DEFAULT, out) < 0;
    if (failed) {
        char missing[256];
        pf_h5_fail(err, "'%s': rows %lld to %lld of /features/%s cannot be read%s", path,
                   (long long)first, (long long)(first + count - 1), rows->tap.name,
                   missing_filter(rows, missing, sizeof missing));
    }
    H5Sclose(in_memory);
    H5Sclose(in_file);
    pf_h5_unlock();
    return failed ? -1 : 0;
}

static int read_converted(const Reading *reading)
{
    const PfCacheRows *rows = reading->rows;
    int64_t block_rows = (int64_t)(BLOCK_BYTES / pf_cache_rows_row_bytes(rows)) + 1;
    if (block_rows > reading->count) block_rows = reading->count;
    void *block = pf_alloc_aligned((size_t)block_rows, pf_cache_rows_row_bytes(rows), reading->err);
    if (!block) return -1;
    int failed = 0;
    for (int64_t done = 0; done < reading->count && !failed; done += block_rows) {
        int64_t count = reading->count - done < block_rows ? reading->count - done : block_rows;
        failed = pf_cache_rows_read_block(rows, reading->path, reading->first + done, count, block,
                                          reading->err);
        if (!failed)
            pf_f32_from_dtype_array(
                (float *)(void *)(reading->out + (size_t)done * reading->out_row_bytes), block,
                rows->tap.dtype, (size_t)count * rows->row_elements);
    }
    free(block);
    return failed;
}

/* Part after part, each by all threads. */
static int read_parts(const PfCacheRows *rows, PfRowsWorkers *workers, int64_t first, int64_t count,
                      int as_f32, void *out, int threads, PfError *err)
{
    size_t out_row_bytes =
        as_f32 ? rows->row_elements * sizeof(float) : pf_cache_rows_row_bytes(rows);
    while (count > 0) {
        PfCacheRowsPart part = pf_cache_rows_part(rows, NULL, first);
        int64_t skipped = first - part.first_row, there = part.rows->row_count - skipped;
        if (there > count) there = count;
        if (pf_cache_rows_read(part.rows, workers, part.path, skipped, there, as_f32, out, threads,
                               err))
            return -1;
        out = (unsigned char *)out + (size_t)there * out_row_bytes;
        first += there;
        count -= there;
    }
    return 0;
}

int pf_cache_rows_read(const PfCacheRows *rows, PfRowsWorkers *workers, const char *path,
                       int64_t first, int64_t count, int as_f32, void *out, int threads,
                       PfError *err)
{
    Reading reading = {
        .rows = rows,
        .workers = workers,
        .path = path,
        .first = first,
        .count = count,
        .as_f32 = as_f32,
        .out = out,
        .out_row_bytes =
            as_f32 ? rows->row_elements * sizeof(float) : pf_cache_rows_row_bytes(rows),
        .err = err,
    };
    if (!count) return 0;
    if (rows->part_count) return read_parts(rows, workers, first, count, as_f32, out, threads, err);
    if (rows->is_direct) return read_direct(&reading, threads);
    if (as_f32 && rows->tap.dtype != PF_DTYPE_F32) return read_converted(&reading);
    return pf_cache_rows_read_block(rows, path, first, count, out, err);
}
