#include "feature_cache_virtual_sources.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feature_cache_h5.h"
#include "feature_cache_outside.h"
#include "memory.h"
#include "path.h"

#define WHAT_SIZE 512
/* One HDF5 file each. */
#define MAX_SOURCES 65536

/* ---- the group ---- */

/* A dataset (count) or (count, width) of whole numbers. */
static int read_numbers(const PfCacheFile *file, const char *name, hid_t type, int64_t count,
                        int64_t width, void *out, PfError *err)
{
    hid_t dataset;
    int64_t found;
    if (pf_cache_file_find(file, name, &dataset, err)) return -1;
    int failed = 0;
    if (dataset < 0 || pf_cache_file_length(dataset, &found) != count || found != width)
        failed = pf_fail(err, PF_EXIT_FAILED,
                         "'%s': /%s is missing, or not shaped for the %lld files of /sources/path",
                         file->path, name, (long long)count);
    else if (pf_h5_read(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
        failed = pf_h5_fail(err, "'%s': cannot read /%s", file->path, name);
    if (dataset >= 0) H5Oclose(dataset);
    return failed;
}

static int read_columns(const PfCacheFile *file, PfCacheSources *sources, PfError *err)
{
    size_t count = (size_t)sources->paths.count;
    int64_t *rows = pf_calloc(count, sizeof *rows, err);
    uint8_t(*seals)[PF_DIGEST_SIZE] = pf_calloc(count, sizeof *seals, err);
    sources->items = pf_calloc(count, sizeof *sources->items, err);
    sources->caches = pf_calloc(count, sizeof *sources->caches, err);
    int failed =
        !rows || !seals || !sources->items || !sources->caches ||
        read_numbers(file, "sources/rows", H5T_NATIVE_INT64, (int64_t)count, 1, rows, err) ||
        read_numbers(file, "sources/seal", H5T_NATIVE_UINT8, (int64_t)count, PF_DIGEST_SIZE, seals,
                     err);
    for (size_t i = 0; i < count && !failed; i++) {
        sources->items[i] = (PfCacheSource){sources->paths.items[i], rows[i], {0}};
        memcpy(sources->items[i].seal, seals[i], sizeof seals[i]);
    }
    free(seals);
    free(rows);
    if (!failed) sources->count = (int)count;
    return failed ? -1 : 0;
}

int pf_cache_sources_read(const PfCacheFile *file, PfCacheSources *sources, PfError *err)
{
    char what[WHAT_SIZE];
    hid_t paths;
    if (pf_cache_file_find(file, "sources/path", &paths, err)) return -1;
    if (paths < 0) return 0;
    snprintf(what, sizeof what, "/sources/path of '%s'", file->path);
    int failed = pf_cache_texts_read(&sources->paths, paths, what, err);
    H5Oclose(paths);
    if (failed) return -1;
    if (sources->paths.count < 1 || sources->paths.count > MAX_SOURCES)
        return pf_fail(err, PF_EXIT_FAILED, "%s names %lld files", what,
                       (long long)sources->paths.count);
    return read_columns(file, sources, err);
}

/* ---- the caches ---- */

/* Which rows a source was to give. */
static int fail_source(const PfCacheFile *file, const PfCacheSources *sources, int index,
                       const char *path, const char *wrong, PfError *err)
{
    int64_t first = 0;
    for (int i = 0; i < index; i++) first += sources->items[i].row_count;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is virtual: its rows %lld to %lld lie in '%s', and %s", file->path,
                   (long long)first, (long long)(first + sources->items[index].row_count - 1), path,
                   wrong);
}

static int fail_missing(const PfCacheFile *file, const PfCacheSources *sources, int index,
                        PfError *err)
{
    char *path = pf_resolve_path(file->path, sources->items[index].path, err);
    if (path)
        fail_source(file, sources, index, path,
                    "that file is not there.\nHint: move it together with the virtual one", err);
    free(path);
    return -1;
}

static int check_source(const PfCacheFile *file, const PfCacheSources *sources, int index,
                        PfError *err)
{
    const PfCacheSource *source = &sources->items[index];
    const PfCache *cache = sources->caches[index];
    const uint8_t *seal = pf_cache_seal(cache);
    int count;
    if (!seal || memcmp(seal, source->seal, PF_DIGEST_SIZE) ||
        pf_cache_row_count(cache) != source->row_count)
        return fail_source(file, sources, index, pf_cache_path(cache),
                           "that file has been written again since.\nHint: merge once more, with "
                           "--force",
                           err);
    pf_cache_sources(cache, &count);
    return count ? fail_source(file, sources, index, pf_cache_path(cache),
                               "that file is virtual itself", err)
                 : 0;
}

static int open_source(const PfCacheFile *file, PfCacheSources *sources, int index, PfError *err)
{
    char *path;
    int failed;
    if (pf_cache_outside_find_source(file, sources->items[index].path, &path, err)) return -1;
    if (!path)
        failed = fail_missing(file, sources, index, err);
    else
        failed = pf_cache_open_alone(path, &sources->caches[index], err) ||
                 check_source(file, sources, index, err);
    free(path);
    return failed ? -1 : 0;
}

int pf_cache_sources_open(const PfCacheFile *file, PfCacheSources *sources, PfError *err)
{
    int64_t rows = 0;
    for (int i = 0; i < sources->count; i++) {
        if (open_source(file, sources, i, err)) return -1;
        rows += sources->items[i].row_count;
    }
    if (!sources->count || rows == file->row_count) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s': its sources have %lld rows, /features/%s has %lld",
                   file->path, (long long)rows, file->row_source, (long long)file->row_count);
}

void pf_cache_sources_free(PfCacheSources *sources)
{
    for (int i = 0; i < sources->count; i++) pf_cache_close(&sources->caches[i]);
    pf_cache_texts_free(&sources->paths);
    free(sources->items);
    free(sources->caches);
    *sources = (PfCacheSources){0};
}
