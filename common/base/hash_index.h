/* Finds items of the caller's own array by hash. The table holds their indices
 * alone (four bytes a slot, at most half of them taken); the caller compares:
 *
 *   uint32_t *slot = pf_hash_index_first(&index, hash);
 *   while (*slot != PF_HASH_EMPTY && !is_it(*slot)) slot = pf_hash_index_next(&index, slot);
 *   if (*slot == PF_HASH_EMPTY) *slot = item;
 *
 * Items that are equal should be put in once: many under one hash make it slow. */
#ifndef PF_COMMON_BASE_HASH_INDEX_H
#define PF_COMMON_BASE_HASH_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"

#define PF_HASH_EMPTY UINT32_MAX

typedef struct PfHashIndex {
    uint32_t *slots;
    size_t mask;
} PfHashIndex;

/* Room for `capacity` items, which must not be exceeded. */
int pf_hash_index_init(PfHashIndex *index, int64_t capacity, PfError *err);
void pf_hash_index_free(PfHashIndex *index);

static inline uint32_t *pf_hash_index_first(const PfHashIndex *index, uint64_t hash)
{
    return &index->slots[hash & index->mask];
}

static inline uint32_t *pf_hash_index_next(const PfHashIndex *index, const uint32_t *slot)
{
    return &index->slots[(size_t)(slot + 1 - index->slots) & index->mask];
}

/* ---- texts, numbered in the order in which they come and found by hash ---- */

typedef struct PfTextIndex {
    const char **texts; /* (count) */
    size_t count, capacity;
    PfHashIndex slots;
    size_t room; /* for so many texts */
} PfTextIndex;

/* The number of the text of length bytes, or -1. */
int64_t pf_text_index_find(const PfTextIndex *index, const char *text, size_t length);
/* Adds a text that is not in it, and that lives as long as the index does. */
int pf_text_index_add(PfTextIndex *index, const char *text, PfError *err);
/* Sorts the texts and numbers them anew. new_numbers: (count) by old ones; may be NULL. */
int pf_text_index_sort(PfTextIndex *index, int (*compare)(const char *a, const char *b),
                       int32_t *new_numbers, PfError *err);
/* Leaves it empty. */
void pf_text_index_free(PfTextIndex *index);

#endif
