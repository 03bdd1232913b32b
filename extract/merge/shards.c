/* The parts of datasets among the caches that --merge joins. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "extract/merge/internal.h"
#include "extract/plan/provenance.h"

/* Of shards and rows. */
#define MOST 1e15

int pf_merge_shards_read(PfMergeInput *input, PfError *err)
{
    cJSON *provenance = pf_json_parse_or_empty(pf_cache_provenance(input->cache),
                                               pf_cache_path(input->cache), "provenance", err);
    if (!provenance) return -1;
    const cJSON *shard = cJSON_GetObjectItemCaseSensitive(provenance, "shard");
    const cJSON *number = cJSON_GetArrayItem(shard, 0), *count = cJSON_GetArrayItem(shard, 1);
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(provenance, "dataset_rows");
    if (pf_json_is_whole(count, 1, MOST) && pf_json_is_whole(number, 1, count->valuedouble)) {
        input->shard = (PfShard){(int64_t)number->valuedouble, (int64_t)count->valuedouble};
        if (pf_json_is_whole(rows, 0, MOST)) input->dataset_rows = (int64_t)rows->valuedouble;
        const char *listing = pf_json_member_text(provenance, PF_LISTING_KEY);
        if (listing) snprintf(input->listing, sizeof input->listing, "%s", listing);
    }
    cJSON_Delete(provenance);
    return 0;
}

static bool are_alike(const PfMergeInput *a, const PfMergeInput *b)
{
    return a->shard.count && a->shard.count == b->shard.count && a->dataset_rows == b->dataset_rows;
}

static bool belong_together(const PfMergeInput *a, const PfMergeInput *b)
{
    return are_alike(a, b) && (!a->by_listing || !strcmp(a->listing, b->listing));
}

static int compare_places(const void *left, const void *right)
{
    const PfMergeInput *a = left, *b = right;
    if (a->place != b->place) return a->place < b->place ? -1 : 1;
    if (a->shard.number != b->shard.number) return a->shard.number < b->shard.number ? -1 : 1;
    return a->given - b->given;
}

static int compare_sizes(const PfMergeInput *a, const PfMergeInput *b)
{
    if (a->shard.count != b->shard.count) return a->shard.count < b->shard.count ? -1 : 1;
    if (a->dataset_rows != b->dataset_rows) return a->dataset_rows < b->dataset_rows ? -1 : 1;
    return 0;
}

static int compare_numbers(const void *left, const void *right)
{
    const PfMergeInput *a = left, *b = right;
    const int order = compare_sizes(a, b);
    if (order) return order;
    if (a->shard.number != b->shard.number) return a->shard.number < b->shard.number ? -1 : 1;
    return strcmp(b->listing, a->listing); /* those without one last */
}

/* Those that belong together one after the other, in the order in which they were given. */
static int compare_datasets(const void *left, const void *right)
{
    const PfMergeInput *a = left, *b = right;
    int order = compare_sizes(a, b);
    if (!order && a->by_listing) order = strcmp(a->listing, b->listing);
    return order ? order : a->given - b->given;
}

/* Whether one shard is there of two listings: then there are two datasets. Shards of two listings
 * that complete each other are of one, which has changed. items: (count) alike, by number. */
static bool are_two_datasets(const PfMergeInput *items, int count)
{
    for (int i = 1; i < count; i++)
        if (items[i].shard.number == items[i - 1].shard.number && *items[i].listing &&
            strcmp(items[i].listing, items[i - 1].listing) != 0)
            return true;
    return false;
}

static void tell_datasets_apart(PfMergeInputs *inputs)
{
    qsort(inputs->items, (size_t)inputs->count, sizeof *inputs->items, compare_numbers);
    for (int first = 0, end; first < inputs->count; first = end) {
        PfMergeInput *items = &inputs->items[first];
        for (end = first + 1; end < inputs->count && are_alike(items, &inputs->items[end]);) end++;
        const bool are_two = are_two_datasets(items, end - first);
        for (int i = 0; i < end - first; i++) items[i].by_listing = are_two;
    }
}

void pf_merge_shards_sort(PfMergeInputs *inputs)
{
    const size_t count = (size_t)inputs->count;
    tell_datasets_apart(inputs);
    qsort(inputs->items, count, sizeof *inputs->items, compare_datasets);
    for (size_t i = 1; i < count; i++)
        if (belong_together(&inputs->items[i - 1], &inputs->items[i]))
            inputs->items[i].place = inputs->items[i - 1].place;
    qsort(inputs->items, count, sizeof *inputs->items, compare_places);
}

/* Shards first to last as ", 4 to 7", or, where there is no room, ", and more" once. */
static void add_gap(char *text, size_t size, int64_t first, int64_t last)
{
    static const char more[] = ", and more";
    const size_t used = strlen(text);
    const char *comma = used ? ", " : "";
    char gap[64];
    if (first > last || strstr(text, more)) return;
    if (first == last)
        snprintf(gap, sizeof gap, "%s%lld", comma, (long long)first);
    else
        snprintf(gap, sizeof gap, "%s%lld to %lld", comma, (long long)first, (long long)last);
    snprintf(text + used, size - used, "%s", used + strlen(gap) + sizeof more <= size ? gap : more);
}

/* shards: (count) that belong together, sorted. */
static int check_complete(const PfMergeInput *shards, int count, PfError *err)
{
    char missing[200] = "";
    int64_t last = 0, total = shards[0].shard.count;
    for (int i = 0; i < count; i++) {
        if (shards[i].shard.number == last)
            return pf_fail(err, PF_EXIT_FAILED,
                           "'%s' and '%s' are both shard %lld of %lld.\nHint: --force merges them "
                           "all the same",
                           shards[i - 1].path, shards[i].path, (long long)last, (long long)total);
        add_gap(missing, sizeof missing, last + 1, shards[i].shard.number - 1);
        last = shards[i].shard.number;
    }
    add_gap(missing, sizeof missing, last + 1, total);
    if (!*missing) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is shard %lld of %lld of a dataset of %lld images; missing: %s.\nHint: "
                   "extract what is missing with --shard K/%lld, or merge what there is with "
                   "--force",
                   shards[0].path, (long long)shards[0].shard.number, (long long)total,
                   (long long)shards[0].dataset_rows, missing, (long long)total);
}

/* That they were cut out of one dataset, where they say so. */
static int check_listings(const PfMergeInput *shards, int count, PfError *err)
{
    const PfMergeInput *first = NULL;
    for (int i = 0; i < count; i++) {
        const PfMergeInput *shard = &shards[i];
        if (!*shard->listing) continue;
        if (!first) first = shard;
        if (strcmp(first->listing, shard->listing) != 0)
            return pf_fail(err, PF_EXIT_FAILED,
                           "'%s' and '%s' are shards of two listings of the dataset: it changed "
                           "between them, or its options did.\nHint: extract them again; what has "
                           "not changed is not computed again. extract --list makes a list that "
                           "does not change",
                           first->path, shard->path);
    }
    return 0;
}

int pf_merge_shards_check(const PfMergeInputs *inputs, PfError *err)
{
    for (int first = 0, end; first < inputs->count; first = end) {
        const PfMergeInput *shards = &inputs->items[first];
        for (end = first + 1; end < inputs->count && belong_together(shards, &inputs->items[end]);)
            end++;
        if (shards->shard.count &&
            (check_complete(shards, end - first, err) || check_listings(shards, end - first, err)))
            return -1;
    }
    return 0;
}

bool pf_merge_shards_are_one_dataset(const PfMergeInputs *inputs)
{
    const PfMergeInput *first = &inputs->items[0];
    for (int i = 0; i < inputs->count; i++) {
        const PfMergeInput *input = &inputs->items[i];
        if (!*input->listing || strcmp(input->listing, first->listing) != 0 ||
            input->shard.count != first->shard.count ||
            (i && input->shard.number == inputs->items[i - 1].shard.number))
            return false;
    }
    return true;
}
