/* Operations on one or two values of any axes: those that no kernel of maps and rows takes. */
#ifndef PF_COMMON_ENGINE_ARITHMETIC_H
#define PF_COMMON_ENGINE_ARITHMETIC_H

#include "common/engine/builder.h"

/* Each settles the node. */
int pf_engine_make_arithmetic(Builder *builder, int node); /* add ... divide, power, maximum, ... */
int pf_engine_make_function(Builder *builder, int node);   /* exp, sqrt, ... */
int pf_engine_make_reduction(Builder *builder, int node);  /* mean, sum, maximum over axes */
int pf_engine_make_softmax(Builder *builder, int node);
int pf_engine_make_product(Builder *builder, int node); /* matmul */

#endif
