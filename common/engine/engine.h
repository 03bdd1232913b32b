/* Built-in networks on processors, in C: a PfBackbonePlugin that is always there.
 *
 * Each thread takes up to 16 images through the whole network. Fewer images than that for each
 * thread are shared out evenly; the bits are the same. */
#ifndef PF_COMMON_ENGINE_ENGINE_H
#define PF_COMMON_ENGINE_ENGINE_H

#include "permafrost/backbone.h"

/* Its open() takes built-in graphs in fp32; the device is the processor, whatever config says. It
 * cannot fine-tune or export. Static storage. */
const PfBackbonePlugin *pf_engine_plugin(void);

#endif
