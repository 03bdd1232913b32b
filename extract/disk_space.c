#include "disk_space.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "atomic_file.h"
#include "options.h"

int64_t pf_disk_free(const char *path)
{
    const char *fake = getenv("PF_FAKE_DISK_FREE");
    struct statvfs status;
    long long free_bytes;
    char *target = pf_atomic_file_target(path, NULL);
    const char *slash = target ? strrchr(target, '/') : NULL;
    char *folder = slash ? strndup(target, (size_t)(slash - target) + 1) : strdup(".");
    int failed = !target || !folder || statvfs(folder, &status);
    free(folder);
    free(target);
    if (fake && !pf_read_long(fake, strlen(fake), &free_bytes)) return free_bytes;
    return failed ? -1 : (int64_t)status.f_bavail * (int64_t)status.f_frsize;
}
