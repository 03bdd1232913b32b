/* Operations that arrange the same numbers otherwise: as views where memory allows, else copied. */
#ifndef PF_COMMON_ENGINE_ARRANGE_H
#define PF_COMMON_ENGINE_ARRANGE_H

#include "common/engine/builder.h"

/* Each settles the node. */
int pf_engine_make_reshape(Builder *builder, int node); /* and flatten */
int pf_engine_make_permute(Builder *builder, int node);
int pf_engine_make_channel_shuffle(Builder *builder, int node);
int pf_engine_make_slice(Builder *builder, int node);
int pf_engine_make_concat(Builder *builder, int node);
int pf_engine_make_parameter(Builder *builder, int node);

/* Strides of the axes of x's shape, 0 for axes of size 1. Returns x, or a copy for which there are
 * any; they are from the copy's beginning on. */
int pf_engine_stride(Builder *builder, int node, int x, int64_t *strides);

/* Settles the node, whose shape has numbers of x at these strides, the first `begin` floats behind
 * x's first. */
int pf_engine_settle_strided(Builder *builder, int node, int x, const int64_t *strides,
                             int64_t begin);

/* Takes a batch norm into the copies that a concatenation of maps is made of, so that the maps of a
 * dense block are read once where a layer begins. false: they cannot take it. */
bool pf_engine_norm_parts(Builder *builder, int concat, int norm);

/* Gives the activation of such copies' first one to the others. */
void pf_engine_activate_parts(Builder *builder, const PfEngineStep *first);

/* A view of value x that lies as `value` says; returns its index. */
int pf_engine_add_view(Builder *builder, int x, PfEngineValue value);

/* x, copied to a value of the same numbers that lies as `target`; returns its index. */
int pf_engine_add_copy(Builder *builder, int node, int x, PfEngineValue target);

/* Before the node's step is made: its inputs become values that lie as its kernel takes them. */
void pf_engine_prepare(Builder *builder, int node);

#endif
