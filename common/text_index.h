/* Texts numbered in the order in which they come, and found by hash. */
#ifndef PF_TEXT_INDEX_H
#define PF_TEXT_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "hash_index.h"
#include "permafrost/error.h"

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
