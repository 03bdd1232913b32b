/* Whether the images of a dataset are still those whose features a cache holds. */
#ifndef PF_VERIFY_IMAGES_H
#define PF_VERIFY_IMAGES_H

#include <signal.h>

#include "dataset.h"
#include "verify_findings.h"

/* Reads every image, in several threads, and compares its digest. */
int pf_verify_images(PfCache *cache, const uint8_t (*digests)[PF_DIGEST_SIZE],
                     const char *const *paths, const PfDataset *dataset, int threads,
                     const volatile sig_atomic_t *interrupted, PfFindings *findings, PfError *err);

#endif
