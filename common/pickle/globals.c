/* The names that a pickle may mention, and what calling them would have made. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/printable.h"
#include "common/pickle/internal.h"

#define LOOKED_AT ((size_t)1 << 20) /* bytes, for the classes of modules */

/* The opaque ones are what optimisers, schedulers and arguments are made of: they are noted and
 * never called, so that what they would do does not matter. */
static const PfPickleGlobal allowed_globals[] = {
    {"collections", "OrderedDict", PF_ROLE_DICT, 0, 0},
    {"torch._utils", "_rebuild_tensor_v2", PF_ROLE_TENSOR, 0, 0},
    {"torch._utils", "_rebuild_tensor", PF_ROLE_TENSOR, 0, 0},
    {"torch._utils", "_rebuild_parameter", PF_ROLE_PARAMETER, 0, 0},
    {"torch._utils", "_rebuild_parameter_with_state", PF_ROLE_PARAMETER, 0, 0},
    {"torch", "FloatStorage", PF_ROLE_STORAGE, PF_DTYPE_F32, 0},
    {"torch", "HalfStorage", PF_ROLE_STORAGE, PF_DTYPE_F16, 0},
    {"torch", "BFloat16Storage", PF_ROLE_STORAGE, PF_DTYPE_BF16, 0},
    {"torch", "DoubleStorage", PF_ROLE_STORAGE, PF_DTYPE_F64, 0},
    {"torch", "ByteStorage", PF_ROLE_STORAGE, PF_DTYPE_U8, 0},
    {"torch", "CharStorage", PF_ROLE_STORAGE, PF_DTYPE_I8, 0},
    {"torch", "ShortStorage", PF_ROLE_STORAGE, PF_DTYPE_I16, 0},
    {"torch", "IntStorage", PF_ROLE_STORAGE, PF_DTYPE_I32, 0},
    {"torch", "LongStorage", PF_ROLE_STORAGE, PF_DTYPE_I64, 0},
    {"torch", "BoolStorage", PF_ROLE_STORAGE, PF_DTYPE_BOOL, 0},
    {"torch", "Size", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "device", PF_ROLE_OPAQUE, 0, 0},
    {"argparse", "Namespace", PF_ROLE_OPAQUE, 0, 0},
    {"numpy", "dtype", PF_ROLE_OPAQUE, 0, 0},
    {"numpy.core.multiarray", "scalar", PF_ROLE_OPAQUE, 0, 0},
    {"numpy._core.multiarray", "scalar", PF_ROLE_OPAQUE, 0, 0},
    {"numpy", "ndarray", PF_ROLE_OPAQUE, 0, 0},
    {"numpy.core.multiarray", "_reconstruct", PF_ROLE_OPAQUE, 0, 0},
    {"numpy._core.multiarray", "_reconstruct", PF_ROLE_OPAQUE, 0, 0},
    {"numpy.core.numeric", "_frombuffer", PF_ROLE_OPAQUE, 0, 0},
    {"numpy._core.numeric", "_frombuffer", PF_ROLE_OPAQUE, 0, 0},
    {"_codecs", "encode", PF_ROLE_OPAQUE, 0, 0},
    {"torch._utils", "_rebuild_from_type_v2", PF_ROLE_TYPED, 0, 0},
    {"torch._tensor", "_rebuild_from_type_v2", PF_ROLE_TYPED, 0, 0},
    {"torch._utils", "_rebuild_tensor_v3", PF_ROLE_FOREIGN, 0, 0},
    {"torch._utils", "_rebuild_sparse_tensor", PF_ROLE_FOREIGN, 0, 0},
    {"torch._utils", "_rebuild_qtensor", PF_ROLE_FOREIGN, 0, 0},
    {"torch._utils", "_rebuild_meta_tensor_no_storage", PF_ROLE_FOREIGN, 0, 0},
    {"torch._utils", "_rebuild_nested_tensor", PF_ROLE_FOREIGN, 0, 0},
    {"torch._utils", "_rebuild_wrapper_subclass", PF_ROLE_FOREIGN, 0, 0},
    {"torch._utils", "_rebuild_device_tensor_from_numpy", PF_ROLE_FOREIGN, 0, 0},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", PF_ROLE_FOREIGN, 0, 0},
    {"torch.storage", "TypedStorage", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "ComplexFloatStorage", PF_ROLE_STORAGE, 0, 8},
    {"torch", "ComplexDoubleStorage", PF_ROLE_STORAGE, 0, 16},
    {"torch", "QInt8Storage", PF_ROLE_STORAGE, 0, 1},
    {"torch", "QUInt8Storage", PF_ROLE_STORAGE, 0, 1},
    {"torch", "QInt32Storage", PF_ROLE_STORAGE, 0, 4},
    {"torch", "QUInt4x2Storage", PF_ROLE_STORAGE, 0, 1},
    {"torch", "QUInt2x4Storage", PF_ROLE_STORAGE, 0, 1},
    {"torch.storage", "UntypedStorage", PF_ROLE_STORAGE, 0, 1},
    {"torch", "Tensor", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "float16", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "half", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "float32", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "float", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "float64", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "double", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "bfloat16", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "uint8", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "uint16", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "uint32", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "uint64", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "int8", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "int16", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "short", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "int32", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "int", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "int64", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "long", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "bool", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "complex32", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "chalf", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "complex64", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "cfloat", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "complex128", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "cdouble", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "quint8", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "qint8", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "qint32", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "quint4x2", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "quint2x4", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "float8_e4m3fn", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "float8_e4m3fnuz", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "float8_e5m2", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "float8_e5m2fnuz", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "float8_e8m0fnu", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "float4_e2m1fn_x2", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "per_tensor_affine", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "per_channel_affine", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "per_channel_affine_float_qparams", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "bcomplex32", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "bits8", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "bits16", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "bits1x8", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "bits2x4", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "bits4x2", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "uint1", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "uint2", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "uint3", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "uint4", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "uint5", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "uint6", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "uint7", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "int1", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "int2", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "int3", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "int4", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "int5", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "int6", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "int7", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "per_tensor_symmetric", PF_ROLE_OPAQUE, 0, 0},
    {"torch", "per_channel_symmetric", PF_ROLE_OPAQUE, 0, 0},
    {"torch.nn.parameter", "Parameter", PF_ROLE_OPAQUE, 0, 0},
    {"torch.nn.parameter", "Buffer", PF_ROLE_OPAQUE, 0, 0},
    {"torch.serialization", "_get_layout", PF_ROLE_OPAQUE, 0, 0},
    {"collections", "Counter", PF_ROLE_OPAQUE, 0, 0},
    {"collections", "defaultdict", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "set", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "frozenset", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "bytearray", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "bytes", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "complex", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "dict", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "list", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "tuple", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "int", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "long", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "float", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "str", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "unicode", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "bool", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "slice", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "range", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "xrange", PF_ROLE_OPAQUE, 0, 0},
    {"__builtin__", "getattr", PF_ROLE_ATTRIBUTE, 0, 0},
    {"builtins", "set", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "frozenset", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "bytearray", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "bytes", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "complex", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "dict", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "list", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "tuple", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "int", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "float", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "str", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "bool", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "slice", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "range", PF_ROLE_OPAQUE, 0, 0},
    {"builtins", "getattr", PF_ROLE_ATTRIBUTE, 0, 0},
    {"torch.optim.lr_scheduler", "OneCycleLR", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.lr_scheduler", "OneCycleLR._annealing_cos", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.lr_scheduler", "OneCycleLR._annealing_linear", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.lr_scheduler", "CyclicLR", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.sgd", "SGD", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.adam", "Adam", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.adamw", "AdamW", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.adamax", "Adamax", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.nadam", "NAdam", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.radam", "RAdam", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.adagrad", "Adagrad", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.adadelta", "Adadelta", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.rmsprop", "RMSprop", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.asgd", "ASGD", PF_ROLE_OPAQUE, 0, 0},
    {"torch.optim.rprop", "Rprop", PF_ROLE_OPAQUE, 0, 0},
    {"pathlib", "PosixPath", PF_ROLE_OPAQUE, 0, 0},
    {"pathlib", "PurePosixPath", PF_ROLE_OPAQUE, 0, 0},
    {"pathlib", "WindowsPath", PF_ROLE_OPAQUE, 0, 0},
    {"pathlib", "PureWindowsPath", PF_ROLE_OPAQUE, 0, 0},
    {"pathlib._local", "PosixPath", PF_ROLE_OPAQUE, 0, 0},
    {"pathlib._local", "PurePosixPath", PF_ROLE_OPAQUE, 0, 0},
    {"pathlib._local", "WindowsPath", PF_ROLE_OPAQUE, 0, 0},
    {"pathlib._local", "PureWindowsPath", PF_ROLE_OPAQUE, 0, 0},
    {"typing", "Any", PF_ROLE_OPAQUE, 0, 0},
    {"omegaconf.dictconfig", "DictConfig", PF_ROLE_OPAQUE, 0, 0},
    {"omegaconf.listconfig", "ListConfig", PF_ROLE_OPAQUE, 0, 0},
    {"omegaconf.base", "ContainerMetadata", PF_ROLE_OPAQUE, 0, 0},
    {"omegaconf.base", "Metadata", PF_ROLE_OPAQUE, 0, 0},
    {"omegaconf.nodes", "AnyNode", PF_ROLE_OPAQUE, 0, 0},
    {"omegaconf.nodes", "BooleanNode", PF_ROLE_OPAQUE, 0, 0},
    {"omegaconf.nodes", "BytesNode", PF_ROLE_OPAQUE, 0, 0},
    {"omegaconf.nodes", "EnumNode", PF_ROLE_OPAQUE, 0, 0},
    {"omegaconf.nodes", "FloatNode", PF_ROLE_OPAQUE, 0, 0},
    {"omegaconf.nodes", "IntegerNode", PF_ROLE_OPAQUE, 0, 0},
    {"omegaconf.nodes", "PathNode", PF_ROLE_OPAQUE, 0, 0},
    {"omegaconf.nodes", "StringNode", PF_ROLE_OPAQUE, 0, 0},
    {"pytorch_lightning.utilities.parsing", "AttributeDict", PF_ROLE_OPAQUE, 0, 0},
    {"lightning.pytorch.utilities.parsing", "AttributeDict", PF_ROLE_OPAQUE, 0, 0},
    {"lightning_fabric.utilities.data", "AttributeDict", PF_ROLE_OPAQUE, 0, 0},
    {"lightning.fabric.utilities.data", "AttributeDict", PF_ROLE_OPAQUE, 0, 0},
};

const PfPickleNames pf_pickle_weights = {
    .what = "weights",
    .kind = "a weight file",
    .hint = "if you trust the file, load it in Python and save the tensors alone with "
            "torch.save(model.state_dict(), ...)",
    .globals = allowed_globals,
    .count = sizeof allowed_globals / sizeof allowed_globals[0],
    .has_tensor_types = true,
};

/* "torch.cuda", "HalfTensor" and the like: the name of a type, as arguments hold it. */
static bool is_tensor_type(PfPickleText module, PfPickleText name)
{
    static const char *const modules[] = {"torch", "torch.cuda", "torch.sparse",
                                          "torch.cuda.sparse"};
    static const char *const elements[] = {"Byte", "Char",     "Short",        "Int",
                                           "Long", "Half",     "Float",        "Double",
                                           "Bool", "BFloat16", "ComplexFloat", "ComplexDouble"};
    char expected[32];
    for (size_t m = 0; m < sizeof modules / sizeof modules[0]; m++)
        for (size_t e = 0; e < sizeof elements / sizeof elements[0]; e++) {
            if (!pf_pickle_text_is(module, modules[m])) continue;
            snprintf(expected, sizeof expected, "%sTensor", elements[e]);
            if (pf_pickle_text_is(name, expected)) return true;
            snprintf(expected, sizeof expected, "%sStorage", elements[e]);
            if (m == 1 && pf_pickle_text_is(name, expected)) return true;
        }
    return false;
}

static const PfPickleGlobal *find_global(const PfPickleNames *names, PfPickleText module,
                                         PfPickleText name)
{
    static const PfPickleGlobal tensor_type = {"torch", "FloatTensor", PF_ROLE_OPAQUE, 0, 0};
    for (size_t i = 0; i < names->count; i++)
        if (pf_pickle_text_is(module, names->globals[i].module) &&
            pf_pickle_text_is(name, names->globals[i].name))
            return &names->globals[i];
    return names->has_tensor_types && is_tensor_type(module, name) ? &tensor_type : NULL;
}

/* Modules of PyTorch bring classes of torch.nn.modules with them, whatever their own class is. */
static bool holds_module(const PfPickleStack *reader)
{
    static const char classes[] = "torch.nn.modules.";
    return reader->names->has_tensor_types &&
           memmem(reader->bytes, pf_min_size(reader->size, LOOKED_AT), classes, sizeof classes - 1);
}

/* Whether the name that is pushed next is the class of the whole: of the first object, or, before
 * torch 1.6, of ('module', class, file, source), which stands for it. */
static bool is_class_of_all(const PfPickleStack *reader)
{
    return !reader->depth || (reader->depth == 1 && reader->mark_count == 1 && !reader->marks[0] &&
                              reader->stack[0]->kind == PF_PICKLE_TEXT &&
                              pf_pickle_text_is(reader->stack[0]->text, "module"));
}

static int refuse(PfPickleStack *reader, const char *name)
{
    const PfPickleNames *names = reader->names;
    if (!holds_module(reader))
        return pf_pickle_stack_fail(
            reader, "its pickle asks for '%s', which %s never needs: refused. Hint: %s", name,
            names->kind, names->hint);
    if (is_class_of_all(reader))
        return pf_pickle_stack_fail(
            reader,
            "a pickled model (torch.save(model)) of the class '%s', which only Python can run; "
            "expected a state_dict. Hint: if you trust the file, model = torch.load(FILE, "
            "weights_only=False); torch.save(model.state_dict(), 'weights.pth')",
            name);
    return pf_pickle_stack_fail(
        reader,
        "a checkpoint that holds a pickled module; its pickle asks for '%s', which %s never needs: "
        "refused. Hint: if you trust the file, c = torch.load(FILE, weights_only=False); then "
        "torch.save(c['state_dict'], 'weights.pth'), or c['model'].state_dict() where that is the "
        "module",
        name, names->kind);
}

int pf_pickle_globals_push(PfPickleStack *reader, PfPickleText module, PfPickleText name)
{
    const PfPickleNames *names = reader->names;
    const PfPickleGlobal *global = find_global(names, module, name);
    if (global) {
        PfPickleValue *value = pf_pickle_stack_push_new(reader, PF_PICKLE_GLOBAL);
        if (value) value->global = global;
        return value ? 0 : -1;
    }
    char text[2 * PF_PRINTABLE_SIZE], module_text[PF_PRINTABLE_SIZE], name_text[PF_PRINTABLE_SIZE];
    snprintf(text, sizeof text, "%s.%s", pf_printable_text(module.bytes, module.size, module_text),
             pf_printable_text(name.bytes, name.size, name_text));
    return refuse(reader, text);
}

/* A tuple of ints, as many as a tensor has axes. */
static bool is_axes(const PfPickleValue *value)
{
    if (value->kind != PF_PICKLE_TUPLE) return false;
    for (size_t i = 0; i < value->items.count; i++)
        if (value->items.values[i]->kind != PF_PICKLE_INT) return false;
    return true;
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

static int push_foreign(PfPickleStack *reader)
{
    return pf_pickle_stack_push_new(reader, PF_PICKLE_FOREIGN) ? 0 : -1;
}

/* Whether one of them has more axes than are read: it is not walked then, as a call may come as
 * often as it takes bytes. */
static bool has_many_axes(const PfPickleValue *size, const PfPickleValue *stride)
{
    return size->kind == PF_PICKLE_TUPLE && stride->kind == PF_PICKLE_TUPLE &&
           (size->items.count > PF_MAX_RANK || stride->items.count > PF_MAX_RANK);
}

static int push_tensor(PfPickleStack *reader, PfPickleValue *const *arguments, size_t count)
{
    if (count && arguments[0]->kind == PF_PICKLE_STORAGE && arguments[0]->storage->foreign_size)
        return push_foreign(reader);
    const bool has_all = count >= 4 && arguments[0]->kind == PF_PICKLE_STORAGE &&
                         arguments[1]->kind == PF_PICKLE_INT;
    if (has_all && has_many_axes(arguments[2], arguments[3])) return push_foreign(reader);
    if (!has_all || !is_axes(arguments[2]) || !is_axes(arguments[3]) ||
        arguments[2]->items.count != arguments[3]->items.count)
        return pf_pickle_stack_fail(reader, "a tensor is described in a way that torch does not");
    PfPickleTensor *tensor = pf_pickle_stack_allocate(reader, sizeof *tensor);
    if (!tensor) return -1;
    tensor->storage = arguments[0]->storage;
    tensor->offset = arguments[1]->integer;
    if (check_window(tensor, arguments[2], arguments[3])) {
        char key[PF_PRINTABLE_SIZE];
        return pf_pickle_stack_fail(
            reader, "a tensor reaches beyond its storage '%s' of %lld elements",
            pf_printable_text(tensor->storage->key.bytes, tensor->storage->key.size, key),
            (long long)tensor->storage->count);
    }
    PfPickleValue *value = pf_pickle_stack_push_new(reader, PF_PICKLE_TENSOR);
    if (value) value->tensor = tensor;
    return value ? 0 : -1;
}

/* OrderedDict() or, from Python 2, OrderedDict([[key, value], ...]). */
static int push_dict(PfPickleStack *reader, PfPickleValue *const *arguments, size_t count)
{
    const PfPickleValue *pairs = count ? arguments[0] : NULL;
    if (count > 1 || (pairs && pairs->kind != PF_PICKLE_LIST))
        return pf_pickle_stack_fail(reader, "an OrderedDict is made in a way that pickle does not");
    PfPickleValue *dict = pf_pickle_stack_push_new(reader, PF_PICKLE_DICT);
    if (!dict) return -1;
    for (size_t i = 0; pairs && i < pairs->items.count; i++) {
        const PfPickleValue *pair = pairs->items.values[i];
        if ((pair->kind != PF_PICKLE_LIST && pair->kind != PF_PICKLE_TUPLE) ||
            pair->items.count != 2)
            return pf_pickle_stack_fail(reader,
                                        "an OrderedDict is made from something other than pairs");
        if (pf_pickle_stack_append(reader, dict, pair->items.values, 2)) return -1;
    }
    return 0;
}

/* A tensor with attributes, or a parameter's: what makes it, its class, and the arguments. */
static int push_typed(PfPickleStack *reader, PfPickleValue *const *arguments, size_t count)
{
    if (count < 3 || arguments[0]->kind != PF_PICKLE_GLOBAL ||
        arguments[1]->kind != PF_PICKLE_GLOBAL || arguments[2]->kind != PF_PICKLE_TUPLE)
        return pf_pickle_stack_fail(reader, "a tensor is described in a way that torch does not");
    if (arguments[0]->global->role == PF_ROLE_TENSOR)
        return push_tensor(reader, arguments[2]->items.values, arguments[2]->items.count);
    return push_foreign(reader);
}

/* An attribute of an inert object is inert. Of anything else it is refused: nothing is looked up.
 */
static int push_attribute(PfPickleStack *reader, PfPickleValue *const *arguments, size_t count)
{
    int is_inert =
        count == 2 && arguments[1]->kind == PF_PICKLE_TEXT &&
        (arguments[0]->kind == PF_PICKLE_OPAQUE ||
         (arguments[0]->kind == PF_PICKLE_GLOBAL && arguments[0]->global->role == PF_ROLE_OPAQUE));
    if (!is_inert)
        return pf_pickle_stack_fail(reader,
                                    "its pickle takes an attribute of something that has none: "
                                    "refused");
    return pf_pickle_stack_push_new(reader, PF_PICKLE_OPAQUE) ? 0 : -1;
}

int pf_pickle_globals_call(PfPickleStack *reader, const PfPickleValue *callee,
                           const PfPickleValue *arguments)
{
    PfPickleValue **values = arguments->items.values;
    size_t count = arguments->items.count;
    switch (callee->global->role) {
    case PF_ROLE_DICT: return push_dict(reader, values, count);
    case PF_ROLE_TENSOR: return push_tensor(reader, values, count);
    case PF_ROLE_PARAMETER:
        if (count && (values[0]->kind == PF_PICKLE_TENSOR || values[0]->kind == PF_PICKLE_FOREIGN))
            return pf_pickle_stack_push(reader, values[0]);
        return pf_pickle_stack_fail(reader,
                                    "a parameter is made from something other than a tensor");
    case PF_ROLE_OPAQUE: return pf_pickle_stack_push_new(reader, PF_PICKLE_OPAQUE) ? 0 : -1;
    case PF_ROLE_FOREIGN: return push_foreign(reader);
    case PF_ROLE_TYPED: return push_typed(reader, values, count);
    case PF_ROLE_ATTRIBUTE: return push_attribute(reader, values, count);
    case PF_ROLE_ARRAY:
    case PF_ROLE_BUFFER:
    case PF_ROLE_ARRAY_TYPE:
        return pf_pickle_arrays_call(reader, callee->global->role, values, count);
    case PF_ROLE_STORAGE:
    case PF_ROLE_INERT: break;
    }
    return pf_pickle_stack_fail(
        reader, "its pickle calls '%s.%s', which holds data and is not called: refused",
        callee->global->module, callee->global->name);
}
