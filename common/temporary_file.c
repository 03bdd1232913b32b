#include "temporary_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "file_lock.h"
#include "memory.h"
#include "path.h"

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

static int is_ours(const char *ending)
{
    return strlen(ending) == LETTERS && strspn(ending, "abcdefghijklmnopqrstuvwxyz") == LETTERS;
}

static int is_of_older_version(const char *ending)
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
    if (pf_file_lock(fd) != PF_LOCK_HELD && pf_still_named(fd, folder, name)) return fd;
    close(fd);
    return -2;
}

int pf_temporary_file_create(int folder, const char *target, mode_t mode, char **name)
{
    char letters[LETTERS + 1];
    *name = NULL;
    for (int i = 0; i < MOST_TRIES; i++) {
        if (draw_letters(letters)) return -1;
        if (!(*name = pf_asprintf(NULL, ".%s.part-%s", target, letters))) return errno = ENOMEM, -1;
        int fd = try_name(folder, *name, mode);
        if (fd >= 0) return fd;
        int number = errno;
        free(*name);
        *name = NULL;
        errno = number;
        if (fd == -1) return -1;
    }
    return errno = EEXIST, -1;
}

/* ---- removing what was left ---- */

/* File systems of this machine, on which a lock that is had is had. */
static int has_local_locks(int fd)
{
    static const unsigned long local[] = {EXT4_SUPER_MAGIC,      XFS_SUPER_MAGIC, TMPFS_MAGIC,
                                          BTRFS_SUPER_MAGIC,     RAMFS_MAGIC,     F2FS_SUPER_MAGIC,
                                          OVERLAYFS_SUPER_MAGIC, 0x2fc12fc1 /* ZFS */};
    struct statfs system;
    if (fstatfs(fd, &system)) return 0;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        if ((unsigned long)system.f_type == local[i]) return 1;
    return 0;
}

static int is_a_day_old(int fd)
{
    struct stat status;
    return !fstat(fd, &status) && time(NULL) - status.st_mtime > DAY_SECONDS;
}

static void remove_if_left(int folder, const char *name, int took_locks)
{
    struct stat status;
    int fd = openat(folder, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return;
    if (!fstat(fd, &status) && S_ISREG(status.st_mode) && pf_file_lock(fd) == PF_LOCK_TAKEN &&
        pf_still_named(fd, folder, name) &&
        ((took_locks && has_local_locks(fd)) || is_a_day_old(fd)))
        unlinkat(folder, name, 0);
    close(fd);
}

void pf_temporary_file_sweep(int folder, const char *target)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        const char *ending = ending_of(entry->d_name, target);
        if (ending && (is_ours(ending) || is_of_older_version(ending)))
            remove_if_left(folder, entry->d_name, is_ours(ending));
    }
    if (directory)
        closedir(directory);
    else if (fd >= 0)
        close(fd);
}
