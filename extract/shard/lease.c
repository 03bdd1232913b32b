#include "extract/shard/lease.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* A line of proc(5)'s mountinfo: "36 35 98:0 /root /mount rw,noatime - nfs4 host:/
 * rw,local_lock=none". */
typedef struct Mount {
    unsigned major, minor;
    char type[64];
    char options[4096]; /* of the file system, with a comma at each end */
} Mount;

static bool read_mount(const char *line, Mount *mount)
{
    const char *tail = strstr(line, " - ");
    char options[sizeof mount->options - 2];
    if (!tail || sscanf(line, "%*u %*u %u:%u ", &mount->major, &mount->minor) != 2 ||
        sscanf(tail, " - %63s %*s %4093s", mount->type, options) != 2)
        return false;
    snprintf(mount->options, sizeof mount->options, ",%s,", options);
    return true;
}

static bool has_option(const Mount *mount, const char *option)
{
    return strstr(mount->options, option) != NULL;
}

/* nfs(5): with nolock or local_lock locks are this host's alone. Lustre's mount option flock makes
 * them reach; localflock and noflock do not. What FUSE, 9p, virtiofs, SMB and BeeGFS do depends on
 * servers that cannot be asked. */
static const char *objection_to(const Mount *mount)
{
    static const char *const unsure[] = {"9p", "virtiofs", "cifs", "smb3", "beegfs", "afs"};
    if (!strncmp(mount->type, "nfs", 3)) {
        if (has_option(mount, ",nolock,")) return "NFS mounted with nolock";
        return has_option(mount, ",local_lock=") && !has_option(mount, ",local_lock=none,")
                   ? "NFS mounted with local_lock"
                   : NULL;
    }
    if (!strcmp(mount->type, "lustre"))
        return has_option(mount, ",flock,") ? NULL : "Lustre mounted without flock";
    if (!strncmp(mount->type, "fuse", 4) && strcmp(mount->type, "fuseblk"))
        return "a FUSE file system, whose locks may be this host's alone";
    for (size_t i = 0; i < sizeof unsure / sizeof *unsure; i++)
        if (!strcmp(mount->type, unsure[i]))
            return "a file system whose locks may be this host's alone";
    return NULL;
}

const char *pf_lease_objection(const char *mountinfo, dev_t device)
{
    Mount mount;
    for (const char *line = mountinfo; *line;) {
        const size_t length = strcspn(line, "\n");
        char *copy = strndup(line, length);
        const bool is_it = copy && read_mount(copy, &mount) && mount.major == major(device) &&
                           mount.minor == minor(device);
        free(copy);
        if (is_it) return objection_to(&mount);
        line += length + (line[length] == '\n');
    }
    return NULL;
}

/* NULL where it cannot be read; then nothing is known against locks. malloc'ed. */
static char *read_mountinfo(void)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *text = NULL;
    size_t capacity = 0;
    if (!file) return NULL;
    if (getdelim(&text, &capacity, '\0', file) < 0) {
        free(text);
        text = NULL;
    }
    fclose(file);
    return text;
}

int pf_lease_check(const char *folder, PfError *err)
{
    struct stat status;
    if (stat(folder, &status)) return pf_fail_errno(err, "the folder '%s' cannot be read", folder);
    char *mountinfo = read_mountinfo();
    const char *objection = mountinfo ? pf_lease_objection(mountinfo, status.st_dev) : NULL;
    free(mountinfo);
    if (!objection) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--shard any shares out shards by locks on files, which have to reach every "
                   "host; '%s' lies in %s.\nHint: --shard auto/N takes the shard's number from the "
                   "batch system",
                   folder, objection);
}
