#include "common/onnx/declared.h"

#include <stdio.h>
#include <string.h>

#include "common/onnx/tensors.h"

/* The numbers of fields, as onnx.proto has them. */
enum {
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    TYPE_TENSOR = 1,
    TENSOR_TYPE_ELEMENT = 1,
    TENSOR_TYPE_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1
};

/* ---- the graph's inputs and outputs ---- */

typedef struct Declared {
    const char *name;
    uint64_t element;
    int rank; /* -1: not said */
    int64_t sizes[4];
} Declared;

static int take_shape(PfWire wire, Declared *declared)
{
    PfWireField dim, field;
    int got;
    declared->rank = 0;
    while ((got = pf_wire_next(&wire, &dim)) > 0) {
        if (dim.number != SHAPE_DIM || dim.kind != PF_WIRE_BYTES) continue;
        int64_t size = 0;
        while ((got = pf_wire_next(&dim.bytes, &field)) > 0)
            if (field.number == DIM_VALUE) size = (int64_t)field.value;
        if (got < 0) return -1;
        if (declared->rank < 4) declared->sizes[declared->rank] = size;
        declared->rank++;
    }
    return got;
}

static int take_tensor_type(PfWire wire, Declared *declared)
{
    PfWireField field;
    int got;
    while ((got = pf_wire_next(&wire, &field)) > 0) {
        if (field.number == TENSOR_TYPE_ELEMENT) declared->element = field.value;
        if (field.number == TENSOR_TYPE_SHAPE && field.kind == PF_WIRE_BYTES &&
            take_shape(field.bytes, declared))
            return -1;
    }
    return got;
}

static int take_declared(PfOnnxReader *reader, PfWire wire, Declared *declared)
{
    PfWireField field, inner;
    int got, deeper = 0;
    *declared = (Declared){.name = "", .rank = -1};
    while ((got = pf_wire_next(&wire, &field)) > 0) {
        if (field.number == VALUE_NAME && !(declared->name = pf_onnx_take_text(reader, &field)))
            return -1;
        if (field.number != VALUE_TYPE || field.kind != PF_WIRE_BYTES) continue;
        while ((deeper = pf_wire_next(&field.bytes, &inner)) > 0)
            if (inner.number == TYPE_TENSOR && inner.kind == PF_WIRE_BYTES &&
                take_tensor_type(inner.bytes, declared))
                return pf_onnx_broken(reader, "the type of an input");
        if (deeper < 0) return pf_onnx_broken(reader, "the type of an input");
    }
    return got < 0 ? pf_onnx_broken(reader, "an input") : 0;
}

static int fail_input(const PfOnnxReader *reader, const Declared *declared, const char *found)
{
    return pf_fail(
        reader->err, PF_EXIT_FAILED,
        "'%s': input '%.200s': expected images as (batch, 3, height, width) or (batch, "
        "height, width, 3) of float, found %s. Hint: --mean and --std say which range the "
        "numbers have: by default ImageNet's, --mean 0,0,0 --std 1,1,1 gives 0 to 1",
        reader->model->path, declared->name, found);
}

static int check_input(PfOnnxReader *reader, const Declared *declared)
{
    char found[80];
    const bool is_float = declared->element == 1 || declared->element == 10 ||
                          declared->element == 11 || declared->element == 16;
    if (!is_float) return fail_input(reader, declared, pf_onnx_type_name(declared->element));
    if (declared->rank != 4) {
        snprintf(found, sizeof found, "%d axes", declared->rank);
        return fail_input(reader, declared, declared->rank < 0 ? "no shape" : found);
    }
    const int64_t *sizes = declared->sizes;
    snprintf(found, sizeof found, "(%lld, %lld, %lld, %lld), where 0 is any", (long long)sizes[0],
             (long long)sizes[1], (long long)sizes[2], (long long)sizes[3]);
    if (sizes[1] != 3 && sizes[3] != 3) return fail_input(reader, declared, found);
    for (int i = 0; i < 4; i++)
        if (sizes[i] < 0 || sizes[i] > 1 << 16) return fail_input(reader, declared, found);
    if (sizes[0] <= 1) return 0;
    return pf_fail(
        reader->err, PF_EXIT_FAILED,
        "'%s': expected a network for one image, or for any number of them, found one for "
        "%lld at a time. Hint: torch.onnx.export(..., dynamic_axes={'%s': {0: 'batch'}})",
        reader->model->path, (long long)sizes[0], declared->name);
}

int pf_onnx_take_input(PfOnnxReader *reader, PfWire wire)
{
    Declared declared;
    if (take_declared(reader, wire, &declared)) return -1;
    const int value = pf_onnx_value_named(reader, declared.name);
    PfOnnxModel *model = reader->model;
    if (value < 0) return -1;
    if (model->values[value].constant) return 0; /* a default, which is what is used */
    if (model->input >= 0)
        return pf_fail(reader->err, PF_EXIT_FAILED,
                       "'%s': expected one input, the image, found '%.200s' and '%.200s'",
                       model->path, pf_onnx_value_name(model, model->input), declared.name);
    model->input = value;
    memcpy(model->input_sizes, declared.sizes, sizeof model->input_sizes);
    return check_input(reader, &declared);
}

int pf_onnx_take_output(PfOnnxReader *reader, PfWire wire)
{
    Declared declared;
    PfOnnxModel *model = reader->model;
    if (take_declared(reader, wire, &declared)) return -1;
    const int value = pf_onnx_value_named(reader, declared.name);
    if (value < 0) return -1;
    if (model->values[value].producer < 0)
        return pf_fail(reader->err, PF_EXIT_FAILED,
                       "'%s': expected that a node gives the output '%.200s', found none",
                       model->path, declared.name);
    model->values[value].uses++;
    model->values[value].is_output = true;
    model->outputs[model->output_count++] = value;
    return 0;
}
