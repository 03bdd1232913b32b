/* Every image of a dataset: whether it is the one that the cache has a row of. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/cache/image_file.h"
#include "common/thread/parallel.h"
#include "extract/verify/internal.h"

/* An image that the cache has a row of, or has refused. */
typedef struct Known {
    const char *path;
    const uint8_t *digest;
    bool seen; /* in the dataset */
} Known;

typedef enum ImageState { IMAGE_SAME, IMAGE_CHANGED, IMAGE_UNKNOWN, IMAGE_UNREADABLE } ImageState;

typedef struct Comparison {
    PfCache *cache;
    const PfDataset *dataset;
    const volatile sig_atomic_t *interrupted;
    PfFindings *findings;
    Known *known; /* by path */
    size_t known_count;
    uint8_t *states; /* (samples) ImageState */
    _Atomic int64_t next, done;
    pthread_t main_thread;
    PfProgress progress;
} Comparison;

/* ---- what the cache knows ---- */

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const Known *)a)->path, ((const Known *)b)->path);
}

static int list_known(Comparison *comparison, const uint8_t (*digests)[PF_DIGEST_SIZE],
                      const char *const *paths, PfError *err)
{
    const PfCacheReject *rejects;
    int64_t rows = pf_cache_row_count(comparison->cache),
            rejected = pf_cache_rejected_count(comparison->cache);
    if (pf_cache_rejects(comparison->cache, &rejects, err)) return -1;
    comparison->known = pf_calloc((size_t)(rows + rejected), sizeof *comparison->known, err);
    if (!comparison->known) return -1;
    Known *next = comparison->known;
    for (int64_t i = 0; i < rows; i++) *next++ = (Known){.path = paths[i], .digest = digests[i]};
    for (int64_t i = 0; i < rejected; i++)
        *next++ = (Known){.path = rejects[i].path, .digest = rejects[i].digest};
    comparison->known_count = (size_t)(rows + rejected);
    qsort(comparison->known, comparison->known_count, sizeof *comparison->known, compare_paths);
    return 0;
}

static Known *find_known(const Comparison *comparison, const char *path)
{
    Known key = {.path = path};
    return comparison->known_count ? bsearch(&key, comparison->known, comparison->known_count,
                                             sizeof key, compare_paths)
                                   : NULL;
}

/* ---- images, in several threads ---- */

static ImageState compare_image(const Comparison *comparison, int64_t index, const Known *known,
                                PfSampleBytes *bytes)
{
    uint8_t digest[PF_DIGEST_SIZE] = {0};
    int failed = pf_dataset_read(comparison->dataset, index, bytes, NULL);
    if (!failed) pf_digest_xxh128(bytes->data, bytes->size_bytes, digest);
    if (!memcmp(digest, known->digest, sizeof digest)) return IMAGE_SAME;
    return failed && !pf_digest_is_none(known->digest) ? IMAGE_UNREADABLE : IMAGE_CHANGED;
}

static void check_image(Comparison *comparison, int64_t index, PfSampleBytes *bytes)
{
    const Known *known =
        find_known(comparison, pf_dataset_samples(comparison->dataset)[index].path);
    comparison->states[index] =
        (uint8_t)(known ? compare_image(comparison, index, known, bytes) : IMAGE_UNKNOWN);
}

static void check_images(void *context, int64_t unused)
{
    (void)unused;
    Comparison *comparison = context;
    PfSampleBytes bytes = {0};
    int64_t count = pf_dataset_count(comparison->dataset), index;
    while ((index = atomic_fetch_add(&comparison->next, 1)) < count) {
        if (comparison->interrupted && *comparison->interrupted) break;
        check_image(comparison, index, &bytes);
        int64_t done = atomic_fetch_add(&comparison->done, 1) + 1;
        if (pthread_equal(pthread_self(), comparison->main_thread))
            pf_progress_update(&comparison->progress, done, NULL);
    }
    pf_sample_bytes_free(&bytes);
}

/* ---- findings ---- */

static void tell_images(const Comparison *comparison, ImageState state, const char *what)
{
    const PfSample *samples = pf_dataset_samples(comparison->dataset);
    pf_findings_begin(comparison->findings);
    for (int64_t i = 0; i < pf_dataset_count(comparison->dataset); i++)
        if (comparison->states[i] == state)
            pf_findings_add(comparison->findings, "%s %s", samples[i].path, what);
    pf_findings_end(comparison->findings);
}

/* One path may be in the cache more than once, where it was listed so. */
static void mark_seen(Comparison *comparison, const char *path)
{
    Known *known = find_known(comparison, path), *begin = comparison->known;
    if (!known || known->seen) return;
    while (known > begin && !strcmp(known[-1].path, path)) known--;
    for (; known < begin + comparison->known_count && !strcmp(known->path, path); known++)
        known->seen = true;
}

static void tell_missing(Comparison *comparison)
{
    const PfSample *samples = pf_dataset_samples(comparison->dataset);
    for (int64_t i = 0; i < pf_dataset_count(comparison->dataset); i++)
        mark_seen(comparison, samples[i].path);
    pf_findings_begin(comparison->findings);
    for (size_t i = 0; i < comparison->known_count; i++)
        if (!comparison->known[i].seen)
            pf_findings_add(comparison->findings, "%s is in the cache and not in the dataset",
                            comparison->known[i].path);
    pf_findings_end(comparison->findings);
}

static int compare(Comparison *comparison, int threads, PfError *err)
{
    int64_t count = pf_dataset_count(comparison->dataset);
    comparison->states = pf_calloc((size_t)count, sizeof *comparison->states, err);
    if (!comparison->states) return -1;
    if (threads < 1) threads = pf_parallel_processor_count();
    pf_progress_start(&comparison->progress, "images", count);
    pf_parallel_for(threads, threads, check_images, comparison);
    pf_progress_end(&comparison->progress);
    if (comparison->interrupted && *comparison->interrupted)
        return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted while reading the images of '%s'",
                       pf_dataset_root(comparison->dataset));
    tell_images(comparison, IMAGE_CHANGED, "is not the image that the cache knows");
    tell_images(comparison, IMAGE_UNREADABLE, "cannot be read");
    tell_images(comparison, IMAGE_UNKNOWN, "is in the dataset and not in the cache");
    tell_missing(comparison);
    return 0;
}

int pf_verify_images(PfCache *cache, const uint8_t (*digests)[PF_DIGEST_SIZE],
                     const char *const *paths, const PfDataset *dataset, int threads,
                     const volatile sig_atomic_t *interrupted, PfFindings *findings, PfError *err)
{
    Comparison comparison = {.cache = cache,
                             .dataset = dataset,
                             .interrupted = interrupted,
                             .findings = findings,
                             .main_thread = pthread_self()};
    int failed = list_known(&comparison, digests, paths, err) || compare(&comparison, threads, err);
    free(comparison.known);
    free(comparison.states);
    return failed ? -1 : 0;
}
