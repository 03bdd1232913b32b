#include "common/weights/pickle_stack.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/memory.h"
#include "common/base/printable.h"

/* A checkpoint of a network with its optimiser has some 100,000 values, of 80 bytes. A legacy file
 * has two pickles at a time. */
#define MAX_ARENA_BYTES ((size_t)160 << 20)
#define MAX_STACK ((size_t)1 << 22)
#define ALIGNMENT 16 /* enough for any of our types */

int pf_pickle_stack_fail(PfPickleStack *reader, const char *format, ...)
{
    char problem[600];
    va_list arguments;
    va_start(arguments, format);
    pf_vformat(problem, sizeof problem, format, arguments);
    va_end(arguments);
    return pf_fail(reader->err, PF_EXIT_FAILED,
                   "weights '%s': %" PF_SENTENCE " (byte %zu of the pickle)", reader->source,
                   problem, reader->at);
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
    return 0;
}
