#include "common/cache/hdf5/internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/file/spool.h"

/* Rows of strings that are handed to HDF5 at once. */
#define TEXT_BLOCK_ROWS 4096
#define COLUMN_CHUNK_BYTES (256 * 1024)
#define CHUNKS_A_BLOCK 4

/* Rows of fixed size, one after the other. */
typedef struct Column {
    PfSpool spool;
    size_t row_bytes, rows;
} Column;

/* Strings one after the other, each behind its length. */
typedef struct TextColumn {
    PfSpool spool;
    size_t rows;
} TextColumn;

typedef struct Target {
    char name[PF_CACHE_NAME_SIZE];
    PfTargetKind kind;
    int width;
    Column column;
    TextColumn classes;
} Target;

/* How to recognise an image file. */
typedef struct FileColumns {
    TextColumn paths;
    Column digests, sizes, mtimes, ctimes;
} FileColumns;

struct PfHdf5Samples {
    char *folder; /* of the file, for what does not stay in memory */
    FileColumns rows, rejected;
    Column splits, widths, heights, groups, statistics, perceptual_hashes;
    bool has_groups, has_statistics;
    TextColumn reasons;
    int target_count;
    Target targets[];
};

/* ---- columns ---- */

static int append_row(Column *column, const void *row, PfError *err)
{
    column->rows++;
    return pf_spool_append(&column->spool, row, column->row_bytes, err);
}

static int append_text(TextColumn *column, const char *text, PfError *err)
{
    const size_t length = strlen(text);
    column->rows++;
    return pf_spool_append(&column->spool, &length, sizeof length, err) ||
                   pf_spool_append(&column->spool, text, length, err)
               ? -1
               : 0;
}

static Column new_column(const char *folder, size_t row_bytes)
{
    return (Column){.spool = pf_spool_begin(folder), .row_bytes = row_bytes};
}

/* ---- files ---- */

static void init_files(FileColumns *files, const char *folder)
{
    files->paths.spool = pf_spool_begin(folder);
    files->digests = new_column(folder, PF_DIGEST_SIZE);
    files->sizes = new_column(folder, sizeof(uint64_t));
    files->mtimes = new_column(folder, sizeof(int64_t));
    files->ctimes = new_column(folder, sizeof(int64_t));
}

static void free_files(FileColumns *files)
{
    pf_spool_free(&files->paths.spool);
    pf_spool_free(&files->digests.spool);
    pf_spool_free(&files->sizes.spool);
    pf_spool_free(&files->mtimes.spool);
    pf_spool_free(&files->ctimes.spool);
}

static int append_file(FileColumns *files, const char *path, const uint8_t *digest,
                       const PfFileStamp *stamp, PfError *err)
{
    if (append_text(&files->paths, path, err) || append_row(&files->digests, digest, err) ||
        append_row(&files->sizes, &stamp->size_bytes, err) ||
        append_row(&files->mtimes, &stamp->mtime_ns, err) ||
        append_row(&files->ctimes, &stamp->ctime_ns, err))
        return -1;
    return 0;
}

/* ---- rows ---- */

static int copy_target(Target *target, const PfCacheTarget *from, const char *folder, PfError *err)
{
    memcpy(target->name, from->name, sizeof target->name);
    target->kind = from->kind;
    target->width = from->kind == PF_TARGET_CLASS ? 1 : from->width;
    target->classes.spool = pf_spool_begin(folder);
    target->column =
        new_column(folder, from->kind == PF_TARGET_CLASS ? sizeof(int32_t)
                                                         : (size_t)from->width * sizeof(float));
    for (int c = 0; c < from->class_count; c++)
        if (append_text(&target->classes, from->classes[c], err)) return -1;
    return 0;
}

/* Of a file; to be freed. */
static char *folder_of(const char *path, PfError *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return pf_strdup(".", err);
    return pf_asprintf(err, "%.*s/", (int)(slash - path), path);
}

int pf_hdf5_samples_new(const char *path, const PfCacheTarget *targets, int target_count,
                        PfHdf5Samples **out, PfError *err)
{
    size_t size = sizeof(PfHdf5Samples) + (size_t)target_count * sizeof(Target);
    PfHdf5Samples *samples = pf_calloc(1, size, err);
    if (!samples) return -1;
    samples->folder = folder_of(path, err);
    if (!samples->folder) {
        free(samples);
        return -1;
    }
    init_files(&samples->rows, samples->folder);
    init_files(&samples->rejected, samples->folder);
    samples->reasons.spool = pf_spool_begin(samples->folder);
    samples->splits = new_column(samples->folder, sizeof(uint8_t));
    samples->widths = samples->heights = new_column(samples->folder, sizeof(int32_t));
    samples->groups = new_column(samples->folder, sizeof(uint64_t));
    samples->statistics = new_column(samples->folder, PF_CACHE_STATISTICS * sizeof(float));
    samples->perceptual_hashes = new_column(samples->folder, sizeof(uint64_t));
    samples->target_count = target_count;
    for (int t = 0; t < target_count; t++) {
        if (!copy_target(&samples->targets[t], &targets[t], samples->folder, err)) continue;
        pf_hdf5_samples_free(&samples);
        return -1;
    }
    *out = samples;
    return 0;
}

void pf_hdf5_samples_free(PfHdf5Samples **pointer)
{
    PfHdf5Samples *samples = *pointer;
    if (!samples) return;
    free_files(&samples->rows);
    free_files(&samples->rejected);
    pf_spool_free(&samples->reasons.spool);
    pf_spool_free(&samples->splits.spool);
    pf_spool_free(&samples->widths.spool);
    pf_spool_free(&samples->heights.spool);
    pf_spool_free(&samples->groups.spool);
    pf_spool_free(&samples->statistics.spool);
    pf_spool_free(&samples->perceptual_hashes.spool);
    for (int t = 0; t < samples->target_count; t++) {
        pf_spool_free(&samples->targets[t].column.spool);
        pf_spool_free(&samples->targets[t].classes.spool);
    }
    free(samples->folder);
    free(samples);
    *pointer = NULL;
}

static int append_targets(PfHdf5Samples *samples, const PfCacheSample *sample, PfError *err)
{
    const int32_t *index = sample->class_indices;
    const float *values = sample->values;
    for (int t = 0; t < samples->target_count; t++) {
        Target *target = &samples->targets[t];
        if (target->kind == PF_TARGET_CLASS) {
            assert(*index >= -1 && *index < (int32_t)target->classes.rows);
            if (append_row(&target->column, index++, err)) return -1;
        } else {
            if (append_row(&target->column, values, err)) return -1;
            values += target->width;
        }
    }
    return 0;
}

static int append_statistics(PfHdf5Samples *samples, const PfCacheSample *sample, PfError *err)
{
    static const float unknown[PF_CACHE_STATISTICS] = {NAN, NAN, NAN, NAN, NAN};
    samples->has_statistics |= sample->has_statistics != 0;
    return append_row(&samples->statistics, sample->has_statistics ? sample->statistics : unknown,
                      err);
}

int pf_hdf5_samples_append(PfHdf5Samples *samples, const PfCacheSample *sample, PfError *err)
{
    uint8_t split = (uint8_t)sample->split;
    if (append_file(&samples->rows, sample->path, sample->digest, &sample->stamp, err) ||
        append_row(&samples->splits, &split, err) ||
        append_row(&samples->widths, &sample->width, err) ||
        append_row(&samples->heights, &sample->height, err) ||
        append_row(&samples->groups, &sample->group, err) ||
        append_statistics(samples, sample, err) ||
        append_row(&samples->perceptual_hashes, &sample->perceptual_hash, err))
        return -1;
    if (sample->group) samples->has_groups = true;
    return append_targets(samples, sample, err);
}

int pf_hdf5_samples_reject(PfHdf5Samples *samples, const PfCacheReject *reject, PfError *err)
{
    if (append_file(&samples->rejected, reject->path, reject->digest, &reject->stamp, err))
        return -1;
    return append_text(&samples->reasons, reject->reason, err);
}

/* ---- writing ---- */

/* (rows) or (rows, width). In chunks and checksummed where chunk_rows is not 0;
 * HDF5 cannot chunk what is empty. */
static hid_t create_dataset(hid_t group, const char *name, hid_t type, size_t rows, size_t width,
                            size_t chunk_rows)
{
    hsize_t dims[2] = {rows, width}, chunk[2] = {pf_min_size(rows, chunk_rows), width};
    int rank = width ? 2 : 1;
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(rank, dims, NULL);
    H5Pset_obj_track_times(properties, 0);
    if (chunk[0]) {
        H5Pset_chunk(properties, rank, chunk);
        H5Pset_fletcher32(properties);
    }
    hid_t dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Sclose(space);
    H5Pclose(properties);
    return dataset;
}

/* Rows [first, first + count) of a dataset, width numbers each, or one where width is 0. */
static int write_rows_at(hid_t dataset, hid_t type, size_t first, size_t count, size_t width,
                         const void *rows)
{
    hsize_t start[2] = {first, 0}, size[2] = {count, width};
    hid_t in_file = H5Dget_space(dataset);
    hid_t in_memory = H5Screate_simple(width ? 2 : 1, size, NULL);
    H5Sselect_hyperslab(in_file, H5S_SELECT_SET, start, NULL, size, NULL);
    herr_t status = H5Dwrite(dataset, type, in_memory, in_file, H5P_DEFAULT, rows);
    H5Sclose(in_memory);
    H5Sclose(in_file);
    return status < 0 ? -1 : 0;
}

static int write_blocks(hid_t dataset, hid_t type, size_t width, Column *column, size_t block_rows,
                        PfError *err)
{
    void *block = pf_alloc_aligned(pf_min_size(block_rows, column->rows), column->row_bytes, err);
    int failed = !block || pf_spool_rewind(&column->spool, err);
    for (size_t first = 0, count; first < column->rows && !failed; first += count) {
        count = pf_min_size(column->rows - first, block_rows);
        failed = pf_spool_read(&column->spool, block, count * column->row_bytes, err) ||
                 write_rows_at(dataset, type, first, count, width, block);
    }
    free(block);
    return failed ? -1 : 0;
}

static int write_column(hid_t group, const char *name, hid_t type, size_t width, Column *column,
                        PfError *err)
{
    size_t chunk_rows = COLUMN_CHUNK_BYTES / column->row_bytes + 1;
    hid_t dataset = create_dataset(group, name, type, column->rows, width, chunk_rows);
    if (dataset < 0) return -1;
    int failed = write_blocks(dataset, type, width, column, chunk_rows * CHUNKS_A_BLOCK, err);
    if (H5Dclose(dataset) < 0) failed = 1;
    return failed ? -1 : 0;
}

/* The texts of a block, one after the other. */
typedef struct TextBlock {
    char *bytes;
    size_t capacity, offsets[TEXT_BLOCK_ROWS];
} TextBlock;

static int read_texts(TextColumn *column, size_t count, TextBlock *block, PfError *err)
{
    size_t used = 0;
    for (size_t i = 0, length; i < count; i++) {
        if (pf_spool_read(&column->spool, &length, sizeof length, err) ||
            pf_grow(&block->bytes, &block->capacity, used + length + 1, 1, err) ||
            pf_spool_read(&column->spool, block->bytes + used, length, err))
            return -1;
        block->offsets[i] = used;
        used += length;
        block->bytes[used++] = '\0';
    }
    return 0;
}

/* Strings through an array of pointers. */
static int write_texts(hid_t dataset, TextColumn *column, PfError *err)
{
    TextBlock block = {0};
    const char *pointers[TEXT_BLOCK_ROWS];
    int failed = pf_spool_rewind(&column->spool, err);
    for (size_t first = 0, count; first < column->rows && !failed; first += count) {
        count = pf_min_size(column->rows - first, TEXT_BLOCK_ROWS);
        failed = read_texts(column, count, &block, err);
        for (size_t i = 0; i < count && !failed; i++) pointers[i] = block.bytes + block.offsets[i];
        failed = failed || write_rows_at(dataset, pf_hdf5_text_type(), first, count, 0, pointers);
    }
    free(block.bytes);
    return failed ? -1 : 0;
}

static int write_text_column(hid_t group, const char *name, TextColumn *column, PfError *err)
{
    /* HDF5 has no filters for strings of variable length, nor needs chunks for them. */
    hid_t dataset = create_dataset(group, name, pf_hdf5_text_type(), column->rows, 0, 0);
    if (dataset < 0) return -1;
    int failed = write_texts(dataset, column, err);
    if (H5Dclose(dataset) < 0) failed = 1;
    return failed ? -1 : 0;
}

static int write_target(hid_t group, Target *target, PfError *err)
{
    bool is_class = target->kind == PF_TARGET_CLASS;
    if (write_column(group, target->name, is_class ? H5T_STD_I32LE : H5T_IEEE_F32LE,
                     is_class ? 0 : (size_t)target->width, &target->column, err))
        return -1;
    hid_t dataset = H5Dopen2(group, target->name, H5P_DEFAULT);
    if (dataset < 0) return -1;
    int failed = pf_hdf5_write_text_attribute(dataset, "kind", pf_target_kind_name(target->kind));
    H5Dclose(dataset);
    return failed;
}

static int write_targets(hid_t group, PfHdf5Samples *samples, PfError *err)
{
    for (int t = 0; t < samples->target_count; t++)
        if (write_target(group, &samples->targets[t], err)) return -1;
    return 0;
}

static int write_classes(hid_t group, PfHdf5Samples *samples, PfError *err)
{
    for (int t = 0; t < samples->target_count; t++) {
        Target *target = &samples->targets[t];
        if ((target->kind == PF_TARGET_CLASS || target->classes.rows) &&
            write_text_column(group, target->name, &target->classes, err))
            return -1;
    }
    return 0;
}

static int write_files(hid_t group, FileColumns *files, PfError *err)
{
    if (write_text_column(group, "path", &files->paths, err) ||
        write_column(group, "digest", H5T_STD_U8LE, PF_DIGEST_SIZE, &files->digests, err) ||
        write_column(group, "size", H5T_STD_U64LE, 0, &files->sizes, err) ||
        write_column(group, "mtime_ns", H5T_STD_I64LE, 0, &files->mtimes, err) ||
        write_column(group, "ctime_ns", H5T_STD_I64LE, 0, &files->ctimes, err))
        return -1;
    return 0;
}

static int write_rows(hid_t group, PfHdf5Samples *samples, PfError *err)
{
    if (write_files(group, &samples->rows, err) ||
        write_column(group, "split", H5T_STD_U8LE, 0, &samples->splits, err) ||
        write_column(group, "width", H5T_STD_I32LE, 0, &samples->widths, err) ||
        write_column(group, "height", H5T_STD_I32LE, 0, &samples->heights, err))
        return -1;
    if (samples->has_groups &&
        write_column(group, "group", H5T_STD_U64LE, 0, &samples->groups, err))
        return -1;
    if (!samples->has_statistics) return 0;
    return write_column(group, "statistics", H5T_IEEE_F32LE, PF_CACHE_STATISTICS,
                        &samples->statistics, err) ||
                   write_column(group, "perceptual_hash", H5T_STD_U64LE, 0,
                                &samples->perceptual_hashes, err)
               ? -1
               : 0;
}

static int write_rejected(hid_t group, PfHdf5Samples *samples, PfError *err)
{
    if (write_files(group, &samples->rejected, err)) return -1;
    return write_text_column(group, "reason", &samples->reasons, err);
}

int pf_hdf5_samples_write(PfHdf5Samples *samples, hid_t file, PfError *err)
{
    static const struct {
        const char *name;
        int (*write)(hid_t group, PfHdf5Samples *samples, PfError *err);
    } groups[] = {
        {"targets", write_targets},
        {"classes", write_classes},
        {"samples", write_rows},
        {"rejected", write_rejected},
    };
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        hid_t group = pf_hdf5_create_group(file, groups[i].name);
        int failed = group < 0 || groups[i].write(group, samples, err);
        if (group >= 0) H5Gclose(group);
        if (failed) return -1;
    }
    return 0;
}
