#include "input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

const char *pf_input_kind(const struct stat *status)
{
    switch (status->st_mode & S_IFMT) {
    case S_IFREG: return "a file";
    case S_IFDIR: return "a folder";
    case S_IFIFO: return "a named pipe";
    case S_IFSOCK: return "a socket";
    default: return "a device";
    }
}

static int fail_kind(const struct stat *status, const char *what, const char *path, PfError *err)
{
    errno = EINVAL;
    return pf_fail(err, PF_EXIT_FAILED, "%s%s'%s' is %s, not a file", what, *what ? " " : "", path,
                   pf_input_kind(status));
}

int pf_input_try(int folder, const char *path, struct stat *status)
{
    *status = (struct stat){0};
    /* Opening a device may do something by itself; the second look is for what changed since. */
    if (fstatat(folder, path, status, 0)) return -1;
    int fd = -1, is_file = S_ISREG(status->st_mode);
    if (is_file) {
        fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0) return -1;
        is_file = !fstat(fd, status) && S_ISREG(status->st_mode);
    }
    if (is_file) return fd;
    if (fd >= 0) close(fd);
    errno = EINVAL;
    return -1;
}

int pf_input_open(int folder, const char *path, const char *what, struct stat *status, PfError *err)
{
    struct stat own;
    if (!status) status = &own;
    int fd = pf_input_try(folder, path, status), number = errno;
    if (fd >= 0) return fd;
    if (number == EINVAL && status->st_mode && !S_ISREG(status->st_mode))
        return fail_kind(status, what, path, err);
    pf_fail_errno(err, "cannot open %s%s'%s'", what, *what ? " " : "", path);
    errno = number;
    return -1;
}
