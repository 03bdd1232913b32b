/* Contiguous parts of a dataset, for several machines to extract: --shard K/N. */
#ifndef PF_DATASET_SHARD_H
#define PF_DATASET_SHARD_H

#include <stdint.h>

/* The number-th of count parts, from 1; {0, 0}: the whole dataset. */
typedef struct PfShard {
    int64_t number, count;
} PfShard;

/* Samples [*first, *first + *size) of `samples` are the shard's. Shards cover the
 * dataset, do not overlap, differ by a sixteenth at most (where there is so much to share
 * out), and begin at multiples of a power of two, so that the chunks of their caches are
 * those of the whole. shard.count <= samples. */
void pf_shard_range(PfShard shard, int64_t samples, int64_t *first, int64_t *size);

#endif
