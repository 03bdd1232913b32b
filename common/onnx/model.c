#include "common/onnx/model.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/input_file.h"

#define MAX_STEPS 20000
#define MAX_DATA_FILES 4096
#define FREE_BUDGET ((size_t)1 << 22)

/* The numbers of fields, as onnx.proto has them. */
enum { MODEL_GRAPH = 7, MODEL_OPSET = 8 };
enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2 };
enum {
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_SPARSE = 15
};
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
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum {
    VALUE_NAME = 1,
    VALUE_TYPE = 2,
    TYPE_TENSOR = 1,
    TENSOR_TYPE_ELEMENT = 1,
    TENSOR_TYPE_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1
};

typedef struct Reader {
    PfOnnxModel *model;
    size_t value_capacity;
    PfError *err;
} Reader;

/* ---- failures ---- */

static int broken(const Reader *reader, const char *what)
{
    return pf_fail(reader->err, PF_EXIT_FAILED,
                   "'%s' is not a whole ONNX file: expected %s, found bytes that are none. Hint: "
                   "compare its size or checksum with those of where it comes from",
                   reader->model->path, what);
}

static int refuse(const Reader *reader, const char *reason)
{
    return pf_fail(reader->err, PF_EXIT_FAILED, "'%s': %" PF_SENTENCE, reader->model->path, reason);
}

int pf_onnx_fail(const PfOnnxModel *model, const PfOnnxStep *step, PfError *err, const char *format,
                 ...)
{
    char reason[1024];
    va_list arguments;
    va_start(arguments, format);
    pf_vformat(reason, sizeof reason, format, arguments);
    va_end(arguments);
    const char *name = *step->name              ? step->name
                       : step->output_count > 0 ? pf_onnx_value_name(model, step->outputs[0])
                                                : "";
    return pf_fail(err, PF_EXIT_FAILED, "'%s': node '%s' (%s%s%s, opset %lld): %" PF_SENTENCE,
                   model->path, name, step->domain, *step->domain ? "::" : "", step->type,
                   (long long)model->opset, reason);
}

/* ---- small things ---- */

int64_t pf_onnx_count(const PfOnnxDims *dims)
{
    int64_t count = 1;
    for (int i = 0; i < dims->rank; i++) count *= dims->sizes[i];
    return count;
}

const char *pf_onnx_dims_text(const PfOnnxDims *dims, char text[PF_SHAPE_TEXT_SIZE])
{
    int used = snprintf(text, PF_SHAPE_TEXT_SIZE, "(");
    for (int i = 0; i < dims->rank && used < PF_SHAPE_TEXT_SIZE; i++)
        used += snprintf(text + used, (size_t)(PF_SHAPE_TEXT_SIZE - used), "%s%lld", i ? "," : "",
                         (long long)dims->sizes[i]);
    if (used < PF_SHAPE_TEXT_SIZE) snprintf(text + used, (size_t)(PF_SHAPE_TEXT_SIZE - used), ")");
    return text;
}

const char *pf_onnx_value_name(const PfOnnxModel *model, int value)
{
    return value < 0 ? "" : model->names.texts[value];
}

const PfOnnxSetting *pf_onnx_setting(const PfOnnxStep *step, const char *name)
{
    for (int i = 0; i < step->setting_count; i++)
        if (!strcmp(step->settings[i].name, name)) return &step->settings[i];
    return NULL;
}

int64_t pf_onnx_whole(const PfOnnxStep *step, const char *name, int64_t otherwise)
{
    const PfOnnxSetting *setting = pf_onnx_setting(step, name);
    return setting ? setting->whole : otherwise;
}

float pf_onnx_real(const PfOnnxStep *step, const char *name, float otherwise)
{
    const PfOnnxSetting *setting = pf_onnx_setting(step, name);
    return setting ? setting->real : otherwise;
}

const char *pf_onnx_text(const PfOnnxStep *step, const char *name, const char *otherwise)
{
    const PfOnnxSetting *setting = pf_onnx_setting(step, name);
    return setting && setting->text ? setting->text : otherwise;
}

/* A text that ends where the file says; NULL where it holds a zero or memory is short. */
static const char *take_text(Reader *reader, const PfWireField *field)
{
    const size_t size = pf_wire_size(&field->bytes);
    if (field->kind != PF_WIRE_BYTES || (size && memchr(field->bytes.at, 0, size))) {
        broken(reader, "a text");
        return NULL;
    }
    return pf_arena_text(&reader->model->arena, (const char *)field->bytes.at, size, reader->err);
}

static void *take_room(Reader *reader, size_t count, size_t size)
{
    void *room = pf_arena_allocate(&reader->model->arena, count * size + 1, 16, reader->err);
    if (room) memset(room, 0, count * size + 1);
    return room;
}

/* How many fields of that number a message has; -1 where it is none. */
static int64_t count_fields(PfWire wire, uint32_t number)
{
    PfWireField field;
    int64_t count = 0;
    int got;
    while ((got = pf_wire_next(&wire, &field)) > 0) count += field.number == number;
    return got < 0 ? -1 : count;
}

/* ---- lists of numbers: packed, or one field for each ---- */

/* Adds the field's numbers to a list that has room, or only counts them where list is NULL. */
static int add_wholes(const PfWireField *field, int64_t *list, size_t *count)
{
    uint64_t value = field->value;
    PfWire wire = field->bytes;
    if (field->kind == PF_WIRE_VARINT) {
        if (list) list[*count] = (int64_t)value;
        ++*count;
        return 0;
    }
    if (field->kind != PF_WIRE_BYTES) return -1;
    while (wire.at < wire.end) {
        if (pf_wire_varint(&wire, &value)) return -1;
        if (list) list[*count] = (int64_t)value;
        ++*count;
    }
    return 0;
}

/* All integers of that field of a message. */
static int take_wholes(Reader *reader, PfWire message, uint32_t number, const int64_t **out,
                       size_t *out_count)
{
    int64_t *list = NULL;
    for (int pass = 0; pass < 2; pass++) {
        PfWire wire = message;
        PfWireField field;
        size_t count = 0;
        while (pf_wire_next(&wire, &field) > 0)
            if (field.number == number && add_wholes(&field, list, &count))
                return broken(reader, "integers");
        *out_count = count;
        if (!pass && !(list = take_room(reader, count, sizeof *list))) return -1;
    }
    *out = list;
    return 0;
}

/* Fixed-width numbers (floats of 4 bytes, doubles of 8): lent where they are packed in one field,
 * else copied. */
static int take_fixed(Reader *reader, PfWire message, uint32_t number, size_t width,
                      const void **out, size_t *out_size)
{
    const PfWireKind alone = width == 4 ? PF_WIRE_32_BITS : PF_WIRE_64_BITS;
    size_t size = 0, pieces = 0;
    PfWireField field;
    *out = NULL;
    for (PfWire wire = message; pf_wire_next(&wire, &field) > 0;) {
        if (field.number != number) continue;
        if (field.kind != PF_WIRE_BYTES && field.kind != alone) return broken(reader, "numbers");
        size += field.kind == alone ? width : pf_wire_size(&field.bytes);
        pieces++;
        if (field.kind == PF_WIRE_BYTES) *out = field.bytes.at;
    }
    *out_size = size;
    if (size % width) return broken(reader, "numbers");
    if (pieces == 1 && *out) return 0;
    uint8_t *copy = take_room(reader, size, 1);
    if (!copy) return -1;
    *out = copy;
    for (PfWire wire = message; pf_wire_next(&wire, &field) > 0;) {
        if (field.number != number) continue;
        const size_t part = field.kind == alone ? width : pf_wire_size(&field.bytes);
        memcpy(copy, field.kind == alone ? (const void *)&field.value : field.bytes.at, part);
        copy += part;
    }
    return 0;
}

/* ---- tensors ---- */

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

typedef struct TensorParts {
    const char *name;
    PfWire raw;
    bool has_raw, is_external;
    uint64_t type;
    const char *location;
    uint64_t offset, length;
    bool has_length;
} TensorParts;

/* "1234" in full. */
static int parse_size(const char *text, uint64_t *value)
{
    *value = 0;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9' || *value > UINT64_MAX / 16) return -1;
        *value = *value * 10 + (uint64_t)(*c - '0');
    }
    return *text ? 0 : -1;
}

static int take_entry(Reader *reader, PfWire wire, TensorParts *parts)
{
    PfWireField field;
    const char *key = "", *value = "";
    int got;
    while ((got = pf_wire_next(&wire, &field)) > 0) {
        if (field.number != ENTRY_KEY && field.number != ENTRY_VALUE) continue;
        const char *text = take_text(reader, &field);
        if (!text) return -1;
        if (field.number == ENTRY_KEY)
            key = text;
        else
            value = text;
    }
    if (got < 0) return broken(reader, "where a tensor's numbers lie");
    if (!strcmp(key, "location")) parts->location = value;
    if (!strcmp(key, "offset") && parse_size(value, &parts->offset))
        return broken(reader, "the offset of a tensor");
    if (!strcmp(key, "length")) {
        parts->has_length = true;
        if (parse_size(value, &parts->length)) return broken(reader, "the length of a tensor");
    }
    return 0;
}

static int take_parts(Reader *reader, PfWire wire, TensorParts *parts)
{
    PfWireField field;
    int got;
    *parts = (TensorParts){.name = ""};
    while ((got = pf_wire_next(&wire, &field)) > 0) {
        switch (field.number) {
        case TENSOR_TYPE: parts->type = field.value; break;
        case TENSOR_NAME:
            parts->name = take_text(reader, &field);
            if (!parts->name) return -1;
            break;
        case TENSOR_RAW:
            if (field.kind != PF_WIRE_BYTES) return broken(reader, "a tensor's bytes");
            parts->raw = field.bytes;
            parts->has_raw = true;
            break;
        case TENSOR_EXTERNAL:
            if (field.kind != PF_WIRE_BYTES) return broken(reader, "external data");
            if (take_entry(reader, field.bytes, parts)) return -1;
            break;
        case TENSOR_LOCATION: parts->is_external = field.value == 1; break;
        default: break;
        }
    }
    return got < 0 ? broken(reader, "a tensor") : 0;
}

static int fail_tensor(const Reader *reader, const TensorParts *parts, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail_tensor(const Reader *reader, const TensorParts *parts, const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    pf_vformat(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return pf_fail(reader->err, PF_EXIT_FAILED, "'%s': tensor '%.200s': %" PF_SENTENCE,
                   reader->model->path, parts->name, reason);
}

/* Inside of the model's folder, by a path that does not lead out of it. */
static bool is_inside(const char *location)
{
    if (!*location || *location == '/') return false;
    for (const char *part = location; *part;) {
        const size_t length = strcspn(part, "/");
        if (!length || (length == 2 && !strncmp(part, "..", 2))) return false;
        part += length;
        if (*part && !*++part) return false;
    }
    return true;
}

static int open_data(Reader *reader, const TensorParts *parts, PfOnnxData *data)
{
    PfOnnxModel *model = reader->model;
    struct stat status;
    const void *bytes = NULL;
    PfError reason = {0};
    if (model->folder < 0 || !is_inside(parts->location))
        return fail_tensor(reader, parts,
                           "expected its numbers in a file of the model's folder, found the path "
                           "'%.200s'. Hint: onnx.save(model, FILE, save_as_external_data=True) "
                           "writes such paths",
                           parts->location);
    int fd = pf_input_file_open(model->folder, parts->location, "external data", &status, &reason);
    if (fd < 0)
        return fail_tensor(reader, parts,
                           "%" PF_SENTENCE ". Hint: the files of a model stay in one folder",
                           reason.message);
    int failed = status.st_size ? pf_input_file_map(fd, &status, "external data", parts->location,
                                                    &bytes, reader->err)
                                : 0;
    close(fd);
    *data = (PfOnnxData){parts->location, bytes, failed ? 0 : (size_t)status.st_size};
    model->budget += data->size;
    return failed;
}

static int find_data(Reader *reader, const TensorParts *parts, const PfOnnxData **out)
{
    PfOnnxModel *model = reader->model;
    if (!parts->location) return fail_tensor(reader, parts, "it does not say which file it is in");
    for (size_t i = model->data_count; i-- > 0;) {
        *out = &model->data[i];
        if (!strcmp((*out)->location, parts->location)) return 0;
    }
    if (model->data_count == MAX_DATA_FILES)
        return fail_tensor(reader, parts, "the model lies in more than %d files", MAX_DATA_FILES);
    if (pf_grow(&model->data, &model->data_capacity, model->data_count + 1, sizeof *model->data,
                reader->err) ||
        open_data(reader, parts, &model->data[model->data_count]))
        return -1;
    *out = &model->data[model->data_count++];
    return 0;
}

static int place_external(Reader *reader, const TensorParts *parts, size_t bytes,
                          PfOnnxTensor *tensor)
{
    const PfOnnxData *data = NULL;
    if (find_data(reader, parts, &data)) return -1;
    if (parts->has_length && parts->length != bytes)
        return fail_tensor(reader, parts, "expected %zu bytes of external data, found %llu", bytes,
                           (unsigned long long)parts->length);
    if (parts->offset > data->size || bytes > data->size - parts->offset)
        return fail_tensor(reader, parts,
                           "expected %zu bytes from byte %llu of '%.200s' on, found a file of %zu. "
                           "Hint: was it copied in full?",
                           bytes, (unsigned long long)parts->offset, data->location, data->size);
    tensor->data = data->bytes ? data->bytes + parts->offset : (const void *)"";
    return 0;
}

/* Small types come as integers. */
static int place_listed(Reader *reader, PfWire wire, const TensorParts *parts, size_t count,
                        PfOnnxTensor *tensor)
{
    const size_t width = pf_dtype_size(tensor->dtype);
    const uint32_t list = types[parts->type].list;
    const int64_t *wholes;
    size_t found;
    if (list == TENSOR_FLOATS || list == TENSOR_DOUBLES) {
        if (take_fixed(reader, wire, list, width, &tensor->data, &found)) return -1;
        found /= width;
    } else {
        uint8_t *narrow;
        if (take_wholes(reader, wire, list, &wholes, &found) ||
            !(narrow = take_room(reader, found, width)))
            return -1;
        for (size_t i = 0; i < found; i++) memcpy(narrow + i * width, &wholes[i], width);
        tensor->data = narrow;
    }
    if (found == count) return 0;
    return fail_tensor(reader, parts, "expected %zu numbers, found %zu", count, found);
}

static int take_dims(Reader *reader, PfWire wire, const TensorParts *parts, PfOnnxTensor *tensor,
                     size_t *count)
{
    const int64_t *dims;
    size_t rank;
    if (take_wholes(reader, wire, TENSOR_DIMS, &dims, &rank)) return -1;
    if (rank > PF_ONNX_MAX_RANK)
        return fail_tensor(reader, parts, "expected at most %d axes, found %zu", PF_ONNX_MAX_RANK,
                           rank);
    *count = 1;
    tensor->dims.rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        const bool is_empty = !dims[i] && rank > 1;
        if (dims[i] < 0 || is_empty || (uint64_t)dims[i] > ((uint64_t)1 << 40) / *count)
            return fail_tensor(reader, parts, "expected sizes of axes, found %lld",
                               (long long)dims[i]);
        tensor->dims.sizes[i] = dims[i];
        *count *= (size_t)dims[i];
    }
    return 0;
}

static int take_tensor(Reader *reader, PfWire wire, PfOnnxTensor *tensor, const char **name)
{
    TensorParts parts;
    size_t count = 0;
    if (take_parts(reader, wire, &parts)) return -1;
    *name = parts.name;
    if (parts.type >= TYPE_COUNT || !types[parts.type].is_read)
        return fail_tensor(
            reader, &parts,
            "expected numbers of type float, float16, bfloat16, double, bool or a "
            "signed integer, found type %llu (%s)",
            (unsigned long long)parts.type,
            parts.type < TYPE_COUNT && types[parts.type].name ? types[parts.type].name : "unknown");
    *tensor = (PfOnnxTensor){.dtype = types[parts.type].dtype};
    if (take_dims(reader, wire, &parts, tensor, &count)) return -1;
    const size_t bytes = count * pf_dtype_size(tensor->dtype);
    if (parts.is_external) return place_external(reader, &parts, bytes, tensor);
    if (!parts.has_raw) return place_listed(reader, wire, &parts, count, tensor);
    tensor->data = parts.raw.at;
    if (pf_wire_size(&parts.raw) == bytes) return 0;
    return fail_tensor(reader, &parts, "expected %zu bytes, found %zu", bytes,
                       pf_wire_size(&parts.raw));
}

/* ---- values ---- */

/* The value of that name, which is made where there is none; -2 with a failure. */
static int value_named(Reader *reader, const char *name)
{
    PfOnnxModel *model = reader->model;
    int64_t index = pf_text_index_find(&model->names, name, strlen(name));
    if (index >= 0) return (int)index;
    index = (int64_t)model->names.count;
    if (pf_text_index_add(&model->names, name, reader->err) ||
        pf_grow(&model->values, &reader->value_capacity, model->names.count, sizeof *model->values,
                reader->err))
        return -2;
    model->values[index] = (PfOnnxValue){.producer = -1, .node = -1};
    return (int)index;
}

static int take_initializer(Reader *reader, PfWire wire)
{
    const char *name;
    PfOnnxTensor *tensor = take_room(reader, 1, sizeof *tensor);
    if (!tensor || take_tensor(reader, wire, tensor, &name)) return -1;
    const int value = value_named(reader, name);
    if (value < 0) return -1;
    if (reader->model->values[value].constant)
        return refuse(reader, "two of its tensors have one name");
    reader->model->values[value].constant = tensor;
    return 0;
}

/* ---- nodes ---- */

static int take_attribute(Reader *reader, PfWire wire, PfOnnxSetting *setting)
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
            if (!(setting->name = take_text(reader, &field))) return -1;
            break;
        case ATTRIBUTE_F: memcpy(&setting->real, &field.value, sizeof setting->real); break;
        case ATTRIBUTE_I: setting->whole = (int64_t)field.value; break;
        case ATTRIBUTE_S:
            if (!(setting->text = take_text(reader, &field))) return -1;
            break;
        case ATTRIBUTE_T:
            tensor = take_room(reader, 1, sizeof *tensor);
            if (field.kind != PF_WIRE_BYTES) return broken(reader, "a tensor");
            if (!tensor || take_tensor(reader, field.bytes, tensor, &ignored)) return -1;
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
    if (got < 0) return broken(reader, "an attribute");
    if (take_wholes(reader, message, ATTRIBUTE_INTS, &setting->wholes, &count) ||
        take_fixed(reader, message, ATTRIBUTE_FLOATS, sizeof *setting->reals, &reals, &bytes))
        return -1;
    float *copy = take_room(reader, bytes, 1);
    if (!copy) return -1;
    if (bytes) memcpy(copy, reals, bytes);
    setting->reals = copy;
    setting->count = (int)count;
    setting->real_count = (int)(bytes / sizeof *copy);
    return 0;
}

/* A value by its name; "" is one that is left out. */
static int take_value(Reader *reader, const PfWireField *field, int *out)
{
    const char *name = take_text(reader, field);
    if (!name) return -1;
    *out = *name ? value_named(reader, name) : -1;
    return *out == -2 ? -1 : 0;
}

static int add_output(Reader *reader, PfOnnxStep *step, int index, const PfWireField *field)
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
static int add_input(Reader *reader, PfOnnxStep *step, const PfWireField *field)
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

static int make_step_room(Reader *reader, PfWire wire, PfOnnxStep *step)
{
    const int64_t inputs = count_fields(wire, NODE_INPUT),
                  outputs = count_fields(wire, NODE_OUTPUT),
                  settings = count_fields(wire, NODE_ATTRIBUTE);
    *step = (PfOnnxStep){.name = "", .type = "", .domain = ""};
    if (inputs < 0) return broken(reader, "a node");
    step->inputs = take_room(reader, (size_t)inputs, sizeof *step->inputs);
    step->outputs = take_room(reader, (size_t)outputs, sizeof *step->outputs);
    step->settings = take_room(reader, (size_t)settings, sizeof *step->settings);
    return step->inputs && step->outputs && step->settings ? 0 : -1;
}

/* Names first, for messages. */
static int take_node_texts(Reader *reader, PfWire wire, PfOnnxStep *step)
{
    PfWireField field;
    while (pf_wire_next(&wire, &field) > 0) {
        const char **text = field.number == NODE_NAME     ? &step->name
                            : field.number == NODE_TYPE   ? &step->type
                            : field.number == NODE_DOMAIN ? &step->domain
                                                          : NULL;
        if (text && !(*text = take_text(reader, &field))) return -1;
    }
    if (!strcmp(step->domain, "ai.onnx")) step->domain = "";
    return *step->type == ' ' ? broken(reader, "the type of a node") : 0;
}

static int take_node(Reader *reader, PfWire wire)
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
        if (field.kind != PF_WIRE_BYTES) return broken(reader, "an attribute");
        if (take_attribute(reader, field.bytes, &step->settings[step->setting_count++])) return -1;
    }
    for (wire = message; pf_wire_next(&wire, &field) > 0;)
        if (field.number == NODE_OUTPUT && add_output(reader, step, index, &field)) return -1;
    return 0;
}

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

static int take_declared(Reader *reader, PfWire wire, Declared *declared)
{
    PfWireField field, inner;
    int got, deeper = 0;
    *declared = (Declared){.name = "", .rank = -1};
    while ((got = pf_wire_next(&wire, &field)) > 0) {
        if (field.number == VALUE_NAME && !(declared->name = take_text(reader, &field))) return -1;
        if (field.number != VALUE_TYPE || field.kind != PF_WIRE_BYTES) continue;
        while ((deeper = pf_wire_next(&field.bytes, &inner)) > 0)
            if (inner.number == TYPE_TENSOR && inner.kind == PF_WIRE_BYTES &&
                take_tensor_type(inner.bytes, declared))
                return broken(reader, "the type of an input");
        if (deeper < 0) return broken(reader, "the type of an input");
    }
    return got < 0 ? broken(reader, "an input") : 0;
}

static int fail_input(const Reader *reader, const Declared *declared, const char *found)
{
    return pf_fail(
        reader->err, PF_EXIT_FAILED,
        "'%s': input '%.200s': expected images as (batch, 3, height, width) or (batch, "
        "height, width, 3) of float, found %s. Hint: --mean and --std say which range the "
        "numbers have: by default ImageNet's, --mean 0,0,0 --std 1,1,1 gives 0 to 1",
        reader->model->path, declared->name, found);
}

static int check_input(Reader *reader, const Declared *declared)
{
    char found[80];
    const bool is_float = declared->element == 1 || declared->element == 10 ||
                          declared->element == 11 || declared->element == 16;
    if (!is_float)
        return fail_input(reader, declared,
                          declared->element < TYPE_COUNT && types[declared->element].name
                              ? types[declared->element].name
                              : "another type");
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

static int take_input(Reader *reader, PfWire wire)
{
    Declared declared;
    if (take_declared(reader, wire, &declared)) return -1;
    const int value = value_named(reader, declared.name);
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

static int take_graph_output(Reader *reader, PfWire wire)
{
    Declared declared;
    PfOnnxModel *model = reader->model;
    if (take_declared(reader, wire, &declared)) return -1;
    const int value = value_named(reader, declared.name);
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

/* All fields of one number, by one function. */
static int for_each(Reader *reader, PfWire graph, uint32_t number,
                    int (*take)(Reader *reader, PfWire wire))
{
    PfWireField field;
    while (pf_wire_next(&graph, &field) > 0) {
        if (field.number != number) continue;
        if (field.kind != PF_WIRE_BYTES) return broken(reader, "parts of a graph");
        if (take(reader, field.bytes)) return -1;
    }
    return 0;
}

static int refuse_sparse(Reader *reader, PfWire wire)
{
    (void)wire;
    return refuse(reader, "expected dense tensors, found a sparse one");
}

static int take_graph(Reader *reader, PfWire graph)
{
    PfOnnxModel *model = reader->model;
    const int64_t steps = count_fields(graph, GRAPH_NODE),
                  outputs = count_fields(graph, GRAPH_OUTPUT);
    if (steps < 0) return broken(reader, "a graph");
    if (steps > MAX_STEPS) return refuse(reader, "expected at most 20000 nodes, found more");
    model->steps = take_room(reader, (size_t)steps, sizeof *model->steps);
    model->outputs = take_room(reader, (size_t)outputs, sizeof *model->outputs);
    if (!model->steps || !model->outputs || for_each(reader, graph, GRAPH_SPARSE, refuse_sparse) ||
        for_each(reader, graph, GRAPH_INITIALIZER, take_initializer) ||
        for_each(reader, graph, GRAPH_INPUT, take_input))
        return -1;
    if (model->input < 0) return refuse(reader, "expected an input for images, found none");
    if (for_each(reader, graph, GRAPH_NODE, take_node) ||
        for_each(reader, graph, GRAPH_OUTPUT, take_graph_output))
        return -1;
    return model->output_count ? 0 : refuse(reader, "expected outputs, found none");
}

static int take_opset(Reader *reader, PfWire wire)
{
    PfWireField field;
    const char *domain = "";
    int64_t version = 0;
    int got;
    while ((got = pf_wire_next(&wire, &field)) > 0) {
        if (field.number == OPSET_DOMAIN && !(domain = take_text(reader, &field))) return -1;
        if (field.number == OPSET_VERSION) version = (int64_t)field.value;
    }
    if (got < 0) return broken(reader, "the version of the operators");
    if (!*domain || !strcmp(domain, "ai.onnx")) reader->model->opset = version;
    return 0;
}

static int take_model(Reader *reader, PfWire wire)
{
    PfOnnxModel *model = reader->model;
    PfWireField field;
    PfWire graph = {0};
    int got;
    for (PfWire rest = wire; (got = pf_wire_next(&rest, &field)) > 0;) {
        if (field.number != MODEL_GRAPH && field.number != MODEL_OPSET) continue;
        if (field.kind != PF_WIRE_BYTES) return broken(reader, "a model");
        if (field.number == MODEL_GRAPH) graph = field.bytes;
        if (field.number == MODEL_OPSET && take_opset(reader, field.bytes)) return -1;
    }
    if (got < 0 || !graph.at) return broken(reader, "a model with a graph");
    if (model->opset < PF_ONNX_OLDEST_OPSET || model->opset > PF_ONNX_NEWEST_OPSET)
        return pf_fail(reader->err, PF_EXIT_FAILED,
                       "'%s': expected operators of opset %d to %d, found %lld. Hint: "
                       "torch.onnx.export(..., opset_version=17), or "
                       "onnx.version_converter.convert_version(model, 17)",
                       model->path, PF_ONNX_OLDEST_OPSET, PF_ONNX_NEWEST_OPSET,
                       (long long)model->opset);
    return take_graph(reader, graph);
}

int pf_onnx_model_new(const char *path, const void *bytes, size_t size, int folder,
                      PfOnnxModel **out, PfError *err)
{
    PfOnnxModel *model = pf_calloc(1, sizeof *model, err);
    if (!model) return -1;
    *model =
        (PfOnnxModel){.path = path, .folder = folder, .input = -1, .budget = FREE_BUDGET + size};
    Reader reader = {.model = model, .err = err};
    if (!take_model(&reader, (PfWire){bytes, (const uint8_t *)bytes + size})) {
        *out = model;
        return 0;
    }
    pf_onnx_model_free(&model);
    return -1;
}

void pf_onnx_model_free(PfOnnxModel **model)
{
    if (!*model) return;
    for (size_t i = 0; i < (*model)->data_count; i++)
        pf_input_file_unmap((*model)->data[i].bytes, (*model)->data[i].size);
    free((*model)->data);
    free((*model)->values);
    pf_text_index_free(&(*model)->names);
    pf_arena_free(&(*model)->arena);
    free(*model);
    *model = NULL;
}
