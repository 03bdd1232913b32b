#include "common/onnx/nodes.h"

#include <string.h>

#include "common/onnx/tensors.h"

/* The numbers of fields, as onnx.proto has them. */
enum {
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_TYPE = 4,
    NODE_ATTRIBUTE = 5,
    NODE_DOMAIN = 7
};
enum {
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_F = 2,
    ATTRIBUTE_I = 3,
    ATTRIBUTE_S = 4,
    ATTRIBUTE_T = 5,
    ATTRIBUTE_FLOATS = 7,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_DOC = 13,
    ATTRIBUTE_TYPE = 20
};

/* ---- nodes ---- */

static int take_attribute(PfOnnxReader *reader, PfWire wire, PfOnnxSetting *setting)
{
    const PfWire message = wire;
    const char *ignored;
    PfOnnxTensor *tensor;
    PfWireField field;
    int got;
    *setting = (PfOnnxSetting){.name = ""};
    while ((got = pf_wire_next(&wire, &field)) > 0) {
        switch (field.number) {
        case ATTRIBUTE_NAME:
            if (!(setting->name = pf_onnx_take_text(reader, &field))) return -1;
            break;
        case ATTRIBUTE_F: memcpy(&setting->real, &field.value, sizeof setting->real); break;
        case ATTRIBUTE_I: setting->whole = (int64_t)field.value; break;
        case ATTRIBUTE_S:
            if (!(setting->text = pf_onnx_take_text(reader, &field))) return -1;
            break;
        case ATTRIBUTE_T:
            tensor = pf_onnx_take_room(reader, 1, sizeof *tensor);
            if (field.kind != PF_WIRE_BYTES) return pf_onnx_broken(reader, "a tensor");
            if (!tensor || pf_onnx_take_tensor(reader, field.bytes, tensor, &ignored)) return -1;
            setting->tensor = tensor;
            break;
        case ATTRIBUTE_FLOATS:
        case ATTRIBUTE_INTS:
        case ATTRIBUTE_DOC:
        case ATTRIBUTE_TYPE: break;
        default: setting->has_others = true; break;
        }
    }
    size_t count, bytes;
    const void *reals;
    if (got < 0) return pf_onnx_broken(reader, "an attribute");
    if (pf_onnx_take_wholes(reader, message, ATTRIBUTE_INTS, &setting->wholes, &count) ||
        pf_onnx_take_fixed(reader, message, ATTRIBUTE_FLOATS, sizeof *setting->reals, &reals,
                           &bytes))
        return -1;
    float *copy = pf_onnx_take_room(reader, bytes, 1);
    if (!copy) return -1;
    if (bytes) memcpy(copy, reals, bytes);
    setting->reals = copy;
    setting->count = (int)count;
    setting->real_count = (int)(bytes / sizeof *copy);
    return 0;
}

/* A value by its name; "" is one that is left out. */
static int take_value(PfOnnxReader *reader, const PfWireField *field, int *out)
{
    const char *name = pf_onnx_take_text(reader, field);
    if (!name) return -1;
    *out = *name ? pf_onnx_value_named(reader, name) : -1;
    return *out == -2 ? -1 : 0;
}

static int add_output(PfOnnxReader *reader, PfOnnxStep *step, int index, const PfWireField *field)
{
    int value;
    if (take_value(reader, field, &value)) return -1;
    if (value >= 0) {
        PfOnnxValue *made = &reader->model->values[value];
        if (made->producer >= 0 || made->constant || value == reader->model->input)
            return pf_onnx_fail(reader->model, step, reader->err,
                                "expected an output of its own, found '%.200s', which comes from "
                                "elsewhere, too",
                                pf_onnx_value_name(reader->model, value));
        made->producer = index;
    }
    step->outputs[step->output_count++] = value;
    return 0;
}

/* Inputs come from before: so the graph has no circles. */
static int add_input(PfOnnxReader *reader, PfOnnxStep *step, const PfWireField *field)
{
    int value;
    if (take_value(reader, field, &value)) return -1;
    step->inputs[step->input_count++] = value;
    if (value < 0) return 0;
    PfOnnxValue *used = &reader->model->values[value];
    used->uses++;
    if (used->producer >= 0 || used->constant || value == reader->model->input) return 0;
    return pf_onnx_fail(
        reader->model, step, reader->err,
        "expected inputs that earlier nodes or the file give, found '%.200s', which "
        "does not come from before",
        pf_onnx_value_name(reader->model, value));
}

static int make_step_room(PfOnnxReader *reader, PfWire wire, PfOnnxStep *step)
{
    const int64_t inputs = pf_wire_count(wire, NODE_INPUT),
                  outputs = pf_wire_count(wire, NODE_OUTPUT),
                  settings = pf_wire_count(wire, NODE_ATTRIBUTE);
    *step = (PfOnnxStep){.name = "", .type = "", .domain = ""};
    if (inputs < 0) return pf_onnx_broken(reader, "a node");
    step->inputs = pf_onnx_take_room(reader, (size_t)inputs, sizeof *step->inputs);
    step->outputs = pf_onnx_take_room(reader, (size_t)outputs, sizeof *step->outputs);
    step->settings = pf_onnx_take_room(reader, (size_t)settings, sizeof *step->settings);
    return step->inputs && step->outputs && step->settings ? 0 : -1;
}

/* Names first, for messages. */
static int take_node_texts(PfOnnxReader *reader, PfWire wire, PfOnnxStep *step)
{
    PfWireField field;
    while (pf_wire_next(&wire, &field) > 0) {
        const char **text = field.number == NODE_NAME     ? &step->name
                            : field.number == NODE_TYPE   ? &step->type
                            : field.number == NODE_DOMAIN ? &step->domain
                                                          : NULL;
        if (text && !(*text = pf_onnx_take_text(reader, &field))) return -1;
    }
    if (!strcmp(step->domain, "ai.onnx")) step->domain = "";
    return *step->type == ' ' ? pf_onnx_broken(reader, "the type of a node") : 0;
}

int pf_onnx_take_node(PfOnnxReader *reader, PfWire wire)
{
    PfOnnxModel *model = reader->model;
    const int index = model->step_count;
    PfOnnxStep *step = &model->steps[index];
    PfWireField field;
    const PfWire message = wire;
    if (make_step_room(reader, wire, step) || take_node_texts(reader, wire, step)) return -1;
    model->step_count++;
    while (pf_wire_next(&wire, &field) > 0) {
        if (field.number == NODE_INPUT && add_input(reader, step, &field)) return -1;
        if (field.number != NODE_ATTRIBUTE) continue;
        if (field.kind != PF_WIRE_BYTES) return pf_onnx_broken(reader, "an attribute");
        if (take_attribute(reader, field.bytes, &step->settings[step->setting_count++])) return -1;
    }
    for (wire = message; pf_wire_next(&wire, &field) > 0;)
        if (field.number == NODE_OUTPUT && add_output(reader, step, index, &field)) return -1;
    return 0;
}
