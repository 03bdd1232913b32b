/* Operations whose windows move over maps. */
#ifndef PF_COMMON_ENGINE_WINDOWS_H
#define PF_COMMON_ENGINE_WINDOWS_H

#include "common/engine/builder.h"

/* Each settles the node. A pad is taken into the only convolution or pool that reads it, where that
 * has the same padding of its own: of zeros, and for maxima also of -infinity. */
int pf_engine_make_convolution(Builder *builder, int node); /* and linear */
int pf_engine_make_max_pool(Builder *builder, int node);
int pf_engine_make_average_windows(Builder *builder, int node);
int pf_engine_make_pad(Builder *builder, int node);

#endif
