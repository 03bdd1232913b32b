#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "feature_cache_h5.h"
#include "feature_cache_rows.h"
#include "feature_cache_texts.h"
#include "memory.h"
#include "permafrost/feature_cache.h"

/* Classes of a file that does not name them; more is taken for a mistake. */
#define MAX_UNNAMED_CLASSES (1 << 20)
#define WHAT_SIZE 512

typedef struct Target {
    PfCacheTarget info;
    hid_t dataset;
    PfCacheTexts classes;
    int32_t *indices; /* (N) of a class target */
} Target;

struct PfCache {
    char *path;
    hid_t file;
    int64_t row_count;
    PfCacheRows *taps;
    int tap_count;
    Target *targets;
    int target_count;
    char *identity, *provenance;
    uint8_t *splits;
    int64_t rejected_count;
    PfCacheTexts paths, rejected_paths, reasons;
    PfRowsWorkers workers;
};

/* ---- the file ---- */

/* Says what the file is instead of HDF5: its first bytes, made printable. */
static int fail_not_hdf5(const char *path, PfError *err)
{
    char head[17] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, head, sizeof head - 1);
    if (length < 0) pf_fail_errno(err, "cannot read '%s'", path);
    if (fd >= 0) close(fd);
    if (length < 0) return -1;
    if (!length)
        return pf_fail(err, PF_EXIT_FAILED, "'%s' is not a feature cache: it is empty", path);
    for (ssize_t i = 0; i < length; i++)
        if (!isprint((unsigned char)head[i])) head[i] = '.';
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is not a feature cache: it begins with '%.*s'; expected an HDF5 file "
                   "written by extract",
                   path, (int)length, head);
}

static int open_file(PfCache *cache, PfError *err)
{
    if (access(cache->path, R_OK)) return pf_fail_errno(err, "cannot read '%s'", cache->path);
    if (H5Fis_hdf5(cache->path) <= 0) return fail_not_hdf5(cache->path, err);
    hid_t properties = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(properties, H5F_CLOSE_STRONG);
    cache->file = H5Fopen(cache->path, H5F_ACC_RDONLY, properties);
    if (cache->file < 0)
        pf_h5_fail(err, "'%s' is an HDF5 file that cannot be opened; if it is damaged, make it "
                        "again (extract --force)", cache->path);
    H5Pclose(properties);
    return cache->file < 0 ? -1 : 0;
}

static int check_format(const PfCache *cache, PfError *err)
{
    int version;
    char *format = pf_h5_read_text_attribute(cache->file, "format");
    int is_ours = format && !strcmp(format, PF_CACHE_FORMAT);
    if (!is_ours)
        pf_fail(err, PF_EXIT_FAILED,
                "'%s' is HDF5 but not a feature cache: its attribute 'format' is %s%s%s; "
                "expected '" PF_CACHE_FORMAT "'.\nHint: docs/cache-format.md shows how to write "
                "one from Python",
                cache->path, format ? "'" : "", format ? format : "missing", format ? "'" : "");
    free(format);
    if (!is_ours) return -1;
    if (pf_h5_read_int_attribute(cache->file, "format_version", &version))
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' has no attribute 'format_version'; expected the number %d",
                       cache->path, PF_CACHE_FORMAT_VERSION);
    if (version >= 1 && version <= PF_CACHE_FORMAT_VERSION) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' has format_version %d; this program reads up to %d.\nHint: a newer "
                   "permafrost wrote it",
                   cache->path, version, PF_CACHE_FORMAT_VERSION);
}

/* The JSON of a root attribute; "{}" where there is none. */
static char *read_json(const PfCache *cache, const char *name, PfError *err)
{
    char *text = pf_h5_read_text_attribute(cache->file, name);
    return text ? text : pf_strdup("{}", err);
}

/* A group or dataset that may be missing: then *object is negative, and that is no error. */
static int open_optional(const PfCache *cache, const char *name, hid_t *object, PfError *err)
{
    *object = H5I_INVALID_HID;
    char *group = strdup(name), *slash = group ? strchr(group, '/') : NULL;
    if (slash) *slash = '\0';
    int exists = group && H5Lexists(cache->file, group, H5P_DEFAULT) > 0 &&
                 (!slash || H5Lexists(cache->file, name, H5P_DEFAULT) > 0);
    free(group);
    if (!exists) return 0;
    *object = H5Oopen(cache->file, name, H5P_DEFAULT);
    return *object < 0 ? pf_h5_fail(err, "'%s': cannot open /%s", cache->path, name) : 0;
}

/* First dimension of a dataset, or -1; *width: the product of the others. */
static int64_t length_of(hid_t dataset, int64_t *width)
{
    hsize_t dims[H5S_MAX_RANK] = {0};
    hid_t space = H5Iget_type(dataset) == H5I_DATASET ? H5Dget_space(dataset) : H5I_INVALID_HID;
    *width = 1;
    if (space < 0) return -1;
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    H5Sclose(space);
    for (int i = 1; i < rank; i++)
        if (__builtin_mul_overflow(*width, (int64_t)dims[i], width)) return -1;
    return rank < 1 ? -1 : (int64_t)dims[0];
}

static int check_length(const PfCache *cache, const char *name, hid_t dataset, int64_t *width,
                        PfError *err)
{
    int64_t length = length_of(dataset, width);
    if (length == cache->row_count) return 0;
    if (length < 0)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /%s is not a dataset of rows", cache->path,
                       name);
    return pf_fail(err, PF_EXIT_FAILED, "'%s': /%s has %lld rows, /features/%s has %lld",
                   cache->path, name, (long long)length, cache->taps[0].tap.name,
                   (long long)cache->row_count);
}

/* ---- taps ---- */

static int open_taps(PfCache *cache, hid_t group, PfError *err)
{
    char what[WHAT_SIZE], (*names)[PF_CACHE_NAME_SIZE];
    int count;
    snprintf(what, sizeof what, "/features of '%s'", cache->path);
    if (pf_h5_members(group, what, &names, &count, err)) return -1;
    cache->taps = pf_calloc((size_t)count, sizeof *cache->taps, err);
    int failed = !cache->taps;
    for (int t = 0; t < count && !failed; t++) {
        failed = pf_cache_rows_open(group, names[t], cache->path, &cache->taps[t], err);
        if (failed) break;
        cache->tap_count++;
        int64_t width;
        char name[PF_CACHE_NAME_SIZE + 16];
        snprintf(name, sizeof name, "features/%s", names[t]);
        if (t == 0) cache->row_count = cache->taps[0].row_count;
        failed = check_length(cache, name, cache->taps[t].dataset, &width, err);
    }
    free(names);
    if (!failed && !count)
        failed = pf_fail(err, PF_EXIT_FAILED, "'%s' holds no features: /features is empty",
                         cache->path);
    return failed;
}

static int open_features(PfCache *cache, PfError *err)
{
    hid_t group;
    if (open_optional(cache, "features", &group, err)) return -1;
    if (group < 0 || H5Iget_type(group) != H5I_GROUP)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' holds no features: there is no group /features in it", cache->path);
    return open_taps(cache, group, err);
}

/* ---- targets ---- */

/* By the attribute kind; without it whole numbers are classes. */
static int read_kind(const PfCache *cache, Target *target, PfError *err)
{
    hid_t type = H5Dget_type(target->dataset);
    H5T_class_t numbers = type < 0 ? H5T_NO_CLASS : H5Tget_class(type);
    if (type >= 0) H5Tclose(type);
    if (numbers != H5T_INTEGER && numbers != H5T_FLOAT)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /targets/%s does not hold numbers",
                       cache->path, target->info.name);
    char *kind = pf_h5_read_text_attribute(target->dataset, "kind");
    int is_class = kind ? !strcmp(kind, "class") : numbers == H5T_INTEGER;
    int is_known = !kind || is_class || !strcmp(kind, "regression");
    if (!is_known)
        pf_fail(err, PF_EXIT_FAILED,
                "'%s': /targets/%s is of kind '%s'; expected 'class' or 'regression'", cache->path,
                target->info.name, kind);
    free(kind);
    if (!is_known) return -1;
    if (is_class && numbers != H5T_INTEGER)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': /targets/%s is of kind 'class' and holds numbers that are not whole",
                       cache->path, target->info.name);
    target->info.kind = is_class ? PF_TARGET_CLASS : PF_TARGET_REGRESSION;
    return 0;
}

/* Names as the file has them, or numbers up to the largest index. */
static int read_class_names(const PfCache *cache, Target *target, int32_t largest, PfError *err)
{
    char name[PF_CACHE_NAME_SIZE + 16], what[WHAT_SIZE];
    hid_t dataset;
    snprintf(name, sizeof name, "classes/%s", target->info.name);
    snprintf(what, sizeof what, "/%s of '%s'", name, cache->path);
    if (open_optional(cache, name, &dataset, err)) return -1;
    if (dataset >= 0) {
        if (H5Iget_type(dataset) != H5I_DATASET)
            return pf_fail(err, PF_EXIT_FAILED, "%s is not a dataset", what);
        return pf_cache_texts_read(&target->classes, dataset, what, err);
    }
    if (largest >= MAX_UNNAMED_CLASSES)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': /targets/%s has a class index of %d and there is no /classes/%s",
                       cache->path, target->info.name, (int)largest, target->info.name);
    return pf_cache_texts_number(&target->classes, (int64_t)largest + 1, err);
}

static int read_class_target(const PfCache *cache, Target *target, PfError *err)
{
    int32_t largest = -1;
    target->indices = pf_alloc_aligned((size_t)cache->row_count, sizeof *target->indices, err);
    if (!target->indices) return -1;
    if (cache->row_count && H5Dread(target->dataset, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL,
                                    H5P_DEFAULT, target->indices) < 0)
        return pf_h5_fail(err, "'%s': cannot read /targets/%s", cache->path, target->info.name);
    for (int64_t i = 0; i < cache->row_count; i++)
        if (target->indices[i] > largest) largest = target->indices[i];
    if (read_class_names(cache, target, largest, err)) return -1;
    for (int64_t i = 0; i < cache->row_count; i++)
        if (target->indices[i] < -1 || target->indices[i] >= target->classes.count)
            return pf_fail(err, PF_EXIT_FAILED,
                           "'%s': row %lld of /targets/%s is class %d; there are %lld classes, "
                           "and -1 is unlabelled",
                           cache->path, (long long)i, target->info.name, (int)target->indices[i],
                           (long long)target->classes.count);
    target->info.classes = target->classes.items;
    target->info.class_count = (int)target->classes.count;
    return 0;
}

static int open_target(const PfCache *cache, hid_t group, Target *target, PfError *err)
{
    char name[PF_CACHE_NAME_SIZE + 16];
    int64_t width;
    target->dataset = H5Oopen(group, target->info.name, H5P_DEFAULT);
    if (target->dataset < 0)
        return pf_h5_fail(err, "'%s': cannot open /targets/%s", cache->path, target->info.name);
    snprintf(name, sizeof name, "targets/%s", target->info.name);
    if (check_length(cache, name, target->dataset, &width, err) ||
        read_kind(cache, target, err))
        return -1;
    if (width < 1 || width > INT_MAX)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /targets/%s has %lld numbers a row", cache->path,
                       target->info.name, (long long)width);
    target->info.width = (int)width;
    if (target->info.kind == PF_TARGET_REGRESSION) return 0;
    if (target->info.width != 1)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': /targets/%s has %d numbers a row; a class is one", cache->path,
                       target->info.name, target->info.width);
    return read_class_target(cache, target, err);
}

static int open_targets(PfCache *cache, PfError *err)
{
    hid_t group;
    char what[WHAT_SIZE], (*names)[PF_CACHE_NAME_SIZE];
    int count, failed = 0;
    if (open_optional(cache, "targets", &group, err)) return -1;
    if (group < 0) return 0;
    snprintf(what, sizeof what, "/targets of '%s'", cache->path);
    if (pf_h5_members(group, what, &names, &count, err)) return -1;
    cache->targets = pf_calloc((size_t)count, sizeof *cache->targets, err);
    if (!cache->targets) failed = -1;
    for (int t = 0; t < count && !failed; t++) {
        memcpy(cache->targets[t].info.name, names[t], sizeof names[t]);
        cache->target_count++;
        failed = open_target(cache, group, &cache->targets[t], err);
    }
    free(names);
    return failed;
}

/* ---- samples and rejected images ---- */

static int read_splits(PfCache *cache, PfError *err)
{
    hid_t dataset;
    int64_t width;
    if (open_optional(cache, "samples/split", &dataset, err)) return -1;
    if (dataset < 0) return 0;
    if (check_length(cache, "samples/split", dataset, &width, err)) return -1;
    if (width != 1)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /samples/split is not a list", cache->path);
    cache->splits = pf_alloc_aligned((size_t)cache->row_count, 1, err);
    if (!cache->splits) return -1;
    if (cache->row_count &&
        H5Dread(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, cache->splits) < 0)
        return pf_h5_fail(err, "'%s': cannot read /samples/split", cache->path);
    for (int64_t i = 0; i < cache->row_count; i++)
        if (cache->splits[i] >= PF_SPLIT_COUNT)
            return pf_fail(err, PF_EXIT_FAILED,
                           "'%s': row %lld of /samples/split is %d; expected 0 (train), 1 (val) "
                           "or 2 (test)",
                           cache->path, (long long)i, cache->splits[i]);
    return 0;
}

static int check_samples(PfCache *cache, PfError *err)
{
    static const char *const names[] = {"samples/path", "samples/digest", "samples/size",
                                        "samples/mtime_ns"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        hid_t dataset;
        int64_t width;
        if (open_optional(cache, names[i], &dataset, err)) return -1;
        if (dataset < 0) continue;
        int failed = check_length(cache, names[i], dataset, &width, err);
        H5Oclose(dataset);
        if (failed) return -1;
    }
    return read_splits(cache, err);
}

static int check_rejected(PfCache *cache, PfError *err)
{
    hid_t paths, reasons;
    int64_t width, reason_count;
    if (open_optional(cache, "rejected/path", &paths, err) ||
        open_optional(cache, "rejected/reason", &reasons, err))
        return -1;
    if (paths < 0 && reasons < 0) return 0;
    cache->rejected_count = length_of(paths, &width);
    reason_count = length_of(reasons, &width);
    if (cache->rejected_count >= 0 && cache->rejected_count == reason_count) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': /rejected/path and /rejected/reason are not lists of one length",
                   cache->path);
}

static int read_texts(PfCache *cache, const char *name, PfCacheTexts *texts, PfError *err)
{
    char what[WHAT_SIZE];
    hid_t dataset;
    int failed = 0;
    if (texts->items) return 0;
    snprintf(what, sizeof what, "/%s of '%s'", name, cache->path);
    pf_h5_lock();
    if (open_optional(cache, name, &dataset, err)) {
        failed = -1;
    } else if (dataset < 0) {
        failed = pf_fail(err, PF_EXIT_FAILED, "'%s' has no /%s", cache->path, name);
    } else {
        failed = pf_cache_texts_read(texts, dataset, what, err);
        H5Oclose(dataset);
    }
    pf_h5_unlock();
    return failed;
}

int pf_cache_paths(PfCache *cache, const char *const **paths, PfError *err)
{
    if (read_texts(cache, "samples/path", &cache->paths, err)) return -1;
    *paths = cache->paths.items;
    return 0;
}

int pf_cache_rejected(PfCache *cache, const char *const **paths, const char *const **reasons,
                      PfError *err)
{
    *paths = *reasons = NULL;
    if (!cache->rejected_count) return 0;
    if (read_texts(cache, "rejected/path", &cache->rejected_paths, err) ||
        read_texts(cache, "rejected/reason", &cache->reasons, err))
        return -1;
    *paths = cache->rejected_paths.items;
    *reasons = cache->reasons.items;
    return 0;
}

/* ---- open and close ---- */

static int open_contents(PfCache *cache, PfError *err)
{
    if (open_file(cache, err) || check_format(cache, err) || open_features(cache, err) ||
        open_targets(cache, err) || check_samples(cache, err) || check_rejected(cache, err) ||
        !(cache->identity = read_json(cache, "identity", err)) ||
        !(cache->provenance = read_json(cache, "provenance", err)))
        return -1;
    return 0;
}

int pf_cache_open(const char *path, PfCache **out, PfError *err)
{
    PfCache *cache = pf_calloc(1, sizeof *cache, err);
    if (!cache) return -1;
    cache->file = H5I_INVALID_HID;
    int failed = !(cache->path = pf_strdup(path, err));
    if (!failed) {
        pf_h5_lock();
        failed = open_contents(cache, err);
        pf_h5_unlock();
    }
    if (failed) {
        pf_cache_close(&cache);
        return -1;
    }
    *out = cache;
    return 0;
}

void pf_cache_close(PfCache **pointer)
{
    PfCache *cache = *pointer;
    if (!cache) return;
    if (cache->file >= 0) {
        pf_h5_lock();
        H5Fclose(cache->file); /* and with it everything that was opened in it */
        pf_h5_unlock();
    }
    for (int t = 0; t < cache->target_count; t++) {
        pf_cache_texts_free(&cache->targets[t].classes);
        free(cache->targets[t].indices);
    }
    pf_cache_texts_free(&cache->paths);
    pf_cache_texts_free(&cache->rejected_paths);
    pf_cache_texts_free(&cache->reasons);
    pf_rows_workers_free(&cache->workers);
    free(cache->targets);
    free(cache->taps);
    free(cache->splits);
    free(cache->identity);
    free(cache->provenance);
    free(cache->path);
    free(cache);
    *pointer = NULL;
}

/* ---- what is in it ---- */

const char *pf_cache_path(const PfCache *cache)
{
    return cache->path;
}

int64_t pf_cache_row_count(const PfCache *cache)
{
    return cache->row_count;
}

int pf_cache_tap_count(const PfCache *cache)
{
    return cache->tap_count;
}

const PfCacheTap *pf_cache_tap(const PfCache *cache, int index)
{
    assert(index >= 0 && index < cache->tap_count);
    return &cache->taps[index].tap;
}

int pf_cache_find_tap(const PfCache *cache, const char *name, int *index, PfError *err)
{
    char names[1000] = "";
    for (int t = 0; t < cache->tap_count; t++) {
        const char *known = cache->taps[t].tap.name;
        size_t used = strlen(names);
        if (!strcmp(known, name)) {
            *index = t;
            return 0;
        }
        snprintf(names + used, sizeof names - used, "%s%s", t ? ", " : "", known);
    }
    return pf_fail(err, PF_EXIT_FAILED, "'%s' has no features of tap '%s'; there are: %s",
                   cache->path, name, names);
}

int pf_cache_target_count(const PfCache *cache)
{
    return cache->target_count;
}

const PfCacheTarget *pf_cache_target(const PfCache *cache, int index)
{
    assert(index >= 0 && index < cache->target_count);
    return &cache->targets[index].info;
}

const char *pf_cache_identity(const PfCache *cache)
{
    return cache->identity;
}

const char *pf_cache_provenance(const PfCache *cache)
{
    return cache->provenance;
}

const uint8_t *pf_cache_splits(const PfCache *cache)
{
    return cache->splits;
}

int64_t pf_cache_rejected_count(const PfCache *cache)
{
    return cache->rejected_count;
}

int pf_cache_tap_storage(PfCache *cache, int tap, int64_t *stored_bytes, char *filters,
                         size_t filters_size, PfError *err)
{
    (void)err; /* room for formats where asking can fail */
    assert(tap >= 0 && tap < cache->tap_count);
    pf_h5_lock();
    *stored_bytes = (int64_t)H5Dget_storage_size(cache->taps[tap].dataset);
    pf_cache_rows_filters(&cache->taps[tap], filters, filters_size);
    pf_h5_unlock();
    return 0;
}

/* ---- numbers ---- */

int pf_cache_read_classes(PfCache *cache, int target, int32_t *out, PfError *err)
{
    (void)err; /* they were read and checked when the file was opened */
    assert(target >= 0 && target < cache->target_count && cache->targets[target].indices);
    memcpy(out, cache->targets[target].indices, (size_t)cache->row_count * sizeof *out);
    return 0;
}

int pf_cache_read_values(PfCache *cache, int target, float *out, PfError *err)
{
    assert(target >= 0 && target < cache->target_count);
    const Target *from = &cache->targets[target];
    int failed = 0;
    if (!cache->row_count) return 0;
    pf_h5_lock();
    if (H5Dread(from->dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        failed = pf_h5_fail(err, "'%s': cannot read /targets/%s", cache->path, from->info.name);
    pf_h5_unlock();
    return failed;
}

static int read_sample_column(const PfCache *cache, const char *name, hid_t type, void *out,
                              PfError *err)
{
    hid_t dataset;
    if (open_optional(cache, name, &dataset, err)) return -1;
    if (dataset < 0) return pf_fail(err, PF_EXIT_FAILED, "'%s' has no /%s", cache->path, name);
    int failed = cache->row_count && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0;
    if (failed) pf_h5_fail(err, "'%s': cannot read /%s", cache->path, name);
    H5Dclose(dataset);
    return failed ? -1 : 0;
}

int pf_cache_read_file_stats(PfCache *cache, uint64_t *sizes, int64_t *mtimes_ns, PfError *err)
{
    pf_h5_lock();
    int failed =
        read_sample_column(cache, "samples/size", H5T_NATIVE_UINT64, sizes, err) ||
        read_sample_column(cache, "samples/mtime_ns", H5T_NATIVE_INT64, mtimes_ns, err);
    pf_h5_unlock();
    return failed ? -1 : 0;
}

static int read_rows(PfCache *cache, int tap, int64_t first, int64_t count, int as_f32, void *out,
                     int threads, PfError *err)
{
    assert(tap >= 0 && tap < cache->tap_count);
    assert(first >= 0 && count >= 0 && first + count <= cache->row_count);
    return pf_cache_rows_read(&cache->taps[tap], &cache->workers, cache->path, first, count,
                              as_f32, out, threads, err);
}

int pf_cache_read_f32(PfCache *cache, int tap, int64_t first, int64_t count, float *out,
                      int threads, PfError *err)
{
    return read_rows(cache, tap, first, count, 1, out, threads, err);
}

int pf_cache_read(PfCache *cache, int tap, int64_t first, int64_t count, void *out, int threads,
                  PfError *err)
{
    return read_rows(cache, tap, first, count, 0, out, threads, err);
}
