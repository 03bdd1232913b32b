/* The stack machine behind pf_pickle_read, for its own files: weights_pickle.c has
 * the opcodes, weights_pickle_globals.c the names that a pickle may mention. */
#ifndef PF_WEIGHTS_PICKLE_READER_H
#define PF_WEIGHTS_PICKLE_READER_H

#include "weights_pickle.h"

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

/* An empty pickle and its memory, which pf_pickle_free frees. */
int pf_pickle_new(PfPickle *pickle, PfError *err);

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

/* ---- names ---- */

typedef enum PfPickleRole {
    PF_ROLE_DICT,
    PF_ROLE_STORAGE,
    PF_ROLE_TENSOR,    /* (storage, offset, size, stride, ...) */
    PF_ROLE_PARAMETER, /* (tensor, ...) */
    PF_ROLE_FOREIGN,   /* a tensor of a kind that is not read */
    PF_ROLE_TYPED,     /* (what makes a tensor, its class, arguments, attributes) */
    PF_ROLE_ATTRIBUTE, /* (an inert object, the attribute's name): inert itself */
    PF_ROLE_OPAQUE,    /* found in checkpoints beside the weights */
} PfPickleRole;

typedef struct PfPickleGlobal {
    const char *module, *name;
    PfPickleRole role;
    PfDtype dtype;       /* of a storage */
    size_t foreign_size; /* bytes of an element of a storage of another type, else 0 */
} PfPickleGlobal;

/* Pushes a name if it is on the list of the allowed ones. */
int pf_pickle_push_global(PfPickleReader *reader, PfPickleText module, PfPickleText name);
/* Pushes what callee(*arguments) would have made. */
int pf_pickle_call(PfPickleReader *reader, const PfPickleValue *callee,
                   const PfPickleValue *arguments);

#endif
