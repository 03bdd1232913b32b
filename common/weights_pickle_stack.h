/* The stack on which pf_pickle_read builds a pickle's values, and their memory. */
#ifndef PF_WEIGHTS_PICKLE_STACK_H
#define PF_WEIGHTS_PICKLE_STACK_H

#include "weights_pickle_values.h"

#define PF_PICKLE_MAX_MARKS 200 /* nesting; checkpoints are nested some five deep */

typedef struct PfPickleReader {
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
} PfPickleReader;

/* "weights '<source>': <problem> (byte N of the pickle)"; returns -1. */
int pf_pickle_fail(PfPickleReader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Zeroed memory that lives until the pickle is freed. */
void *pf_pickle_allocate(PfPickleReader *reader, size_t size);

int pf_pickle_push(PfPickleReader *reader, PfPickleValue *value);
/* A new value on top of the stack, for the caller to fill in; NULL on failure. */
PfPickleValue *pf_pickle_push_new(PfPickleReader *reader, PfPickleKind kind);

/* Appends to a TUPLE, LIST or DICT. */
int pf_pickle_append(PfPickleReader *reader, PfPickleValue *to, PfPickleValue *const *values,
                     size_t count);

#endif
