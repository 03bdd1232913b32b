/* torch.save files before torch 1.6: a magic number, a protocol version, facts
 * about the machine, the object, and the list of storage keys, each a pickle;
 * then for every key its number of elements (int64) and their bytes. */
#include <stdlib.h>
#include <string.h>

#include "weights_internal.h"
#include "weights_state_dict.h"

#define LEGACY_PROTOCOL 1001

/* A position in the file. */
typedef struct Cursor {
    PfWeights *weights;
    size_t at;
} Cursor;

static int next_pickle(Cursor *cursor, PfPickle *pickle, PfError *err)
{
    const PfWeights *weights = cursor->weights;
    if (pf_pickle_read(weights->source, weights->bytes + cursor->at, weights->size - cursor->at,
                       pickle, err))
        return -1;
    cursor->at += pickle->size_bytes;
    return 0;
}

static int check_protocol(const PfWeights *weights, const PfPickleValue *root, PfError *err)
{
    if (root->kind == PF_PICKLE_INT && root->integer == LEGACY_PROTOCOL) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "weights '%s': a legacy torch file of a protocol other than %d", weights->source,
                   LEGACY_PROTOCOL);
}

static int check_machine(const PfWeights *weights, const PfPickleValue *root, PfError *err)
{
    const PfPickleValue *little = pf_pickle_get(root, "little_endian");
    if (!little || little->integer) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "weights '%s': saved on a big-endian machine, which is not read",
                   weights->source);
}

/* Magic number (checked before we got here), protocol version, machine; one at a time, as each may
 * take the memory that a pickle is allowed. */
static int read_preamble(Cursor *cursor, PfError *err)
{
    int failed = 0;
    for (int i = 0; i < 3 && !failed; i++) {
        PfPickle pickle = {0};
        failed = next_pickle(cursor, &pickle, err);
        if (!failed && i == 1) failed = check_protocol(cursor->weights, pickle.root, err);
        if (!failed && i == 2) failed = check_machine(cursor->weights, pickle.root, err);
        pf_pickle_free(&pickle);
    }
    return failed;
}

static int compare_keys(PfPickleText a, PfPickleText b)
{
    int order = memcmp(a.bytes, b.bytes, a.size < b.size ? a.size : b.size);
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_storages(const void *a, const void *b)
{
    return compare_keys((*(PfPickleStorage *const *)a)->key, (*(PfPickleStorage *const *)b)->key);
}

/* First of the sorted storages that has the key; their number if none has. */
static size_t find_storage(const PfPickle *object, PfPickleText key)
{
    size_t low = 0, high = object->storage_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_keys(object->storages[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Reads the block of one key and gives it to all storages that mention it. */
static int read_block(Cursor *cursor, const PfPickle *object, PfPickleText key, PfError *err)
{
    const PfWeights *weights = cursor->weights;
    const uint8_t *bytes = weights->bytes;
    size_t first = find_storage(object, key);
    if (first == object->storage_count || compare_keys(object->storages[first]->key, key))
        return pf_fail(err, PF_EXIT_FAILED, "weights '%s': lists a storage that no tensor has",
                       weights->source);
    PfDtype dtype = object->storages[first]->dtype;
    size_t element = pf_state_dict_element_size(object->storages[first]);
    uint64_t left = weights->size - cursor->at, size = 0;
    int fits = left >= 8 &&
               !__builtin_mul_overflow(pf_little_endian(bytes + cursor->at, 8), element, &size);
    if (!fits || size > left - 8)
        return pf_fail(err, PF_EXIT_FAILED,
                       "weights '%s': the file ends in the middle of a tensor. Was the download or "
                       "copy cut off?",
                       weights->source);
    const uint8_t *data = bytes + cursor->at + 8;
    cursor->at += 8 + (size_t)size;
    for (size_t i = first;
         i < object->storage_count && !compare_keys(object->storages[i]->key, key); i++) {
        if (object->storages[i]->dtype != dtype || object->storages[i]->data ||
            pf_state_dict_element_size(object->storages[i]) != element)
            return pf_fail(err, PF_EXIT_FAILED,
                           "weights '%s': a storage has two types, or is listed twice",
                           weights->source);
        if (pf_state_dict_place_storage(weights, object->storages[i], data, size, err)) return -1;
    }
    return 0;
}

static int read_blocks(Cursor *cursor, const PfPickle *object, const PfPickle *keys, PfError *err)
{
    const PfPickleValue *list = keys->root;
    for (size_t i = 0; list->kind == PF_PICKLE_LIST && i < list->items.count; i++) {
        const PfPickleValue *key = list->items.values[i];
        if (key->kind != PF_PICKLE_TEXT)
            return pf_fail(err, PF_EXIT_FAILED, "weights '%s': a storage's key is not text",
                           cursor->weights->source);
        if (read_block(cursor, object, key->text, err)) return -1;
    }
    for (size_t i = 0; i < object->storage_count; i++)
        if (!object->storages[i]->data)
            return pf_fail(err, PF_EXIT_FAILED, "weights '%s': a tensor's storage is missing in it",
                           cursor->weights->source);
    return 0;
}

static int read_legacy(Cursor *cursor, PfPickle *object, PfPickle *keys, PfError *err)
{
    if (read_preamble(cursor, err) || next_pickle(cursor, object, err) ||
        next_pickle(cursor, keys, err))
        return -1;
    if (object->storage_count)
        qsort(object->storages, object->storage_count, sizeof(PfPickleStorage *), compare_storages);
    return read_blocks(cursor, object, keys, err) ||
                   pf_state_dict_add(cursor->weights, object->root, err)
               ? -1
               : 0;
}

int pf_weights_read_pth_legacy(PfWeights *weights, PfError *err)
{
    Cursor cursor = {.weights = weights};
    PfPickle object = {0}, keys = {0};
    int failed = read_legacy(&cursor, &object, &keys, err);
    pf_pickle_free(&object);
    pf_pickle_free(&keys);
    return failed;
}
