#include "extract/shard/parts.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/printable.h"
#include "extract/shard/scheduler.h"

#define SUFFIX ".h5"
#define BETWEEN "-of-"
#define MOST_PARTS 1000000

/* ---- names ---- */

char *pf_parts_path(const char *output, PfShard shard, PfError *err)
{
    return pf_asprintf(err, "%s.parts/%lld" BETWEEN "%lld" SUFFIX, output, (long long)shard.number,
                       (long long)shard.count);
}

int pf_parts_make_folder(const char *output, PfError *err)
{
    char *folder = pf_asprintf(err, "%s.parts", output);
    if (!folder) return -1;
    int failed = mkdir(folder, 0777) && errno != EEXIST &&
                 pf_fail_errno(err, "the folder '%s' cannot be made", folder);
    free(folder);
    return failed ? -1 : 0;
}

void pf_parts_remove_empty_folder(const char *output)
{
    char *folder = pf_asprintf(NULL, "%s.parts", output);
    if (folder) rmdir(folder);
    free(folder);
}

/* The shard whose cache has that name; {0, 0}: it is none of theirs. */
static PfShard shard_of_name(const char *name)
{
    const PfShard none = {0};
    const char *between = strstr(name, BETWEEN), *suffix = strrchr(name, '.');
    uint64_t number, count;
    if (!between || !suffix || strcmp(suffix, SUFFIX) || suffix < between) return none;
    const char *second = between + strlen(BETWEEN);
    if (pf_options_read_unsigned(name, (size_t)(between - name), &number) ||
        pf_options_read_unsigned(second, (size_t)(suffix - second), &count))
        return none;
    if (!number || number > count || count > MOST_PARTS) return none;
    return (PfShard){(int64_t)number, (int64_t)count};
}

/* ---- what lies in a folder ---- */

static bool is_cache_name(const char *name)
{
    const char *suffix = strrchr(name, '.');
    return *name != '.' && suffix && !strcmp(suffix, SUFFIX);
}

static int add_part(PfParts *parts, const char *folder, const char *name, PfError *err)
{
    PfShard shard = shard_of_name(name);
    if (!shard.count) {
        parts->others += is_cache_name(name);
        return 0;
    }
    if (!parts->paths) {
        parts->paths = pf_calloc((size_t)shard.count, sizeof *parts->paths, err);
        if (!parts->paths) return -1;
        parts->count = shard.count;
    }
    if (shard.count != parts->count)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' holds shards of %lld and shards of %lld: those of one number belong "
                       "together.\nHint: move the others elsewhere",
                       folder, (long long)parts->count, (long long)shard.count);
    char **path = &parts->paths[shard.number - 1];
    free(*path);
    *path = pf_asprintf(err, "%s/%s", folder, name);
    return *path ? 0 : -1;
}

typedef int Visit(void *context, const char *folder, const char *name, PfError *err);

static int visit_folder(const char *folder, Visit *visit, void *context, PfError *err)
{
    DIR *stream = opendir(folder);
    if (!stream) return pf_fail_errno(err, "the folder '%s' cannot be read", folder);
    int failed = 0;
    errno = 0;
    for (struct dirent *entry; !failed && (entry = readdir(stream)); errno = 0)
        failed = visit(context, folder, entry->d_name, err);
    if (!failed && errno) failed = pf_fail_errno(err, "the folder '%s' cannot be read", folder);
    closedir(stream);
    return failed;
}

static int visit_part(void *context, const char *folder, const char *name, PfError *err)
{
    return add_part(context, folder, name, err);
}

static int find_parts(const char *folder, PfParts *parts, PfError *err)
{
    *parts = (PfParts){0};
    return visit_folder(folder, visit_part, parts, err);
}

int pf_parts_list(const char *folder, PfParts *parts, PfError *err)
{
    if (find_parts(folder, parts, err)) return -1;
    if (parts->count) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' holds no shards: none of its files is named K-of-N.h5, as extract --shard "
                   "auto/N and any/N name them",
                   folder);
}

void pf_parts_free(PfParts *parts)
{
    for (int64_t i = 0; i < parts->count; i++) free(parts->paths[i]);
    free(parts->paths);
    *parts = (PfParts){0};
}

/* ---- what is missing ---- */

/* The batch system that made some part of them, as their provenance says. */
typedef struct Origin {
    char variable[64]; /* "": none */
    long long base;
} Origin;

static void note_origin(const cJSON *provenance, Origin *origin)
{
    const cJSON *scheduler = cJSON_GetObjectItemCaseSensitive(provenance, "scheduler");
    const char *variable = pf_json_member_text(scheduler, "variable");
    const cJSON *base = cJSON_GetObjectItemCaseSensitive(scheduler, "base");
    if (*origin->variable || !variable || !pf_json_is_whole(base, 0, 1e15)) return;
    snprintf(origin->variable, sizeof origin->variable, "%s", variable);
    origin->base = (long long)base->valuedouble;
}

static bool is_of_shard(const cJSON *provenance, PfShard shard)
{
    const cJSON *pair = cJSON_GetObjectItemCaseSensitive(provenance, "shard");
    const cJSON *number = cJSON_GetArrayItem(pair, 0), *count = cJSON_GetArrayItem(pair, 1);
    return cJSON_IsNumber(number) && cJSON_IsNumber(count) &&
           number->valuedouble == (double)shard.number && count->valuedouble == (double)shard.count;
}

/* Whether the file is the cache of that shard; warns where something else is there. */
static bool is_whole(const char *path, PfShard shard, Origin *origin)
{
    PfCache *cache;
    PfError err = {0};
    if (pf_cache_open(path, &cache, &err)) {
        pf_warn("%" PF_SENTENCE, err.message);
        return false;
    }
    cJSON *provenance = pf_json_read(pf_cache_provenance(cache));
    const bool is_right = is_of_shard(provenance, shard);
    note_origin(provenance, origin);
    if (!is_right)
        pf_warn("'%s' is not shard %lld of %lld, as its name says", path, (long long)shard.number,
                (long long)shard.count);
    cJSON_Delete(provenance);
    pf_cache_close(&cache);
    return is_right;
}

static int print_missing(const PfParts *parts, const char *folder, FILE *out, PfError *err)
{
    Origin origin = {0};
    int64_t count = 0, *numbers = pf_calloc((size_t)parts->count, sizeof *numbers, err);
    if (!numbers) return -1;
    for (int64_t i = 0; i < parts->count; i++) {
        const PfShard shard = {i + 1, parts->count};
        if (!parts->paths[i] || !is_whole(parts->paths[i], shard, &origin))
            numbers[count++] = i + 1;
    }
    pf_say("%s: %lld of %lld shards are there%s", folder, (long long)(parts->count - count),
           (long long)parts->count, count ? ", missing:" : "");
    char *text = count ? pf_scheduler_resubmission(*origin.variable ? origin.variable : NULL,
                                                   origin.base, numbers, count, err)
                       : NULL;
    free(numbers);
    if (count && !text) return -1;
    if (text) pf_print(out, "%s\n", text);
    free(text);
    return 0;
}

int pf_parts_print_missing(const char *folder, FILE *out, PfError *err)
{
    PfParts parts;
    int failed = pf_parts_list(folder, &parts, err) || print_missing(&parts, folder, out, err);
    pf_parts_free(&parts);
    return failed ? -1 : 0;
}

/* ---- inputs of --merge ---- */

typedef struct Paths {
    char **items;
    size_t count, capacity;
} Paths;

/* Takes ownership of path. */
static int add_path(Paths *paths, char *path, PfError *err)
{
    if (!path) return -1;
    if (paths->count == INT_MAX ||
        pf_grow(&paths->items, &paths->capacity, paths->count + 1, sizeof *paths->items, err)) {
        free(path);
        return -1;
    }
    paths->items[paths->count++] = path;
    return 0;
}

static int visit_cache(void *context, const char *folder, const char *name, PfError *err)
{
    if (!is_cache_name(name)) return 0;
    return add_path(context, pf_asprintf(err, "%s/%s", folder, name), err);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_caches(Paths *paths, const char *folder, PfError *err)
{
    const size_t before = paths->count;
    if (visit_folder(folder, visit_cache, paths, err)) return -1;
    if (paths->count == before)
        return pf_fail(err, PF_EXIT_FAILED, "'%s' holds no caches: none of its files ends in .h5",
                       folder);
    qsort(paths->items + before, paths->count - before, sizeof *paths->items, compare_paths);
    return 0;
}

static int add_folder(Paths *paths, const char *folder, PfError *err)
{
    PfParts parts;
    int failed = find_parts(folder, &parts, err);
    if (!failed && !parts.count) failed = add_caches(paths, folder, err);
    for (int64_t i = 0; i < parts.count && !failed; i++)
        if (parts.paths[i]) failed = add_path(paths, pf_strdup(parts.paths[i], err), err);
    if (!failed && parts.count && parts.others)
        pf_warn("'%s': %lld files that end in .h5 are not called K-of-N.h5 as its shards are, and "
                "are left out",
                folder, (long long)parts.others);
    pf_parts_free(&parts);
    return failed;
}

static int add_lines(Paths *paths, FILE *list, PfError *err)
{
    char *line = NULL;
    size_t capacity = 0;
    int failed = 0;
    for (ssize_t length; !failed && (length = getline(&line, &capacity, list)) > 0;) {
        if (line[length - 1] == '\n') line[--length] = '\0';
        if (strlen(line) != (size_t)length)
            failed = pf_fail(err, PF_EXIT_USAGE, "--merge: a path with a NUL on standard input");
        else if (length)
            failed = add_path(paths, pf_strdup(line, err), err);
    }
    if (!failed && ferror(list)) failed = pf_fail_errno(err, "cannot read standard input");
    free(line);
    return failed;
}

static int add_input(Paths *paths, const char *input, FILE *list, PfError *err)
{
    struct stat status;
    if (!strcmp(input, "-")) return add_lines(paths, list, err);
    if (!stat(input, &status) && S_ISDIR(status.st_mode)) return add_folder(paths, input, err);
    return add_path(paths, pf_strdup(input, err), err);
}

int pf_parts_expand(const char *const *inputs, int count, FILE *list, char ***paths,
                    int *path_count, PfError *err)
{
    Paths found = {0};
    int failed = 0;
    for (int i = 0; i < count && !failed; i++) failed = add_input(&found, inputs[i], list, err);
    if (!failed && !found.count)
        failed = pf_fail(err, PF_EXIT_USAGE, "--merge: standard input named no caches");
    *paths = found.items;
    *path_count = (int)found.count;
    if (failed) pf_parts_free_paths(paths, path_count);
    return failed ? -1 : 0;
}

void pf_parts_free_paths(char ***paths, int *count)
{
    for (int i = 0; i < *count; i++) free((*paths)[i]);
    free(*paths);
    *paths = NULL;
    *count = 0;
}
