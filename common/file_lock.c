#include "file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

static int try_lock(int fd)
{
    struct flock whole_file = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (!fcntl(fd, F_OFD_SETLK, &whole_file)) return 0;
    if (errno == EAGAIN || errno == EACCES) return -1;
    return flock(fd, LOCK_EX | LOCK_NB);
}

PfLockResult pf_file_lock(int fd)
{
    if (!try_lock(fd)) return PF_LOCK_TAKEN;
    return errno == EAGAIN || errno == EACCES ? PF_LOCK_HELD : PF_LOCK_ABSENT;
}
