#include "feature_cache_reader.h"

#include <assert.h>
#include <fcntl.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "feature_cache_h5.h"
#include "feature_cache_limits.h"
#include "feature_cache_lock.h"
#include "feature_cache_remote.h"
#include "feature_cache_seal.h"
#include "input_file.h"
#include "memory.h"
#include "printable.h"

#define WHAT_SIZE 512

/* ---- taps ---- */

static int open_tap(PfCache *cache, const char *name, PfError *err)
{
    PfCacheRows *rows = &cache->taps[cache->tap_count];
    char full_name[PF_CACHE_NAME_SIZE + 16];
    int64_t width;
    hid_t object;
    snprintf(full_name, sizeof full_name, "features/%s", name);
    if (pf_cache_file_find(&cache->file, full_name, &object, err) ||
        pf_cache_rows_open(object, name, cache->file.path, rows, err))
        return -1;
    if (!cache->tap_count++) {
        cache->file.row_count = rows->row_count;
        cache->file.row_source = rows->tap.name;
    }
    return pf_cache_file_check_rows(&cache->file, full_name, rows->dataset, &width, err);
}

static int open_taps(PfCache *cache, hid_t group, PfError *err)
{
    char what[WHAT_SIZE], (*names)[PF_CACHE_NAME_SIZE];
    int count;
    snprintf(what, sizeof what, "/features of '%s'", cache->file.path);
    if (pf_h5_members(group, what, &names, &count, err)) return -1;
    cache->taps = pf_calloc((size_t)count, sizeof *cache->taps, err);
    int failed = !cache->taps;
    for (int t = 0; t < count && !failed; t++) failed = open_tap(cache, names[t], err);
    free(names);
    if (!failed && !count)
        failed = pf_fail(err, PF_EXIT_FAILED, "'%s' holds no features: /features is empty",
                         cache->file.path);
    return failed;
}

static int open_features(PfCache *cache, PfError *err)
{
    hid_t group;
    if (pf_cache_file_find(&cache->file, "features", &group, err)) return -1;
    if (group < 0 || H5Iget_type(group) != H5I_GROUP)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' holds no features: there is no group /features in it",
                       cache->file.path);
    return open_taps(cache, group, err);
}

/* ---- sources of a virtual cache ---- */

static int link_part(PfCacheRows *rows, const PfCache *source, PfError *err)
{
    int tap;
    if (pf_cache_find_tap(source, rows->tap.name, &tap, err)) return -1;
    const PfCacheRows *there = &source->taps[tap];
    if (there->tap.dtype != rows->tap.dtype || !pf_shape_equal(&there->tap.shape, &rows->tap.shape))
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': /features/%s is of another shape or type than in the virtual cache",
                       source->file.path, rows->tap.name);
    const PfCacheRowsPart *last = rows->parts + rows->part_count - 1;
    rows->parts[rows->part_count] = (PfCacheRowsPart){
        .first_row = rows->part_count ? last->first_row + last->rows->row_count : 0,
        .rows = there,
        .path = source->file.path,
    };
    rows->part_count++;
    return 0;
}

static int link_parts(PfCache *cache, PfError *err)
{
    for (int t = 0; t < cache->tap_count && cache->sources.count; t++) {
        PfCacheRows *rows = &cache->taps[t];
        rows->parts = pf_calloc((size_t)cache->sources.count, sizeof *rows->parts, err);
        if (!rows->parts) return -1;
        for (int i = 0; i < cache->sources.count; i++)
            if (link_part(rows, cache->sources.caches[i], err)) return -1;
    }
    return 0;
}

/* ---- targets ---- */

static int open_targets(PfCache *cache, PfError *err)
{
    hid_t group;
    char what[WHAT_SIZE], (*names)[PF_CACHE_NAME_SIZE];
    int count, failed = 0;
    int64_t bytes = 0;
    if (pf_cache_file_find(&cache->file, "targets", &group, err)) return -1;
    if (group < 0) return 0;
    snprintf(what, sizeof what, "/targets of '%s'", cache->file.path);
    if (pf_h5_members(group, what, &names, &count, err)) return -1;
    cache->targets = pf_calloc((size_t)count, sizeof *cache->targets, err);
    if (!cache->targets) failed = -1;
    for (int t = 0; t < count && !failed; t++) {
        cache->target_count++;
        failed = pf_cache_target_rows_open(&cache->file, names[t], &cache->targets[t], err);
        const PfCacheTargetRows *opened = &cache->targets[t];
        bytes += (int64_t)sizeof *opened + opened->classes.count * (int64_t)sizeof(char *);
        if (opened->indices) bytes += cache->file.row_count * (int64_t)sizeof(int32_t);
        if (!failed) failed = pf_cache_limits_check_sum(&cache->file, "its targets", bytes, err);
    }
    free(names);
    return failed;
}

/* ---- samples and rejected images ---- */

static int read_splits(PfCache *cache, PfError *err)
{
    hid_t dataset;
    int64_t width;
    if (pf_cache_file_find(&cache->file, "samples/split", &dataset, err)) return -1;
    if (dataset < 0) return 0;
    if (pf_cache_file_check_rows(&cache->file, "samples/split", dataset, &width, err)) return -1;
    if (width != 1)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /samples/split is not a list", cache->file.path);
    cache->splits = pf_alloc_aligned((size_t)cache->file.row_count, 1, err);
    if (!cache->splits) return -1;
    if (cache->file.row_count &&
        pf_h5_read(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, cache->splits) < 0)
        return pf_h5_fail(err, "'%s': cannot read /samples/split", cache->file.path);
    for (int64_t i = 0; i < cache->file.row_count; i++)
        if (cache->splits[i] >= PF_SPLIT_COUNT)
            return pf_fail(err, PF_EXIT_FAILED,
                           "'%s': row %lld of /samples/split is %d; expected 0 (train), 1 (val) "
                           "or 2 (test)",
                           cache->file.path, (long long)i, cache->splits[i]);
    return 0;
}

static int check_samples(PfCache *cache, PfError *err)
{
    static const char *const names[] = {"samples/path",     "samples/digest",   "samples/size",
                                        "samples/mtime_ns", "samples/ctime_ns", "samples/width",
                                        "samples/height",   "samples/group"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        hid_t dataset;
        int64_t width;
        if (pf_cache_file_find(&cache->file, names[i], &dataset, err)) return -1;
        if (dataset < 0) continue;
        int failed = pf_cache_file_check_rows(&cache->file, names[i], dataset, &width, err);
        H5Oclose(dataset);
        if (failed) return -1;
        if (i == 0) cache->has_paths = 1;
    }
    return read_splits(cache, err);
}

static int check_rejected(PfCache *cache, PfError *err)
{
    hid_t paths, reasons;
    int64_t width, reason_count;
    if (pf_cache_file_find(&cache->file, "rejected/path", &paths, err) ||
        pf_cache_file_find(&cache->file, "rejected/reason", &reasons, err))
        return -1;
    if (paths < 0 && reasons < 0) return 0;
    cache->rejected_count = pf_cache_file_length(paths, &width);
    reason_count = pf_cache_file_length(reasons, &width);
    if (cache->rejected_count >= 0 && cache->rejected_count == reason_count) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': /rejected/path and /rejected/reason are not lists of one length",
                   cache->file.path);
}

int pf_cache_load_texts(const PfCache *cache, const char *name, PfCacheTexts *texts, PfError *err)
{
    char what[WHAT_SIZE];
    hid_t dataset;
    int failed = 0;
    if (cache->child) return pf_cache_remote_texts(cache, name, texts, err);
    snprintf(what, sizeof what, "/%s of '%s'", name, cache->file.path);
    pf_h5_lock();
    if (pf_cache_file_find(&cache->file, name, &dataset, err)) {
        failed = -1;
    } else if (dataset < 0) {
        failed = pf_fail(err, PF_EXIT_FAILED, "'%s' has no /%s", cache->file.path, name);
    } else {
        failed = pf_cache_texts_read(texts, dataset, what, err);
        H5Oclose(dataset);
    }
    pf_h5_unlock();
    return failed;
}

static int read_texts(const PfCache *cache, const char *name, int64_t count, PfCacheTexts *texts,
                      PfError *err)
{
    if (texts->items) return 0;
    if (pf_cache_load_texts(cache, name, texts, err)) return -1;
    if (texts->count == count) return 0;
    pf_fail(err, PF_EXIT_FAILED, "'%s': /%s has %lld strings, expected %lld", cache->file.path,
            name, (long long)texts->count, (long long)count);
    pf_cache_texts_free(texts);
    return -1;
}

int pf_cache_has_paths(const PfCache *cache)
{
    return cache->has_paths;
}

int pf_cache_paths(PfCache *cache, const char *const **paths, PfError *err)
{
    if (read_texts(cache, "samples/path", cache->file.row_count, &cache->paths, err)) return -1;
    *paths = cache->paths.items;
    return 0;
}

/* ---- how files are recognised ---- */

int pf_cache_load_column(const PfCache *cache, const char *group, const char *member, hid_t type,
                         int64_t count, void *out, size_t row_bytes, PfError *err)
{
    char name[64];
    hid_t dataset;
    int64_t width;
    if (cache->child)
        return pf_cache_remote_column(cache, group, member, type, count, out, row_bytes, err);
    memset(out, 0, (size_t)count * row_bytes);
    snprintf(name, sizeof name, "%s/%s", group, member);
    if (pf_cache_file_find(&cache->file, name, &dataset, err)) return -1;
    if (dataset < 0) return 0;
    int failed = 0;
    if (pf_cache_file_length(dataset, &width) != count ||
        (size_t)width != row_bytes / H5Tget_size(type))
        failed = pf_fail(err, PF_EXIT_FAILED, "'%s': /%s is not shaped for %lld rows",
                         cache->file.path, name, (long long)count);
    else if (count && pf_h5_read(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        failed = pf_h5_fail(err, "'%s': cannot read /%s", cache->file.path, name);
    H5Oclose(dataset);
    return failed;
}

static int read_stamps(const PfCache *cache, const char *group, int64_t count, PfFileStamp *out,
                       PfError *err)
{
    int64_t *column = pf_calloc((size_t)count, sizeof *column, err);
    int failed = !column || pf_cache_load_column(cache, group, "size", H5T_NATIVE_INT64, count,
                                                 column, sizeof *column, err);
    for (int64_t i = 0; i < count && !failed; i++) out[i].size_bytes = (uint64_t)column[i];
    failed = failed || pf_cache_load_column(cache, group, "mtime_ns", H5T_NATIVE_INT64, count,
                                            column, sizeof *column, err);
    for (int64_t i = 0; i < count && !failed; i++) out[i].mtime_ns = column[i];
    failed = failed || pf_cache_load_column(cache, group, "ctime_ns", H5T_NATIVE_INT64, count,
                                            column, sizeof *column, err);
    for (int64_t i = 0; i < count && !failed; i++) out[i].ctime_ns = column[i];
    free(column);
    return failed ? -1 : 0;
}

static int read_digests(const PfCache *cache, const char *group, int64_t count,
                        uint8_t (*out)[PF_DIGEST_SIZE], PfError *err)
{
    return pf_cache_load_column(cache, group, "digest", H5T_NATIVE_UINT8, count, out,
                                PF_DIGEST_SIZE, err);
}

int pf_cache_read_stamps(PfCache *cache, PfFileStamp *out, PfError *err)
{
    pf_h5_lock();
    int failed = read_stamps(cache, "samples", cache->file.row_count, out, err);
    pf_h5_unlock();
    return failed;
}

int pf_cache_read_digests(PfCache *cache, uint8_t (*out)[PF_DIGEST_SIZE], PfError *err)
{
    pf_h5_lock();
    int failed = read_digests(cache, "samples", cache->file.row_count, out, err);
    pf_h5_unlock();
    return failed;
}

int pf_cache_read_groups(PfCache *cache, uint64_t *out, PfError *err)
{
    pf_h5_lock();
    int failed = pf_cache_load_column(cache, "samples", "group", H5T_NATIVE_UINT64,
                                      cache->file.row_count, out, sizeof *out, err);
    pf_h5_unlock();
    return failed;
}

int pf_cache_find_image_sizes(PfCache *cache, int32_t *widths, int32_t *heights, PfError *err)
{
    int64_t count = cache->file.row_count;
    pf_h5_lock();
    int failed = pf_cache_load_column(cache, "samples", "width", H5T_NATIVE_INT32, count, widths,
                                      sizeof *widths, err) ||
                 pf_cache_load_column(cache, "samples", "height", H5T_NATIVE_INT32, count, heights,
                                      sizeof *heights, err);
    pf_h5_unlock();
    return failed ? -1 : 0;
}

int pf_cache_read_image_sizes(PfCache *cache, int32_t *widths, int32_t *heights, PfError *err)
{
    if (pf_cache_find_image_sizes(cache, widths, heights, err)) return -1;
    for (int64_t i = 0; i < cache->file.row_count; i++)
        if (widths[i] < 1 || heights[i] < 1)
            return pf_fail(err, PF_EXIT_FAILED,
                           "'%s' does not say how large the image of row %lld was, which "
                           "/samples/width and /samples/height would. Hint: extract writes them; "
                           "make the cache again (extract --force)",
                           cache->file.path, (long long)i);
    return 0;
}

/* Paths and reasons are read already. */
static int fill_rejects(PfCache *cache, PfError *err)
{
    size_t count = (size_t)cache->rejected_count;
    PfFileStamp *stamps = pf_calloc(count, sizeof *stamps, err);
    uint8_t(*digests)[PF_DIGEST_SIZE] = pf_calloc(count, sizeof *digests, err);
    cache->rejects = pf_calloc(count, sizeof *cache->rejects, err);
    pf_h5_lock();
    int failed = !stamps || !digests || !cache->rejects ||
                 read_stamps(cache, "rejected", cache->rejected_count, stamps, err) ||
                 read_digests(cache, "rejected", cache->rejected_count, digests, err);
    pf_h5_unlock();
    for (size_t i = 0; i < count && !failed; i++) {
        PfCacheReject *reject = &cache->rejects[i];
        reject->path = cache->rejected_paths.items[i];
        reject->reason = cache->reasons.items[i];
        reject->stamp = stamps[i];
        memcpy(reject->digest, digests[i], sizeof reject->digest);
    }
    free(stamps);
    free(digests);
    return failed ? -1 : 0;
}

int pf_cache_rejects(PfCache *cache, const PfCacheReject **rejects, PfError *err)
{
    *rejects = NULL;
    if (!cache->rejected_count) return 0;
    if (!cache->rejects &&
        (read_texts(cache, "rejected/path", cache->rejected_count, &cache->rejected_paths, err) ||
         read_texts(cache, "rejected/reason", cache->rejected_count, &cache->reasons, err) ||
         fill_rejects(cache, err)))
        return -1;
    *rejects = cache->rejects;
    return 0;
}

/* ---- open and close ---- */

static int open_sources(PfCache *cache, PfError *err)
{
    if (pf_cache_sources_read(&cache->file, &cache->sources, err)) return -1;
    cache->file.has_sources = cache->sources.count > 0;
    return 0;
}

int pf_cache_open_contents(PfCache *cache, PfError *err)
{
    if (pf_cache_file_open(&cache->file, err) || open_sources(cache, err) ||
        open_features(cache, err) || open_targets(cache, err) || check_samples(cache, err) ||
        check_rejected(cache, err) ||
        !(cache->identity = pf_cache_file_read_json(&cache->file, "identity", err)) ||
        !(cache->provenance = pf_cache_file_read_json(&cache->file, "provenance", err)))
        return -1;
    /* What could not be read must not pass for what the file does not have. */
    return pf_h5_has_failed() ? pf_h5_fail(err, "'%s': cannot be read", cache->file.path) : 0;
}

/* What this process opens itself. A seal tells damage, of which HDF5 would crash. */
static int is_opened_here(const PfCache *cache)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return 1; /* a fuzzer is to see what happens */
#endif
    return cache->file.seal == PF_SEAL_INTACT;
}

/* Before gigabytes of holes are looked at for a seal. */
static int check_holes(PfCacheFile *file, PfError *err)
{
    struct stat status;
    PfError holes;
    int fd = pf_input_try(AT_FDCWD, file->path, &status);
    if (fd < 0) return 0; /* others say why */
    file->size_bytes = status.st_size;
    int failed = pf_check_holes(fd, status.st_size, &holes);
    close(fd);
    return failed ? pf_fail(err, PF_EXIT_FAILED, "cache '%s': %" PF_SENTENCE, file->path,
                            holes.message)
                  : 0;
}

PfCache *pf_cache_new(const char *path, PfError *err)
{
    PfCache *cache = pf_calloc(1, sizeof *cache, err);
    if (!cache) return NULL;
    cache->file.id = H5I_INVALID_HID;
    cache->file.path = pf_strdup(path, err);
    if (!cache->file.path) pf_cache_close(&cache);
    return cache;
}

int pf_cache_open_alone(const char *path, PfCache **out, PfError *err)
{
    PfCache *cache = pf_cache_new(path, err);
    if (!cache) return -1;
    /* What is being written has holes, no seal or no end yet, and is not damaged. */
    int failed = pf_cache_lock_check(path, err) || pf_h5_check_memory(err) ||
                 check_holes(&cache->file, err) ||
                 pf_cache_seal_check(path, &cache->file.seal, cache->file.digest, err);
    if (!failed && !is_opened_here(cache)) failed = pf_cache_file_check_length(path, err);
    if (!failed) {
        pf_h5_lock();
        failed = is_opened_here(cache) ? pf_cache_open_contents(cache, err)
                                       : pf_cache_remote_start(cache, err);
        pf_h5_unlock();
    }
    if (!failed && cache->child) failed = pf_cache_remote_open(cache, err);
    if (failed) {
        pf_cache_close(&cache);
        return -1;
    }
    *out = cache;
    return 0;
}

int pf_cache_open(const char *path, PfCache **out, PfError *err)
{
    PfCache *cache;
    if (pf_cache_open_alone(path, &cache, err)) return -1;
    if (pf_cache_sources_open(&cache->file, &cache->sources, err) || link_parts(cache, err)) {
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
    for (int t = 0; t < cache->tap_count; t++) free(cache->taps[t].parts);
    pf_cache_sources_free(&cache->sources);
    if (cache->file.id >= 0) {
        pf_h5_lock();
        H5Fclose(cache->file.id); /* and with it everything that was opened in it */
        pf_h5_unlock();
    }
    for (int t = 0; t < cache->target_count; t++) pf_cache_target_rows_free(&cache->targets[t]);
    pf_cache_texts_free(&cache->paths);
    pf_cache_texts_free(&cache->rejected_paths);
    pf_cache_texts_free(&cache->reasons);
    pf_cache_child_end(&cache->child);
    pf_rows_workers_free(&cache->workers);
    free(cache->window.rows);
    free(cache->targets);
    free(cache->taps);
    free(cache->splits);
    free(cache->rejects);
    free(cache->identity);
    free(cache->provenance);
    free(cache->file.path);
    free(cache);
    *pointer = NULL;
}

/* ---- what is in it ---- */

const char *pf_cache_path(const PfCache *cache)
{
    return cache->file.path;
}

int pf_cache_is_sealed(const PfCache *cache)
{
    return cache->file.seal == PF_SEAL_INTACT;
}

const uint8_t *pf_cache_seal(const PfCache *cache)
{
    return pf_cache_is_sealed(cache) ? cache->file.digest : NULL;
}

const PfCacheSource *pf_cache_sources(const PfCache *cache, int *count)
{
    *count = cache->sources.count;
    return cache->sources.items;
}

int64_t pf_cache_row_count(const PfCache *cache)
{
    return cache->file.row_count;
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

const PfCacheRows *pf_cache_tap_rows(const PfCache *cache, int tap)
{
    assert(tap >= 0 && tap < cache->tap_count);
    return &cache->taps[tap];
}

PfRowWindow *pf_cache_row_window(PfCache *cache)
{
    return &cache->window;
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
                   cache->file.path, name, names);
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
    *stored_bytes = pf_cache_rows_stored_bytes(&cache->taps[tap]);
    pf_cache_rows_filters(&cache->taps[tap], filters, filters_size);
    pf_h5_unlock();
    return 0;
}

PfCompression pf_cache_tap_compression(const PfCache *cache, int tap)
{
    assert(tap >= 0 && tap < cache->tap_count);
    const PfCacheRows *rows = &cache->taps[tap];
    if (rows->part_count) rows = rows->parts[0].rows;
    return rows->is_direct ? rows->format.compression : PF_COMPRESS_NONE;
}

/* ---- numbers ---- */

int pf_cache_read_classes(PfCache *cache, int target, int32_t *out, PfError *err)
{
    (void)err; /* they were read and checked when the file was opened */
    assert(target >= 0 && target < cache->target_count && cache->targets[target].indices);
    memcpy(out, cache->targets[target].indices, (size_t)cache->file.row_count * sizeof *out);
    return 0;
}

int pf_cache_read_values(PfCache *cache, int target, float *out, PfError *err)
{
    assert(target >= 0 && target < cache->target_count);
    if (cache->child) return pf_cache_remote_values(cache, target, out, err);
    pf_h5_lock();
    int failed = pf_cache_target_rows_read(&cache->file, &cache->targets[target], out, err);
    pf_h5_unlock();
    return failed;
}

static int read_rows(PfCache *cache, int tap, int64_t first, int64_t count, int as_f32, void *out,
                     int threads, PfError *err)
{
    assert(tap >= 0 && tap < cache->tap_count);
    assert(first >= 0 && count >= 0 && first + count <= cache->file.row_count);
    return pf_cache_rows_read(&cache->taps[tap], &cache->workers, cache->file.path, first, count,
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
