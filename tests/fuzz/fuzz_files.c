#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/digest.h"
#include "fuzz.h"

/* Absurd sizes are refused as malloc itself refuses them. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/* What HDF5 forgets about files that it refuses. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

void fuzz_fail(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    abort();
}

void fuzz_check_refusal(const PfError *err)
{
    FUZZ_CHECK(err->exit_code != PF_EXIT_DONE && *err->message);
    FUZZ_CHECK(memchr(err->message, 0, sizeof err->message));
}

void fuzz_touch(const void *data, size_t size)
{
    uint8_t digest[16];
    pf_digest_xxh128(data, size, digest);
}

static void write_all(int fd, const uint8_t *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t wrote = pwrite(fd, data + done, size - done, (off_t)done);
        FUZZ_CHECK(wrote > 0);
        done += (size_t)wrote;
    }
}

/* ---- a folder ---- */

static char folder[64];
static int folder_fd = -1;

static void empty_folder(void)
{
    DIR *stream = fdopendir(dup(folder_fd));
    FUZZ_CHECK(stream);
    rewinddir(stream);
    for (struct dirent *entry; (entry = readdir(stream));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            unlinkat(folder_fd, entry->d_name, 0);
    closedir(stream);
}

static void remove_folder(void)
{
    empty_folder();
    rmdir(folder);
}

static void make_folder(void)
{
    const char *root = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
    if (folder_fd >= 0) return;
    snprintf(folder, sizeof folder, "%s/pf_fuzz_XXXXXX", root);
    FUZZ_CHECK(mkdtemp(folder));
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FUZZ_CHECK(folder_fd >= 0);
    atexit(remove_folder);
}

const char *fuzz_folder(void)
{
    make_folder();
    empty_folder();
    return folder;
}

void fuzz_put(const char *name, const void *data, size_t size)
{
    int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0);
    write_all(fd, data, size);
    close(fd);
}

const char *fuzz_file(const void *data, size_t size)
{
    static char path[sizeof folder + 8];
    make_folder();
    fuzz_put("file", data, size);
    snprintf(path, sizeof path, "%s/file", folder);
    return path;
}
