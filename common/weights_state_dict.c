#include "weights_state_dict.h"

#include <stdio.h>
#include <string.h>

/* Tensors that are copied (strided ones) may not grow a file beyond reason:
 * a stride of 0 repeats one number for nothing. */
#define MAX_EXTRA_BYTES ((uint64_t)64 << 20)

int pf_state_dict_place_storage(const PfWeights *weights, PfPickleStorage *storage,
                                const uint8_t *data, uint64_t size, PfError *err)
{
    uint64_t needed;
    if (!__builtin_mul_overflow((uint64_t)storage->count, pf_dtype_size(storage->dtype), &needed) &&
        needed <= size) {
        storage->data = data;
        return 0;
    }
    char key[PF_PRINTABLE_SIZE];
    return pf_fail(
        err, PF_EXIT_FAILED,
        "weights '%s': storage '%s' should hold %lld elements of %s, but only %llu bytes "
        "are there. Was the download or copy cut off?",
        weights->source, pf_printable(storage->key.bytes, storage->key.size, key),
        (long long)storage->count, pf_dtype_name(storage->dtype), (unsigned long long)size);
}

static int is_contiguous(const PfPickleTensor *tensor)
{
    int64_t expected = 1;
    for (int i = tensor->shape.rank - 1; i >= 0; i--) {
        if (tensor->shape.dims[i] != 1 && tensor->strides[i] != expected) return 0;
        expected *= tensor->shape.dims[i];
    }
    return 1;
}

/* out: contiguous copy of a tensor that has elements. `from` is its first one. */
static void copy_strided(uint8_t *out, const uint8_t *from, const PfPickleTensor *tensor,
                         size_t element)
{
    int64_t index[PF_MAX_RANK] = {0};
    int rank = tensor->shape.rank;
    for (;;) {
        int64_t offset = 0;
        for (int i = 0; i < rank; i++) offset += index[i] * tensor->strides[i];
        memcpy(out, from + (size_t)offset * element, element);
        out += element;
        int axis = rank - 1;
        while (axis >= 0 && ++index[axis] == tensor->shape.dims[axis]) index[axis--] = 0;
        if (axis < 0) return;
    }
}

/* Strided tensors (saved in channels_last, transposed, expanded) become
 * contiguous copies. *copied counts their bytes. */
static int add_tensor(PfWeights *weights, PfPickleText name, const PfPickleTensor *tensor,
                      uint64_t *copied, PfError *err)
{
    const PfPickleStorage *storage = tensor->storage;
    size_t element = pf_dtype_size(storage->dtype);
    int64_t count = pf_shape_count(&tensor->shape);
    /* The offset of a tensor without elements may be anything. */
    const uint8_t *first = storage->data + (count ? (size_t)tensor->offset * element : 0);
    PfTensorView view = {.dtype = storage->dtype, .shape = tensor->shape, .data = first};
    if (count && !is_contiguous(tensor)) {
        uint64_t limit = weights->size + MAX_EXTRA_BYTES;
        if ((uint64_t)count > (limit - *copied) / element)
            return pf_fail(err, PF_EXIT_FAILED,
                           "weights '%s': its tensors repeat themselves to more than the file's "
                           "own size; hint: save them with .contiguous()",
                           weights->source);
        uint8_t *block = pf_weights_allocate(weights, (size_t)count * element, err);
        if (!block) return -1;
        *copied += (uint64_t)count * element;
        copy_strided(block, first, tensor, element);
        view.data = block;
    }
    return pf_weights_add(weights, name.bytes, name.size, &view, err);
}

static int has_tensors(const PfPickleValue *value)
{
    if (!value || value->kind != PF_PICKLE_DICT) return 0;
    for (size_t i = 1; i < value->items.count; i += 2)
        if (value->items.values[i]->kind == PF_PICKLE_TENSOR) return 1;
    return 0;
}

static int no_state_dict(const PfWeights *weights, const PfPickleValue *root, PfError *err)
{
    char keys[400] = "", key[PF_PRINTABLE_SIZE];
    size_t used = 0;
    for (size_t i = 0; root->kind == PF_PICKLE_DICT && i < root->items.count; i += 2) {
        const PfPickleValue *name = root->items.values[i];
        if (name->kind != PF_PICKLE_TEXT || used + name->text.size + 8 > sizeof keys) continue;
        used += (size_t)snprintf(keys + used, sizeof keys - used, "%s'%s'", used ? ", " : "",
                                 pf_printable(name->text.bytes, name->text.size, key));
    }
    return pf_fail(err, PF_EXIT_FAILED,
                   "weights '%s' hold no state_dict (a dict of tensors by name). Found: %s. Hint: "
                   "save one with torch.save(model.state_dict(), ...)",
                   weights->source,
                   root->kind == PF_PICKLE_TENSOR ? "a single tensor"
                   : used                         ? keys
                                                  : "nothing that has names");
}

/* The dict of tensors: the wrapped one where there is one (the wrapper may hold
 * tensors of its own, such as the best accuracy), else the object itself. */
static const PfPickleValue *find_state_dict(const PfPickleValue *root)
{
    static const char *const wrappers[] = {"state_dict", "model_state_dict", "model", "net"};
    for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++) {
        const PfPickleValue *inner = pf_pickle_get(root, wrappers[i]);
        if (has_tensors(inner)) return inner;
    }
    return has_tensors(root) ? root : NULL;
}

int pf_state_dict_add(PfWeights *weights, const PfPickleValue *root, PfError *err)
{
    const PfPickleValue *dict = find_state_dict(root);
    uint64_t copied = 0;
    if (!dict) return no_state_dict(weights, root, err);
    for (size_t i = 0; i + 1 < dict->items.count; i += 2) {
        const PfPickleValue *name = dict->items.values[i], *value = dict->items.values[i + 1];
        if (name->kind == PF_PICKLE_TEXT && value->kind == PF_PICKLE_TENSOR &&
            add_tensor(weights, name->text, value->tensor, &copied, err))
            return -1;
    }
    return 0;
}
