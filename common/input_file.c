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

int pf_input_open(int folder, const char *path, const char *what, struct stat *status, PfError *err)
{
    struct stat own;
    if (!status) status = &own;
    /* Opening a device may do something by itself; the second look is for what changed since. */
    if (!fstatat(folder, path, status, 0) && !S_ISREG(status->st_mode))
        return fail_kind(status, what, path, err);
    int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && !fstat(fd, status) && S_ISREG(status->st_mode)) return fd;
    int number = errno, is_open = fd >= 0;
    if (is_open) close(fd);
    if (is_open) return fail_kind(status, what, path, err);
    errno = number;
    pf_fail_errno(err, "%s%s'%s' cannot be opened", what, *what ? " " : "", path);
    errno = number;
    return -1;
}
