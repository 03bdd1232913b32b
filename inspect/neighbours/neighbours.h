/* The nearest rows of each row by cosine similarity: exact, by blocked matrix products.
 *
 * Every product of two blocks of rows serves both, so that half of all pairs are computed. Nothing
 * depends on the blocks or the number of threads. */
#ifndef PF_INSPECT_NEIGHBOURS_NEIGHBOURS_H
#define PF_INSPECT_NEIGHBOURS_NEIGHBOURS_H

#include <stdint.h>

#include "inspect/rows/rows.h"
#include "permafrost/error.h"

/* Each row's k nearest other rows, the nearest first; of equally near ones that with the lower
 * number comes first. A broken row has none and is nobody's. Start from {.k, .references}. */
typedef struct PfNeighbours {
    int k;
    const uint8_t *references; /* (count) whether a row may be another's neighbour; NULL: all. Lent
                                  while they are searched for */
    int64_t count;
    int32_t *index;    /* (count, k) -1: there are no more; owned */
    float *similarity; /* (count, k) cosine, at most 1; owned */
} PfNeighbours;

/* Memory that lists of k take while they are searched for, in bytes a row. */
#define PF_NEIGHBOURS_ROW_BYTES(k) (24 * (int64_t)(k) + 9)

/* Memory that rows take while they are compared, where they are read from the cache: at most a
 * quarter of rows->memory_bytes. */
int64_t pf_neighbours_held_bytes(const PfRows *rows);

/* Called from the calling thread. */
typedef void PfNeighboursProgress(void *context, int64_t done, int64_t total);

/* Fills `count` lists of neighbours in one search. progress may be NULL. Free each with
 * pf_neighbours_free, on failure too. */
int pf_neighbours_find(const PfRows *rows, PfNeighbours *lists, int count,
                       PfNeighboursProgress *progress, void *context, PfError *err);
void pf_neighbours_free(PfNeighbours *neighbours);

/* The k rows nearest to x, (features) numbers that need not be of length 1. index, similarity: (k),
 * as above. */
int pf_neighbours_of(const PfRows *rows, const float *x, int k, int32_t *index, float *similarity,
                     PfError *err);

#endif
