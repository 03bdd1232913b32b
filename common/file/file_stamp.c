#include "common/file/file_stamp.h"

#include <time.h>

#include "common/base/integers.h"

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

int64_t pf_file_stamp_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return nanoseconds(now);
}

PfFileStamp pf_file_stamp_settled(PfFileStamp stamp, int64_t now_ns)
{
    int64_t changed = pf_max(stamp.mtime_ns, stamp.ctime_ns);
    if (changed > now_ns - SETTLED_NS) stamp.mtime_ns = 0;
    return stamp;
}

bool pf_file_stamp_equal(const PfFileStamp *a, const PfFileStamp *b)
{
    return a->size_bytes == b->size_bytes && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

const char *pf_file_stamp_sha256(const PfFileStampSha256 *known, const PfFileStamp *stamp)
{
    if (!known || !known->stamp.mtime_ns || !pf_file_stamp_equal(&known->stamp, stamp)) return NULL;
    return known->sha256;
}
