/* Protocol buffers as bytes, read where they lie: nothing is copied, and no size that a file claims
 * is believed before it has been compared with the bytes that are there. */
#ifndef PF_COMMON_ONNX_WIRE_H
#define PF_COMMON_ONNX_WIRE_H

#include <stddef.h>
#include <stdint.h>

/* A message, or what is left of it. */
typedef struct PfWire {
    const uint8_t *at, *end;
} PfWire;

typedef enum PfWireKind {
    PF_WIRE_VARINT = 0,
    PF_WIRE_64_BITS = 1,
    PF_WIRE_BYTES = 2,
    PF_WIRE_32_BITS = 5
} PfWireKind;

typedef struct PfWireField {
    uint32_t number;
    PfWireKind kind;
    uint64_t value; /* of all but bytes */
    PfWire bytes;
} PfWireField;

/* Takes the next field: 1; 0 at the end; -1 where the bytes are no message. */
int pf_wire_next(PfWire *wire, PfWireField *field);

/* Takes a varint: 0, or -1 where none is there. */
int pf_wire_varint(PfWire *wire, uint64_t *value);

/* How many fields of that number a message has; -1 where it is none. */
int64_t pf_wire_count(PfWire wire, uint32_t number);

static inline size_t pf_wire_size(const PfWire *wire)
{
    return (size_t)(wire->end - wire->at);
}

#endif
