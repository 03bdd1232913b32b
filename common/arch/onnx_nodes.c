#include "common/arch/onnx_nodes.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/memory.h"

PfOnnxNode *pf_onnx_nodes_add(PfOnnxNodes *nodes, const char *type, const char *inputs)
{
    assert((size_t)nodes->count < sizeof nodes->nodes / sizeof nodes->nodes[0]);
    PfOnnxNode *node = &nodes->nodes[nodes->count++];
    *node = (PfOnnxNode){.type = type, .inputs = inputs};
    return node;
}

/* ---- attributes ---- */

static PfOnnxAttribute *add_attribute(PfOnnxNode *node, const char *name, PfOnnxKind kind)
{
    assert((size_t)node->attribute_count < sizeof node->attributes / sizeof node->attributes[0]);
    PfOnnxAttribute *attribute = &node->attributes[node->attribute_count++];
    *attribute = (PfOnnxAttribute){.name = name, .kind = kind};
    return attribute;
}

void pf_onnx_nodes_set_int(PfOnnxNode *node, const char *name, int64_t value)
{
    add_attribute(node, name, PF_ONNX_INT)->ints[0] = value;
}

void pf_onnx_nodes_set_float(PfOnnxNode *node, const char *name, float value)
{
    add_attribute(node, name, PF_ONNX_FLOAT)->number = value;
}

void pf_onnx_nodes_set_pair(PfOnnxNode *node, const char *name, int64_t height, int64_t width)
{
    PfOnnxAttribute *attribute = add_attribute(node, name, PF_ONNX_INTS);
    attribute->count = 2;
    attribute->ints[0] = height;
    attribute->ints[1] = width;
}

PfOnnxAttribute *pf_onnx_nodes_set_ints(PfOnnxNode *node, const char *name)
{
    return add_attribute(node, name, PF_ONNX_INTS);
}

void pf_onnx_nodes_set_axes(PfOnnxNode *node, const char *name, const int *axes, int count,
                            bool with_batch)
{
    PfOnnxAttribute *attribute = pf_onnx_nodes_set_ints(node, name);
    if (with_batch) attribute->ints[attribute->count++] = 0;
    for (int i = 0; i < count; i++) attribute->ints[attribute->count++] = axes[i] + 1;
}

/* ---- constants ---- */

static PfOnnxConstant *add_constant(PfOnnxNodes *nodes, PfOnnxConstantKind kind)
{
    assert((size_t)nodes->constant_count < sizeof nodes->constants / sizeof nodes->constants[0]);
    PfOnnxConstant *constant = &nodes->constants[nodes->constant_count++];
    *constant = (PfOnnxConstant){.kind = kind};
    return constant;
}

void pf_onnx_nodes_add_number(PfOnnxNodes *nodes, float number)
{
    add_constant(nodes, PF_ONNX_NUMBER)->number = number;
}

PfOnnxConstant *pf_onnx_nodes_add_integers(PfOnnxNodes *nodes, const int64_t *values, int count)
{
    PfOnnxConstant *constant = add_constant(nodes, PF_ONNX_INTEGERS);
    constant->count = count;
    for (int i = 0; i < count; i++) constant->ints[i] = values[i];
    return constant;
}

int64_t *pf_onnx_nodes_add_indices(PfOnnxNodes *nodes, PfShape shape, PfError *err)
{
    PfOnnxConstant *constant = add_constant(nodes, PF_ONNX_INDICES);
    constant->shape = shape;
    constant->indices = pf_calloc((size_t)pf_shape_count(&shape), sizeof *constant->indices, err);
    return constant->indices;
}

float *pf_onnx_nodes_add_numbers(PfOnnxNodes *nodes, PfShape shape, PfError *err)
{
    PfOnnxConstant *constant = add_constant(nodes, PF_ONNX_NUMBERS);
    constant->shape = shape;
    constant->numbers = pf_calloc((size_t)pf_shape_count(&shape), sizeof *constant->numbers, err);
    return constant->numbers;
}

void pf_onnx_nodes_add_positions(PfOnnxNodes *nodes, int64_t height, int64_t width)
{
    PfOnnxConstant *constant = add_constant(nodes, PF_ONNX_POSITIONS);
    constant->ints[0] = height;
    constant->ints[1] = width;
}

void pf_onnx_nodes_free(PfOnnxNodes *nodes)
{
    for (int i = 0; i < nodes->constant_count; i++) {
        free(nodes->constants[i].indices);
        free(nodes->constants[i].numbers);
    }
    *nodes = (PfOnnxNodes){.count = 0};
}
