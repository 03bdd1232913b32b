/* t-SNE: rows laid out on a plane so that near ones stay near. */
#ifndef PF_INSPECT_PROJECTION_TSNE_H
#define PF_INSPECT_PROJECTION_TSNE_H

#include <signal.h>
#include <stdint.h>

#include "common/thread/thread_pool.h"
#include "permafrost/error.h"

typedef struct PfTsneOptions {
    double perplexity;                        /* 0: 30 */
    int iterations;                           /* 0: 750, the first third of them exaggerated */
    const volatile sig_atomic_t *interrupted; /* may be NULL */
    void (*progress)(void *context, int64_t done, int64_t total); /* may be NULL */
    void *context;
} PfTsneOptions;

/* x: (rows, columns), finite. start: (rows, 2) the leading principal components, from which it
 * begins. out: (rows, 2). Barnes-Hut t-SNE (van der Maaten, JMLR 15 (2014) 3221) with the starting
 * positions and learning rate of Kobak and Berens, Nature Communications 10 (2019) 5416. The result
 * does not depend on the number of threads. Fewer than five rows stay where they start. */
int pf_tsne_run(const float *x, int64_t rows, int64_t columns, const float *start,
                const PfTsneOptions *options, PfThreadPool *pool, float *out, PfError *err);

/* The share of a map's neighbourhoods that is not invented: 1 minus the mean rank by which the k
 * nearest rows on the map are too far away in x. Venna and Kaski, ICANN 2001; scikit-learn's
 * trustworthiness. Of `sample` rows, evenly spaced, among all; NaN of fewer than 2 k + 2 rows.
 * map: (rows, 2). */
double pf_tsne_trustworthiness(const float *x, int64_t rows, int64_t columns, const float *map,
                               int k, int64_t sample, PfThreadPool *pool, PfError *err);

#endif
