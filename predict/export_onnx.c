/* A model as one ONNX graph: the network up to its tap, then the head. */
#include "export_head.h"
#include "export_source.h"
#include "onnx_graph.h"
#include "onnx_head.h"
#include "onnx_network.h"

#define FEATURES "head/features" /* what the head takes: rows of numbers */

static int build(PfOnnxGraph *graph, const PfExportSource *source, const PfExportHead *head,
                 PfError *err)
{
    char value[PF_ONNX_NAME_SIZE];
    PfShape shape;
    if (pf_onnx_add_network(graph, source->plan, source->tap, &shape, value, err)) return -1;
    if (shape.rank > 1)
        pf_onnx_add_node(graph, "Flatten", FEATURES, (const char *const[]){value, NULL});
    for (size_t i = 0; i < source->metadata.count; i++)
        pf_onnx_add_metadata(graph, source->metadata.keys[i], source->metadata.values[i]);
    return pf_onnx_add_head(graph, head, shape.rank > 1 ? FEATURES : value, err);
}

int pf_export_onnx(const PfExportSource *source, const char *path, PfError *err)
{
    if (!source->plan->arch)
        return pf_fail(err, PF_EXIT_USAGE,
                       "the network of model '%s' is the TorchScript file '%s', whose graph is not "
                       "known here. Hint: --export FILE.pt",
                       pf_model_path(source->model), source->plan->script->path);
    PfOnnxGraph *graph;
    PfExportHead head;
    if (pf_export_head_new(source->scorer, &head, err)) return -1;
    int failed = pf_onnx_graph_new(source->plan->name, &graph, err);
    if (!failed) {
        failed = build(graph, source, &head, err) || pf_onnx_graph_write(graph, path, err);
        pf_onnx_graph_free(&graph);
    }
    pf_export_head_free(&head);
    return failed ? -1 : 0;
}
