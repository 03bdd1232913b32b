/* What a pickle may mention, and what calling it would have made. */
#include <string.h>

#include "weights_internal.h"
#include "weights_pickle_reader.h"

static const PfPickleGlobal allowed_globals[] = {
    {"collections", "OrderedDict", PF_ROLE_DICT, 0},
    {"torch._utils", "_rebuild_tensor_v2", PF_ROLE_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor", PF_ROLE_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", PF_ROLE_PARAMETER, 0},
    {"torch._utils", "_rebuild_parameter_with_state", PF_ROLE_PARAMETER, 0},
    {"torch", "FloatStorage", PF_ROLE_STORAGE, PF_DTYPE_F32},
    {"torch", "HalfStorage", PF_ROLE_STORAGE, PF_DTYPE_F16},
    {"torch", "BFloat16Storage", PF_ROLE_STORAGE, PF_DTYPE_BF16},
    {"torch", "DoubleStorage", PF_ROLE_STORAGE, PF_DTYPE_F64},
    {"torch", "ByteStorage", PF_ROLE_STORAGE, PF_DTYPE_U8},
    {"torch", "CharStorage", PF_ROLE_STORAGE, PF_DTYPE_I8},
    {"torch", "ShortStorage", PF_ROLE_STORAGE, PF_DTYPE_I16},
    {"torch", "IntStorage", PF_ROLE_STORAGE, PF_DTYPE_I32},
    {"torch", "LongStorage", PF_ROLE_STORAGE, PF_DTYPE_I64},
    {"torch", "BoolStorage", PF_ROLE_STORAGE, PF_DTYPE_BOOL},
    {"torch", "Size", PF_ROLE_OPAQUE, 0},
    {"torch", "device", PF_ROLE_OPAQUE, 0},
    {"argparse", "Namespace", PF_ROLE_OPAQUE, 0},
    {"numpy", "dtype", PF_ROLE_OPAQUE, 0},
    {"numpy.core.multiarray", "scalar", PF_ROLE_OPAQUE, 0},
    {"numpy._core.multiarray", "scalar", PF_ROLE_OPAQUE, 0},
    {"_codecs", "encode", PF_ROLE_OPAQUE, 0},
};

int pf_pickle_push_global(PfPickleReader *reader, PfPickleText module, PfPickleText name)
{
    const size_t count = sizeof allowed_globals / sizeof allowed_globals[0];
    for (size_t i = 0; i < count; i++) {
        const PfPickleGlobal *global = &allowed_globals[i];
        if (!pf_pickle_text_is(module, global->module) || !pf_pickle_text_is(name, global->name))
            continue;
        PfPickleValue *value = pf_pickle_push_new(reader, PF_PICKLE_GLOBAL);
        if (value) value->global = global;
        return value ? 0 : -1;
    }
    char module_text[PF_PRINTABLE_SIZE], name_text[PF_PRINTABLE_SIZE];
    return pf_pickle_fail(
        reader,
        "its pickle asks for '%s.%s', which a weight file never needs: refused. Hint: if "
        "you trust the file, load it in Python and save the tensors alone with "
        "torch.save(model.state_dict(), ...)",
        pf_printable(module.bytes, module.size, module_text),
        pf_printable(name.bytes, name.size, name_text));
}

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

static int push_tensor(PfPickleReader *reader, PfPickleValue *const *arguments, size_t count)
{
    if (count < 4 || arguments[0]->kind != PF_PICKLE_STORAGE ||
        arguments[1]->kind != PF_PICKLE_INT || !is_axes(arguments[2]) || !is_axes(arguments[3]) ||
        arguments[2]->items.count != arguments[3]->items.count)
        return pf_pickle_fail(
            reader,
            "a tensor is described in a way that torch does not, or has more than "
            "%d axes",
            PF_MAX_RANK);
    PfPickleTensor *tensor = pf_pickle_allocate(reader, sizeof *tensor);
    if (!tensor) return -1;
    tensor->storage = arguments[0]->storage;
    tensor->offset = arguments[1]->integer;
    if (check_window(tensor, arguments[2], arguments[3])) {
        char key[PF_PRINTABLE_SIZE];
        return pf_pickle_fail(
            reader, "a tensor reaches beyond its storage '%s' of %lld elements",
            pf_printable(tensor->storage->key.bytes, tensor->storage->key.size, key),
            (long long)tensor->storage->count);
    }
    PfPickleValue *value = pf_pickle_push_new(reader, PF_PICKLE_TENSOR);
    if (value) value->tensor = tensor;
    return value ? 0 : -1;
}

/* OrderedDict() or, from Python 2, OrderedDict([[key, value], ...]). */
static int push_dict(PfPickleReader *reader, PfPickleValue *const *arguments, size_t count)
{
    const PfPickleValue *pairs = count ? arguments[0] : NULL;
    if (count > 1 || (pairs && pairs->kind != PF_PICKLE_LIST))
        return pf_pickle_fail(reader, "an OrderedDict is made in a way that pickle does not");
    PfPickleValue *dict = pf_pickle_push_new(reader, PF_PICKLE_DICT);
    if (!dict) return -1;
    for (size_t i = 0; pairs && i < pairs->items.count; i++) {
        const PfPickleValue *pair = pairs->items.values[i];
        if ((pair->kind != PF_PICKLE_LIST && pair->kind != PF_PICKLE_TUPLE) ||
            pair->items.count != 2)
            return pf_pickle_fail(reader, "an OrderedDict is made from something other than pairs");
        if (pf_pickle_append(reader, dict, pair->items.values, 2)) return -1;
    }
    return 0;
}

int pf_pickle_call(PfPickleReader *reader, const PfPickleValue *callee,
                   const PfPickleValue *arguments)
{
    PfPickleValue **values = arguments->items.values;
    size_t count = arguments->items.count;
    switch (callee->global->role) {
    case PF_ROLE_DICT: return push_dict(reader, values, count);
    case PF_ROLE_TENSOR: return push_tensor(reader, values, count);
    case PF_ROLE_PARAMETER:
        if (count && values[0]->kind == PF_PICKLE_TENSOR) return pf_pickle_push(reader, values[0]);
        return pf_pickle_fail(reader, "a parameter is made from something other than a tensor");
    case PF_ROLE_OPAQUE: return pf_pickle_push_new(reader, PF_PICKLE_OPAQUE) ? 0 : -1;
    case PF_ROLE_STORAGE: break;
    }
    return pf_pickle_fail(reader,
                          "its pickle calls '%s.%s', which holds data and is not called: refused",
                          callee->global->module, callee->global->name);
}
