#include <assert.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomic_file.h"
#include "clock.h"
#include "feature_cache_chunk.h"
#include "feature_cache_h5.h"
#include "feature_cache_packer.h"
#include "feature_cache_samples.h"
#include "h5_zstd_filter.h"
#include "memory.h"
#include "permafrost/feature_cache.h"

/* Big enough to compress well and to be read in one go, small enough to stay in
 * a processor's cache and to waste little where a row of it is wanted. */
#define CHUNK_BYTES (512 * 1024)
/* HDF5's limit of a chunk. */
#define MAX_ROW_BYTES (((int64_t)1 << 32) - 1)

typedef struct Tap {
    PfCacheTap info;
    PfChunkFormat format;
    size_t row_bytes;
    int64_t chunk_rows;
    hid_t dataset;
    PfPackJob *open; /* the chunk being filled, or NULL */
} Tap;

struct PfCacheWriter {
    char *path, *temporary;
    hid_t file;
    PfCachePacker *packer;
    PfCacheSamples *samples;
    PfCacheWriterStats stats;
    int failed; /* then error says why, and nothing else is done */
    PfError error;
    int tap_count;
    Tap taps[];
};

/* ---- the layout of a tap ---- */

/* Byte shuffle makes vectors smaller, and maps, which are full of zeros, larger. */
static int is_map(const PfShape *shape)
{
    return shape->rank >= 3 && shape->dims[shape->rank - 1] * shape->dims[shape->rank - 2] > 1;
}

static void plan_tap(Tap *tap, const PfCacheWriterConfig *config)
{
    size_t element_bytes = pf_dtype_size(tap->info.dtype);
    tap->row_bytes = (size_t)pf_shape_count(&tap->info.shape) * element_bytes;
    tap->chunk_rows = (int64_t)(CHUNK_BYTES / tap->row_bytes);
    if (tap->chunk_rows < 1) tap->chunk_rows = 1;
    tap->format = (PfChunkFormat){
        .raw_bytes = (size_t)tap->chunk_rows * tap->row_bytes,
        .element_bytes = element_bytes,
        .shuffle = config->compression != PF_COMPRESS_NONE && element_bytes > 1 &&
                   !is_map(&tap->info.shape),
        .compression = config->compression,
        .level = config->level ? config->level : 1,
        .fletcher32 = 1,
    };
}

static hid_t tap_properties(const Tap *tap, const hsize_t *chunk)
{
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    unsigned level = (unsigned)tap->format.level;
    H5Pset_obj_track_times(properties, 0);
    H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER);
    H5Pset_chunk(properties, tap->info.shape.rank + 1, chunk);
    if (tap->format.shuffle) H5Pset_shuffle(properties);
    if (tap->format.compression == PF_COMPRESS_ZSTD)
        H5Pset_filter(properties, PF_H5_FILTER_ZSTD, H5Z_FLAG_MANDATORY, 1, &level);
    if (tap->format.compression == PF_COMPRESS_GZIP) H5Pset_deflate(properties, level);
    H5Pset_fletcher32(properties);
    return properties;
}

static hid_t create_tap_dataset(hid_t group, const Tap *tap)
{
    int rank = tap->info.shape.rank + 1;
    hsize_t dims[PF_MAX_RANK + 1] = {0}, chunk[PF_MAX_RANK + 1] = {(hsize_t)tap->chunk_rows};
    hsize_t limits[PF_MAX_RANK + 1] = {H5S_UNLIMITED};
    for (int i = 1; i < rank; i++)
        dims[i] = chunk[i] = limits[i] = (hsize_t)tap->info.shape.dims[i - 1];
    hid_t space = H5Screate_simple(rank, dims, limits), properties = tap_properties(tap, chunk);
    hid_t dataset = H5Dcreate2(group, tap->info.name, pf_h5_type(tap->info.dtype), space,
                               H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Pclose(properties);
    H5Sclose(space);
    return dataset;
}

/* ---- the file ---- */

/* A private file that is renamed when it is whole needs no lock, and some
 * network file systems have none. */
static hid_t create_file(const char *path)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_file_locking(access, 0, 1);
    H5Pset_obj_track_times(creation, 0);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    H5Pclose(creation);
    H5Pclose(access);
    return file;
}

static int write_root_attributes(hid_t file, const PfCacheWriterConfig *config)
{
    if (pf_h5_write_text_attribute(file, "format", PF_CACHE_FORMAT) ||
        pf_h5_write_int_attribute(file, "format_version", PF_CACHE_FORMAT_VERSION) ||
        pf_h5_write_text_attribute(file, "identity", config->identity) ||
        pf_h5_write_text_attribute(file, "provenance", config->provenance))
        return -1;
    return 0;
}

static int create_datasets(PfCacheWriter *writer)
{
    hid_t group = pf_h5_create_group(writer->file, "features");
    int failed = group < 0;
    for (int t = 0; t < writer->tap_count && !failed; t++) {
        writer->taps[t].dataset = create_tap_dataset(group, &writer->taps[t]);
        failed = writer->taps[t].dataset < 0;
    }
    if (group >= 0) H5Gclose(group);
    return failed ? -1 : 0;
}

/* What HDF5 or the file system said, and how far the file had come. */
static int fail_writing(PfCacheWriter *writer, PfError *err)
{
    struct stat status = {0};
    stat(writer->temporary, &status);
    return pf_h5_fail(err, "cannot write '%s' (%lld bytes of it were written)", writer->path,
                      (long long)status.st_size);
}

static int create_contents(PfCacheWriter *writer, const PfCacheWriterConfig *config, PfError *err)
{
    int failed = 0;
    pf_h5_lock();
    writer->file = create_file(writer->temporary);
    if (writer->file < 0 || write_root_attributes(writer->file, config) || create_datasets(writer))
        failed = fail_writing(writer, err);
    pf_h5_unlock();
    return failed;
}

/* ---- opening ---- */

static int check_name(const char *what, const char *name, PfError *err)
{
    if (*name && !strchr(name, '/') && strcmp(name, ".")) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "the %s name '%s' cannot be stored: a name is not empty, is not '.' and has no "
                   "'/' in it",
                   what, name);
}

static int check_config(const PfCacheWriterConfig *config, PfError *err)
{
    assert(config->tap_count > 0 && config->threads > 0);
    for (int t = 0; t < config->tap_count; t++) {
        const PfCacheTap *tap = &config->taps[t];
        int64_t bytes = pf_shape_count(&tap->shape) * (int64_t)pf_dtype_size(tap->dtype);
        if (check_name("tap", tap->name, err)) return -1;
        if (bytes < 1 || bytes > MAX_ROW_BYTES)
            return pf_fail(err, PF_EXIT_FAILED,
                           "tap '%s' has rows of %lld bytes; 1 to %lld can be stored", tap->name,
                           (long long)bytes, (long long)MAX_ROW_BYTES);
    }
    for (int t = 0; t < config->target_count; t++)
        if (check_name("target", config->targets[t].name, err)) return -1;
    return 0;
}

static int start_packer(PfCacheWriter *writer, int threads, PfError *err)
{
    size_t raw = 0, stored = 0;
    for (int t = 0; t < writer->tap_count; t++) {
        size_t bound = pf_chunk_bound(&writer->taps[t].format);
        if (writer->taps[t].format.raw_bytes > raw) raw = writer->taps[t].format.raw_bytes;
        if (bound > stored) stored = bound;
    }
    /* One open chunk a tap, one a thread, and two on their way. */
    return pf_cache_packer_new(raw, stored, writer->tap_count + threads + 2, threads,
                               &writer->packer, err);
}

int pf_cache_writer_open(const char *path, const PfCacheWriterConfig *config, PfCacheWriter **out,
                         PfError *err)
{
    if (check_config(config, err)) return -1;
    PfCacheWriter *writer =
        pf_calloc(1, sizeof *writer + (size_t)config->tap_count * sizeof writer->taps[0], err);
    if (!writer) return -1;
    writer->file = H5I_INVALID_HID;
    writer->tap_count = config->tap_count;
    for (int t = 0; t < config->tap_count; t++) {
        writer->taps[t].info = config->taps[t];
        plan_tap(&writer->taps[t], config);
    }
    if (!(writer->path = pf_strdup(path, err)) ||
        pf_cache_samples_new(config->targets, config->target_count, &writer->samples, err) ||
        start_packer(writer, config->threads, err) ||
        pf_atomic_file_begin(path, &writer->temporary, err) ||
        create_contents(writer, config, err)) {
        pf_cache_writer_abandon(&writer);
        return -1;
    }
    *out = writer;
    return 0;
}

/* ---- rows ---- */

/* The last chunk may be partly filled: the dataset ends where its rows do. */
static int write_chunk(PfCacheWriter *writer, const PfPackJob *job, PfError *err)
{
    const Tap *tap = &writer->taps[job->tap];
    hsize_t dims[PF_MAX_RANK + 1] = {(hsize_t)(job->first_row + job->rows)};
    hsize_t offset[PF_MAX_RANK + 1] = {(hsize_t)job->first_row};
    for (int i = 0; i < tap->info.shape.rank; i++) dims[i + 1] = (hsize_t)tap->info.shape.dims[i];
    int failed = 0;
    pf_h5_lock();
    if (H5Dset_extent(tap->dataset, dims) < 0 ||
        H5Dwrite_chunk(tap->dataset, H5P_DEFAULT, 0, offset, job->stored_bytes, job->stored) < 0)
        failed = fail_writing(writer, err);
    pf_h5_unlock();
    return failed;
}

/* Takes the oldest submitted chunk to the file. 1 where there is none (yet). */
static int write_oldest(PfCacheWriter *writer, int wait, PfError *err)
{
    PfPackJob *job = pf_cache_packer_finished(writer->packer, wait);
    if (!job) return 1;
    double start = pf_seconds();
    if (job->failed) *err = job->error;
    int failed = job->failed || write_chunk(writer, job, err);
    const Tap *tap = &writer->taps[job->tap];
    writer->stats.raw_bytes += job->rows * (int64_t)tap->row_bytes;
    writer->stats.stored_bytes += (int64_t)job->stored_bytes;
    writer->stats.write_seconds += pf_seconds() - start;
    pf_cache_packer_recycle(writer->packer, job);
    return failed ? -1 : 0;
}

/* The chunk that the tap's next row belongs to. */
static int open_chunk(PfCacheWriter *writer, int t, int64_t row, PfError *err)
{
    PfPackJob *job;
    while (!(job = pf_cache_packer_take(writer->packer)))
        if (write_oldest(writer, 1, err) < 0) return -1;
    job->tap = t;
    job->first_row = row;
    job->rows = 0;
    job->format = &writer->taps[t].format;
    writer->taps[t].open = job;
    return 0;
}

static void submit_chunk(PfCacheWriter *writer, Tap *tap)
{
    size_t used = (size_t)tap->open->rows * tap->row_bytes;
    memset(tap->open->raw + used, 0, tap->format.raw_bytes - used);
    pf_cache_packer_submit(writer->packer, tap->open);
    tap->open = NULL;
}

static int append_features(PfCacheWriter *writer, int t, int64_t n, const unsigned char *features,
                           PfError *err)
{
    Tap *tap = &writer->taps[t];
    int64_t row = writer->stats.rows;
    while (n > 0) {
        if (!tap->open && open_chunk(writer, t, row, err)) return -1;
        int64_t room = tap->chunk_rows - tap->open->rows, count = n < room ? n : room;
        memcpy(tap->open->raw + (size_t)tap->open->rows * tap->row_bytes, features,
               (size_t)count * tap->row_bytes);
        tap->open->rows += count;
        features += (size_t)count * tap->row_bytes;
        row += count;
        n -= count;
        if (tap->open->rows == tap->chunk_rows) submit_chunk(writer, tap);
    }
    return 0;
}

/* Keeps the first failure, which every later call then returns. */
static int note_failure(PfCacheWriter *writer, PfError *err)
{
    writer->failed = 1;
    if (err) *err = writer->error;
    return -1;
}

static int append_rows(PfCacheWriter *writer, int n, const PfCacheSample *samples,
                       const void *const *features, PfError *err)
{
    for (int i = 0; i < n; i++)
        if (pf_cache_samples_append(writer->samples, &samples[i], err)) return -1;
    for (int t = 0; t < writer->tap_count; t++)
        if (append_features(writer, t, n, features[t], err)) return -1;
    writer->stats.rows += n;
    int status;
    while (!(status = write_oldest(writer, 0, err))) continue;
    return status < 0 ? -1 : 0;
}

int pf_cache_writer_append(PfCacheWriter *writer, int n, const PfCacheSample *samples,
                           const void *const *features, PfError *err)
{
    if (writer->failed || append_rows(writer, n, samples, features, &writer->error))
        return note_failure(writer, err);
    return 0;
}

int pf_cache_writer_reject(PfCacheWriter *writer, const char *path, const char *reason,
                           PfError *err)
{
    if (writer->failed || pf_cache_samples_reject(writer->samples, path, reason, &writer->error))
        return note_failure(writer, err);
    return 0;
}

/* ---- the end ---- */

static int write_open_chunks(PfCacheWriter *writer, PfError *err)
{
    for (int t = 0; t < writer->tap_count; t++)
        if (writer->taps[t].open) submit_chunk(writer, &writer->taps[t]);
    int status;
    while (!(status = write_oldest(writer, 1, err))) continue;
    return status < 0 ? -1 : 0;
}

/* Whether it succeeds or not, a file may be closed only once. */
static herr_t close_once(hid_t *file)
{
    hid_t closing = *file;
    *file = H5I_INVALID_HID;
    return H5Fclose(closing);
}

static int close_file(PfCacheWriter *writer, PfError *err)
{
    double start = pf_seconds();
    int failed = 0;
    pf_h5_lock();
    if (pf_cache_samples_write(writer->samples, writer->file) ||
        H5Fflush(writer->file, H5F_SCOPE_GLOBAL) < 0 || close_once(&writer->file) < 0)
        failed = fail_writing(writer, err);
    pf_h5_unlock();
    writer->stats.write_seconds += pf_seconds() - start;
    return failed;
}

static int finish(PfCacheWriter *writer, PfError *err)
{
    struct stat status;
    if (write_open_chunks(writer, err) || close_file(writer, err)) return -1;
    if (!stat(writer->temporary, &status)) writer->stats.file_bytes = status.st_size;
    double start = pf_seconds();
    if (pf_atomic_file_commit(writer->path, &writer->temporary, err)) return -1;
    writer->stats.write_seconds += pf_seconds() - start;
    writer->stats.rejected = pf_cache_samples_rejected_count(writer->samples);
    writer->stats.compress_seconds = pf_cache_packer_seconds(writer->packer);
    return 0;
}

int pf_cache_writer_finish(PfCacheWriter **pointer, PfCacheWriterStats *stats, PfError *err)
{
    PfCacheWriter *writer = *pointer;
    int failed = writer->failed || finish(writer, &writer->error);
    if (failed) note_failure(writer, err);
    if (!failed && stats) *stats = writer->stats;
    pf_cache_writer_abandon(pointer);
    return failed ? -1 : 0;
}

void pf_cache_writer_abandon(PfCacheWriter **pointer)
{
    PfCacheWriter *writer = *pointer;
    if (!writer) return;
    pf_cache_packer_free(&writer->packer);
    if (writer->file >= 0) {
        /* Room on a full disk, so that HDF5 can close what it could not write. */
        if (truncate(writer->temporary, 0)) writer->failed = 1;
        pf_h5_lock();
        close_once(&writer->file);
        pf_h5_unlock();
    }
    pf_atomic_file_abandon(&writer->temporary);
    pf_cache_samples_free(&writer->samples);
    free(writer->path);
    free(writer);
    *pointer = NULL;
}
