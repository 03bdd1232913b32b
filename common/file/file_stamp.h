/* Whether a file is still the one that was read, told without reading it. */
#ifndef PF_COMMON_FILE_FILE_STAMP_H
#define PF_COMMON_FILE_FILE_STAMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/base/digest.h"
#include "permafrost/feature_cache.h"

PfFileStamp pf_file_stamp(const struct stat *status);
/* Nanoseconds since 1970, by the clock that dates files. */
int64_t pf_file_stamp_now(void);
/* The stamp, with mtime_ns 0 where the file had been changed so shortly before
 * now_ns, when its bytes were about to be read, that it could change again unseen. */
PfFileStamp pf_file_stamp_settled(PfFileStamp stamp, int64_t now_ns);
bool pf_file_stamp_equal(const PfFileStamp *a, const PfFileStamp *b);

/* What a file's digest was when it had that stamp. */
typedef struct PfFileStampSha256 {
    PfFileStamp stamp; /* mtime_ns 0: not to be relied on */
    char sha256[PF_SHA256_TEXT_SIZE];
} PfFileStampSha256;

/* The digest of a file with this stamp, where that is the known one (which may be NULL);
 * else NULL. */
const char *pf_file_stamp_sha256(const PfFileStampSha256 *known, const PfFileStamp *stamp);

#endif
