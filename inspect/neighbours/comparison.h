/* What the two ways of looking for neighbours have in common: lists that fill with candidates. */
#ifndef PF_INSPECT_NEIGHBOURS_COMPARISON_H
#define PF_INSPECT_NEIGHBOURS_COMPARISON_H

#include "common/thread/thread_pool.h"
#include "inspect/neighbours/candidates.h"
#include "inspect/neighbours/neighbours.h"

/* Similarities that are compared before one of them is looked at. */
#define PF_COMPARISON_LANES 16

typedef struct PfComparison {
    const PfRows *rows;
    PfThreadPool *pool;
    PfNeighbours *lists;
    int list_count;
    uint8_t *references[PF_NEIGHBOURS_LISTS]; /* (rows) of each list, without the broken ones */
    PfCandidates candidates[PF_NEIGHBOURS_LISTS];
    PfNeighboursProgress *progress; /* may be NULL */
    void *context;
} PfComparison;

/* Whether any of n <= PF_COMPARISON_LANES similarities is no worse than worst. */
static inline bool pf_comparison_any_good(const float *similarities, int64_t n, float worst)
{
    int found = 0;
    for (int64_t j = 0; j < n; j++) found |= similarities[j] >= worst;
    return found != 0;
}

/* All pairs, by blocks. */
int pf_all_pairs_compare(PfComparison *comparison, PfError *err);

/* Bytes of rows that it holds beside those that it reads. */
int64_t pf_all_pairs_held_bytes(const PfRows *rows);

/* An inverted file: see cell_search.c. *way: cells, probes, recalls, or that all pairs would be
 * sooner: then nothing was compared. */
int pf_cell_search_compare(PfComparison *comparison, PfNeighboursWay *way, PfError *err);

int64_t pf_cell_search_held_bytes(const PfRows *rows);

#endif
