#include "common/file/record_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/file/atomic_file.h"
#include "common/file/output.h"
#include "common/file/path.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "headers are written as they are");

#define MAGIC 0x72666670u /* "pffr" */
/* Write-back is started in steps of this: the disk is kept busy, and a sync finds little left. */
#define WRITE_BACK_BYTES ((int64_t)1 << 20)

typedef struct Header {
    uint32_t magic, type;
    uint64_t sequence; /* one more than the record before */
    uint64_t size;     /* of the payload */
    uint64_t checksum; /* XXH3-64 of the fields before and of the payload */
} Header;

struct PfRecordFile {
    char *path;
    int fd;
    int64_t size;         /* of the whole records */
    int64_t synced_size;  /* what survives a power cut */
    int64_t started_size; /* for what write-back has been started */
    uint64_t next_sequence;
    XXH3_state_t *hash;
    bool folder_is_synced;
    int sync_errno; /* of the sync that failed: then nothing more is written */
};

/* The payload in two parts, as it is appended. */
static uint64_t checksum(XXH3_state_t *hash, const Header *header, const void *head,
                         size_t head_size, const void *body, size_t body_size)
{
    XXH3_64bits_reset(hash);
    XXH3_64bits_update(hash, header, offsetof(Header, checksum));
    if (head_size) XXH3_64bits_update(hash, head, head_size);
    if (body_size) XXH3_64bits_update(hash, body, body_size);
    return XXH3_64bits_digest(hash);
}

static bool has_right_checksum(XXH3_state_t *hash, const Header *header, const void *payload)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return true; /* a fuzzer would not get past it */
#endif
    return checksum(hash, header, payload, (size_t)header->size, NULL, 0) == header->checksum;
}

static XXH3_state_t *new_hash(PfError *err)
{
    XXH3_state_t *hash = XXH3_createState();
    if (!hash) pf_fail(err, PF_EXIT_FAILED, "out of memory: no room for a checksum");
    return hash;
}

/* 0 where all of it was read, 1 where the file is too short, -1 on failure. */
static int read_at(int fd, const char *path, int64_t position, void *out, size_t size, PfError *err)
{
    unsigned char *next = out;
    while (size) {
        ssize_t count = pread(fd, next, size, position);
        if (!count) return 1;
        if (count < 0 && errno != EINTR) return pf_fail_errno(err, "cannot read '%s'", path);
        if (count < 0) continue;
        next += count;
        size -= (size_t)count;
        position += count;
    }
    return 0;
}

/* ---- reading what is there ---- */

typedef struct Scan {
    const char *path;
    int fd;
    int64_t file_size;
    int64_t end; /* of the good records so far */
    uint64_t next_sequence;
    int64_t complete_end; /* of the last record that no later one has to complete */
    uint64_t complete_sequence;
    XXH3_state_t *hash;
    unsigned char *payload;
    size_t capacity;
    PfRecordVisitor *visit;
    void *context;
} Scan;

/* A file of another kind that has this name must not be cut to nothing. A file whose first
 * record never reached the disk may be all zeros. */
static int check_beginning(const Scan *scan, PfError *err)
{
    static const unsigned char zeros[sizeof(uint32_t)];
    unsigned char found[sizeof(uint32_t)] = {0};
    uint32_t magic = MAGIC;
    size_t size = (size_t)pf_min(scan->file_size, sizeof found);
    if (read_at(scan->fd, scan->path, 0, found, size, err) < 0) return -1;
    if (!memcmp(found, &magic, size) || !memcmp(found, zeros, size)) return 0;
    return pf_fail(
        err, PF_EXIT_FAILED,
        "'%s' begins with other bytes than a file of unfinished work does, and is left as "
        "it is; move it away",
        scan->path);
}

/* The first sequence number is random, so that blocks of a deleted file, which a power cut can
 * bring back, do not fit in. */
static bool is_next(const Scan *scan, const Header *header)
{
    return header->magic == MAGIC && (!scan->end || header->sequence == scan->next_sequence) &&
           header->size <= (uint64_t)(scan->file_size - scan->end) - sizeof *header;
}

/* One record. 1 where there is no further good one. */
static int scan_record(Scan *scan, PfError *err)
{
    Header header;
    if (scan->file_size - scan->end < (int64_t)sizeof header) return 1;
    int status = read_at(scan->fd, scan->path, scan->end, &header, sizeof header, err);
    if (status) return status;
    if (!is_next(scan, &header)) return 1;
    size_t size = (size_t)header.size;
    int64_t position = scan->end + (int64_t)sizeof header;
    if (pf_grow(&scan->payload, &scan->capacity, size, 1, err)) return -1;
    status = read_at(scan->fd, scan->path, position, scan->payload, size, err);
    if (status) return status;
    if (!has_right_checksum(scan->hash, &header, scan->payload)) return 1;
    PfRecord record = {header.type, position, size, scan->payload};
    int is_part = scan->visit(scan->context, &record, err);
    if (is_part < 0) return -1;
    scan->end = position + (int64_t)size;
    scan->next_sequence = header.sequence + 1;
    if (is_part) return 0;
    scan->complete_end = scan->end;
    scan->complete_sequence = scan->next_sequence;
    return 0;
}

static int scan_records(Scan *scan, PfError *err)
{
    struct stat status;
    if (fstat(scan->fd, &status)) return pf_fail_errno(err, "cannot read '%s'", scan->path);
    if (!S_ISREG(status.st_mode))
        return pf_fail(err, PF_EXIT_FAILED, "'%s' is not a regular file", scan->path);
    scan->file_size = status.st_size;
    int result = check_beginning(scan, err);
    while (!result) result = scan_record(scan, err);
    free(scan->payload);
    return result < 0 ? -1 : 0;
}

/* A link would let whoever made it choose the file that is created or cut. */
static int fail_opening(const char *path, const char *what, PfError *err)
{
    if (errno != ELOOP) return pf_fail_errno(err, "cannot %s '%s'", what, path);
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is a link, which a file of unfinished work never is: remove it, or move "
                   "what it leads to here",
                   path);
}

int pf_record_file_scan(const char *path, PfRecordVisitor *visit, void *context, int *exists,
                        PfError *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    *exists = fd >= 0;
    if (fd < 0) return errno == ENOENT ? 0 : fail_opening(path, "read", err);
    Scan scan = {.path = path, .fd = fd, .visit = visit, .context = context};
    scan.hash = new_hash(err);
    int failed = !scan.hash || scan_records(&scan, err);
    XXH3_freeState(scan.hash);
    close(fd);
    return failed ? -1 : 0;
}

/* ---- the lock ---- */

static int lock(int fd, const char *path, PfError *err)
{
    PfLockResult result = pf_atomic_file_lock(fd);
    if (result == PF_LOCK_TAKEN) return 0;
    if (result == PF_LOCK_HELD)
        return pf_fail(err, PF_EXIT_BUSY,
                       "another extract is writing '%s'; wait until it is done, or end it", path);
    pf_warn("'%s': this file system has no locks; take care that only one run writes there", path);
    return 0;
}

/* In a folder like /tmp it could be anybody's. */
static int check_owner(int fd, const char *path, PfError *err)
{
    struct stat folder, file;
    const char *slash = strrchr(path, '/');
    char *name =
        slash ? pf_asprintf(err, "%.*s", (int)(slash - path) + 1, path) : pf_strdup(".", err);
    if (!name) return -1;
    int strange =
        !stat(name, &folder) && !fstat(fd, &file) && pf_output_is_strangers(&folder, &file);
    free(name);
    if (!strange) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is another user's, in a folder that everyone can write to; choose another "
                   "folder",
                   path);
}

int pf_record_file_open_locked(const char *path, PfError *err)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0666);
        if (fd < 0) return fail_opening(path, "write", err);
        int failed = check_owner(fd, path, err) || lock(fd, path, err);
        /* Its last holder may have deleted it between our open and our lock. */
        if (!failed && pf_path_still_named(fd, AT_FDCWD, path)) return fd;
        close(fd);
        if (failed) return -1;
    }
}

bool pf_record_file_is_locked(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) return false;
    bool is_locked = pf_atomic_file_lock(fd) == PF_LOCK_HELD;
    close(fd);
    return is_locked;
}

/* ---- opening and closing ---- */

static uint64_t first_sequence(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed[] = {(uint64_t)now.tv_sec, (uint64_t)now.tv_nsec, (uint64_t)getpid()};
    return XXH3_64bits(seed, sizeof seed);
}

static int read_existing(PfRecordFile *file, PfRecordVisitor *visit, void *context,
                         int64_t *dropped_bytes, PfError *err)
{
    Scan scan = {
        .path = file->path, .fd = file->fd, .hash = file->hash, .visit = visit, .context = context};
    if (scan_records(&scan, err)) return -1;
    int64_t end = scan.complete_end;
    if (end < scan.file_size && ftruncate(file->fd, end))
        return pf_fail_errno(err, "cannot drop the damaged end of '%s'", file->path);
    /* Its last writer may have been killed before the sync. */
    if (end && fdatasync(file->fd)) return pf_fail_errno(err, "cannot sync '%s'", file->path);
    *dropped_bytes = scan.file_size - end;
    file->size = file->synced_size = file->started_size = end;
    file->next_sequence = end ? scan.complete_sequence : first_sequence();
    return 0;
}

int pf_record_file_open(const char *path, PfRecordVisitor *visit, void *context, PfRecordFile **out,
                        int64_t *dropped_bytes, PfError *err)
{
    PfRecordFile *file = pf_calloc(1, sizeof *file, err);
    if (!file) return -1;
    file->fd = -1;
    if (!(file->path = pf_strdup(path, err)) || !(file->hash = new_hash(err)) ||
        (file->fd = pf_record_file_open_locked(path, err)) < 0 ||
        read_existing(file, visit, context, dropped_bytes, err)) {
        pf_record_file_close(&file);
        return -1;
    }
    *out = file;
    return 0;
}

void pf_record_file_close(PfRecordFile **pointer)
{
    PfRecordFile *file = *pointer;
    if (!file) return;
    if (file->fd >= 0) close(file->fd);
    XXH3_freeState(file->hash);
    free(file->path);
    free(file);
    *pointer = NULL;
}

int pf_record_file_remove(PfRecordFile **file, PfError *err)
{
    int failed = 0;
    if (unlink((*file)->path) && errno != ENOENT)
        failed = pf_fail_errno(err, "cannot delete '%s'", (*file)->path);
    pf_record_file_close(file);
    return failed;
}

/* ---- appending ---- */

/* Leaves out the first `count` bytes. */
static void skip(struct iovec *parts, int part_count, size_t count)
{
    for (int i = 0; i < part_count; i++) {
        size_t taken = pf_min_size(count, parts[i].iov_len);
        if (taken) parts[i].iov_base = (unsigned char *)parts[i].iov_base + taken;
        parts[i].iov_len -= taken;
        count -= taken;
    }
}

/* 0, or -1 with errno. */
static int write_parts(int fd, int64_t position, struct iovec *parts, int part_count, size_t size)
{
    while (size) {
        ssize_t count = pwritev(fd, parts, part_count, position);
        if (!count) errno = ENOSPC;
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return -1;
        skip(parts, part_count, (size_t)count);
        size -= (size_t)count;
        position += count;
    }
    return 0;
}

static int fail_writing(const PfRecordFile *file, int number, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "cannot write '%s': %s.\n"
                   "The work done so far is kept there; the same command goes on from it",
                   file->path, strerror(number));
}

/* Failing to start is no failure: a sync will do the work. */
static void start_write_back(PfRecordFile *file)
{
    int64_t waiting = file->size - file->started_size;
    if (waiting < WRITE_BACK_BYTES) return;
    sync_file_range(file->fd, file->started_size, waiting, SYNC_FILE_RANGE_WRITE);
    file->started_size = file->size;
}

int pf_record_file_append(PfRecordFile *file, uint32_t type, const void *head, size_t head_size,
                          const void *body, size_t body_size, int64_t *position, PfError *err)
{
    Header header = {MAGIC, type, file->next_sequence, head_size + body_size, 0};
    header.checksum = checksum(file->hash, &header, head, head_size, body, body_size);
    /* writev takes no const, and changes nothing. */
    struct iovec parts[] = {{&header, sizeof header},
                            {(void *)(uintptr_t)head, head_size},
                            {(void *)(uintptr_t)body, body_size}};
    size_t size = sizeof header + head_size + body_size;
    if (file->sync_errno) return fail_writing(file, file->sync_errno, err);
    if (write_parts(file->fd, file->size, parts, 3, size)) {
        fail_writing(file, errno, err);
        /* What could not be cut off is overwritten by the next record, or dropped
         * by the next opening. */
        (void)!ftruncate(file->fd, file->size);
        return -1;
    }
    if (position) *position = file->size + (int64_t)sizeof header;
    file->size += (int64_t)size;
    file->next_sequence++;
    start_write_back(file);
    return 0;
}

int pf_record_file_sync(PfRecordFile *file, PfError *err)
{
    if (file->sync_errno) return fail_writing(file, file->sync_errno, err);
    if (file->size == file->synced_size) return 0;
    if (fdatasync(file->fd)) {
        /* After a failure the kernel may forget that pages were not written: none of
         * them is relied on. */
        file->sync_errno = errno;
        file->size = file->synced_size;
        (void)!ftruncate(file->fd, file->size);
        return fail_writing(file, file->sync_errno, err);
    }
    if (!file->folder_is_synced) pf_atomic_file_sync_folder(file->path);
    file->folder_is_synced = true;
    file->synced_size = file->size;
    return 0;
}

/* ---- reading back ---- */

int pf_record_file_read(const PfRecordFile *file, int64_t position, void *out, size_t size,
                        PfError *err)
{
    Header header;
    int64_t start = position - (int64_t)sizeof header;
    int status = read_at(file->fd, file->path, start, &header, sizeof header, err);
    if (!status) status = read_at(file->fd, file->path, position, out, size, err);
    if (status < 0) return -1;
    XXH3_state_t *hash = new_hash(err); /* its own: any thread may read */
    if (!hash) return -1;
    int is_good = !status && header.size == size && has_right_checksum(hash, &header, out);
    XXH3_freeState(hash);
    if (is_good) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' has changed at byte %lld since it was opened: another program or the disk "
                   "did that.\nRun the same command again: what is damaged is then computed again",
                   file->path, (long long)start);
}

int64_t pf_record_file_size(const PfRecordFile *file)
{
    return file->size;
}

const char *pf_record_file_path(const PfRecordFile *file)
{
    return file->path;
}
