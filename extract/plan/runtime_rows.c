#include "extract/plan/runtime_rows.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/pixels.h"

#define ROWS "rows"
#define RUNTIMES "runtimes"
/* A list that is longer was not written here, and would take long to go through. */
#define LISTED_MAX 1000
#define TEXTS_MAX 1000 /* of all entries of a tap together */

/* ---- entries: {"rows", "runtimes"} ---- */

static bool has_text(const cJSON *list, const char *text)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (!strcmp(item->valuestring, text)) return true;
    }
    return false;
}

static void add_texts(cJSON *list, const cJSON *from)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, from)
    {
        if (!has_text(list, item->valuestring))
            cJSON_AddItemToArray(list, cJSON_CreateString(item->valuestring));
    }
}

static const cJSON *runtimes_of(const cJSON *entry)
{
    return cJSON_GetObjectItemCaseSensitive(entry, RUNTIMES);
}

static double rows_of(const cJSON *entry)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(entry, ROWS));
}

/* Both have every text once. */
static bool same_texts(const cJSON *left, const cJSON *right)
{
    const cJSON *item;
    if (cJSON_GetArraySize(left) != cJSON_GetArraySize(right)) return false;
    cJSON_ArrayForEach(item, left)
    {
        if (!has_text(right, item->valuestring)) return false;
    }
    return true;
}

/* Adds so many rows of these runtimes to a tap's entries. */
static void add_rows(cJSON *entries, double rows, const cJSON *runtimes)
{
    cJSON *entry;
    cJSON_ArrayForEach(entry, entries)
    {
        if (!same_texts(runtimes_of(entry), runtimes)) continue;
        cJSON_SetNumberValue(cJSON_GetObjectItemCaseSensitive(entry, ROWS), rows_of(entry) + rows);
        return;
    }
    if (!(entry = cJSON_CreateObject())) return;
    cJSON_AddNumberToObject(entry, ROWS, rows);
    add_texts(cJSON_AddArrayToObject(entry, RUNTIMES), runtimes);
    cJSON_AddItemToArray(entries, entry);
}

static void add_entries(cJSON *to, const cJSON *from)
{
    const cJSON *entry;
    cJSON_ArrayForEach(entry, from) add_rows(to, rows_of(entry), runtimes_of(entry));
}

/* ---- what a cache says ---- */

static bool is_list_of_texts(const cJSON *list)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item)) return false;
    }
    return cJSON_IsArray(list) && cJSON_GetArraySize(list) <= LISTED_MAX;
}

/* Whether a tap's entries make sense, and count as many rows as there are. */
static bool are_of(const cJSON *entries, int64_t rows)
{
    double sum = 0;
    int texts = 0;
    const cJSON *entry;
    if (!cJSON_IsArray(entries) || cJSON_GetArraySize(entries) > LISTED_MAX) return false;
    cJSON_ArrayForEach(entry, entries)
    {
        double count = rows_of(entry);
        if (!(count >= 1 && count <= (double)rows && count == (double)(int64_t)count) ||
            !is_list_of_texts(runtimes_of(entry)) ||
            (texts += cJSON_GetArraySize(runtimes_of(entry))) > TEXTS_MAX)
            return false;
        sum += count;
    }
    return sum == (double)rows;
}

/* All that the cache names, however many rows they have. */
static cJSON *all_runtimes(const cJSON *provenance)
{
    cJSON *list = cJSON_CreateArray();
    const char *last = pf_json_member_text(provenance, "runtime");
    const cJSON *earlier = cJSON_GetObjectItemCaseSensitive(provenance, "earlier_runtimes");
    if (is_list_of_texts(earlier)) add_texts(list, earlier);
    if (last && !has_text(list, last)) cJSON_AddItemToArray(list, cJSON_CreateString(last));
    return list;
}

/* The entries of one tap, of all rows of the cache. */
static cJSON *entries_of(const cJSON *provenance, const char *tap, int64_t rows)
{
    cJSON *entries = cJSON_CreateArray();
    const cJSON *counted = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(provenance, PF_RUNTIME_ROWS_KEY), tap);
    if (are_of(counted, rows)) {
        add_entries(entries, counted);
    } else {
        cJSON *runtimes = all_runtimes(provenance);
        add_rows(entries, (double)rows, runtimes);
        cJSON_Delete(runtimes);
    }
    return entries;
}

static bool is_computed(const PfCacheTap *tap)
{
    return strcmp(tap->name, PF_PIXEL_TAP) != 0;
}

cJSON *pf_runtime_rows_of_cache(const PfCache *cache)
{
    cJSON *object = cJSON_CreateObject(), *provenance = pf_json_read(pf_cache_provenance(cache));
    for (int t = 0; t < pf_cache_tap_count(cache); t++) {
        const PfCacheTap *tap = pf_cache_tap(cache, t);
        if (is_computed(tap))
            cJSON_AddItemToObject(object, tap->name,
                                  entries_of(provenance, tap->name, pf_cache_row_count(cache)));
    }
    cJSON_Delete(provenance);
    return object;
}

void pf_runtime_rows_add(cJSON *to, const cJSON *from)
{
    const cJSON *entries;
    cJSON_ArrayForEach(entries, from)
    {
        cJSON *of_tap = cJSON_GetObjectItemCaseSensitive(to, entries->string);
        if (!of_tap) of_tap = cJSON_AddArrayToObject(to, entries->string);
        add_entries(of_tap, entries);
    }
}

/* ---- what a run makes of it ---- */

/* The rows of one tap, by where they come from. */
typedef struct Origins {
    int64_t *counts; /* (sources) */
    uint8_t *used;   /* (rows of the cache): how often each is, up to 2 */
    bool all_once;   /* every row of the cache is used once */
} Origins;

static void count_origins(const PfDatasetScan *scan, const PfRowIndex *known, int tap,
                          int64_t cache_rows, Origins *origins)
{
    PfRowPlace place = {-1, 0};
    for (int64_t i = 0; i < scan->count; i++) {
        if (scan->samples[i].state == PF_SAMPLE_REJECTED) continue;
        place = pf_row_index_place(known, tap, scan->samples[i].file.digest, place);
        if (place.source < 0) continue;
        origins->counts[place.source]++;
        if (!place.source && place.row < cache_rows && origins->used[place.row] < 2)
            origins->used[place.row]++;
    }
    origins->all_once = true;
    for (int64_t i = 0; i < cache_rows; i++) origins->all_once &= origins->used[i] == 1;
}

/* Of the rows that come from the old cache. */
static void add_kept(cJSON *entries, const cJSON *provenance, const char *tap, int64_t cache_rows,
                     const Origins *origins)
{
    cJSON *before = entries_of(provenance, tap, cache_rows), *any = cJSON_CreateArray();
    const cJSON *entry;
    cJSON_ArrayForEach(entry, before) add_texts(any, runtimes_of(entry));
    if (origins->all_once)
        add_entries(entries, before);
    else
        add_rows(entries, (double)origins->counts[0], any);
    cJSON_Delete(before);
    cJSON_Delete(any);
}

static void add_computed(cJSON *entries, const PfRowIndex *known, int source, int64_t rows)
{
    const char *runtime = pf_row_index_runtime(known, source);
    cJSON *runtimes = cJSON_CreateArray();
    if (runtime) cJSON_AddItemToArray(runtimes, cJSON_CreateString(runtime));
    add_rows(entries, (double)rows, runtimes);
    cJSON_Delete(runtimes);
}

static cJSON *entries_of_scan(const PfDatasetScan *scan, const PfRowIndex *known,
                              const cJSON *provenance, int64_t cache_rows, const PfCacheTap *taps,
                              int tap, PfError *err)
{
    int sources;
    pf_row_index_sources(known, &sources);
    Origins origins = {.counts = pf_calloc((size_t)sources, sizeof *origins.counts, err),
                       .used = pf_calloc((size_t)cache_rows + 1, 1, err)};
    cJSON *entries = NULL;
    if (origins.counts && origins.used) {
        entries = cJSON_CreateArray();
        count_origins(scan, known, tap, cache_rows, &origins);
        for (int s = 0; s < sources; s++) {
            if (!origins.counts[s]) continue;
            if (!s && provenance)
                add_kept(entries, provenance, taps[tap].name, cache_rows, &origins);
            else
                add_computed(entries, known, s, origins.counts[s]);
        }
    }
    free(origins.counts);
    free(origins.used);
    return entries;
}

cJSON *pf_runtime_rows_of_scan(const PfDatasetScan *scan, const PfRowIndex *known,
                               const PfCache *cache, const PfCacheTap *taps, PfError *err)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *provenance = NULL;
    if (cache && !(provenance = pf_json_read(pf_cache_provenance(cache))))
        provenance = cJSON_CreateObject();
    int64_t cache_rows = cache ? pf_cache_row_count(cache) : 0;
    int failed = !object;
    for (int t = 0; t < scan->tap_count && !failed; t++) {
        if (!is_computed(&taps[t])) continue;
        cJSON *entries = entries_of_scan(scan, known, provenance, cache_rows, taps, t, err);
        if (entries) cJSON_AddItemToObject(object, taps[t].name, entries);
        failed = !entries;
    }
    cJSON_Delete(provenance);
    if (!failed) return object;
    cJSON_Delete(object);
    return NULL;
}

/* ---- for people ---- */

static void print_entry(const cJSON *entry, bool is_first, FILE *stream)
{
    const cJSON *runtimes = runtimes_of(entry), *runtime;
    const char *between = "";
    pf_print(stream, "%s%.0f%s by ", is_first ? "" : "; ", rows_of(entry), is_first ? " rows" : "");
    if (!cJSON_GetArraySize(runtimes)) fputs("what was not noted", stream);
    cJSON_ArrayForEach(runtime, runtimes)
    {
        pf_print(stream, "%s%s", between, runtime->valuestring);
        between = " or ";
    }
}

void pf_runtime_rows_print(const cJSON *rows, FILE *stream)
{
    const cJSON *entries, *entry;
    cJSON_ArrayForEach(entries, rows)
    {
        pf_print(stream, "runtime     %s: ", entries->string);
        cJSON_ArrayForEach(entry, entries) print_entry(entry, entry == entries->child, stream);
        fputc('\n', stream);
    }
}
