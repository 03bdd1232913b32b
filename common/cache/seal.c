#include "common/cache/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/file/input_file.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "numbers of the trailer are little-endian and written as they are");

#define BLOCK_BYTES ((size_t)64 * 1024) /* on the stack */

static const char MAGIC[8] = {'\x89', 'P', 'F', 'S', 'E', 'A', 'L', '\n'};

/* The end of a sealed file, behind the table of extents. */
typedef struct Footer {
    char magic[sizeof MAGIC];
    uint64_t hdf5_bytes; /* what lies before the table */
    uint64_t extent_count;
    XXH128_canonical_t digest; /* of the HDF5 bytes outside the extents, then of the table */
    XXH64_hash_t checksum;     /* of the fields before it */
} Footer;

_Static_assert(sizeof(Footer) == 48 && sizeof(PfHdf5Extent) == 16, "as in the file");

static XXH64_hash_t checksum_of(const Footer *footer)
{
    return XXH3_64bits(footer, offsetof(Footer, checksum));
}

/* ---- reading and writing at a position ---- */

/* -1 with errno where not all of it can be read. */
static int read_at(int fd, void *out, size_t size, uint64_t position)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = pread(fd, (char *)out + done, size - done, (off_t)(position + done));
        if (count < 0 && errno == EINTR) continue;
        if (!count) errno = ENODATA; /* somebody cuts it while we read */
        if (count <= 0) return -1;
        done += (size_t)count;
    }
    return 0;
}

static int write_at(int fd, const void *bytes, size_t size, uint64_t position)
{
    for (size_t done = 0; done < size;) {
        ssize_t count =
            pwrite(fd, (const char *)bytes + done, size - done, (off_t)(position + done));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return -1;
        done += (size_t)count;
    }
    return 0;
}

/* ---- the digest ---- */

static int digest_range(XXH3_state_t *state, int fd, uint64_t from, uint64_t to)
{
    unsigned char block[BLOCK_BYTES];
    while (from < to) {
        size_t size = pf_min_size((size_t)(to - from), sizeof block);
        if (read_at(fd, block, size, from)) return -1;
        XXH3_128bits_update(state, block, size);
        from += size;
    }
    return 0;
}

static int digest_file(XXH3_state_t *state, int fd, uint64_t hdf5_bytes,
                       const PfHdf5Extent *extents, uint64_t count)
{
    uint64_t position = 0;
    XXH3_128bits_reset(state);
    for (uint64_t i = 0; i < count; i++) {
        if (digest_range(state, fd, position, extents[i].offset)) return -1;
        position = extents[i].offset + extents[i].size;
    }
    if (digest_range(state, fd, position, hdf5_bytes)) return -1;
    XXH3_128bits_update(state, extents, count * sizeof *extents);
    return 0;
}

static int compute_digest(int fd, const char *name, uint64_t hdf5_bytes,
                          const PfHdf5Extent *extents, uint64_t count, XXH128_canonical_t *digest,
                          PfError *err)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state) return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    int failed = digest_file(state, fd, hdf5_bytes, extents, count);
    if (failed)
        pf_fail_errno(err, "cannot read '%s'", name);
    else
        XXH128_canonicalFromHash(digest, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    return failed;
}

/* ---- writing ---- */

static int write_trailer(int fd, const char *name, const PfHdf5Extent *extents, int64_t count,
                         PfError *err)
{
    struct stat status;
    if (fstat(fd, &status)) return pf_fail_errno(err, "cannot write '%s'", name);
    Footer footer = {.hdf5_bytes = (uint64_t)status.st_size, .extent_count = (uint64_t)count};
    size_t table_bytes = (size_t)count * sizeof *extents;
    memcpy(footer.magic, MAGIC, sizeof MAGIC);
    if (compute_digest(fd, name, footer.hdf5_bytes, extents, footer.extent_count, &footer.digest,
                       err))
        return -1;
    footer.checksum = checksum_of(&footer);
    if (write_at(fd, extents, table_bytes, footer.hdf5_bytes) ||
        write_at(fd, &footer, sizeof footer, footer.hdf5_bytes + table_bytes))
        return pf_fail_errno(err, "cannot write '%s'", name);
    return 0;
}

int pf_cache_seal_write(const char *path, const char *name, const PfHdf5Extent *extents,
                        int64_t count, PfError *err)
{
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return pf_fail_errno(err, "cannot write '%s'", name);
    int failed = write_trailer(fd, name, extents, count, err);
    if (close(fd) && !failed) failed = pf_fail_errno(err, "cannot write '%s'", name);
    return failed;
}

/* ---- checking ---- */

static int fail_damaged(const char *path, const char *what, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is damaged: %s.\nHint: make it again (extract --force)", path, what);
}

static bool extents_fit(const PfHdf5Extent *extents, uint64_t count, uint64_t hdf5_bytes)
{
    uint64_t position = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (extents[i].offset < position || extents[i].offset > hdf5_bytes ||
            extents[i].size > hdf5_bytes - extents[i].offset)
            return false;
        position = extents[i].offset + extents[i].size;
    }
    return true;
}

static bool is_digest(const XXH128_canonical_t *found, const XXH128_canonical_t *expected)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return true; /* a fuzzer would not get past it */
#endif
    return !memcmp(found, expected, sizeof *found);
}

static bool has_right_checksum(const Footer *footer)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return true; /* a fuzzer would not get past it */
#endif
    return footer->checksum == checksum_of(footer);
}

static int check_contents(int fd, const char *path, const Footer *footer, PfHdf5Extent *extents,
                          PfError *err)
{
    XXH128_canonical_t digest;
    uint64_t count = footer->extent_count;
    if (read_at(fd, extents, count * sizeof *extents, footer->hdf5_bytes))
        return pf_fail_errno(err, "cannot read '%s'", path);
    if (!extents_fit(extents, count, footer->hdf5_bytes))
        return fail_damaged(path, "the table at its end is wrong", err);
    if (compute_digest(fd, path, footer->hdf5_bytes, extents, count, &digest, err)) return -1;
    if (!is_digest(&digest, &footer->digest))
        return fail_damaged(path, "the checksum over all but its features does not match", err);
    return 0;
}

static int check_trailer(int fd, const char *path, const Footer *footer, uint64_t file_bytes,
                         PfError *err)
{
    uint64_t before = file_bytes - sizeof *footer;
    if (!has_right_checksum(footer))
        return fail_damaged(path, "the checksum of its last bytes does not match", err);
    if (footer->hdf5_bytes > before || (before - footer->hdf5_bytes) % sizeof(PfHdf5Extent) != 0 ||
        (before - footer->hdf5_bytes) / sizeof(PfHdf5Extent) != footer->extent_count)
        return fail_damaged(path, "it is not as long as it was", err);
    PfHdf5Extent *extents = pf_alloc_aligned(footer->extent_count, sizeof *extents, err);
    if (!extents) return -1;
    int failed = check_contents(fd, path, footer, extents, err);
    free(extents);
    return failed;
}

static int read_footer(int fd, const char *path, Footer *footer, uint64_t *file_bytes,
                       bool *is_sealed, PfError *err)
{
    struct stat status;
    *is_sealed = false;
    if (fstat(fd, &status)) return pf_fail_errno(err, "cannot read '%s'", path);
    if (status.st_size < (off_t)sizeof *footer) return 0;
    *file_bytes = (uint64_t)status.st_size;
    if (read_at(fd, footer, sizeof *footer, *file_bytes - sizeof *footer))
        return pf_fail_errno(err, "cannot read '%s'", path);
    *is_sealed = !memcmp(footer->magic, MAGIC, sizeof MAGIC);
    return 0;
}

static int check_file(int fd, const char *path, bool *is_sealed, uint8_t *digest, PfError *err)
{
    Footer footer;
    uint64_t file_bytes = 0;
    if (read_footer(fd, path, &footer, &file_bytes, is_sealed, err)) return -1;
    if (!*is_sealed) return 0;
    if (check_trailer(fd, path, &footer, file_bytes, err)) {
        *is_sealed = false;
        return -1;
    }
    if (digest) memcpy(digest, &footer.digest, sizeof footer.digest);
    return 0;
}

int pf_cache_seal_read(const char *path, bool *is_sealed, uint8_t *digest, PfError *err)
{
    Footer footer;
    uint64_t file_bytes = 0;
    int fd = pf_input_file_open(AT_FDCWD, path, "", NULL, err);
    if (fd < 0) return -1;
    int failed = read_footer(fd, path, &footer, &file_bytes, is_sealed, err);
    close(fd);
    if (failed) return -1;
    *is_sealed = *is_sealed && has_right_checksum(&footer);
    if (*is_sealed) memcpy(digest, &footer.digest, sizeof footer.digest);
    return 0;
}

int pf_cache_seal_check(const char *path, bool *is_sealed, uint8_t *digest, PfError *err)
{
    int fd = pf_input_file_open(AT_FDCWD, path, "", NULL, err);
    if (fd < 0) return -1;
    int failed = check_file(fd, path, is_sealed, digest, err);
    close(fd);
    return failed;
}
