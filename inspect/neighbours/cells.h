/* Cells of rows that lie near to each other: k-means by cosine similarity on a sample of the rows
 * (Dhillon, Modha, Concept Decompositions for Large Sparse Text Data (2001)). */
#ifndef PF_INSPECT_NEIGHBOURS_CELLS_H
#define PF_INSPECT_NEIGHBOURS_CELLS_H

#include "common/thread/thread_pool.h"
#include "inspect/neighbours/candidates.h"
#include "inspect/rows/rows.h"

#define PF_CELLS_MOST 16384
/* Rows of a block, at most: it is compared with all centres at once. */
#define PF_CELLS_BLOCK 2048

typedef struct PfCells {
    int count, probes;
    int64_t features;
    int64_t block_rows;    /* that are placed at once, at most */
    float *centres;        /* (count, features) of length 1; owned */
    float *similarities;   /* (block_rows, count) scratch; owned */
    PfCandidates nearest;  /* (block_rows) scratch; owned */
    int32_t *index;        /* (block_rows, probes) scratch; owned */
    float *index_nearness; /* likewise */
} PfCells;

/* Learns the centres of `count` cells from no more than sample_rows rows. The same for every number
 * of threads. Free with pf_cells_free, on failure too. */
int pf_cells_learn(const PfRows *rows, PfThreadPool *pool, int count, int probes,
                   int64_t sample_rows, PfCells *out, PfError *err);
void pf_cells_free(PfCells *cells);

/* x: (count, features) of length 1, count <= block_rows. out: (count, probes) the cells of the
 * nearest centres, the nearest first. */
void pf_cells_place(PfCells *cells, PfThreadPool *pool, const float *x, int64_t count,
                    uint16_t *out);

/* Reads all rows, and puts each row whose slots[row] is in [first, first + count) into
 * out[slots[row] - first], scaled to length 1. slots: (rows), -1: none. out: (count, features). */
int pf_cells_gather(const PfRows *rows, const int32_t *slots, int64_t first, int64_t count,
                    float *out, PfError *err);

#endif
