/* The k best of many (similarity, row) pairs for each of several rows, whatever order they come in.
 *
 * Those that are no worse than `worst` are collected, and once there are 2 k of them the k best are
 * kept (Hoare's quickselect): each costs a few steps, whatever k is. Of equal similarities that
 * with the lower row is better, so that there is one answer. */
#ifndef PF_INSPECT_NEIGHBOURS_CANDIDATES_H
#define PF_INSPECT_NEIGHBOURS_CANDIDATES_H

#include <stdint.h>

#include "permafrost/error.h"

typedef struct PfCandidates {
    int k, capacity;
    uint64_t *keys; /* (rows, capacity) similarity above, row below; owned */
    int32_t *count; /* (rows) of the keys; owned */
    float *worst;   /* (rows) a lower similarity is none of the k best; owned */
} PfCandidates;

/* Free with pf_candidates_free, on failure too. */
int pf_candidates_new(int64_t rows, int k, PfCandidates *out, PfError *err);
void pf_candidates_free(PfCandidates *candidates);

/* Keeps the k best of a row. */
void pf_candidates_keep_best(PfCandidates *candidates, int64_t row);

/* The row's k best, the best first; -1 and 0 where there are no more. */
void pf_candidates_finish(PfCandidates *candidates, int64_t row, int32_t *index, float *similarity);

uint64_t pf_candidates_key(float similarity, int32_t row);

static inline void pf_candidates_add(PfCandidates *candidates, int64_t row, int32_t other,
                                     float similarity)
{
    int32_t *count = &candidates->count[row];
    candidates->keys[row * candidates->capacity + (*count)++] =
        pf_candidates_key(similarity, other);
    if (*count == candidates->capacity) pf_candidates_keep_best(candidates, row);
}

#endif
