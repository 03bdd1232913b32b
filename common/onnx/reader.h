/* What everything that reads a model's bytes shares: failures, room, texts, lists of numbers.
 * Others use read.h. */
#ifndef PF_COMMON_ONNX_READER_H
#define PF_COMMON_ONNX_READER_H

#include "common/onnx/model.h"
#include "common/onnx/wire.h"

/* A function that the model brings: a FunctionProto. */
typedef struct PfOnnxFunction {
    const char *name, *domain, *overload;
    PfWire body;
} PfOnnxFunction;

/* What names mean inside of a function. */
typedef struct PfOnnxScope {
    const PfOnnxStep *call; /* for its attributes */
    const char *prefix;     /* of the names of the function's own values */
    const char **names;     /* (count) of its inputs and outputs */
    int *values;            /* (count) those of the call; -1: left out */
    int count;
} PfOnnxScope;

typedef struct PfOnnxReader {
    PfOnnxModel *model;
    size_t size; /* of the model's file */
    size_t value_capacity, step_capacity;
    PfOnnxFunction *functions; /* (function_count) */
    size_t function_count;
    const PfOnnxScope *scope; /* NULL: outside of functions */
    int depth, call_count;
    size_t expanded; /* bytes of functions, as often as they were called */
    PfError *err;
} PfOnnxReader;

/* The bytes are no message where `what` was expected. Returns -1. */
int pf_onnx_broken(const PfOnnxReader *reader, const char *what);
/* A reason about the file as a whole. Returns -1. */
int pf_onnx_refuse_file(const PfOnnxReader *reader, const char *reason);
/* A reason about one of its tensors. Returns -1. */
int pf_onnx_fail_tensor(const PfOnnxReader *reader, const char *tensor, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A copy of a text, lent from the model. NULL with a failure, also where it holds a zero. */
const char *pf_onnx_take_text(PfOnnxReader *reader, const PfWireField *field);
/* Zeroed room in the model's arena, for at least one byte. NULL with a failure. */
void *pf_onnx_take_room(PfOnnxReader *reader, size_t count, size_t size);

/* All integers of that field of a message, packed or not: (*out_count), lent from the model. */
int pf_onnx_take_wholes(PfOnnxReader *reader, PfWire message, uint32_t number, const int64_t **out,
                        size_t *out_count);
/* All numbers of that field, of `width` bytes each: *out_size bytes, lent from the message or the
 * model, and not necessarily aligned. */
int pf_onnx_take_fixed(PfOnnxReader *reader, PfWire message, uint32_t number, size_t width,
                       const void **out, size_t *out_size);

/* The value of that name, which is made where there is none; -2 with a failure. */
int pf_onnx_value_named(PfOnnxReader *reader, const char *name);

#endif
