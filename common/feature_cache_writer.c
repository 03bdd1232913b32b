#include <assert.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atomic_file.h"
#include "clock.h"
#include "feature_cache_chunker.h"
#include "feature_cache_extents.h"
#include "feature_cache_h5.h"
#include "feature_cache_samples.h"
#include "feature_cache_seal.h"
#include "feature_cache_virtual.h"
#include "feature_cache_writer.h"
#include "h5_zstd_filter.h"
#include "memory.h"

/* HDF5 puts its metadata into blocks of this size, so that few lie between the chunks. */
#define METADATA_BLOCK_BYTES (32 * 1024)

struct PfCacheWriter {
    char *path;
    PfAtomicFile *output;
    const char *temporary; /* the output's, lent */
    hid_t file;
    PfCacheExtents extents;
    PfChunker *chunker;
    PfCacheSamples *samples;
    PfCacheWriterStats stats;
    int failed; /* then error says why, and nothing else is done */
    PfError error;
    int is_virtual; /* its features are elsewhere */
    int tap_count;
    PfTapLayout *layouts; /* (tap_count) */
    hid_t *datasets;      /* (tap_count) */
};

/* ---- the file ---- */

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
        H5Pset_filter(properties, PF_H5_FILTER_ZSTD, H5Z_FLAG_MANDATORY, 1, &level);
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
    hid_t dataset = H5Dcreate2(group, tap->name, pf_h5_type(tap->dtype), space, H5P_DEFAULT,
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
    if (pf_h5_write_text_attribute(file, "format", PF_CACHE_FORMAT) ||
        pf_h5_write_int_attribute(file, "format_version", PF_CACHE_FORMAT_VERSION) ||
        pf_h5_write_int_attribute(file, "sealed", 1) ||
        pf_h5_write_text_attribute(file, "identity", config->identity) ||
        pf_h5_write_text_attribute(file, "provenance", config->provenance))
        return -1;
    return 0;
}

static int create_datasets(PfCacheWriter *writer, const PfCacheWriterConfig *config)
{
    hid_t group = pf_h5_create_group(writer->file, "features");
    int failed = group < 0;
    for (int t = 0; t < writer->tap_count && !failed; t++) {
        writer->datasets[t] = writer->is_virtual
                                  ? pf_cache_virtual_create(group, &config->taps[t],
                                                            config->sources, config->source_count)
                                  : create_tap_dataset(group, &writer->layouts[t]);
        failed = writer->datasets[t] < 0;
    }
    if (group >= 0) H5Gclose(group);
    if (failed || !writer->is_virtual) return failed ? -1 : 0;
    return pf_cache_virtual_write_sources(writer->file, config->sources, config->source_count);
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
    if (writer->file < 0 || write_root_attributes(writer->file, config) ||
        create_datasets(writer, config) || pf_h5_has_failed())
        failed = fail_writing(writer, err);
    pf_h5_unlock();
    return failed;
}

/* ---- chunks ---- */

/* The last chunk may be partly filled: the dataset ends where its rows do. */
static int write_rows(PfCacheWriter *writer, const PfEncodedChunk *chunk, PfError *err)
{
    const PfShape *shape = &writer->layouts[chunk->tap].tap.shape;
    hid_t dataset = writer->datasets[chunk->tap];
    hsize_t dims[PF_MAX_RANK + 1] = {(hsize_t)(chunk->first_row + chunk->rows)};
    hsize_t offset[PF_MAX_RANK + 1] = {(hsize_t)chunk->first_row};
    for (int i = 0; i < shape->rank; i++) dims[i + 1] = (hsize_t)shape->dims[i];
    int failed = 0;
    pf_h5_lock();
    if (H5Dset_extent(dataset, dims) < 0 ||
        H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, offset, chunk->stored_bytes, chunk->stored) < 0)
        failed = fail_writing(writer, err);
    pf_h5_unlock();
    if (failed) return -1;
    return pf_cache_extents_note(&writer->extents, dataset, chunk->first_row, chunk->stored_bytes,
                                 err);
}

static int write_chunk(void *context, const PfEncodedChunk *chunk, PfError *err)
{
    PfCacheWriter *writer = context;
    double start = pf_seconds();
    int failed = write_rows(writer, chunk, err);
    size_t row_bytes = writer->layouts[chunk->tap].row_bytes;
    writer->stats.raw_bytes += chunk->rows * (int64_t)row_bytes;
    writer->stats.stored_bytes += (int64_t)chunk->stored_bytes;
    writer->stats.write_seconds += pf_seconds() - start;
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

static int check_names(const PfCacheWriterConfig *config, PfError *err)
{
    for (int t = 0; t < config->tap_count; t++)
        if (check_name("tap", config->taps[t].name, err)) return -1;
    for (int t = 0; t < config->target_count; t++)
        if (check_name("target", config->targets[t].name, err)) return -1;
    return 0;
}

static int plan_taps(PfCacheWriter *writer, const PfCacheWriterConfig *config, PfError *err)
{
    size_t count = (size_t)config->tap_count;
    writer->tap_count = config->tap_count;
    writer->layouts = pf_calloc(count, sizeof *writer->layouts, err);
    writer->datasets = pf_calloc(count, sizeof *writer->datasets, err);
    if (!writer->layouts || !writer->datasets) return -1;
    for (size_t t = 0; t < count; t++)
        if (pf_tap_layout_plan(&config->taps[t], config->compression, config->level,
                               &writer->layouts[t], err))
            return -1;
    return 0;
}

static int begin_output(PfCacheWriter *writer, PfError *err)
{
    if (pf_atomic_file_begin(writer->path, &writer->output, err)) return -1;
    writer->temporary = pf_atomic_file_temporary(writer->output);
    if (writer->temporary) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "cannot write '%s': a cache is a regular file, not a pipe or a device",
                   writer->path);
}

int pf_cache_writer_open(const char *path, const PfCacheWriterConfig *config, PfCacheWriter **out,
                         PfError *err)
{
    assert(config->tap_count > 0 && config->threads > 0);
    if (check_names(config, err)) return -1;
    PfCacheWriter *writer = pf_calloc(1, sizeof *writer, err);
    if (!writer) return -1;
    writer->file = H5I_INVALID_HID;
    writer->is_virtual = config->source_count > 0;
    if (!(writer->path = pf_strdup(path, err)) || plan_taps(writer, config, err) ||
        pf_cache_samples_new(config->targets, config->target_count, &writer->samples, err) ||
        pf_chunker_new(writer->layouts, writer->tap_count, config->threads, write_chunk, writer,
                       &writer->chunker, err) ||
        begin_output(writer, err) || pf_h5_check_memory(err) ||
        create_contents(writer, config, err)) {
        pf_cache_writer_abandon(&writer);
        return -1;
    }
    *out = writer;
    return 0;
}

/* ---- rows ---- */

/* Keeps the first failure, which every later call then returns. */
static int note_failure(PfCacheWriter *writer, PfError *err)
{
    writer->failed = 1;
    if (err) *err = writer->error;
    return -1;
}

int pf_cache_writer_append_tap(PfCacheWriter *writer, int tap, int64_t n, const void *features,
                               PfError *err)
{
    if (writer->failed || pf_chunker_append(writer->chunker, tap, n, features, &writer->error))
        return note_failure(writer, err);
    return 0;
}

int pf_cache_writer_append_chunk(PfCacheWriter *writer, int tap, int64_t rows, const void *stored,
                                 size_t stored_bytes, PfError *err)
{
    if (writer->failed ||
        pf_chunker_append_encoded(writer->chunker, tap, rows, stored, stored_bytes, &writer->error))
        return note_failure(writer, err);
    return 0;
}

void pf_cache_writer_finish_tap(PfCacheWriter *writer, int tap)
{
    pf_chunker_finish_tap(writer->chunker, tap);
}

static int append_samples(PfCacheWriter *writer, int64_t n, const PfCacheSample *samples,
                          PfError *err)
{
    for (int64_t i = 0; i < n; i++)
        if (pf_cache_samples_append(writer->samples, &samples[i], err)) return -1;
    writer->stats.rows += n;
    return 0;
}

int pf_cache_writer_append_samples(PfCacheWriter *writer, int64_t n, const PfCacheSample *samples,
                                   PfError *err)
{
    if (writer->failed || append_samples(writer, n, samples, &writer->error))
        return note_failure(writer, err);
    return 0;
}

int pf_cache_writer_append(PfCacheWriter *writer, int n, const PfCacheSample *samples,
                           const void *const *features, PfError *err)
{
    if (pf_cache_writer_append_samples(writer, n, samples, err)) return -1;
    for (int t = 0; t < writer->tap_count; t++)
        if (pf_cache_writer_append_tap(writer, t, n, features[t], err)) return -1;
    return 0;
}

const PfTapLayout *pf_cache_writer_layout(const PfCacheWriter *writer, int tap)
{
    return &writer->layouts[tap];
}

int pf_cache_writer_reject(PfCacheWriter *writer, const PfCacheReject *reject, PfError *err)
{
    if (writer->failed || pf_cache_samples_reject(writer->samples, reject, &writer->error))
        return note_failure(writer, err);
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

static int close_file(PfCacheWriter *writer, PfSealExtent **extents, int64_t *count, PfError *err)
{
    int failed = 0;
    pf_h5_lock();
    if (pf_cache_samples_write(writer->samples, writer->file) ||
        pf_cache_extents_find(&writer->extents, extents, count) ||
        H5Fflush(writer->file, H5F_SCOPE_GLOBAL) < 0 || close_once(&writer->file) < 0 ||
        pf_h5_has_failed())
        failed = fail_writing(writer, err);
    pf_h5_unlock();
    return failed;
}

/* Closes, seals and renames the file. */
static int commit(PfCacheWriter *writer, PfError *err)
{
    PfSealExtent *extents = NULL;
    int64_t count = 0;
    struct stat status;
    double start = pf_seconds();
    int failed = pf_h5_check_memory(err) || close_file(writer, &extents, &count, err) ||
                 pf_cache_seal_write(writer->temporary, writer->path, extents, count, err);
    free(extents);
    if (failed) return -1;
    if (!stat(writer->temporary, &status)) writer->stats.file_bytes = status.st_size;
    if (pf_atomic_file_commit(&writer->output, err)) return -1;
    writer->stats.write_seconds += pf_seconds() - start;
    return 0;
}

static int finish(PfCacheWriter *writer, PfError *err)
{
    for (int t = 0; t < writer->tap_count && !writer->is_virtual; t++)
        assert(pf_chunker_rows(writer->chunker, t) == writer->stats.rows);
    if (pf_chunker_finish(writer->chunker, err) || commit(writer, err)) return -1;
    writer->stats.rejected = pf_cache_samples_rejected_count(writer->samples);
    writer->stats.compress_seconds = pf_chunker_seconds(writer->chunker);
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
    pf_chunker_free(&writer->chunker);
    if (writer->file >= 0) {
        /* Room on a full disk, so that HDF5 can close what it could not write. */
        if (truncate(writer->temporary, 0)) writer->failed = 1;
        pf_h5_lock();
        close_once(&writer->file);
        pf_h5_unlock();
    }
    pf_atomic_file_abandon(&writer->output);
    pf_cache_samples_free(&writer->samples);
    pf_cache_extents_free(&writer->extents);
    free(writer->datasets);
    free(writer->layouts);
    free(writer->path);
    free(writer);
    *pointer = NULL;
}
