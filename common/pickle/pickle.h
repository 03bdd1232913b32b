/* Python's pickles, read as data: those inside torch .pth files, and NumPy's arrays.
 *
 * A pickle is a program for a stack machine that may import and call anything.
 * This reader knows only the opcodes that are written for values, and of names only those on the
 * list that its caller gives it, of which it calls none: it notes what they
 * would have made. Everything else is an error that names the opcode or the global. */
#ifndef PF_COMMON_PICKLE_PICKLE_H
#define PF_COMMON_PICKLE_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/arena.h"
#include "permafrost/error.h"
#include "permafrost/tensor.h"

typedef enum PfPickleKind {
    PF_PICKLE_NONE,
    PF_PICKLE_BOOL,       /* integer */
    PF_PICKLE_INT,        /* integer */
    PF_PICKLE_LONG,       /* text: little-endian two's complement of more than 8 bytes */
    PF_PICKLE_FLOAT,      /* value not kept */
    PF_PICKLE_TEXT,       /* text; bytes, too */
    PF_PICKLE_TUPLE,      /* items */
    PF_PICKLE_LIST,       /* items */
    PF_PICKLE_DICT,       /* items: key, value, key, value, ... in insertion order */
    PF_PICKLE_GLOBAL,     /* an allowed name, not called */
    PF_PICKLE_STORAGE,    /* storage */
    PF_PICKLE_TENSOR,     /* tensor */
    PF_PICKLE_OPAQUE,     /* an allowed object that weights do not need; contents not kept */
    PF_PICKLE_FOREIGN,    /* a tensor of a kind that is not read: sparse, complex, fp8, meta */
    PF_PICKLE_ARRAY,      /* array */
    PF_PICKLE_ARRAY_TYPE, /* text: NumPy's name of a type, "u1" */
} PfPickleKind;

/* Not terminated by a zero; points into the pickle's bytes. */
typedef struct PfPickleText {
    const char *bytes;
    size_t size;
} PfPickleText;

/* Numbers stored outside the pickle, referred to by key. */
typedef struct PfPickleStorage {
    PfPickleText key;
    PfDtype dtype;
    size_t foreign_size; /* bytes of an element of a type that is not ours; else 0 */
    int64_t count;       /* elements */
    const uint8_t *data; /* NULL; for the caller to fill in */
} PfPickleStorage;

/* A window on a storage. Checked: every element lies inside the storage, and
 * the number of elements fits int64_t. */
typedef struct PfPickleTensor {
    const PfPickleStorage *storage;
    int64_t offset; /* elements */
    PfShape shape;
    int64_t strides[PF_MAX_RANK]; /* elements, not negative */
} PfPickleTensor;

/* NumPy's array, whose numbers lie in the pickle. Checked, where the type is one byte wide ("u1"):
 * the shape has as many elements as there are bytes. */
typedef struct PfPickleArray {
    PfPickleText type; /* "u1"; empty: never filled in */
    PfShape shape;
    bool is_fortran; /* the first axis varies fastest */
    PfPickleText data;
} PfPickleArray;

typedef struct PfPickleValue {
    PfPickleKind kind;
    union {
        int64_t integer;
        PfPickleText text;
        struct {
            struct PfPickleValue **values;
            size_t count, capacity;
            size_t tensors; /* of a DICT: how many of its values are TENSORs */
        } items;
        const struct PfPickleGlobal *global;
        PfPickleStorage *storage;
        PfPickleTensor *tensor;
        PfPickleArray *array;
    };
} PfPickleValue;

typedef struct PfPickle {
    const PfPickleValue *root;
    PfPickleStorage **storages; /* one for every mention, in order; a key may come more than once */
    size_t storage_count;
    size_t size_bytes; /* length of the pickle, its STOP included */
    PfArena arena;
} PfPickle;

static inline bool pf_pickle_text_is(PfPickleText text, const char *expected)
{
    return text.size == strlen(expected) && !memcmp(text.bytes, expected, text.size);
}

/* The names that a pickle may mention, and what such a file is called in messages. */
typedef struct PfPickleNames PfPickleNames;
extern const PfPickleNames pf_pickle_weights; /* what torch.save writes beside weights */
extern const PfPickleNames pf_pickle_arrays;  /* NumPy's arrays, and nothing else */

/* Reads the pickle at the start of bytes, which must outlive *pickle. `source`
 * names the file in messages. Free with pf_pickle_free, also after a failure. */
int pf_pickle_read(const PfPickleNames *names, const char *source, const uint8_t *bytes,
                   size_t size, PfPickle *pickle, PfError *err);
void pf_pickle_free(PfPickle *pickle);

/* The value of a TEXT key in a DICT, or NULL. */
const PfPickleValue *pf_pickle_get(const PfPickleValue *dict, const char *key);

#endif
