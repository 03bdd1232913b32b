/* The push of all points of a plane on each of them, as t-SNE has it: by a quadtree, in which what
 * is far away counts as one (Barnes-Hut). */
#ifndef PF_INSPECT_PROJECTION_REPULSION_H
#define PF_INSPECT_PROJECTION_REPULSION_H

#include <stdint.h>

#include "common/thread/thread_pool.h"
#include "permafrost/error.h"

typedef struct PfRepulsion PfRepulsion;

/* For clouds of so many points. theta: a cell counts as one if its side is less than theta times
 * its distance. Free with pf_repulsion_free. */
int pf_repulsion_new(int64_t points, double theta, PfRepulsion **out, PfError *err);
void pf_repulsion_free(PfRepulsion **repulsion);

/* x, y: (points). push_x, push_y: (points) the sum over other points j of q^2 (x_i - x_j), where
 * q = 1 / (1 + squared distance). Returns the sum of all q over ordered pairs. */
double pf_repulsion_run(PfRepulsion *repulsion, const float *x, const float *y, float *push_x,
                        float *push_y, PfThreadPool *pool);

#endif
