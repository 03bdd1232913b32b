/* The caches that a virtual one takes its features from: found when it is opened, opened when they
 * are read, and only so many at a time. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/internal.h"
#include "common/file/path.h"

/* So many stay open. A virtual cache of no more opens, and checks, all of them at once; of more
 * each is known by the digest at its end until it is opened. */
#define MOST_OPEN 32
/* More than so many rows are in files that have at least as many bytes. */
#define MOST_ROWS 1000000

typedef struct Source {
    PfCache *cache; /* NULL: it is not open */
    int64_t first_row;
    int64_t used; /* when it was held last */
    int holders;
} Source;

struct PfCacheSources {
    const PfCache *owner; /* the virtual cache */
    pthread_mutex_t lock;
    Source *items; /* (contents.source_count) */
    int *open;     /* (open_count) which of them are open */
    int open_count;
    size_t open_capacity;
    int64_t clock;
};

/* ---- what is wrong with one ---- */

static const PfCacheSource *expected_of(const PfCache *owner, int index)
{
    return &owner->contents.sources[index];
}

/* Which rows a source was to give. */
static int fail_source(const PfCacheSources *sources, int index, const char *path,
                       const char *wrong, PfError *err)
{
    const int64_t first = sources->items[index].first_row;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is virtual: its rows %lld to %lld lie in '%s', and %" PF_SENTENCE,
                   pf_cache_path(sources->owner), (long long)first,
                   (long long)(first + expected_of(sources->owner, index)->row_count - 1), path,
                   wrong);
}

static int fail_missing(const PfCacheSources *sources, int index, PfError *err)
{
    const PfCache *owner = sources->owner;
    char *path = pf_path_resolve(pf_cache_path(owner), expected_of(owner, index)->path, err);
    if (path)
        fail_source(sources, index, path,
                    "that file is not there.\nHint: move it together with the virtual one", err);
    free(path);
    return -1;
}

static int check_seal(const PfCacheSources *sources, int index, const char *path,
                      const uint8_t *seal, PfError *err)
{
    const PfCacheSource *expected = expected_of(sources->owner, index);
    if (seal && !memcmp(seal, expected->seal, PF_DIGEST_SIZE)) return 0;
    return fail_source(sources, index, path,
                       "that file has been written again since.\nHint: merge once more, with "
                       "--force",
                       err);
}

/* Whether it has the tap as the virtual cache has it. */
static int check_tap(const PfCache *source, const PfCacheTap *tap, PfError *err)
{
    int index;
    if (pf_cache_find_tap(source, tap->name, &index, err)) return -1;
    const PfCacheTap *found = pf_cache_tap(source, index);
    if (found->dtype == tap->dtype && pf_shape_equal(&found->shape, &tap->shape)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': /features/%s is of another shape or type than in the virtual cache",
                   pf_cache_path(source), tap->name);
}

static int check_source(const PfCacheSources *sources, int index, PfError *err)
{
    const PfCache *owner = sources->owner, *source = sources->items[index].cache;
    const char *path = pf_cache_path(source);
    if (check_seal(sources, index, path, pf_cache_seal(source), err)) return -1;
    if (pf_cache_row_count(source) != expected_of(owner, index)->row_count)
        return check_seal(sources, index, path, NULL, err);
    if (source->contents.source_count)
        return fail_source(sources, index, path, "that file is virtual itself", err);
    for (int t = 0; t < pf_cache_tap_count(owner); t++)
        if (check_tap(source, pf_cache_tap(owner, t), err)) return -1;
    return 0;
}

/* ---- one is opened ---- */

/* *path is malloc'ed. */
static int find_file(const PfCacheSources *sources, int index, char **path, PfError *err)
{
    const PfCache *owner = sources->owner;
    if (pf_hdf5_outside_find(pf_cache_path(owner), expected_of(owner, index)->path, path, err))
        return -1;
    return *path ? 0 : fail_missing(sources, index, err);
}

/* The one that was held last of those that nobody holds makes room; where all are held there are
 * as many open as there are threads. */
static int make_room(PfCacheSources *sources, PfError *err)
{
    int oldest = -1;
    for (int i = 0; i < sources->open_count && sources->open_count >= MOST_OPEN; i++) {
        const Source *source = &sources->items[sources->open[i]];
        if (!source->holders &&
            (oldest < 0 || source->used < sources->items[sources->open[oldest]].used))
            oldest = i;
    }
    if (oldest >= 0) {
        pf_cache_close(&sources->items[sources->open[oldest]].cache);
        sources->open[oldest] = sources->open[--sources->open_count];
    }
    return pf_grow(&sources->open, &sources->open_capacity, (size_t)sources->open_count + 1,
                   sizeof *sources->open, err);
}

static int open_source(PfCacheSources *sources, int index, PfError *err)
{
    char *path;
    Source *source = &sources->items[index];
    if (source->cache) return 0;
    if (find_file(sources, index, &path, err)) return -1;
    int failed = make_room(sources, err) || pf_cache_reader_open_alone(path, &source->cache, err);
    free(path);
    if (failed) return -1;
    if (check_source(sources, index, err)) {
        pf_cache_close(&source->cache);
        return -1;
    }
    sources->open[sources->open_count++] = index;
    return 0;
}

const PfCache *pf_cache_sources_hold(PfCacheSources *sources, int index, PfError *err)
{
    Source *source = &sources->items[index];
    pthread_mutex_lock(&sources->lock);
    const PfCache *cache = open_source(sources, index, err) ? NULL : source->cache;
    if (cache) {
        source->holders++;
        source->used = ++sources->clock;
    }
    pthread_mutex_unlock(&sources->lock);
    return cache;
}

void pf_cache_sources_release(PfCacheSources *sources, int index)
{
    pthread_mutex_lock(&sources->lock);
    sources->items[index].holders--;
    pthread_mutex_unlock(&sources->lock);
}

/* ---- all of them ---- */

/* That the file is there and ends with the digest of the one that was merged. */
static int look_at(PfCacheSources *sources, int index, int64_t *bytes, PfError *err)
{
    char *path;
    struct stat status = {0};
    uint8_t seal[PF_DIGEST_SIZE];
    bool is_sealed;
    if (find_file(sources, index, &path, err)) return -1;
    int failed = pf_cache_seal_read(path, &is_sealed, seal, err) ||
                 check_seal(sources, index, path, is_sealed ? seal : NULL, err);
    if (!failed && !stat(path, &status)) *bytes += status.st_size;
    free(path);
    return failed ? -1 : 0;
}

static int find_all(PfCacheSources *sources, PfError *err)
{
    const PfHdf5Contents *contents = &sources->owner->contents;
    int64_t rows = 0, bytes = 0;
    for (int i = 0; i < contents->source_count; i++) {
        sources->items[i].first_row = rows;
        if (contents->sources[i].row_count < 0 ||
            __builtin_add_overflow(rows, contents->sources[i].row_count, &rows))
            return pf_fail(err, PF_EXIT_FAILED, "'%s': /sources/rows is wrong",
                           contents->file.path);
    }
    for (int i = 0; i < contents->source_count; i++)
        if (contents->source_count <= MOST_OPEN ? open_source(sources, i, err)
                                                : look_at(sources, i, &bytes, err))
            return -1;
    if (contents->source_count > MOST_OPEN && rows > MOST_ROWS && rows > bytes)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s': /sources has more rows than its files have bytes",
                       contents->file.path);
    if (rows == contents->file.row_count) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s': its sources have %lld rows, /features/%s has %lld",
                   contents->file.path, (long long)rows, contents->file.row_source,
                   (long long)contents->file.row_count);
}

int pf_cache_sources_open(const PfCache *owner, PfCacheSources **out, PfError *err)
{
    PfCacheSources *sources = *out = pf_calloc(1, sizeof *sources, err);
    if (!sources) return -1;
    sources->owner = owner;
    pthread_mutex_init(&sources->lock, NULL);
    sources->items = pf_calloc((size_t)owner->contents.source_count, sizeof *sources->items, err);
    return !sources->items || find_all(sources, err) ? -1 : 0;
}

void pf_cache_sources_close(PfCacheSources **pointer)
{
    PfCacheSources *sources = *pointer;
    if (!sources) return;
    for (int i = 0; sources->items && i < sources->owner->contents.source_count; i++) {
        assert(!sources->items[i].holders);
        pf_cache_close(&sources->items[i].cache);
    }
    pthread_mutex_destroy(&sources->lock);
    free(sources->open);
    free(sources->items);
    free(sources);
    *pointer = NULL;
}

int pf_cache_sources_find(const PfCacheSources *sources, int64_t row)
{
    int low = 0, high = sources->owner->contents.source_count;
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        if (sources->items[middle].first_row <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void pf_cache_sources_range(const PfCacheSources *sources, int index, int64_t *first, int64_t *end)
{
    *first = sources->items[index].first_row;
    *end = *first + expected_of(sources->owner, index)->row_count;
}
