/* Which shard of a dataset this process is to extract, as batch systems tell it: --shard auto/N.
 *
 * Batch systems start one command many times and number the copies by a variable of the
 * environment. N never comes from there: the counts and minima that some of them set are those of
 * the last submission, which may have been of a few tasks only. */
#ifndef PF_EXTRACT_SHARD_SCHEDULER_H
#define PF_EXTRACT_SHARD_SCHEDULER_H

#include <stdbool.h>

#include "common/ranks/launcher.h"
#include "extract/dataset/dataset.h"

#define PF_SHARD_BASE_OF_SCHEDULER (-1)

typedef struct PfScheduledShard {
    PfShard shard;
    const char *scheduler; /* "Slurm array"; static */
    const char *variable;  /* "SLURM_ARRAY_TASK_ID"; static */
    long long index, base; /* the variable's value, and the first that there is */
    long long peers;       /* of ranks: how many there are; 0 of tasks of an array */
} PfScheduledShard;

/* The shard of `count`. The index of an array of tasks is looked for first (Slurm, Kubernetes, AWS
 * Batch, Grid Engine, PBS, LSF), then a rank of several (srun, Open MPI, PMI, torchrun); a rank
 * counts only where its size is above 1. Values that say that there is no index ("undefined", 0 of
 * LSF) count as absent. An index together with a rank, and ranks that differ, are
 * PF_EXIT_USAGE, and so is an index that is not among the `count` from its base on.
 * base: --shard-base, for systems that let the user choose the first index; else
 * PF_SHARD_BASE_OF_SCHEDULER. */
int pf_scheduler_choose_shard(int64_t count, long long base, PfVariableLookup *lookup,
                              void *context, PfScheduledShard *out, PfError *err);

/* The same, from this process's environment. */
int pf_scheduler_shard(int64_t count, long long base, PfScheduledShard *out, PfError *err);

/* The numbers of shards, ascending, as the scheduler that was noted as `scheduler` wants the
 * indices of tasks to be run again: "--array=0,3-5". Of one that cannot name several, and of none
 * (NULL), the numbers of shards: "1,4-6". malloc'ed. */
char *pf_scheduler_resubmission(const char *scheduler, long long base, const int64_t *numbers,
                                int64_t count, PfError *err);

#endif
