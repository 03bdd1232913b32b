/* torch.save files since torch 1.6: a zip archive with <prefix>/data.pkl and one
 * entry <prefix>/data/<key> per storage. */
#include <string.h>

#include "weights_internal.h"
#include "weights_state_dict.h"
#include "weights_zip.h"

#define PICKLE_ENTRY "/data.pkl"
#define NAME_ROOM 512

/* Builds "<prefix><suffix><key>" and looks it up. */
static const PfZipEntry *find_in_archive(const PfZip *zip, PfPickleText prefix, const char *suffix,
                                         PfPickleText key)
{
    char name[NAME_ROOM];
    size_t suffix_size = strlen(suffix), size = prefix.size + suffix_size + key.size;
    if (prefix.size > NAME_ROOM || key.size > NAME_ROOM || size > NAME_ROOM) return NULL;
    memcpy(name, prefix.bytes, prefix.size);
    memcpy(name + prefix.size, suffix, suffix_size);
    memcpy(name + prefix.size + suffix_size, key.bytes, key.size);
    return pf_zip_find(zip, name, size);
}

/* Finds <prefix>/data.pkl and refuses archives that are something else. */
static int find_pickle(const PfZip *zip, PfPickleText *prefix, const PfZipEntry **pickle,
                       PfError *err)
{
    const size_t suffix_size = strlen(PICKLE_ENTRY);
    const PfPickleText none = {"", 0};
    *pickle = NULL;
    for (size_t i = 0; i < zip->entry_count && !*pickle; i++) {
        const PfZipEntry *entry = &zip->entries[i];
        if (entry->name_size <= suffix_size) continue;
        *prefix = (PfPickleText){entry->name, entry->name_size - suffix_size};
        if (!memcmp(entry->name + prefix->size, PICKLE_ENTRY, suffix_size) &&
            !memchr(prefix->bytes, '/', prefix->size))
            *pickle = entry;
    }
    if (!*pickle)
        return pf_fail(err, PF_EXIT_FAILED,
                       "weights '%s': a zip archive, but not one that torch.save wrote (no "
                       "<name>/data.pkl in it)",
                       zip->source);
    if (find_in_archive(zip, *prefix, "/constants.pkl", none))
        return pf_fail(err, PF_EXIT_FAILED,
                       "weights '%s': this is a TorchScript module, network and weights in one; "
                       "give it as --backbone FILE, not as weights",
                       zip->source);
    const uint8_t *order;
    const PfZipEntry *byteorder = find_in_archive(zip, *prefix, "/byteorder", none);
    if (byteorder && pf_zip_data(zip, byteorder, &order, err)) return -1;
    if (byteorder && (byteorder->size_bytes != 6 || memcmp(order, "little", 6)))
        return pf_fail(err, PF_EXIT_FAILED,
                       "weights '%s': saved on a big-endian machine, which is not read",
                       zip->source);
    return 0;
}

static int locate_storages(PfWeights *weights, const PfZip *zip, PfPickleText prefix,
                           const PfPickle *pickle, PfError *err)
{
    for (size_t i = 0; i < pickle->storage_count; i++) {
        PfPickleStorage *storage = pickle->storages[i];
        const PfZipEntry *entry = find_in_archive(zip, prefix, "/data/", storage->key);
        const uint8_t *data;
        if (!entry) {
            char key[PF_PRINTABLE_SIZE];
            return pf_fail(err, PF_EXIT_FAILED, "weights '%s': storage '%s' is missing in it",
                           weights->source,
                           pf_printable(storage->key.bytes, storage->key.size, key));
        }
        if (pf_zip_data(zip, entry, &data, err) ||
            pf_state_dict_place_storage(weights, storage, data, entry->size_bytes, err))
            return -1;
    }
    return 0;
}

static int read_archive(PfWeights *weights, const PfZip *zip, PfPickle *pickle, PfError *err)
{
    PfPickleText prefix = {0};
    const PfZipEntry *entry;
    const uint8_t *bytes;
    return find_pickle(zip, &prefix, &entry, err) || pf_zip_data(zip, entry, &bytes, err) ||
                   pf_pickle_read(weights->source, bytes, (size_t)entry->size_bytes, pickle, err) ||
                   locate_storages(weights, zip, prefix, pickle, err) ||
                   pf_state_dict_add(weights, pickle->root, err)
               ? -1
               : 0;
}

int pf_weights_read_pth(PfWeights *weights, PfError *err)
{
    PfZip zip;
    PfPickle pickle = {0};
    int failed = pf_zip_open(weights->source, weights->bytes, weights->size, &zip, err) ||
                 read_archive(weights, &zip, &pickle, err);
    pf_pickle_free(&pickle);
    pf_zip_close(&zip);
    return failed ? -1 : 0;
}
