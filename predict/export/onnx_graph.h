/* An ONNX model as it grows, and its file.
 *
 * Adding never fails visibly: the first failure sticks, and pf_onnx_graph_write reports it.
 * Names and values of attributes are copied. */
#ifndef PF_PREDICT_EXPORT_ONNX_GRAPH_H
#define PF_PREDICT_EXPORT_ONNX_GRAPH_H

#include <stdbool.h>

#include "permafrost/error.h"
#include "permafrost/tensor.h"

#define PF_ONNX_OPSET 13

typedef struct PfOnnxGraph PfOnnxGraph;

int pf_onnx_graph_new(const char *name, PfOnnxGraph **out, PfError *err);
void pf_onnx_graph_free(PfOnnxGraph **graph);

/* A float32 input or output, shape without the batch axis, which may vary. */
void pf_onnx_add_input(PfOnnxGraph *graph, const char *name, const PfShape *shape);
void pf_onnx_add_output(PfOnnxGraph *graph, const char *name, const PfShape *shape);

/* A constant, stored as float32; the view's data is lent until the graph is freed. */
void pf_onnx_add_constant(PfOnnxGraph *graph, const char *name, const PfTensorView *view);

/* Integers and floats as constants. Copied. */
void pf_onnx_add_integers(PfOnnxGraph *graph, const char *name, const int64_t *values,
                          const PfShape *shape);
void pf_onnx_add_numbers(PfOnnxGraph *graph, const char *name, const float *values,
                         const PfShape *shape);

/* A node of one output, which has the node's name. inputs: NULL-terminated. */
void pf_onnx_add_node(PfOnnxGraph *graph, const char *op, const char *name,
                      const char *const *inputs);
/* Attributes of the node that was added last. */
void pf_onnx_set_float(PfOnnxGraph *graph, const char *name, float value);
void pf_onnx_set_int(PfOnnxGraph *graph, const char *name, int64_t value);
void pf_onnx_set_ints(PfOnnxGraph *graph, const char *name, const int64_t *values, size_t count);

/* Whether a node takes a value of that name. */
bool pf_onnx_is_taken(const PfOnnxGraph *graph, const char *name);

/* Whether an input, a constant or a node is called that. */
bool pf_onnx_has_value(const PfOnnxGraph *graph, const char *name);

void pf_onnx_add_metadata(PfOnnxGraph *graph, const char *key, const char *value);

/* The whole file or none. */
int pf_onnx_graph_write(PfOnnxGraph *graph, const char *path, PfError *err);

#endif
