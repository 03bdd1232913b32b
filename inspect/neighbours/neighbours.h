/* The nearest rows of each row by cosine similarity: of all rows, or, where there are so many that
 * this takes long, of those in the cells around each row. Nothing depends on the number of threads,
 * and of all pairs nothing on the memory either; cells are learned from fewer rows where it is
 * short. */
#ifndef PF_INSPECT_NEIGHBOURS_NEIGHBOURS_H
#define PF_INSPECT_NEIGHBOURS_NEIGHBOURS_H

#include <stdbool.h>
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

typedef enum PfNeighboursMethod {
    PF_NEIGHBOURS_AUTO, /* cells where all pairs take many minutes */
    PF_NEIGHBOURS_ALL_PAIRS,
    PF_NEIGHBOURS_CELLS,
} PfNeighboursMethod;

#define PF_NEIGHBOURS_LISTS 4 /* of one search, at most */

/* How neighbours were looked for. Start from {.method}. */
typedef struct PfNeighboursWay {
    PfNeighboursMethod method;
    bool by_cells; /* false: all pairs were compared; else the rest is known */
    int cells;     /* that the rows lie in */
    int probes;    /* nearest cells that each row was compared with */
    int sampled;   /* rows whose neighbours were looked for among all rows, too */
    /* Of each list: the share of the k nearest, and of the nearest, that was found for them. */
    double recall[PF_NEIGHBOURS_LISTS], recall_nearest[PF_NEIGHBOURS_LISTS];
    double compared; /* share of all pairs that was compared */
} PfNeighboursWay;

bool pf_neighbours_by_cells(const PfRows *rows, PfNeighboursMethod method);

/* Memory that rows take while they are compared, beside the lists: at most half of
 * rows->memory_bytes, or what a few thousand rows take. */
int64_t pf_neighbours_held_bytes(const PfRows *rows, PfNeighboursMethod method);

/* Called from the calling thread. */
typedef void PfNeighboursProgress(void *context, int64_t done, int64_t total);

/* Fills `count` lists of neighbours in one search. progress may be NULL. Free each with
 * pf_neighbours_free, on failure too. */
int pf_neighbours_find(const PfRows *rows, PfNeighbours *lists, int count, PfNeighboursWay *way,
                       PfNeighboursProgress *progress, void *context, PfError *err);
void pf_neighbours_free(PfNeighbours *neighbours);

/* A copy of the first k of each row's neighbours: at most from->k. Free it likewise. */
int pf_neighbours_first(const PfNeighbours *from, int k, PfNeighbours *out, PfError *err);

/* The k rows nearest to x, (features) numbers that need not be of length 1. index, similarity: (k),
 * as above. */
int pf_neighbours_of(const PfRows *rows, const float *x, int k, int32_t *index, float *similarity,
                     PfError *err);

#endif
