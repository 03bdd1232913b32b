#include "extract/shard_run.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/random.h"
#include "extract/shard/lease.h"
#include "extract/shard/parts.h"
#include "extract/shard/scheduler.h"

/* How long to wait before shards that others are writing are looked at again. */
#define WAIT_MILLISECONDS 1000

static int run_shard(const PfExtractOptions *options, PfShard shard, const char *command,
                     const volatile sig_atomic_t *interrupted, PfError *err)
{
    PfExtractOptions part = *options;
    char *path = pf_parts_path(options->output, shard, err);
    if (!path) return -1;
    part.output = path;
    part.dataset.shard = shard;
    int failed = pf_extraction_run(&part, command, interrupted, err);
    free(path);
    return failed ? -1 : 0;
}

int pf_shard_run_auto(const PfExtractOptions *options, const char *command,
                      const volatile sig_atomic_t *interrupted, PfError *err)
{
    PfExtractOptions part = *options;
    PfScheduledShard scheduled;
    if (pf_scheduler_shard(options->dataset.shard.count, options->shard_base, &scheduled, err) ||
        pf_parts_make_folder(options->output, err))
        return -1;
    part.scheduled = &scheduled;
    pf_say("%s: %s is %lld, counted from %lld: shard %lld of %lld", scheduled.scheduler,
           scheduled.variable, scheduled.index, scheduled.base, (long long)scheduled.shard.number,
           (long long)scheduled.shard.count);
    if (scheduled.peers && scheduled.peers < scheduled.shard.count)
        pf_warn("%lld processes take the first %lld of %lld shards only; --shard any/%lld shares "
                "all of them out",
                scheduled.peers, scheduled.peers, (long long)scheduled.shard.count,
                (long long)scheduled.shard.count);
    int failed = run_shard(&part, scheduled.shard, command, interrupted, err);
    if (options->dry_run) pf_parts_remove_empty_folder(options->output);
    return failed;
}

/* ---- any/N ---- */

typedef struct Claims {
    bool *finished; /* (N) */
    int64_t count, left;
    int64_t first; /* the shard that is tried first, from 0 */
} Claims;

/* Processes that are started together begin at different shards. */
static int64_t draw_first(int64_t count)
{
    PfRandom random = pf_random_seeded((uint64_t)getpid(), (uint64_t)time(NULL));
    return (int64_t)(pf_random_u64(&random) % (uint64_t)count);
}

/* Asked before anything is opened and hashed, as a process that waits asks every second. */
static bool is_taken(const char *output, int64_t number, int64_t count)
{
    char *path = pf_parts_path(output, (PfShard){number, count}, NULL);
    bool is_taken = path && pf_journal_is_locked(path);
    free(path);
    return is_taken;
}

/* One turn: every shard that is not finished, and that nobody else is writing, is extracted.
 * *finished: how many were. */
static int take_turn(Claims *claims, const PfExtractOptions *options, const char *command,
                     const volatile sig_atomic_t *interrupted, int64_t *finished, PfError *err)
{
    *finished = 0;
    for (int64_t i = 0; i < claims->count; i++) {
        const int64_t at = (claims->first + i) % claims->count;
        if (claims->finished[at]) continue;
        PfError failure = {0};
        if (is_taken(options->output, at + 1, claims->count)) continue;
        if (!run_shard(options, (PfShard){at + 1, claims->count}, command, interrupted, &failure)) {
            claims->finished[at] = true;
            ++*finished;
        } else if (failure.exit_code != PF_EXIT_BUSY) {
            *err = failure;
            return -1;
        }
    }
    claims->left -= *finished;
    return 0;
}

static int wait_for_others(const volatile sig_atomic_t *interrupted, PfError *err)
{
    const struct timespec pause = {.tv_sec = WAIT_MILLISECONDS / 1000,
                                   .tv_nsec = WAIT_MILLISECONDS % 1000 * 1000000L};
    if (!*interrupted) nanosleep(&pause, NULL); /* a signal ends it */
    if (!*interrupted) return 0;
    return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted while others are writing what is left");
}

static int take_all(Claims *claims, const PfExtractOptions *options, const char *command,
                    const volatile sig_atomic_t *interrupted, PfError *err)
{
    bool has_said = false;
    while (claims->left) {
        int64_t finished;
        if (take_turn(claims, options, command, interrupted, &finished, err)) return -1;
        if (!claims->left || finished) continue;
        if (!has_said)
            pf_say("%lld of %lld shards are being written by others: waiting, to take over what "
                   "they leave unfinished",
                   (long long)claims->left, (long long)claims->count);
        has_said = true;
        if (wait_for_others(interrupted, err)) return -1;
    }
    return 0;
}

int pf_shard_run_any(const PfExtractOptions *options, const char *command,
                     const volatile sig_atomic_t *interrupted, PfError *err)
{
    const int64_t count = options->dataset.shard.count;
    Claims claims = {.count = count, .left = count, .first = draw_first(count)};
    char *folder = pf_asprintf(err, "%s.parts", options->output);
    int failed =
        !folder || pf_parts_make_folder(options->output, err) || pf_lease_check(folder, err);
    free(folder);
    if (failed) return -1;
    claims.finished = pf_calloc((size_t)count, sizeof *claims.finished, err);
    if (!claims.finished) return -1;
    failed = take_all(&claims, options, command, interrupted, err);
    free(claims.finished);
    if (failed) return -1;
    pf_say("%s.parts: all %lld shards are done", options->output, (long long)count);
    return 0;
}
