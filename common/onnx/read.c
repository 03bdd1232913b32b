#include "common/onnx/read.h"

#include <string.h>

#include "common/base/memory.h"
#include "common/onnx/declared.h"
#include "common/onnx/nodes.h"
#include "common/onnx/tensors.h"

#define MAX_FUNCTIONS 4096
#define FREE_BUDGET ((size_t)1 << 22)

/* The numbers of fields, as onnx.proto has them. */
enum { MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_FUNCTION = 25 };
enum { FUNCTION_NAME = 1, FUNCTION_DOMAIN = 10, FUNCTION_OVERLOAD = 13 };
enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2 };
enum {
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_SPARSE = 15
};

static int take_initializer(PfOnnxReader *reader, PfWire wire)
{
    const char *name;
    PfOnnxTensor *tensor = pf_onnx_take_room(reader, 1, sizeof *tensor);
    if (!tensor || pf_onnx_take_tensor(reader, wire, tensor, &name)) return -1;
    const int value = pf_onnx_value_named(reader, name);
    if (value < 0) return -1;
    if (reader->model->values[value].constant)
        return pf_onnx_refuse_file(reader, "two of its tensors have one name");
    reader->model->values[value].constant = tensor;
    return 0;
}

/* All fields of one number, by one function. */
static int for_each(PfOnnxReader *reader, PfWire graph, uint32_t number,
                    int (*take)(PfOnnxReader *reader, PfWire wire))
{
    PfWireField field;
    while (pf_wire_next(&graph, &field) > 0) {
        if (field.number != number) continue;
        if (field.kind != PF_WIRE_BYTES) return pf_onnx_broken(reader, "parts of a graph");
        if (take(reader, field.bytes)) return -1;
    }
    return 0;
}

static int refuse_sparse(PfOnnxReader *reader, PfWire wire)
{
    (void)wire;
    return pf_onnx_refuse_file(reader, "expected dense tensors, found a sparse one");
}

static int take_graph(PfOnnxReader *reader, PfWire graph)
{
    PfOnnxModel *model = reader->model;
    const int64_t outputs = pf_wire_count(graph, GRAPH_OUTPUT);
    if (outputs < 0) return pf_onnx_broken(reader, "a graph");
    model->outputs = pf_onnx_take_room(reader, (size_t)outputs, sizeof *model->outputs);
    if (!model->outputs || for_each(reader, graph, GRAPH_SPARSE, refuse_sparse) ||
        for_each(reader, graph, GRAPH_INITIALIZER, take_initializer) ||
        for_each(reader, graph, GRAPH_INPUT, pf_onnx_take_input))
        return -1;
    if (model->input < 0)
        return pf_onnx_refuse_file(reader, "expected an input for images, found none");
    if (for_each(reader, graph, GRAPH_NODE, pf_onnx_take_node) ||
        for_each(reader, graph, GRAPH_OUTPUT, pf_onnx_take_output))
        return -1;
    return model->output_count ? 0 : pf_onnx_refuse_file(reader, "expected outputs, found none");
}

static int take_opset(PfOnnxReader *reader, PfWire wire)
{
    PfWireField field;
    const char *domain = "";
    int64_t version = 0;
    int got;
    while ((got = pf_wire_next(&wire, &field)) > 0) {
        if (field.number == OPSET_DOMAIN && !(domain = pf_onnx_take_text(reader, &field)))
            return -1;
        if (field.number == OPSET_VERSION) version = (int64_t)field.value;
    }
    if (got < 0) return pf_onnx_broken(reader, "the version of the operators");
    if (!*domain || !strcmp(domain, "ai.onnx")) reader->model->opset = version;
    return 0;
}

static int take_function(PfOnnxReader *reader, PfWire wire)
{
    PfOnnxFunction *function = &reader->functions[reader->function_count++];
    PfWireField field;
    int got;
    *function = (PfOnnxFunction){.name = "", .domain = "", .overload = "", .body = wire};
    while ((got = pf_wire_next(&wire, &field)) > 0) {
        const char **text = field.number == FUNCTION_NAME       ? &function->name
                            : field.number == FUNCTION_DOMAIN   ? &function->domain
                            : field.number == FUNCTION_OVERLOAD ? &function->overload
                                                                : NULL;
        if (text && !(*text = pf_onnx_take_text(reader, &field))) return -1;
    }
    if (!strcmp(function->domain, "ai.onnx")) function->domain = "";
    return got < 0 ? pf_onnx_broken(reader, "a function") : 0;
}

static int take_functions(PfOnnxReader *reader, PfWire wire)
{
    const int64_t count = pf_wire_count(wire, MODEL_FUNCTION);
    if (count > MAX_FUNCTIONS)
        return pf_onnx_refuse_file(reader, "expected at most 4096 functions, found more");
    reader->functions = pf_onnx_take_room(reader, (size_t)count, sizeof *reader->functions);
    return !reader->functions || for_each(reader, wire, MODEL_FUNCTION, take_function) ? -1 : 0;
}

static int take_model(PfOnnxReader *reader, PfWire wire)
{
    PfOnnxModel *model = reader->model;
    PfWireField field;
    PfWire graph = {0};
    int got;
    for (PfWire rest = wire; (got = pf_wire_next(&rest, &field)) > 0;) {
        if (field.number != MODEL_GRAPH && field.number != MODEL_OPSET) continue;
        if (field.kind != PF_WIRE_BYTES) return pf_onnx_broken(reader, "a model");
        if (field.number == MODEL_GRAPH) graph = field.bytes;
        if (field.number == MODEL_OPSET && take_opset(reader, field.bytes)) return -1;
    }
    if (got < 0 || !graph.at) return pf_onnx_broken(reader, "a model with a graph");
    if (model->opset < PF_ONNX_OLDEST_OPSET || model->opset > PF_ONNX_NEWEST_OPSET)
        return pf_fail(reader->err, PF_EXIT_FAILED,
                       "'%s': expected operators of opset %d to %d, found %lld. Hint: "
                       "torch.onnx.export(..., opset_version=17), or "
                       "onnx.version_converter.convert_version(model, 17)",
                       model->path, PF_ONNX_OLDEST_OPSET, PF_ONNX_NEWEST_OPSET,
                       (long long)model->opset);
    return take_functions(reader, wire) ? -1 : take_graph(reader, graph);
}

int pf_onnx_model_new(const char *path, const void *bytes, size_t size, int folder,
                      PfOnnxModel **out, PfError *err)
{
    PfOnnxModel *model = pf_calloc(1, sizeof *model, err);
    if (!model) return -1;
    *model =
        (PfOnnxModel){.path = path, .folder = folder, .input = -1, .budget = FREE_BUDGET + size};
    PfOnnxReader reader = {.model = model, .size = size, .err = err};
    if (!take_model(&reader, (PfWire){bytes, (const uint8_t *)bytes + size})) {
        *out = model;
        return 0;
    }
    pf_onnx_model_free(&model);
    return -1;
}
