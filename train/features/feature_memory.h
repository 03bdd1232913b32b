/* Whether a tap's features are held in memory, or streamed through as much of it as they may
 * take. */
#ifndef PF_TRAIN_FEATURES_FEATURE_MEMORY_H
#define PF_TRAIN_FEATURES_FEATURE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* Threads that decompress ahead of a stream, at most. */
#define PF_STREAM_READERS 8

/* Rows of row_values float32 numbers that an evaluation takes at once: enough to feed a matrix
 * product, and no more than 16 MB of maps or pixels (but 16 rows). */
int64_t pf_feature_memory_evaluation_rows(int64_t row_values);

typedef struct PfFeatureMemory {
    int64_t table_bytes; /* of all rows, with all views, as float32 */
    int64_t limit_bytes; /* what they may take */
    bool is_streamed;
    int64_t window_rows; /* streamed: of each of the two windows, one view of each */
} PfFeatureMemory;

/* What a limit of 0 stands for from now on, in place of half of the machine's memory: several
 * processes of one host share it. Call before there are threads. */
void pf_feature_memory_set_default(int64_t bytes);

/* limit_bytes: 0 for half of the machine's memory. batch_rows: of the largest batch of a
 * training; a batch, of a training or an evaluation, counts as well. Refuses (PF_EXIT_USAGE) a
 * limit that is too small, with the least that works. */
int pf_feature_memory_plan(const PfCache *cache, int tap, int64_t limit_bytes, int64_t batch_rows,
                           PfFeatureMemory *out, PfError *err);

#endif
