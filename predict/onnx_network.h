/* A network's graph as ONNX nodes. */
#ifndef PF_ONNX_NETWORK_H
#define PF_ONNX_NETWORK_H

#include "backbone_plan.h"
#include "onnx_graph.h"

#define PF_ONNX_INPUT "image"
#define PF_ONNX_NAME_SIZE (PF_NODE_NAME_SIZE + 40)

/* Adds the input, the nodes that feed node `tap`, as "network/<node>", and their tensors under
 * their own names. *shape: of what comes out, without the batch axis; output: its name. Fails
 * where ONNX has no operator for a node at this size of images. plan: lent until the graph is
 * freed. */
int pf_onnx_add_network(PfOnnxGraph *graph, const PfBackbonePlan *plan, int tap, PfShape *shape,
                        char output[PF_ONNX_NAME_SIZE], PfError *err);

#endif
