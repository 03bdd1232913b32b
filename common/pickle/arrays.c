/* NumPy's arrays in pickles, as Python 2 and 3 write them. */
#include "common/pickle/internal.h"

static const PfPickleGlobal array_globals[] = {
    {"numpy.core.multiarray", "_reconstruct", PF_ROLE_ARRAY, 0, 0},
    {"numpy._core.multiarray", "_reconstruct", PF_ROLE_ARRAY, 0, 0},
    {"numpy.core.numeric", "_frombuffer", PF_ROLE_BUFFER, 0, 0},
    {"numpy._core.numeric", "_frombuffer", PF_ROLE_BUFFER, 0, 0},
    {"numpy", "ndarray", PF_ROLE_INERT, 0, 0},
    {"numpy", "dtype", PF_ROLE_ARRAY_TYPE, 0, 0},
};

const PfPickleNames pf_pickle_arrays = {
    .what = "dataset file",
    .kind = "a file of NumPy arrays",
    .hint = "if you trust the file, load it in Python and save what is in it as lists, bytes and "
            "arrays of uint8, with pickle.dump(batch, file, protocol=4)",
    .globals = array_globals,
    .count = sizeof array_globals / sizeof array_globals[0],
};

static int fail(PfPickleStack *reader)
{
    return pf_pickle_stack_fail(reader, "an array is described in a way that NumPy does not");
}

/* The shape of a tuple of ints, and how many elements that is. */
static int read_shape(PfPickleStack *reader, const PfPickleValue *axes, PfShape *shape,
                      uint64_t *elements)
{
    if (axes->kind != PF_PICKLE_TUPLE) return fail(reader);
    if (axes->items.count > PF_MAX_RANK)
        return pf_pickle_stack_fail(reader, "an array has more than %d axes", PF_MAX_RANK);
    *elements = 1;
    *shape = (PfShape){.rank = (int)axes->items.count};
    for (int i = 0; i < shape->rank; i++) {
        const PfPickleValue *axis = axes->items.values[i];
        if (axis->kind != PF_PICKLE_INT || axis->integer < 0) return fail(reader);
        shape->dims[i] = axis->integer;
        if (__builtin_mul_overflow(*elements, (uint64_t)axis->integer, elements))
            return fail(reader);
    }
    return 0;
}

static int fill(PfPickleStack *reader, PfPickleArray *array, const PfPickleValue *axes,
                const PfPickleValue *type, bool is_fortran, const PfPickleValue *data)
{
    uint64_t elements = 0;
    PfPickleArray filled = {.is_fortran = is_fortran};
    if (type->kind != PF_PICKLE_ARRAY_TYPE || data->kind != PF_PICKLE_TEXT) return fail(reader);
    if (read_shape(reader, axes, &filled.shape, &elements)) return -1;
    filled.type = type->text;
    filled.data = data->text;
    if (pf_pickle_text_is(filled.type, "u1") && elements != filled.data.size)
        return pf_pickle_stack_fail(reader,
                                    "an array's shape says %llu bytes, and there are %zu of them",
                                    (unsigned long long)elements, filled.data.size);
    *array = filled;
    return 0;
}

int pf_pickle_arrays_fill(PfPickleStack *reader, PfPickleArray *array, const PfPickleValue *state)
{
    PfPickleValue *const *part = state->items.values;
    if (state->kind != PF_PICKLE_TUPLE || state->items.count != 5 ||
        (part[3]->kind != PF_PICKLE_BOOL && part[3]->kind != PF_PICKLE_INT))
        return fail(reader);
    return fill(reader, array, part[1], part[2], part[3]->integer != 0, part[4]);
}

static PfPickleArray *push_array(PfPickleStack *reader)
{
    PfPickleArray *array = pf_pickle_stack_allocate(reader, sizeof *array);
    PfPickleValue *value = array ? pf_pickle_stack_push_new(reader, PF_PICKLE_ARRAY) : NULL;
    if (!value) return NULL;
    value->array = array;
    return array;
}

static int push_buffer(PfPickleStack *reader, PfPickleValue *const *arguments, size_t count)
{
    if (count != 4 || arguments[3]->kind != PF_PICKLE_TEXT) return fail(reader);
    PfPickleArray *array = push_array(reader);
    if (!array) return -1;
    return fill(reader, array, arguments[2], arguments[1],
                pf_pickle_text_is(arguments[3]->text, "F"), arguments[0]);
}

/* dtype("u1", align, copy), or "|u1". */
static int push_type(PfPickleStack *reader, PfPickleValue *const *arguments, size_t count)
{
    if (!count || arguments[0]->kind != PF_PICKLE_TEXT || !arguments[0]->text.size)
        return fail(reader);
    PfPickleText name = arguments[0]->text;
    PfPickleValue *value = pf_pickle_stack_push_new(reader, PF_PICKLE_ARRAY_TYPE);
    if (!value) return -1;
    if (*name.bytes == '|') name = (PfPickleText){name.bytes + 1, name.size - 1};
    value->text = name;
    return 0;
}

int pf_pickle_arrays_call(PfPickleStack *reader, PfPickleRole role, PfPickleValue *const *arguments,
                          size_t count)
{
    if (role == PF_ROLE_BUFFER) return push_buffer(reader, arguments, count);
    if (role == PF_ROLE_ARRAY_TYPE) return push_type(reader, arguments, count);
    return push_array(reader) ? 0 : -1;
}
