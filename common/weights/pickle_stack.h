/* The stack on which pf_pickle_read builds a pickle's values, and their memory. */
#ifndef PF_COMMON_WEIGHTS_PICKLE_STACK_H
#define PF_COMMON_WEIGHTS_PICKLE_STACK_H

#include "common/weights/pickle_values.h"

#define PF_PICKLE_MAX_MARKS 200 /* nesting; checkpoints are nested some five deep */

typedef struct PfPickleStack {
    const char *source;
    const uint8_t *bytes;
    size_t size, at;
    PfPickle *pickle;
    PfPickleValue **stack;
    size_t depth, stack_capacity;
    size_t marks[PF_PICKLE_MAX_MARKS]; /* stack depths */
    size_t mark_count;
    PfPickleValue **memo; /* NULL where nothing was put */
    size_t memo_size, memo_capacity;
    size_t storage_capacity;
    PfError *err;
} PfPickleStack;

/* "weights '<source>': <problem> (byte N of the pickle)"; returns -1. */
int pf_pickle_stack_fail(PfPickleStack *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Zeroed memory that lives until the pickle is freed. */
void *pf_pickle_stack_allocate(PfPickleStack *reader, size_t size);

int pf_pickle_stack_push(PfPickleStack *reader, PfPickleValue *value);
/* A new value on top of the stack, for the caller to fill in; NULL on failure. */
PfPickleValue *pf_pickle_stack_push_new(PfPickleStack *reader, PfPickleKind kind);

/* Appends to a TUPLE, LIST or DICT. */
int pf_pickle_stack_append(PfPickleStack *reader, PfPickleValue *to, PfPickleValue *const *values,
                           size_t count);

#endif
