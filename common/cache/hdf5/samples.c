#include "common/cache/hdf5/internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"

/* Rows of strings that are handed to HDF5 at once. */
#define TEXT_BLOCK_ROWS 4096
#define COLUMN_CHUNK_BYTES (256 * 1024)

/* Rows of fixed size, one after the other. */
typedef struct Column {
    unsigned char *bytes;
    size_t row_bytes, rows, capacity;
} Column;

/* Strings one after the other, with where each begins. */
typedef struct TextColumn {
    char *bytes;
    size_t used, capacity;
    size_t *offsets;
    size_t rows, offset_capacity;
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
    FileColumns rows, rejected;
    Column splits, widths, heights, groups, statistics;
    bool has_groups, has_statistics;
    TextColumn reasons;
    int target_count;
    Target targets[];
};

/* ---- columns ---- */

static int append_row(Column *column, const void *row, PfError *err)
{
    if (pf_grow(&column->bytes, &column->capacity, column->rows + 1, column->row_bytes, err))
        return -1;
    memcpy(column->bytes + column->rows++ * column->row_bytes, row, column->row_bytes);
    return 0;
}

static int append_text(TextColumn *column, const char *text, PfError *err)
{
    size_t size = strlen(text) + 1;
    if (pf_grow(&column->bytes, &column->capacity, column->used + size, 1, err) ||
        pf_grow(&column->offsets, &column->offset_capacity, column->rows + 1,
                sizeof *column->offsets, err))
        return -1;
    memcpy(column->bytes + column->used, text, size);
    column->offsets[column->rows++] = column->used;
    column->used += size;
    return 0;
}

static void free_text(TextColumn *column)
{
    free(column->bytes);
    free(column->offsets);
}

/* ---- files ---- */

static void init_files(FileColumns *files)
{
    files->digests.row_bytes = PF_DIGEST_SIZE;
    files->sizes.row_bytes = sizeof(uint64_t);
    files->mtimes.row_bytes = files->ctimes.row_bytes = sizeof(int64_t);
}

static void free_files(FileColumns *files)
{
    free_text(&files->paths);
    free(files->digests.bytes);
    free(files->sizes.bytes);
    free(files->mtimes.bytes);
    free(files->ctimes.bytes);
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

static int copy_target(Target *target, const PfCacheTarget *from, PfError *err)
{
    memcpy(target->name, from->name, sizeof target->name);
    target->kind = from->kind;
    target->width = from->kind == PF_TARGET_CLASS ? 1 : from->width;
    target->column.row_bytes =
        from->kind == PF_TARGET_CLASS ? sizeof(int32_t) : (size_t)from->width * sizeof(float);
    for (int c = 0; c < from->class_count; c++)
        if (append_text(&target->classes, from->classes[c], err)) return -1;
    return 0;
}

int pf_hdf5_samples_new(const PfCacheTarget *targets, int target_count, PfHdf5Samples **out,
                        PfError *err)
{
    size_t size = sizeof(PfHdf5Samples) + (size_t)target_count * sizeof(Target);
    PfHdf5Samples *samples = pf_calloc(1, size, err);
    if (!samples) return -1;
    init_files(&samples->rows);
    init_files(&samples->rejected);
    samples->splits.row_bytes = sizeof(uint8_t);
    samples->widths.row_bytes = samples->heights.row_bytes = sizeof(int32_t);
    samples->groups.row_bytes = sizeof(uint64_t);
    samples->statistics.row_bytes = PF_CACHE_STATISTICS * sizeof(float);
    samples->target_count = target_count;
    for (int t = 0; t < target_count; t++) {
        if (!copy_target(&samples->targets[t], &targets[t], err)) continue;
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
    free_text(&samples->reasons);
    free(samples->splits.bytes);
    free(samples->widths.bytes);
    free(samples->heights.bytes);
    free(samples->groups.bytes);
    free(samples->statistics.bytes);
    for (int t = 0; t < samples->target_count; t++) {
        free(samples->targets[t].column.bytes);
        free_text(&samples->targets[t].classes);
    }
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
        append_statistics(samples, sample, err))
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

static int write_column(hid_t group, const char *name, hid_t type, size_t width,
                        const Column *column)
{
    size_t chunk_rows = COLUMN_CHUNK_BYTES / column->row_bytes + 1;
    hid_t dataset = create_dataset(group, name, type, column->rows, width, chunk_rows);
    if (dataset < 0) return -1;
    int failed =
        column->rows && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, column->bytes) < 0;
    if (H5Dclose(dataset) < 0) failed = 1;
    return failed ? -1 : 0;
}

/* Rows [first, first + count) of strings, through an array of pointers. */
static int write_text_rows(hid_t dataset, const TextColumn *column, size_t first, size_t count)
{
    const char *pointers[TEXT_BLOCK_ROWS];
    for (size_t i = 0; i < count; i++) pointers[i] = column->bytes + column->offsets[first + i];
    hsize_t start = first, size = count;
    hid_t in_file = H5Dget_space(dataset), in_memory = H5Screate_simple(1, &size, NULL);
    H5Sselect_hyperslab(in_file, H5S_SELECT_SET, &start, NULL, &size, NULL);
    herr_t status =
        H5Dwrite(dataset, pf_hdf5_text_type(), in_memory, in_file, H5P_DEFAULT, pointers);
    H5Sclose(in_memory);
    H5Sclose(in_file);
    return status < 0 ? -1 : 0;
}

static int write_text_column(hid_t group, const char *name, const TextColumn *column)
{
    /* HDF5 has no filters for strings of variable length, nor needs chunks for them. */
    hid_t dataset = create_dataset(group, name, pf_hdf5_text_type(), column->rows, 0, 0);
    if (dataset < 0) return -1;
    int failed = 0;
    for (size_t first = 0; first < column->rows && !failed; first += TEXT_BLOCK_ROWS) {
        size_t count = pf_min_size(column->rows - first, TEXT_BLOCK_ROWS);
        failed = write_text_rows(dataset, column, first, count);
    }
    if (H5Dclose(dataset) < 0) failed = 1;
    return failed ? -1 : 0;
}

static int write_target(hid_t group, const Target *target)
{
    bool is_class = target->kind == PF_TARGET_CLASS;
    if (write_column(group, target->name, is_class ? H5T_STD_I32LE : H5T_IEEE_F32LE,
                     is_class ? 0 : (size_t)target->width, &target->column))
        return -1;
    hid_t dataset = H5Dopen2(group, target->name, H5P_DEFAULT);
    if (dataset < 0) return -1;
    int failed = pf_hdf5_write_text_attribute(dataset, "kind", pf_target_kind_name(target->kind));
    H5Dclose(dataset);
    return failed;
}

static int write_targets(hid_t group, const PfHdf5Samples *samples)
{
    for (int t = 0; t < samples->target_count; t++)
        if (write_target(group, &samples->targets[t])) return -1;
    return 0;
}

static int write_classes(hid_t group, const PfHdf5Samples *samples)
{
    for (int t = 0; t < samples->target_count; t++) {
        const Target *target = &samples->targets[t];
        if ((target->kind == PF_TARGET_CLASS || target->classes.rows) &&
            write_text_column(group, target->name, &target->classes))
            return -1;
    }
    return 0;
}

static int write_files(hid_t group, const FileColumns *files)
{
    if (write_text_column(group, "path", &files->paths) ||
        write_column(group, "digest", H5T_STD_U8LE, PF_DIGEST_SIZE, &files->digests) ||
        write_column(group, "size", H5T_STD_U64LE, 0, &files->sizes) ||
        write_column(group, "mtime_ns", H5T_STD_I64LE, 0, &files->mtimes) ||
        write_column(group, "ctime_ns", H5T_STD_I64LE, 0, &files->ctimes))
        return -1;
    return 0;
}

static int write_rows(hid_t group, const PfHdf5Samples *samples)
{
    if (write_files(group, &samples->rows) ||
        write_column(group, "split", H5T_STD_U8LE, 0, &samples->splits) ||
        write_column(group, "width", H5T_STD_I32LE, 0, &samples->widths) ||
        write_column(group, "height", H5T_STD_I32LE, 0, &samples->heights))
        return -1;
    if (samples->has_groups && write_column(group, "group", H5T_STD_U64LE, 0, &samples->groups))
        return -1;
    return samples->has_statistics ? write_column(group, "statistics", H5T_IEEE_F32LE,
                                                  PF_CACHE_STATISTICS, &samples->statistics)
                                   : 0;
}

static int write_rejected(hid_t group, const PfHdf5Samples *samples)
{
    if (write_files(group, &samples->rejected)) return -1;
    return write_text_column(group, "reason", &samples->reasons);
}

int pf_hdf5_samples_write(const PfHdf5Samples *samples, hid_t file)
{
    static const struct {
        const char *name;
        int (*write)(hid_t group, const PfHdf5Samples *samples);
    } groups[] = {
        {"targets", write_targets},
        {"classes", write_classes},
        {"samples", write_rows},
        {"rejected", write_rejected},
    };
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        hid_t group = pf_hdf5_create_group(file, groups[i].name);
        int failed = group < 0 || groups[i].write(group, samples);
        if (group >= 0) H5Gclose(group);
        if (failed) return -1;
    }
    return 0;
}
