#include "atomic_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

/* Length of the directory part of path with its slash, 0 for the current one. */
static int directory_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (int)(slash - path) + 1 : 0;
}

int pf_atomic_file_begin(const char *path, char **temporary, PfError *err)
{
    struct stat status;
    *temporary = NULL;
    if (!stat(path, &status) && S_ISDIR(status.st_mode))
        return pf_fail(err, PF_EXIT_FAILED, "cannot write '%s': it is a directory", path);
    int length = directory_length(path);
    char *name = pf_asprintf(err, "%.*s.%s.part-%ld", length, path, path + length, (long)getpid());
    if (!name) return -1;
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        pf_fail_errno(err, "cannot write '%s': its folder does not take a new file", path);
        free(name);
        return -1;
    }
    close(fd);
    *temporary = name;
    return 0;
}

static int sync_path(const char *path, int flags, PfError *err)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) return pf_fail_errno(err, "cannot open '%s' to sync it", path);
    int failed = fsync(fd) && errno != EINVAL && errno != EROFS;
    if (failed) pf_fail_errno(err, "cannot sync '%s'", path);
    close(fd);
    return failed ? -1 : 0;
}

void pf_atomic_file_sync_folder(const char *path)
{
    int length = directory_length(path);
    char *directory = length ? pf_asprintf(NULL, "%.*s", length, path) : pf_strdup(".", NULL);
    if (directory) sync_path(directory, O_RDONLY | O_DIRECTORY, NULL);
    free(directory);
}

int pf_atomic_file_commit(const char *path, char **temporary, PfError *err)
{
    int failed = sync_path(*temporary, O_RDONLY, err);
    if (!failed && rename(*temporary, path))
        failed = pf_fail_errno(err, "cannot rename '%s' to '%s'", *temporary, path);
    if (failed) {
        pf_atomic_file_abandon(temporary);
        return -1;
    }
    /* The file is in place; a directory that cannot be synced only delays
     * when that survives a power cut. */
    pf_atomic_file_sync_folder(path);
    free(*temporary);
    *temporary = NULL;
    return 0;
}

void pf_atomic_file_abandon(char **temporary)
{
    if (!*temporary) return;
    unlink(*temporary);
    free(*temporary);
    *temporary = NULL;
}

/* Whether name is "<prefix><pid>" of a process that is not there any more. */
static int is_orphan(const char *name, const char *prefix)
{
    size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) || !name[length]) return 0;
    char *end;
    long pid = strtol(name + length, &end, 10);
    return !*end && pid > 0 && kill((pid_t)pid, 0) && errno == ESRCH;
}

void pf_atomic_file_sweep(const char *path)
{
    int length = directory_length(path);
    char *folder = length ? pf_asprintf(NULL, "%.*s", length, path) : pf_strdup(".", NULL);
    char *prefix = pf_asprintf(NULL, ".%s.part-", path + length);
    DIR *directory = folder && prefix ? opendir(folder) : NULL;
    const struct dirent *entry;
    while (directory && (entry = readdir(directory)))
        if (is_orphan(entry->d_name, prefix)) unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory) closedir(directory);
    free(prefix);
    free(folder);
}

int pf_atomic_file_check(const char *path, PfError *err)
{
    char *temporary;
    if (pf_atomic_file_begin(path, &temporary, err)) return -1;
    pf_atomic_file_abandon(&temporary);
    return 0;
}

int pf_atomic_file_write(const char *path, const void *bytes, size_t size, PfError *err)
{
    char *temporary;
    if (pf_atomic_file_begin(path, &temporary, err)) return -1;
    FILE *file = fopen(temporary, "wb");
    int failed = !file || fwrite(bytes, 1, size, file) != size;
    if (file && fclose(file)) failed = 1;
    if (failed) {
        pf_fail_errno(err, "cannot write '%s'", path);
        pf_atomic_file_abandon(&temporary);
        return -1;
    }
    return pf_atomic_file_commit(path, &temporary, err);
}
