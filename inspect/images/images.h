/* The image files behind the rows of a cache, found again. */
#ifndef PF_INSPECT_IMAGES_IMAGES_H
#define PF_INSPECT_IMAGES_IMAGES_H

#include <signal.h>
#include <stdint.h>

#include "extract/dataset/dataset.h"
#include "extract/image/preprocess.h"
#include "permafrost/feature_cache.h"

typedef struct PfImages PfImages;

/* root: where the dataset is now; NULL: where it was when the cache was made. Fails where there is
 * none, or none of the first rows' images is there. The cache must stay open. Free with
 * pf_images_close. */
int pf_images_open(PfCache *cache, const char *root, PfImages **out, PfError *err);
/* The same of a dataset that is open, whose images have these paths, (rows); it must stay open. */
int pf_images_of_dataset(const PfDataset *dataset, const char *const *paths, int64_t rows,
                         PfImages **out, PfError *err);
/* Row i is sample samples[i] of the dataset, which is lent. */
int pf_images_of_samples(const PfDataset *dataset, const int64_t *samples, int64_t rows,
                         PfImages **out, PfError *err);
void pf_images_close(PfImages **images);

/* What pf_images_decode goes by. Images of a cache are decoded as its identity says without being
 * told; where nothing is known, they are turned as their EXIF orientation says. */
void pf_images_set_preprocess(PfImages *images, const PfPreprocess *preprocess);
/* How large an image may be; 0: the usual limits, see image.h. */
void pf_images_set_max_pixels(PfImages *images, int64_t max_pixels);

/* Reads the bytes of a row's image; fails where it is gone or is no longer the one that the
 * features are of. Any thread. */
int pf_images_read(const PfImages *images, int64_t row, PfSampleBytes *bytes, PfError *err);

/* Decodes bytes that are not pixels as extract did for the features: turned or not, truncated or
 * whole, over the same background. JPEGs are decoded smaller, to no less than twice this side. Any
 * thread. */
int pf_images_decode(const PfImages *images, const PfSampleBytes *bytes, int side, PfImage *image,
                     PfError *err);

/* ---- thumbnails ---- */

typedef struct PfThumbnail {
    int32_t row;
    uint8_t *jpeg; /* owned; NULL: there is none */
    size_t size;
} PfThumbnail;

typedef struct PfThumbnails {
    PfThumbnail *items; /* (count) in the order in which they were asked for; owned */
    int64_t count;
    int64_t unreadable; /* of those that were tried */
    int64_t left_out;   /* for want of room */
} PfThumbnails;

/* JPEGs of at most side x side pixels of these rows, one after the other until they take so many
 * bytes. Images that are smaller stay as they are. Free with pf_thumbnails_free, on failure
 * too. */
int pf_thumbnails_make(const PfImages *images, const int32_t *rows, int64_t count, int side,
                       int64_t bytes, int threads, const volatile sig_atomic_t *interrupted,
                       PfThumbnails *out, PfError *err);
void pf_thumbnails_free(PfThumbnails *thumbnails);

/* One image as such a JPEG: *jpeg is malloc'ed. */
int pf_thumbnail_encode(const PfImage *image, int side, uint8_t **jpeg, size_t *size, PfError *err);

#endif
