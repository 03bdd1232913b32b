#include "common/file/atomic_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/file/output.h"
#include "common/file/path.h"

static int try_lock(int fd)
{
    struct flock whole_file = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (!fcntl(fd, F_OFD_SETLK, &whole_file)) return 0;
    if (errno == EAGAIN || errno == EACCES) return -1;
    return flock(fd, LOCK_EX | LOCK_NB);
}

PfLockResult pf_atomic_file_lock(int fd)
{
    if (!try_lock(fd)) return PF_LOCK_TAKEN;
    return errno == EAGAIN || errno == EACCES ? PF_LOCK_HELD : PF_LOCK_ABSENT;
}

/* ==== temporary files ==== */

/* Letters after ".NAME.part-". Older versions put a process's number there, and take only numbers
 * for what they may remove. */
#define LETTERS 12
#define MOST_TRIES 100
#define DAY_SECONDS (24 * 60 * 60)

/* ---- names ---- */

static int draw_letters(char *letters)
{
    unsigned char bytes[LETTERS];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) return -1;
    for (int i = 0; i < LETTERS; i++) letters[i] = (char)('a' + bytes[i] % 26);
    letters[LETTERS] = '\0';
    return 0;
}

/* What follows ".TARGET.part-" in name; NULL where it begins otherwise. */
static const char *ending_of(const char *name, const char *target)
{
    size_t length = strlen(target);
    if (name[0] != '.' || strncmp(name + 1, target, length)) return NULL;
    return strncmp(name + 1 + length, ".part-", 6) ? NULL : name + 1 + length + 6;
}

static bool is_of_this_version(const char *ending)
{
    return strlen(ending) == LETTERS && strspn(ending, "abcdefghijklmnopqrstuvwxyz") == LETTERS;
}

static bool is_of_older_version(const char *ending)
{
    return *ending && !ending[strspn(ending, "0123456789")];
}

/* ---- making one ---- */

/* -1: failed, with errno; -2: somebody was faster, try another name. */
static int try_name(int folder, const char *name, mode_t mode)
{
    int fd = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) return errno == EEXIST ? -2 : -1;
    /* A sweep may have removed it before it was locked. */
    if (pf_atomic_file_lock(fd) != PF_LOCK_HELD && pf_path_still_named(fd, folder, name)) return fd;
    close(fd);
    return -2;
}

/* Makes ".NAME.part-" and random letters in the folder, which no other process has, and locks it
 * where the file system can. *name: malloc'ed. The descriptor, for reading and writing, or -1 with
 * errno. */
static int create_temporary(int folder, const char *target, mode_t mode, char **name)
{
    char letters[LETTERS + 1];
    *name = NULL;
    int tries = 0;
    for (; tries < MOST_TRIES; tries++) {
        if (draw_letters(letters)) return -1;
        *name = pf_asprintf(NULL, ".%s.part-%s", target, letters);
        if (!*name) break;
        int fd = try_name(folder, *name, mode);
        if (fd >= 0) return fd;
        int number = errno;
        free(*name);
        *name = NULL;
        errno = number;
        if (fd == -1) return -1;
    }
    errno = tries == MOST_TRIES ? EEXIST : ENOMEM;
    return -1;
}

/* ---- removing what was left ---- */

/* File systems of this machine, on which a lock that is had is had. */
static bool has_local_locks(int fd)
{
    static const unsigned long local[] = {EXT4_SUPER_MAGIC,      XFS_SUPER_MAGIC, TMPFS_MAGIC,
                                          BTRFS_SUPER_MAGIC,     RAMFS_MAGIC,     F2FS_SUPER_MAGIC,
                                          OVERLAYFS_SUPER_MAGIC, 0x2fc12fc1 /* ZFS */};
    struct statfs system;
    if (fstatfs(fd, &system)) return false;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        if ((unsigned long)system.f_type == local[i]) return true;
    return false;
}

static bool is_a_day_old(int fd)
{
    struct stat status;
    return !fstat(fd, &status) && time(NULL) - status.st_mtime > DAY_SECONDS;
}

static void remove_if_left(int folder, const char *name, bool took_locks)
{
    struct stat status;
    int fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return;
    if (!fstat(fd, &status) && S_ISREG(status.st_mode) &&
        pf_atomic_file_lock(fd) == PF_LOCK_TAKEN && pf_path_still_named(fd, folder, name) &&
        ((took_locks && has_local_locks(fd)) || is_a_day_old(fd)))
        unlinkat(folder, name, 0);
    close(fd);
}

/* Removes the temporary files of target that nobody is writing: those that can be locked. Where
 * locks may not reach all machines, as on network mounts, and with the names that older versions
 * gave, whose writers took no lock, only what nobody has written to for a day. */
static void sweep_temporaries(int folder, const char *target)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        const char *ending = ending_of(entry->d_name, target);
        if (ending && (is_of_this_version(ending) || is_of_older_version(ending)))
            remove_if_left(folder, entry->d_name, is_of_this_version(ending));
    }
    if (directory)
        closedir(directory);
    else if (fd >= 0)
        close(fd);
}

/* ==== files that are whole ==== */

#define PERMISSIONS 0777

struct PfAtomicFile {
    PfOutputPath place;
    char *said;           /* the path as it was given */
    char *name;           /* in the folder: the temporary file; NULL of pipes and devices */
    char *temporary;      /* the same with the folder's path */
    const char *unlinked; /* name, until it has become the target's or was removed */
    FILE *stream;
};

/* ---- beginning ---- */

/* The owner, where we may give files away, and the mode; whoever writes must be able to meanwhile.
 */
static void take_after(int fd, const struct stat *old, mode_t more)
{
    struct stat status;
    if (fstat(fd, &status)) return;
    if ((status.st_uid != old->st_uid || status.st_gid != old->st_gid) &&
        fchown(fd, old->st_uid, old->st_gid) && fchown(fd, (uid_t)-1, old->st_gid))
        errno = 0; /* it stays ours */
    mode_t mode = (old->st_mode & PERMISSIONS) | more;
    if ((status.st_mode & PERMISSIONS) != mode) fchmod(fd, mode);
}

static int fail_beginning(const char *path, PfError *err)
{
    return pf_fail_errno(err, "cannot write '%s': its folder does not take a new file", path);
}

static int make_temporary(PfAtomicFile *file, PfError *err)
{
    const PfOutputPath *place = &file->place;
    bool is_new = place->kind == PF_OUTPUT_NEW;
    int fd = create_temporary(place->folder, place->name, is_new ? 0666 : 0600, &file->name);
    if (fd < 0) return fail_beginning(file->said, err);
    file->unlinked = file->name;
    if (!is_new) take_after(fd, &place->status, S_IRUSR | S_IWUSR);
    file->temporary =
        pf_asprintf(err, "%.*s%s", (int)(place->name - place->path), place->path, file->name);
    file->stream = file->temporary ? fdopen(fd, "w+b") : NULL;
    if (file->stream) return 0;
    if (file->temporary) pf_fail_errno(err, "cannot write '%s'", file->said);
    close(fd);
    return -1;
}

static int open_stream(PfAtomicFile *file, PfError *err)
{
    const PfOutputPath *place = &file->place;
    fflush(stdout); /* which may be the same */
    int fd = place->descriptor >= 0
                 ? fcntl(place->descriptor, F_DUPFD_CLOEXEC, 3)
                 : openat(place->folder, place->name, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    file->stream = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (file->stream) return 0;
    pf_fail_errno(err, "cannot write '%s'", file->said);
    if (fd >= 0) close(fd);
    return -1;
}

int pf_atomic_file_begin(const char *path, PfAtomicFile **out, PfError *err)
{
    PfAtomicFile *file = pf_calloc(1, sizeof *file, err);
    *out = NULL;
    if (!file) return -1;
    if (pf_output_path_find(path, &file->place, err) || !(file->said = pf_strdup(path, err)) ||
        (file->place.kind == PF_OUTPUT_STREAM ? open_stream(file, err)
                                              : make_temporary(file, err))) {
        pf_atomic_file_abandon(&file);
        return -1;
    }
    *out = file;
    return 0;
}

FILE *pf_atomic_file_stream(PfAtomicFile *file)
{
    return file->stream;
}

const char *pf_atomic_file_temporary(const PfAtomicFile *file)
{
    return file->temporary;
}

/* ---- the end ---- */

/* What cannot be synced because of what it is, or where, is no failure. */
static int sync_file(int fd)
{
    return fsync(fd) && errno != EINVAL && errno != EROFS;
}

static void sync_folder(int parent, const char *folder)
{
    int fd = openat(parent, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    sync_file(fd);
    close(fd);
}

void pf_atomic_file_sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? pf_asprintf(NULL, "%.*s", (int)(slash - path) + 1, path) : pf_strdup(".", NULL);
    if (folder) sync_folder(AT_FDCWD, folder);
    free(folder);
}

/* Whether the temporary name is still our file, also for who wrote to it by its name. */
static bool is_ours(const PfAtomicFile *file)
{
    return pf_path_still_named(fileno(file->stream), file->place.folder, file->name);
}

/* A pipe or a folder may have come to be there since. */
static int take_place(PfAtomicFile *file, PfError *err)
{
    struct stat now;
    PfOutputPath *place = &file->place;
    if (!is_ours(file))
        return pf_fail(err, PF_EXIT_FAILED,
                       "cannot write '%s': another program has removed or replaced '%s' meanwhile",
                       file->said, file->temporary);
    int is_there = !fstatat(place->folder, place->name, &now, AT_SYMLINK_NOFOLLOW);
    if (is_there && !S_ISREG(now.st_mode) && !S_ISLNK(now.st_mode))
        return pf_fail(err, PF_EXIT_FAILED, "cannot write '%s': it is %s now", file->said,
                       pf_output_type_name(now.st_mode));
    if (is_there && S_ISREG(now.st_mode)) take_after(fileno(file->stream), &now, 0);
    if (renameat(place->folder, file->name, place->folder, place->name))
        return pf_fail_errno(err, "cannot rename '%s' to '%s'", file->temporary, place->path);
    file->unlinked = NULL;
    return 0;
}

static int finish(PfAtomicFile *file, PfError *err)
{
    if (fflush(file->stream) || ferror(file->stream))
        return pf_fail_errno(err, "cannot write '%s'", file->said);
    if (!file->name) return 0;
    if (sync_file(fileno(file->stream)))
        return pf_fail_errno(err, "cannot sync '%s'", file->temporary);
    if (take_place(file, err)) return -1;
    /* The file is in place; a folder that cannot be synced only delays when that survives a power
     * cut. */
    sync_folder(file->place.folder, ".");
    return 0;
}

int pf_atomic_file_commit(PfAtomicFile **file, PfError *err)
{
    int failed = finish(*file, err);
    pf_atomic_file_abandon(file);
    return failed;
}

void pf_atomic_file_abandon(PfAtomicFile **pointer)
{
    PfAtomicFile *file = *pointer;
    if (!file) return;
    if (file->unlinked) unlinkat(file->place.folder, file->unlinked, 0);
    if (file->stream) fclose(file->stream);
    pf_output_path_free(&file->place);
    free(file->temporary);
    free(file->name);
    free(file->said);
    free(file);
    *pointer = NULL;
}

/* ---- in one call ---- */

static int check_place(const char *path, const PfOutputPath *place, PfError *err)
{
    PfAtomicFile *file;
    if (place->kind == PF_OUTPUT_STREAM) {
        if (place->descriptor >= 0 || !faccessat(place->folder, place->name, W_OK, 0)) return 0;
        return pf_fail_errno(err, "cannot write '%s'", path);
    }
    if (pf_atomic_file_begin(path, &file, err)) return -1;
    pf_atomic_file_abandon(&file);
    sweep_temporaries(place->folder, place->name);
    return 0;
}

int pf_atomic_file_check(const char *path, PfError *err)
{
    PfOutputPath place;
    int failed = pf_output_path_find(path, &place, err) || check_place(path, &place, err);
    pf_output_path_free(&place);
    return failed ? -1 : 0;
}

char *pf_atomic_file_target(const char *path, PfError *err)
{
    PfOutputPath place;
    char *target = pf_output_path_find(path, &place, err) ? NULL : pf_strdup(place.path, err);
    pf_output_path_free(&place);
    return target;
}

int pf_atomic_file_write(const char *path, const void *bytes, size_t size, PfError *err)
{
    PfAtomicFile *file;
    if (pf_atomic_file_begin(path, &file, err)) return -1;
    if (size) fwrite(bytes, size, 1, pf_atomic_file_stream(file)); /* commit looks for errors */
    return pf_atomic_file_commit(&file, err);
}
