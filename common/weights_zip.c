/* Layout: PKWARE, .ZIP File Format Specification 6.3.10, sections 4.3 and 4.5.3. */
#include "weights_zip.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "weights_internal.h"

enum {
    END_SIZE = 22, /* end of central directory, without its comment */
    END_COMMENT_MAX = 65535,
    END64_LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    DIRECTORY_ENTRY_SIZE = 46, /* without name, extra field and comment */
    LOCAL_HEADER_SIZE = 30,
    EXTRA_ZIP64 = 1,
};

static int damaged(const PfZip *zip, const char *what, PfError *err)
{
    return pf_fail(
        err, PF_EXIT_FAILED,
        "weights '%s': its zip archive is damaged (%s). Was the download or copy cut off?",
        zip->source, what);
}

static int has_signature(const uint8_t *bytes, const char kind[2])
{
    return bytes[0] == 'P' && bytes[1] == 'K' && bytes[2] == kind[0] && bytes[3] == kind[1];
}

/* The last end-of-central-directory record; NULL if there is none. */
static const uint8_t *find_end(const PfZip *zip)
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
static int locate_directory(const PfZip *zip, uint64_t *offset, uint64_t *size, uint64_t *count,
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
static int read_entry(const PfZip *zip, uint64_t *at, uint64_t end, PfZipEntry *entry, PfError *err)
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
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare_entries(const void *a, const void *b)
{
    const PfZipEntry *left = a, *right = b;
    return compare_names(left->name, left->name_size, right->name, right->name_size);
}

int pf_zip_open(const char *source, const uint8_t *bytes, size_t size, PfZip *zip, PfError *err)
{
    *zip = (PfZip){.source = source, .bytes = bytes, .size = size};
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

void pf_zip_close(PfZip *zip)
{
    free(zip->entries);
    *zip = (PfZip){0};
}

const PfZipEntry *pf_zip_find(const PfZip *zip, const char *name, size_t name_size)
{
    PfZipEntry key = {.name = name, .name_size = name_size};
    if (!zip->entry_count) return NULL;
    return bsearch(&key, zip->entries, zip->entry_count, sizeof key, compare_entries);
}

int pf_zip_data(const PfZip *zip, const PfZipEntry *entry, const uint8_t **data, PfError *err)
{
    if (!entry->is_plain) {
        char name[PF_PRINTABLE_SIZE];
        return pf_fail(err, PF_EXIT_FAILED,
                       "weights '%s': '%s' is compressed; torch.save never does that. Hint: load "
                       "the file in Python and save it again",
                       zip->source, pf_printable(entry->name, entry->name_size, name));
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
