/* The caches that --merge joins. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/digest.h"
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

static int read_facts(PfMergeInput *input, PfError *err)
{
    input->row_count = pf_cache_row_count(input->cache);
    input->reject_count = pf_cache_rejected_count(input->cache);
    return read_shard(input, err);
}

/* ---- a few at a time ---- */

/* HDF5 keeps megabytes for each, and a process may have a thousand files open. */
#define MOST_OPEN 16

static void close_input(PfMergeInputs *inputs, PfMergeInput *input)
{
    if (!input->cache) return;
    pf_cache_close(&input->cache);
    pf_image_files_free(&input->files);
    free(input->groups);
    free(input->indices);
    free(input->values);
    input->groups = NULL;
    input->indices = NULL;
    input->values = NULL;
    input->has_samples = false;
    inputs->open_count--;
}

static void make_room(PfMergeInputs *inputs)
{
    PfMergeInput *oldest = NULL;
    if (inputs->open_count < MOST_OPEN) return;
    for (int i = 0; i < inputs->count; i++) {
        PfMergeInput *input = &inputs->items[i];
        if (input->cache && (!oldest || input->used < oldest->used)) oldest = input;
    }
    if (oldest) close_input(inputs, oldest);
}

static int open_cache(PfMergeInputs *inputs, PfMergeInput *input, PfError *err)
{
    make_room(inputs);
    if (pf_cache_open(input->path, &input->cache, err)) return -1;
    inputs->open_count++;
    return 0;
}

PfMergeInput *pf_merge_inputs_get(PfMergeInputs *inputs, int index, PfError *err)
{
    PfMergeInput *input = &inputs->items[index];
    input->used = ++inputs->clock;
    if (input->cache) return input;
    if (open_cache(inputs, input, err)) return NULL;
    if (pf_cache_row_count(input->cache) == input->row_count &&
        pf_cache_rejected_count(input->cache) == input->reject_count)
        return input;
    pf_fail(err, PF_EXIT_FAILED, "'%s' was written again while it was being merged", input->path);
    return NULL;
}

static int compare_files(const void *left, const void *right)
{
    const struct stat *const *a = left, *const *b = right;
    if ((*a)->st_dev != (*b)->st_dev) return (*a)->st_dev < (*b)->st_dev ? -1 : 1;
    if ((*a)->st_ino != (*b)->st_ino) return (*a)->st_ino < (*b)->st_ino ? -1 : 1;
    return *a < *b ? -1 : 1;
}

static int find_repeated(const char *const *paths, int count, const struct stat *files,
                         const struct stat **sorted, PfError *err)
{
    for (int i = 0; i < count; i++) sorted[i] = &files[i];
    qsort(sorted, (size_t)count, sizeof *sorted, compare_files);
    for (int i = 1; i < count; i++)
        if (pf_path_same_file(sorted[i - 1], sorted[i]))
            return pf_fail(err, PF_EXIT_USAGE,
                           "--merge: '%s' and '%s' are one file; its rows would be there twice",
                           paths[sorted[i - 1] - files], paths[sorted[i] - files]);
    return 0;
}

static int check_given_once(const char *const *paths, int count, PfError *err)
{
    struct stat *files = pf_calloc((size_t)count, sizeof *files, err);
    const struct stat **sorted = pf_calloc((size_t)count, sizeof *sorted, err);
    int failed = !files || !sorted;
    for (int i = 0; i < count && !failed; i++)
        if (stat(paths[i], &files[i])) failed = pf_fail_errno(err, "cannot read '%s'", paths[i]);
    failed = failed || find_repeated(paths, count, files, sorted, err);
    free(sorted);
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

/* The first of them stays open, as it is asked for with each. */
static int check_alike(PfMergeInputs *inputs, int index, PfError *err)
{
    const PfMergeInput *first = pf_merge_inputs_get(inputs, 0, err);
    const PfMergeInput *other = first ? pf_merge_inputs_get(inputs, index, err) : NULL;
    if (!other) return -1;
    return pf_merge_check_identity(first->cache, other->cache, err) ||
                   check_taps(first->cache, other->cache, err) ||
                   check_taps(other->cache, first->cache, err)
               ? -1
               : 0;
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

/* Those that belong together one after the other, in the order in which they were given. */
static int compare_datasets(const void *left, const void *right)
{
    const PfMergeInput *a = left, *b = right;
    if (a->shard.count != b->shard.count) return a->shard.count < b->shard.count ? -1 : 1;
    if (a->dataset_rows != b->dataset_rows) return a->dataset_rows < b->dataset_rows ? -1 : 1;
    return a->given - b->given;
}

static void sort_shards(PfMergeInputs *inputs)
{
    const size_t count = (size_t)inputs->count;
    qsort(inputs->items, count, sizeof *inputs->items, compare_datasets);
    for (size_t i = 1; i < count; i++)
        if (belong_together(&inputs->items[i - 1], &inputs->items[i]))
            inputs->items[i].place = inputs->items[i - 1].place;
    qsort(inputs->items, count, sizeof *inputs->items, compare_places);
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
        inputs->row_count += input->row_count;
        inputs->reject_count += input->reject_count;
    }
}

/* ---- the whole ---- */

int pf_merge_inputs_open(const char *const *paths, int count, PfMergeInputs *inputs, PfError *err)
{
    *inputs = (PfMergeInputs){0};
    if (check_given_once(paths, count, err)) return -1;
    inputs->items = pf_calloc((size_t)count, sizeof *inputs->items, err);
    if (!inputs->items) return -1;
    for (int i = 0; i < count; i++) {
        PfMergeInput *input = &inputs->items[inputs->count++];
        *input = (PfMergeInput){.path = paths[i], .given = i, .place = i};
        input->used = ++inputs->clock;
        if (open_cache(inputs, input, err) || read_facts(input, err) ||
            (i && check_alike(inputs, i, err)))
            return -1;
    }
    sort_shards(inputs);
    number_rows(inputs);
    return 0;
}

void pf_merge_inputs_free(PfMergeInputs *inputs)
{
    for (int i = 0; i < inputs->count; i++) close_input(inputs, &inputs->items[i]);
    free(inputs->items);
    *inputs = (PfMergeInputs){0};
}

int pf_merge_inputs_find_row(const PfMergeInputs *inputs, int64_t row, int guess)
{
    int low = 0, high = inputs->count;
    const PfMergeInput *near = &inputs->items[guess];
    int64_t behind = row - near->first_row;
    if (behind >= 0 && behind < near->row_count) return guess;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (inputs->items[middle].first_row <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int pf_merge_inputs_find_reject(const PfMergeInputs *inputs, int64_t index, int guess)
{
    int i = inputs->items[guess].first_reject <= index ? guess : 0;
    while (i + 1 < inputs->count && inputs->items[i + 1].first_reject <= index) i++;
    return i;
}

/* ---- images that more than one of them has ---- */

/* A row by its path and content: those of equal fingerprints are taken for equal. */
typedef struct Image {
    uint64_t fingerprint;
    int input;
} Image;

static int compare_images(const void *left, const void *right)
{
    const Image *a = left, *b = right;
    if (a->fingerprint != b->fingerprint) return a->fingerprint < b->fingerprint ? -1 : 1;
    return a->input < b->input ? -1 : a->input > b->input;
}

/* Of all rows that have path and digest. */
static int list_images(PfMergeInputs *inputs, Image *images, int64_t *count, PfError *err)
{
    for (int i = 0; i < inputs->count; i++) {
        PfMergeInput *input = pf_merge_inputs_get(inputs, i, err);
        if (!input ||
            (!input->files.digests && pf_image_files_read(input->cache, &input->files, err)))
            return -1;
        for (int64_t row = 0; input->files.paths && row < input->row_count; row++) {
            const uint8_t *digest = input->files.digests[row];
            uint64_t hash;
            if (pf_digest_is_none(digest)) continue;
            memcpy(&hash, digest, sizeof hash);
            images[(*count)++] = (Image){hash ^ pf_digest_xxh64_text(input->files.paths[row]), i};
        }
    }
    return 0;
}

/* Shards of one listing, each there once, have no image in common that the listing has not twice.
 */
static bool are_one_dataset(const PfMergeInputs *inputs)
{
    const PfMergeInput *first = &inputs->items[0];
    for (int i = 0; i < inputs->count; i++) {
        const PfMergeInput *input = &inputs->items[i];
        if (!*input->listing || strcmp(input->listing, first->listing) != 0 ||
            (i && input->shard.number == inputs->items[i - 1].shard.number))
            return false;
    }
    return true;
}

int pf_merge_count_duplicates(PfMergeInputs *inputs, int64_t *count, PfError *err)
{
    const size_t rows = (size_t)inputs->row_count;
    int64_t listed = 0;
    *count = 0;
    if (inputs->count < 2 || are_one_dataset(inputs)) return 0;
    if (rows > pf_memory_physical_bytes() / 4 / sizeof(Image)) {
        *count = -1;
        return 0;
    }
    Image *images = pf_calloc(rows, sizeof *images, err);
    int failed = !images || list_images(inputs, images, &listed, err);
    if (!failed) qsort(images, (size_t)listed, sizeof *images, compare_images);
    for (int64_t i = 0, first = 0; i < listed && !failed; i++) {
        if (images[i].fingerprint != images[first].fingerprint) first = i;
        *count += images[i].input != images[first].input;
    }
    free(images);
    return failed ? -1 : 0;
}
