#include "common/fetch/download.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/address.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/size_text.h"
#include "common/file/atomic_file.h"
#include "common/file/path.h"

#define MOST_BYTES ((int64_t)1 << 40) /* of a file whose size nobody tells */
#define PROGRESS_BYTES ((int64_t)1 << 20)

typedef struct Run {
    const PfDownload *what;
    int fd;              /* of the part, locked */
    int64_t have, total; /* bytes of the part; of the file, or -1 */
    PfSha256 *sha256;    /* of those that the part has */
    PfProgress progress;
} Run;

int pf_download_make_folders(const char *path, PfError *err)
{
    char *folders = pf_strdup(path, err);
    if (!folders) return -1;
    int failed = 0;
    for (char *slash = strchr(folders + 1, '/'); slash && !failed; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        failed = mkdir(folders, 0777) && errno != EEXIST &&
                 pf_fail_errno(err, "cannot make the folder '%s'", folders);
        *slash = '/';
    }
    free(folders);
    return failed ? -1 : 0;
}

/* ---- what a server refuses ---- */

bool pf_download_may_be_better(long status)
{
    return status == 408 || status == 429 || status >= 500;
}

static int refused_token(const char *shown, long status, bool has_token, const char *gated,
                         PfError *err)
{
    if (gated)
        return pf_fail(err, PF_EXIT_FAILED,
                       "%s: the server wants its licence to be accepted first (%ld). Hint: accept "
                       "it at %s, then set HF_TOKEN to a token of yours%s",
                       shown, status, gated,
                       has_token ? "; the one that was sent has not got the leave" : "");
    return pf_fail(err, PF_EXIT_FAILED, "%s: the server refuses it (%ld). Hint: %s", shown, status,
                   has_token ? "the token that was sent may be out of date, or of somebody who may "
                               "not read this"
                             : "a private file needs a token, in HF_TOKEN; or the name is wrong");
}

int pf_download_refused(const char *url, const PfHttpResponse *response, bool has_token,
                        const char *gated, PfError *err)
{
    char *shown = pf_address_shown(url, err);
    if (!shown) return -1;
    if (response->status == 401 || response->status == 403)
        refused_token(shown, response->status, has_token, gated, err);
    else if (response->status == 404 || response->status == 410)
        pf_fail(err, PF_EXIT_FAILED, "%s: there is no such file (%ld). Hint: look at the name",
                shown, response->status);
    else
        pf_fail(err, PF_EXIT_FAILED, "%s: the server answers %ld%s%s", shown, response->status,
                *response->reason ? ", " : "", response->reason);
    free(shown);
    return -1;
}

/* ---- the part ---- */

/* Takes what is there into the hash. */
static int hash_part(Run *run, PfError *err)
{
    char *block = pf_calloc(1 << 16, 1, err);
    ssize_t got = block ? 0 : -1;
    pf_sha256_reset(run->sha256);
    run->have = 0;
    while (block && (got = pread(run->fd, block, 1 << 16, run->have)) > 0) {
        pf_sha256_add(run->sha256, block, (size_t)got);
        run->have += got;
    }
    free(block);
    return got < 0 && block ? pf_fail_errno(err, "'%s': cannot read it", run->what->part)
           : block          ? 0
                            : -1;
}

static int start_again(Run *run, PfError *err)
{
    pf_sha256_reset(run->sha256);
    run->have = 0;
    if (!ftruncate(run->fd, 0)) return 0;
    return pf_fail_errno(err, "'%s': cannot begin it again", run->what->part);
}

static int check_disk(const Run *run, PfError *err)
{
    struct statvfs disk;
    char needed[PF_SIZE_TEXT], available[PF_SIZE_TEXT];
    if (run->total < 0 || fstatvfs(run->fd, &disk)) return 0;
    const double left = (double)disk.f_bavail * (double)disk.f_frsize;
    if ((double)(run->total - run->have) <= left) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s': %s more are needed, and %s are left on that disk",
                   run->what->path, pf_size_text(run->total - run->have, needed),
                   pf_size_text((int64_t)left, available));
}

/* Whether another version than the one that is wanted comes. */
static bool has_changed(const PfDownload *what, const PfHttpResponse *response)
{
    if (!what->is_fixed) return false;
    if (what->etag) return strcmp(what->etag, response->etag) != 0;
    return what->modified && strcmp(what->modified, response->modified) != 0;
}

static int fail_changed(const PfDownload *what, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "%s has changed on the server since this run began to read it. Hint: the same "
                   "command fetches what is there now, from its beginning",
                   what->name);
}

/* The server has decided: the rest, or all of it. */
static int begin(void *context, const PfHttpResponse *response, PfError *err)
{
    Run *run = context;
    const int64_t wanted = run->what->size;
    const bool is_rest = response->status == 206 && response->first == run->have;
    if (has_changed(run->what, response)) return fail_changed(run->what, err);
    if (response->status == 206 && !is_rest)
        return pf_fail(err, PF_EXIT_FAILED, "%s: the server sends other bytes than were asked for",
                       run->what->name);
    if (run->have && !is_rest) {
        pf_detail("%s: the server sends all of it again", run->what->name);
        if (start_again(run, err)) return -1;
    }
    run->total = is_rest ? response->total : response->length >= 0 ? response->length : wanted;
    if (is_rest && run->total < 0) /* "bytes 100-199/" and a star */
        run->total = response->length >= 0 ? run->have + response->length : wanted;
    if (wanted >= 0 && run->total != wanted && run->what->is_fixed)
        return fail_changed(run->what, err);
    if (wanted >= 0 && run->total != wanted)
        return pf_fail(err, PF_EXIT_FAILED,
                       "%s: expected %lld bytes, and the server has %lld: another file",
                       run->what->name, (long long)wanted, (long long)run->total);
    run->progress.total = run->total > 0 ? run->total / 1000000 : 0;
    return check_disk(run, err);
}

static int take(void *context, const void *bytes, size_t size, PfError *err)
{
    Run *run = context;
    const char *from = bytes;
    if (run->have + (int64_t)size > (run->total >= 0 ? run->total : MOST_BYTES))
        return pf_fail(err, PF_EXIT_FAILED, "%s: more bytes come than it has", run->what->name);
    pf_sha256_add(run->sha256, bytes, size);
    while (size) {
        ssize_t written = pwrite(run->fd, from, size, run->have);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0)
            return pf_fail_errno(err,
                                 "'%s': cannot write it (what is there stays, and the same command "
                                 "goes on)",
                                 run->what->part);
        from += written;
        size -= (size_t)written;
        run->have += written;
    }
    pf_progress_update(&run->progress, run->have / 1000000, run->what->name);
    return 0;
}

/* ---- locks ---- */

static bool is_finished(const PfDownload *what)
{
    return !access(what->path, F_OK);
}

/* Opens and locks the part; waits while another program has it. 1: the file is there by now. */
static int open_part(Run *run, PfError *err)
{
    bool has_said = false;
    for (;;) {
        run->fd = open(run->what->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (run->fd < 0) return pf_fail_errno(err, "'%s': cannot write it", run->what->part);
        const PfLockResult lock = pf_atomic_file_lock(run->fd);
        if (lock != PF_LOCK_HELD && pf_path_still_named(run->fd, AT_FDCWD, run->what->part)) break;
        close(run->fd);
        run->fd = -1;
        if (is_finished(run->what)) return 1;
        if (lock != PF_LOCK_HELD) continue;
        if (!has_said) pf_say("%s: another program fetches it: waiting", run->what->name);
        has_said = true;
        if (pf_http_wait(1, run->what->interrupted, err)) return -1;
    }
    if (!is_finished(run->what)) return 0;
    unlink(run->what->part);
    return 1;
}

/* ---- all of it ---- */

/* Whether two requests can be told to be for one version. */
static bool is_known(const PfDownload *what)
{
    return what->sha256 || what->etag || what->modified;
}

/* A part that begins as the file would, or nothing. */
static int take_part(Run *run, PfError *err)
{
    if (!is_known(run->what)) return start_again(run, err);
    if (hash_part(run, err)) return -1;
    if (run->what->size >= 0 && run->have > run->what->size) return start_again(run, err);
    if (run->have) pf_say("%s: goes on after %.1f MB", run->what->name, (double)run->have / 1e6);
    return 0;
}

typedef enum Answer { ANSWER_WHOLE, ANSWER_BROKEN, ANSWER_AGAIN, ANSWER_REFUSED } Answer;

/* ANSWER_AGAIN: at once, from the beginning. err is filled for what is broken or refused. */
static Answer ask(Run *run, PfError *err)
{
    PfHttpResponse response;
    const PfDownload *what = run->what;
    const PfHttpRequest request = {.url = what->url,
                                   .token = what->token,
                                   .from = run->have,
                                   .signer = what->signer,
                                   .if_range = what->sha256 ? NULL : what->etag,
                                   .if_range_date = what->sha256 ? NULL : what->modified,
                                   .begin = begin,
                                   .take = take,
                                   .context = run,
                                   .interrupted = what->interrupted};
    const PfHttpOutcome outcome = pf_http_perform(&request, &response, err);
    if (outcome == PF_HTTP_BROKEN) return ANSWER_BROKEN;
    if (outcome == PF_HTTP_REFUSED) return ANSWER_REFUSED;
    if (response.status == 200 || response.status == 206) return ANSWER_WHOLE;
    if (response.status == 416 && run->have) { /* the part is whole, or of another file */
        run->total = response.total;
        if (run->total == run->have) return ANSWER_WHOLE;
        return start_again(run, err) ? ANSWER_REFUSED : ANSWER_AGAIN;
    }
    if (what->refused)
        what->refused(what, &response, err);
    else
        pf_download_refused(what->url, &response, what->token != NULL, NULL, err);
    return pf_download_may_be_better(response.status) ? ANSWER_BROKEN : ANSWER_REFUSED;
}

/* Tries again while bytes come, and a few times more. */
static int fill(Run *run, PfError *err)
{
    int64_t before = run->have;
    for (int tries = 1; tries <= PF_DOWNLOAD_TRIES; tries++) {
        const Answer answer = ask(run, err);
        if (answer == ANSWER_WHOLE) return 0;
        if (answer == ANSWER_REFUSED) return -1;
        if (run->have - before >= PROGRESS_BYTES) tries = 1;
        before = run->have;
        if (answer == ANSWER_AGAIN || tries == PF_DOWNLOAD_TRIES) continue;
        pf_detail("%s: broke off after %.1f MB; trying again", run->what->name,
                  (double)run->have / 1e6);
        if (pf_http_wait(tries, run->what->interrupted, err)) return -1;
        if (run->what->is_fixed && !is_known(run->what) && start_again(run, err)) return -1;
    }
    return -1;
}

static int check_size(const Run *run, PfError *err)
{
    const int64_t wanted = run->what->size >= 0 ? run->what->size : run->total;
    if (wanted < 0 || run->have == wanted) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "%s: %lld of %lld bytes have come. Hint: the same command "
                   "goes on",
                   run->what->name, (long long)run->have, (long long)wanted);
}

static int check_sha256(const Run *run, const char *sha256, PfError *err)
{
    const char *wanted = run->what->sha256;
    if (!wanted || !strncmp(sha256, wanted, strlen(wanted))) return 0;
    unlink(run->what->part);
    return pf_fail(
        err, PF_EXIT_FAILED,
        "%s: what came has the SHA-256 %s, expected %s%s. It has been removed. Hint: the "
        "same command fetches it anew; a proxy or a mirror may hold another file",
        run->what->name, sha256, wanted, strlen(wanted) < PF_SHA256_TEXT_SIZE - 1 ? "..." : "");
}

static int finish(const Run *run, PfError *err)
{
    if (fsync(run->fd)) return pf_fail_errno(err, "'%s': cannot write it", run->what->part);
    if (rename(run->what->part, run->what->path))
        return pf_fail_errno(err, "'%s' cannot be made", run->what->path);
    pf_atomic_file_sync_folder(run->what->path);
    return 0;
}

static int fetch(Run *run, char sha256[PF_SHA256_TEXT_SIZE], PfError *err)
{
    const int there = open_part(run, err);
    if (there) return there > 0 ? 0 : -1;
    run->sha256 = pf_sha256_new(err);
    if (!run->sha256 || take_part(run, err)) return -1;
    pf_progress_start(&run->progress, "MB", 0);
    int failed = fill(run, err);
    pf_progress_end(&run->progress);
    if (failed || check_size(run, err)) return -1;
    char digest[PF_SHA256_TEXT_SIZE];
    pf_sha256_text(run->sha256, digest);
    if (check_sha256(run, digest, err) || finish(run, err)) return -1;
    memcpy(sha256, digest, sizeof digest);
    return 0;
}

int pf_download(const PfDownload *download, char sha256[PF_SHA256_TEXT_SIZE], PfError *err)
{
    Run run = {.what = download, .fd = -1, .total = -1};
    *sha256 = '\0';
    if (pf_download_make_folders(download->path, err)) return -1;
    int failed = fetch(&run, sha256, err);
    if (run.fd >= 0) {
        struct stat status; /* a part without anything says nothing */
        if (failed && !fstat(run.fd, &status) && !status.st_size) unlink(download->part);
        close(run.fd);
    }
    free(run.sha256);
    return failed ? -1 : 0;
}
