/* Built-in networks on processors, in C: a PfBackbonePlugin that is always there.
 *
 * Each thread takes up to 16 images through the whole network. Fewer images than that for each
 * thread are shared out evenly; the bits are the same. */
#ifndef PF_COMMON_ENGINE_ENGINE_H
#define PF_COMMON_ENGINE_ENGINE_H

#include <stddef.h>

#include "permafrost/backbone.h"

/* Its open() takes built-in graphs in fp32 and, see plan.h, bf16; the device is the processor,
 * whatever config says. It cannot fine-tune or export. Static storage. */
const PfBackbonePlugin *pf_engine_plugin(void);

/* What an open engine has set aside, in bytes. */
typedef struct PfEngineMemory {
    size_t weights; /* packed, for all threads */
    size_t arenas;  /* maps and scratch of all threads */
    int threads;
} PfEngineMemory;

PfEngineMemory pf_engine_memory(const PfBackbone *backbone);

#endif
