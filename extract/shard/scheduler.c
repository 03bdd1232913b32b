#include "extract/shard/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/printable.h"

/* One row for each variable that numbers the tasks of an array, in the order in which they count.
 * Slurm: sbatch(1). Kubernetes: Job, completionMode Indexed. AWS Batch: array jobs. Grid Engine:
 * qsub(1). PBS: qsub(1B), and Torque's. LSF: bsub(1). Ranks (common/ranks/launcher.h) come behind
 * them. */
typedef struct Scheduler {
    const char *name, *variable;
    const char *size;    /* of ranks: the variable that counts them; NULL of arrays */
    long long base;      /* the first index */
    bool base_is_chosen; /* by whoever submits */
    bool zero_is_none;   /* 0 says that there is no array */
    const char *rerun;   /* the option that takes a list of indices; NULL: there is none */
} Scheduler;

static const Scheduler schedulers[] = {
    {"Slurm array", "SLURM_ARRAY_TASK_ID", NULL, 0, true, false, "--array="},
    {"Kubernetes indexed job", "JOB_COMPLETION_INDEX", NULL, 0, false, false, NULL},
    {"AWS Batch array", "AWS_BATCH_JOB_ARRAY_INDEX", NULL, 0, false, false, NULL},
    {"Grid Engine array", "SGE_TASK_ID", NULL, 1, false, false, NULL},
    {"PBS array", "PBS_ARRAY_INDEX", NULL, 0, true, false, "-J "},
    {"PBS array", "PBS_ARRAYID", NULL, 0, true, false, "-t "},
    {"LSF array", "LSB_JOBINDEX", NULL, 1, false, true, NULL},
};

#define ARRAY_COUNT ((int)(sizeof schedulers / sizeof *schedulers))
#define SHARD_AUTO "--shard auto"

/* Arrays, then ranks from the outside in. */
static Scheduler scheduler_at(int index)
{
    if (index < ARRAY_COUNT) return schedulers[index];
    const PfLauncher *launcher = &pf_launchers[PF_LAUNCHER_COUNT - 1 - (index - ARRAY_COUNT)];
    return (Scheduler){.name = launcher->name, .variable = launcher->rank, .size = launcher->size};
}

typedef struct Found {
    bool is_there;
    Scheduler scheduler;
    long long index, peers;
} Found;

static int find_index(const PfEnvironment *environment, const Scheduler *scheduler, Found *found,
                      PfError *err)
{
    int is_there, has_size = 0;
    *found = (Found){.scheduler = *scheduler};
    if (pf_launcher_number(environment, SHARD_AUTO, scheduler->variable, &found->index, &is_there,
                           err))
        return -1;
    if (is_there && scheduler->zero_is_none && !found->index) is_there = 0;
    if (is_there && scheduler->size &&
        pf_launcher_number(environment, SHARD_AUTO, scheduler->size, &found->peers, &has_size, err))
        return -1;
    found->is_there = is_there && (!scheduler->size || (has_size && found->peers > 1));
    return 0;
}

static int check_together(const Found *first, const Found *other, PfError *err)
{
    if (!other->scheduler.size) return 0; /* arrays count in the order of the table */
    if (!first->scheduler.size)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--shard auto: this is task %lld of an array (%s) and rank %lld of %lld "
                       "(%s) at once; which of them numbers the shards?\nHint: start one process "
                       "for each task of the array, or name the shard: --shard K/N",
                       first->index, first->scheduler.variable, other->index, other->peers,
                       other->scheduler.variable);
    if (first->index == other->index) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--shard auto: %s is %lld and %s is %lld; which of them numbers the "
                   "shards?\nHint: name the shard: --shard K/N",
                   first->scheduler.variable, first->index, other->scheduler.variable,
                   other->index);
}

static int find_scheduler(const PfEnvironment *environment, Found *found, PfError *err)
{
    *found = (Found){0};
    for (int i = 0; i < ARRAY_COUNT + PF_LAUNCHER_COUNT; i++) {
        Scheduler scheduler = scheduler_at(i);
        Found other;
        if (find_index(environment, &scheduler, &other, err)) return -1;
        if (!other.is_there) continue;
        if (!found->is_there)
            *found = other;
        else if (check_together(found, &other, err))
            return -1;
    }
    if (found->is_there) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--shard auto: no batch system numbers this process: there is no array index "
                   "(SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX, AWS_BATCH_JOB_ARRAY_INDEX, "
                   "SGE_TASK_ID, PBS_ARRAY_INDEX, LSB_JOBINDEX) and no rank of several "
                   "(SLURM_PROCID, OMPI_COMM_WORLD_RANK, PMI_RANK, RANK).\nHint: name the shard: "
                   "--shard K/N");
}

static int number_shard(const Found *found, int64_t count, PfScheduledShard *out, PfError *err)
{
    const Scheduler *scheduler = &found->scheduler;
    if (found->index >= out->base && found->index < out->base + count) {
        out->shard = (PfShard){found->index - out->base + 1, count};
        return 0;
    }
    const bool is_behind = found->index == out->base + count;
    return pf_fail(
        err, PF_EXIT_USAGE,
        "--shard auto/%lld: %s is %lld; with %lld shards it goes from %lld to "
        "%lld%s%s",
        (long long)count, scheduler->variable, found->index, (long long)count, out->base,
        out->base + (long long)count - 1,
        scheduler->base_is_chosen && is_behind ? ".\nHint: where tasks are numbered from " : "",
        scheduler->base_is_chosen && is_behind
            ? (out->base ? "0: --shard-base 0" : "1: --shard-base 1")
            : "");
}

int pf_scheduler_choose_shard(int64_t count, long long base, PfVariableLookup *lookup,
                              void *context, PfScheduledShard *out, PfError *err)
{
    const PfEnvironment environment = {lookup, context};
    Found found;
    if (find_scheduler(&environment, &found, err)) return -1;
    const Scheduler *scheduler = &found.scheduler;
    if (base != PF_SHARD_BASE_OF_SCHEDULER && !scheduler->base_is_chosen && base != scheduler->base)
        return pf_fail(err, PF_EXIT_USAGE, "--shard-base %lld: %s (%s) counts from %lld", base,
                       scheduler->name, scheduler->variable, scheduler->base);
    *out = (PfScheduledShard){.scheduler = scheduler->name,
                              .variable = scheduler->variable,
                              .index = found.index,
                              .base = base == PF_SHARD_BASE_OF_SCHEDULER ? scheduler->base : base,
                              .peers = found.peers};
    return number_shard(&found, count, out, err);
}

int pf_scheduler_shard(int64_t count, long long base, PfScheduledShard *out, PfError *err)
{
    return pf_scheduler_choose_shard(count, base, pf_launcher_getenv, NULL, out, err);
}

/* ---- what is to be run again ---- */

static const Scheduler *noted_scheduler(const char *variable)
{
    for (int i = 0; variable && i < ARRAY_COUNT; i++)
        if (!strcmp(schedulers[i].variable, variable)) return &schedulers[i];
    return NULL;
}

char *pf_scheduler_resubmission(const char *scheduler, long long base, const int64_t *numbers,
                                int64_t count, PfError *err)
{
    const Scheduler *noted = noted_scheduler(scheduler);
    const long long shift = noted && noted->rerun ? base - 1 : 0;
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return pf_fail_errno(err, "no memory for a list of shards"), NULL;
    if (noted && noted->rerun) pf_print(stream, "%s", noted->rerun);
    for (int64_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && numbers[end] == numbers[end - 1] + 1;) end++;
        pf_print(stream, "%s%lld", i ? "," : "", (long long)numbers[i] + shift);
        if (end - i > 1) pf_print(stream, "-%lld", (long long)numbers[end - 1] + shift);
    }
    if (!fclose(stream)) return text;
    free(text);
    return pf_fail_errno(err, "no memory for a list of shards"), NULL;
}
