#include "common/ranks/launcher.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/options.h"

/* More processes than anybody starts. */
#define NUMBER_MAX ((long long)1 << 40)
#define RANKS_MAX (1 << 20)

const PfLauncher pf_launchers[PF_LAUNCHER_COUNT] = {
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", NULL},
    {"MPI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", NULL},
    {"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE", NULL},
    {"srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", NULL, "SLURM_STEP_NUM_NODES"},
};

const char *pf_launcher_getenv(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

PfEnvironment pf_launcher_environment(void)
{
    return (PfEnvironment){pf_launcher_getenv, NULL};
}

const char *pf_launcher_variable(const PfEnvironment *environment, const char *name)
{
    const char *text = name ? environment->lookup(environment->context, name) : NULL;
    return text && *text && strcmp(text, "undefined") ? text : NULL;
}

int pf_launcher_number(const PfEnvironment *environment, const char *what, const char *name,
                       long long *value, int *is_there, PfError *err)
{
    const char *text = pf_launcher_variable(environment, name);
    *is_there = text != NULL;
    if (!text || !pf_options_parse_long(name, text, 0, NUMBER_MAX, value, NULL)) return 0;
    return pf_fail(err, PF_EXIT_USAGE, "%s: the variable %s is '%s', expected a number from 0 on",
                   what, name, text);
}

static int read_launch(const PfEnvironment *environment, const PfLauncher *launcher, PfLaunch *out,
                       int *has_local_rank, PfError *err)
{
    static const char what[] = "several processes";
    long long rank = 0, size = 0, local_rank = 0, local_size = 0, hosts = 0;
    int has_rank, has_size, has_local_size, has_hosts;
    *out = (PfLaunch){.size = 1};
    if (pf_launcher_number(environment, what, launcher->rank, &rank, &has_rank, err) ||
        pf_launcher_number(environment, what, launcher->size, &size, &has_size, err))
        return -1;
    if (!has_rank || !has_size || size < 2) return 0;
    if (pf_launcher_number(environment, what, launcher->local_rank, &local_rank, has_local_rank,
                           err) ||
        pf_launcher_number(environment, what, launcher->local_size, &local_size, &has_local_size,
                           err) ||
        pf_launcher_number(environment, what, launcher->hosts, &hosts, &has_hosts, err))
        return -1;
    if (rank >= size || size > RANKS_MAX || local_rank >= size)
        return pf_fail(err, PF_EXIT_USAGE, "%s: %s is %lld and %s is %lld; ranks go from 0 to %lld",
                       what, launcher->rank, rank, launcher->size, size, size - 1);
    *out =
        (PfLaunch){.launcher = launcher,
                   .rank = (int)rank,
                   .size = (int)size,
                   .local_rank = (int)local_rank,
                   .one_host = (has_local_size && local_size == size) || (has_hosts && hosts == 1)};
    return 0;
}

/* srun --mpi=pmi2 sets PMI's variables without those of the host, which its own have. */
static int find_local_rank(const PfEnvironment *environment, PfLaunch *found, PfError *err)
{
    for (const PfLauncher *next = found->launcher + 1; next < pf_launchers + PF_LAUNCHER_COUNT;
         next++) {
        PfLaunch same;
        int has_local_rank = 0;
        if (read_launch(environment, next, &same, &has_local_rank, err)) return -1;
        if (!has_local_rank || same.rank != found->rank || same.size != found->size) continue;
        *found = same;
        return 0;
    }
    return 0;
}

int pf_launcher_find(const PfEnvironment *environment, PfLaunch *out, PfError *err)
{
    for (int i = 0; i < PF_LAUNCHER_COUNT; i++) {
        int has_local_rank = 0;
        if (read_launch(environment, &pf_launchers[i], out, &has_local_rank, err)) return -1;
        if (out->launcher) return has_local_rank ? 0 : find_local_rank(environment, out, err);
    }
    return 0;
}
