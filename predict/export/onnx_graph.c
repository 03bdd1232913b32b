#include "predict/export/onnx_graph.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/atomic_file.h"
#include "onnx.pb-c.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "raw_data is little-endian"
#endif

#define IR_VERSION 7 /* of the format: the first that has opset 13 */
#define MOST_BYTES INT32_MAX
#define MOST_ATTRIBUTES 8

struct PfOnnxGraph {
    PfOnnx__Model model;
    PfOnnx__OperatorSet opset, *opsets[1];
    PfOnnx__Graph graph;
    size_t nodes, constants, inputs, outputs, properties; /* room in the graph's arrays */
    void **owned;                                         /* (owned_count) all else that is ours */
    size_t owned_count, owned_capacity;
    bool failed;
    PfError error; /* the first failure */
};

/* ---- memory ---- */

/* Zeroed, freed with the graph; NULL once anything has failed. */
static void *own(PfOnnxGraph *graph, size_t count, size_t size)
{
    if (graph->failed || pf_grow(&graph->owned, &graph->owned_capacity, graph->owned_count + 1,
                                 sizeof *graph->owned, &graph->error)) {
        graph->failed = true;
        return NULL;
    }
    void *bytes = pf_calloc(count, size, &graph->error);
    if (bytes)
        graph->owned[graph->owned_count++] = bytes;
    else
        graph->failed = true;
    return bytes;
}

static char *own_text(PfOnnxGraph *graph, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = own(graph, size, 1);
    if (copy) memcpy(copy, text, size);
    return copy;
}

/* Makes room for one more in an array of the graph; returns whether anything has failed. */
static bool grow(PfOnnxGraph *graph, void *array, size_t *capacity, size_t count)
{
    if (graph->failed || pf_grow(array, capacity, count + 1, sizeof(void *), &graph->error))
        graph->failed = true;
    return graph->failed;
}

int pf_onnx_graph_new(const char *name, PfOnnxGraph **out, PfError *err)
{
    static char producer[] = "permafrost", version[] = PF_VERSION;
    PfOnnxGraph *graph = pf_calloc(1, sizeof *graph, err);
    if (!graph) return -1;
    pf_onnx__model__init(&graph->model);
    pf_onnx__operator_set__init(&graph->opset);
    pf_onnx__graph__init(&graph->graph);
    graph->opset.has_version = 1;
    graph->opset.version = PF_ONNX_OPSET;
    graph->opsets[0] = &graph->opset;
    graph->model.has_ir_version = 1;
    graph->model.ir_version = IR_VERSION;
    graph->model.producer_name = producer;
    graph->model.producer_version = version;
    graph->model.n_opset_import = 1;
    graph->model.opset_import = graph->opsets;
    graph->model.graph = &graph->graph;
    graph->graph.name = own_text(graph, name);
    *out = graph;
    return 0;
}

void pf_onnx_graph_free(PfOnnxGraph **graph)
{
    if (!*graph) return;
    for (size_t i = 0; i < (*graph)->owned_count; i++) free((*graph)->owned[i]);
    free((*graph)->owned);
    free((*graph)->graph.node);
    free((*graph)->graph.initializer);
    free((*graph)->graph.input);
    free((*graph)->graph.output);
    free((*graph)->model.metadata_props);
    free(*graph);
    *graph = NULL;
}

/* ---- values ---- */

static PfOnnx__Dimension *make_dimension(PfOnnxGraph *graph, const PfShape *shape, int axis)
{
    PfOnnx__Dimension *dimension = own(graph, 1, sizeof *dimension);
    if (!dimension) return NULL;
    pf_onnx__dimension__init(dimension);
    if (axis < 0) {
        dimension->dim_param = own_text(graph, "batch");
    } else {
        dimension->has_dim_value = 1;
        dimension->dim_value = shape->dims[axis];
    }
    return dimension;
}

static PfOnnx__Shape *make_shape(PfOnnxGraph *graph, const PfShape *shape)
{
    PfOnnx__Shape *batch_shape = own(graph, 1, sizeof *batch_shape);
    if (!batch_shape) return NULL;
    pf_onnx__shape__init(batch_shape);
    batch_shape->dim = own(graph, (size_t)shape->rank + 1, sizeof(void *));
    for (int i = 0; i <= shape->rank && !graph->failed; i++)
        batch_shape->dim[batch_shape->n_dim++] = make_dimension(graph, shape, i - 1);
    return batch_shape;
}

static PfOnnx__Value *make_value(PfOnnxGraph *graph, const char *name, const PfShape *shape)
{
    PfOnnx__Value *value = own(graph, 1, sizeof *value);
    PfOnnx__ValueType *type = own(graph, 1, sizeof *type);
    PfOnnx__TensorType *tensor = own(graph, 1, sizeof *tensor);
    if (!value || !type || !tensor) return NULL;
    pf_onnx__value__init(value);
    pf_onnx__value_type__init(type);
    pf_onnx__tensor_type__init(tensor);
    value->name = own_text(graph, name);
    value->type = type;
    type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = PF_ONNX__TENSOR__DATA_TYPE__FLOAT;
    tensor->shape = make_shape(graph, shape);
    return value;
}

void pf_onnx_add_input(PfOnnxGraph *graph, const char *name, const PfShape *shape)
{
    PfOnnx__Value *value = make_value(graph, name, shape);
    if (!grow(graph, &graph->graph.input, &graph->inputs, graph->graph.n_input))
        graph->graph.input[graph->graph.n_input++] = value;
}

void pf_onnx_add_output(PfOnnxGraph *graph, const char *name, const PfShape *shape)
{
    PfOnnx__Value *value = make_value(graph, name, shape);
    if (!grow(graph, &graph->graph.output, &graph->outputs, graph->graph.n_output))
        graph->graph.output[graph->graph.n_output++] = value;
}

/* The view's numbers as float32: its own bytes where they are that. */
static void set_data(PfOnnxGraph *graph, PfOnnx__Tensor *tensor, const PfTensorView *view)
{
    size_t count = (size_t)pf_shape_count(&view->shape);
    tensor->has_raw_data = 1;
    tensor->raw_data.len = count * sizeof(float);
    tensor->raw_data.data = (uint8_t *)(uintptr_t)view->data;
    if (view->dtype == PF_DTYPE_F32) return;
    float *values = own(graph, count, sizeof *values);
    if (values) pf_f32_from_dtype_array(values, view->data, view->dtype, count);
    tensor->raw_data.data = (uint8_t *)values;
}

/* Among the graph's constants, without data; NULL once anything has failed. */
static PfOnnx__Tensor *add_tensor(PfOnnxGraph *graph, const char *name,
                                  PfOnnx__Tensor__DataType type, const PfShape *shape)
{
    PfOnnx__Tensor *tensor = own(graph, 1, sizeof *tensor);
    if (!tensor) return NULL;
    pf_onnx__tensor__init(tensor);
    tensor->name = own_text(graph, name);
    tensor->has_data_type = 1;
    tensor->data_type = type;
    tensor->dims = own(graph, PF_MAX_RANK, sizeof *tensor->dims);
    if (!tensor->dims) return NULL;
    tensor->n_dims = (size_t)shape->rank;
    memcpy(tensor->dims, shape->dims, tensor->n_dims * sizeof *tensor->dims);
    if (grow(graph, &graph->graph.initializer, &graph->constants, graph->graph.n_initializer))
        return NULL;
    graph->graph.initializer[graph->graph.n_initializer++] = tensor;
    return tensor;
}

void pf_onnx_add_constant(PfOnnxGraph *graph, const char *name, const PfTensorView *view)
{
    PfOnnx__Tensor *tensor =
        add_tensor(graph, name, PF_ONNX__TENSOR__DATA_TYPE__FLOAT, &view->shape);
    if (tensor) set_data(graph, tensor, view);
}

static void copy_data(PfOnnxGraph *graph, PfOnnx__Tensor *tensor, const void *data, size_t size)
{
    uint8_t *copy = tensor ? own(graph, size, 1) : NULL;
    if (!copy) return;
    memcpy(copy, data, size);
    tensor->has_raw_data = 1;
    tensor->raw_data.len = size;
    tensor->raw_data.data = copy;
}

void pf_onnx_add_integers(PfOnnxGraph *graph, const char *name, const int64_t *values,
                          const PfShape *shape)
{
    copy_data(graph, add_tensor(graph, name, PF_ONNX__TENSOR__DATA_TYPE__INT64, shape), values,
              (size_t)pf_shape_count(shape) * sizeof *values);
}

void pf_onnx_add_numbers(PfOnnxGraph *graph, const char *name, const float *values,
                         const PfShape *shape)
{
    copy_data(graph, add_tensor(graph, name, PF_ONNX__TENSOR__DATA_TYPE__FLOAT, shape), values,
              (size_t)pf_shape_count(shape) * sizeof *values);
}

bool pf_onnx_is_taken(const PfOnnxGraph *graph, const char *name)
{
    for (size_t i = 0; i < graph->graph.n_node && !graph->failed; i++)
        for (size_t k = 0; k < graph->graph.node[i]->n_input; k++)
            if (!strcmp(graph->graph.node[i]->input[k], name)) return true;
    return false;
}

bool pf_onnx_has_value(const PfOnnxGraph *graph, const char *name)
{
    const PfOnnx__Graph *content = &graph->graph;
    if (graph->failed) return false;
    for (size_t i = 0; i < content->n_input; i++)
        if (!strcmp(content->input[i]->name, name)) return true;
    for (size_t i = 0; i < content->n_initializer; i++)
        if (!strcmp(content->initializer[i]->name, name)) return true;
    for (size_t i = 0; i < content->n_node; i++)
        if (!strcmp(content->node[i]->name, name)) return true;
    return false;
}

/* ---- nodes ---- */

static void set_inputs(PfOnnxGraph *graph, PfOnnx__Node *node, const char *const *inputs)
{
    size_t count = 0;
    while (inputs[count]) count++;
    node->input = own(graph, count, sizeof *node->input);
    node->output = own(graph, 1, sizeof *node->output);
    node->attribute = own(graph, MOST_ATTRIBUTES, sizeof(void *));
    for (size_t i = 0; i < count && !graph->failed; i++)
        node->input[node->n_input++] = own_text(graph, inputs[i]);
}

void pf_onnx_add_node(PfOnnxGraph *graph, const char *op, const char *name,
                      const char *const *inputs)
{
    PfOnnx__Node *node = own(graph, 1, sizeof *node);
    if (!node) return;
    pf_onnx__node__init(node);
    node->op_type = own_text(graph, op);
    node->name = own_text(graph, name);
    set_inputs(graph, node, inputs);
    if (grow(graph, &graph->graph.node, &graph->nodes, graph->graph.n_node)) return;
    node->output[node->n_output++] = node->name;
    graph->graph.node[graph->graph.n_node++] = node;
}

/* NULL once anything has failed. */
static PfOnnx__Attribute *add_attribute(PfOnnxGraph *graph, const char *name,
                                        PfOnnx__Attribute__Type type)
{
    PfOnnx__Attribute *attribute = own(graph, 1, sizeof *attribute);
    if (!attribute) return NULL;
    pf_onnx__attribute__init(attribute);
    attribute->name = own_text(graph, name);
    attribute->has_type = 1;
    attribute->type = type;
    PfOnnx__Node *node = graph->graph.node[graph->graph.n_node - 1];
    assert(node->n_attribute < MOST_ATTRIBUTES);
    node->attribute[node->n_attribute++] = attribute;
    return attribute;
}

void pf_onnx_set_float(PfOnnxGraph *graph, const char *name, float value)
{
    PfOnnx__Attribute *attribute = add_attribute(graph, name, PF_ONNX__ATTRIBUTE__TYPE__FLOAT);
    if (!attribute) return;
    attribute->has_f = 1;
    attribute->f = value;
}

void pf_onnx_set_int(PfOnnxGraph *graph, const char *name, int64_t value)
{
    PfOnnx__Attribute *attribute = add_attribute(graph, name, PF_ONNX__ATTRIBUTE__TYPE__INT);
    if (!attribute) return;
    attribute->has_i = 1;
    attribute->i = value;
}

void pf_onnx_set_ints(PfOnnxGraph *graph, const char *name, const int64_t *values, size_t count)
{
    PfOnnx__Attribute *attribute = add_attribute(graph, name, PF_ONNX__ATTRIBUTE__TYPE__INTS);
    if (!attribute) return;
    attribute->ints = own(graph, count, sizeof *values);
    if (!attribute->ints) return;
    memcpy(attribute->ints, values, count * sizeof *values);
    attribute->n_ints = count;
}

void pf_onnx_add_metadata(PfOnnxGraph *graph, const char *key, const char *value)
{
    PfOnnx__Model *model = &graph->model;
    PfOnnx__Property *property = own(graph, 1, sizeof *property);
    if (!property) return;
    pf_onnx__property__init(property);
    property->key = own_text(graph, key);
    property->value = own_text(graph, value);
    if (!grow(graph, &model->metadata_props, &graph->properties, model->n_metadata_props))
        model->metadata_props[model->n_metadata_props++] = property;
}

/* ---- the file ---- */

typedef struct FileBuffer {
    ProtobufCBuffer base;
    FILE *file;
    bool failed;
} FileBuffer;

static void append_to_file(ProtobufCBuffer *base, size_t size, const uint8_t *bytes)
{
    FileBuffer *buffer = (FileBuffer *)base;
    if (size && !buffer->failed && fwrite(bytes, size, 1, buffer->file) != 1) buffer->failed = true;
}

static int write_model(const PfOnnx__Model *model, FILE *file)
{
    FileBuffer buffer = {.base = {.append = append_to_file}, .file = file};
    pf_onnx__model__pack_to_buffer(model, &buffer.base);
    return buffer.failed ? -1 : 0;
}

int pf_onnx_graph_write(PfOnnxGraph *graph, const char *path, PfError *err)
{
    PfAtomicFile *file;
    if (graph->failed)
        return pf_fail(err, graph->error.exit_code, "%" PF_SENTENCE, graph->error.message);
    if (pf_onnx__model__get_packed_size(&graph->model) > MOST_BYTES)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' would be larger than 2 GB, which an ONNX file cannot be. Hint: export "
                       "to .pt",
                       path);
    if (pf_atomic_file_begin(path, &file, err)) return -1;
    if (!write_model(&graph->model, pf_atomic_file_stream(file)))
        return pf_atomic_file_commit(&file, err);
    pf_fail_errno(err, "cannot write '%s'", path);
    pf_atomic_file_abandon(&file);
    return -1;
}
