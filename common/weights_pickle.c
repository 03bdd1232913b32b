#include "weights_pickle.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "weights_internal.h"

/* A checkpoint of a network with its optimiser has some 100,000 values, nested
 * five deep. */
#define MAX_ARENA_BYTES ((size_t)256 << 20)
#define MAX_MEMO ((size_t)1 << 22)
#define MAX_STACK ((size_t)1 << 22)
#define MAX_MARKS 200
#define MAX_GLOBAL_NAME 200

/* ---- memory: everything lives until the pickle is freed ---- */

#define ARENA_BLOCK_BYTES ((size_t)64 << 10)

typedef struct PfPickleArena {
    void **blocks;
    size_t block_count, block_capacity;
    size_t used, room; /* of the last block */
    size_t total;
} PfPickleArena;

/* Zeroed, aligned for any of our types; NULL and err filled on failure. */
static void *arena_allocate(PfPickleArena *arena, size_t size, PfError *err)
{
    size = (size + 15) / 16 * 16;
    if (arena->room - arena->used < size) {
        size_t block_size = size > ARENA_BLOCK_BYTES ? size : ARENA_BLOCK_BYTES;
        if (block_size > MAX_ARENA_BYTES - arena->total) {
            pf_fail(err, PF_EXIT_FAILED, "its pickle needs more than %zu MB of memory",
                    MAX_ARENA_BYTES >> 20);
            return NULL;
        }
        if (pf_grow(&arena->blocks, &arena->block_capacity, arena->block_count + 1,
                    sizeof *arena->blocks, err))
            return NULL;
        void *block = pf_calloc(1, block_size, err);
        if (!block) return NULL;
        arena->blocks[arena->block_count++] = block;
        arena->total += block_size;
        arena->room = block_size;
        arena->used = 0;
    }
    void *memory = (char *)arena->blocks[arena->block_count - 1] + arena->used;
    arena->used += size;
    return memory;
}

void pf_pickle_free(PfPickle *pickle)
{
    free(pickle->storages);
    if (pickle->arena) {
        for (size_t i = 0; i < pickle->arena->block_count; i++) free(pickle->arena->blocks[i]);
        free(pickle->arena->blocks);
        free(pickle->arena);
    }
    *pickle = (PfPickle){0};
}

/* ---- the stack machine ---- */

typedef struct Reader {
    const char *source;
    const uint8_t *bytes;
    size_t size, at;
    PfPickle *pickle;
    PfPickleValue **stack;
    size_t depth, stack_capacity;
    size_t marks[MAX_MARKS]; /* stack depths */
    size_t mark_count;
    PfPickleValue **memo; /* NULL where nothing was put */
    size_t memo_size, memo_capacity;
    size_t storage_capacity;
    PfError *err;
} Reader;

static int fail(Reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(Reader *reader, const char *format, ...)
{
    char problem[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem, sizeof problem, format, arguments);
    va_end(arguments);
    return pf_fail(reader->err, PF_EXIT_FAILED, "weights '%s': %s (byte %zu of the pickle)",
                   reader->source, problem, reader->at);
}

static void *allocate(Reader *reader, size_t size)
{
    PfError inner = {0};
    void *memory = arena_allocate(reader->pickle->arena, size, &inner);
    if (!memory) fail(reader, "%s", inner.message);
    return memory;
}

/* The next size bytes; NULL where the pickle ends before. */
static const uint8_t *take(Reader *reader, uint64_t size)
{
    if (size > reader->size - reader->at) {
        fail(reader, "the file ends in the middle of its pickle: truncated?");
        return NULL;
    }
    const uint8_t *bytes = reader->bytes + reader->at;
    reader->at += (size_t)size;
    return bytes;
}

/* A length or index of `width` bytes. */
static int take_number(Reader *reader, int width, uint64_t *number)
{
    const uint8_t *bytes = take(reader, (uint64_t)width);
    if (!bytes) return -1;
    *number = pf_little_endian(bytes, (size_t)width);
    return 0;
}

static int push(Reader *reader, PfPickleValue *value)
{
    if (reader->depth >= MAX_STACK) return fail(reader, "the pickle's stack grows without end");
    if (pf_grow(&reader->stack, &reader->stack_capacity, reader->depth + 1, sizeof *reader->stack,
                reader->err))
        return -1;
    reader->stack[reader->depth++] = value;
    return 0;
}

static PfPickleValue *push_new(Reader *reader, PfPickleKind kind)
{
    PfPickleValue *value = allocate(reader, sizeof *value);
    if (!value || push(reader, value)) return NULL;
    value->kind = kind;
    return value;
}

/* The lowest value that may be taken without reaching below the last mark. */
static size_t stack_floor(const Reader *reader)
{
    return reader->mark_count ? reader->marks[reader->mark_count - 1] : 0;
}

static PfPickleValue *pop(Reader *reader)
{
    if (reader->depth == stack_floor(reader)) {
        fail(reader, "the pickle takes a value from an empty stack");
        return NULL;
    }
    return reader->stack[--reader->depth];
}

static PfPickleValue *top(Reader *reader)
{
    PfPickleValue *value = pop(reader);
    if (value) reader->depth++;
    return value;
}

/* Takes the values above the last mark off the stack, and the mark. They stay
 * readable until the next push. */
static int pop_to_mark(Reader *reader, PfPickleValue ***values, size_t *count)
{
    if (!reader->mark_count) return fail(reader, "the pickle ends a list that it never began");
    size_t mark = reader->marks[--reader->mark_count];
    *values = reader->stack + mark;
    *count = reader->depth - mark;
    reader->depth = mark;
    return 0;
}

/* Appends to a TUPLE, LIST or DICT. Outgrown arrays stay in the arena: at most
 * as much again. */
static int append(Reader *reader, PfPickleValue *to, PfPickleValue *const *values, size_t count)
{
    if (count > to->items.capacity - to->items.count) {
        size_t capacity = to->items.count + count;
        if (to->items.count) capacity *= 2;
        PfPickleValue **larger = allocate(reader, capacity * sizeof *larger);
        if (!larger) return -1;
        if (to->items.count) memcpy(larger, to->items.values, to->items.count * sizeof *larger);
        to->items.values = larger;
        to->items.capacity = capacity;
    }
    if (count) memcpy(to->items.values + to->items.count, values, count * sizeof *values);
    to->items.count += count;
    return 0;
}

/* ---- names that a pickle may mention ---- */

typedef enum GlobalRole {
    ROLE_DICT,
    ROLE_STORAGE,
    ROLE_TENSOR,    /* (storage, offset, size, stride, ...) */
    ROLE_PARAMETER, /* (tensor, ...) */
    ROLE_OPAQUE,    /* found in checkpoints beside the weights */
} GlobalRole;

typedef struct PfPickleGlobal {
    const char *module, *name;
    GlobalRole role;
    PfDtype dtype; /* of a storage */
} PfPickleGlobal;

static const PfPickleGlobal allowed_globals[] = {
    {"collections", "OrderedDict", ROLE_DICT, 0},
    {"torch._utils", "_rebuild_tensor_v2", ROLE_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor", ROLE_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", ROLE_PARAMETER, 0},
    {"torch._utils", "_rebuild_parameter_with_state", ROLE_PARAMETER, 0},
    {"torch", "FloatStorage", ROLE_STORAGE, PF_DTYPE_F32},
    {"torch", "HalfStorage", ROLE_STORAGE, PF_DTYPE_F16},
    {"torch", "BFloat16Storage", ROLE_STORAGE, PF_DTYPE_BF16},
    {"torch", "DoubleStorage", ROLE_STORAGE, PF_DTYPE_F64},
    {"torch", "ByteStorage", ROLE_STORAGE, PF_DTYPE_U8},
    {"torch", "CharStorage", ROLE_STORAGE, PF_DTYPE_I8},
    {"torch", "ShortStorage", ROLE_STORAGE, PF_DTYPE_I16},
    {"torch", "IntStorage", ROLE_STORAGE, PF_DTYPE_I32},
    {"torch", "LongStorage", ROLE_STORAGE, PF_DTYPE_I64},
    {"torch", "BoolStorage", ROLE_STORAGE, PF_DTYPE_BOOL},
    {"torch", "Size", ROLE_OPAQUE, 0},
    {"torch", "device", ROLE_OPAQUE, 0},
    {"argparse", "Namespace", ROLE_OPAQUE, 0},
    {"numpy", "dtype", ROLE_OPAQUE, 0},
    {"numpy.core.multiarray", "scalar", ROLE_OPAQUE, 0},
    {"numpy._core.multiarray", "scalar", ROLE_OPAQUE, 0},
    {"_codecs", "encode", ROLE_OPAQUE, 0},
};

int pf_pickle_text_is(PfPickleText text, const char *expected)
{
    return text.size == strlen(expected) && !memcmp(text.bytes, expected, text.size);
}

static int push_global(Reader *reader, PfPickleText module, PfPickleText name)
{
    const size_t count = sizeof allowed_globals / sizeof allowed_globals[0];
    for (size_t i = 0; i < count; i++) {
        const PfPickleGlobal *global = &allowed_globals[i];
        if (!pf_pickle_text_is(module, global->module) || !pf_pickle_text_is(name, global->name))
            continue;
        PfPickleValue *value = push_new(reader, PF_PICKLE_GLOBAL);
        if (value) value->global = global;
        return value ? 0 : -1;
    }
    char module_text[PF_PRINTABLE_SIZE], name_text[PF_PRINTABLE_SIZE];
    return fail(reader,
                "its pickle asks for '%s.%s', which a weight file never needs: refused. Hint: if "
                "you trust the file, load it in Python and save the tensors alone with "
                "torch.save(model.state_dict(), ...)",
                pf_printable(module.bytes, module.size, module_text),
                pf_printable(name.bytes, name.size, name_text));
}

/* ---- what the allowed names would have made ---- */

/* A tuple of as many ints as a tensor may have axes. */
static int is_axes(const PfPickleValue *value)
{
    if (value->kind != PF_PICKLE_TUPLE || value->items.count > PF_MAX_RANK) return 0;
    for (size_t i = 0; i < value->items.count; i++)
        if (value->items.values[i]->kind != PF_PICKLE_INT) return 0;
    return 1;
}

/* Fills shape and strides; fails where an element would lie outside the storage. */
static int check_window(PfPickleTensor *tensor, const PfPickleValue *size,
                        const PfPickleValue *stride)
{
    int64_t count = 1, last = tensor->offset;
    int bad = tensor->offset < 0;
    tensor->shape.rank = (int)size->items.count;
    for (int i = 0; i < tensor->shape.rank; i++) {
        int64_t dim = size->items.values[i]->integer, step = stride->items.values[i]->integer;
        int64_t reach;
        bad |= dim < 0 || step < 0 || __builtin_mul_overflow(count, dim, &count);
        bad |= dim > 0 && (__builtin_mul_overflow(dim - 1, step, &reach) ||
                           __builtin_add_overflow(last, reach, &last));
        if (bad) return -1;
        tensor->shape.dims[i] = dim;
        tensor->strides[i] = step;
    }
    return bad || (count > 0 && last >= tensor->storage->count) ? -1 : 0;
}

static int push_tensor(Reader *reader, PfPickleValue *const *arguments, size_t count)
{
    if (count < 4 || arguments[0]->kind != PF_PICKLE_STORAGE ||
        arguments[1]->kind != PF_PICKLE_INT || !is_axes(arguments[2]) || !is_axes(arguments[3]) ||
        arguments[2]->items.count != arguments[3]->items.count)
        return fail(reader,
                    "a tensor is described in a way that torch does not, or has more than "
                    "%d axes",
                    PF_MAX_RANK);
    PfPickleTensor *tensor = allocate(reader, sizeof *tensor);
    if (!tensor) return -1;
    tensor->storage = arguments[0]->storage;
    tensor->offset = arguments[1]->integer;
    if (check_window(tensor, arguments[2], arguments[3])) {
        char key[PF_PRINTABLE_SIZE];
        return fail(reader, "a tensor reaches beyond its storage '%s' of %lld elements",
                    pf_printable(tensor->storage->key.bytes, tensor->storage->key.size, key),
                    (long long)tensor->storage->count);
    }
    PfPickleValue *value = push_new(reader, PF_PICKLE_TENSOR);
    if (value) value->tensor = tensor;
    return value ? 0 : -1;
}

/* OrderedDict() or, from Python 2, OrderedDict([[key, value], ...]). */
static int push_dict(Reader *reader, PfPickleValue *const *arguments, size_t count)
{
    const PfPickleValue *pairs = count ? arguments[0] : NULL;
    if (count > 1 || (pairs && pairs->kind != PF_PICKLE_LIST))
        return fail(reader, "an OrderedDict is made in a way that pickle does not");
    PfPickleValue *dict = push_new(reader, PF_PICKLE_DICT);
    if (!dict) return -1;
    for (size_t i = 0; pairs && i < pairs->items.count; i++) {
        const PfPickleValue *pair = pairs->items.values[i];
        if ((pair->kind != PF_PICKLE_LIST && pair->kind != PF_PICKLE_TUPLE) ||
            pair->items.count != 2)
            return fail(reader, "an OrderedDict is made from something other than pairs");
        if (append(reader, dict, pair->items.values, 2)) return -1;
    }
    return 0;
}

/* ---- opcodes ---- */

static int op_constant(Reader *reader, int argument)
{
    static PfPickleValue none = {.kind = PF_PICKLE_NONE};
    static PfPickleValue truth[2] = {{.kind = PF_PICKLE_BOOL, .integer = 0},
                                     {.kind = PF_PICKLE_BOOL, .integer = 1}};
    return push(reader, argument < 0 ? &none : &truth[argument]);
}

/* PROTO, FRAME: a number that says nothing we need. */
static int op_skip(Reader *reader, int width)
{
    return take(reader, (uint64_t)width) ? 0 : -1;
}

static int op_float(Reader *reader, int width)
{
    return take(reader, (uint64_t)width) && push_new(reader, PF_PICKLE_FLOAT) ? 0 : -1;
}

static int push_int(Reader *reader, int64_t integer)
{
    PfPickleValue *value = push_new(reader, PF_PICKLE_INT);
    if (value) value->integer = integer;
    return value ? 0 : -1;
}

/* BININT is signed, the shorter ones are not. */
static int op_int(Reader *reader, int width)
{
    uint64_t number;
    if (take_number(reader, width, &number)) return -1;
    return push_int(reader, width == 4 ? (int32_t)(uint32_t)number : (int64_t)number);
}

static int op_long(Reader *reader, int width)
{
    uint64_t size;
    if (take_number(reader, width, &size)) return -1;
    const uint8_t *bytes = take(reader, size);
    if (!bytes) return -1;
    if (size > 8) {
        PfPickleValue *value = push_new(reader, PF_PICKLE_LONG);
        if (value) value->text = (PfPickleText){(const char *)bytes, (size_t)size};
        return value ? 0 : -1;
    }
    uint64_t number = pf_little_endian(bytes, (size_t)size);
    if (size && size < 8 && bytes[size - 1] & 0x80) number |= UINT64_MAX << 8 * size;
    return push_int(reader, (int64_t)number);
}

static int op_text(Reader *reader, int width)
{
    uint64_t size;
    if (take_number(reader, width, &size)) return -1;
    const uint8_t *bytes = take(reader, size);
    PfPickleValue *value = bytes ? push_new(reader, PF_PICKLE_TEXT) : NULL;
    if (value) value->text = (PfPickleText){(const char *)bytes, (size_t)size};
    return value ? 0 : -1;
}

static int op_mark(Reader *reader, int argument)
{
    (void)argument;
    if (reader->mark_count == MAX_MARKS) return fail(reader, "its pickle is nested too deep");
    reader->marks[reader->mark_count++] = reader->depth;
    return 0;
}

static int op_empty(Reader *reader, int kind)
{
    return push_new(reader, (PfPickleKind)kind) ? 0 : -1;
}

/* TUPLE, LIST, DICT: everything above the mark. */
static int op_collect(Reader *reader, int kind)
{
    PfPickleValue **values = NULL;
    size_t count = 0;
    if (pop_to_mark(reader, &values, &count)) return -1;
    if (kind == PF_PICKLE_DICT && count % 2) return fail(reader, "a dict has a key without value");
    PfPickleValue *value = allocate(reader, sizeof *value);
    if (!value) return -1;
    value->kind = (PfPickleKind)kind;
    return append(reader, value, values, count) || push(reader, value) ? -1 : 0;
}

/* TUPLE1, TUPLE2, TUPLE3: the topmost `count` values. */
static int op_small_tuple(Reader *reader, int count)
{
    PfPickleValue *items[3];
    for (int i = count - 1; i >= 0; i--)
        if (!(items[i] = pop(reader))) return -1;
    PfPickleValue *tuple = push_new(reader, PF_PICKLE_TUPLE);
    return tuple ? append(reader, tuple, items, (size_t)count) : -1;
}

static int extend(Reader *reader, PfPickleKind kind, PfPickleValue *const *values, size_t count)
{
    PfPickleValue *to = top(reader);
    if (!to) return -1;
    if (to->kind == PF_PICKLE_OPAQUE) return 0;
    if (to->kind != kind || (kind == PF_PICKLE_DICT && count % 2))
        return fail(reader, "items are added to something that takes none");
    return append(reader, to, values, count);
}

/* APPEND, SETITEM: kind LIST takes one value, DICT two. */
static int op_extend_by_one(Reader *reader, int kind)
{
    PfPickleValue *items[2];
    size_t count = kind == PF_PICKLE_DICT ? 2 : 1;
    for (size_t i = count; i-- > 0;)
        if (!(items[i] = pop(reader))) return -1;
    return extend(reader, (PfPickleKind)kind, items, count);
}

/* APPENDS, SETITEMS */
static int op_extend(Reader *reader, int kind)
{
    PfPickleValue **values = NULL;
    size_t count = 0;
    if (pop_to_mark(reader, &values, &count)) return -1;
    return extend(reader, (PfPickleKind)kind, values, count);
}

/* BINPUT, LONG_BINPUT; MEMOIZE (width 0) takes the next free number. */
static int op_put(Reader *reader, int width)
{
    uint64_t index = reader->memo_size;
    if (width && take_number(reader, width, &index)) return -1;
    PfPickleValue *value = top(reader);
    if (!value) return -1;
    if (index >= MAX_MEMO) return fail(reader, "its pickle remembers too many values");
    if (index >= reader->memo_size) {
        size_t size = (size_t)index + 1;
        if (pf_grow(&reader->memo, &reader->memo_capacity, size, sizeof *reader->memo, reader->err))
            return -1;
        memset(reader->memo + reader->memo_size, 0,
               (size - reader->memo_size) * sizeof *reader->memo);
        reader->memo_size = size;
    }
    reader->memo[index] = value;
    return 0;
}

static int op_get(Reader *reader, int width)
{
    uint64_t index;
    if (take_number(reader, width, &index)) return -1;
    if (index >= reader->memo_size || !reader->memo[index])
        return fail(reader, "its pickle recalls value %llu, which it never put away",
                    (unsigned long long)index);
    return push(reader, reader->memo[index]);
}

static int take_line(Reader *reader, PfPickleText *line)
{
    size_t left = reader->size - reader->at,
           limit = left < MAX_GLOBAL_NAME ? left : MAX_GLOBAL_NAME;
    const uint8_t *start = reader->bytes + reader->at, *end = memchr(start, '\n', limit);
    if (!end) return fail(reader, "a global's name does not end");
    *line = (PfPickleText){(const char *)start, (size_t)(end - start)};
    reader->at += line->size + 1;
    return 0;
}

static int op_global(Reader *reader, int argument)
{
    PfPickleText module, name;
    (void)argument;
    if (take_line(reader, &module) || take_line(reader, &name)) return -1;
    return push_global(reader, module, name);
}

static int op_stack_global(Reader *reader, int argument)
{
    (void)argument;
    const PfPickleValue *name = pop(reader), *module = name ? pop(reader) : NULL;
    if (!module) return -1;
    if (name->kind != PF_PICKLE_TEXT || module->kind != PF_PICKLE_TEXT)
        return fail(reader, "a global's name is not text");
    return push_global(reader, module->text, name->text);
}

/* REDUCE, NEWOBJ: "call" a global with a tuple of arguments. */
static int op_call(Reader *reader, int argument)
{
    (void)argument;
    PfPickleValue *arguments = pop(reader), *callee = arguments ? pop(reader) : NULL;
    if (!callee) return -1;
    if (callee->kind != PF_PICKLE_GLOBAL || arguments->kind != PF_PICKLE_TUPLE)
        return fail(reader, "its pickle calls something that is not a function");
    PfPickleValue **values = arguments->items.values;
    size_t count = arguments->items.count;
    switch (callee->global->role) {
    case ROLE_DICT: return push_dict(reader, values, count);
    case ROLE_TENSOR: return push_tensor(reader, values, count);
    case ROLE_PARAMETER:
        if (count && values[0]->kind == PF_PICKLE_TENSOR) return push(reader, values[0]);
        return fail(reader, "a parameter is made from something other than a tensor");
    case ROLE_OPAQUE: return push_new(reader, PF_PICKLE_OPAQUE) ? 0 : -1;
    case ROLE_STORAGE: break;
    }
    return fail(reader, "its pickle calls '%s.%s', which holds data and is not called: refused",
                callee->global->module, callee->global->name);
}

/* BUILD: attributes (a state_dict's _metadata, an object's fields). Not kept. */
static int op_build(Reader *reader, int argument)
{
    (void)argument;
    const PfPickleValue *object = pop(reader) ? top(reader) : NULL;
    if (!object) return -1;
    if (object->kind != PF_PICKLE_DICT && object->kind != PF_PICKLE_OPAQUE &&
        object->kind != PF_PICKLE_TENSOR)
        return fail(reader, "its pickle sets attributes of something that has none");
    return 0;
}

/* BINPERSID: ('storage', torch.FloatStorage, key, location, elements[, None]).
 * The location ("cpu", "cuda:0") is where it was, and does not matter here. */
static int op_storage(Reader *reader, int argument)
{
    (void)argument;
    const PfPickleValue *id = pop(reader);
    if (!id) return -1;
    PfPickleValue *const *part = id->items.values;
    if (id->kind != PF_PICKLE_TUPLE || id->items.count < 5 || part[0]->kind != PF_PICKLE_TEXT ||
        !pf_pickle_text_is(part[0]->text, "storage") || part[1]->kind != PF_PICKLE_GLOBAL ||
        part[1]->global->role != ROLE_STORAGE || part[2]->kind != PF_PICKLE_TEXT ||
        part[4]->kind != PF_PICKLE_INT || part[4]->integer < 0)
        return fail(reader, "its pickle refers to something other than a tensor's storage");
    if (id->items.count > 5 && part[5]->kind != PF_PICKLE_NONE)
        return fail(reader, "a storage is part of another, as torch before 0.4 wrote it: load the "
                            "file in Python and save it again");
    PfPickleStorage *storage = allocate(reader, sizeof *storage);
    if (!storage) return -1;
    *storage = (PfPickleStorage){
        .key = part[2]->text, .dtype = part[1]->global->dtype, .count = part[4]->integer};
    PfPickle *pickle = reader->pickle;
    if (pf_grow(&pickle->storages, &reader->storage_capacity, pickle->storage_count + 1,
                sizeof *pickle->storages, reader->err))
        return -1;
    pickle->storages[pickle->storage_count++] = storage;
    PfPickleValue *value = push_new(reader, PF_PICKLE_STORAGE);
    if (value) value->storage = storage;
    return value ? 0 : -1;
}

/* What torch.save writes with protocols 2 to 5, from Python 2 and 3. */
static const struct {
    int (*run)(Reader *reader, int argument);
    int argument;
} opcodes[256] = {
    [0x80] = {op_skip, 1},                      /* PROTO */
    [0x95] = {op_skip, 8},                      /* FRAME */
    ['('] = {op_mark, 0},                       /* MARK */
    ['N'] = {op_constant, -1},                  /* NONE */
    [0x88] = {op_constant, 1},                  /* NEWTRUE */
    [0x89] = {op_constant, 0},                  /* NEWFALSE */
    ['K'] = {op_int, 1},                        /* BININT1 */
    ['M'] = {op_int, 2},                        /* BININT2 */
    ['J'] = {op_int, 4},                        /* BININT */
    [0x8a] = {op_long, 1},                      /* LONG1 */
    [0x8b] = {op_long, 4},                      /* LONG4 */
    ['G'] = {op_float, 8},                      /* BINFLOAT */
    [0x8c] = {op_text, 1},                      /* SHORT_BINUNICODE */
    ['X'] = {op_text, 4},                       /* BINUNICODE */
    [0x8d] = {op_text, 8},                      /* BINUNICODE8 */
    ['U'] = {op_text, 1},                       /* SHORT_BINSTRING */
    ['T'] = {op_text, 4},                       /* BINSTRING */
    ['C'] = {op_text, 1},                       /* SHORT_BINBYTES */
    ['B'] = {op_text, 4},                       /* BINBYTES */
    [')'] = {op_empty, PF_PICKLE_TUPLE},        /* EMPTY_TUPLE */
    [']'] = {op_empty, PF_PICKLE_LIST},         /* EMPTY_LIST */
    ['}'] = {op_empty, PF_PICKLE_DICT},         /* EMPTY_DICT */
    ['t'] = {op_collect, PF_PICKLE_TUPLE},      /* TUPLE */
    ['l'] = {op_collect, PF_PICKLE_LIST},       /* LIST */
    ['d'] = {op_collect, PF_PICKLE_DICT},       /* DICT */
    [0x85] = {op_small_tuple, 1},               /* TUPLE1 */
    [0x86] = {op_small_tuple, 2},               /* TUPLE2 */
    [0x87] = {op_small_tuple, 3},               /* TUPLE3 */
    ['a'] = {op_extend_by_one, PF_PICKLE_LIST}, /* APPEND */
    ['s'] = {op_extend_by_one, PF_PICKLE_DICT}, /* SETITEM */
    ['e'] = {op_extend, PF_PICKLE_LIST},        /* APPENDS */
    ['u'] = {op_extend, PF_PICKLE_DICT},        /* SETITEMS */
    ['q'] = {op_put, 1},                        /* BINPUT */
    ['r'] = {op_put, 4},                        /* LONG_BINPUT */
    [0x94] = {op_put, 0},                       /* MEMOIZE */
    ['h'] = {op_get, 1},                        /* BINGET */
    ['j'] = {op_get, 4},                        /* LONG_BINGET */
    ['c'] = {op_global, 0},                     /* GLOBAL */
    [0x93] = {op_stack_global, 0},              /* STACK_GLOBAL */
    ['R'] = {op_call, 0},                       /* REDUCE */
    [0x81] = {op_call, 0},                      /* NEWOBJ */
    ['b'] = {op_build, 0},                      /* BUILD */
    ['Q'] = {op_storage, 0},                    /* BINPERSID */
};

static int run(Reader *reader)
{
    for (;;) {
        const uint8_t *opcode = take(reader, 1);
        if (!opcode) return -1;
        if (*opcode == '.') break; /* STOP */
        if (!opcodes[*opcode].run)
            return fail(reader,
                        "its pickle uses opcode 0x%02x ('%c'), which a weight file never "
                        "needs: refused",
                        *opcode, isprint(*opcode) ? *opcode : '?');
        if (opcodes[*opcode].run(reader, opcodes[*opcode].argument)) return -1;
    }
    reader->pickle->size_bytes = reader->at;
    reader->pickle->root = pop(reader);
    return reader->pickle->root ? 0 : -1;
}

int pf_pickle_read(const char *source, const uint8_t *bytes, size_t size, PfPickle *pickle,
                   PfError *err)
{
    *pickle = (PfPickle){.arena = pf_calloc(1, sizeof(PfPickleArena), err)};
    if (!pickle->arena) return -1;
    Reader reader = {.source = source, .bytes = bytes, .size = size, .pickle = pickle, .err = err};
    /* Never NULL: ranges of it are handed around, empty ones, too. */
    int failed = pf_grow(&reader.stack, &reader.stack_capacity, 1, sizeof *reader.stack, err) ||
                 run(&reader);
    free(reader.stack);
    free(reader.memo);
    return failed ? -1 : 0;
}

const PfPickleValue *pf_pickle_get(const PfPickleValue *dict, const char *key)
{
    for (size_t i = 0; dict->kind == PF_PICKLE_DICT && i + 1 < dict->items.count; i += 2) {
        const PfPickleValue *name = dict->items.values[i];
        if (name->kind == PF_PICKLE_TEXT && pf_pickle_text_is(name->text, key))
            return dict->items.values[i + 1];
    }
    return NULL;
}
