#include "hash_index.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

int pf_hash_index_init(PfHashIndex *index, int64_t capacity, PfError *err)
{
    size_t slots = 16;
    *index = (PfHashIndex){0};
    if (capacity >= PF_HASH_EMPTY)
        return pf_fail(err, PF_EXIT_FAILED, "%lld images are too many; at most %lld can be told",
                       (long long)capacity, (long long)PF_HASH_EMPTY - 1);
    while (slots < 2 * (size_t)capacity) slots *= 2;
    index->slots = pf_alloc_aligned(slots, sizeof *index->slots, err);
    if (!index->slots) return -1;
    memset(index->slots, 0xff, slots * sizeof *index->slots); /* PF_HASH_EMPTY */
    index->mask = slots - 1;
    return 0;
}

void pf_hash_index_free(PfHashIndex *index)
{
    free(index->slots);
    *index = (PfHashIndex){0};
}
