#include "file_stamp.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "input_file.h"
#include "mapped_file.h"

/* File systems count time in steps of up to two seconds: a file that was changed so
 * shortly before it was read may change once more and keep its dates. */
#define SETTLED_NS ((int64_t)2000000000)

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

PfFileStamp pf_file_stamp(const struct stat *status)
{
    return (PfFileStamp){
        .size_bytes = (uint64_t)status->st_size,
        .mtime_ns = nanoseconds(status->st_mtim),
        .ctime_ns = nanoseconds(status->st_ctim),
    };
}

int64_t pf_file_time_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return nanoseconds(now);
}

PfFileStamp pf_file_stamp_settled(PfFileStamp stamp, int64_t now_ns)
{
    int64_t changed = stamp.mtime_ns > stamp.ctime_ns ? stamp.mtime_ns : stamp.ctime_ns;
    if (changed > now_ns - SETTLED_NS) stamp.mtime_ns = 0;
    return stamp;
}

int pf_file_stamp_equal(const PfFileStamp *a, const PfFileStamp *b)
{
    return a->size_bytes == b->size_bytes && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

const char *pf_known_sha256(const PfKnownSha256 *known, const PfFileStamp *stamp)
{
    if (!known || !known->stamp.mtime_ns || !pf_file_stamp_equal(&known->stamp, stamp)) return NULL;
    return known->sha256;
}

int pf_file_sha256(const char *path, const PfKnownSha256 *known, PfFileStamp *stamp,
                   char sha256[PF_SHA256_TEXT_SIZE], PfError *err)
{
    struct stat status;
    int64_t now = pf_file_time_now();
    int fd = pf_input_open(AT_FDCWD, path, "", &status, err);
    if (fd < 0) return -1;
    const void *bytes = NULL;
    int failed = pf_map_file(fd, &status, "file", path, &bytes, err);
    close(fd);
    if (failed) return -1;
    if (!bytes) return pf_fail(err, PF_EXIT_FAILED, "'%s': not a file with something in it", path);
    *stamp = pf_file_stamp_settled(pf_file_stamp(&status), now);
    if (pf_known_sha256(known, stamp))
        snprintf(sha256, PF_SHA256_TEXT_SIZE, "%s", known->sha256);
    else
        pf_sha256_text(bytes, (size_t)status.st_size, sha256);
    pf_unmap_file(bytes, (size_t)status.st_size);
    return 0;
}
