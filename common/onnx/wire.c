#include "common/onnx/wire.h"

#include "common/base/integers.h"

int pf_wire_varint(PfWire *wire, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && wire->at < wire->end; shift += 7) {
        const uint8_t byte = *wire->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return 0;
    }
    return -1;
}

static int take_fixed(PfWire *wire, size_t width, uint64_t *value)
{
    if (pf_wire_size(wire) < width) return -1;
    *value = pf_little_endian(wire->at, width);
    wire->at += width;
    return 0;
}

static int take_bytes(PfWire *wire, PfWire *bytes)
{
    uint64_t size;
    if (pf_wire_varint(wire, &size) || size > pf_wire_size(wire)) return -1;
    *bytes = (PfWire){wire->at, wire->at + size};
    wire->at += size;
    return 0;
}

int pf_wire_next(PfWire *wire, PfWireField *field)
{
    uint64_t key;
    if (wire->at == wire->end) return 0;
    if (pf_wire_varint(wire, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX) return -1;
    *field = (PfWireField){.number = (uint32_t)(key >> 3), .kind = (PfWireKind)(key & 7)};
    int failed = -1;
    switch (key & 7) {
    case PF_WIRE_VARINT: failed = pf_wire_varint(wire, &field->value); break;
    case PF_WIRE_64_BITS: failed = take_fixed(wire, 8, &field->value); break;
    case PF_WIRE_BYTES: failed = take_bytes(wire, &field->bytes); break;
    case PF_WIRE_32_BITS: failed = take_fixed(wire, 4, &field->value); break;
    default: break;
    }
    return failed ? -1 : 1;
}

int64_t pf_wire_count(PfWire wire, uint32_t number)
{
    PfWireField field;
    int64_t count = 0;
    int got;
    while ((got = pf_wire_next(&wire, &field)) > 0) count += field.number == number;
    return got < 0 ? -1 : count;
}
