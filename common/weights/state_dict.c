/* From the pickled object of a torch file to named tensors. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/weights/internal.h"

/* Tensors that are copied (strided ones) may not grow a file beyond reason:
 * a stride of 0 repeats one number for nothing. */
#define MAX_EXTRA_BYTES ((uint64_t)64 << 20)

size_t pf_state_dict_element_size(const PfPickleStorage *storage)
{
    return storage->foreign_size ? storage->foreign_size : pf_dtype_size(storage->dtype);
}

int pf_state_dict_place_storage(const PfWeights *weights, PfPickleStorage *storage,
                                const uint8_t *data, uint64_t size, PfError *err)
{
    uint64_t needed;
    if (!__builtin_mul_overflow((uint64_t)storage->count, pf_state_dict_element_size(storage),
                                &needed) &&
        needed <= size) {
        storage->data = data;
        return 0;
    }
    char key[PF_PRINTABLE_SIZE];
    return pf_fail(
        err, PF_EXIT_FAILED,
        "weights '%s': storage '%s' should hold %lld elements of %s, but only %llu bytes "
        "are there. Was the download or copy cut off?",
        weights->source, pf_printable_text(storage->key.bytes, storage->key.size, key),
        (long long)storage->count,
        storage->foreign_size ? "another type" : pf_dtype_name(storage->dtype),
        (unsigned long long)size);
}

static bool is_contiguous(const PfPickleTensor *tensor)
{
    int64_t expected = 1;
    for (int i = tensor->shape.rank - 1; i >= 0; i--) {
        if (tensor->shape.dims[i] != 1 && tensor->strides[i] != expected) return false;
        expected *= tensor->shape.dims[i];
    }
    return true;
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

static bool has_tensors(const PfPickleValue *value)
{
    return value && value->kind == PF_PICKLE_DICT && value->items.tensors;
}

/* Adds 'key' to a list in text of size bytes. */
static void list_key(char *text, size_t size, PfPickleText name)
{
    char key[PF_PRINTABLE_SIZE];
    size_t used = strlen(text);
    if (used + name.size + 8 > size) return;
    pf_format(text + used, size - used, "%s'%s'", used ? ", " : "",
              pf_printable_text(name.bytes, name.size, key));
}

/* ---- dicts of tensors anywhere in a checkpoint ---- */

#define DEEPEST 6
#define MOST_LOOKED_AT 20000 /* values: one dict may be in many places */

typedef struct Search {
    size_t least;       /* tensors that a dict must have */
    bool only_averaged; /* under a key that says so */
    int looked_at, found;
    char first[PF_ENTRY_SIZE]; /* "callbacks.EMA.state", as #KEY takes it */
    char all[400];             /* "'a.b', 'a.c'" */
} Search;

static bool says_averaged(const char *path)
{
    static const char *const words[] = {"ema", "averag-", "swa", NULL};
    return pf_weights_has_word(path, strlen(path), words);
}

static void search(Search *run, const PfPickleValue *at, const char *path, int depth)
{
    for (size_t i = 0; i + 1 < at->items.count && run->looked_at++ < MOST_LOOKED_AT; i += 2) {
        const PfPickleValue *name = at->items.values[i], *value = at->items.values[i + 1];
        char deeper[PF_ENTRY_SIZE];
        if (name->kind != PF_PICKLE_TEXT || value->kind != PF_PICKLE_DICT || depth == DEEPEST ||
            memchr(name->text.bytes, 0, name->text.size) ||
            strlen(path) + name->text.size + 2 > sizeof deeper)
            continue;
        snprintf(deeper, sizeof deeper, "%s%s%.*s", path, *path ? "." : "", (int)name->text.size,
                 name->text.bytes);
        const size_t tensors = value->items.tensors;
        if (tensors && tensors >= run->least && (!run->only_averaged || says_averaged(deeper))) {
            if (!run->found++) snprintf(run->first, sizeof run->first, "%s", deeper);
            list_key(run->all, sizeof run->all, (PfPickleText){deeper, strlen(deeper)});
        }
        search(run, value, deeper, depth + 1);
    }
}

static int no_state_dict(const PfWeights *weights, const PfPickleValue *root, PfError *err)
{
    char keys[400] = "", dicts[400] = "";
    size_t foreign = 0;
    for (size_t i = 0; root->kind == PF_PICKLE_DICT && i + 1 < root->items.count; i += 2) {
        const PfPickleValue *name = root->items.values[i];
        if (name->kind != PF_PICKLE_TEXT) continue;
        list_key(keys, sizeof keys, name->text);
        foreign += root->items.values[i + 1]->kind == PF_PICKLE_FOREIGN;
        if (has_tensors(root->items.values[i + 1])) list_key(dicts, sizeof dicts, name->text);
    }
    if (*dicts)
        return pf_fail(err, PF_EXIT_FAILED,
                       "weights '%s' hold several dicts of tensors: %" PF_SENTENCE
                       ". Hint: choose one with --weights FILE#KEY",
                       weights->source, dicts);
    Search run = {.least = 1};
    if (root->kind == PF_PICKLE_DICT) search(&run, root, "", 0);
    if (run.found) {
        char *word = pf_weights_entry_word(weights, run.first, strlen(run.first), err);
        if (word)
            pf_fail(err, PF_EXIT_FAILED,
                    "weights '%s' hold dicts of tensors only further inside: %" PF_SENTENCE
                    ". Hint: choose one with --weights FILE#KEY, for example %" PF_SENTENCE,
                    weights->source, run.all, word);
        free(word);
        return -1;
    }
    return pf_fail(
        err, PF_EXIT_FAILED,
        "weights '%s' hold no state_dict (a dict of tensors by name). Found: %" PF_SENTENCE
        "%s. Hint: save one with torch.save(model.state_dict(), ...)",
        weights->source,
        root->kind == PF_PICKLE_TENSOR    ? "a single tensor"
        : root->kind == PF_PICKLE_FOREIGN ? "a single tensor of a kind that is not read"
        : *keys                           ? keys
                                          : "nothing that has names",
        foreign ? " (tensors of kinds that are not read: sparse, quantized, complex, fp8, ...)"
                : "");
}

/* A dict of tensors, and where it is: "state_dict", "ema.module"; "" for the root. */
typedef struct Choice {
    const PfPickleValue *dict; /* NULL: none */
    char path[PF_ENTRY_SIZE];
} Choice;

/* The choice where there is no averaged copy, and of older versions always. */
static const PfPickleValue *find_plain(const PfPickleValue *root, const char **name)
{
    static const char *const wrappers[] = {"state_dict", "model_state_dict", "model", "net"};
    for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++) {
        const PfPickleValue *inner = pf_pickle_get(root, *name = wrappers[i]);
        if (has_tensors(inner)) return inner;
    }
    *name = "";
    return has_tensors(root) ? root : NULL;
}

/* The tensors under one of the names, or one step further under one of `inside`. */
static Choice find_named(const PfPickleValue *root, const char *const *names)
{
    static const char *const inside[] = {"module", "state_dict", "model", NULL};
    Choice choice = {0};
    for (; *names; names++) {
        const PfPickleValue *value = pf_pickle_get(root, *names);
        snprintf(choice.path, sizeof choice.path, "%s", *names);
        if (has_tensors(value)) choice.dict = value;
        for (int i = 0; value && !choice.dict && inside[i]; i++) {
            const PfPickleValue *inner = pf_pickle_get(value, inside[i]);
            if (!has_tensors(inner)) continue;
            choice.dict = inner;
            snprintf(choice.path, sizeof choice.path, "%s.%s", *names, inside[i]);
        }
        if (choice.dict) return choice;
    }
    return choice;
}

/* The one entry of root that is a dict of tensors, whatever its name. */
static Choice find_only(const PfPickleValue *root)
{
    Choice choice = {0};
    for (size_t i = 0; root->kind == PF_PICKLE_DICT && i + 1 < root->items.count; i += 2) {
        const PfPickleValue *name = root->items.values[i];
        if (name->kind != PF_PICKLE_TEXT || !has_tensors(root->items.values[i + 1])) continue;
        if (choice.dict || name->text.size >= sizeof choice.path ||
            memchr(name->text.bytes, 0, name->text.size))
            return (Choice){0};
        choice.dict = root->items.values[i + 1];
        memcpy(choice.path, name->text.bytes, name->text.size);
    }
    return choice;
}

/* An averaged copy first, where it is whole: some hold the parameters without the statistics. */
static Choice choose_entry(const PfWeights *weights, const PfPickleValue *root)
{
    static const char *const averaged[] = {"model_ema",
                                           "ema",
                                           "state_dict_ema",
                                           "ema_state_dict",
                                           "model_ema_state_dict",
                                           "ema_model",
                                           "model_state_dict_ema",
                                           "ema_model_state_dict",
                                           "averaged_model",
                                           "swa_model",
                                           NULL};
    static const char *const others[] = {"teacher",    "student", "network",  "module",
                                         "weights",    "params",  "backbone", "encoder",
                                         "state_dict", "model",   "net",      NULL};
    const char *name;
    Choice choice = {.dict = find_plain(root, &name)};
    snprintf(choice.path, sizeof choice.path, "%s", name);
    if (weights->as_before) return choice;
    Choice average = find_named(root, averaged);
    if (average.dict && (!choice.dict || average.dict->items.tensors >= choice.dict->items.tensors))
        return average;
    if (!choice.dict) choice = find_named(root, others);
    return choice.dict ? choice : find_only(root);
}

/* A dict's value under the first `size` bytes of key. */
static const PfPickleValue *get_part(const PfPickleValue *dict, const char *key, size_t size)
{
    for (size_t i = 0; dict->kind == PF_PICKLE_DICT && i + 1 < dict->items.count; i += 2) {
        const PfPickleValue *name = dict->items.values[i];
        if (name->kind == PF_PICKLE_TEXT && name->text.size == size &&
            !memcmp(name->text.bytes, key, size))
            return dict->items.values[i + 1];
    }
    return NULL;
}

/* The entry that is wanted, as far as it leads through dicts; *rest is what it leaves of the key:
 * "" or what names in the dict begin with. NULL where it ends at something else. */
static const PfPickleValue *follow(const PfPickleValue *root, const char *key, const char **rest)
{
    const PfPickleValue *at = root;
    for (*rest = key; **rest;) {
        const PfPickleValue *next = get_part(at, *rest, strlen(*rest));
        size_t size = strlen(*rest);
        for (const char *dot = strchr(*rest, '.'); !next && dot; dot = strchr(dot + 1, '.'))
            next = get_part(at, *rest, size = (size_t)(dot - *rest));
        if (!next || next->kind != PF_PICKLE_DICT) break;
        at = next;
        *rest += size + ((*rest)[size] == '.');
    }
    return has_tensors(at) ? at : NULL;
}

/* What the key names: a dict, or, with *prefix, the tensors of a dict whose names begin so. */
static int find_wanted(const PfWeights *weights, const PfPickleValue *root, Choice *choice,
                       const char **prefix, PfError *err)
{
    const char *rest;
    const PfPickleValue *dict = follow(root, weights->wanted_entry, &rest);
    if (!dict || (*rest && dict == root)) {
        *choice = choose_entry(weights, root);
        rest = weights->wanted_entry;
        dict = choice->dict;
    }
    if (!dict) return no_state_dict(weights, root, err);
    *choice = (Choice){.dict = dict};
    snprintf(choice->path, sizeof choice->path, "%s", weights->wanted_entry);
    *prefix = rest;
    return 0;
}

static int add_dict(PfWeights *weights, const PfPickleValue *dict, PfError *err)
{
    uint64_t copied = 0;
    for (size_t i = 0; i + 1 < dict->items.count; i += 2) {
        const PfPickleValue *name = dict->items.values[i], *value = dict->items.values[i + 1];
        if (name->kind != PF_PICKLE_TEXT) continue;
        int failed = 0;
        if (value->kind == PF_PICKLE_TENSOR)
            failed = add_tensor(weights, name->text, value->tensor, &copied, err);
        else if (value->kind == PF_PICKLE_FOREIGN)
            failed = pf_weights_add_foreign(weights, name->text.bytes, name->text.size,
                                            "of another kind (sparse, quantized, complex, fp8, "
                                            "...)",
                                            err);
        if (failed) return -1;
    }
    return 0;
}

/* Where another copy than the chosen one calls itself averaged, and is as whole. */
static void note_averaged(PfWeights *weights, const PfPickleValue *root, const Choice *choice)
{
    Search run = {.least = choice->dict->items.tensors, .only_averaged = true};
    if (weights->wanted_entry || weights->as_before || says_averaged(choice->path)) return;
    search(&run, root, "", 0);
    if (run.found) snprintf(weights->averaged, sizeof weights->averaged, "%s", run.first);
}

int pf_state_dict_add(PfWeights *weights, const PfPickleValue *root, PfError *err)
{
    Choice choice = {0};
    const char *prefix = "", *name;
    if (weights->wanted_entry) {
        if (find_wanted(weights, root, &choice, &prefix, err)) return -1;
    } else {
        choice = choose_entry(weights, root);
    }
    if (!choice.dict) return no_state_dict(weights, root, err);
    if (*prefix || choice.dict != find_plain(root, &name))
        snprintf(weights->entry, sizeof weights->entry, "%s", choice.path);
    note_averaged(weights, root, &choice);
    if (add_dict(weights, choice.dict, err)) return -1;
    return *prefix ? pf_weights_keep_prefix(weights, prefix, err) : 0;
}
