#include "extract/archive/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/file/file_stamp.h"
#include "common/file/input_file.h"
#include "common/file/path.h"
#include "extract/archive/internal.h"

/* ==== what a file is ==== */

PfArchiveForm pf_archive_tell(const uint8_t *head, size_t size)
{
    static const struct {
        const char *bytes;
        size_t size;
        PfArchiveForm form;
    } magic[] = {
        {"PK\3\4", 4, PF_ARCHIVE_ZIP},
        {"PK\5\6", 4, PF_ARCHIVE_ZIP},
        {"\x1f\x8b\x08", 3, PF_ARCHIVE_GZIP},
        {"\x28\xb5\x2f\xfd", 4, PF_ARCHIVE_ZSTD},
        {"\xfd"
         "7zXZ",
         6, PF_ARCHIVE_XZ},
        {"BZh", 3, PF_ARCHIVE_BZIP2},
    };
    for (size_t i = 0; i < sizeof magic / sizeof *magic; i++)
        if (size >= magic[i].size && !memcmp(head, magic[i].bytes, magic[i].size))
            return magic[i].form;
    return size >= PF_ARCHIVE_HEAD_BYTES && pf_tar_is_header(head) ? PF_ARCHIVE_TAR
                                                                   : PF_ARCHIVE_NONE;
}

/* ==== members ==== */

/* Each folder on the way to a member takes memory when the members are understood as folders. */
#define DEPTH_MAX 32

int pf_archive_get(const PfArchive *archive, void *bytes, size_t size, int64_t offset, PfError *err)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(archive->fd, (char *)bytes + done, size - done, offset + (int64_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return pf_fail_errno(err, "archive '%s' cannot be read", archive->path);
        if (!got)
            return pf_fail(err, PF_EXIT_FAILED,
                           "archive '%s' is cut short: it ends at offset %lld, where %zu more "
                           "bytes were expected",
                           archive->path, (long long)(offset + (int64_t)done), size - done);
        done += (size_t)got;
    }
    return 0;
}

bool pf_archive_clean_name(const char *name, size_t length, char *path, int *parts)
{
    size_t used = 0;
    *parts = 0;
    for (size_t at = 0, size; at < length; at += size + 1) {
        const char *part = name + at;
        const char *slash = memchr(part, '/', length - at);
        size = slash ? (size_t)(slash - part) : length - at;
        if (!size || (size == 1 && *part == '.')) continue;
        if (size == 2 && !memcmp(part, "..", 2)) return false;
        if (used) path[used++] = '/';
        *parts += 1;
        memcpy(path + used, part, size);
        used += size;
    }
    path[used] = '\0';
    return true;
}

static bool is_of_macos(const char *path)
{
    return !strcmp(path, "__MACOSX") || !strncmp(path, "__MACOSX/", 9);
}

int pf_archive_add(PfArchive *archive, const char *name, size_t length, bool is_folder,
                   const PfMember *member, int64_t at, PfError *err)
{
    char path[PF_MEMBER_PATH_SIZE + 1];
    if (length >= PF_MEMBER_PATH_SIZE || memchr(name, '\0', length))
        return pf_fail(
            err, PF_EXIT_FAILED, "archive '%s': the name of the member at offset %lld %s",
            archive->path, (long long)at,
            length >= PF_MEMBER_PATH_SIZE ? "is longer than 4095 bytes" : "has a NUL in it");
    int parts;
    if (!pf_archive_clean_name(name, length, path, &parts)) {
        archive->left_out[PF_LEFT_OUT_OUTSIDE]++;
        return 0;
    }
    if (parts > DEPTH_MAX)
        return pf_fail(err, PF_EXIT_FAILED,
                       "archive '%s': the member at offset %lld lies more than %d folders deep",
                       archive->path, (long long)at, DEPTH_MAX);
    if (is_of_macos(path)) {
        archive->left_out[PF_LEFT_OUT_MACOS] += !is_folder;
        return 0;
    }
    size_t size = strlen(path);
    if (!size) { /* "./" */
        archive->left_out[PF_LEFT_OUT_OTHER] += !is_folder;
        return 0;
    }
    if (is_folder) path[size++] = '/';
    path[size] = '\0';
    if (pf_grow(&archive->members, &archive->capacity, archive->count + 1, sizeof *archive->members,
                err))
        return -1;
    PfMember *copy = pf_arena_allocate(&archive->texts, offsetof(PfMember, path) + size + 1,
                                       _Alignof(PfMember), err);
    if (!copy) return -1;
    memcpy(copy, member, offsetof(PfMember, path));
    memcpy(copy->path, path, size + 1);
    archive->members[archive->count++] = copy;
    return 0;
}

/* ==== opening ==== */

static int fail_form(const PfArchive *archive, PfError *err)
{
    static const char *const tools[] = {[PF_ARCHIVE_GZIP] = "gunzip",
                                        [PF_ARCHIVE_ZSTD] = "zstd -d",
                                        [PF_ARCHIVE_XZ] = "xz -d",
                                        [PF_ARCHIVE_BZIP2] = "bunzip2"};
    if (archive->form != PF_ARCHIVE_NONE)
        return pf_fail(err, PF_EXIT_FAILED,
                       "archive '%s' is compressed as a whole; only .tar.gz and .tar.zst are "
                       "decompressed here. Hint: %s, then the .tar",
                       archive->path, tools[archive->form]);
    return pf_fail(err, PF_EXIT_FAILED,
                   "archive '%s' begins neither as a .tar nor as a .zip; it is damaged, or "
                   "something else",
                   archive->path);
}

bool pf_archive_is_zeros(const uint8_t *head, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (head[i]) return false;
    return size == PF_ARCHIVE_HEAD_BYTES;
}

/* Headers are small, and lie far from each other: reading ahead would read all of the archive. */
static int list_members(PfArchive *archive, PfError *err)
{
    uint8_t head[PF_ARCHIVE_HEAD_BYTES];
    ssize_t got = pread(archive->fd, head, sizeof head, 0);
    if (got < 0) return pf_fail_errno(err, "archive '%s' cannot be read", archive->path);
    if (!got) return pf_fail(err, PF_EXIT_FAILED, "archive '%s' is empty (0 bytes)", archive->path);
    archive->form = pf_archive_is_zeros(head, (size_t)got) ? PF_ARCHIVE_TAR
                                                           : pf_archive_tell(head, (size_t)got);
    posix_fadvise(archive->fd, 0, 0, POSIX_FADV_RANDOM);
    int failed = archive->form == PF_ARCHIVE_TAR   ? pf_tar_list(archive, err)
                 : archive->form == PF_ARCHIVE_ZIP ? pf_zip_list(archive, err)
                                                   : fail_form(archive, err);
    posix_fadvise(archive->fd, 0, 0, POSIX_FADV_NORMAL);
    return failed;
}

static const char *file_of(const PfArchive *archive)
{
    return archive->file ? archive->file : archive->path;
}

static int open_archive(PfArchive *archive, int fd, PfError *err)
{
    archive->fd =
        fd >= 0 ? fd
                : pf_input_file_open(AT_FDCWD, file_of(archive), "archive", &archive->status, err);
    if (archive->fd < 0) return -1;
    if (fd >= 0 && fstat(fd, &archive->status))
        return pf_fail_errno(err, "archive '%s' cannot be read", archive->path);
    return list_members(archive, err);
}

/* path, file (or NULL): taken over. */
static int open_new(char *path, char *file, int fd, bool keep, PfArchive **out, PfError *err)
{
    PfArchive *archive = *out = pf_calloc(1, sizeof *archive, err);
    if (!archive || !path) {
        if (fd >= 0) close(fd);
        free(path);
        free(file);
        free(archive);
        *out = NULL;
        return -1;
    }
    archive->path = path;
    archive->file = file;
    archive->fd = -1;
    if (open_archive(archive, fd, err)) {
        pf_archive_close(out);
        return -1;
    }
    if (!keep) {
        close(archive->fd);
        archive->fd = -1;
    }
    return 0;
}

int pf_archive_open(const char *path, int fd, bool keep, PfArchive **out, PfError *err)
{
    return open_new(pf_strdup(path, err), NULL, fd, keep, out, err);
}

int pf_archive_open_as(const char *name, const char *file, bool keep, PfArchive **out, PfError *err)
{
    char *copy = pf_strdup(file, err);
    *out = NULL;
    return copy ? open_new(pf_strdup(name, err), copy, -1, keep, out, err) : -1;
}

void pf_archive_close(PfArchive **archive)
{
    PfArchive *it = *archive;
    if (!it) return;
    if (it->fd >= 0) close(it->fd);
    pf_arena_free(&it->texts);
    free(it->members);
    free(it->path);
    free(it->file);
    free(it);
    *archive = NULL;
}

/* ==== reading ==== */

/* Deflate makes at most 1,032 bytes of one. */
#define DEFLATE_RATIO 1032

static const char *name_method(int method)
{
    switch (method) {
    case 9: return "Deflate64";
    case 12: return "bzip2";
    case 14: return "LZMA";
    case 93: return "Zstandard";
    case 95: return "xz";
    default: return "a method that is not known here";
    }
}

int pf_archive_check_member(const PfMember *member, PfError *err)
{
    if (member->method == PF_MEMBER_ENCRYPTED)
        return pf_fail(err, PF_EXIT_BAD_IMAGES, "is encrypted in the archive");
    if (member->method != PF_MEMBER_STORED && member->method != PF_MEMBER_DEFLATED)
        return pf_fail(err, PF_EXIT_BAD_IMAGES,
                       "is compressed in the archive by %s (%d); stored and deflated members are "
                       "read",
                       name_method(member->method), member->method);
    bool fits = member->method == PF_MEMBER_STORED ? member->stored == member->size
                                                   : member->size / DEFLATE_RATIO <= member->stored;
    if (fits) return 0;
    return pf_fail(err, PF_EXIT_BAD_IMAGES,
                   "is damaged in the archive: %lld bytes there cannot be the %lld that it is said "
                   "to have",
                   (long long)member->stored, (long long)member->size);
}

int pf_archive_read_plain(int fd, int64_t offset, uint8_t *data, size_t size, PfError *err)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, data + done, size - done, offset + (int64_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            pf_fail_errno(err, "cannot be read from the archive");
            if (err && errno != ENOMEM) err->exit_code = PF_EXIT_BAD_IMAGES;
            return -1;
        }
        if (!got)
            return pf_fail(err, PF_EXIT_FAILED,
                           "cannot be read: the archive has become shorter since the run began");
        done += (size_t)got;
    }
    return 0;
}

/* Offsets are those of the archive that was listed: one that was changed or exchanged since then
 * would give other bytes under the same names. */
static int check_unchanged(const PfArchive *archive, int fd, PfError *err)
{
    struct stat now;
    if (fstat(fd, &now)) return pf_fail_errno(err, "archive '%s' cannot be read", archive->path);
    PfFileStamp before = pf_file_stamp(&archive->status), stamp = pf_file_stamp(&now);
    if (pf_path_same_file(&now, &archive->status) && pf_file_stamp_equal(&before, &stamp)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "archive '%s' was changed since the run began; run it again", archive->path);
}

static int read_open(const PfArchive *archive, int fd, const PfMember *member, uint8_t *data,
                     size_t size, PfError *err)
{
    if (check_unchanged(archive, fd, err)) return -1;
    return archive->form == PF_ARCHIVE_ZIP
               ? pf_zip_read(fd, archive->status.st_size, member, data, size, err)
               : pf_archive_read_plain(fd, member->offset, data, size, err);
}

int pf_archive_read(const PfArchive *archive, const PfMember *member, uint8_t *data, size_t size,
                    PfError *err)
{
    if (pf_archive_check_member(member, err)) return -1;
    if (archive->fd >= 0) return read_open(archive, archive->fd, member, data, size, err);
    int fd = pf_input_file_open(AT_FDCWD, file_of(archive), "archive", NULL, err);
    if (fd < 0) return -1;
    int failed = read_open(archive, fd, member, data, size, err);
    close(fd);
    return failed;
}
