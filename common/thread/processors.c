#include "common/thread/processors.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

/* ---- the affinity mask ---- */

/* No kernel has so many. */
#define MOST_PROCESSORS (1 << 22)

static int get_mask(size_t bytes, void *mask)
{
    return sched_getaffinity(0, bytes, mask);
}

int pf_processors_in_mask(int (*get)(size_t bytes, void *mask))
{
    int count = 0;
    for (int most = CPU_SETSIZE; !count && most <= MOST_PROCESSORS; most *= 2) {
        size_t bytes = CPU_ALLOC_SIZE(most);
        cpu_set_t *mask = calloc(1, bytes);
        if (!mask) return 0;
        int failed = get(bytes, mask), cause = errno;
        if (!failed) count = CPU_COUNT_S(bytes, mask);
        free(mask);
        if (failed && cause != EINVAL) return 0;
    }
    return count;
}

/* ---- which of them decides ---- */

/* The first of the numbers, parted by commas; 0 where it is none. */
static int first_number(const char *text)
{
    char *end;
    if (!text) return 0;
    long number = strtol(text, &end, 10);
    end += strspn(end, " \t");
    if (end == text || (*end && *end != ',') || number < 1) return 0;
    return number > INT_MAX ? INT_MAX : (int)number;
}

static void adopt(PfProcessors *chosen, int count, const char *who)
{
    if (count > 0 && count < chosen->count) *chosen = (PfProcessors){count, who};
}

PfProcessors pf_processors_choose(const PfProcessorSources *sources)
{
    PfProcessors chosen = {sources->machine > 0 ? sources->machine : INT_MAX, NULL};
    adopt(&chosen, sources->mask, sources->machine > 0 ? "processor affinity" : NULL);
    adopt(&chosen, sources->groups.processors, sources->groups.decides);
    adopt(&chosen, first_number(sources->openmp), "OMP_NUM_THREADS");
    adopt(&chosen, first_number(sources->slurm), "SLURM_CPUS_PER_TASK");
    return chosen.count == INT_MAX ? (PfProcessors){1, NULL} : chosen;
}

/* ---- those of this process ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static PfProcessors found;
static atomic_int wanted; /* --threads; 0: nothing was said */
static atomic_int sharing = 1;

static void find(void)
{
    const PfProcessorSources sources = {.machine = (int)sysconf(_SC_NPROCESSORS_ONLN),
                                        .mask = pf_processors_in_mask(get_mask),
                                        .groups = pf_control_group_limits(""),
                                        .openmp = getenv("OMP_NUM_THREADS"),
                                        .slurm = getenv("SLURM_CPUS_PER_TASK")};
    found = pf_processors_choose(&sources);
}

PfProcessors pf_processors(void)
{
    int threads = atomic_load(&wanted);
    if (threads > 0) return (PfProcessors){threads, "--threads"};
    pthread_once(&once, find);
    int processes = atomic_load(&sharing);
    if (processes == 1) return found;
    int count = found.count / processes;
    return (PfProcessors){count ? count : 1, "processes of this host share its processors"};
}

static bool is_own_count(const char *decided_by)
{
    return decided_by &&
           (!strcmp(decided_by, "OMP_NUM_THREADS") || !strcmp(decided_by, "SLURM_CPUS_PER_TASK"));
}

void pf_processors_share(int processes)
{
    pthread_once(&once, find);
    if (processes > 1 && !is_own_count(found.decided_by)) atomic_store(&sharing, processes);
}

void pf_processors_set(int threads)
{
    atomic_store(&wanted, threads);
}

void pf_processors_say(void)
{
    PfProcessors processors = pf_processors();
    if (processors.decided_by)
        pf_say("%d thread%s (%s)%s", processors.count, processors.count == 1 ? "" : "s",
               processors.decided_by,
               atomic_load(&wanted) > 0 ? "" : "; --threads N takes another number");
}
