#include "cache_freshness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

/* ---- identity ---- */

/* Appends "  name: the cache has A, asked for B" where the two differ. */
static int note_difference(const char *name, const cJSON *cached, const cJSON *wanted, FILE *notes)
{
    if (cJSON_Compare(cached, wanted, 1)) return 0;
    char *left = cached ? cJSON_PrintUnformatted(cached) : NULL;
    char *right = wanted ? cJSON_PrintUnformatted(wanted) : NULL;
    fprintf(notes, "\n  %s: the cache has %s, asked for %s", name, left ? left : "nothing",
            right ? right : "nothing");
    cJSON_free(left);
    cJSON_free(right);
    return 1;
}

/* Every member of both objects; members that are objects are looked into. */
static int compare_objects(const char *prefix, const cJSON *cached, const cJSON *wanted,
                           FILE *notes)
{
    int differences = 0;
    char name[128];
    const cJSON *entry;
    cJSON_ArrayForEach(entry, wanted)
    {
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(cached, entry->string);
        snprintf(name, sizeof name, "%s%s", prefix, entry->string);
        if (cJSON_IsObject(entry) && cJSON_IsObject(other)) {
            strncat(name, ".", sizeof name - strlen(name) - 1);
            differences += compare_objects(name, other, entry, notes);
        } else {
            differences += note_difference(name, other, entry, notes);
        }
    }
    cJSON_ArrayForEach(entry, cached)
    {
        snprintf(name, sizeof name, "%s%s", prefix, entry->string);
        if (!cJSON_GetObjectItemCaseSensitive(wanted, entry->string))
            differences += note_difference(name, entry, NULL, notes);
    }
    return differences;
}

/* What a run with this plan would write. A TorchScript file without --tap gives
 * all its outputs, whose names only running it would tell: they are the cache's,
 * as the file is the same. */
static cJSON *wanted_identity(const PfBackbonePlan *plan, const cJSON *cached)
{
    cJSON *identity = pf_backbone_plan_identity(plan, NULL, 0);
    cJSON *taps = cJSON_CreateArray();
    for (int i = 0; i < plan->tap_count; i++)
        cJSON_AddItemToArray(taps, cJSON_CreateString(plan->taps[i]));
    if (!plan->tap_count) {
        cJSON_Delete(taps);
        taps = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(cached, "taps"), 1);
    }
    cJSON_ReplaceItemInObjectCaseSensitive(identity, "taps", taps);
    return identity;
}

static int check_identity(const PfCache *cache, const PfBackbonePlan *plan, PfError *err)
{
    char *notes = NULL;
    size_t size;
    FILE *stream = open_memstream(&notes, &size);
    if (!stream) return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    cJSON *cached = cJSON_Parse(pf_cache_identity(cache));
    cJSON *wanted = wanted_identity(plan, cached);
    int differences = compare_objects("", cached, wanted, stream);
    fclose(stream);
    cJSON_Delete(cached);
    cJSON_Delete(wanted);
    if (differences)
        pf_fail(err, PF_EXIT_IDENTITY,
                "'%s' holds features of another kind:%s\nHint: write to another file with -o, or "
                "replace this one with --force.",
                pf_cache_path(cache), notes);
    free(notes);
    return differences ? -1 : 0;
}

/* ---- dataset ---- */

/* A cache's samples, side by side. */
typedef struct CachedRows {
    int64_t count, rejected_count, next_row, next_rejected;
    const char *const *paths, *const *rejected_paths, *const *rejected_reasons;
    uint64_t *sizes;
    int64_t *mtimes;
    int32_t *classes; /* NULL: no labels */
    const uint8_t *splits;
    int64_t written_ns; /* when the cache was written */
} CachedRows;

static int same_classes(const PfCache *cache, const PfDataset *dataset)
{
    int count;
    const char *const *classes = pf_dataset_classes(dataset, &count);
    if (!count || !pf_cache_target_count(cache)) return !count && !pf_cache_target_count(cache);
    const PfCacheTarget *target = pf_cache_target(cache, 0);
    if (target->class_count != count) return 0;
    for (int i = 0; i < count; i++)
        if (strcmp(classes[i], target->classes[i])) return 0;
    return 1;
}

static int read_rows(PfCache *cache, CachedRows *rows, PfError *err)
{
    struct stat status;
    size_t count = (size_t)pf_cache_row_count(cache);
    *rows = (CachedRows){.count = (int64_t)count,
                         .rejected_count = pf_cache_rejected_count(cache),
                         .splits = pf_cache_splits(cache)};
    if (!stat(pf_cache_path(cache), &status))
        rows->written_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
    rows->sizes = pf_calloc(count, sizeof *rows->sizes, err);
    rows->mtimes = pf_calloc(count, sizeof *rows->mtimes, err);
    if (!rows->sizes || !rows->mtimes || pf_cache_paths(cache, &rows->paths, err) ||
        pf_cache_rejected(cache, &rows->rejected_paths, &rows->rejected_reasons, err) ||
        pf_cache_read_file_stats(cache, rows->sizes, rows->mtimes, err))
        return -1;
    if (!pf_cache_target_count(cache)) return 0;
    rows->classes = pf_calloc(count, sizeof *rows->classes, err);
    return rows->classes ? pf_cache_read_classes(cache, 0, rows->classes, err) : -1;
}

static void free_rows(CachedRows *rows)
{
    free(rows->sizes);
    free(rows->mtimes);
    free(rows->classes);
}

/* Whether the next row or the next rejected image of the cache is this sample,
 * unchanged. Both follow the dataset's order. */
static int same_sample(CachedRows *rows, const PfDataset *dataset, int64_t index)
{
    const PfSample *sample = &pf_dataset_samples(dataset)[index];
    uint64_t size = 0;
    int64_t mtime = 0, row = rows->next_row, rejected = rows->next_rejected;
    int missing = pf_dataset_stat(dataset, index, &size, &mtime);
    if (row < rows->count && !strcmp(rows->paths[row], sample->path)) {
        rows->next_row++;
        return !missing && rows->sizes[row] == size && rows->mtimes[row] == mtime &&
               (!rows->splits || rows->splits[row] == sample->split) &&
               (!rows->classes || rows->classes[row] == sample->class_index);
    }
    if (rejected < rows->rejected_count && !strcmp(rows->rejected_paths[rejected], sample->path)) {
        rows->next_rejected++;
        return missing || mtime < rows->written_ns; /* repaired since, perhaps */
    }
    return 0;
}

static int same_dataset(PfCache *cache, const PfDataset *dataset, int *same, PfError *err)
{
    CachedRows rows;
    *same = 0;
    if (!same_classes(cache, dataset)) return 0;
    int failed = read_rows(cache, &rows, err), equal = !failed;
    for (int64_t i = 0; equal && i < pf_dataset_count(dataset); i++)
        equal = same_sample(&rows, dataset, i);
    *same = equal && rows.next_row == rows.count && rows.next_rejected == rows.rejected_count;
    free_rows(&rows);
    return failed;
}

int pf_cache_freshness(const char *path, const PfBackbonePlan *plan, const PfDataset *dataset,
                       PfFreshness *freshness, PfError *err)
{
    PfCache *cache;
    *freshness = PF_CACHE_ABSENT;
    if (access(path, F_OK)) return 0;
    if (pf_cache_open(path, &cache, err)) return -1;
    int same = 0;
    int failed = check_identity(cache, plan, err) || same_dataset(cache, dataset, &same, err);
    *freshness = same ? PF_CACHE_FRESH : PF_CACHE_STALE;
    pf_cache_close(&cache);
    return failed ? -1 : 0;
}
