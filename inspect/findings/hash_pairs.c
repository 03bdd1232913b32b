#include "inspect/findings/hash_pairs.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/cache/perceptual_hash.h"
#include "common/thread/parallel.h"

#define QUARTERS 4
#define QUARTER_BITS 16
#define VALUES (1 << QUARTER_BITS)
/* What keeps a thousand frames of a film from half a million pairs. */
#define MOST_PAIRS 32
/* Hashes that a task looks up; tasks between two looks at interrupts. */
#define TASK_HASHES 256
#define BLOCK_TASKS 64

typedef struct Entry {
    uint64_t hash; /* the lower of the hash and its mirrored one */
    int32_t row;   /* the first of that hash */
} Entry;

typedef struct Index {
    const Entry *entries; /* (count) of different hashes, ascending */
    int64_t count, first; /* first: of the block that is looked up */
    int bits;
    int32_t *starts[QUARTERS]; /* (VALUES + 1) of each value's part of members */
    int32_t *members[QUARTERS];
    pthread_mutex_t lock; /* of what follows */
    PfHashPair *pairs;
    size_t pair_count, capacity;
    PfError error;
} Index;

static int compare_entries(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int compare_pairs(const void *a, const void *b)
{
    const PfHashPair *x = a, *y = b;
    if (x->a != y->a) return x->a < y->a ? -1 : 1;
    return (x->b > y->b) - (x->b < y->b);
}

static int add_pair(Index *index, int32_t a, int32_t b, PfError *err)
{
    if (pf_grow(&index->pairs, &index->capacity, index->pair_count + 1, sizeof *index->pairs, err))
        return -1;
    index->pairs[index->pair_count++] = (PfHashPair){a < b ? a : b, a < b ? b : a};
    return 0;
}

/* Rows of one hash are linked here; of each hash one entry is left. */
static int list_entries(Index *index, const uint64_t *hashes, int64_t rows, Entry *entries,
                        PfError *err)
{
    int64_t count = 0, kept = 0;
    for (int64_t i = 0; i < rows; i++) {
        const uint64_t mirrored = pf_perceptual_hash_mirror(hashes[i]);
        if (!hashes[i]) continue;
        entries[count++] = (Entry){hashes[i] < mirrored ? hashes[i] : mirrored, (int32_t)i};
    }
    if (count) qsort(entries, (size_t)count, sizeof *entries, compare_entries);
    for (int64_t i = 0; i < count; i++) {
        if (!kept || entries[kept - 1].hash != entries[i].hash)
            entries[kept++] = entries[i];
        else if (add_pair(index, entries[kept - 1].row, entries[i].row, err))
            return -1;
    }
    index->entries = entries;
    index->count = kept;
    return 0;
}

static int quarter_of(uint64_t hash, int quarter)
{
    return (int)(hash >> (quarter * QUARTER_BITS)) & (VALUES - 1);
}

/* By counting: members of a value are ascending. */
static int fill_quarter(Index *index, int quarter, PfError *err)
{
    int32_t *starts = pf_calloc(VALUES + 1, sizeof *starts, err);
    index->starts[quarter] = starts;
    index->members[quarter] = pf_calloc((size_t)index->count + 1, sizeof(int32_t), err);
    if (!starts || !index->members[quarter]) return -1;
    for (int64_t i = 0; i < index->count; i++)
        starts[quarter_of(index->entries[i].hash, quarter) + 1]++;
    for (int v = 0; v < VALUES; v++) starts[v + 1] += starts[v];
    for (int64_t i = index->count - 1; i >= 0; i--)
        index->members[quarter][--starts[quarter_of(index->entries[i].hash, quarter) + 1]] =
            (int32_t)i;
    for (int v = 0; v < VALUES; v++) starts[v] = starts[v + 1];
    starts[VALUES] = (int32_t)index->count;
    return 0;
}

/* Whether a quarter before this one has found the pair already. */
static bool was_found(uint64_t difference, int quarter)
{
    for (int q = 0; q < quarter; q++)
        if (__builtin_popcount((unsigned)quarter_of(difference, q)) <= 1) return true;
    return false;
}

/* Entries after `own` that are near to hash: appends them to found, (MOST_PAIRS). */
static int look_up(const Index *index, int64_t own, uint64_t hash, int32_t *found, int count)
{
    for (int quarter = 0; quarter < QUARTERS; quarter++)
        for (int flipped = -1; flipped < QUARTER_BITS; flipped++) {
            const int value = quarter_of(hash, quarter) ^ (flipped < 0 ? 0 : 1 << flipped);
            const int32_t *members = index->members[quarter];
            const int32_t *starts = index->starts[quarter];
            for (int32_t m = starts[value]; m < starts[value + 1] && count < MOST_PAIRS; m++) {
                if (members[m] <= own) continue;
                const uint64_t difference = hash ^ index->entries[members[m]].hash;
                if (pf_perceptual_hash_distance(difference, 0) > index->bits ||
                    was_found(difference, quarter))
                    continue;
                found[count++] = members[m];
            }
        }
    return count;
}

static void look_up_task(void *context, int64_t task)
{
    Index *index = context;
    const int64_t first = index->first + task * TASK_HASHES;
    const int64_t end = pf_min(index->count, first + TASK_HASHES);
    for (int64_t i = first; i < end; i++) {
        int32_t found[MOST_PAIRS];
        const Entry *entry = &index->entries[i];
        int count = look_up(index, i, entry->hash, found, 0);
        count = look_up(index, i, pf_perceptual_hash_mirror(entry->hash), found, count);
        if (!count) continue;
        pthread_mutex_lock(&index->lock);
        for (int p = 0; p < count && !index->error.exit_code; p++)
            add_pair(index, entry->row, index->entries[found[p]].row, &index->error);
        pthread_mutex_unlock(&index->lock);
    }
}

static int look_up_all(Index *index, const PfRows *rows, PfError *err)
{
    const int64_t step = TASK_HASHES * BLOCK_TASKS;
    for (index->first = 0; index->first < index->count; index->first += step) {
        const int64_t count = pf_min(step, index->count - index->first);
        if (pf_rows_check_interrupt(rows, err)) return -1;
        pf_parallel_for((count + TASK_HASHES - 1) / TASK_HASHES, rows->threads, look_up_task,
                        index);
        if (!index->error.exit_code) continue;
        *err = index->error;
        return -1;
    }
    return 0;
}

int pf_hash_pairs_find(const PfRows *rows, const uint64_t *hashes, int bits, PfHashPair **pairs,
                       int64_t *count, PfError *err)
{
    Index index = {.bits = bits, .lock = PTHREAD_MUTEX_INITIALIZER};
    Entry *entries = pf_calloc((size_t)rows->count, sizeof *entries, err);
    int failed = !entries || list_entries(&index, hashes, rows->count, entries, err);
    for (int quarter = 0; quarter < QUARTERS && !failed; quarter++)
        failed = fill_quarter(&index, quarter, err);
    failed = failed || look_up_all(&index, rows, err);
    for (int quarter = 0; quarter < QUARTERS; quarter++) {
        free(index.starts[quarter]);
        free(index.members[quarter]);
    }
    free(entries);
    if (failed) {
        free(index.pairs);
        return -1;
    }
    if (index.pair_count) qsort(index.pairs, index.pair_count, sizeof *index.pairs, compare_pairs);
    *pairs = index.pairs;
    *count = (int64_t)index.pair_count;
    return 0;
}
