#include "common/cache/hdf5/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define WHAT_SIZE 512

/* ---- taps ---- */

/* All taps of a catalogue have the rows of its sources. */
static int open_catalogued(PfHdf5Contents *contents, hid_t object, const char *name, PfError *err)
{
    PfHdf5Tap *tap = &contents->taps[contents->tap_count];
    int failed = pf_hdf5_catalogue_open(object, name, contents, tap, err);
    H5Oclose(object);
    if (failed) return -1;
    if (!contents->tap_count++) {
        contents->file.row_count = tap->row_count;
        contents->file.row_source = tap->info.name;
    }
    if (tap->row_count == contents->file.row_count) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s': /features/%s has %lld rows, and the first tap %lld",
                   contents->file.path, name, (long long)tap->row_count,
                   (long long)contents->file.row_count);
}

static int open_tap(PfHdf5Contents *contents, const char *name, PfError *err)
{
    PfHdf5Tap *tap = &contents->taps[contents->tap_count];
    char full_name[PF_CACHE_NAME_SIZE + 16];
    int64_t width;
    hid_t object;
    snprintf(full_name, sizeof full_name, "features/%s", name);
    if (pf_hdf5_file_find(&contents->file, full_name, &object, err)) return -1;
    if (contents->file.has_sources && object >= 0 && H5Iget_type(object) == H5I_GROUP)
        return open_catalogued(contents, object, name, err);
    if (pf_hdf5_tap_open(object, name, contents->file.path, tap, err)) return -1;
    if (!contents->tap_count++) {
        contents->file.row_count = tap->row_count;
        contents->file.row_source = tap->info.name;
    }
    return pf_hdf5_file_check_rows(&contents->file, full_name, object, &width, err);
}

static int open_taps(PfHdf5Contents *contents, hid_t group, PfError *err)
{
    char what[WHAT_SIZE], (*names)[PF_CACHE_NAME_SIZE];
    int count;
    snprintf(what, sizeof what, "/features of '%s'", contents->file.path);
    if (pf_hdf5_members(group, what, &names, &count, err)) return -1;
    contents->taps = pf_calloc((size_t)count, sizeof *contents->taps, err);
    int failed = !contents->taps;
    for (int t = 0; t < count && !failed; t++) failed = open_tap(contents, names[t], err);
    free(names);
    if (!failed && !count)
        failed = pf_fail(err, PF_EXIT_FAILED, "'%s' holds no features: /features is empty",
                         contents->file.path);
    return failed;
}

static int open_features(PfHdf5Contents *contents, PfError *err)
{
    hid_t group;
    if (pf_hdf5_file_find(&contents->file, "features", &group, err)) return -1;
    if (group < 0 || H5Iget_type(group) != H5I_GROUP)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' holds no features: there is no group /features in it",
                       contents->file.path);
    return open_taps(contents, group, err);
}

/* ---- targets ---- */

static int open_targets(PfHdf5Contents *contents, PfError *err)
{
    hid_t group;
    char what[WHAT_SIZE], (*names)[PF_CACHE_NAME_SIZE];
    int count, failed = 0;
    int64_t bytes = 0;
    if (pf_hdf5_file_find(&contents->file, "targets", &group, err)) return -1;
    if (group < 0) return 0;
    snprintf(what, sizeof what, "/targets of '%s'", contents->file.path);
    if (pf_hdf5_members(group, what, &names, &count, err)) return -1;
    contents->targets = pf_calloc((size_t)count, sizeof *contents->targets, err);
    if (!contents->targets) failed = -1;
    for (int t = 0; t < count && !failed; t++) {
        contents->target_count++;
        failed = pf_hdf5_target_open(&contents->file, names[t], &contents->targets[t], err);
        const PfHdf5Target *opened = &contents->targets[t];
        bytes += (int64_t)sizeof *opened + opened->classes.count * (int64_t)sizeof(char *);
        if (opened->indices) bytes += contents->file.row_count * (int64_t)sizeof(int32_t);
        if (!failed) failed = pf_hdf5_file_check_sum(&contents->file, "its targets", bytes, err);
    }
    free(names);
    return failed;
}

/* ---- samples and rejected images ---- */

/* Whether every number of the type `stored` is one of the type `wanted`, which has no sign. */
static bool is_contained(hid_t stored, hid_t wanted)
{
    return H5Tget_class(stored) == H5T_INTEGER && H5Tget_sign(stored) == H5T_SGN_NONE &&
           H5Tget_size(stored) <= H5Tget_size(wanted);
}

static int check_numbers(const PfHdf5File *file, const char *name, hid_t dataset, int64_t count,
                         int bits, PfError *err)
{
    double *numbers = pf_alloc_aligned((size_t)count, sizeof *numbers, err);
    if (!numbers) return -1;
    int failed = 0;
    if (pf_hdf5_read(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) < 0)
        failed = pf_hdf5_fail(err, "'%s': cannot read /%s", file->path, name);
    for (int64_t i = 0; i < count && !failed; i++)
        if (!(numbers[i] >= 0 && numbers[i] < ldexp(1, bits) && numbers[i] == floor(numbers[i])))
            failed =
                pf_fail(err, PF_EXIT_FAILED,
                        "'%s': number %lld of /%s is %.17g; expected whole numbers of %d bits, "
                        "without a sign",
                        file->path, (long long)i, name, numbers[i], bits);
    free(numbers);
    return failed;
}

/* That the dataset's numbers stay what they are where they are read as the type `wanted`: for one
 * without a sign HDF5 makes 0 of a negative number, and its largest of one that is larger. */
static int check_range(const PfHdf5File *file, const char *name, hid_t dataset, hid_t wanted,
                       PfError *err)
{
    int64_t width, count = pf_hdf5_file_length(dataset, &width);
    if (H5Tget_class(wanted) != H5T_INTEGER || H5Tget_sign(wanted) != H5T_SGN_NONE) return 0;
    hid_t stored = H5Dget_type(dataset);
    bool is_known = stored >= 0 && is_contained(stored, wanted);
    if (stored >= 0) H5Tclose(stored);
    if (is_known || count * width < 1) return 0;
    return check_numbers(file, name, dataset, count * width, 8 * (int)H5Tget_size(wanted), err);
}

static int read_splits(PfHdf5Contents *contents, PfError *err)
{
    hid_t dataset;
    int64_t width;
    if (pf_hdf5_file_find(&contents->file, "samples/split", &dataset, err)) return -1;
    if (dataset < 0) return 0;
    if (pf_hdf5_file_check_rows(&contents->file, "samples/split", dataset, &width, err)) return -1;
    if (width != 1)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /samples/split is not a list",
                       contents->file.path);
    if (check_range(&contents->file, "samples/split", dataset, H5T_NATIVE_UINT8, err)) return -1;
    contents->splits = pf_alloc_aligned((size_t)contents->file.row_count, 1, err);
    if (!contents->splits) return -1;
    if (contents->file.row_count && pf_hdf5_read(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL,
                                                 H5P_DEFAULT, contents->splits) < 0)
        return pf_hdf5_fail(err, "'%s': cannot read /samples/split", contents->file.path);
    for (int64_t i = 0; i < contents->file.row_count; i++)
        if (contents->splits[i] >= PF_SPLIT_COUNT)
            return pf_fail(err, PF_EXIT_FAILED,
                           "'%s': row %lld of /samples/split is %d; expected 0 (train), 1 (val) "
                           "or 2 (test)",
                           contents->file.path, (long long)i, contents->splits[i]);
    return 0;
}

static int check_samples(PfHdf5Contents *contents, PfError *err)
{
    static const char *const names[] = {
        "samples/path",       "samples/digest",         "samples/size",   "samples/mtime_ns",
        "samples/ctime_ns",   "samples/width",          "samples/height", "samples/group",
        "samples/statistics", "samples/perceptual_hash"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        hid_t dataset;
        int64_t width;
        if (pf_hdf5_file_find(&contents->file, names[i], &dataset, err)) return -1;
        if (dataset < 0) continue;
        int failed = pf_hdf5_file_check_rows(&contents->file, names[i], dataset, &width, err);
        H5Oclose(dataset);
        if (failed) return -1;
        if (i == 0) contents->has_paths = true;
    }
    return read_splits(contents, err);
}

static int check_rejected(PfHdf5Contents *contents, PfError *err)
{
    hid_t paths, reasons;
    int64_t width, reason_count;
    if (pf_hdf5_file_find(&contents->file, "rejected/path", &paths, err) ||
        pf_hdf5_file_find(&contents->file, "rejected/reason", &reasons, err))
        return -1;
    if (paths < 0 && reasons < 0) return 0;
    contents->rejected_count = pf_hdf5_file_length(paths, &width);
    reason_count = pf_hdf5_file_length(reasons, &width);
    if (contents->rejected_count >= 0 && contents->rejected_count == reason_count) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': /rejected/path and /rejected/reason are not lists of one length",
                   contents->file.path);
}

/* ---- opening and closing ---- */

int pf_hdf5_contents_init(PfHdf5Contents *contents, const char *path, PfError *err)
{
    *contents = (PfHdf5Contents){.file.id = H5I_INVALID_HID};
    contents->file.path = pf_strdup(path, err);
    return contents->file.path ? 0 : -1;
}

static int open_contents(PfHdf5Contents *contents, PfError *err)
{
    PfHdf5File *file = &contents->file;
    if (pf_hdf5_file_open(file, err) || pf_hdf5_virtual_read_sources(contents, err)) return -1;
    file->has_sources = contents->source_count > 0;
    if (open_features(contents, err) || open_targets(contents, err) ||
        check_samples(contents, err) || check_rejected(contents, err) ||
        !(contents->identity = pf_hdf5_file_read_json(file, "identity", err)) ||
        !(contents->provenance = pf_hdf5_file_read_json(file, "provenance", err)))
        return -1;
    /* What could not be read must not pass for what the file does not have. */
    return pf_hdf5_has_failed() ? pf_hdf5_fail(err, "'%s': cannot be read", file->path) : 0;
}

int pf_hdf5_contents_open(PfHdf5Contents *contents, PfError *err)
{
    pf_hdf5_lock();
    int failed = open_contents(contents, err);
    pf_hdf5_unlock();
    return failed ? -1 : 0;
}

void pf_hdf5_contents_clear(PfHdf5Contents *contents)
{
    if (contents->file.id >= 0) {
        pf_hdf5_lock();
        H5Fclose(contents->file.id); /* and with it everything that was opened in it */
        pf_hdf5_unlock();
    }
    for (int t = 0; t < contents->target_count; t++) pf_hdf5_target_free(&contents->targets[t]);
    pf_hdf5_texts_free(&contents->source_paths);
    free(contents->sources);
    free(contents->targets);
    free(contents->taps);
    free(contents->splits);
    free(contents->identity);
    free(contents->provenance);
    free(contents->file.path);
    *contents = (PfHdf5Contents){.file.id = H5I_INVALID_HID};
}

/* ---- numbers and texts ---- */

static int read_texts(const PfHdf5Contents *contents, const char *name, PfHdf5Texts *texts,
                      PfError *err)
{
    const PfHdf5File *file = &contents->file;
    char what[WHAT_SIZE];
    hid_t dataset;
    snprintf(what, sizeof what, "/%s of '%s'", name, file->path);
    if (pf_hdf5_file_find(file, name, &dataset, err)) return -1;
    if (dataset < 0) return pf_fail(err, PF_EXIT_FAILED, "'%s' has no /%s", file->path, name);
    int failed = pf_hdf5_texts_read(texts, dataset, what, err);
    H5Oclose(dataset);
    return failed;
}

int pf_hdf5_contents_texts(const PfHdf5Contents *contents, const char *name, PfHdf5Texts *texts,
                           PfError *err)
{
    pf_hdf5_lock();
    int failed = read_texts(contents, name, texts, err);
    pf_hdf5_unlock();
    return failed;
}

static hid_t number_type(PfHdf5Number number)
{
    switch (number) {
    case PF_HDF5_U8: return H5T_NATIVE_UINT8;
    case PF_HDF5_I32: return H5T_NATIVE_INT32;
    case PF_HDF5_I64: return H5T_NATIVE_INT64;
    case PF_HDF5_U64: return H5T_NATIVE_UINT64;
    case PF_HDF5_F32: return H5T_NATIVE_FLOAT;
    }
    return H5I_INVALID_HID;
}

static int read_column(const PfHdf5File *file, const char *name, hid_t type, int64_t count,
                       void *out, size_t row_bytes, PfError *err)
{
    hid_t dataset;
    int64_t width;
    int failed = 0;
    if (pf_hdf5_file_find(file, name, &dataset, err)) return -1;
    if (dataset < 0) return 0;
    if (pf_hdf5_file_length(dataset, &width) != count ||
        (size_t)width != row_bytes / H5Tget_size(type))
        failed = pf_fail(err, PF_EXIT_FAILED, "'%s': /%s is not shaped for %lld rows", file->path,
                         name, (long long)count);
    else if (check_range(file, name, dataset, type, err))
        failed = -1;
    else if (count && pf_hdf5_read(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        failed = pf_hdf5_fail(err, "'%s': cannot read /%s", file->path, name);
    H5Oclose(dataset);
    return failed;
}

int pf_hdf5_contents_column(const PfHdf5Contents *contents, const char *group, const char *member,
                            PfHdf5Number type, int64_t count, void *out, size_t row_bytes,
                            PfError *err)
{
    char name[64];
    memset(out, 0, (size_t)count * row_bytes);
    snprintf(name, sizeof name, "%s/%s", group, member);
    pf_hdf5_lock();
    int failed = read_column(&contents->file, name, number_type(type), count, out, row_bytes, err);
    pf_hdf5_unlock();
    return failed;
}

int pf_hdf5_contents_values(const PfHdf5Contents *contents, int target, float *out, PfError *err)
{
    pf_hdf5_lock();
    int failed = pf_hdf5_target_read(&contents->file, &contents->targets[target], out, err);
    pf_hdf5_unlock();
    return failed;
}
