/* The caches that --merge joins. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/digest.h"
#include "common/base/hash_index.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/pixels.h"
#include "common/file/path.h"
#include "extract/merge/internal.h"
#include "extract/plan/identity.h"
#include "extract/plan/provenance.h"

/* ---- one by one ---- */

static int read_shard(PfMergeInput *input, PfError *err)
{
    cJSON *provenance = pf_json_parse_or_empty(pf_cache_provenance(input->cache),
                                               pf_cache_path(input->cache), "provenance", err);
    if (!provenance) return -1;
    const cJSON *shard = cJSON_GetObjectItemCaseSensitive(provenance, "shard");
    const cJSON *number = cJSON_GetArrayItem(shard, 0), *count = cJSON_GetArrayItem(shard, 1);
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(provenance, "dataset_rows");
    if (cJSON_IsNumber(number) && cJSON_IsNumber(count) && number->valuedouble >= 1 &&
        number->valuedouble <= count->valuedouble && count->valuedouble < 1e15) {
        input->shard = (PfShard){(int64_t)number->valuedouble, (int64_t)count->valuedouble};
        if (cJSON_IsNumber(rows)) input->dataset_rows = (int64_t)rows->valuedouble;
        const char *listing = pf_json_member_text(provenance, PF_LISTING_KEY);
        if (listing) snprintf(input->listing, sizeof input->listing, "%s", listing);
    }
    cJSON_Delete(provenance);
    return 0;
}

static int read_samples(PfMergeInput *input, PfError *err)
{
    size_t rows = (size_t)pf_cache_row_count(input->cache);
    input->groups = pf_calloc(rows, sizeof *input->groups, err);
    return !input->groups || pf_cache_read_groups(input->cache, input->groups, err) ||
                   pf_image_files_read(input->cache, &input->files, err) ||
                   pf_cache_rejects(input->cache, &input->rejects, err)
               ? -1
               : 0;
}

static int open_input(PfMergeInputs *inputs, const char *path, PfError *err)
{
    PfMergeInput *input = &inputs->items[inputs->count];
    if (pf_cache_open(path, &input->cache, err)) return -1;
    input->place = input->given = inputs->count++;
    return read_shard(input, err) || read_samples(input, err) ? -1 : 0;
}

static int check_given_once(const char *const *paths, int count, PfError *err)
{
    struct stat *files = pf_calloc((size_t)count, sizeof *files, err);
    int failed = !files;
    for (int i = 0; i < count && !failed; i++) {
        if (stat(paths[i], &files[i])) failed = pf_fail_errno(err, "cannot read '%s'", paths[i]);
        for (int j = 0; j < i && !failed; j++)
            if (pf_path_same_file(&files[i], &files[j]))
                failed = pf_fail(err, PF_EXIT_USAGE,
                                 "--merge: '%s' and '%s' are one file; its rows would be there "
                                 "twice",
                                 paths[j], paths[i]);
    }
    free(files);
    return failed;
}

/* ---- together ---- */

static cJSON *read_identity(const PfCache *cache, PfError *err)
{
    return pf_json_parse(pf_cache_identity(cache), pf_cache_path(cache), "identity", err);
}

int pf_merge_check_identity(const PfCache *first, const PfCache *other, PfError *err)
{
    cJSON *left = read_identity(first, err), *right = left ? read_identity(other, err) : NULL;
    char *notes = NULL;
    if (right && pf_pixels_are_all_of(first) && pf_pixels_are_all_of(other))
        pf_pixels_pass_over_weights(cJSON_GetObjectItemCaseSensitive(left, "backbone"),
                                    cJSON_GetObjectItemCaseSensitive(right, "backbone"));
    int differences =
        right ? pf_identity_diff(left, "the first has", right, "the second", &notes, err) : -1;
    if (differences > 0)
        pf_fail(err, PF_EXIT_IDENTITY,
                "'%s' and '%s' hold features of two kinds, which cannot be merged:%" PF_SENTENCE,
                pf_cache_path(first), pf_cache_path(other), notes);
    free(notes);
    cJSON_Delete(left);
    cJSON_Delete(right);
    return differences ? -1 : 0;
}

static int check_taps(PfCache *first, PfCache *other, PfError *err)
{
    int index;
    for (int t = 0; t < pf_cache_tap_count(first); t++) {
        const PfCacheTap *tap = pf_cache_tap(first, t);
        char shape[PF_SHAPE_TEXT_SIZE], other_shape[PF_SHAPE_TEXT_SIZE];
        if (pf_cache_find_tap(other, tap->name, &index, err)) {
            if (err) err->exit_code = PF_EXIT_IDENTITY;
            return -1;
        }
        const PfCacheTap *same = pf_cache_tap(other, index);
        if (same->dtype != tap->dtype || !pf_shape_equal(&same->shape, &tap->shape))
            return pf_fail(err, PF_EXIT_IDENTITY,
                           "tap '%s' is %s %s in '%s' and %s %s in '%s': rows of one kind can be "
                           "merged",
                           tap->name, pf_shape_text(&tap->shape, shape), pf_dtype_name(tap->dtype),
                           pf_cache_path(first), pf_shape_text(&same->shape, other_shape),
                           pf_dtype_name(same->dtype), pf_cache_path(other));
    }
    return 0;
}

static int check_alike(const PfMergeInputs *inputs, PfError *err)
{
    PfCache *first = inputs->items[0].cache;
    for (int i = 1; i < inputs->count; i++) {
        PfCache *other = inputs->items[i].cache;
        if (pf_merge_check_identity(first, other, err) || check_taps(first, other, err) ||
            check_taps(other, first, err))
            return -1;
    }
    return 0;
}

/* ---- shards ---- */

static bool belong_together(const PfMergeInput *a, const PfMergeInput *b)
{
    return a->shard.count && a->shard.count == b->shard.count && a->dataset_rows == b->dataset_rows;
}

static int compare_places(const void *left, const void *right)
{
    const PfMergeInput *a = left, *b = right;
    if (a->place != b->place) return a->place < b->place ? -1 : 1;
    if (a->shard.number != b->shard.number) return a->shard.number < b->shard.number ? -1 : 1;
    return a->given - b->given;
}

static void sort_shards(PfMergeInputs *inputs)
{
    for (int i = 0; i < inputs->count; i++)
        for (int j = 0; j < i; j++)
            if (belong_together(&inputs->items[i], &inputs->items[j])) {
                inputs->items[i].place = inputs->items[j].place;
                break;
            }
    qsort(inputs->items, (size_t)inputs->count, sizeof *inputs->items, compare_places);
}

/* ", 4 to 7" */
static void add_gap(char *text, size_t size, int64_t first, int64_t last)
{
    size_t used = strlen(text);
    char *end = text + used;
    if (first == last) snprintf(end, size - used, "%s%lld", used ? ", " : "", (long long)first);
    if (first < last)
        snprintf(end, size - used, "%s%lld to %lld", used ? ", " : "", (long long)first,
                 (long long)last);
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
                           pf_cache_path(shards[i - 1].cache), pf_cache_path(shards[i].cache),
                           (long long)last, (long long)total);
        add_gap(missing, sizeof missing, last + 1, shards[i].shard.number - 1);
        last = shards[i].shard.number;
    }
    add_gap(missing, sizeof missing, last + 1, total);
    if (!*missing) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is shard %lld of %lld of a dataset of %lld images; missing: %s.\nHint: "
                   "extract what is missing with --shard K/%lld, or merge what there is with "
                   "--force",
                   pf_cache_path(shards[0].cache), (long long)shards[0].shard.number,
                   (long long)total, (long long)shards[0].dataset_rows, missing, (long long)total);
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
                           pf_cache_path(first->cache), pf_cache_path(shard->cache));
    }
    return 0;
}

int pf_merge_check_shards(const PfMergeInputs *inputs, PfError *err)
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

static void number_rows(PfMergeInputs *inputs)
{
    for (int i = 0; i < inputs->count; i++) {
        PfMergeInput *input = &inputs->items[i];
        input->first_row = inputs->row_count;
        input->first_reject = inputs->reject_count;
        inputs->row_count += pf_cache_row_count(input->cache);
        inputs->reject_count += pf_cache_rejected_count(input->cache);
    }
}

/* ---- the whole ---- */

int pf_merge_inputs_open(const char *const *paths, int count, PfMergeInputs *inputs, PfError *err)
{
    *inputs = (PfMergeInputs){0};
    if (check_given_once(paths, count, err)) return -1;
    inputs->items = pf_calloc((size_t)count, sizeof *inputs->items, err);
    if (!inputs->items) return -1;
    for (int i = 0; i < count; i++)
        if (open_input(inputs, paths[i], err)) return -1;
    if (check_alike(inputs, err)) return -1;
    sort_shards(inputs);
    number_rows(inputs);
    return 0;
}

void pf_merge_inputs_free(PfMergeInputs *inputs)
{
    for (int i = 0; i < inputs->count; i++) {
        pf_cache_close(&inputs->items[i].cache);
        pf_image_files_free(&inputs->items[i].files);
        free(inputs->items[i].groups);
    }
    free(inputs->items);
    *inputs = (PfMergeInputs){0};
}

int pf_merge_inputs_find_row(const PfMergeInputs *inputs, int64_t row, int guess)
{
    int low = 0, high = inputs->count;
    const PfMergeInput *near = &inputs->items[guess];
    int64_t behind = row - near->first_row;
    if (behind >= 0 && behind < pf_cache_row_count(near->cache)) return guess;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (inputs->items[middle].first_row <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int pf_merge_inputs_find_reject(const PfMergeInputs *inputs, int64_t index)
{
    int i = 0;
    while (i + 1 < inputs->count && inputs->items[i + 1].first_reject <= index) i++;
    return i;
}

/* ---- images that more than one of them has ---- */

/* A row as what it is recognised by. */
typedef struct Image {
    int input;
    const char *path;
    const uint8_t *digest;
} Image;

static Image image_of(const PfMergeInputs *inputs, int64_t row, int guess)
{
    int i = pf_merge_inputs_find_row(inputs, row, guess);
    const PfMergeInput *input = &inputs->items[i];
    int64_t own = row - input->first_row;
    return (Image){i, input->files.paths[own], input->files.digests[own]};
}

static bool is_same(const Image *a, const Image *b)
{
    return !memcmp(a->digest, b->digest, PF_DIGEST_SIZE) && !strcmp(a->path, b->path);
}

static uint64_t hash_of(const Image *image)
{
    uint64_t hash;
    memcpy(&hash, image->digest, sizeof hash);
    return hash ^ pf_digest_xxh64_text(image->path);
}

/* Whether an input before has the image; where none has, it is put in. */
static bool is_duplicate(const PfMergeInputs *inputs, const PfHashIndex *index, int64_t row,
                         int input)
{
    Image image = image_of(inputs, row, input);
    uint32_t *slot = pf_hash_index_first(index, hash_of(&image));
    while (*slot != PF_HASH_EMPTY) {
        Image other = image_of(inputs, *slot, input);
        if (is_same(&image, &other)) return other.input != image.input;
        slot = pf_hash_index_next(index, slot);
    }
    *slot = (uint32_t)row;
    return false;
}

int pf_merge_count_duplicates(const PfMergeInputs *inputs, int64_t *count, PfError *err)
{
    PfHashIndex index;
    *count = 0;
    if (inputs->row_count >= PF_HASH_EMPTY) return 0;
    if (pf_hash_index_init(&index, inputs->row_count, err)) return -1;
    for (int i = 0; i < inputs->count; i++) {
        const PfMergeInput *input = &inputs->items[i];
        int64_t rows = input->files.paths ? pf_cache_row_count(input->cache) : 0;
        for (int64_t row = 0; row < rows; row++)
            if (!pf_digest_is_none(input->files.digests[row]))
                *count += is_duplicate(inputs, &index, input->first_row + row, i);
    }
    pf_hash_index_free(&index);
    return 0;
}
