/* How the columns of ONNX are written: nodes, their attributes and constants. See ops.h. */
#ifndef PF_COMMON_ARCH_ONNX_NODES_H
#define PF_COMMON_ARCH_ONNX_NODES_H

#include "common/arch/ops.h"

/* The next node; inputs: static, as PfOnnxNode says. */
PfOnnxNode *pf_onnx_nodes_add(PfOnnxNodes *nodes, const char *type, const char *inputs);

void pf_onnx_nodes_set_int(PfOnnxNode *node, const char *name, int64_t value);
void pf_onnx_nodes_set_float(PfOnnxNode *node, const char *name, float value);
void pf_onnx_nodes_set_pair(PfOnnxNode *node, const char *name, int64_t height, int64_t width);
/* Empty, for the caller to fill. */
PfOnnxAttribute *pf_onnx_nodes_set_ints(PfOnnxNode *node, const char *name);
/* The axes as ONNX counts them, with the batch axis, which stays the first where all are named. */
void pf_onnx_nodes_set_axes(PfOnnxNode *node, const char *name, const int *axes, int count,
                            bool with_batch);

/* Constants, in their order: "$1" is the first. */
void pf_onnx_nodes_add_number(PfOnnxNodes *nodes, float number);
/* values may be NULL where count is 0. The caller may append. */
PfOnnxConstant *pf_onnx_nodes_add_integers(PfOnnxNodes *nodes, const int64_t *values, int count);
/* Arrays of zeros for the caller to fill, which the nodes own; NULL where memory is short. */
int64_t *pf_onnx_nodes_add_indices(PfOnnxNodes *nodes, PfShape shape, PfError *err);
float *pf_onnx_nodes_add_numbers(PfOnnxNodes *nodes, PfShape shape, PfError *err);
/* The node's positions, resized to a grid. */
void pf_onnx_nodes_add_positions(PfOnnxNodes *nodes, int64_t height, int64_t width);

#endif
