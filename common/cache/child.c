#include "common/cache/internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"

/* What reading takes besides what is read; files that compress well unpack to more than they
 * are. */
#define MEMORY_BYTES ((uint64_t)512 << 20)
#define MEMORY_PER_BYTE 8
/* Computing time of one request: a hang is told from work by it. */
#define WORK_SECONDS 5
#define WORK_BYTES_PER_SECOND ((int64_t)16 << 20)
/* What is received at a time where nobody knows how much to expect. */
#define PIECE_BYTES ((size_t)1 << 20)

struct PfCacheChild {
    pid_t pid;
    int channel;
    bool has_ended;
    int ended_by; /* a signal, or 0 */
    size_t request_bytes;
    pthread_mutex_t lock; /* one request at a time */
    char path[];
};

typedef struct ReplyHeader {
    uint64_t size;
    int32_t failed; /* then a PfError follows */
} ReplyHeader;

/* ---- the channel ---- */

/* -1 where the other end is gone. */
static int send_all(int channel, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = write(channel, (const char *)bytes + done, size - done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return -1;
        done += (size_t)count;
    }
    return 0;
}

static int receive_all(int channel, void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = read(channel, (char *)bytes + done, size - done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return -1;
        done += (size_t)count;
    }
    return 0;
}

int pf_cache_child_reply_add(PfCacheChildReply *reply, const void *bytes, size_t size, PfError *err)
{
    if (!size) return 0;
    if (size > SIZE_MAX - reply->size ||
        pf_grow(&reply->bytes, &reply->capacity, reply->size + size, 1, err))
        return -1;
    memcpy(reply->bytes + reply->size, bytes, size);
    reply->size += size;
    return 0;
}

/* ---- in the child ---- */

static int send_reply(int channel, int failed, const PfCacheChildReply *reply, const PfError *err)
{
    ReplyHeader header = {.size = failed ? sizeof *err : reply->size, .failed = failed};
    return send_all(channel, &header, sizeof header) ||
           send_all(channel, failed ? (const void *)err : reply->bytes, (size_t)header.size);
}

static int64_t own_bytes, other_bytes; /* of the file, and of those that it leads into */

static void start_clock(void)
{
    pf_cache_sandbox_limit_work(WORK_SECONDS + (own_bytes + other_bytes) / WORK_BYTES_PER_SECOND);
}

/* Once for files that several datasets lie in. */
void pf_cache_child_expect_bytes(int64_t bytes)
{
    if (bytes <= other_bytes) return;
    other_bytes = bytes;
    start_clock();
}

static void answer_requests(const char *path, PfCacheChildServer *serve, size_t request_bytes,
                            int channel)
{
    void *context = NULL, *request = malloc(request_bytes);
    PfCacheChildReply reply = {0};
    bool gone = !request;
    while (!gone && !receive_all(channel, request, request_bytes)) {
        PfError err = {.exit_code = PF_EXIT_FAILED};
        reply.size = 0;
        start_clock();
        int failed = serve(path, &context, request, &reply, &err);
        pf_cache_sandbox_limit_work(0);
        gone = send_reply(channel, failed, &reply, &err);
    }
}

static _Noreturn void run_child(const char *path, int64_t file_bytes, PfCacheChildServer *serve,
                                size_t request_bytes, int channel)
{
    pf_cache_sandbox_enter(channel, MEMORY_BYTES + MEMORY_PER_BYTE * (uint64_t)file_bytes);
    own_bytes = file_bytes;
    answer_requests(path, serve, request_bytes, channel);
    _exit(0); /* nothing of the parent's is to be flushed or cleaned up here */
}

/* ---- starting and ending ---- */

static int start(PfCacheChild *child, PfCacheChildServer *serve, size_t request_bytes, PfError *err)
{
    struct stat status;
    int ends[2];
    if (stat(child->path, &status)) return pf_fail_errno(err, "cannot read '%s'", child->path);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return pf_fail_errno(err, "'%s': no process to read it in", child->path);
    child->pid = pf_hdf5_fork();
    if (!child->pid) run_child(child->path, (int64_t)status.st_size, serve, request_bytes, ends[1]);
    close(ends[1]);
    child->channel = ends[0];
    child->request_bytes = request_bytes;
    if (child->pid > 0) return 0;
    pf_fail_errno(err, "'%s': no process to read it in", child->path);
    close(ends[0]);
    return -1;
}

int pf_cache_child_start(const char *path, PfCacheChildServer *serve, size_t request_bytes,
                         PfCacheChild **out, PfError *err)
{
    PfCacheChild *child = pf_calloc(sizeof *child + strlen(path) + 1, 1, err);
    if (!child) return -1;
    strcpy(child->path, path);
    pthread_mutex_init(&child->lock, NULL);
    if (start(child, serve, request_bytes, err)) {
        pthread_mutex_destroy(&child->lock);
        free(child);
        return -1;
    }
    *out = child;
    return 0;
}

/* Waits for it, having killed it: it reads only, so nothing is lost. */
static int end(PfCacheChild *child)
{
    int status = 0;
    kill(child->pid, SIGKILL);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) continue;
    close(child->channel);
    child->has_ended = true;
    return status;
}

void pf_cache_child_end(PfCacheChild **pointer)
{
    PfCacheChild *child = *pointer;
    if (!child) return;
    if (!child->has_ended) end(child);
    pthread_mutex_destroy(&child->lock);
    free(child);
    *pointer = NULL;
}

/* ---- asking ---- */

static int fail_ended(const PfCacheChild *child, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is damaged: HDF5 %s.\nHint: make it again, or take it from where it came "
                   "from once more; caches that extract writes end in a seal, which tells damage "
                   "before HDF5 sees it",
                   child->path,
                   child->ended_by == SIGPROF ? "does not come to an end with it"
                                              : "did not survive reading it");
}

/* The channel broke, which only the child's end does, or what made it end. */
static int note_end(PfCacheChild *child, PfError *err)
{
    int status = end(child); /* of its own end: killing it comes too late for that to change */
    if (WIFSIGNALED(status)) child->ended_by = WTERMSIG(status);
    return fail_ended(child, err);
}

static int receive_error(PfCacheChild *child, const ReplyHeader *header, PfError *err)
{
    PfError found;
    if (header->size != sizeof found || receive_all(child->channel, &found, sizeof found))
        return note_end(child, err);
    found.message[sizeof found.message - 1] = '\0';
    return pf_fail(err, PF_EXIT_FAILED, "%" PF_SENTENCE, found.message);
}

/* The request sent, and the header of its reply received. */
static int exchange(PfCacheChild *child, const void *request, ReplyHeader *header, PfError *err)
{
    if (child->has_ended) return fail_ended(child, err);
    if (send(child->channel, request, child->request_bytes, MSG_NOSIGNAL) !=
            (ssize_t)child->request_bytes ||
        receive_all(child->channel, header, sizeof *header))
        return note_end(child, err);
    return header->failed ? receive_error(child, header, err) : 0;
}

/* Memory is taken as bytes come, not as the header promises. */
static int receive_reply(PfCacheChild *child, uint64_t size, PfCacheChildReply *reply, PfError *err)
{
    while (reply->size < size) {
        size_t piece = pf_min_size((size_t)(size - reply->size), PIECE_BYTES);
        if (pf_grow(&reply->bytes, &reply->capacity, reply->size + piece, 1, err)) {
            end(child); /* what it still sends belongs to no request */
            return -1;
        }
        if (receive_all(child->channel, reply->bytes + reply->size, piece))
            return note_end(child, err);
        reply->size += piece;
    }
    return 0;
}

int pf_cache_child_ask(PfCacheChild *child, const void *request, PfCacheChildReply *reply,
                       PfError *err)
{
    ReplyHeader header;
    *reply = (PfCacheChildReply){0};
    pthread_mutex_lock(&child->lock);
    int failed =
        exchange(child, request, &header, err) || receive_reply(child, header.size, reply, err);
    pthread_mutex_unlock(&child->lock);
    if (!failed) return 0;
    free(reply->bytes);
    *reply = (PfCacheChildReply){0};
    return -1;
}

int pf_cache_child_ask_exactly(PfCacheChild *child, const void *request, void *out, size_t size,
                               PfError *err)
{
    ReplyHeader header;
    pthread_mutex_lock(&child->lock);
    int failed = exchange(child, request, &header, err);
    if (!failed && header.size != size) {
        end(child);
        failed = fail_ended(child, err);
    }
    if (!failed && receive_all(child->channel, out, size)) failed = note_end(child, err);
    pthread_mutex_unlock(&child->lock);
    return failed ? -1 : 0;
}
