#include "common/onnx/tensors.h"

#include <string.h>

#include "common/onnx/external.h"

/* The numbers of fields, as onnx.proto has them. */
enum {
    TENSOR_DIMS = 1,
    TENSOR_TYPE = 2,
    TENSOR_FLOATS = 4,
    TENSOR_INT32S = 5,
    TENSOR_INT64S = 7,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9,
    TENSOR_DOUBLES = 10,
    TENSOR_EXTERNAL = 13,
    TENSOR_LOCATION = 14
};

/* How a type of ONNX is kept, and in which list of numbers it may lie. */
static const struct {
    const char *name;
    bool is_read;
    PfDtype dtype;
    uint32_t list;
} types[] = {
    [1] = {"float", true, PF_DTYPE_F32, TENSOR_FLOATS},
    [2] = {"uint8", true, PF_DTYPE_U8, TENSOR_INT32S},
    [3] = {"int8", true, PF_DTYPE_I8, TENSOR_INT32S},
    [4] = {"uint16", false, 0, 0},
    [5] = {"int16", true, PF_DTYPE_I16, TENSOR_INT32S},
    [6] = {"int32", true, PF_DTYPE_I32, TENSOR_INT32S},
    [7] = {"int64", true, PF_DTYPE_I64, TENSOR_INT64S},
    [8] = {"text", false, 0, 0},
    [9] = {"bool", true, PF_DTYPE_BOOL, TENSOR_INT32S},
    [10] = {"float16", true, PF_DTYPE_F16, TENSOR_INT32S},
    [11] = {"double", true, PF_DTYPE_F64, TENSOR_DOUBLES},
    [12] = {"uint32", false, 0, 0},
    [13] = {"uint64", false, 0, 0},
    [16] = {"bfloat16", true, PF_DTYPE_BF16, TENSOR_INT32S},
};
#define TYPE_COUNT (sizeof types / sizeof types[0])

const char *pf_onnx_type_name(uint64_t type)
{
    return type < TYPE_COUNT && types[type].name ? types[type].name : "unknown";
}

typedef struct TensorParts {
    const char *name;
    PfWire raw;
    bool has_raw, is_external;
    uint64_t type;
    PfOnnxPlace place;
} TensorParts;

static int take_parts(PfOnnxReader *reader, PfWire wire, TensorParts *parts)
{
    PfWireField field;
    int got;
    *parts = (TensorParts){.name = ""};
    while ((got = pf_wire_next(&wire, &field)) > 0) {
        switch (field.number) {
        case TENSOR_TYPE: parts->type = field.value; break;
        case TENSOR_NAME:
            parts->name = pf_onnx_take_text(reader, &field);
            if (!parts->name) return -1;
            break;
        case TENSOR_RAW:
            if (field.kind != PF_WIRE_BYTES) return pf_onnx_broken(reader, "a tensor's bytes");
            parts->raw = field.bytes;
            parts->has_raw = true;
            break;
        case TENSOR_EXTERNAL:
            if (field.kind != PF_WIRE_BYTES) return pf_onnx_broken(reader, "external data");
            if (pf_onnx_take_entry(reader, field.bytes, &parts->place)) return -1;
            break;
        case TENSOR_LOCATION: parts->is_external = field.value == 1; break;
        default: break;
        }
    }
    return got < 0 ? pf_onnx_broken(reader, "a tensor") : 0;
}

/* Small types come as integers. */
static int place_listed(PfOnnxReader *reader, PfWire wire, const TensorParts *parts, size_t count,
                        PfOnnxTensor *tensor)
{
    const size_t width = pf_dtype_size(tensor->dtype);
    const uint32_t list = types[parts->type].list;
    const int64_t *wholes;
    size_t found;
    if (list == TENSOR_FLOATS || list == TENSOR_DOUBLES) {
        if (pf_onnx_take_fixed(reader, wire, list, width, &tensor->data, &found)) return -1;
        found /= width;
    } else {
        uint8_t *narrow;
        if (pf_onnx_take_wholes(reader, wire, list, &wholes, &found) ||
            !(narrow = pf_onnx_take_room(reader, found, width)))
            return -1;
        for (size_t i = 0; i < found; i++) memcpy(narrow + i * width, &wholes[i], width);
        tensor->data = narrow;
    }
    if (found == count) return 0;
    return pf_onnx_fail_tensor(reader, parts->name, "expected %zu numbers, found %zu", count,
                               found);
}

static int take_dims(PfOnnxReader *reader, PfWire wire, const TensorParts *parts,
                     PfOnnxTensor *tensor, size_t *count)
{
    const int64_t *dims;
    size_t rank;
    if (pf_onnx_take_wholes(reader, wire, TENSOR_DIMS, &dims, &rank)) return -1;
    if (rank > PF_ONNX_MAX_RANK)
        return pf_onnx_fail_tensor(reader, parts->name, "expected at most %d axes, found %zu",
                                   PF_ONNX_MAX_RANK, rank);
    *count = 1;
    tensor->dims.rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        const bool is_empty = !dims[i] && rank > 1;
        if (dims[i] < 0 || is_empty || (uint64_t)dims[i] > ((uint64_t)1 << 40) / *count)
            return pf_onnx_fail_tensor(reader, parts->name, "expected sizes of axes, found %lld",
                                       (long long)dims[i]);
        tensor->dims.sizes[i] = dims[i];
        *count *= (size_t)dims[i];
    }
    return 0;
}

int pf_onnx_take_tensor(PfOnnxReader *reader, PfWire wire, PfOnnxTensor *tensor, const char **name)
{
    TensorParts parts;
    size_t count = 0;
    if (take_parts(reader, wire, &parts)) return -1;
    *name = parts.place.tensor = parts.name;
    if (parts.type >= TYPE_COUNT || !types[parts.type].is_read)
        return pf_onnx_fail_tensor(
            reader, parts.name,
            "expected numbers of type float, float16, bfloat16, double, bool or a "
            "signed integer, found type %llu (%s)",
            (unsigned long long)parts.type, pf_onnx_type_name(parts.type));
    *tensor = (PfOnnxTensor){.dtype = types[parts.type].dtype};
    if (take_dims(reader, wire, &parts, tensor, &count)) return -1;
    const size_t bytes = count * pf_dtype_size(tensor->dtype);
    if (parts.is_external) return pf_onnx_place_external(reader, &parts.place, bytes, tensor);
    if (!parts.has_raw) return place_listed(reader, wire, &parts, count, tensor);
    tensor->data = parts.raw.at;
    if (pf_wire_size(&parts.raw) == bytes) return 0;
    return pf_onnx_fail_tensor(reader, parts.name, "expected %zu bytes, found %zu", bytes,
                               pf_wire_size(&parts.raw));
}
