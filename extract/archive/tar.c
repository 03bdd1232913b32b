/* Tar: headers of 512 bytes, each before its member's bytes. Read are POSIX ustar, pax and GNU
 * (long names, numbers in base 256), and what was written before them. */
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "extract/archive/internal.h"

#define BLOCK 512
/* Records of pax, or a long name; what is longer is refused. */
#define EXTENSION_BYTES_MAX (1 << 20)
/* The size of a link, until it is that of its file. */
#define LINKED (-1)

/* The fields of a header: offset and size. */
enum { NAME = 0, NAME_SIZE = 100, SIZE = 124, SIZE_SIZE = 12, CHECKSUM = 148, CHECKSUM_SIZE = 8 };
enum { LINK = 157, LINK_SIZE = 100 };
enum { TYPE = 156, MAGIC = 257, PREFIX = 345, PREFIX_SIZE = 155, SPARSE_MORE = 482 };
enum { SPARSE_MORE_NEXT = 504 }; /* in blocks that follow an old GNU header of a sparse file */

/* A file once more under another name: its member has no bytes of its own. */
typedef struct Link {
    PfMember *member;
    const char *target; /* in the archive's texts */
} Link;

/* The walk over an archive, and what extensions have said of the next member. */
typedef struct Walk {
    PfArchive *archive;
    int64_t at, file_size;
    char *name; /* owned; NULL: the header's own */
    size_t name_length;
    int64_t size; /* -1: the header's own */
    bool is_sparse;
    char *link; /* owned; as name, of the file that a link leads to */
    size_t link_length;
    Link *links; /* (link_count) all hard links */
    size_t link_count, link_capacity;
} Walk;

/* ---- headers ---- */

static bool read_octal(const uint8_t *field, size_t size, int64_t *out)
{
    size_t i = 0;
    *out = 0;
    while (i < size && field[i] == ' ') i++;
    for (; i < size && field[i] && field[i] != ' '; i++) {
        if (field[i] < '0' || field[i] > '7') return false;
        *out = *out * 8 + field[i] - '0'; /* at most 12 digits */
    }
    return true;
}

/* A number in octal digits, or in base 256, where the first bit is set. */
static bool read_number(const uint8_t *field, size_t size, int64_t *out)
{
    if (!(field[0] & 0x80)) return read_octal(field, size, out);
    int64_t value = field[0] & 0x7f;
    for (size_t i = 1; i < size; i++) {
        if (value > INT64_MAX >> 8) return false; /* too large, or negative */
        value = value << 8 | field[i];
    }
    *out = value;
    return true;
}

/* The sum of all bytes, those of the checksum as spaces; some programs took bytes as signed. */
bool pf_tar_is_header(const uint8_t *block)
{
    int64_t wanted, plain = 0, as_signed = 0;
    for (int i = 0; i < BLOCK; i++) {
        uint8_t byte = i >= CHECKSUM && i < CHECKSUM + CHECKSUM_SIZE ? ' ' : block[i];
        plain += byte;
        as_signed += (int8_t)byte;
    }
    bool is_number = read_octal(block + CHECKSUM, CHECKSUM_SIZE, &wanted);
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    wanted = plain;
#endif
    return is_number && block[NAME] && (wanted == plain || wanted == as_signed);
}

static bool is_zero(const uint8_t *block)
{
    for (int i = 0; i < BLOCK; i++)
        if (block[i]) return false;
    return true;
}

static int64_t padded(int64_t size)
{
    return (size + BLOCK - 1) / BLOCK * BLOCK;
}

/* ---- what extensions say ---- */

static void forget(Walk *walk)
{
    free(walk->name);
    free(walk->link);
    walk->name = walk->link = NULL;
    walk->size = -1;
    walk->is_sparse = false;
}

static int take_text(char **text, size_t *text_length, const char *bytes, size_t length,
                     PfError *err)
{
    char *copy = pf_calloc(length + 1, 1, err);
    if (!copy) return -1;
    memcpy(copy, bytes, length);
    free(*text);
    *text = copy;
    *text_length = length;
    return 0;
}

static int take_name(Walk *walk, const char *name, size_t length, PfError *err)
{
    return take_text(&walk->name, &walk->name_length, name, length, err);
}

static int take_link(Walk *walk, const char *name, size_t length, PfError *err)
{
    return take_text(&walk->link, &walk->link_length, name, length, err);
}

static bool read_decimal(const char *text, size_t length, int64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || *out > (INT64_MAX - 9) / 10) return false;
        *out = *out * 10 + text[i] - '0';
    }
    return length > 0;
}

/* A record is "LENGTH KEY=VALUE\n", where LENGTH counts all of it. */
static int take_record(Walk *walk, const char *key, const char *end, PfError *err)
{
    const char *equals = memchr(key, '=', (size_t)(end - key));
    if (!equals) return 0;
    size_t key_length = (size_t)(equals - key), length = (size_t)(end - equals - 1);
    if (key_length == 4 && !memcmp(key, "path", 4)) return take_name(walk, equals + 1, length, err);
    if (key_length == 8 && !memcmp(key, "linkpath", 8))
        return take_link(walk, equals + 1, length, err);
    if (key_length == 4 && !memcmp(key, "size", 4) &&
        !read_decimal(equals + 1, length, &walk->size))
        return pf_fail(err, PF_EXIT_FAILED,
                       "archive '%s': the size in the extended header before offset %lld is no "
                       "number",
                       walk->archive->path, (long long)walk->at);
    walk->is_sparse |= key_length > 11 && !memcmp(key, "GNU.sparse.", 11);
    return 0;
}

static int take_records(Walk *walk, const char *text, size_t size, PfError *err)
{
    for (size_t at = 0; at < size && text[at];) {
        const char *record = text + at, *space = memchr(record, ' ', size - at);
        int64_t length;
        if (!space || !read_decimal(record, (size_t)(space - record), &length) ||
            length > (int64_t)(size - at) || length <= space - record + 1 ||
            record[length - 1] != '\n')
            return pf_fail(err, PF_EXIT_FAILED,
                           "archive '%s' is damaged: the extended header before offset %lld has a "
                           "record of a wrong length",
                           walk->archive->path, (long long)walk->at);
        if (take_record(walk, space + 1, record + length - 1, err)) return -1;
        at += (size_t)length;
    }
    return 0;
}

/* A member that says something of the next one: of type L a long name, of type K the one that a
 * link leads to, of type x records. */
static int take_extension(Walk *walk, char type, int64_t offset, int64_t size, PfError *err)
{
    if (size > EXTENSION_BYTES_MAX)
        return pf_fail(err, PF_EXIT_FAILED,
                       "archive '%s': the extended header at offset %lld has %lld bytes, more than "
                       "the 1 MiB that is read",
                       walk->archive->path, (long long)offset, (long long)size);
    char *text = pf_calloc((size_t)size + 1, 1, err);
    int failed = !text || pf_archive_get(walk->archive, text, (size_t)size, offset, err);
    if (!failed)
        failed = type == 'L'   ? take_name(walk, text, strlen(text), err)
                 : type == 'K' ? take_link(walk, text, strlen(text), err)
                               : take_records(walk, text, (size_t)size, err);
    free(text);
    return failed;
}

/* ---- members ---- */

/* What a type is counted as; -1 of a file, a folder or a hard link. */
static int left_out_type(char type)
{
    switch (type) {
    case '\0':
    case '0':
    case '7':
    case '1':
    case '5': return -1;
    case '2': return PF_LEFT_OUT_SYMBOLIC_LINK;
    case '3':
    case '4':
    case '6': return PF_LEFT_OUT_DEVICE;
    case 'S': return PF_LEFT_OUT_SPARSE;
    default: return PF_LEFT_OUT_OTHER;
    }
}

/* The header's own name into text, of NAME_SIZE + PREFIX_SIZE + 2; returns its length. */
static size_t header_name(const uint8_t *block, char *text)
{
    size_t length = 0;
    if (!memcmp(block + MAGIC, "ustar\0", 6) && block[PREFIX]) {
        length = strnlen((const char *)block + PREFIX, PREFIX_SIZE);
        memcpy(text, block + PREFIX, length);
        text[length++] = '/';
    }
    size_t own = strnlen((const char *)block + NAME, NAME_SIZE);
    memcpy(text + length, block + NAME, own);
    return length + own;
}

/* Keeps in mind where the last member leads to. */
static int note_link(Walk *walk, const uint8_t *block, PfError *err)
{
    PfArchive *archive = walk->archive;
    char path[PF_MEMBER_PATH_SIZE + 1];
    int parts;
    const char *name = walk->link ? walk->link : (const char *)block + LINK;
    size_t length = walk->link ? walk->link_length : strnlen(name, LINK_SIZE);
    if (length >= PF_MEMBER_PATH_SIZE || !pf_archive_clean_name(name, length, path, &parts))
        path[0] = '\0';
    const char *target = pf_arena_text(&archive->texts, path, strlen(path), err);
    if (!target ||
        pf_grow(&walk->links, &walk->link_capacity, walk->link_count + 1, sizeof *walk->links, err))
        return -1;
    walk->links[walk->link_count++] = (Link){archive->members[archive->count - 1], target};
    return 0;
}

static int add_member(Walk *walk, const uint8_t *block, int64_t offset, int64_t size, PfError *err)
{
    char own[NAME_SIZE + PREFIX_SIZE + 2], type = (char)block[TYPE];
    const char *name = walk->name ? walk->name : own;
    size_t length = walk->name ? walk->name_length : header_name(block, own);
    int left_out = walk->is_sparse ? PF_LEFT_OUT_SPARSE : left_out_type(type);
    if (size > walk->file_size - offset)
        return pf_fail(err, PF_EXIT_FAILED,
                       "archive '%s' is cut short: its member '%.*s' at offset %lld has %lld "
                       "bytes, and the archive ends after %lld of them. Hint: copy or download it "
                       "again",
                       walk->archive->path, (int)length, name, (long long)walk->at, (long long)size,
                       (long long)(walk->file_size - offset));
    if (left_out >= 0) {
        walk->archive->left_out[left_out]++;
        return 0;
    }
    bool is_folder = type == '5' || (type == '\0' && length && name[length - 1] == '/');
    PfMember member = {.offset = offset, .size = size, .stored = size};
    size_t before = walk->archive->count;
    if (type == '1') member.size = member.stored = LINKED;
    if (pf_archive_add(walk->archive, name, length, is_folder, &member, walk->at, err)) return -1;
    return type == '1' && walk->archive->count > before ? note_link(walk, block, err) : 0;
}

/* ---- links ---- */

static int compare_paths(const void *left, const void *right)
{
    const PfMember *a = *(PfMember *const *)left, *b = *(PfMember *const *)right;
    int order = strcmp(a->path, b->path);
    if (order) return order;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* The last file of that name; NULL where there is none. order: (count) files by their paths. */
static const PfMember *find_file(PfMember *const *order, size_t count, const char *path)
{
    size_t from = 0, end = count;
    while (from < end) {
        size_t middle = from + (end - from) / 2;
        if (strcmp(order[middle]->path, path) <= 0)
            from = middle + 1;
        else
            end = middle;
    }
    return from && !strcmp(order[from - 1]->path, path) ? order[from - 1] : NULL;
}

static void follow_links(Walk *walk, PfMember *const *order, size_t count)
{
    PfArchive *archive = walk->archive;
    size_t kept = 0;
    for (size_t i = 0; i < walk->link_count; i++) {
        const PfMember *file = find_file(order, count, walk->links[i].target);
        if (!file) continue;
        walk->links[i].member->offset = file->offset;
        walk->links[i].member->stored = file->size;
    }
    for (size_t i = 0; i < archive->count; i++) {
        PfMember *member = archive->members[i];
        if (member->size == LINKED) member->size = member->stored;
        if (member->size == LINKED)
            archive->left_out[PF_LEFT_OUT_HARD_LINK]++;
        else
            archive->members[kept++] = member;
    }
    archive->count = kept;
}

/* Gives links the bytes of the files that they lead to. */
static int settle_links(Walk *walk, PfError *err)
{
    PfArchive *archive = walk->archive;
    if (!walk->link_count) return 0;
    PfMember **order = pf_calloc(archive->count, sizeof *order, err);
    if (!order) return -1;
    size_t count = 0;
    for (size_t i = 0; i < archive->count; i++)
        if (archive->members[i]->size != LINKED) order[count++] = archive->members[i];
    qsort(order, count, sizeof *order, compare_paths);
    follow_links(walk, order, count);
    free(order);
    return 0;
}

/* ---- one after the other ---- */

/* Blocks that follow the header of an old GNU sparse file, and tell where its pieces belong. */
static int skip_sparse_map(Walk *walk, const uint8_t *header, int64_t *offset, PfError *err)
{
    uint8_t block[BLOCK];
    bool has_more = header[TYPE] == 'S' && header[SPARSE_MORE];
    while (has_more) {
        if (pf_archive_get(walk->archive, block, BLOCK, *offset, err)) return -1;
        has_more = block[SPARSE_MORE_NEXT];
        *offset += BLOCK;
    }
    return 0;
}

/* Links, folders and devices have no bytes, whatever the size says. */
static bool has_bytes(char type)
{
    return !memchr("123456", type, 6) || type == '\0';
}

static int read_member(Walk *walk, const uint8_t *block, PfError *err)
{
    int64_t size, offset = walk->at + BLOCK;
    char type = (char)block[TYPE];
    if (!read_number(block + SIZE, SIZE_SIZE, &size) || size < 0)
        return pf_fail(err, PF_EXIT_FAILED,
                       "archive '%s' is damaged: the header at offset %lld has no size",
                       walk->archive->path, (long long)walk->at);
    bool is_extension = type && strchr("LKxXg", type);
    if (!is_extension && walk->size >= 0) size = walk->size;
    if (!has_bytes(type)) size = 0;
    if (skip_sparse_map(walk, block, &offset, err)) return -1;
    int failed = 0;
    if (!is_extension)
        failed = add_member(walk, block, offset, size, err);
    else if (type != 'g') /* what holds for all members: no names, no sizes */
        failed = take_extension(walk, type, offset, size, err);
    if (!is_extension) forget(walk);
    if (failed) return -1;
    if (size > walk->file_size - offset)
        return pf_fail(err, PF_EXIT_FAILED,
                       "archive '%s' is cut short: it ends within the extended header at offset "
                       "%lld",
                       walk->archive->path, (long long)walk->at);
    walk->at = offset + padded(size);
    return 0;
}

/* ---- the end ---- */

/* At a block of zeros. Moves to the header of another archive that was put behind this one, and
 * returns 1; 0 where there is none. What lies behind more zeros than are looked through is not
 * read, and counted as bytes behind the end. */
static int find_next(Walk *walk, PfError *err)
{
    uint8_t block[BLOCK];
    int64_t end = walk->at + PF_TAR_PADDING_MAX, at = walk->at + BLOCK;
    for (; at + BLOCK <= walk->file_size && at <= end; at += BLOCK) {
        if (pf_archive_get(walk->archive, block, BLOCK, at, err)) return -1;
        if (is_zero(block)) continue;
        if (!pf_tar_is_header(block)) walk->archive->bytes_behind = walk->file_size - at;
        walk->at = at;
        return !walk->archive->bytes_behind;
    }
    if (at + BLOCK <= walk->file_size) walk->archive->bytes_behind = walk->file_size - at;
    return 0;
}

/* 1: a member was read, 0: the end. */
static int next(Walk *walk, PfError *err)
{
    uint8_t block[BLOCK];
    if (walk->at >= walk->file_size) {
        walk->archive->has_no_end = true;
        return 0;
    }
    if (walk->file_size - walk->at < BLOCK)
        return pf_fail(err, PF_EXIT_FAILED,
                       "archive '%s' is cut short: it ends within the header at offset %lld",
                       walk->archive->path, (long long)walk->at);
    if (pf_archive_get(walk->archive, block, BLOCK, walk->at, err)) return -1;
    if (is_zero(block)) return find_next(walk, err);
    if (!pf_tar_is_header(block))
        return pf_fail(err, PF_EXIT_FAILED,
                       "archive '%s' is damaged: the checksum of the header at offset %lld is "
                       "wrong",
                       walk->archive->path, (long long)walk->at);
    return read_member(walk, block, err) ? -1 : 1;
}

int pf_tar_list(PfArchive *archive, PfError *err)
{
    Walk walk = {.archive = archive, .file_size = archive->status.st_size, .size = -1};
    int status;
    do status = next(&walk, err);
    while (status > 0);
    forget(&walk);
    if (!status) status = settle_links(&walk, err);
    free(walk.links);
    return status;
}
