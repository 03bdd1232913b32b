/* Preloaded (LD_PRELOAD) into a program, lets every opening of a file for reading, and every read,
 * take longer, as a network mount does.
 *
 *   PF_SLOW_MS=N          milliseconds each
 *   PF_SLOW_REPORT=FILE   gets the largest number of such reads that were waited for at once; files
 *                         are also opened to look for EXIF rotations
 *
 * Files that are opened relative to a folder alone: those of datasets; and places in archives,
 * files that end in .tar. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define FILES 4096

typedef int Openat(int folder, const char *path, int flags, ...);
typedef ssize_t Read(int fd, void *out, size_t size);
typedef ssize_t Pread(int fd, void *out, size_t size, off_t offset);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int waiting, most;
enum { FAST, SLOW_FILE, SLOW_ARCHIVE };
static atomic_char is_slow[FILES]; /* by descriptor */
static Openat *next_openat;
static Read *next_read;
static Pread *next_pread;

__attribute__((constructor)) static void find_next(void)
{
    *(void **)&next_openat = dlsym(RTLD_NEXT, "openat");
    *(void **)&next_read = dlsym(RTLD_NEXT, "read");
    *(void **)&next_pread = dlsym(RTLD_NEXT, "pread");
}

/* At once, as the program may leave by _exit(). */
static void report(void)
{
    const char *path = getenv("PF_SLOW_REPORT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%d\n", most);
    fclose(file);
}

static void count(int change)
{
    pthread_mutex_lock(&lock);
    waiting += change;
    if (waiting > most) {
        most = waiting;
        report();
    }
    pthread_mutex_unlock(&lock);
}

static void wait_for_disk(int is_counted)
{
    const char *value = getenv("PF_SLOW_MS");
    long milliseconds = value ? strtol(value, NULL, 10) : 0;
    struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    if (is_counted) count(1);
    nanosleep(&pause, NULL);
    if (is_counted) count(-1);
}

static int is_archive(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && !strcmp(dot, ".tar");
}

static int open_slowly(int folder, const char *path, int flags, mode_t mode)
{
    int is_read = (flags & O_ACCMODE) == O_RDONLY && !(flags & O_DIRECTORY);
    int slow = is_read && is_archive(path) ? SLOW_ARCHIVE
               : is_read && folder >= 0    ? SLOW_FILE
                                           : FAST;
    if (slow) wait_for_disk(0);
    int fd = next_openat(folder, path, flags, mode);
    if (fd >= 0 && fd < FILES) is_slow[fd] = (char)slow;
    return fd;
}

EXPORT int openat(int folder, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_slowly(folder, path, flags, mode);
}

EXPORT int openat64(int folder, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return open_slowly(folder, path, flags, mode);
}

EXPORT ssize_t read(int fd, void *out, size_t size)
{
    if (fd >= 0 && fd < FILES && is_slow[fd] == SLOW_FILE) wait_for_disk(1);
    return next_read(fd, out, size);
}

/* What FORTIFY makes of it where it knows how much room there is. */
ssize_t __read_chk(int fd, void *out, size_t size, size_t room);

EXPORT ssize_t __read_chk(int fd, void *out, size_t size, size_t room)
{
    if (size > room) abort();
    return read(fd, out, size);
}

EXPORT ssize_t pread(int fd, void *out, size_t size, off_t offset)
{
    if (fd >= 0 && fd < FILES && is_slow[fd] == SLOW_ARCHIVE) wait_for_disk(1);
    return next_pread(fd, out, size, offset);
}

ssize_t __pread_chk(int fd, void *out, size_t size, off_t offset, size_t room);

EXPORT ssize_t __pread_chk(int fd, void *out, size_t size, off_t offset, size_t room)
{
    if (size > room) abort();
    return pread(fd, out, size, offset);
}
