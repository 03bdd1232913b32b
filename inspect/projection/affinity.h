/* Which rows belong together, and how much: the graph that t-SNE lays out. */
#ifndef PF_INSPECT_PROJECTION_AFFINITY_H
#define PF_INSPECT_PROJECTION_AFFINITY_H

#include <stdint.h>

#include "common/thread/thread_pool.h"
#include "permafrost/error.h"

typedef struct PfAffinity {
    int64_t rows;
    int64_t *starts;   /* (rows + 1) into the others; owned */
    int32_t *partners; /* ascending within a row; owned */
    float *weights;    /* symmetric; all of them sum up to 1; owned */
} PfAffinity;

/* x: (rows, columns), rows > 3. Gaussians over the nearest 3 * perplexity rows, each as wide as the
 * perplexity asks, made symmetric: van der Maaten, JMLR 15 (2014) 3221, section 4.1. perplexity is
 * lowered to a third of the other rows. Free with pf_affinity_free, on failure too. */
int pf_affinity_find(const float *x, int64_t rows, int64_t columns, double perplexity,
                     PfThreadPool *pool, PfAffinity *out, PfError *err);
void pf_affinity_free(PfAffinity *affinity);

#endif
