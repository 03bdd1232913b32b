#include "common/file/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"

/* So much is in memory. */
#define MOST_BUFFERED ((size_t)1 << 20)

/* Some file systems cannot make files without a name. */
static int open_named(const char *folder)
{
    char *path = pf_asprintf(NULL, "%s/permafrost-XXXXXX", folder);
    if (!path) return -1;
    int fd = mkostemp(path, O_CLOEXEC), number = errno;
    if (fd >= 0) unlink(path);
    free(path);
    errno = number;
    return fd;
}

int pf_spool_temporary_file(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : open_named(folder);
}

PfSpool pf_spool_begin(const char *folder)
{
    return (PfSpool){.folder = folder};
}

static int fail(const PfSpool *spool, PfError *err)
{
    return pf_fail_errno(err, "a temporary file in '%s' fails after %lld bytes", spool->folder,
                         (long long)spool->size);
}

/* ---- writing ---- */

static int flush(PfSpool *spool, PfError *err)
{
    if (!spool->has_file) {
        int fd = pf_spool_temporary_file(spool->folder);
        if (fd < 0) return fail(spool, err);
        spool->fd = fd;
        spool->has_file = true;
    }
    for (size_t done = 0; done < spool->used;) {
        ssize_t put = write(spool->fd, spool->buffer + done, spool->used - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail(spool, err);
        done += (size_t)put;
    }
    spool->used = 0;
    return 0;
}

int pf_spool_append(PfSpool *spool, const void *bytes, size_t size, PfError *err)
{
    if (spool->used && spool->used + size > MOST_BUFFERED && flush(spool, err)) return -1;
    if (pf_grow(&spool->buffer, &spool->capacity, spool->used + size, 1, err)) return -1;
    memcpy(spool->buffer + spool->used, bytes, size);
    spool->used += size;
    spool->size += (int64_t)size;
    return 0;
}

/* ---- reading ---- */

int pf_spool_rewind(PfSpool *spool, PfError *err)
{
    spool->at = 0;
    if (!spool->has_file) return 0;
    if (!spool->is_read && flush(spool, err)) return -1;
    spool->is_read = true;
    spool->used = 0;
    return lseek(spool->fd, 0, SEEK_SET) ? fail(spool, err) : 0;
}

/* The buffer anew from the file. */
static int fill(PfSpool *spool, PfError *err)
{
    ssize_t got;
    do got = spool->has_file ? read(spool->fd, spool->buffer, spool->capacity) : 0;
    while (got < 0 && errno == EINTR);
    if (!got) errno = EIO; /* it ends too soon */
    if (got <= 0) return fail(spool, err);
    spool->used = (size_t)got;
    spool->at = 0;
    return 0;
}

int pf_spool_read(PfSpool *spool, void *out, size_t size, PfError *err)
{
    for (size_t done = 0, n; done < size; done += n) {
        if (spool->at == spool->used && fill(spool, err)) return -1;
        n = spool->used - spool->at;
        if (n > size - done) n = size - done;
        memcpy((char *)out + done, spool->buffer + spool->at, n);
        spool->at += n;
    }
    return 0;
}

void pf_spool_free(PfSpool *spool)
{
    if (spool->has_file) close(spool->fd);
    free(spool->buffer);
    *spool = (PfSpool){0};
}
