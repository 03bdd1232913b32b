/* Preloaded (LD_PRELOAD) into a program, lets its N-th call of a kind fail, as a
 * full disk, a dying one or a machine without memory would.
 *
 *   PF_FAULT=write:7:ENOSPC    the seventh write of the program fails
 *   PF_FAULT=write:7+:ENOSPC   and all after it
 *   PF_FAULT=write:7:short     does half of what it was asked for
 *   PF_FAULT_REPORT=FILE       gets a line "KIND CALLS" for each kind at the end, and
 *                              "failed CALLS": how many were made to fail
 *
 * Kinds are below. Calls count from the beginning of main() to its end, of all threads,
 * and those that the C library makes inside (stdio's writes) do not. Descriptors 0 to 2
 * are left alone: what the program says must come through. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef enum Kind {
    WRITE,    /* write, pwrite, writev, pwritev */
    SYNC,     /* fsync, fdatasync */
    HINT,     /* the same of folders, and sync_file_range: failures without consequence */
    RENAME,   /* rename, unlink, renameat, unlinkat */
    TRUNCATE, /* ftruncate, truncate, posix_fallocate, fallocate */
    CREATE,   /* open and the like of files that can be written */
    OPEN,     /* of the others */
    READ,     /* read, pread, readv, preadv */
    MAP,      /* mmap */
    LOCK,     /* fcntl's locks, flock */
    MEMORY,   /* malloc, calloc, realloc, aligned_alloc, posix_memalign */
    HDF5,     /* the same, called by libhdf5, which does not survive all of their failures */
    THREAD,   /* pthread_create */
    KIND_COUNT
} Kind;

static const char *const kind_names[KIND_COUNT] = {
    [WRITE] = "write",       [SYNC] = "sync",     [HINT] = "hint",     [RENAME] = "rename",
    [TRUNCATE] = "truncate", [CREATE] = "create", [OPEN] = "open",     [READ] = "read",
    [MAP] = "map",           [LOCK] = "lock",     [MEMORY] = "memory", [HDF5] = "hdf5",
    [THREAD] = "thread",
};

/* What PF_FAULT asks for. */
static struct {
    int kind; /* -1: nothing fails */
    long first;
    int onwards, is_short, error;
} fault = {.kind = -1};

static atomic_int counting; /* inside main() */
static atomic_long calls[KIND_COUNT], failed;

static const struct {
    const char *name;
    int number;
} error_names[] = {
    {"ENOSPC", ENOSPC}, {"EIO", EIO},       {"ENOMEM", ENOMEM}, {"EAGAIN", EAGAIN},
    {"EACCES", EACCES}, {"EMFILE", EMFILE}, {"EINTR", EINTR},   {"EDQUOT", EDQUOT},
    {"ENOLCK", ENOLCK}, {"EROFS", EROFS},   {"ENOSYS", ENOSYS}, {"EOPNOTSUPP", EOPNOTSUPP},
};

static void stop(const char *text)
{
    fprintf(stderr, "fault_injector: PF_FAULT=%s is not KIND:N[+]:ERROR\n", text);
    _exit(99);
}

static void parse_what(const char *text, const char *what)
{
    fault.is_short = !strcmp(what, "short");
    for (size_t i = 0; i < sizeof error_names / sizeof *error_names; i++)
        if (!strcmp(what, error_names[i].name)) fault.error = error_names[i].number;
    if (!fault.is_short && !fault.error) stop(text);
}

static void parse_fault(const char *text)
{
    char kind[16], what[16];
    if (sscanf(text, "%15[a-z0-9]:%ld", kind, &fault.first) != 2) stop(text);
    fault.onwards = strchr(text, '+') != NULL;
    if (sscanf(strrchr(text, ':'), ":%15s", what) != 1) stop(text);
    for (int i = 0; i < KIND_COUNT; i++)
        if (!strcmp(kind, kind_names[i])) fault.kind = i;
    if (fault.kind < 0) stop(text);
    parse_what(text, what);
}

/* Counts a call; whether it is one that shall fail. */
static int strikes(Kind kind)
{
    if (!counting) return 0;
    long number = ++calls[kind];
    if ((int)kind != fault.kind || number < fault.first) return 0;
    if (number > fault.first && !fault.onwards) return 0;
    failed++;
    return 1;
}

/* The same for calls that are all or nothing; errno is set. */
static int refuses(Kind kind)
{
    if (!strikes(kind)) return 0;
    errno = fault.error;
    return 1;
}

/* For calls that move bytes: -1 with errno, or how many of size may be moved. */
static ssize_t allowance(Kind kind, int fd, size_t size)
{
    if (fd <= STDERR_FILENO || !strikes(kind)) return (ssize_t)size;
    if (fault.is_short) return (ssize_t)(size > 1 ? size / 2 : size);
    errno = fault.error;
    return -1;
}

/* ---- who asks for memory ---- */

static struct {
    uintptr_t begin, end;
} hdf5;

static int note_hdf5(struct dl_phdr_info *object, size_t size, void *context)
{
    (void)size, (void)context;
    if (!strstr(object->dlpi_name, "libhdf5")) return 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        if (object->dlpi_phdr[i].p_type != PT_LOAD || !(object->dlpi_phdr[i].p_flags & PF_X))
            continue;
        hdf5.begin = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
        hdf5.end = hdf5.begin + object->dlpi_phdr[i].p_memsz;
    }
    return 1;
}

/* For whom the C library allocates in this thread: a Kind, or 0 for itself. */
static _Thread_local Kind on_behalf_of;

static Kind kind_of_caller(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    if (on_behalf_of) return on_behalf_of;
    return at >= hdf5.begin && at < hdf5.end ? HDF5 : MEMORY;
}

#define MEMORY_KIND kind_of_caller(__builtin_return_address(0))

/* ---- around main() ---- */

typedef int Main(int, char **, char **);
typedef int StartMain(Main *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
static Main *real_main;

static void report(const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file) return;
    for (int i = 0; i < KIND_COUNT; i++) fprintf(file, "%s %ld\n", kind_names[i], calls[i]);
    fprintf(file, "failed %ld\n", failed);
    fclose(file);
}

static int counted_main(int argc, char **argv, char **environment)
{
    const char *asked = getenv("PF_FAULT"), *path = getenv("PF_FAULT_REPORT");
    if (asked && *asked) parse_fault(asked);
    dl_iterate_phdr(note_hdf5, NULL);
    counting = 1;
    int code = real_main(argc, argv, environment);
    counting = 0;
    if (path) report(path);
    return code;
}

/* The next definition of a function: the C library's, or a sanitizer's. */
#define NEXT(name, type)                                                                           \
    static type *next;                                                                             \
    if (!next) {                                                                                   \
        void *symbol = dlsym(RTLD_NEXT, name);                                                     \
        memcpy(&next, &symbol, sizeof next); /* ISO C has no cast for this */                      \
    }

EXPORT int __libc_start_main(Main *, int, char **, void (*)(void), void (*)(void), void (*)(void),
                             void *);
EXPORT int __libc_start_main(Main *start, int argc, char **argv, void (*init)(void),
                             void (*fini)(void), void (*loader_fini)(void), void *stack_end)
{
    NEXT("__libc_start_main", StartMain)
    real_main = start;
    return next(counted_main, argc, argv, init, fini, loader_fini, stack_end);
}

/* ---- bytes ---- */

typedef ssize_t Write(int, const void *, size_t);
typedef ssize_t PositionedWrite(int, const void *, size_t, off_t);
typedef ssize_t Read(int, void *, size_t);
typedef ssize_t PositionedRead(int, void *, size_t, off_t);

EXPORT ssize_t write(int fd, const void *bytes, size_t size)
{
    NEXT("write", Write)
    ssize_t allowed = allowance(WRITE, fd, size);
    return allowed < 0 ? -1 : next(fd, bytes, (size_t)allowed);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    NEXT("pwrite", PositionedWrite)
    ssize_t allowed = allowance(WRITE, fd, size);
    return allowed < 0 ? -1 : next(fd, bytes, (size_t)allowed, at);
}

EXPORT ssize_t read(int fd, void *bytes, size_t size)
{
    NEXT("read", Read)
    ssize_t allowed = allowance(READ, fd, size);
    return allowed < 0 ? -1 : next(fd, bytes, (size_t)allowed);
}

EXPORT ssize_t pread(int fd, void *bytes, size_t size, off_t at)
{
    NEXT("pread", PositionedRead)
    ssize_t allowed = allowance(READ, fd, size);
    return allowed < 0 ? -1 : next(fd, bytes, (size_t)allowed, at);
}

EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    return pwrite(fd, bytes, size, at);
}

EXPORT ssize_t pread64(int fd, void *bytes, size_t size, off64_t at)
{
    return pread(fd, bytes, size, at);
}

/* What FORTIFY makes of them where it knows how much room there is. */
ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room);
ssize_t __pread_chk(int fd, void *bytes, size_t size, off_t at, size_t room);
ssize_t __pread64_chk(int fd, void *bytes, size_t size, off64_t at, size_t room);

EXPORT ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room)
{
    if (size > room) abort();
    return read(fd, bytes, size);
}

EXPORT ssize_t __pread_chk(int fd, void *bytes, size_t size, off_t at, size_t room)
{
    if (size > room) abort();
    return pread(fd, bytes, size, at);
}

EXPORT ssize_t __pread64_chk(int fd, void *bytes, size_t size, off64_t at, size_t room)
{
    return __pread_chk(fd, bytes, size, at, room);
}

static size_t vector_size(const struct iovec *parts, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    return size;
}

/* The first `allowed` bytes of parts into `cut` (room for count); how many parts that are. */
static int cut_vector(const struct iovec *parts, int count, size_t allowed, struct iovec *cut)
{
    int used = 0;
    for (int i = 0; i < count; i++) {
        cut[used] = parts[i];
        if (cut[used].iov_len > allowed) cut[used].iov_len = allowed;
        allowed -= cut[used].iov_len;
        used++;
    }
    return used;
}

#define MAX_PARTS 16

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    typedef ssize_t WriteVector(int, const struct iovec *, int);
    NEXT("writev", WriteVector)
    struct iovec cut[MAX_PARTS];
    if (count > MAX_PARTS) return next(fd, parts, count);
    ssize_t allowed = allowance(WRITE, fd, vector_size(parts, count));
    return allowed < 0 ? -1 : next(fd, cut, cut_vector(parts, count, (size_t)allowed, cut));
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    typedef ssize_t PositionedWriteVector(int, const struct iovec *, int, off_t);
    NEXT("pwritev", PositionedWriteVector)
    struct iovec cut[MAX_PARTS];
    if (count > MAX_PARTS) return next(fd, parts, count, at);
    ssize_t allowed = allowance(WRITE, fd, vector_size(parts, count));
    return allowed < 0 ? -1 : next(fd, cut, cut_vector(parts, count, (size_t)allowed, cut), at);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    return pwritev(fd, parts, count, at);
}

/* ---- files ---- */

static int is_folder(int fd)
{
    struct stat status;
    return !fstat(fd, &status) && S_ISDIR(status.st_mode);
}

EXPORT int fsync(int fd)
{
    typedef int Sync(int);
    NEXT("fsync", Sync)
    return refuses(is_folder(fd) ? HINT : SYNC) ? -1 : next(fd);
}

EXPORT int fdatasync(int fd)
{
    typedef int Sync(int);
    NEXT("fdatasync", Sync)
    return refuses(SYNC) ? -1 : next(fd);
}

EXPORT int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags)
{
    typedef int SyncRange(int, off64_t, off64_t, unsigned);
    NEXT("sync_file_range", SyncRange)
    return refuses(HINT) ? -1 : next(fd, offset, size, flags);
}

EXPORT int rename(const char *from, const char *to)
{
    typedef int Rename(const char *, const char *);
    NEXT("rename", Rename)
    return refuses(RENAME) ? -1 : next(from, to);
}

EXPORT int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    typedef int RenameAt(int, const char *, int, const char *);
    NEXT("renameat", RenameAt)
    return refuses(RENAME) ? -1 : next(from_folder, from, to_folder, to);
}

EXPORT int unlinkat(int folder, const char *path, int flags)
{
    typedef int UnlinkAt(int, const char *, int);
    NEXT("unlinkat", UnlinkAt)
    return refuses(RENAME) ? -1 : next(folder, path, flags);
}

EXPORT int unlink(const char *path)
{
    typedef int Unlink(const char *);
    NEXT("unlink", Unlink)
    return refuses(RENAME) ? -1 : next(path);
}

EXPORT int ftruncate(int fd, off_t size)
{
    typedef int Truncate(int, off_t);
    NEXT("ftruncate", Truncate)
    return refuses(TRUNCATE) ? -1 : next(fd, size);
}

EXPORT int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

EXPORT int truncate(const char *path, off_t size)
{
    typedef int TruncatePath(const char *, off_t);
    NEXT("truncate", TruncatePath)
    return refuses(TRUNCATE) ? -1 : next(path, size);
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t size)
{
    typedef int Allocate(int, int, off_t, off_t);
    NEXT("fallocate", Allocate)
    return refuses(TRUNCATE) ? -1 : next(fd, mode, offset, size);
}

EXPORT int posix_fallocate(int fd, off_t offset, off_t size)
{
    typedef int PosixAllocate(int, off_t, off_t);
    NEXT("posix_fallocate", PosixAllocate)
    return refuses(TRUNCATE) ? fault.error : next(fd, offset, size);
}

static Kind kind_of_open(int flags)
{
    return flags & (O_WRONLY | O_RDWR | O_CREAT) ? CREATE : OPEN;
}

static mode_t mode_argument(int flags, va_list arguments)
{
    return flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
}

EXPORT int openat(int folder, const char *path, int flags, ...)
{
    typedef int OpenAt(int, const char *, int, ...);
    NEXT("openat", OpenAt)
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return refuses(kind_of_open(flags)) ? -1 : next(folder, path, flags, mode);
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return openat(AT_FDCWD, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return openat(AT_FDCWD, path, flags, mode);
}

EXPORT int openat64(int folder, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_argument(flags, arguments);
    va_end(arguments);
    return openat(folder, path, flags, mode);
}

EXPORT int creat(const char *path, mode_t mode)
{
    return openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

EXPORT void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    typedef void *Map(void *, size_t, int, int, int, off_t);
    NEXT("mmap", Map)
    return refuses(MAP) ? MAP_FAILED : next(address, size, protection, flags, fd, offset);
}

EXPORT int fcntl(int fd, int command, ...)
{
    typedef int Control(int, int, ...);
    NEXT("fcntl", Control)
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    int is_lock = command == F_OFD_SETLK || command == F_OFD_SETLKW || command == F_SETLK;
    return is_lock && refuses(LOCK) ? -1 : next(fd, command, argument);
}

EXPORT int fcntl64(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return fcntl(fd, command, argument);
}

EXPORT int flock(int fd, int operation)
{
    typedef int Lock(int, int);
    NEXT("flock", Lock)
    return refuses(LOCK) ? -1 : next(fd, operation);
}

/* ---- memory and threads ---- */

EXPORT void *malloc(size_t size)
{
    typedef void *Allocate(size_t);
    NEXT("malloc", Allocate)
    return refuses(MEMORY_KIND) ? NULL : next(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    typedef void *AllocateMany(size_t, size_t);
    NEXT("calloc", AllocateMany)
    return refuses(MEMORY_KIND) ? NULL : next(count, size);
}

EXPORT void *realloc(void *block, size_t size)
{
    typedef void *Reallocate(void *, size_t);
    NEXT("realloc", Reallocate)
    return refuses(MEMORY_KIND) ? NULL : next(block, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    typedef void *AllocateAligned(size_t, size_t);
    NEXT("aligned_alloc", AllocateAligned)
    return refuses(MEMORY_KIND) ? NULL : next(alignment, size);
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
    typedef int AllocateInto(void **, size_t, size_t);
    NEXT("posix_memalign", AllocateInto)
    return refuses(MEMORY_KIND) ? ENOMEM : next(out, alignment, size);
}

EXPORT char *strdup(const char *text)
{
    typedef char *Duplicate(const char *);
    NEXT("strdup", Duplicate)
    on_behalf_of = MEMORY_KIND;
    char *copy = next(text);
    on_behalf_of = 0;
    return copy;
}

EXPORT int vasprintf(char **out, const char *format, va_list arguments)
{
    typedef int Print(char **, const char *, va_list);
    NEXT("vasprintf", Print)
    on_behalf_of = MEMORY_KIND;
    int length = next(out, format, arguments);
    on_behalf_of = 0;
    return length;
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument)
{
    typedef int Create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    NEXT("pthread_create", Create)
    return refuses(THREAD) ? fault.error : next(thread, attributes, start, argument);
}
