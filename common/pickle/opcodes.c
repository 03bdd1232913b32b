/* The machine that runs pickles, as data: its stack and its opcodes. */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/pickle/internal.h"

#define MAX_MEMO ((size_t)1 << 22)
#define MAX_GLOBAL_NAME 200
/* A checkpoint of a network with its optimiser has some 100,000 values, of 80 bytes. A legacy file
 * has two pickles at a time. */
#define MAX_ARENA_BYTES ((size_t)160 << 20)
#define MAX_STACK ((size_t)1 << 22)
#define ALIGNMENT 16 /* enough for any of our types */

/* ---- what is built ---- */

int pf_pickle_stack_fail(PfPickleStack *reader, const char *format, ...)
{
    char problem[600];
    va_list arguments;
    va_start(arguments, format);
    pf_vformat(problem, sizeof problem, format, arguments);
    va_end(arguments);
    return pf_fail(reader->err, PF_EXIT_FAILED,
                   "%s '%s': %" PF_SENTENCE " (byte %zu of the pickle)", reader->names->what,
                   reader->source, problem, reader->at);
}

void *pf_pickle_stack_allocate(PfPickleStack *reader, size_t size)
{
    PfError inner = {0};
    PfArena *arena = &reader->pickle->arena;
    void *memory = pf_arena_allocate(arena, size, ALIGNMENT, &inner);
    if (memory && arena->bytes <= MAX_ARENA_BYTES) return memset(memory, 0, size);
    if (memory)
        pf_pickle_stack_fail(reader, "its pickle needs more than %zu MB of memory",
                             MAX_ARENA_BYTES >> 20);
    else
        pf_pickle_stack_fail(reader, "%" PF_SENTENCE, inner.message);
    return NULL;
}

int pf_pickle_stack_push(PfPickleStack *reader, PfPickleValue *value)
{
    if (reader->depth >= MAX_STACK)
        return pf_pickle_stack_fail(reader, "the pickle's stack grows without end");
    if (pf_grow(&reader->stack, &reader->stack_capacity, reader->depth + 1, sizeof *reader->stack,
                reader->err))
        return -1;
    reader->stack[reader->depth++] = value;
    return 0;
}

PfPickleValue *pf_pickle_stack_push_new(PfPickleStack *reader, PfPickleKind kind)
{
    PfPickleValue *value = pf_pickle_stack_allocate(reader, sizeof *value);
    if (!value || pf_pickle_stack_push(reader, value)) return NULL;
    value->kind = kind;
    return value;
}

/* Outgrown arrays stay in the arena: at most as much again. */
int pf_pickle_stack_append(PfPickleStack *reader, PfPickleValue *to, PfPickleValue *const *values,
                           size_t count)
{
    if (count > to->items.capacity - to->items.count) {
        size_t capacity = to->items.count + count;
        if (to->items.count) capacity *= 2;
        PfPickleValue **larger = pf_pickle_stack_allocate(reader, capacity * sizeof *larger);
        if (!larger) return -1;
        if (to->items.count) memcpy(larger, to->items.values, to->items.count * sizeof *larger);
        to->items.values = larger;
        to->items.capacity = capacity;
    }
    if (count) memcpy(to->items.values + to->items.count, values, count * sizeof *values);
    to->items.count += count;
    for (size_t i = 1; to->kind == PF_PICKLE_DICT && i < count; i += 2)
        to->items.tensors += values[i]->kind == PF_PICKLE_TENSOR;
    return 0;
}

/* ---- the pickle's bytes and the stack ---- */

/* The next size bytes; NULL where the pickle ends before. */
static const uint8_t *take(PfPickleStack *reader, uint64_t size)
{
    if (size > reader->size - reader->at) {
        pf_pickle_stack_fail(reader, "the file ends in the middle of its pickle: truncated?");
        return NULL;
    }
    const uint8_t *bytes = reader->bytes + reader->at;
    reader->at += (size_t)size;
    return bytes;
}

/* A length or index of `width` bytes. */
static int take_number(PfPickleStack *reader, int width, uint64_t *number)
{
    const uint8_t *bytes = take(reader, (uint64_t)width);
    if (!bytes) return -1;
    *number = pf_little_endian(bytes, (size_t)width);
    return 0;
}

/* The lowest value that may be taken without reaching below the last mark. */
static size_t stack_floor(const PfPickleStack *reader)
{
    return reader->mark_count ? reader->marks[reader->mark_count - 1] : 0;
}

static PfPickleValue *pop(PfPickleStack *reader)
{
    if (reader->depth == stack_floor(reader)) {
        pf_pickle_stack_fail(reader, "the pickle takes a value from an empty stack");
        return NULL;
    }
    return reader->stack[--reader->depth];
}

static PfPickleValue *top(PfPickleStack *reader)
{
    PfPickleValue *value = pop(reader);
    if (value) reader->depth++;
    return value;
}

/* Takes the values above the last mark off the stack, and the mark. They stay
 * readable until the next push. */
static int pop_to_mark(PfPickleStack *reader, PfPickleValue ***values, size_t *count)
{
    if (!reader->mark_count)
        return pf_pickle_stack_fail(reader, "the pickle ends a list that it never began");
    size_t mark = reader->marks[--reader->mark_count];
    *values = reader->stack + mark;
    *count = reader->depth - mark;
    reader->depth = mark;
    return 0;
}

/* ---- opcodes ---- */

static int op_constant(PfPickleStack *reader, int argument)
{
    static PfPickleValue none = {.kind = PF_PICKLE_NONE};
    static PfPickleValue truth[2] = {{.kind = PF_PICKLE_BOOL, .integer = 0},
                                     {.kind = PF_PICKLE_BOOL, .integer = 1}};
    return pf_pickle_stack_push(reader, argument < 0 ? &none : &truth[argument]);
}

/* PROTO, FRAME: a number that says nothing we need. */
static int op_skip(PfPickleStack *reader, int width)
{
    return take(reader, (uint64_t)width) ? 0 : -1;
}

static int op_float(PfPickleStack *reader, int width)
{
    return take(reader, (uint64_t)width) && pf_pickle_stack_push_new(reader, PF_PICKLE_FLOAT) ? 0
                                                                                              : -1;
}

static int push_int(PfPickleStack *reader, int64_t integer)
{
    PfPickleValue *value = pf_pickle_stack_push_new(reader, PF_PICKLE_INT);
    if (value) value->integer = integer;
    return value ? 0 : -1;
}

/* BININT is signed, the shorter ones are not. */
static int op_int(PfPickleStack *reader, int width)
{
    uint64_t number;
    if (take_number(reader, width, &number)) return -1;
    return push_int(reader, width == 4 ? (int32_t)(uint32_t)number : (int64_t)number);
}

static int op_long(PfPickleStack *reader, int width)
{
    uint64_t size;
    if (take_number(reader, width, &size)) return -1;
    const uint8_t *bytes = take(reader, size);
    if (!bytes) return -1;
    if (size > 8) {
        PfPickleValue *value = pf_pickle_stack_push_new(reader, PF_PICKLE_LONG);
        if (value) value->text = (PfPickleText){(const char *)bytes, (size_t)size};
        return value ? 0 : -1;
    }
    uint64_t number = pf_little_endian(bytes, (size_t)size);
    if (size && size < 8 && bytes[size - 1] & 0x80) number |= UINT64_MAX << 8 * size;
    return push_int(reader, (int64_t)number);
}

static int op_text(PfPickleStack *reader, int width)
{
    uint64_t size;
    if (take_number(reader, width, &size)) return -1;
    const uint8_t *bytes = take(reader, size);
    PfPickleValue *value = bytes ? pf_pickle_stack_push_new(reader, PF_PICKLE_TEXT) : NULL;
    if (value) value->text = (PfPickleText){(const char *)bytes, (size_t)size};
    return value ? 0 : -1;
}

static int op_mark(PfPickleStack *reader, int argument)
{
    (void)argument;
    if (reader->mark_count == PF_PICKLE_MAX_MARKS)
        return pf_pickle_stack_fail(reader, "its pickle is nested too deep");
    reader->marks[reader->mark_count++] = reader->depth;
    return 0;
}

static int op_empty(PfPickleStack *reader, int kind)
{
    return pf_pickle_stack_push_new(reader, (PfPickleKind)kind) ? 0 : -1;
}

/* TUPLE, LIST, DICT: everything above the mark. */
static int op_collect(PfPickleStack *reader, int kind)
{
    PfPickleValue **values = NULL;
    size_t count = 0;
    if (pop_to_mark(reader, &values, &count)) return -1;
    if (kind == PF_PICKLE_DICT && count % 2)
        return pf_pickle_stack_fail(reader, "a dict has a key without value");
    PfPickleValue *value = pf_pickle_stack_allocate(reader, sizeof *value);
    if (!value) return -1;
    value->kind = (PfPickleKind)kind;
    return pf_pickle_stack_append(reader, value, values, count) ||
                   pf_pickle_stack_push(reader, value)
               ? -1
               : 0;
}

/* TUPLE1, TUPLE2, TUPLE3: the topmost `count` values. */
static int op_small_tuple(PfPickleStack *reader, int count)
{
    PfPickleValue *items[3];
    for (int i = count - 1; i >= 0; i--)
        if (!(items[i] = pop(reader))) return -1;
    PfPickleValue *tuple = pf_pickle_stack_push_new(reader, PF_PICKLE_TUPLE);
    return tuple ? pf_pickle_stack_append(reader, tuple, items, (size_t)count) : -1;
}

static int extend(PfPickleStack *reader, PfPickleKind kind, PfPickleValue *const *values,
                  size_t count)
{
    PfPickleValue *to = top(reader);
    if (!to) return -1;
    if (to->kind == PF_PICKLE_OPAQUE) return 0;
    if (to->kind != kind || (kind == PF_PICKLE_DICT && count % 2))
        return pf_pickle_stack_fail(reader, "items are added to something that takes none");
    return pf_pickle_stack_append(reader, to, values, count);
}

/* APPEND, SETITEM: kind LIST takes one value, DICT two. */
static int op_extend_by_one(PfPickleStack *reader, int kind)
{
    PfPickleValue *items[2];
    size_t count = kind == PF_PICKLE_DICT ? 2 : 1;
    for (size_t i = count; i-- > 0;)
        if (!(items[i] = pop(reader))) return -1;
    return extend(reader, (PfPickleKind)kind, items, count);
}

/* APPENDS, SETITEMS */
static int op_extend(PfPickleStack *reader, int kind)
{
    PfPickleValue **values = NULL;
    size_t count = 0;
    if (pop_to_mark(reader, &values, &count)) return -1;
    return extend(reader, (PfPickleKind)kind, values, count);
}

/* BINPUT, LONG_BINPUT; MEMOIZE (width 0) takes the next free number. */
static int op_put(PfPickleStack *reader, int width)
{
    uint64_t index = reader->memo_size;
    if (width && take_number(reader, width, &index)) return -1;
    PfPickleValue *value = top(reader);
    if (!value) return -1;
    if (index >= MAX_MEMO)
        return pf_pickle_stack_fail(reader, "its pickle remembers too many values");
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

static int op_get(PfPickleStack *reader, int width)
{
    uint64_t index;
    if (take_number(reader, width, &index)) return -1;
    if (index >= reader->memo_size || !reader->memo[index])
        return pf_pickle_stack_fail(reader,
                                    "its pickle recalls value %llu, which it never put away",
                                    (unsigned long long)index);
    return pf_pickle_stack_push(reader, reader->memo[index]);
}

static int take_line(PfPickleStack *reader, PfPickleText *line)
{
    size_t left = reader->size - reader->at, limit = pf_min_size(left, MAX_GLOBAL_NAME);
    const uint8_t *start = reader->bytes + reader->at, *end = memchr(start, '\n', limit);
    if (!end) return pf_pickle_stack_fail(reader, "a global's name does not end");
    *line = (PfPickleText){(const char *)start, (size_t)(end - start)};
    reader->at += line->size + 1;
    return 0;
}

static int op_global(PfPickleStack *reader, int argument)
{
    PfPickleText module, name;
    (void)argument;
    if (take_line(reader, &module) || take_line(reader, &name)) return -1;
    return pf_pickle_globals_push(reader, module, name);
}

static int op_stack_global(PfPickleStack *reader, int argument)
{
    (void)argument;
    const PfPickleValue *name = pop(reader), *module = name ? pop(reader) : NULL;
    if (!module) return -1;
    if (name->kind != PF_PICKLE_TEXT || module->kind != PF_PICKLE_TEXT)
        return pf_pickle_stack_fail(reader, "a global's name is not text");
    return pf_pickle_globals_push(reader, module->text, name->text);
}

/* REDUCE, NEWOBJ: "call" a global with a tuple of arguments. */
static int op_call(PfPickleStack *reader, int argument)
{
    (void)argument;
    const PfPickleValue *arguments = pop(reader), *callee = arguments ? pop(reader) : NULL;
    if (!callee) return -1;
    if (callee->kind != PF_PICKLE_GLOBAL || arguments->kind != PF_PICKLE_TUPLE)
        return pf_pickle_stack_fail(reader, "its pickle calls something that is not a function");
    return pf_pickle_globals_call(reader, callee, arguments);
}

/* POP: the topmost value, or the mark where that is the topmost. Self-referring objects need it. */
static int op_pop(PfPickleStack *reader, int argument)
{
    (void)argument;
    if (reader->mark_count && reader->depth == stack_floor(reader)) {
        reader->mark_count--;
        return 0;
    }
    return pop(reader) ? 0 : -1;
}

/* POP_MARK */
static int op_pop_mark(PfPickleStack *reader, int argument)
{
    PfPickleValue **values = NULL;
    size_t count = 0;
    (void)argument;
    return pop_to_mark(reader, &values, &count);
}

/* FROZENSET: everything above the mark, which is not kept. */
static int op_collect_opaque(PfPickleStack *reader, int argument)
{
    PfPickleValue **values = NULL;
    size_t count = 0;
    (void)argument;
    if (pop_to_mark(reader, &values, &count)) return -1;
    return pf_pickle_stack_push_new(reader, PF_PICKLE_OPAQUE) ? 0 : -1;
}

/* ADDITEMS */
static int op_add_items(PfPickleStack *reader, int argument)
{
    PfPickleValue **values = NULL;
    size_t count = 0;
    (void)argument;
    if (pop_to_mark(reader, &values, &count)) return -1;
    const PfPickleValue *set = top(reader);
    if (!set) return -1;
    if (set->kind != PF_PICKLE_OPAQUE)
        return pf_pickle_stack_fail(reader, "items are added to something that takes none");
    return 0;
}

/* BUILD: attributes (a state_dict's _metadata, an object's fields). Only an array's are kept. */
static int op_build(PfPickleStack *reader, int argument)
{
    (void)argument;
    const PfPickleValue *state = pop(reader), *object = state ? top(reader) : NULL;
    if (!object) return -1;
    if (object->kind == PF_PICKLE_ARRAY) return pf_pickle_arrays_fill(reader, object->array, state);
    if (object->kind != PF_PICKLE_DICT && object->kind != PF_PICKLE_OPAQUE &&
        object->kind != PF_PICKLE_TENSOR && object->kind != PF_PICKLE_FOREIGN &&
        object->kind != PF_PICKLE_ARRAY_TYPE)
        return pf_pickle_stack_fail(reader,
                                    "its pickle sets attributes of something that has none");
    return 0;
}

/* BINPERSID: ('storage', torch.FloatStorage, key, location, elements[, None]).
 * The location ("cpu", "cuda:0") is where it was, and does not matter here. */
static int op_storage(PfPickleStack *reader, int argument)
{
    (void)argument;
    const PfPickleValue *id = pop(reader);
    if (!id) return -1;
    PfPickleValue *const *part = id->items.values;
    if (id->kind != PF_PICKLE_TUPLE || id->items.count < 5 || part[0]->kind != PF_PICKLE_TEXT ||
        !pf_pickle_text_is(part[0]->text, "storage") || part[1]->kind != PF_PICKLE_GLOBAL ||
        part[1]->global->role != PF_ROLE_STORAGE || part[2]->kind != PF_PICKLE_TEXT ||
        part[4]->kind != PF_PICKLE_INT || part[4]->integer < 0)
        return pf_pickle_stack_fail(reader,
                                    "its pickle refers to something other than a tensor's storage");
    if (id->items.count > 5 && part[5]->kind != PF_PICKLE_NONE)
        return pf_pickle_stack_fail(
            reader, "a storage is part of another, as torch before 0.4 wrote it: load the "
                    "file in Python and save it again");
    PfPickleStorage *storage = pf_pickle_stack_allocate(reader, sizeof *storage);
    if (!storage) return -1;
    *storage = (PfPickleStorage){.key = part[2]->text,
                                 .dtype = part[1]->global->dtype,
                                 .foreign_size = part[1]->global->foreign_size,
                                 .count = part[4]->integer};
    PfPickle *pickle = reader->pickle;
    if (pf_grow(&pickle->storages, &reader->storage_capacity, pickle->storage_count + 1,
                sizeof *pickle->storages, reader->err))
        return -1;
    pickle->storages[pickle->storage_count++] = storage;
    PfPickleValue *value = pf_pickle_stack_push_new(reader, PF_PICKLE_STORAGE);
    if (value) value->storage = storage;
    return value ? 0 : -1;
}

/* What torch.save writes with protocols 2 to 5, from Python 2 and 3. */
static const struct {
    int (*run)(PfPickleStack *reader, int argument);
    int argument;
} opcodes[256] = {
    [0x80] = {op_skip, 1},                      /* PROTO */
    [0x95] = {op_skip, 8},                      /* FRAME */
    ['('] = {op_mark, 0},                       /* MARK */
    ['0'] = {op_pop, 0},                        /* POP */
    ['1'] = {op_pop_mark, 0},                   /* POP_MARK */
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
    [0x8e] = {op_text, 8},                      /* BINBYTES8 */
    [0x96] = {op_text, 8},                      /* BYTEARRAY8 */
    [0x8f] = {op_empty, PF_PICKLE_OPAQUE},      /* EMPTY_SET */
    [0x90] = {op_add_items, 0},                 /* ADDITEMS */
    [0x91] = {op_collect_opaque, 0},            /* FROZENSET */
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

static int run(PfPickleStack *reader)
{
    for (;;) {
        const uint8_t *opcode = take(reader, 1);
        if (!opcode) return -1;
        if (*opcode == '.') break; /* STOP */
        if (!opcodes[*opcode].run)
            return pf_pickle_stack_fail(
                reader, "its pickle uses opcode 0x%02x ('%c'), which %s never needs: refused",
                *opcode, isprint(*opcode) ? *opcode : '?', reader->names->kind);
        if (opcodes[*opcode].run(reader, opcodes[*opcode].argument)) return -1;
    }
    reader->pickle->size_bytes = reader->at;
    reader->pickle->root = pop(reader);
    return reader->pickle->root ? 0 : -1;
}

int pf_pickle_read(const PfPickleNames *names, const char *source, const uint8_t *bytes,
                   size_t size, PfPickle *pickle, PfError *err)
{
    *pickle = (PfPickle){0};
    PfPickleStack reader = {.names = names,
                            .source = source,
                            .bytes = bytes,
                            .size = size,
                            .pickle = pickle,
                            .err = err};
    /* Never NULL: ranges of it are handed around, empty ones, too. */
    int failed = pf_grow(&reader.stack, &reader.stack_capacity, 1, sizeof *reader.stack, err) ||
                 run(&reader);
    free(reader.stack);
    free(reader.memo);
    return failed ? -1 : 0;
}

void pf_pickle_free(PfPickle *pickle)
{
    free(pickle->storages);
    pf_arena_free(&pickle->arena);
    *pickle = (PfPickle){0};
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
