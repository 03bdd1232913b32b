/* Archives that come as a stream, from standard input or compressed as a whole: into a file without
 * a name, as members are read from any place. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "common/base/clock.h"
#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/size_text.h"
#include "common/file/spool.h"
#include "extract/archive/internal.h"

#define BLOCK_SIZE (1 << 20)
#define SECONDS_BETWEEN_LINES 10

/* Zstandard makes gigabytes of a few kilobytes, where they are all the same. Deflate makes 1,032
 * bytes of one at most. */
#define RATIO_MAX 1100
#define BEYOND_RATIO ((int64_t)1000000000)
/* The disk is looked at each time that so much has been written. So much of it, or a twentieth, is
 * left to others. */
#define BETWEEN_LOOKS ((int64_t)16 << 20)
#define KEPT_FREE 1e9

/* A stream on its way into a file. */
typedef struct Spool {
    FILE *from;
    const char *what, *folder;
    int fd;
    bool is_packed;                       /* decompressed on its way */
    int64_t taken, written, disk_seen;    /* bytes: of the stream; in the file; of these at the last
                                             look at the disk */
    uint8_t begin[PF_ARCHIVE_HEAD_BYTES]; /* (begin_size) of what goes into the file */
    size_t begin_size;
    bool is_archive; /* it begins as one */
    double last_said;
    uint8_t *input, *output; /* (BLOCK_SIZE) */
    size_t input_size;
} Spool;

/* ---- the file ---- */

static const char *temporary_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : "/var/tmp";
}

static int open_temporary(const char *folder, PfError *err)
{
    int fd = pf_spool_temporary_file(folder);
    return fd >= 0 ? fd
                   : pf_fail_errno(err,
                                   "no temporary file can be made in '%s'. Hint: TMPDIR=FOLDER "
                                   "names another folder",
                                   folder);
}

/* What is decompressed must begin as an archive, before more of it takes room on the disk. Zeros
 * may stand before a .tar, as many as between two. */
static int check_begin(Spool *spool, const uint8_t *bytes, size_t size, PfError *err)
{
    if (!spool->is_packed || spool->is_archive) return 0;
    size_t at = pf_min_size(size, sizeof spool->begin - spool->begin_size);
    memcpy(spool->begin + spool->begin_size, bytes, at);
    spool->begin_size += at;
    if (spool->begin_size < sizeof spool->begin) return 0;
    if (!pf_archive_is_zeros(spool->begin, sizeof spool->begin)) {
        const PfArchiveForm form = pf_archive_tell(spool->begin, sizeof spool->begin);
        spool->is_archive = form == PF_ARCHIVE_TAR || form == PF_ARCHIVE_ZIP;
        if (spool->is_archive) return 0;
        return pf_fail(err, PF_EXIT_FAILED,
                       "%s: expected a .tar in it, found what begins neither as a .tar nor as a "
                       ".zip",
                       spool->what);
    }
    while (at < size && !bytes[at]) at++;
    spool->is_archive = at < size;
    if (spool->written + (int64_t)at <= PF_TAR_PADDING_MAX + BLOCK_SIZE) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "%s: expected a .tar in it, found zeros, and nothing else",
                   spool->what);
}

static int check_ratio(const Spool *spool, PfError *err)
{
    char taken[PF_SIZE_TEXT], written[PF_SIZE_TEXT];
    if (!spool->is_packed || spool->written <= BEYOND_RATIO ||
        (spool->written - BEYOND_RATIO) / RATIO_MAX <= spool->taken)
        return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "%s: expected an archive of images, found %s that become more than %s. Hint: if "
                   "it is one, decompress it and name the .tar",
                   spool->what, pf_size_text(spool->taken, taken),
                   pf_size_text(spool->written, written));
}

static int check_disk(Spool *spool, PfError *err)
{
    char left_text[PF_SIZE_TEXT], written[PF_SIZE_TEXT];
    struct statvfs disk;
    if (spool->written - spool->disk_seen < BETWEEN_LOOKS) return 0;
    spool->disk_seen = spool->written;
    if (fstatvfs(spool->fd, &disk)) return 0;
    const double left = (double)disk.f_bavail * (double)disk.f_frsize;
    const double kept = fmin(KEPT_FREE, (double)disk.f_blocks * (double)disk.f_frsize / 20);
    if (left >= kept) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "%s cannot be kept in '%s': with %s of it there only %s are left on that disk. "
                   "Hint: TMPDIR=FOLDER names a folder on another one",
                   spool->what, spool->folder, pf_size_text(spool->written, written),
                   pf_size_text((int64_t)left, left_text));
}

static int put(Spool *spool, const uint8_t *bytes, size_t size, PfError *err)
{
    char text[PF_SIZE_TEXT];
    if (check_begin(spool, bytes, size, err)) return -1;
    for (size_t done = 0; done < size;) {
        ssize_t put = write(spool->fd, bytes + done, size - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0)
            return pf_fail_errno(err,
                                 "%s cannot be kept in '%s', of which it has %s so far (TMPDIR "
                                 "names another folder)",
                                 spool->what, spool->folder, pf_size_text(spool->written, text));
        done += (size_t)put;
        spool->written += put;
    }
    if (check_ratio(spool, err) || check_disk(spool, err)) return -1;
    double now = pf_clock_seconds();
    if (now - spool->last_said < SECONDS_BETWEEN_LINES) return 0;
    spool->last_said = now;
    pf_say("%s: %s so far, in a temporary file in %s", spool->what,
           pf_size_text(spool->written, text), spool->folder);
    return 0;
}

/* ---- the stream ---- */

/* Fills the input anew; size 0 at the end. */
static int fill(Spool *spool, PfError *err)
{
    spool->input_size = fread(spool->input, 1, BLOCK_SIZE, spool->from);
    spool->taken += (int64_t)spool->input_size;
    if (!ferror(spool->from)) return 0;
    if (errno == EINTR) return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted");
    return pf_fail_errno(err, "%s cannot be read", spool->what);
}

static int copy_plain(Spool *spool, PfError *err)
{
    while (spool->input_size)
        if (put(spool, spool->input, spool->input_size, err) || fill(spool, err)) return -1;
    return 0;
}

static int fail_compressed(const Spool *spool, const char *how, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "%s is %s: its compressed bytes cannot be read behind %lld bytes of contents",
                   spool->what, how, (long long)spool->written);
}

/* One round of inflating: what is in the input, as far as it fits into the output. 1 at the end of
 * a member, of which several may follow each other. */
static int inflate_some(Spool *spool, z_stream *stream, PfError *err)
{
    stream->next_out = spool->output;
    stream->avail_out = BLOCK_SIZE;
    int status = inflate(stream, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
        return fail_compressed(spool, "damaged", err);
    if (put(spool, spool->output, BLOCK_SIZE - stream->avail_out, err)) return -1;
    return status == Z_STREAM_END;
}

static int inflate_all(Spool *spool, z_stream *stream, PfError *err)
{
    int status = 0;
    while (spool->input_size) {
        stream->next_in = spool->input;
        stream->avail_in = (uInt)spool->input_size;
        do {
            if (status == 1) inflateReset(stream);
            status = inflate_some(spool, stream, err);
        } while (status >= 0 && (stream->avail_in || (!status && !stream->avail_out)));
        if (status < 0 || fill(spool, err)) return -1;
    }
    return status ? 0 : fail_compressed(spool, "cut short", err);
}

static int copy_gzip(Spool *spool, PfError *err)
{
    z_stream stream = {0};
    if (inflateInit2(&stream, MAX_WBITS + 16) != Z_OK)
        return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    int failed = inflate_all(spool, &stream, err);
    inflateEnd(&stream);
    return failed;
}

static int decompress_all(Spool *spool, ZSTD_DStream *stream, PfError *err)
{
    size_t status = 1;
    while (spool->input_size) {
        ZSTD_inBuffer in = {spool->input, spool->input_size, 0};
        bool is_full = true;
        while (in.pos < in.size || is_full) {
            ZSTD_outBuffer out = {spool->output, BLOCK_SIZE, 0};
            size_t before = in.pos;
            status = ZSTD_decompressStream(stream, &out, &in);
            if (ZSTD_isError(status)) return fail_compressed(spool, "damaged", err);
            if (put(spool, spool->output, out.pos, err)) return -1;
            is_full = out.pos == out.size;
            if (!out.pos && in.pos == before) break;
        }
        if (fill(spool, err)) return -1;
    }
    return status ? fail_compressed(spool, "cut short", err) : 0;
}

static int copy_zstd(Spool *spool, PfError *err)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    if (!stream) return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    int failed = decompress_all(spool, stream, err);
    ZSTD_freeDStream(stream);
    return failed;
}

/* ---- all of it ---- */

static int copy(Spool *spool, const uint8_t *head, size_t head_size, PfError *err)
{
    char text[PF_SIZE_TEXT];
    PfArchiveForm form = pf_archive_tell(head, head_size);
    memcpy(spool->input, head, head_size);
    spool->input_size = head_size;
    spool->taken = (int64_t)head_size;
    spool->is_packed = form == PF_ARCHIVE_GZIP || form == PF_ARCHIVE_ZSTD;
    pf_say("%s: %s into a temporary file in %s", spool->what,
           spool->is_packed ? "decompressed" : "copied", spool->folder);
    int failed = form == PF_ARCHIVE_GZIP   ? copy_gzip(spool, err)
                 : form == PF_ARCHIVE_ZSTD ? copy_zstd(spool, err)
                                           : copy_plain(spool, err);
    if (!failed)
        pf_say("%s: %s in it, until this run ends", spool->what,
               pf_size_text(spool->written, text));
    return failed;
}

int pf_archive_spool(FILE *stream, const char *what, const uint8_t *head, size_t head_size, int *fd,
                     PfError *err)
{
    Spool spool = {.from = stream,
                   .what = what,
                   .folder = temporary_folder(),
                   .last_said = pf_clock_seconds()};
    *fd = -1;
    spool.input = pf_calloc(BLOCK_SIZE, 1, err);
    spool.output = pf_calloc(BLOCK_SIZE, 1, err);
    spool.fd = spool.input && spool.output ? open_temporary(spool.folder, err) : -1;
    int failed = spool.fd < 0 || copy(&spool, head, head_size, err);
    free(spool.input);
    free(spool.output);
    if (!failed)
        *fd = spool.fd;
    else if (spool.fd >= 0)
        close(spool.fd);
    return failed ? -1 : 0;
}
