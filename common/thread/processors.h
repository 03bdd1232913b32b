/* How many processors this process may use: the one place that knows.
 *
 * The smallest counts of: the processors of the machine, those of the affinity mask (taskset,
 * cpusets, mpirun), the quota of the control groups (containers), OMP_NUM_THREADS and
 * SLURM_CPUS_PER_TASK. --threads stands above them all. */
#ifndef PF_COMMON_THREAD_PROCESSORS_H
#define PF_COMMON_THREAD_PROCESSORS_H

#include <stddef.h>

#include "common/base/control_group.h"

#define PF_THREADS_MAX 1024 /* of --threads, and of any one loop */

typedef struct PfProcessors {
    int count;              /* at least 1 */
    const char *decided_by; /* "SLURM_CPUS_PER_TASK"; static; NULL: the machine has no more */
} PfProcessors;

/* Found at the first call; the same ever after. Any thread may call. */
PfProcessors pf_processors(void);
/* --threads: so many from now on, whatever else there is; 0 changes nothing. Call before there are
 * threads. */
void pf_processors_set(int threads);
/* So many processes of this host, each of which sees the same processors, share them out from now
 * on: at least one for each. Nothing where the count is one process's own: --threads,
 * OMP_NUM_THREADS, SLURM_CPUS_PER_TASK. Call before there are threads. */
void pf_processors_share(int processes);
/* "2 threads (SLURM_CPUS_PER_TASK)", where something other than the machine decides, and the option
 * that stands above it. */
void pf_processors_say(void);

/* ---- what it is made of, for tests ---- */

/* What is known; 0 and NULL where there is nothing. */
typedef struct PfProcessorSources {
    int machine, mask;
    PfGroupLimits groups;
    const char *openmp, *slurm; /* values of OMP_NUM_THREADS, SLURM_CPUS_PER_TASK */
} PfProcessorSources;

PfProcessors pf_processors_choose(const PfProcessorSources *sources);

/* Processors in the mask that get() copies: as sched_getaffinity() of the process, it fails with
 * EINVAL where `bytes` are too few. 0 where there is none to be had. */
int pf_processors_in_mask(int (*get)(size_t bytes, void *mask));

#endif
