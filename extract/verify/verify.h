/* Whether a cache holds what it says: --verify. */
#ifndef PF_EXTRACT_VERIFY_VERIFY_H
#define PF_EXTRACT_VERIFY_VERIFY_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "extract/dataset/dataset.h"

typedef struct PfVerifyOptions {
    const char *cache;
    const char *signature; /* a file with the cache's SHA-256; NULL: none */
    const char *dataset;   /* whose images are read again, as `listing` says; NULL: none */
    PfDatasetOptions listing;
    bool recompute_all;                       /* every row of the dataset's, not a sample */
    const char *weights;                      /* of the network, where they are now; or NULL */
    const char *device;                       /* that computes rows again */
    int threads;                              /* 0 = as many as cores */
    const volatile sig_atomic_t *interrupted; /* may be NULL */
} PfVerifyOptions;

/* Reads all of it. What is wrong goes to `out`, a line each, and makes this fail; a line
 * that says what was checked, where nothing is. */
int pf_verify_cache(const PfVerifyOptions *options, FILE *out, PfError *err);

#endif
