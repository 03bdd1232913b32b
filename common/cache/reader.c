#include "common/cache/internal.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/file/path.h"

/* ---- samples and rejected images ---- */

static int load_texts(const PfCache *cache, const char *name, PfHdf5Texts *texts, PfError *err)
{
    if (cache->child) return pf_cache_remote_texts(cache, name, texts, err);
    return pf_hdf5_contents_texts(&cache->contents, name, texts, err);
}

static int load_column(const PfCache *cache, const char *group, const char *member,
                       PfHdf5Number type, int64_t count, void *out, size_t row_bytes, PfError *err)
{
    if (cache->child)
        return pf_cache_remote_column(cache, group, member, type, count, out, row_bytes, err);
    return pf_hdf5_contents_column(&cache->contents, group, member, type, count, out, row_bytes,
                                   err);
}

static int read_texts(const PfCache *cache, const char *name, int64_t count, PfHdf5Texts *texts,
                      PfError *err)
{
    if (texts->items) return 0;
    if (load_texts(cache, name, texts, err)) return -1;
    if (texts->count == count) return 0;
    pf_fail(err, PF_EXIT_FAILED, "'%s': /%s has %lld strings, expected %lld",
            cache->contents.file.path, name, (long long)texts->count, (long long)count);
    pf_hdf5_texts_free(texts);
    return -1;
}

int pf_cache_has_paths(const PfCache *cache)
{
    return cache->contents.has_paths;
}

int pf_cache_paths(PfCache *cache, const char *const **paths, PfError *err)
{
    if (read_texts(cache, "samples/path", cache->contents.file.row_count, &cache->paths, err))
        return -1;
    *paths = cache->paths.items;
    return 0;
}

/* ---- how files are recognised ---- */

static int read_stamps(const PfCache *cache, const char *group, int64_t count, PfFileStamp *out,
                       PfError *err)
{
    int64_t *column = pf_calloc((size_t)count, sizeof *column, err);
    int failed = !column ||
                 load_column(cache, group, "size", PF_HDF5_I64, count, column, sizeof *column, err);
    for (int64_t i = 0; i < count && !failed; i++) out[i].size_bytes = (uint64_t)column[i];
    failed = failed ||
             load_column(cache, group, "mtime_ns", PF_HDF5_I64, count, column, sizeof *column, err);
    for (int64_t i = 0; i < count && !failed; i++) out[i].mtime_ns = column[i];
    failed = failed ||
             load_column(cache, group, "ctime_ns", PF_HDF5_I64, count, column, sizeof *column, err);
    for (int64_t i = 0; i < count && !failed; i++) out[i].ctime_ns = column[i];
    free(column);
    return failed ? -1 : 0;
}

static int read_digests(const PfCache *cache, const char *group, int64_t count,
                        uint8_t (*out)[PF_DIGEST_SIZE], PfError *err)
{
    return load_column(cache, group, "digest", PF_HDF5_U8, count, out, PF_DIGEST_SIZE, err);
}

int pf_cache_read_stamps(PfCache *cache, PfFileStamp *out, PfError *err)
{
    return read_stamps(cache, "samples", cache->contents.file.row_count, out, err);
}

int pf_cache_read_digests(PfCache *cache, uint8_t (*out)[PF_DIGEST_SIZE], PfError *err)
{
    return read_digests(cache, "samples", cache->contents.file.row_count, out, err);
}

int pf_cache_read_groups(PfCache *cache, uint64_t *out, PfError *err)
{
    return load_column(cache, "samples", "group", PF_HDF5_U64, pf_cache_row_count(cache), out,
                       sizeof *out, err);
}

int pf_cache_find_image_sizes(PfCache *cache, int32_t *widths, int32_t *heights, PfError *err)
{
    int64_t count = cache->contents.file.row_count;
    int failed =
        load_column(cache, "samples", "width", PF_HDF5_I32, count, widths, sizeof *widths, err) ||
        load_column(cache, "samples", "height", PF_HDF5_I32, count, heights, sizeof *heights, err);
    return failed ? -1 : 0;
}

int pf_cache_find_statistics(PfCache *cache, float (*out)[PF_CACHE_STATISTICS], int64_t *known,
                             PfError *err)
{
    int64_t count = cache->contents.file.row_count;
    *known = 0;
    if (load_column(cache, "samples", "statistics", PF_HDF5_F32, count, out, sizeof *out, err))
        return -1;
    for (int64_t i = 0; i < count; i++) {
        bool has = out[i][0] >= 1 && out[i][1] >= 1; /* a file without them has zeros */
        for (int s = 0; s < PF_CACHE_STATISTICS; s++) has &= isfinite(out[i][s]) && out[i][s] >= 0;
        for (int s = 0; s < PF_CACHE_STATISTICS && !has; s++) out[i][s] = NAN;
        *known += has;
    }
    return 0;
}

int pf_cache_find_perceptual_hashes(PfCache *cache, uint64_t *out, PfError *err)
{
    return load_column(cache, "samples", "perceptual_hash", PF_HDF5_U64, pf_cache_row_count(cache),
                       out, sizeof *out, err);
}

int pf_cache_read_image_sizes(PfCache *cache, int32_t *widths, int32_t *heights, PfError *err)
{
    if (pf_cache_find_image_sizes(cache, widths, heights, err)) return -1;
    for (int64_t i = 0; i < cache->contents.file.row_count; i++)
        if (widths[i] < 1 || heights[i] < 1)
            return pf_fail(err, PF_EXIT_FAILED,
                           "'%s' does not say how large the image of row %lld was, which "
                           "/samples/width and /samples/height would. Hint: extract writes them; "
                           "make the cache again (extract --force)",
                           cache->contents.file.path, (long long)i);
    return 0;
}

/* Paths and reasons are read already. */
static int fill_rejects(PfCache *cache, PfError *err)
{
    size_t count = (size_t)cache->contents.rejected_count;
    PfFileStamp *stamps = pf_calloc(count, sizeof *stamps, err);
    uint8_t(*digests)[PF_DIGEST_SIZE] = pf_calloc(count, sizeof *digests, err);
    cache->rejects = pf_calloc(count, sizeof *cache->rejects, err);
    int failed = !stamps || !digests || !cache->rejects ||
                 read_stamps(cache, "rejected", cache->contents.rejected_count, stamps, err) ||
                 read_digests(cache, "rejected", cache->contents.rejected_count, digests, err);
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
    if (!cache->contents.rejected_count) return 0;
    if (!cache->rejects && (read_texts(cache, "rejected/path", cache->contents.rejected_count,
                                       &cache->rejected_paths, err) ||
                            read_texts(cache, "rejected/reason", cache->contents.rejected_count,
                                       &cache->reasons, err) ||
                            fill_rejects(cache, err)))
        return -1;
    *rejects = cache->rejects;
    return 0;
}

/* ---- open and close ---- */

/* What this process opens itself. A seal tells damage, of which HDF5 would crash. */
static bool is_opened_here(const PfCache *cache)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return true; /* a fuzzer is to see what happens */
#endif
    return cache->contents.file.is_sealed;
}

static int open_contents(PfCache *cache, const char *path, PfError *err)
{
    PfHdf5File *file = &cache->contents.file;
    if (pf_hdf5_contents_init(&cache->contents, path, err) ||
        pf_hdf5_preflight(path, &file->size_bytes, err) ||
        pf_cache_seal_check(path, &file->is_sealed, cache->digest, err))
        return -1;
    if (is_opened_here(cache)) return pf_hdf5_contents_open(&cache->contents, err);
    return pf_hdf5_preflight_length(path, err) || pf_cache_remote_open(cache, err) ? -1 : 0;
}

static int open_rows(PfCache *cache, PfError *err)
{
    cache->rows = pf_calloc((size_t)cache->contents.tap_count, sizeof *cache->rows, err);
    if (!cache->rows) return -1;
    for (int t = 0; t < cache->contents.tap_count; t++)
        cache->rows[t] =
            (PfCacheRows){.cache = cache, .tap = t, .stored = &cache->contents.taps[t]};
    return 0;
}

int pf_cache_reader_open_alone(const char *path, PfCache **out, PfError *err)
{
    PfCache *cache = pf_calloc(1, sizeof *cache, err);
    if (!cache) return -1;
    if (open_contents(cache, path, err) || open_rows(cache, err)) {
        pf_cache_close(&cache);
        return -1;
    }
    *out = cache;
    return 0;
}

/* ---- the whole ---- */

int pf_cache_open(const char *path, PfCache **out, PfError *err)
{
    PfCache *cache;
    if (pf_cache_reader_open_alone(path, &cache, err)) return -1;
    if (cache->contents.source_count && pf_cache_sources_open(cache, &cache->sources, err)) {
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
    pf_cache_sources_close(&cache->sources);
    free(cache->rows);
    pf_hdf5_contents_clear(&cache->contents);
    pf_hdf5_texts_free(&cache->paths);
    pf_hdf5_texts_free(&cache->rejected_paths);
    pf_hdf5_texts_free(&cache->reasons);
    pf_cache_child_end(&cache->child);
    pf_cache_rows_free_workers(&cache->workers);
    free(cache->window.rows);
    free(cache->rejects);
    free(cache);
    *pointer = NULL;
}

/* ---- what is in it ---- */

const char *pf_cache_path(const PfCache *cache)
{
    return cache->contents.file.path;
}

int pf_cache_is_sealed(const PfCache *cache)
{
    return cache->contents.file.is_sealed;
}

const uint8_t *pf_cache_seal(const PfCache *cache)
{
    return pf_cache_is_sealed(cache) ? cache->digest : NULL;
}

bool pf_cache_content(const PfCache *cache, uint8_t content[PF_DIGEST_SIZE])
{
    if (!pf_cache_is_sealed(cache)) return false;
    cJSON *provenance = pf_json_read(cache->contents.provenance);
    const char *text = pf_json_member_text(provenance, PF_CACHE_CONTENT_KEY);
    const bool is_named =
        text && strspn(text, "0123456789abcdef") == 2 * PF_DIGEST_SIZE && !text[2 * PF_DIGEST_SIZE];
    memcpy(content, cache->digest, PF_DIGEST_SIZE);
    for (int i = 0; is_named && i < PF_DIGEST_SIZE; i++) sscanf(text + 2 * i, "%2hhx", &content[i]);
    cJSON_Delete(provenance);
    return true;
}

const PfCacheSource *pf_cache_sources(const PfCache *cache, int *count)
{
    *count = cache->contents.source_count;
    return cache->contents.sources;
}

int64_t pf_cache_row_count(const PfCache *cache)
{
    return cache->contents.file.row_count;
}

int pf_cache_tap_count(const PfCache *cache)
{
    return cache->contents.tap_count;
}

const PfCacheTap *pf_cache_tap(const PfCache *cache, int index)
{
    assert(index >= 0 && index < cache->contents.tap_count);
    return &cache->contents.taps[index].info;
}

const PfCacheRows *pf_cache_reader_rows(const PfCache *cache, int tap)
{
    assert(tap >= 0 && tap < cache->contents.tap_count);
    return &cache->rows[tap];
}

int pf_cache_find_tap(const PfCache *cache, const char *name, int *index, PfError *err)
{
    char names[1000] = "";
    for (int t = 0; t < cache->contents.tap_count; t++) {
        const char *known = cache->contents.taps[t].info.name;
        size_t used = strlen(names);
        if (!strcmp(known, name)) {
            *index = t;
            return 0;
        }
        snprintf(names + used, sizeof names - used, "%s%s", t ? ", " : "", known);
    }
    return pf_fail(err, PF_EXIT_FAILED, "'%s' has no features of tap '%s'; there are: %s",
                   cache->contents.file.path, name, names);
}

int pf_cache_target_count(const PfCache *cache)
{
    return cache->contents.target_count;
}

const PfCacheTarget *pf_cache_target(const PfCache *cache, int index)
{
    assert(index >= 0 && index < cache->contents.target_count);
    return &cache->contents.targets[index].info;
}

const char *pf_cache_identity(const PfCache *cache)
{
    return cache->contents.identity;
}

const char *pf_cache_provenance(const PfCache *cache)
{
    return cache->contents.provenance;
}

const uint8_t *pf_cache_splits(const PfCache *cache)
{
    return cache->contents.splits;
}

int64_t pf_cache_rejected_count(const PfCache *cache)
{
    return cache->contents.rejected_count;
}

/* A tap as its own file has it, with the bytes and the filters of its chunks. */
static PfHdf5Tap measure(const PfCacheRows *rows)
{
    PfHdf5Tap tap = *rows->stored;
    if (!rows->cache->child) pf_hdf5_tap_measure(&tap);
    return tap;
}

int pf_cache_tap_storage(PfCache *cache, int tap, int64_t *stored_bytes, char *filters,
                         size_t filters_size, PfError *err)
{
    const PfCacheRows *rows = pf_cache_reader_rows(cache, tap);
    const int64_t row_count = pf_cache_row_count(cache);
    *stored_bytes = 0;
    for (int64_t row = 0; row < row_count || !row;) {
        PfCacheRowsPart part;
        if (pf_cache_rows_hold(rows, row, &part, err)) return -1;
        const PfHdf5Tap measured = measure(part.rows);
        if (!row) snprintf(filters, filters_size, "%s", measured.filters);
        *stored_bytes += measured.stored_bytes;
        pf_cache_rows_release(rows, &part);
        if (!row_count) break;
        row = part.end_row;
    }
    return 0;
}

PfCompression pf_cache_tap_compression(const PfCache *cache, int tap)
{
    const PfCacheRows *rows = pf_cache_reader_rows(cache, tap);
    PfCacheRowsPart part;
    if (pf_cache_rows_hold(rows, 0, &part, NULL)) return PF_COMPRESS_NONE;
    const PfHdf5Tap *stored = part.rows->stored;
    const PfCompression compression =
        stored->is_direct ? stored->format.compression : PF_COMPRESS_NONE;
    pf_cache_rows_release(rows, &part);
    return compression;
}

/* ---- targets ---- */

int pf_cache_read_classes(PfCache *cache, int target, int32_t *out, PfError *err)
{
    (void)err; /* they were read and checked when the file was opened */
    assert(target >= 0 && target < cache->contents.target_count &&
           cache->contents.targets[target].indices);
    memcpy(out, cache->contents.targets[target].indices,
           (size_t)cache->contents.file.row_count * sizeof *out);
    return 0;
}

int pf_cache_read_values(PfCache *cache, int target, float *out, PfError *err)
{
    assert(target >= 0 && target < cache->contents.target_count);
    if (cache->child) return pf_cache_remote_values(cache, target, out, err);
    return pf_hdf5_contents_values(&cache->contents, target, out, err);
}
