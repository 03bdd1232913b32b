/* What reads pickles: the stack on which their values are built, and the names that they may
 * mention. */
#ifndef PF_COMMON_PICKLE_INTERNAL_H
#define PF_COMMON_PICKLE_INTERNAL_H

#include "common/pickle/pickle.h"

/* ---- the stack, and the memory of what is on it: opcodes.c ---- */

#define PF_PICKLE_MAX_MARKS 200 /* nesting; checkpoints are nested some five deep */

typedef struct PfPickleStack {
    const PfPickleNames *names;
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

/* "<what> '<source>': <problem> (byte N of the pickle)"; returns -1. */
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

/* ---- names: globals.c ---- */

typedef enum PfPickleRole {
    PF_ROLE_DICT,
    PF_ROLE_STORAGE,
    PF_ROLE_TENSOR,     /* (storage, offset, size, stride, ...) */
    PF_ROLE_PARAMETER,  /* (tensor, ...) */
    PF_ROLE_FOREIGN,    /* a tensor of a kind that is not read */
    PF_ROLE_TYPED,      /* (what makes a tensor, its class, arguments, attributes) */
    PF_ROLE_ATTRIBUTE,  /* (an inert object, the attribute's name): inert itself */
    PF_ROLE_OPAQUE,     /* found in checkpoints beside the weights */
    PF_ROLE_INERT,      /* mentioned only */
    PF_ROLE_ARRAY,      /* (class, ...): an array that BUILD fills in */
    PF_ROLE_BUFFER,     /* (bytes, type, shape, order): an array */
    PF_ROLE_ARRAY_TYPE, /* (name, ...) */
} PfPickleRole;

typedef struct PfPickleGlobal {
    const char *module, *name;
    PfPickleRole role;
    PfDtype dtype;       /* of a storage */
    size_t foreign_size; /* bytes of an element of a storage of another type, else 0 */
} PfPickleGlobal;

struct PfPickleNames {
    const char *what;              /* "weights", before the file's name */
    const char *kind;              /* "a weight file", which never needs what is refused */
    const char *hint;              /* what helps where a name is refused */
    const PfPickleGlobal *globals; /* (count) */
    size_t count;
    bool has_tensor_types; /* "torch.cuda.HalfTensor" and the like are allowed, too */
};

/* Pushes a name if it is on the list of the allowed ones. */
int pf_pickle_globals_push(PfPickleStack *reader, PfPickleText module, PfPickleText name);
/* Pushes what callee(*arguments) would have made. */
int pf_pickle_globals_call(PfPickleStack *reader, const PfPickleValue *callee,
                           const PfPickleValue *arguments);

/* ---- NumPy's arrays: arrays.c ---- */

/* What calling a name of one of the last three roles would have made. */
int pf_pickle_arrays_call(PfPickleStack *reader, PfPickleRole role, PfPickleValue *const *arguments,
                          size_t count);
/* BUILD of an array: (version, shape, type, is_fortran, bytes). */
int pf_pickle_arrays_fill(PfPickleStack *reader, PfPickleArray *array, const PfPickleValue *state);

#endif
