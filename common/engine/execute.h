/* Running a plan on some images. */
#ifndef PF_COMMON_ENGINE_EXECUTE_H
#define PF_COMMON_ENGINE_EXECUTE_H

#include "common/engine/plan.h"
#include "common/thread/thread_pool.h"

/* Images of a batch, and where their features go. */
typedef struct PfEngineImages {
    const uint8_t *pixels; /* (count, height, width, 3) */
    int first, count;      /* rows of the outputs; count: up to PF_ENGINE_GROUP */
    void *const *outputs;  /* as in PfBackbonePlugin's submit() */
} PfEngineImages;

/* Threads that share the convolutions of one group, where there is no other for them. */
typedef struct PfEngineTeam {
    PfThreadPool *pool;
    int threads;
    void *const *arenas; /* (threads), the group's own first; of the others the scratch is taken */
} PfEngineTeam;

/* arena: 64-byte aligned, of maps_bytes + scratch_bytes, for this call alone. team: NULL: this
 * thread alone. An image's numbers are the same bits whichever others go with it, and however many
 * threads. */
void pf_engine_execute(const PfEnginePlan *plan, const PfEngineImages *images, void *arena,
                       const PfEngineTeam *team);

#endif
