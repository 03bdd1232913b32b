#include "common/cache/hdf5/writer.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/cache/hdf5/internal.h"
#include "common/cache/hdf5/zstd_filter.h"
#include "permafrost/tensor.h"

/* HDF5 puts its metadata into blocks of this size, so that few lie between the chunks. */
#define METADATA_BLOCK_BYTES (32 * 1024)

typedef struct WrittenChunk {
    hid_t dataset;
    int64_t first_row;
    uint64_t size, bytes_before; /* of it, and of all chunks written before it */
} WrittenChunk;

struct PfHdf5Writer {
    const char *path, *name; /* lent */
    hid_t file;
    bool is_virtual; /* its features are elsewhere */
    int tap_count;
    const PfTapLayout *layouts; /* (tap_count), lent */
    hid_t *datasets;            /* (tap_count) */
    PfHdf5Samples *samples;
    WrittenChunk *chunks; /* in the order of writing */
    size_t chunk_count, chunk_capacity;
    uint64_t chunk_bytes; /* of all chunks */
};

/* ---- creating the file ---- */

static hid_t tap_properties(const PfTapLayout *layout, const hsize_t *chunk)
{
    const PfChunkFormat *format = &layout->format;
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    unsigned level = (unsigned)format->level;
    H5Pset_obj_track_times(properties, 0);
    H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER);
    H5Pset_chunk(properties, layout->tap.shape.rank + 1, chunk);
    if (format->shuffle) H5Pset_shuffle(properties);
    if (format->compression == PF_COMPRESS_ZSTD)
        H5Pset_filter(properties, PF_HDF5_FILTER_ZSTD, H5Z_FLAG_MANDATORY, 1, &level);
    if (format->compression == PF_COMPRESS_GZIP) H5Pset_deflate(properties, level);
    H5Pset_fletcher32(properties);
    return properties;
}

static hid_t create_tap_dataset(hid_t group, const PfTapLayout *layout)
{
    const PfCacheTap *tap = &layout->tap;
    int rank = tap->shape.rank + 1;
    hsize_t dims[PF_MAX_RANK + 1] = {0}, chunk[PF_MAX_RANK + 1] = {(hsize_t)layout->chunk_rows};
    hsize_t limits[PF_MAX_RANK + 1] = {H5S_UNLIMITED};
    for (int i = 1; i < rank; i++) dims[i] = chunk[i] = limits[i] = (hsize_t)tap->shape.dims[i - 1];
    hid_t space = H5Screate_simple(rank, dims, limits), properties = tap_properties(layout, chunk);
    hid_t dataset = H5Dcreate2(group, tap->name, pf_hdf5_type(tap->dtype), space, H5P_DEFAULT,
                               properties, H5P_DEFAULT);
    H5Pclose(properties);
    H5Sclose(space);
    return dataset;
}

/* A private file that is renamed when it is whole needs no lock, and some
 * network file systems have none. */
static hid_t create_file(const char *path)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_file_locking(access, 0, 1);
    H5Pset_meta_block_size(access, METADATA_BLOCK_BYTES);
    H5Pset_obj_track_times(creation, 0);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    H5Pclose(creation);
    H5Pclose(access);
    return file;
}

static int write_root_attributes(hid_t file, const PfCacheWriterConfig *config)
{
    if (pf_hdf5_write_text_attribute(file, "format", PF_CACHE_FORMAT) ||
        pf_hdf5_write_int_attribute(file, "format_version", PF_CACHE_FORMAT_VERSION) ||
        pf_hdf5_write_int_attribute(file, "sealed", 1) ||
        pf_hdf5_write_text_attribute(file, "identity", config->identity) ||
        pf_hdf5_write_text_attribute(file, "provenance", config->provenance))
        return -1;
    return 0;
}

static int create_datasets(PfHdf5Writer *writer, const PfCacheWriterConfig *config)
{
    hid_t group = pf_hdf5_create_group(writer->file, "features");
    int failed = group < 0;
    const bool is_catalogue = pf_hdf5_virtual_is_catalogue(config->source_count);
    for (int t = 0; t < writer->tap_count && !failed; t++) {
        if (is_catalogue) {
            writer->datasets[t] = H5I_INVALID_HID;
            failed = pf_hdf5_catalogue_create(group, &config->taps[t]);
            continue;
        }
        writer->datasets[t] = writer->is_virtual
                                  ? pf_hdf5_virtual_create(group, &config->taps[t], config->sources,
                                                           config->source_count)
                                  : create_tap_dataset(group, &writer->layouts[t]);
        failed = writer->datasets[t] < 0;
    }
    if (group >= 0) H5Gclose(group);
    if (failed || !writer->is_virtual) return failed ? -1 : 0;
    return pf_hdf5_virtual_write_sources(writer->file, config->sources, config->source_count);
}

/* What HDF5 or the file system said, and how far the file had come. */
static int fail_writing(PfHdf5Writer *writer, PfError *err)
{
    struct stat status = {0};
    stat(writer->path, &status);
    return pf_hdf5_fail(err, "cannot write '%s' (%lld bytes of it were written)", writer->name,
                        (long long)status.st_size);
}

static int create_contents(PfHdf5Writer *writer, const PfCacheWriterConfig *config, PfError *err)
{
    int failed = 0;
    pf_hdf5_lock();
    writer->file = create_file(writer->path);
    if (writer->file < 0 || write_root_attributes(writer->file, config) ||
        create_datasets(writer, config) || pf_hdf5_has_failed())
        failed = fail_writing(writer, err);
    pf_hdf5_unlock();
    return failed;
}

int pf_hdf5_writer_new(const char *path, const char *name, const PfCacheWriterConfig *config,
                       const PfTapLayout *layouts, PfHdf5Writer **out, PfError *err)
{
    PfHdf5Writer *writer = pf_calloc(1, sizeof *writer, err);
    if (!writer) return -1;
    *writer = (PfHdf5Writer){
        .path = path,
        .name = name,
        .file = H5I_INVALID_HID,
        .is_virtual = config->source_count > 0,
        .tap_count = config->tap_count,
        .layouts = layouts,
        .datasets = pf_calloc((size_t)config->tap_count, sizeof *writer->datasets, err),
    };
    if (!writer->datasets ||
        pf_hdf5_samples_new(path, config->targets, config->target_count, &writer->samples, err) ||
        pf_hdf5_check_memory(err) || create_contents(writer, config, err)) {
        pf_hdf5_writer_free(&writer);
        return -1;
    }
    *out = writer;
    return 0;
}

/* ---- rows ---- */

static int note_chunk(PfHdf5Writer *writer, hid_t dataset, int64_t first_row, size_t stored_bytes,
                      PfError *err)
{
    if (pf_grow(&writer->chunks, &writer->chunk_capacity, writer->chunk_count + 1,
                sizeof *writer->chunks, err))
        return -1;
    writer->chunks[writer->chunk_count++] =
        (WrittenChunk){dataset, first_row, stored_bytes, writer->chunk_bytes};
    writer->chunk_bytes += stored_bytes;
    return 0;
}

int pf_hdf5_writer_append_chunk(PfHdf5Writer *writer, int tap, int64_t first_row, int64_t rows,
                                const void *stored, size_t stored_bytes, PfError *err)
{
    const PfShape *shape = &writer->layouts[tap].tap.shape;
    hid_t dataset = writer->datasets[tap];
    hsize_t dims[PF_MAX_RANK + 1] = {(hsize_t)(first_row + rows)};
    hsize_t offset[PF_MAX_RANK + 1] = {(hsize_t)first_row};
    for (int i = 0; i < shape->rank; i++) dims[i + 1] = (hsize_t)shape->dims[i];
    int failed = 0;
    pf_hdf5_lock();
    if (H5Dset_extent(dataset, dims) < 0 ||
        H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, offset, stored_bytes, stored) < 0)
        failed = fail_writing(writer, err);
    pf_hdf5_unlock();
    return failed ? -1 : note_chunk(writer, dataset, first_row, stored_bytes, err);
}

int pf_hdf5_writer_append_sample(PfHdf5Writer *writer, const PfCacheSample *sample, PfError *err)
{
    return pf_hdf5_samples_append(writer->samples, sample, err);
}

int pf_hdf5_writer_reject(PfHdf5Writer *writer, const PfCacheReject *reject, PfError *err)
{
    return pf_hdf5_samples_reject(writer->samples, reject, err);
}

/* ---- where the chunks of features lie ---- */

typedef struct Found {
    PfHdf5Extent *items;
    size_t count, capacity;
} Found;

static int ask_offset(const WrittenChunk *chunk, uint64_t *offset)
{
    hsize_t row[PF_MAX_RANK + 1] = {(hsize_t)chunk->first_row}, size = 0;
    haddr_t address = HADDR_UNDEF;
    unsigned skipped;
    if (H5Dget_chunk_info_by_coord(chunk->dataset, row, &skipped, &address, &size) < 0 ||
        address == HADDR_UNDEF || size != chunk->size)
        return -1;
    *offset = address;
    return 0;
}

/* Lengthens the last extent where it ends at the offset. */
static int add_extent(Found *found, uint64_t offset, uint64_t size)
{
    PfHdf5Extent *last = found->count ? &found->items[found->count - 1] : NULL;
    if (last && last->offset + last->size == offset) {
        last->size += size;
        return 0;
    }
    if (pf_grow(&found->items, &found->capacity, found->count + 1, sizeof *found->items, NULL))
        return -1;
    found->items[found->count++] = (PfHdf5Extent){offset, size};
    return 0;
}

/* Extents of the chunks [from, to), whose ends in the file are known: `offset` of
 * `from`, `end_offset` of `to`. HDF5 walks through all chunks before the one it is asked for, so it
 * is asked for few: where as many bytes lie between two chunks as were written between
 * them, nothing else does, as HDF5 takes room from the file's end only. */
static int find_between(const WrittenChunk *from, const WrittenChunk *to, uint64_t offset,
                        uint64_t end_offset, Found *found)
{
    uint64_t size = to->bytes_before - from->bytes_before, middle_offset;
    if (end_offset - offset == size || to == from + 1) return add_extent(found, offset, size);
    const WrittenChunk *middle = from + (to - from) / 2;
    if (ask_offset(middle, &middle_offset) ||
        find_between(from, middle, offset, middle_offset, found))
        return -1;
    return find_between(middle, to, middle_offset, end_offset, found);
}

static int find_all(const PfHdf5Writer *writer, Found *found)
{
    uint64_t offset, last_offset;
    const WrittenChunk *first = writer->chunks, *last = first + writer->chunk_count - 1;
    if (ask_offset(first, &offset) || ask_offset(last, &last_offset)) return -1;
    if (last > first && find_between(first, last, offset, last_offset, found)) return -1;
    return add_extent(found, last_offset, last->size);
}

static int compare_offsets(const void *a, const void *b)
{
    uint64_t x = ((const PfHdf5Extent *)a)->offset, y = ((const PfHdf5Extent *)b)->offset;
    return (x > y) - (x < y);
}

/* The parts of the file that the chunks fill. -1 on failure, and HDF5 knows why. */
static int find_extents(const PfHdf5Writer *writer, PfHdf5Extent **out, int64_t *count)
{
    Found found = {0};
    *out = NULL;
    *count = 0;
    if (!writer->chunk_count) return 0;
    if (find_all(writer, &found)) {
        free(found.items);
        return -1;
    }
    qsort(found.items, found.count, sizeof *found.items, compare_offsets);
    *out = found.items;
    *count = (int64_t)found.count;
    return 0;
}

/* ---- the end ---- */

/* Whether it succeeds or not, a file may be closed only once. */
static herr_t close_once(hid_t *file)
{
    hid_t closing = *file;
    *file = H5I_INVALID_HID;
    return H5Fclose(closing);
}

int pf_hdf5_writer_finish(PfHdf5Writer *writer, PfHdf5Extent **extents, int64_t *count,
                          PfError *err)
{
    int failed = 0;
    PfError outside = {0}; /* of HDF5 */
    if (pf_hdf5_check_memory(err)) return -1;
    pf_hdf5_lock();
    if (pf_hdf5_samples_write(writer->samples, writer->file, &outside) ||
        find_extents(writer, extents, count) || H5Fflush(writer->file, H5F_SCOPE_GLOBAL) < 0 ||
        close_once(&writer->file) < 0 || pf_hdf5_has_failed())
        failed = fail_writing(writer, err);
    pf_hdf5_unlock();
    if (failed && *outside.message && err) *err = outside;
    return failed;
}

void pf_hdf5_writer_free(PfHdf5Writer **pointer)
{
    PfHdf5Writer *writer = *pointer;
    if (!writer) return;
    if (writer->file >= 0) {
        /* Room on a full disk, so that HDF5 can close what it could not write. */
        int ignored = truncate(writer->path, 0);
        (void)ignored;
        pf_hdf5_lock();
        close_once(&writer->file);
        pf_hdf5_unlock();
    }
    pf_hdf5_samples_free(&writer->samples);
    free(writer->chunks);
    free(writer->datasets);
    free(writer);
    *pointer = NULL;
}
