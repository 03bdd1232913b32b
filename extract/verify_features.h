/* Every row of every tap: that it can be read, is finite, and that images with the same
 * bytes have the same features. */
#ifndef PF_VERIFY_FEATURES_H
#define PF_VERIFY_FEATURES_H

#include <signal.h>

#include "permafrost/feature_cache.h"
#include "verify_findings.h"

typedef struct PfVerifiedFeatures {
    int64_t blocks;     /* that were read */
    int64_t duplicates; /* rows of images that an earlier row has too */
} PfVerifiedFeatures;

/* digests (N) of the rows' images, and their paths (N): NULL where the file has none. */
int pf_verify_features(PfCache *cache, const uint8_t (*digests)[PF_DIGEST_SIZE],
                       const char *const *paths, int threads,
                       const volatile sig_atomic_t *interrupted, PfFindings *findings,
                       PfVerifiedFeatures *verified, PfError *err);

#endif
