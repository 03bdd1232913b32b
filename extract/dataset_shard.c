#include "dataset_shard.h"

/* Rows of a chunk; more do not help. */
#define MAX_UNIT 4096
/* Boundaries move by a unit at most, which is this small a part of a shard. */
#define UNITS_PER_SHARD 16

static int64_t unit_of(int64_t samples, int64_t shards)
{
    int64_t unit = 1;
    while (unit < MAX_UNIT && unit * 2 <= samples / UNITS_PER_SHARD / shards) unit *= 2;
    return unit;
}

/* The first sample behind the first `shards` of them. */
static int64_t end_of(int64_t shards, int64_t shard_count, int64_t samples)
{
    int64_t unit = unit_of(samples, shard_count), units = (samples + unit - 1) / unit;
    /* units * shards / shard_count, which might overflow */
    int64_t end = units / shard_count * shards + units % shard_count * shards / shard_count;
    return end * unit < samples ? end * unit : samples;
}

void pf_shard_range(PfShard shard, int64_t samples, int64_t *first, int64_t *size)
{
    *first = 0;
    *size = samples;
    if (!shard.count) return;
    *first = end_of(shard.number - 1, shard.count, samples);
    *size = end_of(shard.number, shard.count, samples) - *first;
}
