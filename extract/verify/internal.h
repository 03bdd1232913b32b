/* What --verify is made of, for its own files: what was found (verify.c), every row (features.c)
 * and every image (images.c). */
#ifndef PF_EXTRACT_VERIFY_INTERNAL_H
#define PF_EXTRACT_VERIFY_INTERNAL_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include "extract/dataset/dataset.h"
#include "permafrost/feature_cache.h"

/* ---- lines on a stream, of each kind not too many ---- */

typedef struct PfFindings {
    FILE *out;
    int64_t total;
    int64_t of_kind; /* since pf_findings_begin */
} PfFindings;

/* A kind of finding begins: its first lines are shown, with -v all. */
void pf_findings_begin(PfFindings *findings);
void pf_findings_add(PfFindings *findings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Says how many of the kind were not shown. */
void pf_findings_end(PfFindings *findings);

/* ---- every row of every tap ---- */

typedef struct PfVerifiedFeatures {
    int64_t blocks;     /* that were read */
    int64_t duplicates; /* rows of images that an earlier row has too */
    int64_t near_rows;  /* of all taps: differ from the other row of their image by rounding */
} PfVerifiedFeatures;

/* That every row can be read, is finite, and that images with the same bytes have the same
 * features: within tolerance.h's bounds, as different runtimes may have computed them. digests (N)
 * of the rows' images, and their paths (N): NULL where the file has none. */
int pf_verify_features(PfCache *cache, const uint8_t (*digests)[PF_DIGEST_SIZE],
                       const char *const *paths, int threads,
                       const volatile sig_atomic_t *interrupted, PfFindings *findings,
                       PfVerifiedFeatures *verified, PfError *err);

/* ---- every image of a dataset ---- */

/* Reads every image, in several threads, and compares its digest. */
int pf_verify_images(PfCache *cache, const uint8_t (*digests)[PF_DIGEST_SIZE],
                     const char *const *paths, const PfDataset *dataset, int threads,
                     const volatile sig_atomic_t *interrupted, PfFindings *findings, PfError *err);

#endif
