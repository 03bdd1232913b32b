/* What is known of an image file besides its pixels: the one representation of it on its way from
 * a dataset through the pipeline and the journal into a cache. */
#ifndef PF_COMMON_CACHE_IMAGE_FILE_H
#define PF_COMMON_CACHE_IMAGE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "permafrost/feature_cache.h"

typedef struct PfImageFile {
    const char *path;               /* relative to the dataset's root; lent */
    uint8_t digest[PF_DIGEST_SIZE]; /* XXH3-128 of its bytes; zeros: they could not be read */
    PfFileStamp stamp;              /* when those bytes were read; it holds the file's size */
    int32_t width, height;          /* of the decoded image, in pixels; 0: not known */
    bool has_statistics;
    float statistics[PF_CACHE_STATISTICS]; /* of its pixels */
    uint64_t perceptual_hash;              /* with the statistics; 0: nearly of one colour */
} PfImageFile;

/* Whether a digest is that of bytes that could not be read, or of a row of which a cache does not
 * say it. */
bool pf_digest_is_none(const uint8_t digest[PF_DIGEST_SIZE]);

/* ---- as include/permafrost/feature_cache.h has it ---- */

/* What a cache stores of it as a row; split, targets and group are the caller's to add. */
PfCacheSample pf_image_file_to_sample(const PfImageFile *file);
/* What a cache stores of it where it could not be used, and why. */
PfCacheReject pf_image_file_to_reject(const PfImageFile *file, const char *reason);
PfImageFile pf_image_file_of_reject(const PfCacheReject *reject);

/* Those of all rows of a cache. */
typedef struct PfImageFiles {
    const char *const *paths;                 /* (N) lent by the cache; NULL: it has none */
    uint8_t (*digests)[PF_DIGEST_SIZE];       /* (N) */
    PfFileStamp *stamps;                      /* (N) */
    int32_t *widths, *heights;                /* (N) */
    float (*statistics)[PF_CACHE_STATISTICS]; /* (N) NaN where they are not known */
    int64_t statistics_count;                 /* rows that have them */
    uint64_t *perceptual_hashes;              /* (N) 0 where there is none */
} PfImageFiles;

/* Zeros, and NaN, stand for what the cache does not have. On failure too, free it. */
int pf_image_files_read(PfCache *cache, PfImageFiles *out, PfError *err);
void pf_image_files_free(PfImageFiles *files);
PfImageFile pf_image_files_at(const PfImageFiles *files, int64_t row);

/* What a row is called whose cache has no paths: "mine.h5#7", cut off where it is too long. Returns
 * name. */
#define PF_ROW_NAME_SIZE 400
const char *pf_image_file_row_name(const PfCache *cache, int64_t row, char name[PF_ROW_NAME_SIZE]);

#endif
