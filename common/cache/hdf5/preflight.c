#include "common/cache/hdf5/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/base/printable.h"
#include "common/file/input_file.h"

/* HDF5 locks each file that it opens (flock), shared for reading and alone for writing, unless the
 * environment says HDF5_USE_FILE_LOCKING=FALSE. */
#define VARIABLE "HDF5_USE_FILE_LOCKING"

/* How HDF5 finds a file when it is about to lock it for reading. */
typedef enum LockState {
    FREE,
    HELD,   /* by a program that writes it */
    ABSENT, /* the file system has no locks; errno says what it said */
} LockState;

static LockState try_lock(const char *path, struct stat *status)
{
    int fd = pf_input_file_try(AT_FDCWD, path, status);
    if (fd < 0) return FREE;
    int failed = flock(fd, LOCK_SH | LOCK_NB), reason = errno;
    close(fd); /* and the lock with it */
    errno = reason;
    return !failed ? FREE : reason == EWOULDBLOCK || reason == EACCES ? HELD : ABSENT;
}

/* What the environment asks of HDF5; "" where it says nothing. */
static const char *asked(void)
{
    const char *value = getenv(VARIABLE);
    return value ? value : "";
}

static bool is_switched_off(void)
{
    return !strcmp(asked(), "FALSE") || !strcmp(asked(), "0");
}

/* Whether it asks for locks: HDF5 then does not look at what its properties say of them. */
static bool is_insisted_on(void)
{
    return !strcmp(asked(), "TRUE") || !strcmp(asked(), "1") || !strcmp(asked(), "BEST_EFFORT");
}

/* ---- who holds it ---- */

/* The process that has the file locked for writing, 0 where this machine does not know. */
static long find_holder(const struct stat *status)
{
    char line[256];
    long holder = 0, pid;
    unsigned major_number, minor_number;
    unsigned long long inode;
    FILE *locks = fopen("/proc/locks", "re");
    while (locks && !holder && fgets(line, sizeof line, locks))
        if (sscanf(line, "%*d: FLOCK %*s WRITE %ld %x:%x:%llu", &pid, &major_number, &minor_number,
                   &inode) == 4 &&
            pid > 0 && inode == status->st_ino && major_number == major(status->st_dev) &&
            minor_number == minor(status->st_dev))
            holder = pid;
    if (locks) fclose(locks);
    return holder;
}

/* ", process 12 (python3)", or "". */
static void describe_holder(const struct stat *status, char *text, size_t size)
{
    char path[64], name[64] = "?";
    long holder = find_holder(status);
    *text = '\0';
    if (!holder) return;
    snprintf(path, sizeof path, "/proc/%ld/comm", holder);
    FILE *file = fopen(path, "re");
    if (file && fgets(name, sizeof name, file)) name[strcspn(name, "\n")] = '\0';
    if (file) fclose(file);
    snprintf(text, size, ", process %ld (%s)", holder, name);
}

static int fail_held(const char *path, const struct stat *status, PfError *err)
{
    char holder[128];
    describe_holder(status, holder, sizeof holder);
    return pf_fail(
        err, PF_EXIT_FAILED,
        "'%s' is locked: another program has it open for writing%s.\nHint: close it there "
        "first (h5py: file.close()). " VARIABLE
        "=FALSE reads it all the same, which is right where nothing is written any more",
        path, *holder ? holder : ", here or on another machine");
}

static int check_locks(const char *path, PfError *err)
{
    struct stat status;
    if (is_switched_off() || try_lock(path, &status) != HELD) return 0;
    return fail_held(path, &status, err);
}

int pf_hdf5_preflight_locks(const char *path, hid_t access, PfError *err)
{
    struct stat status;
    if (is_switched_off()) return 0;
    LockState state = try_lock(path, &status);
    if (state == FREE) return 0;
    if (state == HELD) return fail_held(path, &status, err);
    if (is_insisted_on())
        return pf_fail_errno(err,
                             "cannot lock '%s', as " VARIABLE
                             "=%s asks, because its file system has no locks (set it to FALSE, or "
                             "not at all)",
                             path, asked());
    H5Pset_file_locking(access, 0, 1);
    return 0;
}

/* ---- its first bytes ---- */

/* Where the file ends, as its superblock says; 0 where it has none of the usual kind. */
static uint64_t stated_length(const unsigned char *bytes)
{
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    uint64_t length = 0;
    int version = bytes[8];
    bool is_old = version < 2;
    /* Files whose addresses are not of 8 bytes are left to HDF5. */
    if (memcmp(bytes, signature, sizeof signature) || version > 3 || bytes[is_old ? 13 : 9] != 8)
        return 0;
    memcpy(&length, bytes + (version == 1 ? 44 : is_old ? 40 : 28), sizeof length);
    return length;
}

int pf_hdf5_preflight_length(const char *path, PfError *err)
{
    unsigned char bytes[64] = {0};
    struct stat status;
    int fd = pf_input_file_open(AT_FDCWD, path, "", &status, err);
    if (fd < 0) return -1;
    ssize_t read_bytes = pread(fd, bytes, sizeof bytes, 0);
    close(fd);
    if (read_bytes != (ssize_t)sizeof bytes) return 0;
    uint64_t stated = stated_length(bytes);
    if (stated <= (uint64_t)status.st_size) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is damaged: it has %lld bytes, and was %llu long.\nHint: make it again "
                   "(extract --force)",
                   path, (long long)status.st_size, (unsigned long long)stated);
}

bool pf_hdf5_preflight_explain(const char *path, PfError *err)
{
    static const unsigned char beginning[9] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n', 3};
    unsigned char bytes[12] = {0};
    struct stat status;
    int fd = pf_input_file_try(AT_FDCWD, path, &status);
    if (fd < 0) return false;
    ssize_t count = pread(fd, bytes, sizeof bytes, 0);
    close(fd);
    /* The last byte: 1 while it is written, 4 while others may read meanwhile. */
    if (count != (ssize_t)sizeof bytes || memcmp(bytes, beginning, sizeof beginning) ||
        !(bytes[11] & 5))
        return false;
    pf_fail(err, PF_EXIT_FAILED,
            "'%s' is marked as open for writing: a program has it open, or ended without closing "
            "it.\nHint: close it there. Where none has it open, 'h5clear -s FILE' (of hdf5-tools) "
            "takes the mark off",
            path);
    return true;
}

/* ---- all of it ---- */

/* A file that is all holes is refused here, before gigabytes of them are read to check a seal. */
static int check_holes(const char *path, int64_t *size_bytes, PfError *err)
{
    struct stat status;
    PfError holes;
    int fd = pf_input_file_try(AT_FDCWD, path, &status);
    *size_bytes = 0;
    if (fd < 0) return 0; /* others say why */
    *size_bytes = status.st_size;
    int failed = pf_input_file_check_holes(fd, status.st_size, &holes);
    close(fd);
    return failed ? pf_fail(err, PF_EXIT_FAILED, "cache '%s': %" PF_SENTENCE, path, holes.message)
                  : 0;
}

/* What is being written has holes, no seal or no end yet, and is not damaged. */
int pf_hdf5_preflight(const char *path, int64_t *size_bytes, PfError *err)
{
    return check_locks(path, err) || pf_hdf5_check_memory(err) || check_holes(path, size_bytes, err)
               ? -1
               : 0;
}
