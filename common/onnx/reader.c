#include "common/onnx/reader.h"

#include <stdarg.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/printable.h"

/* ---- failures ---- */

int pf_onnx_broken(const PfOnnxReader *reader, const char *what)
{
    return pf_fail(reader->err, PF_EXIT_FAILED,
                   "'%s' is not a whole ONNX file: expected %s, found bytes that are none. Hint: "
                   "compare its size or checksum with those of where it comes from",
                   reader->model->path, what);
}

int pf_onnx_refuse_file(const PfOnnxReader *reader, const char *reason)
{
    return pf_fail(reader->err, PF_EXIT_FAILED, "'%s': %" PF_SENTENCE, reader->model->path, reason);
}

int pf_onnx_fail_tensor(const PfOnnxReader *reader, const char *tensor, const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    pf_vformat(reason, sizeof reason, format, arguments);
    va_end(arguments);
    return pf_fail(reader->err, PF_EXIT_FAILED, "'%s': tensor '%.200s': %" PF_SENTENCE,
                   reader->model->path, tensor, reason);
}

/* ---- texts and room ---- */

/* A text that ends where the file says; NULL where it holds a zero or memory is short. */
const char *pf_onnx_take_text(PfOnnxReader *reader, const PfWireField *field)
{
    const size_t size = pf_wire_size(&field->bytes);
    if (field->kind != PF_WIRE_BYTES || (size && memchr(field->bytes.at, 0, size))) {
        pf_onnx_broken(reader, "a text");
        return NULL;
    }
    return pf_arena_text(&reader->model->arena, (const char *)field->bytes.at, size, reader->err);
}

void *pf_onnx_take_room(PfOnnxReader *reader, size_t count, size_t size)
{
    void *room = pf_arena_allocate(&reader->model->arena, count * size + 1, 16, reader->err);
    if (room) memset(room, 0, count * size + 1);
    return room;
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
int pf_onnx_take_wholes(PfOnnxReader *reader, PfWire message, uint32_t number, const int64_t **out,
                        size_t *out_count)
{
    int64_t *list = NULL;
    for (int pass = 0; pass < 2; pass++) {
        PfWire wire = message;
        PfWireField field;
        size_t count = 0;
        while (pf_wire_next(&wire, &field) > 0)
            if (field.number == number && add_wholes(&field, list, &count))
                return pf_onnx_broken(reader, "integers");
        *out_count = count;
        if (!pass && !(list = pf_onnx_take_room(reader, count, sizeof *list))) return -1;
    }
    *out = list;
    return 0;
}

/* Fixed-width numbers (floats of 4 bytes, doubles of 8): lent where they are packed in one field,
 * else copied. */
int pf_onnx_take_fixed(PfOnnxReader *reader, PfWire message, uint32_t number, size_t width,
                       const void **out, size_t *out_size)
{
    const PfWireKind alone = width == 4 ? PF_WIRE_32_BITS : PF_WIRE_64_BITS;
    size_t size = 0, pieces = 0;
    PfWireField field;
    *out = NULL;
    for (PfWire wire = message; pf_wire_next(&wire, &field) > 0;) {
        if (field.number != number) continue;
        if (field.kind != PF_WIRE_BYTES && field.kind != alone)
            return pf_onnx_broken(reader, "numbers");
        size += field.kind == alone ? width : pf_wire_size(&field.bytes);
        pieces++;
        if (field.kind == PF_WIRE_BYTES) *out = field.bytes.at;
    }
    *out_size = size;
    if (size % width) return pf_onnx_broken(reader, "numbers");
    if (pieces == 1 && *out) return 0;
    uint8_t *copy = pf_onnx_take_room(reader, size, 1);
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

/* ---- values ---- */

/* The value of that name, which is made where there is none; -2 with a failure. */
int pf_onnx_value_named(PfOnnxReader *reader, const char *name)
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
