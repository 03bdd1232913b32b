#include "split.h"

#include <stdlib.h>
#include <string.h>

#include "digest.h"
#include "memory.h"

typedef struct Entry {
    int32_t group;
    double position; /* hash as a number in [0, 1) */
    int64_t index;
} Entry;

static int by_group_and_position(const void *left, const void *right)
{
    const Entry *a = left, *b = right;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    if (a->position != b->position) return a->position < b->position ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Gives the empty side an image of the largest other side; an earlier side
 * keeps its last one. Sides are runs in hash order, so moving their borders is
 * all it takes. */
static void fill_empty_side(int64_t sizes[PF_SPLIT_COUNT], int empty)
{
    int donor = -1;
    for (int side = 0; side < PF_SPLIT_COUNT; side++)
        if (sizes[side] > (side < empty) && (donor < 0 || sizes[side] > sizes[donor])) donor = side;
    if (donor < 0) return;
    sizes[donor]--;
    sizes[empty]++;
}

/* entries: one class in hash order. */
static void split_group(const Entry *entries, int64_t count, double val, double test,
                        uint8_t *splits)
{
    static const PfSplit order[] = {PF_SPLIT_TEST, PF_SPLIT_VAL, PF_SPLIT_TRAIN};
    const double wanted[PF_SPLIT_COUNT] = {1.0 - val - test, val, test};
    int64_t sizes[PF_SPLIT_COUNT] = {0};
    for (int64_t i = 0; i < count; i++) {
        double position = entries[i].position;
        sizes[position < test         ? PF_SPLIT_TEST
              : position < test + val ? PF_SPLIT_VAL
                                      : PF_SPLIT_TRAIN]++;
    }
    for (int side = 0; side < PF_SPLIT_COUNT; side++)
        if (wanted[side] > 0 && !sizes[side]) fill_empty_side(sizes, side);
    for (int i = 0; i < PF_SPLIT_COUNT; i++)
        for (int64_t n = sizes[order[i]]; n > 0; n--)
            splits[(entries++)->index] = (uint8_t)order[i];
}

int pf_split_by_hash(const char *const *keys, const int32_t *groups, int64_t count, double val,
                     double test, uint8_t *splits, PfError *err)
{
    Entry *entries = pf_calloc((size_t)count, sizeof *entries, err);
    if (!entries && count) return -1;
    for (int64_t i = 0; i < count; i++)
        entries[i] = (Entry){
            .group = groups && groups[i] >= 0 ? groups[i] : -1,
            .position = (double)(pf_xxh64_text(keys[i]) >> 11) * 0x1p-53,
            .index = i,
        };
    if (count) qsort(entries, (size_t)count, sizeof *entries, by_group_and_position);
    for (int64_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && entries[end].group == entries[first].group;) end++;
        split_group(entries + first, end - first, val, test, splits);
    }
    free(entries);
    return 0;
}
