/* Steps that are loops over numbers, for one image. */
#ifndef PF_COMMON_ENGINE_LOOPS_H
#define PF_COMMON_ENGINE_LOOPS_H

#include "common/engine/plan.h"
#include "permafrost/arch.h"

/* Where the numbers of one image begin. */
typedef struct PfLoopMaps {
    const float *x, *sum; /* sum: NULL where there is none */
    float *y;
    void *scratch; /* pf_engine_loops_scratch bytes, 64-byte aligned */
} PfLoopMaps;

/* step->loops tells which numbers; of kinds copy to product. */
void pf_loops_copy(const PfEngineLoops *loops, const PfLoopMaps *maps);
void pf_loops_combine(const PfEngineLoops *loops, PfOp op, const PfLoopMaps *maps);
void pf_loops_softmax(const PfEngineLoops *loops, const PfLoopMaps *maps);
void pf_loops_multiply_matrices(const PfEngineLoops *loops, const PfLoopMaps *maps);

/* y becomes what op, one of a mean, a sum and a maximum, gives over all x that are at the same
 * place of y. The scratch: a double for each float of y. */
void pf_loops_reduce(const PfEngineLoops *loops, PfOp op, const PfEngineValue *y,
                     const PfLoopMaps *maps);

/* y becomes op of each of so many numbers. value: the node's. */
void pf_loops_apply(PfOp op, float value, const float *x, float *y, int64_t count);

#endif
