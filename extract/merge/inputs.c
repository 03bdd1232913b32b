/* The caches that --merge joins. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/pixels.h"
#include "common/file/path.h"
#include "extract/merge/internal.h"
#include "extract/plan/identity.h"

/* ---- one by one ---- */

static int read_facts(PfMergeInput *input, PfError *err)
{
    const uint8_t *seal = pf_cache_seal(input->cache);
    input->row_count = pf_cache_row_count(input->cache);
    input->reject_count = pf_cache_rejected_count(input->cache);
    input->is_sealed = seal != NULL;
    if (seal) memcpy(input->seal, seal, sizeof input->seal);
    return pf_merge_shards_read(input, err);
}

static bool is_as_it_was(const PfMergeInput *input)
{
    const uint8_t *seal = pf_cache_seal(input->cache);
    return pf_cache_row_count(input->cache) == input->row_count &&
           pf_cache_rejected_count(input->cache) == input->reject_count &&
           (seal ? input->is_sealed && !memcmp(seal, input->seal, sizeof input->seal)
                 : !input->is_sealed);
}

/* ---- a few at a time: HDF5 keeps megabytes for each, and a process may have a thousand files open
 * ---- */

static void close_input(PfMergeInput *input)
{
    pf_cache_close(&input->cache);
    pf_image_files_free(&input->files);
    free(input->groups);
    free(input->indices);
    free(input->values);
    input->groups = NULL;
    input->indices = NULL;
    input->values = NULL;
    input->has_samples = false;
}

static void make_room(PfMergeInputs *inputs)
{
    int oldest = 0;
    if (inputs->open_count < PF_MERGE_MOST_OPEN) return;
    for (int i = 1; i < inputs->open_count; i++)
        if (inputs->open[i]->used < inputs->open[oldest]->used) oldest = i;
    close_input(inputs->open[oldest]);
    inputs->open[oldest] = inputs->open[--inputs->open_count];
}

static void close_all(PfMergeInputs *inputs)
{
    for (int i = 0; i < inputs->open_count; i++) close_input(inputs->open[i]);
    inputs->open_count = 0;
}

static int open_cache(PfMergeInputs *inputs, PfMergeInput *input, PfError *err)
{
    make_room(inputs);
    if (pf_cache_open(input->path, &input->cache, err)) return -1;
    inputs->open[inputs->open_count++] = input;
    return 0;
}

PfMergeInput *pf_merge_inputs_get(PfMergeInputs *inputs, int index, PfError *err)
{
    PfMergeInput *input = &inputs->items[index];
    input->used = ++inputs->clock;
    if (input->cache) return input;
    if (open_cache(inputs, input, err)) return NULL;
    if (is_as_it_was(input)) return input;
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
    if (!strcmp(pf_cache_identity(first), pf_cache_identity(other))) return 0;
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

/* ---- together ---- */

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

static int open_first_time(PfMergeInputs *inputs, PfMergeLook *look, void *context, PfError *err)
{
    const int index = inputs->count++;
    PfMergeInput *input = &inputs->items[index];
    input->used = ++inputs->clock;
    if (open_cache(inputs, input, err) || read_facts(input, err) ||
        (index && check_alike(inputs, index, err)))
        return -1;
    return look(context, input, err);
}

int pf_merge_inputs_open(const char *const *paths, int count, PfMergeLook *look, void *context,
                         const volatile sig_atomic_t *interrupted, PfMergeInputs *inputs,
                         PfError *err)
{
    *inputs = (PfMergeInputs){0};
    if (check_given_once(paths, count, err)) return -1;
    inputs->items = pf_calloc((size_t)count, sizeof *inputs->items, err);
    if (!inputs->items) return -1;
    for (int i = 0; i < count; i++) {
        if (interrupted && *interrupted) return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted");
        inputs->items[i] = (PfMergeInput){.path = paths[i], .given = i, .place = i};
        if (open_first_time(inputs, look, context, err)) return -1;
    }
    close_all(inputs); /* they are about to move */
    pf_merge_shards_sort(inputs);
    number_rows(inputs);
    return 0;
}

void pf_merge_inputs_free(PfMergeInputs *inputs)
{
    close_all(inputs);
    for (int i = 0; i < inputs->count; i++) {
        PfMergeInput *input = &inputs->items[i];
        for (int s = 0; s < input->source_count; s++) free(input->source_paths[s]);
        free(input->source_paths);
        free(input->sources);
    }
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
