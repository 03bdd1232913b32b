/* What --verify is made of, for its own files: what was found (verify.c), every row (features.c)
 * and every image (images.c). */
#ifndef PF_EXTRACT_VERIFY_INTERNAL_H
#define PF_EXTRACT_VERIFY_INTERNAL_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include "extract/dataset/dataset.h"
#include "extract/verify/tolerance.h"
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

/* ---- rows computed again ---- */

typedef struct PfVerifiedImages {
    PfCache *cache;
    const PfDataset *dataset;
    const uint8_t (*digests)[PF_DIGEST_SIZE]; /* (N) */
    const char *const *paths;                 /* (N) */
    int threads;                              /* that decode; 0: as many as cores */
    const volatile sig_atomic_t *interrupted;
} PfVerifiedImages;

typedef struct PfRecomputedRows {
    int64_t rows;          /* that were compared, with all taps */
    int64_t rejected;      /* whose images were not taken this time */
    PfTolerance tolerance; /* of features that are stored as float32 */
} PfRecomputedRows;

/* Computes `most` rows, evenly spread over the images of the dataset that have one (0: all), with
 * the network that the cache names, and adds a finding for each whose numbers are further apart
 * than tolerance.h allows. weights: where they are now, or NULL. Without that network it warns, and
 * fails where all rows were asked for. */
int pf_verify_recompute(const PfVerifiedImages *images, const char *weights, const char *device,
                        int64_t most, PfFindings *findings, PfRecomputedRows *outcome,
                        PfError *err);

#endif
