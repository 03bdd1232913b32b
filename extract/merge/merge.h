/* extract --merge: several caches of one identity as one. */
#ifndef PF_EXTRACT_MERGE_MERGE_H
#define PF_EXTRACT_MERGE_MERGE_H

#include <signal.h>
#include <stdbool.h>

#include "permafrost/feature_cache.h"

typedef struct PfMergeOptions {
    const char *const *inputs; /* input_count paths of caches */
    int input_count;
    const char *output;
    bool is_virtual;      /* the rows stay where they are */
    bool force;           /* an output that is there is replaced, shards may be missing */
    bool has_compression; /* else as the first input's */
    PfCompression compression;
    int level; /* 0: the compressor's default here */
} PfMergeOptions;

/* Checks the inputs against each other, writes the output, sums up on stderr. command: the
 * command line, for the provenance. */
int pf_merge_run(const PfMergeOptions *options, const char *command,
                 const volatile sig_atomic_t *interrupted, PfError *err);

#endif
