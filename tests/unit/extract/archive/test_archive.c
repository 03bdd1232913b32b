/* Archives: made byte by byte, whole and damaged, listed and read. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "extract/archive/archive.h"

#define BLOCK 512

static char top[64], file[128];
static uint8_t bytes[1 << 23];
static size_t size;
static PfArchive *archive;
static PfError err;

static void begin(void)
{
    strcpy(top, "/tmp/pf_archive_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
    snprintf(file, sizeof file, "%s/a", top);
    memset(bytes, 0, sizeof bytes);
    size = 0;
    archive = NULL;
    err = (PfError){0};
}

static void end(void)
{
    char command[128];
    pf_archive_close(&archive);
    snprintf(command, sizeof command, "rm -rf '%s'", top);
    ck_assert_int_eq(system(command), 0);
}

static void write_file(const char *path, const void *content, size_t length)
{
    FILE *stream = fopen(path, "wb");
    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fwrite(content, 1, length, stream), length);
    ck_assert_int_eq(fclose(stream), 0);
}

/* Lists the first `length` bytes, in memory. */
static int open_first(size_t length)
{
    pf_archive_close(&archive);
    err = (PfError){0};
    int fd = memfd_create("archive", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, length, 0), (ssize_t)length);
    return pf_archive_open(file, fd, true, &archive, &err);
}

/* The same of a file. */
static void open_file(bool keep)
{
    pf_archive_close(&archive);
    write_file(file, bytes, size);
    ck_assert(!pf_archive_open(file, -1, keep, &archive, &err));
}

static void opens(size_t count)
{
    ck_assert_msg(!open_first(size), "%s", err.message);
    ck_assert_uint_eq(archive->count, count);
}

static void refuses(size_t length, const char *words)
{
    ck_assert_int_eq(open_first(length), -1);
    ck_assert_msg(strstr(err.message, words) != NULL, "'%s' lacks '%s'", err.message, words);
    ck_assert_int_eq(err.exit_code, PF_EXIT_FAILED);
    ck_assert_ptr_null(archive);
}

static void has_member(size_t index, const char *path, const char *content)
{
    uint8_t data[4096];
    const PfMember *member = archive->members[index];
    ck_assert_str_eq(member->path, path);
    ck_assert_int_eq(member->size, (int64_t)strlen(content));
    ck_assert_msg(!pf_archive_read(archive, member, data, strlen(content), &err), "%s",
                  err.message);
    ck_assert_mem_eq(data, content, strlen(content));
}

static void is_unreadable(size_t index, int exit_code, const char *words)
{
    static uint8_t data[1 << 16];
    const PfMember *member = archive->members[index];
    err = (PfError){0};
    ck_assert_int_eq(pf_archive_read(archive, member, data, (size_t)member->size, &err), -1);
    ck_assert_msg(strstr(err.message, words) != NULL, "'%s' lacks '%s'", err.message, words);
    ck_assert_int_eq(err.exit_code, exit_code);
}

/* ==== tar ==== */

static void put_octal(uint8_t *field, int digits, size_t value)
{
    for (int i = digits - 1; i >= 0; i--, value /= 8) field[i] = (uint8_t)('0' + value % 8);
}

static void sign(uint8_t *block)
{
    unsigned sum = 0;
    memset(block + 148, ' ', 8);
    for (int i = 0; i < BLOCK; i++) sum += block[i];
    put_octal(block + 148, 6, sum);
    block[154] = 0;
}

/* Adds a header, and content padded to blocks. Returns the header. */
static uint8_t *add(const char *name, char type, const void *content, size_t length)
{
    uint8_t *block = bytes + size;
    memcpy(block, name, strlen(name) < 100 ? strlen(name) : 100);
    put_octal(block + 124, 11, length);
    block[156] = (uint8_t)type;
    memcpy(block + 257, "ustar\00000", 8);
    sign(block);
    if (length) memcpy(block + BLOCK, content, length);
    size += BLOCK + (length + BLOCK - 1) / BLOCK * BLOCK;
    ck_assert_uint_lt(size, sizeof bytes - 4 * BLOCK);
    return block;
}

static void add_text(const char *name, char type, const char *text)
{
    add(name, type, text, strlen(text));
}

static void finish(void)
{
    size += 2 * BLOCK;
}

START_TEST(names_come_in_every_way)
{
    char name[200], record[300];
    add_text("./a//b.jpg", '0', "plain");
    uint8_t *block = add("c.jpg", '0', "prefixed", 8);
    strcpy((char *)block + 345, "far/away");
    sign(block);
    memset(name, 'n', sizeof name);
    name[150] = '\0';
    add("././@LongLink", 'L', name, 151);
    add_text("nnn", '0', "gnu");
    snprintf(record, sizeof record, "%zu path=%s/x.jpg\n11 size=12\n", (size_t)16 + 150, name);
    add_text("PaxHeader", 'x', record);
    block = add("short", '0', "of pax: size", 12);
    strcpy((char *)block + 124, "00000000001"); /* the record counts */
    sign(block);
    block = add("old", '\0', "before ustar", 12);
    memset(block + 257, 0, 8);
    sign(block);
    block = add("base256", '0', "256", 3);
    memset(block + 124, 0, 12);
    block[124] = 0x80;
    block[135] = 3;
    sign(block);
    add_text("/etc/folder", '5', "");
    finish();
    opens(7);
    ck_assert(!archive->has_no_end && !archive->bytes_behind);
    has_member(0, "a/b.jpg", "plain");
    has_member(1, "far/away/c.jpg", "prefixed");
    has_member(2, name, "gnu");
    strcat(name, "/x.jpg");
    has_member(3, name, "of pax: size");
    has_member(4, "old", "before ustar");
    has_member(5, "base256", "256");
    ck_assert_str_eq(archive->members[6]->path, "etc/folder/");
}
END_TEST

START_TEST(what_is_no_file_is_counted)
{
    add_text("link", '2', "");
    add_text("hard", '1', ""); /* to nowhere */
    add_text("device", '3', "");
    add_text("pipe", '6', "");
    add_text("a/../../b", '0', "outside");
    add_text("__MACOSX/._a", '0', "litter");
    add_text("volume", 'V', "");
    add_text("PaxHeader", 'x', "22 GNU.sparse.major=1\n");
    add_text("sparse", '0', "1\n0\n");
    uint8_t *block = add("old sparse", 'S', "", 0);
    block[482] = 1; /* a block more says where its pieces are, and one more behind that */
    sign(block);
    bytes[size + 504] = 1;
    size += 2 * BLOCK;
    add_text("a", '0', "x");
    finish();
    opens(1);
    has_member(0, "a", "x");
    const int64_t wanted[PF_LEFT_OUT_COUNT] = {1, 1, 2, 2, 1, 1, 1};
    for (int kind = 0; kind < PF_LEFT_OUT_COUNT; kind++)
        ck_assert_int_eq(archive->left_out[kind], wanted[kind]);
}
END_TEST

START_TEST(hard_links_are_files)
{
    add_text("link/to itself", '1', "");
    strcpy((char *)bytes + 157, "link/to itself");
    sign(bytes);
    add_text("a.jpg", '0', "one");
    uint8_t *block = add("b.jpg", '1', "", 0);
    strcpy((char *)block + 157, "./a.jpg");
    sign(block);
    add_text("PaxHeader", 'x', "22 linkpath=far/c.jpg\n");
    add_text("d.jpg", '1', "");
    add("././@LongLink", 'K', "far/c.jpg", 10);
    add_text("e.jpg", '1', "");
    add_text("far/c.jpg", '0', "two");
    finish();
    opens(5);
    has_member(0, "a.jpg", "one");
    has_member(1, "b.jpg", "one");
    has_member(2, "d.jpg", "two");
    has_member(3, "e.jpg", "two");
    ck_assert_int_eq(archive->left_out[PF_LEFT_OUT_HARD_LINK], 1);
}
END_TEST

START_TEST(a_link_leads_to_the_last_file_of_its_name)
{
    add_text("a.jpg", '0', "one");
    uint8_t *block = add("b.jpg", '1', "", 0);
    strcpy((char *)block + 157, "a.jpg");
    sign(block);
    add_text("a.jpg", '0', "two");
    block = add("a.jpg", '1', "", 0);
    strcpy((char *)block + 157, "a.jpg");
    sign(block);
    finish();
    opens(4);
    has_member(1, "b.jpg", "two");
    has_member(3, "a.jpg", "two");
}
END_TEST

START_TEST(what_lies_behind_many_zeros_is_told)
{
    add_text("a", '0', "x");
    size_t behind = (1 << 20) + 4 * BLOCK;
    size += behind;
    add_text("b", '0', "y");
    finish();
    opens(1);
    ck_assert_int_ge(archive->bytes_behind, 4 * BLOCK);
    ck_assert_int_lt(archive->bytes_behind, (int64_t)behind);
}
END_TEST

START_TEST(ends_are_told_apart)
{
    add_text("a", '0', "x");
    size_t whole = size;
    finish();
    size += 20 * BLOCK;
    add_text("b", '0', "of another archive that was put behind it");
    finish();
    opens(2);
    bytes[size - 1] = 'x';
    opens(2);
    ck_assert_int_eq(archive->bytes_behind, BLOCK);
    size = whole;
    opens(1);
    ck_assert(archive->has_no_end);
}
END_TEST

/* Cut at every byte: refused, or said, and never read beyond. */
START_TEST(cut_archives_are_refused)
{
    add_text("first.jpg", '0', "one");
    add_text("PaxHeader", 'x', "19 path=second.jpg\n");
    add_text("x", '0', "two");
    finish();
    for (size_t length = 1; length < size - BLOCK; length++) {
        bool refused = open_first(length) != 0;
        if (refused) {
            ck_assert_msg(strstr(err.message, "cut short") || length < BLOCK, "%zu: %s", length,
                          err.message);
            continue;
        }
        bool in_padding = archive->count && length % BLOCK; /* the last bytes of a block are none */
        ck_assert_msg(archive->has_no_end || in_padding || length >= size - 2 * BLOCK, "%zu",
                      length);
    }
    refuses(BLOCK + 2, "its member 'first.jpg' at offset 0 has 3 bytes, and the archive ends "
                       "after 2 of them");
}
END_TEST

/* Every byte of the headers inverted. */
START_TEST(damaged_archives_are_refused)
{
    add_text("first.jpg", '0', "one");
    add_text("PaxHeader", 'x', "19 path=second.jpg\n");
    add_text("x", '0', "two");
    finish();
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0xff;
        bool is_content = i < size - 2 * BLOCK && i / BLOCK % 2;
        bool is_free = i >= size - BLOCK || i % BLOCK == 155; /* behind a checksum's digits */
        if (!open_first(size)) ck_assert_msg(is_content || is_free, "%zu", i);
        bytes[i] ^= 0xff;
    }
    bytes[2 * BLOCK + 3] ^= 1;
    refuses(size, "the checksum of the header at offset 1024 is wrong");
}
END_TEST

START_TEST(lies_are_refused)
{
    uint8_t *block = add("a.jpg", '0', "x", 1);
    finish();
    memset(block + 124, 0xff, 12); /* negative */
    sign(block);
    refuses(size, "has no size");
    memset(block + 124, 0x7f, 12);
    block[124] = 0x80;
    sign(block);
    refuses(size, "has no size");
    strcpy((char *)block + 124, "77777777777");
    sign(block);
    refuses(size, "'a.jpg' at offset 0 has 8589934591 bytes");
    block[156] = 'x';
    sign(block);
    refuses(size, "more than the 1 MiB");
    size = 0;
    memset(bytes, 0, sizeof bytes);
    add_text("PaxHeader", 'x', "99 path=a\n");
    refuses(size, "a record of a wrong length");
    memcpy(bytes + BLOCK, "10 path=\0\n", 10);
    add_text("x", '0', "");
    refuses(size, "has a NUL in it");
    size = 0;
    memset(bytes, 0, sizeof bytes);
    add_text("a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a.jpg", '0', "x");
    refuses(size, "more than 32 folders deep");
}
END_TEST

START_TEST(changed_archives_end_the_run)
{
    add_text("a", '0', "x");
    finish();
    open_file(true);
    write_file(file, bytes, size + BLOCK);
    is_unreadable(0, PF_EXIT_FAILED, "was changed since the run began");
    open_file(false);
    ck_assert_int_eq(archive->fd, -1);
    has_member(0, "a", "x");
    char other[160];
    snprintf(other, sizeof other, "%s.new", file);
    write_file(other, bytes, size);
    ck_assert_int_eq(rename(other, file), 0);
    is_unreadable(0, PF_EXIT_FAILED, "was changed since the run began");
}
END_TEST

/* ==== zip ==== */

typedef struct ZipMember {
    const char *name, *content;
    int method, flags, by; /* by: of which system, 3 is Unix */
    unsigned mode;
} ZipMember;

static void put16(size_t at, unsigned value)
{
    bytes[at] = (uint8_t)value;
    bytes[at + 1] = (uint8_t)(value >> 8);
}

static void put32(size_t at, size_t value)
{
    put16(at, value & 0xffff);
    put16(at + 2, value >> 16 & 0xffff);
}

static size_t deflate_text(const char *text, uint8_t *out, size_t room)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)text,
                       .avail_in = (uInt)strlen(text),
                       .next_out = out,
                       .avail_out = (uInt)room};
    ck_assert_int_eq(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return room - stream.avail_out;
}

static size_t entries[8], locals[8]; /* where they are */

static void make_zip(const ZipMember *members, int count)
{
    size_t stored[8];
    size = 0;
    memset(bytes, 0, sizeof bytes);
    for (int i = 0; i < count; i++) {
        size_t length = strlen(members[i].name);
        locals[i] = size;
        memcpy(bytes + size, "PK\3\4", 4);
        put16(size + 26, (unsigned)length);
        memcpy(bytes + size + 30, members[i].name, length);
        size += 30 + length;
        stored[i] = strlen(members[i].content);
        if (members[i].method == 8)
            stored[i] = deflate_text(members[i].content, bytes + size, 4096);
        else
            memcpy(bytes + size, members[i].content, stored[i]);
        size += stored[i];
    }
    size_t directory = size;
    for (int i = 0; i < count; i++) {
        size_t length = strlen(members[i].name), content = strlen(members[i].content);
        entries[i] = size;
        memcpy(bytes + size, "PK\1\2", 4);
        bytes[size + 5] = (uint8_t)members[i].by;
        put16(size + 8, (unsigned)members[i].flags);
        put16(size + 10, (unsigned)members[i].method);
        put32(size + 16, crc32(0, (const Bytef *)members[i].content, (uInt)content));
        put32(size + 20, stored[i]);
        put32(size + 24, content);
        put16(size + 28, (unsigned)length);
        put16(size + 40, members[i].mode);
        put32(size + 42, locals[i]);
        memcpy(bytes + size + 46, members[i].name, length);
        size += 46 + length;
    }
    memcpy(bytes + size, "PK\5\6", 4);
    put16(size + 8, (unsigned)count);
    put16(size + 10, (unsigned)count);
    put32(size + 12, size - directory);
    put32(size + 16, directory);
    size += 22;
}

static const ZipMember three[] = {{.name = "a/", .content = ""},
                                  {.name = "a/1.jpg", .content = "stored"},
                                  {.name = "a/2.jpg", .content = "deflated deflated", .method = 8}};

START_TEST(zips_are_read)
{
    make_zip(three, 3);
    opens(3);
    ck_assert_str_eq(archive->members[0]->path, "a/");
    has_member(1, "a/1.jpg", "stored");
    has_member(2, "a/2.jpg", "deflated deflated");
    uint8_t head[8];
    ck_assert(!pf_archive_read(archive, archive->members[2], head, 8, &err));
    ck_assert_mem_eq(head, "deflated", 8);
    memmove(bytes + 100, bytes, size); /* a program before it, that would unpack it */
    memset(bytes, 'x', 100);
    memcpy(bytes, "PK\3\4", 4);
    size += 100;
    opens(3);
    has_member(2, "a/2.jpg", "deflated deflated");
}
END_TEST

START_TEST(names_in_zips_have_encodings)
{
    static const ZipMember members[] = {
        {.name = "gr\x81n\\b.jpg", .content = "x"},
        {.name = "gr\xc3\xbcn.jpg", .content = "x", .by = 3},
        {.name = "fl\xc3\xbcg.jpg", .content = "x", .flags = 1 << 11},
        {.name = "link", .content = "x", .by = 3, .mode = 0120777},
        {.name = "\xc3\xbc\\c.jpg", .content = "x", .flags = 1 << 11},
        {.name = "one\\name.jpg", .content = "x", .by = 3},
        {.name = "a/one\\name.jpg", .content = "x"},
    };
    make_zip(members, 7);
    opens(6);
    has_member(0, "gr\xc3\xbcn/b.jpg", "x");
    has_member(1, "gr\xc3\xbcn.jpg", "x");
    has_member(2, "fl\xc3\xbcg.jpg", "x");
    has_member(3, "\xc3\xbc/c.jpg", "x");
    has_member(4, "one\\name.jpg", "x");
    has_member(5, "a/one\\name.jpg", "x");
    ck_assert_int_eq(archive->left_out[PF_LEFT_OUT_SYMBOLIC_LINK], 1);
}
END_TEST

START_TEST(zips_say_what_they_cannot)
{
    static const ZipMember members[] = {{.name = "a", .content = "x", .flags = 1},
                                        {.name = "b", .content = "x", .method = 14},
                                        {.name = "c", .content = "x", .method = 2000}};
    make_zip(members, 3);
    opens(3);
    is_unreadable(0, PF_EXIT_BAD_IMAGES, "is encrypted");
    is_unreadable(1, PF_EXIT_BAD_IMAGES, "LZMA (14)");
    is_unreadable(2, PF_EXIT_BAD_IMAGES, "not known here");
}
END_TEST

START_TEST(zips_that_lie_are_refused)
{
    make_zip(three, 3);
    put32(entries[2] + 42, locals[1]);
    refuses(size, "its members 'a/1.jpg' and 'a/2.jpg' overlap");
    make_zip(three, 3);
    put32(entries[1] + 20, 100000);
    refuses(size, "its member 'a/1.jpg' of 100000 bytes is said to lie at offset");
    make_zip(three, 3);
    put32(entries[1] + 42, 0xffffffff);
    refuses(size, "lacks its 64-bit sizes");
    make_zip(three, 3);
    put16(size - 12, 60000);
    refuses(size, "too short for all its members");
    make_zip(three, 3);
    put32(size - 10, 100000);
    refuses(size, "lies beyond its end");
    make_zip(three, 3);
    put16(entries[2] + 30, 60000);
    refuses(size, "goes beyond the directory's end");
    make_zip(three, 3);
    put32(entries[2] + 24, 1 << 29); /* of some twenty bytes */
    opens(3);
    ck_assert_int_eq(pf_archive_check_member(archive->members[2], &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "cannot be the 536870912"));
    ck_assert_int_eq(err.exit_code, PF_EXIT_BAD_IMAGES);
    make_zip(three, 3);
    put32(entries[2] + 24, 200);
    opens(3);
    is_unreadable(2, PF_EXIT_BAD_IMAGES, "cannot be inflated");
    make_zip(three, 3);
    put32(entries[1] + 16, 1);
    opens(3);
    is_unreadable(1, PF_EXIT_BAD_IMAGES, "its checksum is wrong");
}
END_TEST

/* So many empty members, of the same name. */
static void make_large_zip(size_t count)
{
    enum { LOCAL = 31, ENTRY = 47 };
    memset(bytes, 0, sizeof bytes);
    for (size_t i = 0; i < count; i++) {
        size_t local = i * LOCAL, entry = count * LOCAL + i * ENTRY;
        memcpy(bytes + local, "PK\3\4", 4);
        put16(local + 26, 1);
        bytes[local + 30] = 'a';
        memcpy(bytes + entry, "PK\1\2", 4);
        put16(entry + 28, 1);
        put32(entry + 42, local);
        bytes[entry + 46] = 'a';
    }
    size = count * (LOCAL + ENTRY);
    memcpy(bytes + size, "PK\5\6", 4);
    put16(size + 10, count & 0xffff);
    put32(size + 12, count * ENTRY);
    put32(size + 16, count * LOCAL);
    size += 22;
}

START_TEST(all_members_of_a_zip_are_listed)
{
    make_large_zip(65539);
    opens(65539); /* its end says 3 */
    put16(size - 12, 65535);
    opens(65539);
    put16(size - 12, 4);
    refuses(size, "its directory has 65539 entries, and its end says 4");
    make_zip(three, 3);
    put16(size - 12, 2);
    refuses(size, "its directory has 3 entries, and its end says 2");
}
END_TEST

START_TEST(a_zips_directory_may_be_signed)
{
    make_zip(three, 3);
    memmove(bytes + size - 22 + 10, bytes + size - 22, 22);
    memcpy(bytes + size - 22, "PK\5\5\4\0sign", 10);
    size += 10;
    put32(size - 10, size - 22 - entries[0]);
    opens(3);
    has_member(2, "a/2.jpg", "deflated deflated");
}
END_TEST

START_TEST(a_member_that_leads_beyond_a_zip_is_a_bad_image)
{
    make_zip(three, 3);
    for (int i = 1; i < 3; i++) put16(locals[i] + 28, 60000);
    opens(3);
    is_unreadable(1, PF_EXIT_BAD_IMAGES, "leads beyond the archive's end");
    is_unreadable(2, PF_EXIT_BAD_IMAGES, "leads beyond the archive's end");
}
END_TEST

START_TEST(bytes_behind_a_zip_are_told)
{
    make_zip(three, 3);
    memcpy(bytes + size, "behind", 6);
    size += 6;
    opens(3);
    ck_assert_int_eq(archive->bytes_behind, 6);
    has_member(2, "a/2.jpg", "deflated deflated");
    memmove(bytes + 100, bytes, size); /* as in an archive that is cut short behind this one */
    size += 100;
    memcpy(bytes, "PK\3\4", 4);
    refuses(size, "is cut short, or has bytes before and behind it");
}
END_TEST

START_TEST(damaged_zips_do_no_harm)
{
    uint8_t data[4096];
    make_zip(three, 3);
    for (size_t length = 1; length < size; length++) ck_assert(open_first(length));
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0xff;
        if (!open_first(size))
            for (size_t m = 0; m < archive->count; m++) {
                const PfMember *member = archive->members[m];
                if (member->size <= (int64_t)sizeof data)
                    pf_archive_read(archive, member, data, (size_t)member->size, &err);
            }
        bytes[i] ^= 0xff;
    }
}
END_TEST

/* ==== operands ==== */

static PfArchiveList list;

static void lists(const char *operand, size_t count, const char *first, const char *last)
{
    ck_assert(pf_archive_is_operand(operand));
    ck_assert_msg(!pf_archive_list_operand(operand, &list, &err), "%s", err.message);
    ck_assert_uint_eq(list.count, count);
    ck_assert_str_eq(list.paths[0], first);
    ck_assert_str_eq(list.paths[count - 1], last);
    pf_archive_list_free(&list);
}

START_TEST(braces_are_a_shells)
{
    lists("a-{000..099}.tar", 100, "a-000.tar", "a-099.tar");
    lists("a-{8..11}.tar", 4, "a-8.tar", "a-11.tar");
    lists("a-{3..1}.tar", 3, "a-3.tar", "a-1.tar");
    lists("{train,val}-{0..1}.tar", 4, "train-0.tar", "val-1.tar");
    lists("x{,.old}.tar", 2, "x.tar", "x.old.tar");
    ck_assert(!pf_archive_is_operand("a-{x}.tar"));
    ck_assert(!pf_archive_is_operand("a.tar"));
    ck_assert_int_eq(pf_archive_list_operand("{0..9999999}", &list, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_USAGE);
}
END_TEST

START_TEST(holes_in_braces_are_named)
{
    char operand[200], path[200];
    snprintf(operand, sizeof operand, "%s/s-{1..8}.tar", top);
    for (int i = 1; i <= 7; i += 6) {
        snprintf(path, sizeof path, "%s/s-%d.tar", top, i);
        write_file(path, "x", 1);
    }
    ck_assert(!pf_archive_list_operand(operand, &list, &err));
    ck_assert_int_eq(pf_archive_check_list(operand, &list, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.message, "6 of the 8 archives that '"));
    ck_assert_ptr_nonnull(strstr(err.message, "s-6.tar' and 1 more"));
    ck_assert_ptr_null(strstr(err.message, "s-7.tar"));
    pf_archive_list_free(&list);
    snprintf(operand, sizeof operand, "%s/s-{1,7}.tar", top);
    ck_assert(!pf_archive_list_operand(operand, &list, &err));
    ck_assert(!pf_archive_check_list(operand, &list, &err));
    pf_archive_list_free(&list);
}
END_TEST

START_TEST(folders_of_archives_are_in_order)
{
    char path[160], first[160], last[160];
    static const char *const names[] = {"s-10.tar", "s-9.tar", "s-2.TAR", "index.json"};
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", top, names[i]);
        write_file(path, "x", 1);
    }
    snprintf(first, sizeof first, "%s/s-2.TAR", top);
    snprintf(last, sizeof last, "%s/s-10.tar", top);
    lists(top, 3, first, last);
    snprintf(path, sizeof path, "%s/1.jpg", top);
    write_file(path, "x", 1);
    ck_assert(!pf_archive_is_operand(top));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive");
    TCase *tests = tcase_create("archive");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, names_come_in_every_way);
    tcase_add_test(tests, what_is_no_file_is_counted);
    tcase_add_test(tests, hard_links_are_files);
    tcase_add_test(tests, a_link_leads_to_the_last_file_of_its_name);
    tcase_add_test(tests, what_lies_behind_many_zeros_is_told);
    tcase_add_test(tests, ends_are_told_apart);
    tcase_add_test(tests, cut_archives_are_refused);
    tcase_add_test(tests, damaged_archives_are_refused);
    tcase_add_test(tests, lies_are_refused);
    tcase_add_test(tests, changed_archives_end_the_run);
    tcase_add_test(tests, zips_are_read);
    tcase_add_test(tests, names_in_zips_have_encodings);
    tcase_add_test(tests, zips_say_what_they_cannot);
    tcase_add_test(tests, zips_that_lie_are_refused);
    tcase_add_test(tests, all_members_of_a_zip_are_listed);
    tcase_add_test(tests, a_zips_directory_may_be_signed);
    tcase_add_test(tests, a_member_that_leads_beyond_a_zip_is_a_bad_image);
    tcase_add_test(tests, bytes_behind_a_zip_are_told);
    tcase_add_test(tests, damaged_zips_do_no_harm);
    tcase_add_test(tests, braces_are_a_shells);
    tcase_add_test(tests, holes_in_braces_are_named);
    tcase_add_test(tests, folders_of_archives_are_in_order);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
