/* Preloaded (LD_PRELOAD) into a program, records what it asks of a disk, so that a power cut at any
 * moment can be played afterwards (tests/cli/power_cuts.py).
 *
 *   PF_POWER_FOLDER=DIR   what happens to files right in this folder is recorded, no other
 *   PF_POWER_LOG=DIR      an empty folder: DIR/log gets a line for each event, and DIR/N the bytes
 *                         that file N had
 *
 * Lines, their words separated by tabs; INODE is the file's, and N is 0, 1, ...:
 *   create INODE NAME            a name that was not there
 *   truncate INODE SIZE          also by opening it anew
 *   write INODE                  by a call of the program (what stdio writes is not seen)
 *   sync INODE N                 the file is safe as it is now, which is N
 *   folder                       the names are safe
 *   rename FROM TO INODE N       the file has the bytes N now, safe or not
 *   unlink NAME */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* The next definition of a function: the C library's. */
#define NEXT(name, type)                                                                           \
    static type *next;                                                                             \
    if (!next) {                                                                                   \
        void *symbol = dlsym(RTLD_NEXT, name);                                                     \
        memcpy(&next, &symbol, sizeof next); /* ISO C has no cast for this */                      \
    }

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static int copies;

/* ---- the log, by calls that are not recorded ---- */

static int raw_open(const char *path, int flags)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0666);
}

static void stop(const char *why)
{
    dprintf(STDERR_FILENO, "power_recorder: %s\n", why);
    _exit(99);
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    if (!value) stop("PF_POWER_FOLDER and PF_POWER_LOG are wanted");
    return value;
}

static void note(const char *format, ...)
{
    char path[PATH_MAX], line[2 * PATH_MAX];
    snprintf(path, sizeof path, "%s/log", variable("PF_POWER_LOG"));
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    int fd = raw_open(path, O_WRONLY | O_CREAT | O_APPEND);
    if (fd < 0 || syscall(SYS_write, fd, line, (size_t)length) != length)
        stop("cannot write the log");
    close(fd);
}

/* The bytes that the file at path has now; the copy's number. */
static int copy_file(const char *path)
{
    static char block[1 << 16];
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s/%d", variable("PF_POWER_LOG"), copies);
    int from = raw_open(path, O_RDONLY), to = raw_open(name, O_WRONLY | O_CREAT | O_TRUNC);
    if (from < 0 || to < 0) stop("cannot copy a file");
    for (ssize_t count; (count = syscall(SYS_read, from, block, sizeof block)) > 0;)
        if (syscall(SYS_write, to, block, (size_t)count) != count) stop("cannot copy a file");
    close(from);
    close(to);
    return copies++;
}

/* ---- which files ---- */

/* The whole path of what is open. */
static int path_of(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return -1;
    path[length] = '\0';
    return 0;
}

static const char *folder_of_interest(void)
{
    static char real[PATH_MAX];
    if (!*real && !realpath(variable("PF_POWER_FOLDER"), real)) stop("there is no such folder");
    return real;
}

/* The name of path in the folder that is watched; NULL of other paths. name: room for it. */
static const char *watched_name(int folder, const char *path, char name[PATH_MAX])
{
    char parent[PATH_MAX], real[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int length = slash ? (int)(slash - path) + 1 : 0;
    if (path[0] == '/')
        snprintf(parent, sizeof parent, "%.*s", length, path);
    else if (folder == AT_FDCWD)
        snprintf(parent, sizeof parent, "./%.*s", length, path);
    else
        snprintf(parent, sizeof parent, "/proc/self/fd/%d/%.*s", folder, length, path);
    if (!realpath(parent, real) || strcmp(real, folder_of_interest())) return NULL;
    snprintf(name, PATH_MAX, "%s", slash ? slash + 1 : path);
    return name;
}

static int is_watched(int fd, struct stat *status)
{
    char path[PATH_MAX], name[PATH_MAX];
    return fd > STDERR_FILENO && !fstat(fd, status) && !path_of(fd, path) && path[0] == '/' &&
           watched_name(AT_FDCWD, path, name) != NULL;
}

static int is_folder_of_interest(int fd)
{
    char path[PATH_MAX];
    return !path_of(fd, path) && !strcmp(path, folder_of_interest());
}

/* ---- what is recorded ---- */

static int real_openat(int folder, const char *path, int flags, mode_t mode)
{
    typedef int OpenAt(int, const char *, int, ...);
    NEXT("openat", OpenAt)
    return next(folder, path, flags, mode);
}

static int recorded_open(int folder, const char *path, int flags, mode_t mode)
{
    char name[PATH_MAX];
    struct stat before, after;
    if (!(flags & (O_CREAT | O_TRUNC)) || !watched_name(folder, path, name))
        return real_openat(folder, path, flags, mode);
    pthread_mutex_lock(&order);
    int was_there = !fstatat(folder, path, &before, AT_SYMLINK_NOFOLLOW);
    int fd = real_openat(folder, path, flags, mode);
    if (fd >= 0 && !fstat(fd, &after)) {
        if (!was_there) note("create\t%llu\t%s\n", (unsigned long long)after.st_ino, name);
        if (was_there && flags & O_TRUNC)
            note("truncate\t%llu\t0\n", (unsigned long long)after.st_ino);
    }
    pthread_mutex_unlock(&order);
    return fd;
}

#define MODE_ARGUMENT                                                                              \
    va_list arguments;                                                                             \
    va_start(arguments, flags);                                                                    \
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;                                 \
    va_end(arguments);

EXPORT int openat(int folder, const char *path, int flags, ...)
{
    MODE_ARGUMENT
    return recorded_open(folder, path, flags, mode);
}

EXPORT int openat64(int folder, const char *path, int flags, ...)
{
    MODE_ARGUMENT
    return recorded_open(folder, path, flags, mode);
}

EXPORT int open(const char *path, int flags, ...)
{
    MODE_ARGUMENT
    return recorded_open(AT_FDCWD, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    MODE_ARGUMENT
    return recorded_open(AT_FDCWD, path, flags, mode);
}

EXPORT int creat(const char *path, mode_t mode)
{
    return recorded_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

static void note_write(int fd)
{
    struct stat status;
    if (is_watched(fd, &status)) note("write\t%llu\n", (unsigned long long)status.st_ino);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t size)
{
    typedef ssize_t Write(int, const void *, size_t);
    NEXT("write", Write)
    pthread_mutex_lock(&order);
    note_write(fd);
    ssize_t count = next(fd, bytes, size);
    pthread_mutex_unlock(&order);
    return count;
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    typedef ssize_t PositionedWrite(int, const void *, size_t, off_t);
    NEXT("pwrite", PositionedWrite)
    pthread_mutex_lock(&order);
    note_write(fd);
    ssize_t count = next(fd, bytes, size, at);
    pthread_mutex_unlock(&order);
    return count;
}

EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    return pwrite(fd, bytes, size, at);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    typedef ssize_t PositionedWriteVector(int, const struct iovec *, int, off_t);
    NEXT("pwritev", PositionedWriteVector)
    pthread_mutex_lock(&order);
    note_write(fd);
    ssize_t written = next(fd, parts, count, at);
    pthread_mutex_unlock(&order);
    return written;
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    return pwritev(fd, parts, count, at);
}

typedef int Sync(int);

static int recorded_sync(int fd, Sync *next)
{
    char link[64];
    struct stat status;
    pthread_mutex_lock(&order);
    if (is_folder_of_interest(fd)) {
        note("folder\n");
    } else if (is_watched(fd, &status)) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        note("sync\t%llu\t%d\n", (unsigned long long)status.st_ino, copy_file(link));
    }
    int failed = next(fd);
    pthread_mutex_unlock(&order);
    return failed;
}

EXPORT int fsync(int fd)
{
    NEXT("fsync", Sync)
    return recorded_sync(fd, next);
}

EXPORT int fdatasync(int fd)
{
    NEXT("fdatasync", Sync)
    return recorded_sync(fd, next);
}

EXPORT int ftruncate(int fd, off_t size)
{
    typedef int Truncate(int, off_t);
    NEXT("ftruncate", Truncate)
    struct stat status;
    pthread_mutex_lock(&order);
    if (is_watched(fd, &status))
        note("truncate\t%llu\t%lld\n", (unsigned long long)status.st_ino, (long long)size);
    int failed = next(fd, size);
    pthread_mutex_unlock(&order);
    return failed;
}

EXPORT int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

EXPORT int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    typedef int RenameAt(int, const char *, int, const char *);
    NEXT("renameat", RenameAt)
    char old[PATH_MAX], new[PATH_MAX], path[2 * PATH_MAX];
    struct stat status;
    pthread_mutex_lock(&order);
    int is_ours = watched_name(from_folder, from, old) && watched_name(to_folder, to, new);
    if (is_ours) {
        snprintf(path, sizeof path, "%s/%s", folder_of_interest(), old);
        if (stat(path, &status)) stop("what is renamed is not there");
        note("rename\t%s\t%s\t%llu\t%d\n", old, new, (unsigned long long)status.st_ino,
             copy_file(path));
    }
    int failed = next(from_folder, from, to_folder, to);
    if (failed && is_ours) stop("a rename has failed");
    pthread_mutex_unlock(&order);
    return failed;
}

EXPORT int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

EXPORT int unlinkat(int folder, const char *path, int flags)
{
    typedef int UnlinkAt(int, const char *, int);
    NEXT("unlinkat", UnlinkAt)
    char name[PATH_MAX];
    pthread_mutex_lock(&order);
    int failed = next(folder, path, flags);
    if (!failed && watched_name(folder, path, name)) note("unlink\t%s\n", name);
    pthread_mutex_unlock(&order);
    return failed;
}

EXPORT int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}
