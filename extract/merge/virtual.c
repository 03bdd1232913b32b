/* The files that --merge --virtual refers to. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/memory.h"
#include "common/file/path.h"
#include "extract/merge/internal.h"

/* ---- the sources ---- */

static int add_source(PfMergeSources *sources, const char *output, const char *path, int64_t rows,
                      const uint8_t *seal, PfError *err)
{
    char *relative = pf_path_relative(output, path, err);
    if (!relative) return -1;
    PfCacheSource *source = &sources->items[sources->count];
    *source = (PfCacheSource){.path = relative, .row_count = rows};
    memcpy(source->seal, seal, sizeof source->seal);
    sources->paths[sources->count++] = relative;
    return 0;
}

static int add_file(PfMergeSources *sources, const char *output, const PfCache *cache, PfError *err)
{
    const uint8_t *seal = pf_cache_seal(cache);
    if (!seal)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' has no seal, as extract writes it, so a later change of it would go "
                       "unnoticed.\nHint: merge without --virtual",
                       pf_cache_path(cache));
    return add_source(sources, output, pf_cache_path(cache), pf_cache_row_count(cache), seal, err);
}

static int add_source_of(PfMergeSources *sources, const char *output, const PfCache *cache,
                         const PfCacheSource *source, PfError *err)
{
    char *path = pf_path_resolve(pf_cache_path(cache), source->path, err);
    int failed = !path || add_source(sources, output, path, source->row_count, source->seal, err);
    free(path);
    return failed ? -1 : 0;
}

static int make_room(PfMergeSources *sources, size_t more, PfError *err)
{
    const size_t needed = (size_t)sources->count + more;
    return pf_grow(&sources->items, &sources->capacity, needed, sizeof *sources->items, err) ||
                   pf_grow(&sources->paths, &sources->path_capacity, needed, sizeof *sources->paths,
                           err)
               ? -1
               : 0;
}

int pf_merge_sources_new(PfMergeInputs *inputs, const char *output, PfMergeSources *sources,
                         PfError *err)
{
    *sources = (PfMergeSources){0};
    for (int i = 0; i < inputs->count; i++) {
        int count;
        const PfMergeInput *input = pf_merge_inputs_get(inputs, i, err);
        if (!input) return -1;
        const PfCache *cache = input->cache;
        const PfCacheSource *own = pf_cache_sources(cache, &count);
        if (make_room(sources, count ? (size_t)count : 1, err)) return -1;
        if (!count && add_file(sources, output, cache, err)) return -1;
        for (int s = 0; s < count; s++)
            if (add_source_of(sources, output, cache, &own[s], err)) return -1;
    }
    return 0;
}

/* Cuts `folder` down to where it holds `path` too, or makes it the folder of that. */
static char *widen(char *folder, const char *path)
{
    size_t common = 0, i = 0, length = (size_t)(strrchr(path, '/') - path);
    if (!folder) return strndup(path, length ? length : 1);
    for (; folder[i] && i < length && folder[i] == path[i]; i++)
        if (folder[i] == '/') common = i;
    if ((!folder[i] || folder[i] == '/') && (i == length || path[i] == '/')) common = i;
    folder[common ? common : 1] = '\0';
    return folder;
}

char *pf_merge_sources_outside(const PfMergeSources *sources, const char *output)
{
    char *folder = NULL, *own = realpath(output, NULL);
    size_t length = own ? (size_t)(strrchr(own, '/') - own) + 1 : 0;
    for (int i = 0; i < sources->count && own; i++) {
        char *path = pf_path_resolve(own, sources->paths[i], NULL);
        char *real = path ? realpath(path, NULL) : NULL;
        if (real && strncmp(real, own, length) != 0) folder = widen(folder, real);
        free(real);
        free(path);
    }
    free(own);
    return folder;
}

void pf_merge_sources_free(PfMergeSources *sources)
{
    for (int i = 0; i < sources->count; i++) free(sources->paths[i]);
    free(sources->paths);
    free(sources->items);
    *sources = (PfMergeSources){0};
}

/* ---- the output ---- */

static int check_not_source(const PfCache *cache, const char *output, PfError *err)
{
    int count;
    bool found = false;
    const PfCacheSource *sources = pf_cache_sources(cache, &count);
    for (int i = 0; i < count && !found; i++) {
        char *path = pf_path_resolve(pf_cache_path(cache), sources[i].path, NULL);
        found = path && pf_path_same(output, path);
        free(path);
    }
    if (!found) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--merge: '%s' is the output, and what the virtual cache '%s' refers to", output,
                   pf_cache_path(cache));
}

int pf_merge_check_output(PfMergeInputs *inputs, const char *output, PfError *err)
{
    struct stat status;
    if (stat(output, &status)) return 0; /* nothing is there */
    for (int i = 0; i < inputs->count; i++) {
        if (pf_path_same(output, inputs->items[i].path))
            return pf_fail(err, PF_EXIT_USAGE, "--merge: '%s' is the output and an input", output);
        const PfMergeInput *input = pf_merge_inputs_get(inputs, i, err);
        if (!input || check_not_source(input->cache, output, err)) return -1;
    }
    return 0;
}
