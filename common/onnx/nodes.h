/* The nodes of a graph, with their attributes. */
#ifndef PF_COMMON_ONNX_NODES_H
#define PF_COMMON_ONNX_NODES_H

#include "common/onnx/reader.h"

/* Takes a NodeProto as the model's next step, or as the steps of the function that it calls. */
int pf_onnx_take_node(PfOnnxReader *reader, PfWire wire);

#endif
