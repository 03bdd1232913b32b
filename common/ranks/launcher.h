/* Which of several processes this one is, as those that start processes in numbers say: torchrun,
 * Open MPI, MPICH and its kin (PMI), srun. */
#ifndef PF_COMMON_RANKS_LAUNCHER_H
#define PF_COMMON_RANKS_LAUNCHER_H

#include "permafrost/error.h"

/* The variables of the environment that a launcher sets. torchrun: torch.distributed.run. Open MPI:
 * mpirun(1). PMI: Hydra and MPICH. srun: srun(1). */
typedef struct PfLauncher {
    const char *name; /* "Open MPI" */
    const char *rank, *size;
    const char *local_rank; /* among those of the host */
    const char *local_size; /* how many these are; NULL: it does not say */
    const char *hosts;      /* how many hosts there are; NULL: likewise */
} PfLauncher;

/* From the inside out: whoever starts processes under another's comes first. */
#define PF_LAUNCHER_COUNT 4
extern const PfLauncher pf_launchers[PF_LAUNCHER_COUNT];

/* The value of a variable of the environment, or NULL; getenv, but for tests. */
typedef const char *PfVariableLookup(void *context, const char *name);
PfVariableLookup pf_launcher_getenv;

typedef struct PfEnvironment {
    PfVariableLookup *lookup;
    void *context;
} PfEnvironment;

/* This process's own. */
PfEnvironment pf_launcher_environment(void);

const char *pf_launcher_variable(const PfEnvironment *environment, const char *name);
/* *is_there: whether the variable says anything; "undefined" does not. What is there and is no
 * number from 0 on is PF_EXIT_USAGE; what: who asks, "--shard auto". */
int pf_launcher_number(const PfEnvironment *environment, const char *what, const char *name,
                       long long *value, int *is_there, PfError *err);

typedef struct PfLaunch {
    const PfLauncher *launcher; /* NULL: this process is alone */
    int rank, size;
    int local_rank; /* 0 where nobody says */
    int one_host;   /* all ranks are on this host */
} PfLaunch;

/* The first launcher whose size is above 1. A rank that its size does not hold is PF_EXIT_USAGE. */
int pf_launcher_find(const PfEnvironment *environment, PfLaunch *out, PfError *err);

#endif
