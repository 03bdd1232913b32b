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

static int add_file(PfMergeSources *sources, const char *output, const PfMergeInput *input,
                    PfError *err)
{
    if (!input->is_sealed)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' has no seal, as extract writes it, so a later change of it would go "
                       "unnoticed.\nHint: merge without --virtual",
                       input->path);
    return add_source(sources, output, input->path, input->row_count, input->seal, err);
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

int pf_merge_sources_note(PfMergeInput *input, PfError *err)
{
    int count;
    const PfCacheSource *own = pf_cache_sources(input->cache, &count);
    if (!count) return 0;
    input->sources = pf_calloc((size_t)count, sizeof *input->sources, err);
    input->source_paths = pf_calloc((size_t)count, sizeof *input->source_paths, err);
    if (!input->sources || !input->source_paths) return -1;
    for (int s = 0; s < count; s++) {
        char *path = pf_path_resolve(pf_cache_path(input->cache), own[s].path, err);
        if (!path) return -1;
        input->sources[s] = own[s];
        input->sources[s].path = input->source_paths[s] = path;
        input->source_count++;
    }
    return 0;
}

int pf_merge_sources_new(const PfMergeInputs *inputs, const char *output, PfMergeSources *sources,
                         PfError *err)
{
    *sources = (PfMergeSources){0};
    for (int i = 0; i < inputs->count; i++) {
        const PfMergeInput *input = &inputs->items[i];
        const int count = input->source_count;
        if (make_room(sources, count ? (size_t)count : 1, err)) return -1;
        if (!count && add_file(sources, output, input, err)) return -1;
        for (int s = 0; s < count; s++) {
            const PfCacheSource *own = &input->sources[s];
            if (add_source(sources, output, own->path, own->row_count, own->seal, err)) return -1;
        }
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

static int check_not_source(const PfMergeInput *input, const char *output, PfError *err)
{
    for (int s = 0; s < input->source_count; s++)
        if (pf_path_same(output, input->sources[s].path))
            return pf_fail(err, PF_EXIT_USAGE,
                           "--merge: '%s' is the output, and what the virtual cache '%s' refers to",
                           output, input->path);
    return 0;
}

int pf_merge_check_output(const PfMergeInputs *inputs, const char *output, PfError *err)
{
    struct stat status;
    if (stat(output, &status)) return 0; /* nothing is there */
    for (int i = 0; i < inputs->count; i++) {
        const PfMergeInput *input = &inputs->items[i];
        if (pf_path_same(output, input->path))
            return pf_fail(err, PF_EXIT_USAGE, "--merge: '%s' is the output and an input", output);
        if (check_not_source(input, output, err)) return -1;
    }
    return 0;
}
