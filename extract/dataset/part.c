/* Parts of a dataset: chosen rows, --sample and --shard. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/memory.h"
#include "common/base/random.h"
#include "extract/dataset/format.h"

/* ==== --sample ==== */

typedef struct Entry {
    size_t row;
    uint64_t hash;
    PfSplit split;
    int32_t class_index;
    double turn; /* its place among its class, then its split, in (0, 1) */
} Entry;

/* Not the path's hash itself, by which a split by path is drawn: the images of the smallest hashes
 * would all be on one side. */
static uint64_t hash_of(const char *path)
{
    PfRandom random = pf_random_seeded(pf_digest_xxh64_text(path), 0);
    return pf_random_u64(&random);
}

static int by_hash(const Entry *a, const Entry *b)
{
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static bool share_a_split(const Entry *a, const Entry *b)
{
    return a->split == b->split;
}

static bool share_a_class(const Entry *a, const Entry *b)
{
    return share_a_split(a, b) && a->class_index == b->class_index;
}

static int by_class(const void *left, const void *right)
{
    const Entry *a = left, *b = right;
    if (a->split != b->split) return a->split < b->split ? -1 : 1;
    if (a->class_index != b->class_index) return a->class_index < b->class_index ? -1 : 1;
    return by_hash(a, b);
}

static int by_turn(const void *left, const void *right)
{
    const Entry *a = left, *b = right;
    if (a->turn != b->turn) return a->turn < b->turn ? -1 : 1;
    return by_hash(a, b);
}

static int by_split_and_turn(const void *left, const void *right)
{
    const Entry *a = left, *b = right;
    if (a->split != b->split) return a->split < b->split ? -1 : 1;
    return by_turn(a, b);
}

static int by_row(const void *left, const void *right)
{
    const Entry *a = left, *b = right;
    return a->row < b->row ? -1 : a->row > b->row;
}

/* entries: groups one after the other. The i-th of n gets its turn at (i + 1/2) / n. */
static void give_turns(Entry *entries, size_t count, bool (*share)(const Entry *, const Entry *))
{
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && share(&entries[first], &entries[end]);) end++;
        for (size_t i = first; i < end; i++)
            entries[i].turn = ((double)(i - first) + 0.5) / (double)(end - first);
    }
}

/* Puts the entries into an order of which a sample of any size is the beginning, so that a larger
 * sample holds a smaller one. Classes take turns within their split, in proportion to their sizes,
 * and splits take turns in the same way. */
static void put_in_turn(Entry *entries, size_t count)
{
    qsort(entries, count, sizeof *entries, by_class);
    give_turns(entries, count, share_a_class);
    qsort(entries, count, sizeof *entries, by_split_and_turn);
    give_turns(entries, count, share_a_split);
    qsort(entries, count, sizeof *entries, by_turn);
}

int pf_dataset_keep_rows(PfDataset *dataset, const size_t *rows, size_t size, PfError *err)
{
    size_t indices = (size_t)dataset->indices_per_row, values = (size_t)dataset->values_per_row;
    int64_t *listed = pf_calloc(size, sizeof *listed, err);
    if (!listed) return -1;
    for (size_t i = 0; i < size; i++) {
        size_t row = rows[i]; /* none is overwritten before its turn */
        listed[i] = dataset->listed ? dataset->listed[row] : (int64_t)row;
        dataset->samples[i] = dataset->samples[row];
        if (dataset->groups) dataset->groups[i] = dataset->groups[row];
        if (dataset->class_indices)
            memmove(dataset->class_indices + i * indices, dataset->class_indices + row * indices,
                    indices * sizeof *dataset->class_indices);
        if (dataset->values)
            memmove(dataset->values + i * values, dataset->values + row * values,
                    values * sizeof *dataset->values);
    }
    free(dataset->listed);
    dataset->listed = listed;
    dataset->count = size;
    return 0;
}

static int keep_entries(PfDataset *dataset, const Entry *entries, size_t size, PfError *err)
{
    size_t *rows = pf_calloc(size, sizeof *rows, err);
    if (!rows) return -1;
    for (size_t i = 0; i < size; i++) rows[i] = entries[i].row;
    int failed = pf_dataset_keep_rows(dataset, rows, size, err);
    free(rows);
    return failed;
}

int pf_dataset_take_sample(PfDataset *dataset, int64_t size, PfError *err)
{
    if (!size || size >= (int64_t)dataset->count) return 0;
    if (pf_dataset_remark(dataset, err, "sample: %lld of %zu images", (long long)size,
                          dataset->count))
        return -1;
    Entry *entries = pf_calloc(dataset->count, sizeof *entries, err);
    if (!entries) return -1;
    for (size_t i = 0; i < dataset->count; i++) {
        const PfSample *sample = &dataset->samples[i];
        entries[i] = (Entry){.row = i,
                             .hash = hash_of(sample->path),
                             .split = sample->split,
                             .class_index = sample->class_index};
    }
    put_in_turn(entries, dataset->count);
    qsort(entries, (size_t)size, sizeof *entries, by_row);
    int status = keep_entries(dataset, entries, (size_t)size, err);
    free(entries);
    return status;
}

/* ==== --shard ==== */

/* Rows of a chunk; more do not help. */
#define MAX_UNIT 4096
/* Boundaries between shards are multiples of a unit, and a shard has at least so many of them. */
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

void pf_dataset_shard_range(PfShard shard, int64_t samples, int64_t *first, int64_t *size)
{
    *first = 0;
    *size = samples;
    if (!shard.count) return;
    assert(shard.number >= 1 && shard.number <= shard.count);
    *first = end_of(shard.number - 1, shard.count, samples);
    *size = end_of(shard.number, shard.count, samples) - *first;
}

/* ---- what all shards have to have in common ---- */

static void add_text(PfSha256 *sha256, const char *text)
{
    pf_sha256_add(sha256, text, strlen(text) + 1);
}

static void add_target(PfSha256 *sha256, const PfCacheTarget *target)
{
    const int32_t numbers[] = {(int32_t)target->kind, target->width, target->class_count};
    add_text(sha256, target->name);
    pf_sha256_add(sha256, numbers, sizeof numbers);
    for (int c = 0; c < target->class_count; c++) add_text(sha256, target->classes[c]);
}

static void add_sample(PfSha256 *sha256, const PfDataset *dataset, size_t row)
{
    const size_t indices = (size_t)dataset->indices_per_row;
    const size_t values = (size_t)dataset->values_per_row;
    const PfSample *sample = &dataset->samples[row];
    const uint8_t split = (uint8_t)sample->split;
    add_text(sha256, sample->path);
    pf_sha256_add(sha256, &split, sizeof split);
    if (dataset->groups) pf_sha256_add(sha256, &dataset->groups[row], sizeof *dataset->groups);
    if (dataset->class_indices)
        pf_sha256_add(sha256, dataset->class_indices + row * indices,
                      indices * sizeof *dataset->class_indices);
    else
        pf_sha256_add(sha256, &sample->class_index, sizeof sample->class_index);
    if (dataset->values)
        pf_sha256_add(sha256, dataset->values + row * values, values * sizeof *dataset->values);
}

int pf_dataset_listing_digest(const PfDataset *dataset, char text[PF_SHA256_TEXT_SIZE],
                              PfError *err)
{
    if (*dataset->listing) {
        memcpy(text, dataset->listing, PF_SHA256_TEXT_SIZE);
        return 0;
    }
    PfSha256 *sha256 = pf_sha256_new(err);
    if (!sha256) return -1;
    for (int t = 0; t < dataset->target_count; t++) add_target(sha256, &dataset->targets[t]);
    for (size_t row = 0; row < dataset->count; row++) add_sample(sha256, dataset, row);
    pf_sha256_text(sha256, text);
    free(sha256);
    return 0;
}
