#include "common/cache/image_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

bool pf_digest_is_none(const uint8_t digest[PF_DIGEST_SIZE])
{
    static const uint8_t none[PF_DIGEST_SIZE];
    return !memcmp(digest, none, PF_DIGEST_SIZE);
}

PfCacheSample pf_image_file_to_sample(const PfImageFile *file)
{
    PfCacheSample sample = {
        .path = file->path, .stamp = file->stamp, .width = file->width, .height = file->height};
    sample.has_statistics = file->has_statistics;
    memcpy(sample.statistics, file->statistics, sizeof sample.statistics);
    sample.perceptual_hash = file->perceptual_hash;
    memcpy(sample.digest, file->digest, PF_DIGEST_SIZE);
    return sample;
}

PfCacheReject pf_image_file_to_reject(const PfImageFile *file, const char *reason)
{
    PfCacheReject reject = {.path = file->path, .reason = reason, .stamp = file->stamp};
    memcpy(reject.digest, file->digest, PF_DIGEST_SIZE);
    return reject;
}

PfImageFile pf_image_file_of_reject(const PfCacheReject *reject)
{
    PfImageFile file = {.path = reject->path, .stamp = reject->stamp};
    memcpy(file.digest, reject->digest, PF_DIGEST_SIZE);
    return file;
}

int pf_image_files_read(PfCache *cache, PfImageFiles *out, PfError *err)
{
    size_t rows = (size_t)pf_cache_row_count(cache);
    *out =
        (PfImageFiles){.digests = pf_calloc(rows, sizeof *out->digests, err),
                       .stamps = pf_calloc(rows, sizeof *out->stamps, err),
                       .widths = pf_calloc(rows, sizeof *out->widths, err),
                       .heights = pf_calloc(rows, sizeof *out->heights, err),
                       .statistics = pf_calloc(rows, sizeof *out->statistics, err),
                       .perceptual_hashes = pf_calloc(rows, sizeof *out->perceptual_hashes, err)};
    if (!out->digests || !out->stamps || !out->widths || !out->heights || !out->statistics ||
        !out->perceptual_hashes || pf_cache_read_digests(cache, out->digests, err) ||
        pf_cache_read_stamps(cache, out->stamps, err) ||
        pf_cache_find_image_sizes(cache, out->widths, out->heights, err) ||
        pf_cache_find_statistics(cache, out->statistics, &out->statistics_count, err) ||
        pf_cache_find_perceptual_hashes(cache, out->perceptual_hashes, err))
        return -1;
    return pf_cache_has_paths(cache) ? pf_cache_paths(cache, &out->paths, err) : 0;
}

void pf_image_files_free(PfImageFiles *files)
{
    free(files->digests);
    free(files->stamps);
    free(files->widths);
    free(files->heights);
    free(files->statistics);
    free(files->perceptual_hashes);
    *files = (PfImageFiles){0};
}

PfImageFile pf_image_files_at(const PfImageFiles *files, int64_t row)
{
    PfImageFile file = {.path = files->paths ? files->paths[row] : NULL,
                        .stamp = files->stamps[row],
                        .width = files->widths[row],
                        .height = files->heights[row],
                        .has_statistics = !isnan(files->statistics[row][0]),
                        .perceptual_hash = files->perceptual_hashes[row]};
    if (file.has_statistics)
        memcpy(file.statistics, files->statistics[row], sizeof file.statistics);
    memcpy(file.digest, files->digests[row], PF_DIGEST_SIZE);
    return file;
}

const char *pf_image_file_row_name(const PfCache *cache, int64_t row, char name[PF_ROW_NAME_SIZE])
{
    const char *path = pf_cache_path(cache), *slash = strrchr(path, '/');
    snprintf(name, PF_ROW_NAME_SIZE, "%s#%lld", slash ? slash + 1 : path, (long long)row);
    return name;
}
