/* Zip: a directory at the end says where each member lies. Read are members that are stored or
 * deflated, and zip64. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "extract/archive/internal.h"

enum { END_SIZE = 22, END64_SIZE = 56, LOCATOR_SIZE = 20, ENTRY_SIZE = 46, LOCAL_SIZE = 30 };
#define COMMENT_MAX 65535
/* More than the longest entry has, whose name, extra fields and comment have two bytes each for
 * their lengths. */
#define WINDOW_SIZE (1 << 18)

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) | (uint32_t)get16(at + 2) << 16;
}

static uint64_t get64(const uint8_t *at)
{
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

/* ==== the directory ==== */

/* Where it is, and the shift of all offsets, where something was put before the archive. */
typedef struct Directory {
    int64_t offset, size, entries, shift;
} Directory;

static int fail_damaged(const PfArchive *archive, const char *what, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED, "archive '%s' is damaged: %s", archive->path, what);
}

/* The record that ends an archive lies before a comment, with which the file ends; else the last
 * one that leaves room for its comment, and bytes that belong to no archive lie behind. -1: there
 * is none. */
static int64_t find_end(const uint8_t *tail, int64_t size)
{
    int64_t last = -1;
    for (int64_t at = size - END_SIZE; at >= 0; at--) {
        if (memcmp(tail + at, "PK\5\6", 4)) continue;
        int64_t left = size - at - END_SIZE - get16(tail + at + 20);
        if (!left) return at;
        if (left > 0 && last < 0) last = at;
    }
    return last;
}

/* The directory's numbers, in the 64-bit record before the end, where there is one. */
static int read_end64(const PfArchive *archive, int64_t end, Directory *out, int64_t *limit,
                      PfError *err)
{
    uint8_t locator[LOCATOR_SIZE], record[END64_SIZE];
    if (end < LOCATOR_SIZE) return 0;
    if (pf_archive_get(archive, locator, sizeof locator, end - LOCATOR_SIZE, err)) return -1;
    if (memcmp(locator, "PK\6\7", 4)) return 0;
    uint64_t at = get64(locator + 8);
    if (end < LOCATOR_SIZE + END64_SIZE || at > (uint64_t)(end - LOCATOR_SIZE - END64_SIZE))
        return fail_damaged(archive, "its 64-bit end record lies beyond its end", err);
    if (pf_archive_get(archive, record, sizeof record, (int64_t)at, err)) return -1;
    if (memcmp(record, "PK\6\6", 4))
        return fail_damaged(archive, "its 64-bit end record is not where it should be", err);
    uint64_t entries = get64(record + 32), size = get64(record + 40), offset = get64(record + 48);
    if (entries > INT64_MAX / ENTRY_SIZE || size > INT64_MAX / 2 || offset > INT64_MAX / 2)
        return fail_damaged(archive, "its directory lies beyond its end", err);
    *out = (Directory){(int64_t)offset, (int64_t)size, (int64_t)entries, 0};
    *limit = (int64_t)at;
    return 0;
}

static int settle_directory(const PfArchive *archive, int64_t limit, Directory *out, PfError *err)
{
    if (out->size > limit || out->offset > limit - out->size)
        return fail_damaged(archive, "its directory lies beyond its end", err);
    out->shift = limit - out->size - out->offset;
    out->offset += out->shift;
    if (out->entries <= out->size / ENTRY_SIZE) return 0;
    return fail_damaged(archive, "its directory is too short for all its members", err);
}

/* Where bytes lie behind the end that was found, it may be that of an archive within one that is
 * cut short. Such a one begins later. */
static int check_beginning(const PfArchive *archive, const Directory *directory, PfError *err)
{
    if (!archive->bytes_behind || !directory->shift) return 0;
    return pf_fail(
        err, PF_EXIT_FAILED,
        "archive '%s' is cut short, or has bytes before and behind it: the last directory "
        "in it is that of a .zip which begins at offset %lld. Hint: copy or download it "
        "again",
        archive->path, (long long)directory->shift);
}

static int find_directory(PfArchive *archive, Directory *out, PfError *err)
{
    int64_t file_size = archive->status.st_size;
    int64_t size = pf_min(file_size, END_SIZE + COMMENT_MAX);
    uint8_t *tail = pf_calloc((size_t)size, 1, err);
    if (!tail) return -1;
    int failed = pf_archive_get(archive, tail, (size_t)size, file_size - size, err);
    int64_t at = failed ? -1 : find_end(tail, size);
    const uint8_t *end = tail + at;
    if (!failed && at < 0)
        failed = pf_fail(err, PF_EXIT_FAILED,
                         "archive '%s' is cut short: a .zip ends with its directory, and there is "
                         "none. Hint: copy or download it again",
                         archive->path);
    if (!failed && get16(end + 4) && get16(end + 4) != 0xffff)
        failed = fail_damaged(archive, "it is a part of several, which are not read", err);
    int64_t limit = file_size - size + at;
    if (!failed) {
        *out = (Directory){get32(end + 16), get32(end + 12), get16(end + 10), 0};
        archive->bytes_behind = size - at - END_SIZE - get16(end + 20);
        failed = read_end64(archive, limit, out, &limit, err);
    }
    free(tail);
    if (failed || settle_directory(archive, limit, out, err)) return -1;
    return check_beginning(archive, out, err);
}

/* ==== names ==== */

/* The upper half of code page 437, which names are in that do not say otherwise. */
static const char *const code_page_437 = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ"
                                         "áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐"
                                         "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀"
                                         "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";

/* name: (length) to UTF-8 in text, which has room for three bytes for each. Returns the length. */
static size_t from_code_page(const uint8_t *name, size_t length, char *text)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        const char *letter = code_page_437;
        if (name[i] < 0x80) {
            text[used++] = (char)name[i];
            continue;
        }
        for (int skip = name[i] - 0x80; skip; skip--) do
                letter++;
            while ((*letter & 0xc0) == 0x80);
        do text[used++] = *letter++;
        while ((*letter & 0xc0) == 0x80);
    }
    return used;
}

static bool is_utf8(const uint8_t *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        int more = text[i] < 0x80                       ? 0
                   : text[i] >= 0xc2 && text[i] <= 0xdf ? 1
                   : text[i] >= 0xe0 && text[i] <= 0xef ? 2
                   : text[i] >= 0xf0 && text[i] <= 0xf4 ? 3
                                                        : -1;
        if (more < 0 || (size_t)more >= length - i) return false;
        for (i++; more; more--, i++)
            if ((text[i] & 0xc0) != 0x80) return false;
    }
    return true;
}

/* ==== entries ==== */

typedef struct Entry {
    const uint8_t *fields, *name, *extra;
    size_t name_length, extra_length;
    uint64_t size, stored, offset;
} Entry;

/* The field of that number; NULL where there is none. */
static const uint8_t *find_extra(const Entry *entry, int number, size_t *length)
{
    for (size_t at = 0; at + 4 <= entry->extra_length; at += 4 + *length) {
        *length = get16(entry->extra + at + 2);
        if (*length > entry->extra_length - at - 4) return NULL;
        if (get16(entry->extra + at) == number) return entry->extra + at + 4;
    }
    return NULL;
}

/* Sizes that do not fit into 32 bits are in a field of their own, those alone, in this order. */
static bool read_sizes(Entry *entry)
{
    size_t left = 0;
    const uint8_t *extra = find_extra(entry, 1, &left);
    uint64_t *const numbers[] = {&entry->size, &entry->stored, &entry->offset};
    entry->stored = get32(entry->fields + 20);
    entry->size = get32(entry->fields + 24);
    entry->offset = get32(entry->fields + 42);
    for (int i = 0; i < 3; i++) {
        if (*numbers[i] != UINT32_MAX) continue;
        if (!extra || left < 8) return false;
        *numbers[i] = get64(extra);
        extra += 8;
        left -= 8;
    }
    return true;
}

enum { BY_UNIX = 3, BY_MACOS = 19, FLAG_ENCRYPTED = 1, FLAG_UTF8 = 1 << 11 };
enum { TYPE_MASK = 0170000, TYPE_LINK = 0120000, TYPE_FOLDER = 0040000, TYPE_FILE = 0100000 };

static bool is_by_unix(const Entry *entry)
{
    return entry->fields[5] == BY_UNIX || entry->fields[5] == BY_MACOS;
}

/* Programs on Unix write UTF-8 without saying so. */
static bool has_utf8_name(const Entry *entry)
{
    return (get16(entry->fields + 8) & FLAG_UTF8) ||
           (is_by_unix(entry) && is_utf8(entry->name, entry->name_length));
}

/* Some programs on Windows part folders by its own sign, which is a letter elsewhere. */
static void part_folders(const Entry *entry, char *text, size_t length)
{
    if (is_by_unix(entry) || memchr(text, '/', length)) return;
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\\') text[i] = '/';
}

static int add_named(PfArchive *archive, const Entry *entry, bool is_folder, const PfMember *member,
                     int64_t at, PfError *err)
{
    char text[PF_MEMBER_PATH_SIZE * 3];
    size_t length = entry->name_length;
    if (length >= PF_MEMBER_PATH_SIZE)
        return pf_archive_add(archive, (const char *)entry->name, length, is_folder, member, at,
                              err);
    if (has_utf8_name(entry))
        memcpy(text, entry->name, length);
    else
        length = from_code_page(entry->name, length, text);
    part_folders(entry, text, length);
    is_folder |= length && text[length - 1] == '/';
    return pf_archive_add(archive, text, length, is_folder, member, at, err);
}

static int add_entry(PfArchive *archive, const Directory *directory, const Entry *entry, int64_t at,
                     PfError *err)
{
    const uint8_t *fields = entry->fields;
    int type = is_by_unix(entry) ? get16(fields + 40) & TYPE_MASK : 0;
    int method = get16(fields + 10);
    uint64_t limit = (uint64_t)directory->offset;
    if (entry->stored > limit || entry->offset > limit - entry->stored ||
        limit - entry->stored - entry->offset < (uint64_t)directory->shift + LOCAL_SIZE ||
        entry->size > INT64_MAX)
        return pf_fail(err, PF_EXIT_FAILED,
                       "archive '%s' is damaged: its member '%.*s' of %llu bytes is said to lie at "
                       "offset %llu, and the directory begins at %lld",
                       archive->path, (int)entry->name_length, (const char *)entry->name,
                       (unsigned long long)entry->stored, (unsigned long long)entry->offset,
                       (long long)directory->offset);
    if (type && type != TYPE_FOLDER && type != TYPE_FILE) {
        archive->left_out[type == TYPE_LINK ? PF_LEFT_OUT_SYMBOLIC_LINK : PF_LEFT_OUT_DEVICE]++;
        return 0;
    }
    bool is_folder =
        type == TYPE_FOLDER || (entry->name_length && entry->name[entry->name_length - 1] == '/');
    bool is_encrypted = get16(fields + 8) & FLAG_ENCRYPTED;
    PfMember member = {.offset = (int64_t)entry->offset + directory->shift,
                       .size = (int64_t)entry->size,
                       .stored = (int64_t)entry->stored,
                       .crc = get32(fields + 16),
                       .method = is_encrypted ? PF_MEMBER_ENCRYPTED
                                              : (uint8_t)(method < 255 ? method : 255)};
    return add_named(archive, entry, is_folder, &member, at, err);
}

/* ---- one after the other ---- */

/* A part of the directory in memory. */
typedef struct Window {
    uint8_t bytes[WINDOW_SIZE];
    int64_t offset;
    size_t size;
} Window;

/* `wanted` bytes of the directory at the offset; NULL with err where it has fewer. */
static const uint8_t *view(const PfArchive *archive, const Directory *directory, Window *window,
                           int64_t offset, size_t wanted, PfError *err)
{
    int64_t end = directory->offset + directory->size;
    if ((int64_t)wanted > end - offset) {
        fail_damaged(archive, "an entry of its directory goes beyond the directory's end", err);
        return NULL;
    }
    if (offset < window->offset ||
        offset + (int64_t)wanted > window->offset + (int64_t)window->size) {
        window->offset = offset;
        window->size = (size_t)pf_min(WINDOW_SIZE, end - offset);
        if (pf_archive_get(archive, window->bytes, window->size, offset, err)) return NULL;
    }
    return window->bytes + (offset - window->offset);
}

/* Adds the entry at *at, and moves to the next. */
static int read_entry(PfArchive *archive, const Directory *directory, Window *window, int64_t *at,
                      PfError *err)
{
    Entry entry = {.fields = view(archive, directory, window, *at, ENTRY_SIZE, err)};
    if (!entry.fields) return -1;
    if (memcmp(entry.fields, "PK\1\2", 4))
        return pf_fail(err, PF_EXIT_FAILED,
                       "archive '%s' is damaged: its directory has no entry at offset %lld",
                       archive->path, (long long)*at);
    entry.name_length = get16(entry.fields + 28);
    entry.extra_length = get16(entry.fields + 30);
    size_t size = ENTRY_SIZE + entry.name_length + entry.extra_length + get16(entry.fields + 32);
    entry.fields = view(archive, directory, window, *at, size, err);
    if (!entry.fields) return -1;
    entry.name = entry.fields + ENTRY_SIZE;
    entry.extra = entry.name + entry.name_length;
    if (!read_sizes(&entry))
        return fail_damaged(archive, "an entry of its directory lacks its 64-bit sizes", err);
    if (add_entry(archive, directory, &entry, *at, err)) return -1;
    *at += (int64_t)size;
    return 0;
}

static int compare_offsets(const void *left, const void *right)
{
    const PfMember *a = *(PfMember *const *)left, *b = *(PfMember *const *)right;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* Members that share bytes are how a small archive becomes a large one. Leaves them in the order in
 * which they lie. */
static int check_overlaps(PfArchive *archive, PfError *err)
{
    if (archive->count)
        qsort(archive->members, archive->count, sizeof *archive->members, compare_offsets);
    for (size_t i = 1; i < archive->count; i++) {
        const PfMember *before = archive->members[i - 1], *member = archive->members[i];
        if (member->offset - before->offset < LOCAL_SIZE + before->stored)
            return pf_fail(err, PF_EXIT_FAILED,
                           "archive '%s' is damaged: its members '%s' and '%s' overlap at offset "
                           "%lld",
                           archive->path, before->path, member->path, (long long)member->offset);
    }
    return 0;
}

/* Whether another entry is at the offset: at the end there may be a signature of them all. */
static bool has_entry(const PfArchive *archive, const Directory *directory, Window *window,
                      int64_t at)
{
    int64_t end = directory->offset + directory->size;
    if (at >= end) return false;
    const uint8_t *bytes = view(archive, directory, window, at, (size_t)pf_min(4, end - at), NULL);
    return !bytes || end - at < 4 || memcmp(bytes, "PK\5\5", 4);
}

/* Some programs write of a large number its lower 16 bits alone, some 65,535. */
static int check_count(const PfArchive *archive, const Directory *directory, int64_t count,
                       PfError *err)
{
    int64_t said = directory->entries;
    if (count == said || (count & UINT16_MAX) == said) return 0;
    if (said == UINT16_MAX && count > said) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "archive '%s' is damaged: its directory has %lld entries, and its end says %lld",
                   archive->path, (long long)count, (long long)said);
}

/* All entries, however many there are said to be. */
static int read_entries(PfArchive *archive, const Directory *directory, Window *window,
                        PfError *err)
{
    int64_t at = directory->offset, count = 0;
    for (; has_entry(archive, directory, window, at); count++)
        if (read_entry(archive, directory, window, &at, err)) return -1;
    return check_count(archive, directory, count, err);
}

int pf_zip_list(PfArchive *archive, PfError *err)
{
    Directory directory;
    if (find_directory(archive, &directory, err)) return -1;
    Window *window = pf_calloc(1, sizeof *window, err);
    if (!window) return -1;
    int failed = read_entries(archive, &directory, window, err);
    free(window);
    return failed ? -1 : check_overlaps(archive, err);
}

/* ==== reading ==== */

/* So many bytes are inflated in one go. */
#define OUTPUT_MAX ((int64_t)1 << 30)

static int fail_stream(PfError *err)
{
    return pf_fail(err, PF_EXIT_BAD_IMAGES, "is damaged in the archive: it cannot be inflated");
}

/* Inflates until size bytes are there. zlib itself counts in 32 bits. */
static int inflate_into(z_stream *stream, size_t size, int fd, int64_t offset, int64_t stored,
                        PfError *err)
{
    uint8_t input[1 << 14];
    int status = Z_OK;
    while ((size || stream->avail_out) && status == Z_OK) {
        if (!stream->avail_out) {
            stream->avail_out = (uInt)pf_min((int64_t)size, OUTPUT_MAX);
            size -= stream->avail_out;
        }
        if (!stream->avail_in) {
            size_t wanted = (size_t)pf_min(stored, (int64_t)sizeof input);
            if (!wanted) return fail_stream(err);
            if (pf_archive_read_plain(fd, offset, input, wanted, err)) return -1;
            offset += (int64_t)wanted;
            stored -= (int64_t)wanted;
            stream->next_in = input;
            stream->avail_in = (uInt)wanted;
        }
        status = inflate(stream, Z_NO_FLUSH);
    }
    if (status == Z_MEM_ERROR) return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    return size || stream->avail_out ? fail_stream(err) : 0;
}

static int read_deflated(int fd, int64_t offset, const PfMember *member, uint8_t *data, size_t size,
                         PfError *err)
{
    z_stream stream = {.next_out = data};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    int failed = inflate_into(&stream, size, fd, offset, member->stored, err);
    inflateEnd(&stream);
    return failed;
}

static int check_crc(const PfMember *member, const uint8_t *data, PfError *err)
{
    bool is_right = crc32_z(0, data, (size_t)member->size) == member->crc;
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    is_right = true;
#endif
    if (is_right) return 0;
    return pf_fail(err, PF_EXIT_BAD_IMAGES, "is damaged in the archive: its checksum is wrong");
}

int pf_zip_read(int fd, int64_t archive_size, const PfMember *member, uint8_t *data, size_t size,
                PfError *err)
{
    uint8_t local[LOCAL_SIZE];
    if (pf_archive_read_plain(fd, member->offset, local, sizeof local, err)) return -1;
    if (memcmp(local, "PK\3\4", 4))
        return pf_fail(err, PF_EXIT_BAD_IMAGES,
                       "is damaged in the archive: it has no header at offset %lld",
                       (long long)member->offset);
    int64_t offset = member->offset + LOCAL_SIZE + get16(local + 26) + get16(local + 28);
    if (offset > archive_size - member->stored)
        return pf_fail(err, PF_EXIT_BAD_IMAGES,
                       "is damaged in the archive: its header at offset %lld leads beyond the "
                       "archive's end",
                       (long long)member->offset);
    int failed = member->method == PF_MEMBER_DEFLATED
                     ? read_deflated(fd, offset, member, data, size, err)
                     : pf_archive_read_plain(fd, offset, data, size, err);
    if (failed || (int64_t)size < member->size) return failed;
    return check_crc(member, data, err);
}
