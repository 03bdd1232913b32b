/* The names that a pickle may mention. */
#ifndef PF_COMMON_WEIGHTS_PICKLE_GLOBALS_H
#define PF_COMMON_WEIGHTS_PICKLE_GLOBALS_H

#include "common/weights/pickle_stack.h"

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
int pf_pickle_globals_push(PfPickleStack *reader, PfPickleText module, PfPickleText name);
/* Pushes what callee(*arguments) would have made. */
int pf_pickle_globals_call(PfPickleStack *reader, const PfPickleValue *callee,
                           const PfPickleValue *arguments);

#endif
