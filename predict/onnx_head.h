/* A head as ONNX nodes. */
#ifndef PF_ONNX_HEAD_H
#define PF_ONNX_HEAD_H

#include "export_head.h"
#include "onnx_graph.h"

/* Adds the head on the value `features`, (n, features), and an output for each target, of its
 * name. Fails where a target is called as something else in the graph. head: lent until the graph
 * is freed. */
int pf_onnx_add_head(PfOnnxGraph *graph, const PfExportHead *head, const char *features,
                     PfError *err);

#endif
