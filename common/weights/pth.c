/* Files of torch.save: zip archives, and what torch before 1.6 wrote. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/foreign_file.h"
#include "common/weights/internal.h"

/* ---- zip archives ----
 *
 * As torch.save writes them: entries stored, not compressed, so that they are used where they are
 * mapped. Zip64 included. Layout: PKWARE, .ZIP File Format Specification 6.3.10, sections 4.3 and
 * 4.5.3. */

typedef struct ZipEntry {
    const char *name; /* not terminated by a zero; points into the archive */
    size_t name_size;
    uint64_t header_offset, size_bytes;
    bool is_plain; /* neither compressed nor encrypted */
} ZipEntry;

typedef struct Zip {
    const char *source; /* names the file in messages */
    const uint8_t *bytes;
    size_t size;
    ZipEntry *entries; /* sorted by name */
    size_t entry_count;
} Zip;

enum {
    END_SIZE = 22, /* end of central directory, without its comment */
    END_COMMENT_MAX = 65535,
    END64_LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    DIRECTORY_ENTRY_SIZE = 46, /* without name, extra field and comment */
    LOCAL_HEADER_SIZE = 30,
    EXTRA_ZIP64 = 1,
};

static int damaged(const Zip *zip, const char *what, PfError *err)
{
    return pf_fail(
        err, PF_EXIT_FAILED,
        "weights '%s': its zip archive is damaged (%s). Was the download or copy cut off?",
        zip->source, what);
}

static bool has_signature(const uint8_t *bytes, const char kind[2])
{
    return bytes[0] == 'P' && bytes[1] == 'K' && bytes[2] == kind[0] && bytes[3] == kind[1];
}

/* The last end-of-central-directory record; NULL if there is none. */
static const uint8_t *find_end(const Zip *zip)
{
    if (zip->size < END_SIZE) return NULL;
    size_t at = zip->size - END_SIZE;
    size_t stop = at > END_COMMENT_MAX ? at - END_COMMENT_MAX : 0;
    for (;; at--) {
        const uint8_t *end = zip->bytes + at;
        if (has_signature(end, "\5\6") &&
            pf_little_endian(end + 20, 2) == zip->size - at - END_SIZE)
            return end;
        if (at == stop) return NULL;
    }
}

/* Where the central directory is and how many entries it says to have. */
static int locate_directory(const Zip *zip, uint64_t *offset, uint64_t *size, uint64_t *count,
                            PfError *err)
{
    const uint8_t *end = find_end(zip);
    if (!end) return damaged(zip, "its directory is missing", err);
    *count = pf_little_endian(end + 10, 2);
    *size = pf_little_endian(end + 12, 4);
    *offset = pf_little_endian(end + 16, 4);
    size_t before = (size_t)(end - zip->bytes);
    if (before >= END64_LOCATOR_SIZE && has_signature(end - END64_LOCATOR_SIZE, "\6\7")) {
        uint64_t at = pf_little_endian(end - END64_LOCATOR_SIZE + 8, 8);
        if (zip->size < END64_SIZE || at > zip->size - END64_SIZE ||
            !has_signature(zip->bytes + at, "\6\6"))
            return damaged(zip, "its 64-bit directory is not where it should be", err);
        const uint8_t *end64 = zip->bytes + at;
        *count = pf_little_endian(end64 + 32, 8);
        *size = pf_little_endian(end64 + 40, 8);
        *offset = pf_little_endian(end64 + 48, 8);
    }
    if (*offset > zip->size || *size > zip->size - *offset || *count > *size / DIRECTORY_ENTRY_SIZE)
        return damaged(zip, "its directory lies outside the file", err);
    return 0;
}

/* Replaces the fields that read 0xffffffff by those of the zip64 extra field,
 * which holds them in this order. */
static int read_zip64(const uint8_t *extra, size_t extra_size, uint64_t *const fields[],
                      int field_count)
{
    while (extra_size >= 4) {
        uint64_t id = pf_little_endian(extra, 2), length = pf_little_endian(extra + 2, 2);
        extra += 4;
        extra_size -= 4;
        if (length > extra_size) return -1;
        if (id == EXTRA_ZIP64) {
            for (int i = 0; i < field_count; i++) {
                if (*fields[i] != UINT32_MAX) continue;
                if (length < 8) return -1;
                *fields[i] = pf_little_endian(extra, 8);
                extra += 8;
                length -= 8;
            }
            return 0;
        }
        extra += length;
        extra_size -= length;
    }
    return 0;
}

/* Reads the directory entry at *at, which it moves behind it. */
static int read_entry(const Zip *zip, uint64_t *at, uint64_t end, ZipEntry *entry, PfError *err)
{
    const uint8_t *header = zip->bytes + *at;
    if (end - *at < DIRECTORY_ENTRY_SIZE || !has_signature(header, "\1\2"))
        return damaged(zip, "its directory ends early", err);
    uint64_t flags = pf_little_endian(header + 8, 2), method = pf_little_endian(header + 10, 2);
    uint64_t packed = pf_little_endian(header + 20, 4);
    size_t extra_size = (size_t)pf_little_endian(header + 30, 2);
    entry->name_size = (size_t)pf_little_endian(header + 28, 2);
    entry->size_bytes = pf_little_endian(header + 24, 4);
    entry->header_offset = pf_little_endian(header + 42, 4);
    uint64_t length =
        DIRECTORY_ENTRY_SIZE + entry->name_size + extra_size + pf_little_endian(header + 32, 2);
    if (length > end - *at) return damaged(zip, "its directory ends early", err);
    entry->name = (const char *)header + DIRECTORY_ENTRY_SIZE;
    uint64_t *fields[] = {&entry->size_bytes, &packed, &entry->header_offset};
    if (read_zip64(header + DIRECTORY_ENTRY_SIZE + entry->name_size, extra_size, fields, 3))
        return damaged(zip, "a 64-bit size is missing", err);
    entry->is_plain = !(flags & 1) && method == 0 && packed == entry->size_bytes;
    *at += length;
    return 0;
}

static int compare_names(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, pf_min_size(a_size, b_size));
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare_entries(const void *a, const void *b)
{
    const ZipEntry *left = a, *right = b;
    return compare_names(left->name, left->name_size, right->name, right->name_size);
}

/* Reads the central directory of the archive in bytes, which must outlive *zip. Free with
 * close_zip, also after a failure. */
static int open_zip(const char *source, const uint8_t *bytes, size_t size, Zip *zip, PfError *err)
{
    *zip = (Zip){.source = source, .bytes = bytes, .size = size};
    uint64_t at = 0, directory_size = 0, count = 0;
    if (locate_directory(zip, &at, &directory_size, &count, err)) return -1;
    zip->entries = pf_calloc((size_t)count, sizeof *zip->entries, err);
    if (!zip->entries) return -1;
    uint64_t end = at + directory_size;
    for (; zip->entry_count < count; zip->entry_count++)
        if (read_entry(zip, &at, end, &zip->entries[zip->entry_count], err)) return -1;
    qsort(zip->entries, zip->entry_count, sizeof *zip->entries, compare_entries);
    for (size_t i = 1; i < zip->entry_count; i++)
        if (!compare_entries(&zip->entries[i - 1], &zip->entries[i]))
            return damaged(zip, "a name comes twice", err);
    return 0;
}

static void close_zip(Zip *zip)
{
    free(zip->entries);
    *zip = (Zip){0};
}

/* NULL if there is none. */
static const ZipEntry *find_entry(const Zip *zip, const char *name, size_t name_size)
{
    ZipEntry key = {.name = name, .name_size = name_size};
    if (!zip->entry_count) return NULL;
    return bsearch(&key, zip->entries, zip->entry_count, sizeof key, compare_entries);
}

/* Where the entry's bytes are; checks that they lie inside the archive. */
static int locate_entry(const Zip *zip, const ZipEntry *entry, const uint8_t **data, PfError *err)
{
    if (!entry->is_plain) {
        char name[PF_PRINTABLE_SIZE];
        return pf_fail(err, PF_EXIT_FAILED,
                       "weights '%s': '%s' is compressed; torch.save never does that. Hint: load "
                       "the file in Python and save it again",
                       zip->source, pf_printable_text(entry->name, entry->name_size, name));
    }
    uint64_t at = entry->header_offset;
    if (zip->size < LOCAL_HEADER_SIZE || at > zip->size - LOCAL_HEADER_SIZE ||
        !has_signature(zip->bytes + at, "\3\4"))
        return damaged(zip, "an entry is not where its directory says", err);
    const uint8_t *header = zip->bytes + at;
    at += LOCAL_HEADER_SIZE + pf_little_endian(header + 26, 2) + pf_little_endian(header + 28, 2);
    if (at > zip->size || entry->size_bytes > zip->size - at)
        return damaged(zip, "an entry ends outside the file", err);
    *data = zip->bytes + at;
    return 0;
}

/* ==== since torch 1.6 ==== */

/* torch.save files since torch 1.6: a zip archive with <prefix>/data.pkl and one
 * entry <prefix>/data/<key> per storage. */

#define PICKLE_ENTRY "/data.pkl"
#define NAME_ROOM 512

/* Builds "<prefix><suffix><key>" and looks it up. */
static const ZipEntry *find_in_archive(const Zip *zip, PfPickleText prefix, const char *suffix,
                                       PfPickleText key)
{
    char name[NAME_ROOM];
    size_t suffix_size = strlen(suffix), size = prefix.size + suffix_size + key.size;
    if (prefix.size > NAME_ROOM || key.size > NAME_ROOM || size > NAME_ROOM) return NULL;
    memcpy(name, prefix.bytes, prefix.size);
    memcpy(name + prefix.size, suffix, suffix_size);
    memcpy(name + prefix.size + suffix_size, key.bytes, key.size);
    return find_entry(zip, name, size);
}

/* Finds <prefix>/data.pkl and refuses archives that are something else. */
static int find_pickle(const Zip *zip, PfPickleText *prefix, const ZipEntry **pickle, PfError *err)
{
    const size_t suffix_size = strlen(PICKLE_ENTRY);
    const PfPickleText none = {"", 0};
    *pickle = NULL;
    for (size_t i = 0; i < zip->entry_count && !*pickle; i++) {
        const ZipEntry *entry = &zip->entries[i];
        if (entry->name_size <= suffix_size) continue;
        *prefix = (PfPickleText){entry->name, entry->name_size - suffix_size};
        if (!memcmp(entry->name + prefix->size, PICKLE_ENTRY, suffix_size) &&
            !memchr(prefix->bytes, '/', prefix->size))
            *pickle = entry;
    }
    const char *what =
        *pickle ? NULL : pf_foreign_file_what(zip->bytes, zip->size, PF_FOREIGN_AS_WEIGHTS);
    if (what) return pf_fail(err, PF_EXIT_FAILED, "weights '%s': this is %s", zip->source, what);
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
    const ZipEntry *byteorder = find_in_archive(zip, *prefix, "/byteorder", none);
    if (byteorder && locate_entry(zip, byteorder, &order, err)) return -1;
    if (byteorder && (byteorder->size_bytes != 6 || memcmp(order, "little", 6)))
        return pf_fail(err, PF_EXIT_FAILED,
                       "weights '%s': saved on a big-endian machine, which is not read",
                       zip->source);
    return 0;
}

static int locate_storages(PfWeights *weights, const Zip *zip, PfPickleText prefix,
                           const PfPickle *pickle, PfError *err)
{
    for (size_t i = 0; i < pickle->storage_count; i++) {
        PfPickleStorage *storage = pickle->storages[i];
        const ZipEntry *entry = find_in_archive(zip, prefix, "/data/", storage->key);
        const uint8_t *data;
        if (!entry) {
            char key[PF_PRINTABLE_SIZE];
            return pf_fail(err, PF_EXIT_FAILED, "weights '%s': storage '%s' is missing in it",
                           weights->source,
                           pf_printable_text(storage->key.bytes, storage->key.size, key));
        }
        if (locate_entry(zip, entry, &data, err) ||
            pf_state_dict_place_storage(weights, storage, data, entry->size_bytes, err))
            return -1;
    }
    return 0;
}

static int read_archive(PfWeights *weights, const Zip *zip, PfPickle *pickle, PfError *err)
{
    PfPickleText prefix = {0};
    const ZipEntry *entry;
    const uint8_t *bytes;
    return find_pickle(zip, &prefix, &entry, err) || locate_entry(zip, entry, &bytes, err) ||
                   pf_pickle_read(&pf_pickle_weights, weights->source, bytes,
                                  (size_t)entry->size_bytes, pickle, err) ||
                   locate_storages(weights, zip, prefix, pickle, err) ||
                   pf_state_dict_add(weights, pickle->root, err)
               ? -1
               : 0;
}

int pf_weights_read_pth(PfWeights *weights, PfError *err)
{
    Zip zip;
    PfPickle pickle = {0};
    int failed = open_zip(weights->source, weights->bytes, weights->size, &zip, err) ||
                 read_archive(weights, &zip, &pickle, err);
    pf_pickle_free(&pickle);
    close_zip(&zip);
    return failed ? -1 : 0;
}

/* ==== before torch 1.6 ==== */

/* torch.save files before torch 1.6: a magic number, a protocol version, facts
 * about the machine, the object, and the list of storage keys, each a pickle;
 * then for every key its number of elements (int64) and their bytes. */

#define LEGACY_PROTOCOL 1001

/* A position in the file. */
typedef struct Cursor {
    PfWeights *weights;
    size_t at;
} Cursor;

static int next_pickle(Cursor *cursor, PfPickle *pickle, PfError *err)
{
    const PfWeights *weights = cursor->weights;
    if (pf_pickle_read(&pf_pickle_weights, weights->source, weights->bytes + cursor->at,
                       weights->size - cursor->at, pickle, err))
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
    int order = memcmp(a.bytes, b.bytes, pf_min_size(a.size, b.size));
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
