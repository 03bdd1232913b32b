#include "common/onnx/nodes.h"

#include <string.h>

#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/onnx/attributes.h"

/* The numbers of fields, as onnx.proto has them. */
enum {
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_TYPE = 4,
    NODE_ATTRIBUTE = 5,
    NODE_DOMAIN = 7,
    NODE_OVERLOAD = 8
};
enum {
    FUNCTION_INPUT = 4,
    FUNCTION_OUTPUT = 5,
    FUNCTION_NODE = 7,
    FUNCTION_OPSET = 9,
    FUNCTION_DEFAULT = 11
};
enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2 };

#define MAX_STEPS 20000
#define MAX_CALL_DEPTH 16
#define MAX_FORMAL 256

/* ---- nodes ---- */

/* Inside of a function: one of its formal names, or one of its own, which begins with its call's.
 */
static int value_inside(PfOnnxReader *reader, const char *name)
{
    const PfOnnxScope *scope = reader->scope;
    char own[1024];
    for (int i = 0; i < scope->count; i++)
        if (!strcmp(scope->names[i], name)) return scope->values[i];
    if (strlen(name) + strlen(scope->prefix) + 2 > sizeof own) {
        pf_onnx_refuse_file(reader, "expected shorter names in its functions");
        return -2;
    }
    pf_format(own, sizeof own, "%s/%s", scope->prefix, name);
    const char *kept = pf_arena_text(&reader->model->arena, own, strlen(own), reader->err);
    return kept ? pf_onnx_value_named(reader, kept) : -2;
}

/* A value by its name; "" is one that is left out. */
static int take_value(PfOnnxReader *reader, const PfWireField *field, int *out)
{
    const char *name = pf_onnx_take_text(reader, field);
    if (!name) return -1;
    *out = !*name          ? -1
           : reader->scope ? value_inside(reader, name)
                           : pf_onnx_value_named(reader, name);
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
    *step = (PfOnnxStep){.name = "", .type = "", .domain = "", .overload = ""};
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
        const char **text = field.number == NODE_NAME       ? &step->name
                            : field.number == NODE_TYPE     ? &step->type
                            : field.number == NODE_DOMAIN   ? &step->domain
                            : field.number == NODE_OVERLOAD ? &step->overload
                                                            : NULL;
        if (text && !(*text = pf_onnx_take_text(reader, &field))) return -1;
    }
    if (!strcmp(step->domain, "ai.onnx")) step->domain = "";
    return *step->type == ' ' ? pf_onnx_broken(reader, "the type of a node") : 0;
}

static int take_settings(PfOnnxReader *reader, PfWire wire, uint32_t number, PfOnnxStep *step)
{
    PfWireField field;
    while (pf_wire_next(&wire, &field) > 0) {
        PfOnnxSetting *setting = &step->settings[step->setting_count];
        if (field.number != number) continue;
        if (field.kind != PF_WIRE_BYTES) return pf_onnx_broken(reader, "an attribute");
        if (pf_onnx_take_attribute(reader, field.bytes, setting)) return -1;
        step->setting_count += !setting->is_absent;
    }
    return 0;
}

static int take_plain_node(PfOnnxReader *reader, PfWire message)
{
    PfOnnxModel *model = reader->model;
    const int index = model->step_count;
    PfWire wire = message;
    PfWireField field;
    if (index == MAX_STEPS)
        return pf_onnx_refuse_file(reader, "expected at most 20000 nodes, found more");
    if (pf_grow(&model->steps, &reader->step_capacity, (size_t)index + 1, sizeof *model->steps,
                reader->err))
        return -1;
    PfOnnxStep *step = &model->steps[index];
    if (make_step_room(reader, wire, step) || take_node_texts(reader, wire, step)) return -1;
    model->step_count++;
    while (pf_wire_next(&wire, &field) > 0)
        if (field.number == NODE_INPUT && add_input(reader, step, &field)) return -1;
    if (take_settings(reader, message, NODE_ATTRIBUTE, step)) return -1;
    for (wire = message; pf_wire_next(&wire, &field) > 0;)
        if (field.number == NODE_OUTPUT && add_output(reader, step, index, &field)) return -1;
    return 0;
}

/* ---- calls of the model's own functions: their nodes stand where the call stood ---- */

static const PfOnnxFunction *function_of(const PfOnnxReader *reader, const PfOnnxStep *step)
{
    for (size_t i = 0; i < reader->function_count; i++)
        if (!strcmp(reader->functions[i].name, step->type) &&
            !strcmp(reader->functions[i].domain, step->domain) &&
            !strcmp(reader->functions[i].overload, step->overload))
            return &reader->functions[i];
    return NULL;
}

/* Values of the call, in the order of the function's formal names. */
static int take_actual(PfOnnxReader *reader, PfWire wire, uint32_t number, int *values)
{
    PfWireField field;
    int count = 0;
    while (pf_wire_next(&wire, &field) > 0)
        if (field.number == number && take_value(reader, &field, &values[count++])) return -1;
    return 0;
}

/* Outputs that the call leaves out are values of the function's own. */
static int take_formal(PfOnnxReader *reader, PfWire wire, uint32_t number, const int *actual,
                       int actual_count, PfOnnxScope *scope)
{
    PfWireField field;
    int count = 0;
    while (pf_wire_next(&wire, &field) > 0) {
        if (field.number != number) continue;
        const int value = count < actual_count ? actual[count] : -1;
        count++;
        if (value < 0 && number == FUNCTION_OUTPUT) continue;
        scope->names[scope->count] = pf_onnx_take_text(reader, &field);
        if (!scope->names[scope->count]) return -1;
        scope->values[scope->count++] = value;
    }
    return 0;
}

/* Operators of a function are those of the model. */
static int check_opset(PfOnnxReader *reader, PfWire wire, const PfOnnxStep *call)
{
    PfWireField field, inner;
    while (pf_wire_next(&wire, &field) > 0) {
        const char *domain = "";
        int64_t version = 0;
        if (field.number != FUNCTION_OPSET || field.kind != PF_WIRE_BYTES) continue;
        while (pf_wire_next(&field.bytes, &inner) > 0) {
            if (inner.number == OPSET_DOMAIN && !(domain = pf_onnx_take_text(reader, &inner)))
                return -1;
            if (inner.number == OPSET_VERSION) version = (int64_t)inner.value;
        }
        if (*domain || version == reader->model->opset) continue;
        return pf_onnx_fail(reader->model, call, reader->err,
                            "expected a function with operators of the model's opset, found %lld",
                            (long long)version);
    }
    return 0;
}

/* What a file of some size may become by its calls. */
static int check_growth(PfOnnxReader *reader, const PfOnnxFunction *function,
                        const PfOnnxStep *call)
{
    const size_t most = ((size_t)1 << 24) + 4 * reader->size;
    reader->expanded += pf_wire_size(&function->body) + 64;
    if (reader->depth < MAX_CALL_DEPTH && reader->expanded <= most) return 0;
    return pf_onnx_fail(reader->model, call, reader->err,
                        "expected functions that end, and are not many times their file's size");
}

static int take_body(PfOnnxReader *reader, const PfOnnxFunction *function, const PfOnnxScope *scope)
{
    const PfOnnxScope *outer = reader->scope;
    PfWire wire = function->body;
    PfWireField field;
    int failed = 0;
    reader->scope = scope;
    reader->depth++;
    while (!failed && pf_wire_next(&wire, &field) > 0)
        if (field.number == FUNCTION_NODE)
            failed = field.kind != PF_WIRE_BYTES ? pf_onnx_broken(reader, "a function")
                                                 : pf_onnx_take_node(reader, field.bytes);
    reader->depth--;
    reader->scope = outer;
    return failed;
}

static int take_call(PfOnnxReader *reader, const PfOnnxFunction *function, PfWire message,
                     PfOnnxStep *call)
{
    char prefix[512];
    const PfWire body = function->body;
    const int64_t inputs = pf_wire_count(body, FUNCTION_INPUT),
                  outputs = pf_wire_count(body, FUNCTION_OUTPUT),
                  defaults = pf_wire_count(body, FUNCTION_DEFAULT),
                  given = pf_wire_count(message, NODE_ATTRIBUTE),
                  actual_inputs = pf_wire_count(message, NODE_INPUT),
                  actual_outputs = pf_wire_count(message, NODE_OUTPUT);
    if (check_growth(reader, function, call) || check_opset(reader, body, call)) return -1;
    if (inputs < 0 || inputs > MAX_FORMAL || outputs > MAX_FORMAL || defaults > MAX_FORMAL ||
        actual_inputs > inputs || actual_outputs > outputs || given > MAX_FORMAL)
        return pf_onnx_fail(reader->model, call, reader->err,
                            "expected as many inputs and outputs as its function has, at most %d",
                            MAX_FORMAL);
    pf_format(prefix, sizeof prefix, "%.200s%s%.200s_%d",
              reader->scope ? reader->scope->prefix : "", reader->scope ? "/" : "",
              *call->name ? call->name : call->type, ++reader->call_count);
    PfOnnxScope scope = {.call = call};
    int *actual = pf_onnx_take_room(reader, (size_t)(inputs + outputs), sizeof *actual);
    call->settings = pf_onnx_take_room(reader, (size_t)(given + defaults), sizeof *call->settings);
    scope.names = pf_onnx_take_room(reader, (size_t)(inputs + outputs), sizeof *scope.names);
    scope.values = pf_onnx_take_room(reader, (size_t)(inputs + outputs), sizeof *scope.values);
    scope.prefix = pf_arena_text(&reader->model->arena, prefix, strlen(prefix), reader->err);
    if (!actual || !call->settings || !scope.names || !scope.values || !scope.prefix) return -1;
    if (take_actual(reader, message, NODE_INPUT, actual) ||
        take_actual(reader, message, NODE_OUTPUT, actual + inputs) ||
        take_settings(reader, message, NODE_ATTRIBUTE, call) ||
        take_settings(reader, body, FUNCTION_DEFAULT, call) ||
        take_formal(reader, body, FUNCTION_INPUT, actual, (int)actual_inputs, &scope) ||
        take_formal(reader, body, FUNCTION_OUTPUT, actual + inputs, (int)actual_outputs, &scope))
        return -1;
    return take_body(reader, function, &scope);
}

int pf_onnx_take_node(PfOnnxReader *reader, PfWire wire)
{
    PfOnnxStep call = {.name = "", .type = "", .domain = "", .overload = ""};
    if (!reader->function_count) return take_plain_node(reader, wire);
    if (pf_wire_count(wire, NODE_INPUT) < 0) return pf_onnx_broken(reader, "a node");
    if (take_node_texts(reader, wire, &call)) return -1;
    const PfOnnxFunction *function = function_of(reader, &call);
    return function ? take_call(reader, function, wire, &call) : take_plain_node(reader, wire);
}
