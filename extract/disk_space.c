#include "disk_space.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "options.h"

int64_t pf_disk_free(const char *path)
{
    const char *fake = getenv("PF_FAKE_DISK_FREE");
    struct statvfs status;
    long long free_bytes;
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int failed = !folder || statvfs(folder, &status);
    free(folder);
    if (fake && !pf_read_long(fake, strlen(fake), &free_bytes)) return free_bytes;
    return failed ? -1 : (int64_t)status.f_bavail * (int64_t)status.f_frsize;
}
