#include "inspect/images/images.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/model/preprocess_json.h"

struct PfImages {
    const PfDataset *dataset;
    PfDataset *own; /* the same where it was opened here */
    int64_t rows;
    int64_t *samples; /* (rows) -1: not in the dataset; NULL: sample i is row i */
    uint8_t (*digests)[PF_DIGEST_SIZE];
    PfPreprocess preprocess;
    int64_t max_pixels;
};

static PfImages *new_images(int64_t rows, PfError *err)
{
    PfImages *images = pf_calloc(1, sizeof *images, err);
    if (!images) return NULL;
    images->rows = rows;
    images->preprocess.exif = 1;
    return images;
}

/* ---- a folder of files ---- */

/* Manifests may name absolute paths, which caches keep as they are.
 *
 * How many of the first rows are looked for before it is said that there are none. */
#define TRIED_ROWS 20

static bool has_files(const char *root, const char *const *paths, int64_t rows)
{
    for (int64_t i = 0; i < rows && i < TRIED_ROWS; i++) {
        struct stat status;
        char path[PATH_MAX];
        bool is_absolute = paths[i][0] == '/';
        int length = snprintf(path, sizeof path, "%s%s%s", is_absolute ? "" : root,
                              is_absolute ? "" : "/", paths[i]);
        if (length < PATH_MAX && !stat(path, &status) && S_ISREG(status.st_mode)) return true;
    }
    return false;
}

static int open_files(PfImages *images, const char *root, const char *const *paths, PfError *err)
{
    char **joined = pf_calloc((size_t)images->rows, sizeof *joined, err);
    int failed = !joined;
    for (int64_t i = 0; i < images->rows && !failed; i++) {
        joined[i] = pf_calloc(strlen(root) + strlen(paths[i]) + 2, 1, err);
        failed = !joined[i];
        if (!failed && paths[i][0] == '/')
            strcpy(joined[i], paths[i]);
        else if (!failed)
            strcpy(stpcpy(stpcpy(joined[i], root), "/"), paths[i]);
    }
    if (!failed)
        failed = pf_dataset_open_paths((const char *const *)joined, (size_t)images->rows,
                                       &images->own, err);
    images->dataset = images->own;
    for (int64_t i = 0; joined && i < images->rows; i++) free(joined[i]);
    free(joined);
    return failed;
}

/* ---- any other dataset ---- */

typedef struct Named {
    const char *path;
    int64_t sample;
} Named;

static int compare_named(const void *a, const void *b)
{
    return strcmp(((const Named *)a)->path, ((const Named *)b)->path);
}

static int find_samples(PfImages *images, const char *const *paths, PfError *err)
{
    size_t count = (size_t)pf_dataset_count(images->dataset);
    Named *named = pf_calloc(count + 1, sizeof *named, err);
    images->samples =
        named ? pf_calloc((size_t)images->rows + 1, sizeof *images->samples, err) : NULL;
    if (images->samples) {
        for (size_t i = 0; i < count; i++)
            named[i] = (Named){pf_dataset_samples(images->dataset)[i].path, (int64_t)i};
        qsort(named, count, sizeof *named, compare_named);
        for (int64_t i = 0; i < images->rows; i++) {
            Named key = {.path = paths[i]};
            const Named *found = bsearch(&key, named, count, sizeof *named, compare_named);
            images->samples[i] = found ? found->sample : -1;
        }
    }
    free(named);
    return images->samples ? 0 : -1;
}

static int open_dataset(PfImages *images, const char *root, const char *const *paths, PfError *err)
{
    if (pf_dataset_open(root, NULL, &images->own, err)) return -1;
    images->dataset = images->own;
    return find_samples(images, paths, err);
}

int pf_images_of_dataset(const PfDataset *dataset, const char *const *paths, int64_t rows,
                         PfImages **out, PfError *err)
{
    PfImages *images = *out = new_images(rows, err);
    if (!images) return -1;
    images->dataset = dataset;
    if (!find_samples(images, paths, err)) return 0;
    pf_images_close(out);
    return -1;
}

int pf_images_of_samples(const PfDataset *dataset, const int64_t *samples, int64_t rows,
                         PfImages **out, PfError *err)
{
    PfImages *images = *out = new_images(rows, err);
    if (!images) return -1;
    images->dataset = dataset;
    images->samples = pf_calloc((size_t)rows + 1, sizeof *images->samples, err);
    if (images->samples) {
        memcpy(images->samples, samples, (size_t)rows * sizeof *samples);
        return 0;
    }
    pf_images_close(out);
    return -1;
}

static int open_root(PfImages *images, const char *root, const char *const *paths, PfError *err)
{
    struct stat status;
    if (!root) return pf_fail(err, PF_EXIT_FAILED, "the cache does not say where its images were");
    if (stat(root, &status))
        return pf_fail(err, PF_EXIT_FAILED,
                       "the images are not at '%s': %s (--images DATASET says where they are)",
                       root, strerror(errno));
    if (has_files(root, paths, images->rows)) return open_files(images, root, paths, err);
    if (open_dataset(images, root, paths, err)) return -1;
    for (int64_t i = 0; i < images->rows; i++)
        if (images->samples[i] >= 0) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s' has none of the cache's images", root);
}

/* As the features were computed; a cache that does not say it leaves all as it was. */
static void read_preprocess(PfImages *images, const PfCache *cache)
{
    PfPreprocess found;
    cJSON *identity = pf_json_read(pf_cache_identity(cache));
    if (!pf_preprocess_json_read(cJSON_GetObjectItemCaseSensitive(identity, "preprocess"), &found,
                                 NULL))
        images->preprocess = found;
    cJSON_Delete(identity);
}

int pf_images_open(PfCache *cache, const char *root, PfImages **out, PfError *err)
{
    const char *const *paths;
    PfImages *images = *out = new_images(pf_cache_row_count(cache), err);
    if (!images) return -1;
    read_preprocess(images, cache);
    cJSON *provenance = cJSON_Parse(pf_cache_provenance(cache));
    if (!root) root = pf_json_member_text(provenance, "dataset");
    int failed = !pf_cache_has_paths(cache) ? pf_fail(err, PF_EXIT_FAILED, "the cache has no paths")
                                            : pf_cache_paths(cache, &paths, err);
    if (!failed)
        failed = !(images->digests = pf_calloc((size_t)images->rows, PF_DIGEST_SIZE, err)) ||
                 pf_cache_read_digests(cache, images->digests, err) ||
                 open_root(images, root, paths, err);
    cJSON_Delete(provenance);
    if (failed) pf_images_close(out);
    return failed ? -1 : 0;
}

void pf_images_close(PfImages **images)
{
    if (!*images) return;
    if ((*images)->own) pf_dataset_close(&(*images)->own);
    free((*images)->samples);
    free((*images)->digests);
    free(*images);
    *images = NULL;
}

int pf_images_read(const PfImages *images, int64_t row, PfSampleBytes *bytes, PfError *err)
{
    static const uint8_t none[PF_DIGEST_SIZE];
    uint8_t digest[PF_DIGEST_SIZE];
    int64_t sample = images->samples ? images->samples[row] : row;
    if (sample < 0) return pf_fail(err, PF_EXIT_BAD_IMAGES, "is not in the dataset");
    if (pf_dataset_read(images->dataset, sample, bytes, err)) return -1;
    pf_digest_xxh128(bytes->data, bytes->size_bytes, digest);
    if (images->digests && memcmp(digest, images->digests[row], sizeof digest) &&
        memcmp(images->digests[row], none, sizeof none))
        return pf_fail(err, PF_EXIT_BAD_IMAGES, "has changed since its features were computed");
    return 0;
}

/* ---- pixels ---- */

void pf_images_set_preprocess(PfImages *images, const PfPreprocess *preprocess)
{
    images->preprocess = *preprocess;
}

void pf_images_set_max_pixels(PfImages *images, int64_t max_pixels)
{
    images->max_pixels = max_pixels;
}

int pf_images_decode(const PfImages *images, const PfSampleBytes *bytes, int side, PfImage *image,
                     PfError *err)
{
    PfPreprocess settings = images->preprocess;
    settings.fast_decode = 1;
    settings.squash = 0;
    settings.resize = side;
    image->limits.max_pixels = images->max_pixels;
    return pf_preprocess_decode(bytes->data, bytes->size_bytes, &settings, image, err);
}
