#include "common/onnx/attributes.h"

#include <string.h>

#include "common/onnx/tensors.h"

/* The numbers of fields, as onnx.proto has them. */
enum {
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_F = 2,
    ATTRIBUTE_I = 3,
    ATTRIBUTE_S = 4,
    ATTRIBUTE_T = 5,
    ATTRIBUTE_FLOATS = 7,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_DOC = 13,
    ATTRIBUTE_TYPE = 20,
    ATTRIBUTE_REFERENCE = 21
};

/* Inside of a function: what its call has under that name. */
static int refer(PfOnnxReader *reader, const char *reference, PfOnnxSetting *setting)
{
    const char *name = setting->name;
    const PfOnnxSetting *given =
        reader->scope ? pf_onnx_setting(reader->scope->call, reference) : NULL;
    *setting = given ? *given : (PfOnnxSetting){.is_absent = true};
    setting->name = name;
    return 0;
}

int pf_onnx_take_attribute(PfOnnxReader *reader, PfWire wire, PfOnnxSetting *setting)
{
    const PfWire message = wire;
    const char *ignored, *reference = NULL;
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
        case ATTRIBUTE_REFERENCE:
            if (!(reference = pf_onnx_take_text(reader, &field))) return -1;
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
    if (reference) return refer(reader, reference, setting);
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
