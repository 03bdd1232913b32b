#include "common/cache/hdf5/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/options.h"

#define WHAT_SIZE 512
/* One file each. */
#define MAX_SOURCES 1000000
/* HDF5 takes the square of their number, and more, to make a virtual dataset of more. */
#define MOST_MAPPED 1000

#define SHAPE_KEY "shape"
#define DTYPE_KEY "dtype"

bool pf_hdf5_virtual_is_catalogue(int source_count)
{
    return source_count > MOST_MAPPED;
}

/* ---- the datasets ---- */

/* In the names of source files HDF5 takes % for the start of a number. */
static char *escape_percents(const char *path)
{
    char *escaped = pf_calloc(2 * strlen(path) + 1, 1, NULL), *out = escaped;
    for (; escaped && *path; path++) {
        if (*path == '%') *out++ = '%';
        *out++ = *path;
    }
    return escaped;
}

/* Rows [first, first + rows) of the virtual dataset are all rows of the source's. dims:
 * of a row, from [1] on. */
static int map_source(hid_t properties, hid_t space, const PfCacheTap *tap, const hsize_t *dims,
                      hsize_t first, const PfCacheSource *source)
{
    int rank = tap->shape.rank + 1;
    hsize_t start[PF_MAX_RANK + 1] = {first}, size[PF_MAX_RANK + 1];
    char name[PF_CACHE_NAME_SIZE + 16] = "/features/";
    memcpy(size, dims, sizeof size);
    size[0] = (hsize_t)source->row_count;
    if (!size[0]) return 0;
    char *path = escape_percents(source->path);
    hid_t source_space = H5Screate_simple(rank, size, NULL);
    int failed = !path || H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL) < 0 ||
                 H5Pset_virtual(properties, space, path, strcat(name, tap->name), source_space) < 0;
    if (source_space >= 0) H5Sclose(source_space);
    free(path);
    return failed ? -1 : 0;
}

/* Programs that read the file through HDF5 alone get NaN for rows whose file is missing. */
static void fill_with_nan(hid_t properties, PfDtype dtype)
{
    static const uint16_t half_nan = 0x7e00;
    static const float nan = __builtin_nanf("");
    if (dtype == PF_DTYPE_F16) H5Pset_fill_value(properties, pf_hdf5_type(dtype), &half_nan);
    if (dtype == PF_DTYPE_F32) H5Pset_fill_value(properties, pf_hdf5_type(dtype), &nan);
}

hid_t pf_hdf5_virtual_create(hid_t group, const PfCacheTap *tap, const PfCacheSource *sources,
                             int count)
{
    hsize_t dims[PF_MAX_RANK + 1] = {0}, first = 0;
    int rank = tap->shape.rank + 1, failed = 0;
    for (int i = 1; i < rank; i++) dims[i] = (hsize_t)tap->shape.dims[i - 1];
    for (int i = 0; i < count; i++) dims[0] += (hsize_t)sources[i].row_count;
    hid_t space = H5Screate_simple(rank, dims, NULL), properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(properties, 0);
    fill_with_nan(properties, tap->dtype);
    for (int i = 0; i < count && !failed; i++) {
        failed = map_source(properties, space, tap, dims, first, &sources[i]);
        first += (hsize_t)sources[i].row_count;
    }
    hid_t dataset = failed ? H5I_INVALID_HID
                           : H5Dcreate2(group, tap->name, pf_hdf5_type(tap->dtype), space,
                                        H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Pclose(properties);
    H5Sclose(space);
    return dataset;
}

/* ---- catalogues ---- */

int pf_hdf5_catalogue_create(hid_t group, const PfCacheTap *tap)
{
    char shape[PF_SHAPE_TEXT_SIZE];
    hid_t stand_in = pf_hdf5_create_group(group, tap->name);
    if (stand_in < 0) return -1;
    int failed =
        pf_hdf5_write_text_attribute(stand_in, SHAPE_KEY, pf_shape_text(&tap->shape, shape)) ||
        pf_hdf5_write_text_attribute(stand_in, DTYPE_KEY, pf_dtype_name(tap->dtype));
    H5Gclose(stand_in);
    return failed ? -1 : 0;
}

/* "(512)", "(256,14,14)", as pf_shape_text writes it. */
static int read_shape(const char *text, PfShape *shape, size_t *elements)
{
    *shape = (PfShape){0};
    *elements = 1;
    if (*text++ != '(') return -1;
    for (;;) {
        const size_t length = strcspn(text, ",)");
        long long size;
        if (shape->rank == PF_MAX_RANK || pf_options_read_long(text, length, &size) || size < 1 ||
            (size_t)size > UINT32_MAX / *elements)
            return -1;
        *elements *= (size_t)size;
        shape->dims[shape->rank++] = size;
        text += length;
        if (*text == ')') return text[1] ? -1 : 0;
        if (*text++ != ',') return -1;
    }
}

static int read_dtype(const char *text, PfDtype *dtype)
{
    static const PfDtype stored[] = {PF_DTYPE_F16, PF_DTYPE_F32, PF_DTYPE_U8};
    for (size_t i = 0; i < sizeof stored / sizeof *stored; i++)
        if (!strcmp(text, pf_dtype_name(stored[i]))) {
            *dtype = stored[i];
            return 0;
        }
    return -1;
}

int pf_hdf5_catalogue_open(hid_t object, const char *name, const PfHdf5Contents *contents,
                           PfHdf5Tap *tap, PfError *err)
{
    *tap = (PfHdf5Tap){.id = H5I_INVALID_HID, .filters = "none", .request_rows = 1};
    snprintf(tap->info.name, sizeof tap->info.name, "%s", name);
    char *shape = pf_hdf5_read_text_attribute(object, SHAPE_KEY);
    char *dtype = pf_hdf5_read_text_attribute(object, DTYPE_KEY);
    int failed = !shape || !dtype || read_shape(shape, &tap->info.shape, &tap->row_elements) ||
                 read_dtype(dtype, &tap->info.dtype);
    free(shape);
    free(dtype);
    for (int i = 0; i < contents->source_count && !failed; i++)
        failed =
            contents->sources[i].row_count < 0 ||
            __builtin_add_overflow(tap->row_count, contents->sources[i].row_count, &tap->row_count);
    if (!failed) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': /features/%s does not say which rows the files of /sources have",
                   contents->file.path, name);
}

/* ---- /sources, written ---- */

static int write_dataset(hid_t group, const char *name, hid_t type, int count, int width,
                         const void *rows)
{
    hsize_t dims[2] = {(hsize_t)count, (hsize_t)width};
    hid_t space = H5Screate_simple(width > 1 ? 2 : 1, dims, NULL);
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(properties, 0);
    hid_t dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    int failed = dataset < 0 || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) < 0;
    if (dataset >= 0) H5Dclose(dataset);
    H5Pclose(properties);
    H5Sclose(space);
    return failed ? -1 : 0;
}

static int write_columns(hid_t group, const PfCacheSource *sources, int count)
{
    const char **paths = pf_calloc((size_t)count, sizeof *paths, NULL);
    int64_t *rows = pf_calloc((size_t)count, sizeof *rows, NULL);
    uint8_t(*seals)[PF_DIGEST_SIZE] = pf_calloc((size_t)count, sizeof *seals, NULL);
    int failed = !paths || !rows || !seals;
    for (int i = 0; i < count && !failed; i++) {
        paths[i] = sources[i].path;
        rows[i] = sources[i].row_count;
        memcpy(seals[i], sources[i].seal, sizeof seals[i]);
    }
    failed = failed || write_dataset(group, "path", pf_hdf5_text_type(), count, 1, paths) ||
             write_dataset(group, "rows", H5T_STD_I64LE, count, 1, rows) ||
             write_dataset(group, "seal", H5T_STD_U8LE, count, PF_DIGEST_SIZE, seals);
    free(seals);
    free(rows);
    free(paths);
    return failed ? -1 : 0;
}

int pf_hdf5_virtual_write_sources(hid_t file, const PfCacheSource *sources, int count)
{
    hid_t group = pf_hdf5_create_group(file, "sources");
    if (group < 0) return -1;
    int failed = write_columns(group, sources, count);
    H5Gclose(group);
    return failed;
}

/* ---- /sources, read ---- */

/* A dataset (count) or (count, width) of whole numbers. */
static int read_numbers(const PfHdf5File *file, const char *name, hid_t type, int64_t count,
                        int64_t width, void *out, PfError *err)
{
    hid_t dataset;
    int64_t found;
    if (pf_hdf5_file_find(file, name, &dataset, err)) return -1;
    int failed = 0;
    if (dataset < 0 || pf_hdf5_file_length(dataset, &found) != count || found != width)
        failed = pf_fail(err, PF_EXIT_FAILED,
                         "'%s': /%s is missing, or not shaped for the %lld files of /sources/path",
                         file->path, name, (long long)count);
    else if (pf_hdf5_read(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        failed = pf_hdf5_fail(err, "'%s': cannot read /%s", file->path, name);
    if (dataset >= 0) H5Oclose(dataset);
    return failed;
}

static int read_columns(PfHdf5Contents *contents, PfError *err)
{
    const PfHdf5File *file = &contents->file;
    size_t count = (size_t)contents->source_paths.count;
    int64_t *rows = pf_calloc(count, sizeof *rows, err);
    uint8_t(*seals)[PF_DIGEST_SIZE] = pf_calloc(count, sizeof *seals, err);
    contents->sources = pf_calloc(count, sizeof *contents->sources, err);
    int failed =
        !rows || !seals || !contents->sources ||
        read_numbers(file, "sources/rows", H5T_NATIVE_INT64, (int64_t)count, 1, rows, err) ||
        read_numbers(file, "sources/seal", H5T_NATIVE_UINT8, (int64_t)count, PF_DIGEST_SIZE, seals,
                     err);
    for (size_t i = 0; i < count && !failed; i++) {
        contents->sources[i] = (PfCacheSource){contents->source_paths.items[i], rows[i], {0}};
        memcpy(contents->sources[i].seal, seals[i], sizeof seals[i]);
    }
    free(seals);
    free(rows);
    if (!failed) contents->source_count = (int)count;
    return failed ? -1 : 0;
}

int pf_hdf5_virtual_read_sources(PfHdf5Contents *contents, PfError *err)
{
    const PfHdf5File *file = &contents->file;
    char what[WHAT_SIZE];
    hid_t paths;
    if (pf_hdf5_file_find(file, "sources/path", &paths, err)) return -1;
    if (paths < 0) return 0;
    snprintf(what, sizeof what, "/sources/path of '%s'", file->path);
    int failed = pf_hdf5_texts_read(&contents->source_paths, paths, what, err);
    H5Oclose(paths);
    if (failed) return -1;
    if (contents->source_paths.count < 1 || contents->source_paths.count > MAX_SOURCES)
        return pf_fail(err, PF_EXIT_FAILED, "%s names %lld files", what,
                       (long long)contents->source_paths.count);
    return read_columns(contents, err);
}
